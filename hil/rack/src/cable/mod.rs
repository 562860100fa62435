//! A board's serial cable: a serial adapter at one end, the board at the other.
//!
//! The adapter is a pseudo-terminal and a TCP port that stay while the board's power comes and
//! goes. QEMU *connects to* the cable, so that its end of the console may vanish without ours.
//!
//! What the board prints reaches everybody who has the adapter open, each byte once and in order;
//! a reader that is slow slows the board down. When nobody has it open the newest
//! [`hub::BACKLOG`] bytes are kept, and the first who opens it gets them.

mod adapter;
mod hub;
mod tcp;
mod wire;

use hal::{ErrorKind, HalError};
use hub::Hub;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::{TcpListener, UnixListener},
    sync::{mpsc, watch},
    task::JoinSet,
    time::timeout,
};

/// How many pieces of what is typed wait for the board.
const TYPED: usize = 16;

/// How long the adapter takes to be plugged in.
const PLUGGED_WITHIN: Duration = Duration::from_secs(2);

/// A cable that works until it is dropped.
#[derive(Debug)]
pub(crate) struct Cable {
    link: PathBuf,
    socket: PathBuf,
    tcp: SocketAddr,
    /// How many times a board connected.
    connected: watch::Receiver<u64>,
    intact: watch::Sender<bool>,
    plugged: watch::Sender<bool>,
    /// The terminal the link points to; `None` while unplugged.
    node: watch::Receiver<Option<PathBuf>>,
    _tasks: JoinSet<()>,
}

impl Cable {
    /// Lays a cable whose files are in `directory`.
    pub(crate) async fn lay(directory: &Path) -> Result<Self, HalError> {
        let (link, socket) = (directory.join("console"), directory.join("console.socket"));
        let board_end = UnixListener::bind(&socket)
            .map_err(|error| HalError::from_io("listen on", socket.display().to_string(), error))?;
        let tcp_listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .map_err(|error| HalError::from_io("listen on", "127.0.0.1", error))?;
        let tcp = tcp_listener
            .local_addr()
            .map_err(|error| HalError::from_io("listen on", "127.0.0.1", error))?;
        let hub = Arc::new(Hub::default());
        let (typed, to_board) = mpsc::channel(TYPED);
        let (intact, wire) = watch::channel(true);
        let (plugged, plug) = watch::channel(true);
        let (boards, board) = mpsc::channel(1);
        let (counted, connected) = watch::channel(0);
        let (here, node) = watch::channel(None);
        let mut tasks = JoinSet::new();
        tasks.spawn(wire::accept(board_end, boards, counted));
        tasks.spawn(wire::run(board, to_board, Arc::clone(&hub), wire));
        tasks.spawn(adapter::run(
            link.clone(),
            plug,
            here,
            Arc::clone(&hub),
            typed.clone(),
        ));
        tasks.spawn(tcp::run(tcp_listener, hub, typed));
        let cable = Self {
            link,
            socket,
            tcp,
            connected,
            intact,
            plugged,
            node,
            _tasks: tasks,
        };
        cable.wait_plugged(true).await?;
        Ok(cable)
    }

    /// What a program opens as the board's serial port; a link that stays the same.
    pub(crate) fn link(&self) -> &Path {
        &self.link
    }

    /// Where the board connects.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Where the console is offered over TCP.
    pub(crate) fn tcp(&self) -> SocketAddr {
        self.tcp
    }

    /// Tells when boards connect.
    pub(crate) fn connections(&self) -> watch::Receiver<u64> {
        self.connected.clone()
    }

    /// Breaks the wire, or mends it: while it is broken, what either side sends is lost.
    pub(crate) fn set_intact(&self, intact: bool) {
        self.intact.send_replace(intact);
    }

    pub(crate) fn is_intact(&self) -> bool {
        *self.intact.borrow()
    }

    /// Pulls the adapter out, or plugs it in again, and waits until that is so.
    pub(crate) async fn set_plugged(&self, plugged: bool) -> Result<(), HalError> {
        self.plugged.send_replace(plugged);
        self.wait_plugged(plugged).await
    }

    pub(crate) fn is_plugged(&self) -> bool {
        *self.plugged.borrow()
    }

    async fn wait_plugged(&self, plugged: bool) -> Result<(), HalError> {
        let mut node = self.node.clone();
        let there = node.wait_for(|node| node.is_some() == plugged);
        match timeout(PLUGGED_WITHIN, there).await {
            Ok(Ok(_)) => Ok(()),
            _ => {
                let link = self.link.display().to_string();
                let message = format!("the serial adapter {link} does not come or go");
                Err(HalError::new(ErrorKind::Other, link, message)
                    .with_hint("is there a pseudo-terminal left, and room for files?"))
            }
        }
    }
}

#[cfg(test)]
mod tests;
