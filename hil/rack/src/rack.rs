//! The rack: its boards, its PDU, its network, and the directory they live in.

use crate::{
    board::Board,
    config::{NetworkKind, RackConfig, unknown_board},
    network::Network,
    pdu::Pdu,
};
use hal::{ErrorKind, HalError, power::PowerAction, process::ProcessIdentity};
use rustix::{
    fs::{FlockOperation, Mode, OFlags, flock},
    process::geteuid,
};
use std::{
    collections::BTreeMap,
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    sync::Arc,
};

/// A rack that runs. Everything ends with it; what it starts is killed by the kernel if the
/// thread that made it dies.
#[derive(Debug)]
pub struct Rack {
    boards: BTreeMap<String, Arc<Board>>,
    left_out: BTreeMap<String, String>,
    pdu: Pdu,
    directory: PathBuf,
    _lock: Lock,
}

impl Rack {
    /// Starts the rack with all boards off. Must be called on a thread that lives as long as the
    /// rack, in a runtime with I/O and time. Boards that cannot run here are left out.
    ///
    /// `directory` holds its sockets and logs. It is made if need be, must be the user's own and
    /// closed to others, and serves one rack at a time.
    ///
    /// # Errors
    /// `Busy` when another rack has the directory, or what cannot be set up.
    pub async fn start(config: RackConfig, directory: &Path) -> Result<Self, HalError> {
        let lock = Lock::take(directory)?;
        let mut left_out = BTreeMap::new();
        let mut present = BTreeMap::new();
        for (name, board) in config.board {
            let bridged = board.network.as_ref().map(|network| network.kind);
            let no_bridge = || match bridged {
                Some(NetworkKind::Bridge) => Network::missing(),
                _ => None,
            };
            match board.missing().or_else(no_bridge) {
                Some(why) => {
                    left_out.insert(name, why);
                }
                None => {
                    present.insert(name, board);
                }
            }
        }
        let bridged: Vec<u32> = present
            .values()
            .filter(|board| {
                let network = board.network.as_ref();
                network.is_some_and(|network| network.kind == NetworkKind::Bridge)
            })
            .map(|board| board.outlet)
            .collect();
        let network = match bridged.is_empty() {
            true => None,
            false => Some(Arc::new(Network::make(&bridged, directory).await?)),
        };
        let mut boards = BTreeMap::new();
        for (name, config) in present {
            let home = directory.join(&name);
            // Left by a rack that was killed.
            let _ = fs_err::remove_dir_all(&home);
            let board = Board::install(&name, config, &home, network.clone()).await?;
            boards.insert(name, Arc::new(board));
        }
        let pdu = Pdu::install(&config.pdu, boards.values().map(Arc::clone)).await?;
        Ok(Self {
            boards,
            left_out,
            pdu,
            directory: directory.to_owned(),
            _lock: lock,
        })
    }

    /// Its boards, by name.
    pub fn boards(&self) -> impl Iterator<Item = &Arc<Board>> {
        self.boards.values()
    }

    /// A board.
    ///
    /// # Errors
    /// `NotFound`, with the names there are or why it was left out.
    pub fn board(&self, name: &str) -> Result<&Arc<Board>, HalError> {
        self.boards
            .get(name)
            .ok_or_else(|| match self.left_out.get(name) {
                Some(why) => {
                    let message = format!("board '{name}' cannot run here: {why}");
                    HalError::new(ErrorKind::NotFound, name, message)
                        .with_hint("`tools/packages rack` installs what boards need")
                }
                None => unknown_board(name, self.boards.keys()),
            })
    }

    /// Boards that cannot run here, and why.
    pub fn left_out(&self) -> &BTreeMap<String, String> {
        &self.left_out
    }

    /// Its PDU.
    pub fn pdu(&self) -> &Pdu {
        &self.pdu
    }

    /// Its directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Switches everything off and removes the files of the boards.
    ///
    /// # Errors
    /// When a board hangs in the kernel.
    pub async fn stop(mut self) -> Result<(), HalError> {
        // Nobody switches a board on again.
        self.pdu.stop().await;
        for board in self.boards.values() {
            board.power(PowerAction::Off).await?;
        }
        for name in self.boards.keys() {
            let _ = fs_err::remove_dir_all(self.directory.join(name));
        }
        Ok(())
    }
}

/// The right to use a directory, as long as this process lives.
#[derive(Debug)]
struct Lock {
    _file: fs_err::File,
}

impl Lock {
    fn take(directory: &Path) -> Result<Self, HalError> {
        own_directory(directory)?;
        let shown = directory.display().to_string();
        let path = directory.join("lock");
        let failed = |error| HalError::from_io("lock", path.display().to_string(), error);
        let mut file = open_lock(&path).map_err(failed)?;
        if flock(file.file(), FlockOperation::NonBlockingLockExclusive).is_err() {
            let message = format!("another rack runs in {shown}");
            return Err(HalError::new(ErrorKind::Busy, shown, message)
                .with_hint("`rack down` ends it; `rack list` shows it"));
        }
        let own = ProcessIdentity::of(std::process::id());
        if let Some(own) = own {
            file.file().set_len(0).map_err(failed)?;
            let text = format!("{} {}\n", own.pid(), own.start_ticks());
            file.write_all(text.as_bytes()).map_err(failed)?;
        }
        Ok(Self { _file: file })
    }
}

fn open_lock(path: &Path) -> io::Result<fs_err::File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let descriptor = rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)?;
    Ok(fs_err::File::from_parts(descriptor.into(), path))
}

/// Who has the directory of a rack, if a rack runs there.
///
/// # Errors
/// When the directory cannot be looked at.
pub(crate) fn holder(directory: &Path) -> Result<Option<ProcessIdentity>, HalError> {
    let path = directory.join("lock");
    let failed = |error| HalError::from_io("read", path.display().to_string(), error);
    if !path.exists() {
        return Ok(None);
    }
    let file = open_lock(&path).map_err(failed)?;
    if flock(file.file(), FlockOperation::NonBlockingLockExclusive).is_ok() {
        return Ok(None);
    }
    let text = fs_err::read_to_string(&path).map_err(failed)?;
    let mut numbers = text.split_whitespace();
    let identity = (|| {
        let pid = numbers.next()?.parse().ok()?;
        Some(ProcessIdentity::new(pid, numbers.next()?.parse().ok()?))
    })();
    Ok(identity)
}

/// Makes `directory` if need be. Others must not be able to write in it: they could put their
/// sockets and links in place of ours.
fn own_directory(directory: &Path) -> Result<(), HalError> {
    let shown = directory.display().to_string();
    let mut builder = std::fs::DirBuilder::new();
    builder
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|error| HalError::from_io("make", &shown, error))?;
    let metadata = fs_err::symlink_metadata(directory)
        .map_err(|error| HalError::from_io("look at", &shown, error))?;
    let own = metadata.is_dir() && metadata.uid() == geteuid().as_raw();
    if own && metadata.mode() & 0o022 == 0 {
        return Ok(());
    }
    let message = format!("{shown} is not a directory of this user's alone");
    Err(HalError::new(ErrorKind::PermissionDenied, shown, message)
        .with_hint("name another with PUMICE_RACK_DIRECTORY"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[tokio::test]
    async fn a_directory_has_one_rack_and_tells_whose() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rack");
        assert_eq!(holder(&path).unwrap(), None);
        let rack = Rack::start(RackConfig::default(), &path).await.unwrap();
        let error = Rack::start(RackConfig::default(), &path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy);
        let own = ProcessIdentity::of(std::process::id());
        assert_eq!(holder(&path).unwrap(), own);
        drop(rack);
        assert_eq!(holder(&path).unwrap(), None);
    }

    #[test]
    fn a_directory_open_to_others_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let mode = std::fs::Permissions::from_mode(0o777);
        fs_err::set_permissions(directory.path(), mode).unwrap();
        let error = Lock::take(directory.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    }

    #[tokio::test]
    async fn a_board_that_cannot_run_is_left_out_with_the_reason() {
        let text = "[board.amiga]\ndescription = \"\"\noutlet = 1\nprogram = \"sh\"\n\
                    arguments = []\nfirmware = \"/no/kickstart\"\npackage = \"amiga\"\n";
        let directory = tempfile::tempdir().unwrap();
        let config = RackConfig::parse(text, "test").unwrap();
        let rack = Rack::start(config, &directory.path().join("rack"))
            .await
            .unwrap();
        let error = rack.board("amiga").unwrap_err();
        let expected = "cannot run here: there is no /no/kickstart; package amiga has it";
        assert!(error.to_string().contains(expected), "{error}");
    }
}
