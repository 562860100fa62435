//! The serial adapter: a pseudo-terminal under a name that stays.

use super::hub::Hub;
use hal::{
    HalError,
    virtual_port::{VirtualLine, VirtualPort},
};
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
            _ = serve(&port, &hub, &typed) => false,
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

/// Serves who has the adapter open, one after the other.
async fn serve(
    port: &VirtualPort,
    hub: &Hub,
    typed: &mpsc::Sender<Box<[u8]>>,
) -> Result<(), HalError> {
    while !typed.is_closed() {
        let line = port.opened().await?;
        tokio::select! {
            read = read(&line, typed) => read?,
            printed = print(&line, hub) => printed?,
        }
    }
    Ok(())
}

/// Passes on what is typed, until the adapter is closed.
async fn read(line: &VirtualLine<'_>, typed: &mpsc::Sender<Box<[u8]>>) -> Result<(), HalError> {
    let mut buffer = [0; 4096];
    // Room first: bytes that were taken are passed on even if printing ends meanwhile.
    while let Ok(room) = typed.reserve().await {
        match line.read(&mut buffer).await? {
            0 => break,
            length => room.send(buffer[..length].into()),
        }
    }
    Ok(())
}

/// Prints what the board prints, until the adapter is closed.
async fn print(line: &VirtualLine<'_>, hub: &Hub) -> Result<(), HalError> {
    let mut feed = hub.attach();
    while let Some(piece) = feed.recv().await {
        let mut printed = 0;
        while printed < piece.len() {
            match line.write(&piece[printed..]).await? {
                0 => return Ok(()),
                length => printed += length,
            }
        }
    }
    Ok(())
}
