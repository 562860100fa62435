//! Overlays into an ext2, ext3 or ext4 file system that a job downloaded.

use super::{
    complaint,
    debugfs::{self, Stat},
    partition, run,
    stage::{Places, Stage},
};
use crate::overlay::{
    Note, RunCommand,
    files::{io_fault, write_fault},
    inject::{InjectReport, OverlayInput, feed_all, names::Names, note_overlays},
};
use fs_err as fs;
use job::Fault;
use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
};
use tempfile::TempDir;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What to put where.
#[derive(Clone, Debug)]
pub struct ExtInjection {
    /// The image, a file system or a disk with partitions. It is changed in place.
    pub image: PathBuf,
    /// The partition with the file system, counted from 0.
    pub partition: Option<u32>,
    /// What goes in, in order.
    pub overlays: Vec<OverlayInput>,
}

/// Puts overlays into a file system, which grows when it is too small and fills its image.
///
/// It changes the image in place: a caller whose image may be shared (a hard link into a cache)
/// makes a copy first. Reading overlays happens on a thread for blocking work. Dropping the
/// future may leave the image half changed.
///
/// # Errors
/// A job fault when the image is no such file system or the overlay does not fit, an
/// infrastructure fault when a file cannot be read or written or e2fsprogs is missing.
pub async fn inject(
    injection: &ExtInjection,
    runner: &impl RunCommand,
    cancel: &CancellationToken,
    deadline: Instant,
) -> Result<InjectReport, Fault> {
    let image = injection.image.as_path();
    let mut notes = vec![Note::info(format!("Modifying '{}'", image.display()))];
    let parent = image.parent().unwrap_or(Path::new("."));
    let scratch = tempfile::Builder::new()
        .prefix(".ext-")
        .tempdir_in(parent)
        .map_err(|error| write_fault(parent, &error))?;
    let file_system = FileSystem {
        image,
        device: device(injection)?,
        scratch: &scratch,
        runner,
        deadline,
    };
    file_system.repair(&mut notes).await?;
    let known = file_system.explore(injection, cancel).await?;
    note_overlays(&injection.overlays, &mut notes);
    let stage = stage(injection, known, &scratch, cancel).await?;
    file_system
        .make_room(stage.bytes, injection.partition, &mut notes)
        .await?;
    stage
        .script
        .write_to(&file_system.device, scratch.path(), runner, deadline)
        .await?;
    let size = fs::metadata(image).map_err(|error| io_fault(&error))?.len();
    Ok(InjectReport {
        notes,
        added: stage.added,
        size,
    })
}

/// The image as e2fsprogs names it.
fn device(injection: &ExtInjection) -> Result<String, Fault> {
    let image = injection.image.display();
    if image.to_string().contains('?') {
        return Err(Fault::bug(format!("{image} has a '?' in its path")));
    }
    Ok(match injection.partition {
        None => image.to_string(),
        Some(index) => format!(
            "{image}?offset={}",
            partition::offset(&injection.image, index)?
        ),
    })
}

/// What the image has on the way to the places of the overlays.
#[derive(Clone, Debug, Default)]
struct Known {
    stats: HashMap<PathBuf, Stat>,
}

impl Known {
    /// In the form that tells where entries go.
    fn names(&self) -> Result<Names, Fault> {
        let mut names = Names::default();
        for (path, stat) in &self.stats {
            match stat {
                Stat::Directory => names.add_directory(path)?,
                Stat::Link(target) => names.add_link(path, target)?,
                Stat::Missing | Stat::Other => {}
            }
        }
        Ok(names)
    }

    /// Whether a path may exist, as far as is known of its parent.
    fn may_exist(&self, path: &Path) -> bool {
        match path.parent() {
            None => false,
            Some(parent) if parent.as_os_str().is_empty() => true,
            Some(parent) => self.stats.get(parent) == Some(&Stat::Directory),
        }
    }

    /// Everything that a new file of its name would replace.
    fn taken(&self) -> HashSet<PathBuf> {
        let taken = |stat: &Stat| matches!(stat, Stat::Other | Stat::Link(_));
        self.stats
            .iter()
            .filter(|(_, stat)| taken(stat))
            .map(|(path, _)| path.clone())
            .collect()
    }
}

struct FileSystem<'a, R> {
    image: &'a Path,
    device: String,
    scratch: &'a TempDir,
    runner: &'a R,
    deadline: Instant,
}

impl<R: RunCommand> FileSystem<'_, R> {
    /// Asks for what is on the way, one level of directories at a time: most overlays go to a
    /// directory of their own, and below what is missing nothing exists.
    async fn explore(
        &self,
        injection: &ExtInjection,
        cancel: &CancellationToken,
    ) -> Result<Known, Fault> {
        let mut known = Known::default();
        loop {
            let wanted = places(injection, known.clone(), cancel).await?;
            let unknown: Vec<PathBuf> = wanted
                .into_iter()
                .filter(|path| !known.stats.contains_key(path) && known.may_exist(path))
                .collect();
            if unknown.is_empty() {
                return Ok(known);
            }
            let stats = debugfs::stat(
                &unknown,
                &self.device,
                self.scratch.path(),
                self.runner,
                self.deadline,
            )
            .await?;
            known.stats.extend(unknown.into_iter().zip(stats));
        }
    }

    /// A file system that was not unmounted has a journal that would undo what is written now.
    async fn repair(&self, notes: &mut Vec<Note>) -> Result<(), Fault> {
        let header = self.header().await?;
        let clean = field(&header, "Filesystem state").is_some_and(|state| state == "clean")
            && !field(&header, "Filesystem features")
                .is_some_and(|features| features.contains("needs_recovery"));
        if clean {
            return Ok(());
        }
        notes.push(Note::warning(
            "the file system was not unmounted; checking it before it is changed",
        ));
        self.check().await
    }

    /// `e2fsck`, which says by its exit code what it found: even a repaired one counts as failure,
    /// so the state is asked for again.
    async fn check(&self) -> Result<(), Fault> {
        let arguments = ["-f", "-y", &self.device].map(str::to_owned);
        let output = run(self.runner, "e2fsck", &arguments, self.deadline).await?;
        let header = self.header().await?;
        match field(&header, "Filesystem state") {
            Some("clean") => Ok(()),
            _ => Err(Fault::job(format!(
                "{} is damaged and cannot be repaired: {}",
                self.image.display(),
                complaint(&output)
            ))),
        }
    }

    async fn header(&self) -> Result<String, Fault> {
        let arguments = ["-h", &self.device].map(str::to_owned);
        let output = run(self.runner, "dumpe2fs", &arguments, self.deadline).await?;
        if output.success {
            return Ok(output.stdout);
        }
        Err(Fault::job(format!(
            "{} is no ext file system: {}",
            self.image.display(),
            complaint(&output)
        ))
        .with_hint("'format: ext4' is for ext2, ext3 and ext4; 'partition' names one of a disk"))
    }

    /// Grows the file system when `bytes` do not fit.
    async fn make_room(
        &self,
        bytes: u64,
        partition: Option<u32>,
        notes: &mut Vec<Note>,
    ) -> Result<(), Fault> {
        /// For directories and the tables that map blocks.
        const SPARE: u64 = 1 << 20;
        let header = self.header().await?;
        let number = |name: &str| field(&header, name).and_then(|text| text.parse::<u64>().ok());
        let (Some(block), Some(free)) = (number("Block size"), number("Free blocks")) else {
            return Err(Fault::bug(
                "dumpe2fs tells neither block size nor free blocks",
            ));
        };
        let wanted = bytes + bytes / 20 + SPARE;
        let Some(missing) = wanted.checked_sub(free.saturating_mul(block)) else {
            return Ok(());
        };
        if partition.is_some() {
            return Err(Fault::job(format!(
                "the overlay needs {wanted} bytes, the partition has {} left",
                free.saturating_mul(block)
            ))
            .with_hint("make the file system of the image larger"));
        }
        notes.push(Note::debug(format!(
            "* growing the file system by {missing} bytes"
        )));
        let file = fs::OpenOptions::new()
            .write(true)
            .open(self.image)
            .map_err(|error| io_fault(&error))?;
        let length = file.metadata().map_err(|error| io_fault(&error))?.len();
        let grown = (length + missing + missing / 10).next_multiple_of(1 << 20);
        file.set_len(grown).map_err(|error| io_fault(&error))?;
        drop(file);
        // resize2fs wants this first.
        self.check().await?;
        let arguments = [self.device.clone()];
        let output = run(self.runner, "resize2fs", &arguments, self.deadline).await?;
        if output.success {
            return Ok(());
        }
        Err(Fault::job(format!(
            "the file system of {} cannot grow: {}",
            self.image.display(),
            complaint(&output)
        ))
        .with_hint("make the file system of the image larger"))
    }
}

/// A line `Name:   value` of `dumpe2fs -h`.
fn field<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    header.lines().find_map(|line| {
        let value = line.strip_prefix(name)?.strip_prefix(':')?;
        Some(value.trim())
    })
}

/// Where the entries of the overlays and their parents go, as far as links are known.
async fn places(
    injection: &ExtInjection,
    known: Known,
    cancel: &CancellationToken,
) -> Result<HashSet<PathBuf>, Fault> {
    let overlays = injection.overlays.clone();
    let cancel = cancel.clone();
    blocking(move || {
        let mut names = known.names()?;
        let mut places = Places::default();
        feed_all(&overlays, &mut names, &mut places, &cancel)?;
        let with_parents = |path: &PathBuf| -> Vec<PathBuf> {
            path.ancestors()
                .filter(|path| !path.as_os_str().is_empty())
                .map(Path::to_owned)
                .collect()
        };
        Ok(places.paths.iter().flat_map(with_parents).collect())
    })
    .await
}

/// What is ready to be put in.
struct Staged {
    script: debugfs::Script,
    bytes: u64,
    added: u64,
}

/// Writes contents to files and makes the script.
async fn stage(
    injection: &ExtInjection,
    known: Known,
    scratch: &TempDir,
    cancel: &CancellationToken,
) -> Result<Staged, Fault> {
    let overlays = injection.overlays.clone();
    let directory = scratch.path().to_owned();
    let cancel = cancel.clone();
    blocking(move || {
        let mut names = known.names()?;
        let mut stage = Stage::new(&directory, known.taken());
        let added = feed_all(&overlays, &mut names, &mut stage, &cancel)?;
        Ok(Staged {
            script: stage.script,
            bytes: stage.bytes,
            added,
        })
    })
    .await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    crate::blocking::spawn(work)
        .await
        .map_err(|error| Fault::bug(format!("the work on an image stopped: {error}")))?
}
