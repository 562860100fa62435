//! Opening device nodes, with errors that say what to change.

use crate::{
    discover::Access,
    error::{ErrorKind, HalError},
};
use rustix::fs::{Mode, OFlags};
use std::{
    io,
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    path::Path,
};

/// Opens a device node for reading and writing, without making it the controlling terminal and
/// without waiting for a carrier.
///
/// # Errors
/// As the system says. When access is denied the hint names the group that has it.
pub fn open_device(node: &Path) -> Result<OwnedFd, HalError> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::open(node, flags, Mode::empty()).map_err(|errno| {
        let error = HalError::from_io("open", node.display().to_string(), io::Error::from(errno));
        match error.kind() {
            ErrorKind::PermissionDenied => error.with_hint(who_may(node)),
            ErrorKind::NotFound => error.with_hint("is it plugged in and powered?"),
            ErrorKind::Busy => error.with_hint(who_holds(node)),
            _ => error,
        }
    })
}

/// Which programs have `node` open, for a hint. Only root sees those of other users.
pub(crate) fn who_holds(node: &Path) -> String {
    let holders = holders(node);
    if holders.is_empty() {
        return "another program has it open: as root, `fuser -v` on it says which".to_owned();
    }
    format!("it is open in {}", holders.join(", "))
}

/// "picocom (process 1234)" for each process that has `node` open.
fn holders(node: &Path) -> Vec<String> {
    let node = fs_err::canonicalize(node).unwrap_or_else(|_| node.to_owned());
    let mut found = Vec::new();
    for process in fs_err::read_dir("/proc").into_iter().flatten().flatten() {
        let holds = |descriptor: io::Result<fs_err::DirEntry>| {
            let target = descriptor.and_then(|entry| fs_err::read_link(entry.path()));
            target.is_ok_and(|target| target == node)
        };
        let name = process.file_name().to_string_lossy().into_owned();
        let Ok(mut descriptors) = fs_err::read_dir(process.path().join("fd")) else {
            continue;
        };
        if name.parse() == Ok(std::process::id()) {
            if descriptors.any(holds) {
                found.push("this program itself".to_owned());
            }
        } else if name.parse::<u32>().is_ok() && descriptors.any(holds) {
            let command = fs_err::read_to_string(process.path().join("comm")).unwrap_or_default();
            found.push(format!("{} (process {name})", command.trim()));
        }
    }
    found
}

/// Whether this user may read and write `node`; if not, what to change. Opens nothing.
pub fn access(node: &Path) -> Access {
    use rustix::fs::{Access as Wanted, AtFlags, CWD, accessat};
    match accessat(
        CWD,
        node,
        Wanted::READ_OK | Wanted::WRITE_OK,
        AtFlags::EACCESS,
    ) {
        Ok(()) => Access::Granted,
        Err(rustix::io::Errno::NOENT) => Access::Denied("its device node is not there yet".into()),
        Err(rustix::io::Errno::ACCESS) => Access::Denied(who_may(node)),
        Err(error) => Access::Denied(format!("cannot look at it: {}", io::Error::from(error))),
    }
}

/// What to change so that this user may open `node`.
pub(crate) fn who_may(node: &Path) -> String {
    let Ok(metadata) = fs_err::metadata(node) else {
        return "a directory on its path may not be entered".to_owned();
    };
    if metadata.mode() & 0o060 != 0o060 {
        return format!(
            "its mode is {:04o}: a udev rule has to give its group read and write access",
            metadata.mode() & 0o7777
        );
    }
    match group_name(metadata.gid()) {
        Some(group) => format!("add this user to group '{group}' and log in again"),
        None => format!("add this user to the group with id {}", metadata.gid()),
    }
}

/// The name of a group in `/etc/group`.
fn group_name(gid: u32) -> Option<String> {
    let groups = fs_err::read_to_string("/etc/group").ok()?;
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let id: u32 = fields.nth(1)?.parse().ok()?;
        (id == gid).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn denied_access_names_mode_or_group() {
        let directory = tempfile::tempdir().unwrap();
        let node = directory.path().join("ttyUSB0");
        fs_err::write(&node, "").unwrap();
        let set_mode =
            |mode| fs_err::set_permissions(&node, PermissionsExt::from_mode(mode)).unwrap();
        set_mode(0o060);
        let own_group = group_name(rustix::process::getegid().as_raw());
        if let Some(group) = own_group {
            assert_eq!(
                who_may(&node),
                format!("add this user to group '{group}' and log in again")
            );
        }
        set_mode(0o000);
        assert!(who_may(&node).contains("0000"), "{}", who_may(&node));
        if rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED: root opens a file of mode 000; the error itself is not tested");
            return;
        }
        let error = open_device(&node).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert!(error.hint().is_some());
    }

    #[test]
    fn missing_node_is_not_found() {
        let error = open_device(Path::new("/dev/no-such-tty")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("/dev/no-such-tty"));
    }
}
