//! What keeps an image off a disk that is in use.

use crate::{
    error::{ErrorKind, HalError},
    sys::ioctl,
};
use std::{
    collections::BTreeSet,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};

/// How many layers (device mapper, RAID) may be stacked on a disk.
const MOST_LAYERS: usize = 8;

/// Refuses a block device of which something is mounted or used as swap space, itself, a
/// partition of it, or what is built upon it (LVM, RAID, encryption). The system's disk is one of
/// these. Anything else than a block device passes.
///
/// # Errors
/// `Busy` with where it is used.
pub fn refuse_in_use(device: &Path) -> Result<(), HalError> {
    let shown = device.display().to_string();
    let Ok(metadata) = fs_err::metadata(device) else {
        return Ok(());
    };
    if !metadata.file_type().is_block_device() {
        return Ok(());
    }
    let disk = number_of(metadata.rdev());
    let family = built_upon(Path::new("/sys/dev/block"), &disk);
    let uses = Uses {
        mounts: fs_err::read_to_string("/proc/self/mountinfo").unwrap_or_default(),
        swaps: fs_err::read_to_string("/proc/swaps").unwrap_or_default(),
    };
    let number = |path: &Path| Some(number_of(fs_err::metadata(path).ok()?.rdev()));
    match uses.of(&family, number) {
        None => Ok(()),
        Some(place) => {
            let message = format!("{shown} is in use: {place}");
            Err(HalError::new(ErrorKind::Busy, shown, message)
                .with_hint("is it really the card? If so, unmount it first"))
        }
    }
}

/// What the kernel says of the use of block devices.
struct Uses {
    mounts: String,
    swaps: String,
}

impl Uses {
    /// Where one of `family` is used; `number` gives the device number of a node.
    fn of(
        &self,
        family: &BTreeSet<String>,
        number: impl Fn(&Path) -> Option<String>,
    ) -> Option<String> {
        for line in self.mounts.lines() {
            // "36 35 98:0 /root /mnt rw,noatime master:1 - ext3 /dev/root rw": proc(5).
            let mut fields = line.split(' ');
            let (Some(device), Some(place)) = (fields.nth(2), fields.nth(1)) else {
                continue;
            };
            // File systems that span disks have a number of their own; they name a disk.
            let source = line
                .split_once(" - ")
                .and_then(|(_, rest)| rest.split(' ').nth(1));
            let source = source.filter(|source| source.starts_with('/'));
            let source = source.and_then(|source| number(Path::new(source)));
            if family.contains(device) || source.is_some_and(|source| family.contains(&source)) {
                return Some(format!("it is mounted at {}", place.replace("\\040", " ")));
            }
        }
        let mut swaps = self.swaps.lines().skip(1);
        let swap = swaps.find_map(|line| {
            let path = line.split_whitespace().next()?;
            family.contains(&number(Path::new(path))?).then_some(path)
        });
        swap.map(|path| format!("{path} is swap space"))
    }
}

/// The numbers of a disk, its partitions, and what is built upon them. `numbers` is
/// `/sys/dev/block`.
fn built_upon(numbers: &Path, disk: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::from([disk.to_owned()]);
    let mut layer = vec![numbers.join(disk)];
    for _ in 0..MOST_LAYERS {
        let mut next = Vec::new();
        for directory in layer {
            let holders = directory.join("holders");
            for entry in subdirectories(&directory).chain(subdirectories(&holders)) {
                let Ok(number) = fs_err::read_to_string(entry.join("dev")) else {
                    continue;
                };
                if found.insert(number.trim().to_owned()) {
                    next.push(entry);
                }
            }
        }
        layer = next;
    }
    found
}

fn subdirectories(directory: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs_err::read_dir(directory).into_iter().flatten();
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.join("dev").exists())
}

fn number_of(device: u64) -> String {
    format!(
        "{}:{}",
        rustix::fs::major(device),
        rustix::fs::minor(device)
    )
}

/// Writes out what the kernel caches of a block device, and forgets it.
pub(super) fn flush(device: &Path) -> Result<(), HalError> {
    let shown = device.display().to_string();
    let fail = |error| HalError::from_io("write out", &shown, error);
    let file = fs_err::File::open(device).map_err(fail)?;
    file.sync_all().map_err(fail)?;
    match ioctl::block_flush(&file) {
        Ok(()) | Err(rustix::io::Errno::NOTTY) => Ok(()),
        Err(errno) => Err(fail(errno.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uses(mounts: &str, swaps: &str, disk: &str) -> Option<String> {
        let uses = Uses {
            mounts: mounts.to_owned(),
            swaps: format!("Filename Type\n{swaps}"),
        };
        let number = |path: &Path| (path == Path::new("/dev/sda2")).then(|| "8:2".to_owned());
        uses.of(&BTreeSet::from([disk.to_owned()]), number)
    }

    #[test]
    fn mounts_and_swap_are_found_by_number_and_by_name() {
        let plain = "36 35 8:1 / /mnt/my\\040card rw,noatime - ext3 /dev/root rw\n";
        assert_eq!(
            uses(plain, "", "8:1").as_deref(),
            Some("it is mounted at /mnt/my card")
        );
        assert_eq!(uses(plain, "", "8:2"), None);
        let btrfs = "36 35 0:42 /@ / rw shared:1 - btrfs /dev/sda2 rw\n";
        assert_eq!(
            uses(btrfs, "", "8:2").as_deref(),
            Some("it is mounted at /")
        );
        let swap = "/dev/sda2 partition 1 0 -2\n";
        assert_eq!(
            uses("", swap, "8:2").as_deref(),
            Some("/dev/sda2 is swap space")
        );
        assert_eq!(uses("nonsense\n\n- -\n", "", "8:2"), None);
    }

    #[test]
    fn partitions_and_what_is_built_upon_them_belong_to_a_disk() {
        let tree = tempfile::tempdir().unwrap();
        let file = |path: &str, text: &str| {
            let path = tree.path().join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        };
        file("8:0/dev", "8:0\n");
        file("8:0/sda1/dev", "8:1\n");
        file("8:0/sda2/dev", "8:2\n");
        file("8:0/sda2/holders/dm-0/dev", "254:0\n");
        file("8:0/sda2/holders/dm-0/holders/dm-1/dev", "254:1\n");
        let found = built_upon(tree.path(), "8:0");
        let found: Vec<_> = found.iter().map(String::as_str).collect();
        assert_eq!(found, ["254:0", "254:1", "8:0", "8:1", "8:2"]);
    }

    #[test]
    fn files_and_what_is_not_there_pass() {
        refuse_in_use(Path::new("/dev/null")).unwrap();
        refuse_in_use(Path::new("/nowhere")).unwrap();
    }
}
