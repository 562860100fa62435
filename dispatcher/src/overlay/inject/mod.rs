//! Puts overlays into images: an initramfs or a tar archive.
//!
//! It blocks; asynchronous callers run it in `tokio::task::spawn_blocking`. It never needs root,
//! because nothing is unpacked: owners, permissions, device nodes and hard links of an image stay
//! as they are.
//!
//! To an initramfs a further archive is appended (ADR 0004). Linux takes a row of archives,
//! whatever their compression, so what is there is not touched.

pub(super) mod entry;
mod feed;
pub(super) mod names;
pub(super) mod sink;
mod tarball;

use super::{
    Note,
    cpio::{self, CpioSink, Segment},
    files::{io_fault, write_fault},
    packing::Packing,
};
use feed::Feeder;
use fs_err as fs;
use job::Fault;
use names::Names;
use sink::Sink;
use std::{
    io::{self, BufWriter, Read, Seek, Write},
    path::{Path, PathBuf},
};
use tempfile::NamedTempFile;
use tokio_util::sync::CancellationToken;

/// Something to put into an image. Places in images are absolute paths; links of the image are
/// followed, inside the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OverlayInput {
    /// What a tar archive holds, plain or compressed; owners and permissions are the archive's.
    Tar {
        /// The archive.
        archive: PathBuf,
        /// The directory of the image it is unpacked to.
        at: String,
    },
    /// What a directory holds, owned by root.
    Directory {
        /// The directory.
        directory: PathBuf,
        /// The directory of the image.
        at: String,
    },
    /// One file, owned by root.
    File {
        /// The file.
        file: PathBuf,
        /// Its place in the image; with a slash at the end, the directory it goes to.
        at: String,
    },
}

/// What an image is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// An initramfs (`cpio.newc`): any row of archives that Linux takes.
    Cpio,
    /// A tar archive.
    Tar,
}

/// What to put where.
#[derive(Clone, Copy, Debug)]
pub struct Injection<'a> {
    /// The image.
    pub image: &'a Path,
    /// What it is.
    pub format: Format,
    /// How the job says it is compressed; what the image itself says is believed.
    pub compression: Option<&'a str>,
    /// What goes in, in order; later ones win.
    pub overlays: &'a [OverlayInput],
    /// Where the result goes; may be `image`. It appears complete or not at all.
    pub output: &'a Path,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InjectReport {
    /// For the log of the job.
    pub notes: Vec<Note>,
    /// How many files and directories were added.
    pub added: u64,
    /// Bytes of the result.
    pub size: u64,
}

/// Puts overlays into an image, in memory that does not depend on its size.
///
/// # Errors
/// A job fault when the image or an overlay is not what the job says, an infrastructure fault
/// when a file cannot be read or written, and [`job::FaultClass::Canceled`] soon after `cancel`.
pub fn inject(
    injection: &Injection<'_>,
    cancel: &CancellationToken,
) -> Result<InjectReport, Fault> {
    let mut notes = vec![Note::info(format!(
        "Modifying '{}'",
        injection.image.display()
    ))];
    let output = Output::create(injection)?;
    let added = match injection.format {
        Format::Cpio => append_archive(injection, &output, cancel, &mut notes)?,
        Format::Tar => tarball::extend(injection, &output, cancel, &mut notes)?,
    };
    let size = output.persist()?;
    Ok(InjectReport { notes, added, size })
}

/// The result while it is made: a file beside the place it will have.
struct Output<'a> {
    file: NamedTempFile,
    path: &'a Path,
}

impl<'a> Output<'a> {
    fn create(injection: &Injection<'a>) -> Result<Self, Fault> {
        let path = injection.output;
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let permissions = fs::metadata(injection.image)
            .map_err(|error| io_fault(&error))?
            .permissions();
        let file = tempfile::Builder::new()
            .prefix(".overlay-")
            .permissions(permissions)
            .tempfile_in(directory)
            .map_err(|error| write_fault(directory, &error))?;
        Ok(Self { file, path })
    }

    fn failed(&self) -> impl Fn(io::Error) -> Fault + use<> {
        let path = self.path.to_owned();
        move |error| write_fault(&path, &error)
    }

    fn persist(self) -> Result<u64, Fault> {
        let failed = self.failed();
        let size = self.file.as_file().metadata().map_err(&failed)?.len();
        self.file
            .persist(self.path)
            .map_err(|error| failed(error.error))?;
        Ok(size)
    }
}

/// Appends an archive to an initramfs.
fn append_archive(
    injection: &Injection<'_>,
    output: &Output<'_>,
    cancel: &CancellationToken,
    notes: &mut Vec<Note>,
) -> Result<u64, Fault> {
    let mut image = cpio::scan(injection.image, cancel)?;
    let packing = match image.segments.last() {
        Some(last) => last.packing,
        None => Packing::Plain,
    };
    note_segments(&image.segments, injection.compression, notes);

    let failed = output.failed();
    let mut file = output.file.as_file();
    copy_start(injection.image, image.end, file, &failed)?;
    let padding = match packing {
        // It would be taken for a part of the frame.
        Packing::Lz4 => 0,
        // Linux takes a plain archive at multiples of four only.
        _ => (4 - image.end % 4) % 4,
    };
    file.write_all(&[0; 4][..padding as usize])
        .map_err(&failed)?;

    note_overlays(injection.overlays, notes);
    let encoder = packing.encoder(BufWriter::new(file)).map_err(&failed)?;
    let mut sink = CpioSink::new(encoder, injection.output.to_owned());
    let added = feed_all(injection.overlays, &mut image.names, &mut sink, cancel)?;
    let mut writer = sink.finish()?.finish().map_err(&failed)?;
    writer.write_all(&image.tail).map_err(&failed)?;
    writer.flush().map_err(&failed)?;
    notes.push(Note::debug(format!(
        "* appended an archive ({}) of {added} files and directories",
        packing.name()
    )));
    Ok(added)
}

/// Hands all overlays to a sink; returns how many entries it got.
pub(super) fn feed_all(
    overlays: &[OverlayInput],
    names: &mut Names,
    sink: &mut dyn Sink,
    cancel: &CancellationToken,
) -> Result<u64, Fault> {
    let mut feeder = Feeder {
        names,
        sink,
        cancel,
        added: 0,
    };
    for overlay in overlays {
        feeder.feed(overlay)?;
    }
    Ok(feeder.added)
}

/// Copies the first `length` bytes of a file.
fn copy_start(
    source: &Path,
    length: u64,
    mut output: &std::fs::File,
    failed: &impl Fn(io::Error) -> Fault,
) -> Result<(), Fault> {
    let file = fs::File::open(source).map_err(|error| io_fault(&error))?;
    // The kernel copies where it can, so that errors do not tell the side they are from.
    let copied = io::copy(&mut file.into_parts().0.take(length), &mut output).map_err(failed)?;
    output.seek(io::SeekFrom::End(0)).map_err(failed)?;
    if copied != length {
        return Err(Fault::infrastructure(format!(
            "{} shrank while it was read",
            source.display()
        )));
    }
    Ok(())
}

fn note_segments(segments: &[Segment], declared: Option<&str>, notes: &mut Vec<Note>) {
    for segment in segments {
        notes.push(Note::debug(format!(
            "* archive at byte {} ({}): {} files and directories",
            segment.offset,
            segment.packing.name(),
            segment.members
        )));
    }
    let last = segments.last().map(|segment| segment.packing.name());
    if let (Some(declared), Some(last)) = (declared, last)
        && declared != last
    {
        notes.push(Note::warning(format!(
            "the job says 'compression: {declared}', but the image is compressed with: {last}"
        )));
    }
}

pub(super) fn note_overlays(overlays: &[OverlayInput], notes: &mut Vec<Note>) {
    notes.push(Note::debug("Overlays:"));
    for overlay in overlays {
        let (source, at) = match overlay {
            OverlayInput::Tar { archive, at } => (archive, at),
            OverlayInput::Directory { directory, at } => (directory, at),
            OverlayInput::File { file, at } => (file, at),
        };
        notes.push(Note::debug(format!("- '{}' to '{at}'", source.display())));
    }
}
