//! Tar archives that were downloaded.

use super::{
    failure::Failure,
    sink::{Cancel, Stoppable},
};
use crate::archive::{ArchiveError, Compression, Limits, UnpackOptions, Unpacked, unpack_tar};
use std::{
    fs::File,
    io::{self, Read, Seek},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// The directory of an archive: beside it, named after the key of the job.
pub(super) fn directory(archive: &Path, label: &str) -> PathBuf {
    let directory = archive.with_file_name(label);
    if directory == archive {
        archive.with_file_name(format!("{label}.unpacked"))
    } else {
        directory
    }
}

/// Unpacks into a fresh directory, which gets its name when all is there.
///
/// Dropping it stops the thread at its next read; the thread removes what it made.
pub(super) async fn tar(
    archive: &Path,
    directory: PathBuf,
    limits: Limits,
) -> Result<(PathBuf, Unpacked), Failure> {
    let canceled = Cancel::default();
    let flag = Arc::clone(&canceled.0);
    let archive = archive.to_owned();
    let unpack =
        move || unpack(&archive, &directory, limits, flag).map(|unpacked| (directory, unpacked));
    crate::blocking::spawn(unpack)
        .await
        .map_err(|_| Failure::Worker)?
}

fn unpack(
    archive: &Path,
    directory: &Path,
    limits: Limits,
    canceled: Arc<AtomicBool>,
) -> Result<Unpacked, Failure> {
    let failed = |error| Failure::write(directory, error, None);
    let parent = directory.parent().unwrap_or(Path::new("/"));
    let temporary = tempfile::Builder::new()
        .prefix(".unpack-")
        .tempdir_in(parent)
        .map_err(failed)?;
    let file = super::local::open(archive)?;
    let options = UnpackOptions {
        limits,
        ..UnpackOptions::default()
    };
    let stopped = Arc::clone(&canceled);
    let unpacked = reader(file, canceled)
        .map_err(|error| ArchiveError::from_read(error, None))
        .and_then(|reader| unpack_tar(reader, temporary.path(), &options));
    if stopped.load(Ordering::Relaxed) {
        return Err(Failure::Worker);
    }
    let unpacked = unpacked.map_err(Failure::Archive)?;
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs_err::set_permissions(temporary.path(), readable).map_err(failed)?;
    match fs_err::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    fs_err::rename(temporary.path(), directory).map_err(failed)?;
    // It has another name now: there is nothing left to remove.
    let _ = temporary.keep();
    Ok(unpacked)
}

/// The archive, decompressed when it still is compressed, as its first bytes show.
fn reader(mut file: File, canceled: Arc<AtomicBool>) -> io::Result<Box<dyn Read + Send>> {
    let mut start = Vec::new();
    Read::by_ref(&mut file).take(6).read_to_end(&mut start)?;
    file.rewind()?;
    let file = Stoppable {
        input: file,
        canceled,
    };
    match Compression::sniff(&start).filter(|&kind| kind != Compression::Zip) {
        Some(kind) => match kind.decoder(file)? {
            Some(decoder) => Ok(decoder),
            None => Err(io::Error::other("no stream")),
        },
        None => Ok(Box::new(file)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_waits_for_is_not_left_behind() {
        let directory = tempfile::tempdir().unwrap();
        let archive = directory.path().join("fs.tar");
        let mut builder = tar::Builder::new(fs_err::File::create(&archive).unwrap());
        let mut header = tar::Header::new_gnu();
        header.set_size(1);
        builder.append_data(&mut header, "file", &b"x"[..]).unwrap();
        builder.into_inner().unwrap();
        let target = super::directory(&archive, "rootfs");
        let run = |canceled| {
            unpack(
                &archive,
                &target,
                Limits::default(),
                Arc::new(AtomicBool::new(canceled)),
            )
        };
        assert!(run(true).is_err());
        assert_eq!(fs_err::read_dir(directory.path()).unwrap().count(), 1);
        run(false).unwrap();
        assert!(target.join("file").exists());
        assert_eq!(fs_err::read_dir(directory.path()).unwrap().count(), 2);
    }
}
