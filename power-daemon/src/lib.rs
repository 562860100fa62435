//! PDUs over HTTP: `pumice power serve`.
//!
//! Speaks what the clients of pdudaemon speak (`curl` in device dictionaries, labgrid's
//! `PDUDaemonDriver`, `pduclient`), so that it can take pdudaemon's place in a lab. It differs in
//! one thing: "OK" means that it was done. What a PDU can be asked to show is read back, and a
//! request that failed is answered with an error status and the reason.
//!
//! - [`Switchboard`] does requests: one at a time for each outlet and each PDU, bounded in number
//!   and time. It knows no protocol.
//! - [`serve`] puts the two fronts before it: HTTP, and the lines of older clients.
//! - [`pdudaemon`] reads pdudaemon's configuration.
//!
//! It never switches anything on its own: no retries, no state of its own to restore.
#![forbid(unsafe_code)]

mod access;
mod answer;
mod http;
mod line;
pub mod pdudaemon;
mod request;
mod switchboard;

pub use access::{Tokens, TokensError};
pub use answer::Refusal;
pub use request::{Action, Request, Target};
pub use switchboard::{Limits, Switchboard};

use std::{fmt, io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How many connections are served at once; further ones wait to be accepted.
const CONNECTIONS: usize = 256;

/// How long to leave a listener alone that cannot accept: no file descriptors are left, mostly.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// The port of pdudaemon.
pub const PORT: u16 = 16421;

/// What happened, for the daemon's log. `Display` is one line without a token or a password.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A client asked for something that will be tried.
    Asked {
        /// Who.
        peer: SocketAddr,
        /// What.
        request: &'a Request,
    },
    /// It was done.
    Done {
        /// What.
        request: &'a Request,
        /// How long it took, waiting for others included.
        took: Duration,
    },
    /// It was not done.
    Refused {
        /// Who asked.
        peer: SocketAddr,
        /// What was asked, as far as it was understood.
        asked: &'a str,
        /// Why not.
        refusal: &'a Refusal,
    },
}

/// Hears what happens.
pub type Log = Arc<dyn Fn(&Event<'_>) + Send + Sync>;

/// Where to listen, and who may ask.
pub struct Fronts {
    /// Listens for HTTP.
    pub http: Option<TcpListener>,
    /// Listens for the line protocol of older clients. It has no way to carry a token.
    pub line: Option<TcpListener>,
    /// Who may ask over HTTP.
    pub tokens: Tokens,
}

/// Serves until `stop` is cancelled. Then no connection is accepted any more, and what was
/// accepted is done first, which the deadlines of requests bound.
///
/// # Errors
/// None while it runs: what goes wrong with a connection ends that connection.
pub async fn serve(
    fronts: Fronts,
    switchboard: Arc<Switchboard>,
    log: Log,
    stop: CancellationToken,
) {
    let shared = Arc::new(Shared {
        switchboard,
        tokens: fronts.tokens,
        log,
        stop,
        connections: Arc::new(Semaphore::new(CONNECTIONS)),
        tasks: TaskTracker::new(),
    });
    let listen = |listener: Option<TcpListener>, front: Front| {
        let shared = Arc::clone(&shared);
        async move {
            if let Some(listener) = listener {
                accept(listener, front, &shared).await;
            }
        }
    };
    tokio::join!(
        listen(fronts.http, Front::Http),
        listen(fronts.line, Front::Line)
    );
    shared.tasks.close();
    shared.tasks.wait().await;
    shared.switchboard.idle().await;
}

/// What all connections share.
struct Shared {
    switchboard: Arc<Switchboard>,
    tokens: Tokens,
    log: Log,
    stop: CancellationToken,
    connections: Arc<Semaphore>,
    tasks: TaskTracker,
}

#[derive(Clone, Copy)]
enum Front {
    Http,
    Line,
}

async fn accept(listener: TcpListener, front: Front, shared: &Arc<Shared>) {
    loop {
        let accepted = tokio::select! {
            accepted = next(&listener, shared) => accepted,
            () = shared.stop.cancelled() => return,
        };
        let Ok((stream, peer, permit)) = accepted else {
            tokio::time::sleep(ACCEPT_AGAIN).await;
            continue;
        };
        let connection = Arc::clone(shared);
        shared.tasks.spawn(async move {
            match front {
                Front::Http => http::connection(stream, peer, connection).await,
                Front::Line => line::connection(stream, peer, connection).await,
            }
            drop(permit);
        });
    }
}

async fn next(
    listener: &TcpListener,
    shared: &Shared,
) -> io::Result<(
    tokio::net::TcpStream,
    SocketAddr,
    tokio::sync::OwnedSemaphorePermit,
)> {
    let permit = Arc::clone(&shared.connections).acquire_owned().await;
    let permit = permit.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, permit))
}

impl Shared {
    /// Does a request for a client. It goes on when the client loses patience: a reboot that is
    /// cut off in the middle leaves a board off.
    async fn control(&self, peer: SocketAddr, request: Request) -> Result<(), Refusal> {
        (self.log)(&Event::Asked {
            peer,
            request: &request,
        });
        let switchboard = Arc::clone(&self.switchboard);
        let log = Arc::clone(&self.log);
        let done = self.switchboard.tasks().spawn(async move {
            let begun = tokio::time::Instant::now();
            let result = switchboard.control(&request).await;
            match &result {
                Ok(()) => log(&Event::Done {
                    request: &request,
                    took: begun.elapsed(),
                }),
                Err(refusal) => log(&Event::Refused {
                    peer,
                    asked: &request.to_string(),
                    refusal,
                }),
            }
            result
        });
        done.await.unwrap_or(Err(Refusal::Stopping))
    }

    fn refused(&self, peer: SocketAddr, asked: &str, refusal: &Refusal) {
        (self.log)(&Event::Refused {
            peer,
            asked,
            refusal,
        });
    }
}

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked { peer, request } => write!(f, "{peer} asks: {request}"),
            Self::Done { request, took } => write!(f, "done in {took:.1?}: {request}"),
            Self::Refused {
                peer,
                asked,
                refusal,
            } => write!(f, "{peer}: {asked}: {refusal}"),
        }
    }
}
