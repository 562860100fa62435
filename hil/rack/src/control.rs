//! Talking to a rack that runs: one JSON object each way, over a socket in its directory.

use crate::{
    board::{BoardFault, BoardStatus},
    pdu::PduBehaviour,
    rack::{Rack, holder},
};
use hal::{ErrorKind, HalError, power::PowerAction, process::ProcessIdentity};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::SocketAddr, path::Path, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    task::JoinSet,
    time::{Instant, sleep, timeout_at},
};

/// The socket's name in the rack's directory.
const SOCKET: &str = "control.socket";

/// The longest request and answer.
const LARGEST: u64 = 1 << 20;

/// How long an answer may take: a board may have to start.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// How long the rack has to end after being asked, and after being told.
const END_WITHIN: Duration = Duration::from_secs(10);

/// How often to look whether it has ended.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A request to the rack.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// What is there?
    List,
    /// Switch a board's outlet, past the PDU: "on", "off" or "reset".
    Power {
        /// Whose.
        board: String,
        /// To what.
        action: Switch,
    },
    /// Let something happen to a board.
    Fault {
        /// To which.
        board: String,
        /// What.
        fault: BoardFault,
    },
    /// Make the PDU behave like this.
    Pdu(PduBehaviour),
    /// End.
    Down,
}

/// What to do with a board's power.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Switch {
    /// Switch it on.
    On,
    /// Cut it.
    Off,
    /// Pull the reset line.
    Reset,
}

impl From<Switch> for PowerAction {
    fn from(switch: Switch) -> Self {
        match switch {
            Switch::On => Self::On,
            Switch::Off => Self::Off,
            Switch::Reset => Self::Reset,
        }
    }
}

/// What is in the rack.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Listing {
    /// Its boards.
    pub boards: Vec<BoardStatus>,
    /// Boards that cannot run here, and why.
    pub left_out: BTreeMap<String, String>,
    /// Where its PDU speaks HTTP.
    pub pdu_http: SocketAddr,
    /// Where its PDU speaks SNMP.
    pub pdu_snmp: SocketAddr,
    /// How its PDU behaves.
    pub pdu: PduBehaviour,
}

/// The rack's answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// It is done.
    Done,
    /// This is there.
    Listing(Box<Listing>),
    /// It failed: why, and what to do about it.
    Failed {
        /// Why.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
}

/// Obeys requests until one of them is [`Request::Down`].
///
/// # Errors
/// When the socket cannot be made.
pub async fn serve(rack: Arc<Rack>) -> Result<(), HalError> {
    let path = rack.directory().join(SOCKET);
    // Left by a rack that was killed: the lock on the directory is ours.
    let _ = fs_err::remove_file(&path);
    let listener = UnixListener::bind(&path)
        .map_err(|error| HalError::from_io("listen on", path.display().to_string(), error))?;
    let mut clients = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => {
                    clients.spawn(converse(client, Arc::clone(&rack)));
                }
                Err(_) => crate::pause().await,
            },
            Some(ended) = clients.join_next() => {
                if let Ok(true) = ended {
                    return Ok(());
                }
            }
        }
    }
}

/// One request and its answer; true if it is to end the rack.
async fn converse(client: UnixStream, rack: Arc<Rack>) -> bool {
    let (input, mut output) = client.into_split();
    let mut request = Vec::new();
    if input.take(LARGEST).read_to_end(&mut request).await.is_err() {
        return false;
    }
    let (answer, ends) = match serde_json::from_slice(&request) {
        Ok(Request::Down) => (Answer::Done, true),
        Ok(request) => (obey(&rack, request).await, false),
        Err(error) => {
            let message = format!("the request makes no sense: {error}");
            (
                Answer::Failed {
                    message,
                    hint: None,
                },
                false,
            )
        }
    };
    let answer = serde_json::to_vec(&answer).unwrap_or_default();
    // Who asked may not wait for the answer.
    let _ = output.write_all(&answer).await;
    ends
}

async fn obey(rack: &Rack, request: Request) -> Answer {
    let done = match request {
        Request::List => return Answer::Listing(Box::new(list(rack).await)),
        Request::Power { board, action } => match rack.board(&board) {
            Ok(board) => board.power(action.into()).await,
            Err(error) => Err(error),
        },
        Request::Fault { board, fault } => match rack.board(&board) {
            Ok(board) => board.fault(fault).await,
            Err(error) => Err(error),
        },
        Request::Pdu(behaviour) => {
            rack.pdu().behave(behaviour);
            Ok(())
        }
        Request::Down => Ok(()),
    };
    match done {
        Ok(()) => Answer::Done,
        Err(error) => Answer::Failed {
            message: error.to_string(),
            hint: error.hint().map(str::to_owned),
        },
    }
}

/// What is in the rack.
pub async fn list(rack: &Rack) -> Listing {
    let mut boards = Vec::new();
    for board in rack.boards() {
        boards.push(board.status().await);
    }
    Listing {
        boards,
        left_out: rack.left_out().clone(),
        pdu_http: rack.pdu().http(),
        pdu_snmp: rack.pdu().snmp(),
        pdu: rack.pdu().behaviour(),
    }
}

/// Asks the rack that runs in `directory`.
///
/// # Errors
/// `NotFound` when none runs there, `Timeout`, or what the rack says.
pub async fn ask(directory: &Path, request: &Request) -> Result<Answer, HalError> {
    let shown = directory.display().to_string();
    let exchange = async {
        let stream = UnixStream::connect(directory.join(SOCKET)).await?;
        let (input, mut output) = stream.into_split();
        let request = serde_json::to_vec(request)?;
        output.write_all(&request).await?;
        // The end of the request.
        drop(output);
        let mut answer = Vec::new();
        input.take(LARGEST).read_to_end(&mut answer).await?;
        Ok(serde_json::from_slice(&answer)?)
    };
    let answer = timeout_at(Instant::now() + ANSWER_WITHIN, exchange).await;
    let answered: std::io::Result<Answer> =
        answer.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
    match answered {
        Ok(Answer::Failed { message, hint }) => {
            let error = HalError::new(ErrorKind::CommandFailed, shown, message);
            Err(match hint {
                Some(hint) => error.with_hint(hint),
                None => error,
            })
        }
        Ok(answer) => Ok(answer),
        Err(error) if error.kind() == std::io::ErrorKind::TimedOut => {
            Err(HalError::from_io("ask the rack in", shown, error))
        }
        Err(_) => {
            let message = format!("no rack runs in {shown}");
            Err(HalError::new(ErrorKind::NotFound, shown, message)
                .with_hint("`rack up` starts one"))
        }
    }
}

/// Ends the rack that runs in `directory`: asks it, and if it does not listen, tells the process
/// that has the directory. False when none runs there.
///
/// # Errors
/// When it cannot be ended.
pub async fn down(directory: &Path) -> Result<bool, HalError> {
    let Some(process) = holder(directory)? else {
        return Ok(false);
    };
    // Whether it heard is seen from whether it ends.
    let _ = ask(directory, &Request::Down).await;
    for signal in [None, Some(Signal::TERM), Some(Signal::KILL)] {
        if let Some(signal) = signal {
            tell(process, signal);
        }
        let deadline = Instant::now() + END_WITHIN;
        while Instant::now() < deadline {
            if holder(directory)?.is_none() {
                return Ok(true);
            }
            sleep(LOOK_EVERY).await;
        }
    }
    let shown = directory.display().to_string();
    let message = format!("the rack in {shown} ({process}) does not end");
    Err(HalError::new(ErrorKind::Timeout, shown, message))
}

/// Sends a signal to this very process: its number may belong to another by now.
fn tell(process: ProcessIdentity, signal: Signal) {
    let pid = i32::try_from(process.pid()).ok().and_then(Pid::from_raw);
    let Some(Ok(handle)) = pid.map(|pid| pidfd_open(pid, PidfdFlags::empty())) else {
        return;
    };
    // The handle is of whoever has the number now; that it is ours is checked after opening.
    if process.is_alive() {
        let _ = pidfd_send_signal(handle, signal);
    }
}
