//! The serial adapter: a pseudo-terminal under a name that stays.

use super::hub::Hub;
use hal::{HalError, virtual_port::VirtualPort};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{mpsc, watch},
    time::sleep,
};

/// When there is no pseudo-terminal left, how long until the next attempt.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// Keeps an adapter while it is plugged in, and says where it is.
pub(super) async fn run(
    link: PathBuf,
    mut plugged: watch::Receiver<bool>,
    here: watch::Sender<Option<PathBuf>>,
    hub: Arc<Hub>,
    typed: mpsc::Sender<Box<[u8]>>,
) {
    loop {
        if plugged.wait_for(|plugged| *plugged).await.is_err() {
            return;
        }
        let Ok(port) = plug_in(&link) else {
            sleep(AGAIN_AFTER).await;
            continue;
        };
        here.send_replace(Some(port.node().to_owned()));
        let ended = tokio::select! {
            pulled = plugged.wait_for(|plugged| !*plugged) => pulled.is_err(),
            _ = read(&port, &typed) => false,
            _ = print(&port, &hub) => false,
        };
        drop(port);
        // Already gone if the rack's directory is.
        let _ = fs_err::remove_file(&link);
        here.send_replace(None);
        if ended {
            return;
        }
    }
}

/// A new adapter, with `link` pointing to it at once and never to nothing.
fn plug_in(link: &Path) -> Result<VirtualPort, HalError> {
    let port = VirtualPort::open()?;
    let new = link.with_extension("new");
    let failed = |error| HalError::from_io("make", link.display().to_string(), error);
    let _ = fs_err::remove_file(&new);
    fs_err::os::unix::fs::symlink(port.node(), &new).map_err(failed)?;
    fs_err::rename(&new, link).map_err(failed)?;
    Ok(port)
}

/// Passes on what is typed.
async fn read(port: &VirtualPort, typed: &mpsc::Sender<Box<[u8]>>) -> Result<(), HalError> {
    let mut buffer = [0; 4096];
    loop {
        let length = port.read(&mut buffer).await?;
        if typed.send(buffer[..length].into()).await.is_err() {
            return Ok(());
        }
    }
}

/// Prints what the board prints, while somebody has the adapter open.
async fn print(port: &VirtualPort, hub: &Hub) -> Result<(), HalError> {
    loop {
        while port.holders() == 0 {
            port.holders_changed().await?;
        }
        let mut feed = hub.attach();
        let mut piece: Box<[u8]> = Box::default();
        let mut printed = 0;
        while port.holders() > 0 {
            tokio::select! {
                changed = port.holders_changed() => {
                    changed?;
                }
                next = feed.recv(), if printed == piece.len() => match next {
                    Some(next) => (piece, printed) = (next, 0),
                    None => return Ok(()),
                },
                length = port.write(&piece[printed..]), if printed < piece.len() => {
                    printed += length?;
                }
            }
        }
        drop(feed);
        port.discard_unread();
    }
}
