//! The image with the overlay that QEMU attaches as a drive.

use super::{complaint, debugfs, run};
use crate::overlay::{
    RunCommand,
    archive::{Found, walk},
    files::{io_fault, read_fault},
};
use fs_err as fs;
use job::Fault;
use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};
use tokio::time::Instant;

/// A raw image with an ext2 file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestImage {
    /// The image.
    pub path: PathBuf,
    /// The UUID of the file system, by which the guest finds it.
    pub uuid: String,
}

/// Makes an image whose root directory holds what `directory` holds, owned by root.
///
/// `directory` is [`OverlayBuilder::results_directory`](crate::overlay::OverlayBuilder::results_directory):
/// the guest mounts the image there. Dropping the future leaves an incomplete image behind, in the
/// directory of temporary files that the job owns.
///
/// # Errors
/// A job fault when the overlay does not fit, an infrastructure fault when the image cannot be
/// written or e2fsprogs is missing.
pub async fn create(
    directory: &Path,
    size_mib: u32,
    image: &Path,
    runner: &impl RunCommand,
    deadline: Instant,
) -> Result<GuestImage, Fault> {
    let found = walk(directory).map_err(|error| io_fault(&error))?;
    let uuid = random_uuid()?;
    // Git repositories are many small files: more inodes than the usual one for 16 KiB.
    let inodes = (found.len() as u64 + 1024).max(u64::from(size_mib) * 64);
    let arguments: Vec<String> = [
        "-q",
        "-F",
        "-t",
        "ext2",
        "-b",
        "4096",
        "-m",
        "0",
        "-E",
        "root_owner=0:0",
        "-U",
        &uuid,
        "-N",
        &inodes.to_string(),
        "-d",
    ]
    .iter()
    .map(|&argument| argument.to_owned())
    .chain([
        directory.display().to_string(),
        image.display().to_string(),
        format!("{size_mib}M"),
    ])
    .collect();
    let output = run(runner, "mke2fs", &arguments, deadline).await?;
    if !output.success {
        let stderr = &output.stderr;
        let message = format!("mke2fs failed: {}", complaint(&output));
        if stderr.contains("No space left on device") {
            return Err(Fault::infrastructure(message)
                .with_hint("free space in the directory for temporary files of jobs"));
        }
        if stderr.contains("Could not allocate") || stderr.contains("too small") {
            return Err(Fault::job(format!(
                "the overlay does not fit into the guest image of {size_mib} MiB ({message})"
            ))
            .with_hint("set 'guestfs_size' of the job's context to more MiB, or fetch the tests with 'history: false'"));
        }
        return Err(Fault::infrastructure(message));
    }
    own_by_root(&found, image, runner, deadline).await?;
    Ok(GuestImage {
        path: image.to_owned(),
        uuid,
    })
}

/// mke2fs copies owners; who is not root cannot give the tree to root before.
async fn own_by_root(
    found: &[Found],
    image: &Path,
    runner: &impl RunCommand,
    deadline: Instant,
) -> Result<(), Fault> {
    let mut script = debugfs::Script::default();
    for entry in found {
        if entry.metadata.uid() != 0 {
            script.set(&entry.path, "uid", "0")?;
        }
        if entry.metadata.gid() != 0 {
            script.set(&entry.path, "gid", "0")?;
        }
    }
    if script.is_empty() {
        return Ok(());
    }
    let scratch = image.parent().unwrap_or(Path::new("."));
    script
        .write_to(&image.display().to_string(), scratch, runner, deadline)
        .await
}

/// A new UUID (RFC 9562, version 4), made by Linux.
fn random_uuid() -> Result<String, Fault> {
    const SOURCE: &str = "/proc/sys/kernel/random/uuid";
    let text = fs::read_to_string(SOURCE).map_err(|error| read_fault(Path::new(SOURCE), &error))?;
    Ok(text.trim().to_owned())
}
