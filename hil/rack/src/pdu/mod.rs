//! The PDU that the boards hang on, as the network sees it: HTTP in pdudaemon's words, and SNMP
//! in APC's. Its outlets start and kill the boards. It can be told to misbehave.

mod ber;
mod http;
mod snmp;

use crate::{board::Board, config::PduConfig};
use hal::{
    HalError,
    power::{PowerAction, PowerState},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, UdpSocket},
    sync::watch,
    task::JoinSet,
    time::sleep,
};

/// How many outlets it has, boards or not.
pub(crate) const OUTLETS: u32 = 24;

/// How the PDU behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PduBehaviour {
    /// It does what it is asked, and says what it did.
    #[default]
    Honest,
    /// It says OK to every request to switch, and does nothing. What it shows is the truth.
    Lying,
    /// It takes this long for everything.
    Slow(Duration),
    /// It takes requests and never answers.
    Unreachable,
    /// It refuses every request to switch.
    Failing,
}

/// A request to switch an outlet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    On,
    Off,
    /// Off, this long, and on.
    Reboot(Duration),
}

/// The PDU, until it is dropped.
#[derive(Debug)]
pub struct Pdu {
    http: SocketAddr,
    snmp: SocketAddr,
    behaviour: watch::Sender<PduBehaviour>,
    tasks: JoinSet<()>,
}

impl Pdu {
    /// A PDU with `boards` on its outlets.
    ///
    /// # Errors
    /// When it cannot listen where `config` says.
    pub(crate) async fn install(
        config: &PduConfig,
        boards: impl IntoIterator<Item = Arc<Board>>,
    ) -> Result<Self, HalError> {
        let listener = TcpListener::bind(config.http).await;
        let listener = listener.map_err(|error| cannot_listen(config.http, error))?;
        let socket = UdpSocket::bind(config.snmp).await;
        let socket = socket.map_err(|error| cannot_listen(config.snmp, error))?;
        let http = listener.local_addr();
        let http = http.map_err(|error| cannot_listen(config.http, error))?;
        let snmp = socket.local_addr();
        let snmp = snmp.map_err(|error| cannot_listen(config.snmp, error))?;
        let (behaviour, behaves) = watch::channel(PduBehaviour::Honest);
        let outlets = Arc::new(Outlets {
            boards: boards
                .into_iter()
                .map(|board| (board.outlet(), board))
                .collect(),
            behaviour: behaves,
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(crate::http::serve(listener, Arc::clone(&outlets)));
        tasks.spawn(snmp::serve(socket, outlets, config.community.clone()));
        Ok(Self {
            http,
            snmp,
            behaviour,
            tasks,
        })
    }

    /// Stops answering; requests under way are given up.
    pub(crate) async fn stop(&mut self) {
        self.tasks.shutdown().await;
    }

    /// Where it speaks HTTP.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Where it speaks SNMP.
    pub fn snmp(&self) -> SocketAddr {
        self.snmp
    }

    /// How it behaves.
    pub fn behaviour(&self) -> PduBehaviour {
        *self.behaviour.borrow()
    }

    /// Makes it behave like this from now on.
    pub fn behave(&self, behaviour: PduBehaviour) {
        self.behaviour.send_replace(behaviour);
    }
}

fn cannot_listen(address: SocketAddr, error: std::io::Error) -> HalError {
    HalError::from_io("listen on", address.to_string(), error)
        .with_hint("another rack, or pdudaemon, may have it; port 0 takes any")
}

/// Why a request was not done.
enum Refused {
    NoOutlet,
    /// The PDU says so, because it is told to or because the board does not start.
    Failed(String),
    /// There is to be no answer.
    Silence,
}

struct Outlets {
    boards: BTreeMap<u32, Arc<Board>>,
    behaviour: watch::Receiver<PduBehaviour>,
}

impl Outlets {
    /// Switches an outlet. One without a board does nothing, successfully.
    async fn switch(&self, outlet: u32, request: Request) -> Result<(), Refused> {
        if !(1..=OUTLETS).contains(&outlet) {
            return Err(Refused::NoOutlet);
        }
        let behaviour = *self.behaviour.borrow();
        match behaviour {
            PduBehaviour::Honest => {}
            PduBehaviour::Lying => return Ok(()),
            PduBehaviour::Slow(duration) => sleep(duration).await,
            PduBehaviour::Unreachable => return Err(Refused::Silence),
            PduBehaviour::Failing => {
                return Err(Refused::Failed("the outlet is locked".to_owned()));
            }
        }
        match self.boards.get(&outlet) {
            Some(board) => obey(board, request)
                .await
                .map_err(|error| Refused::Failed(error.to_string())),
            None => Ok(()),
        }
    }

    /// Whether an outlet is on.
    async fn state(&self, outlet: u32) -> Result<PowerState, Refused> {
        if !(1..=OUTLETS).contains(&outlet) {
            return Err(Refused::NoOutlet);
        }
        let behaviour = *self.behaviour.borrow();
        match behaviour {
            PduBehaviour::Unreachable => return Err(Refused::Silence),
            PduBehaviour::Slow(duration) => sleep(duration).await,
            PduBehaviour::Honest | PduBehaviour::Lying | PduBehaviour::Failing => {}
        }
        Ok(match self.boards.get(&outlet) {
            Some(board) => board.relay().await,
            None => PowerState::Off,
        })
    }
}

async fn obey(board: &Board, request: Request) -> Result<(), HalError> {
    match request {
        Request::On => board.power(PowerAction::On).await,
        Request::Off => board.power(PowerAction::Off).await,
        Request::Reboot(off_for) => {
            board.power(PowerAction::Off).await?;
            sleep(off_for).await;
            board.power(PowerAction::On).await
        }
    }
}
