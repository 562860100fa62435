//! What the command line asks for, and doing it.

use hal::HalError;
use rack::{
    BoardFault, PduBehaviour, Rack, RackConfig,
    control::{self, Answer, Listing, Request, Switch},
    lossy::{Loss, TcpProxy, UdpProxy},
};
use std::{
    env, fmt::Write as _, future::pending, net::SocketAddr, path::PathBuf, process::ExitCode,
    sync::Arc, time::Duration,
};
use tokio::signal::unix::{SignalKind, signal};

/// A command that was understood.
pub(crate) enum Command {
    Up(Vec<String>),
    Down,
    List { json: bool },
    Ask(Request),
    Lossy(Protocol, SocketAddr, SocketAddr, Loss),
}

#[derive(Clone, Copy)]
pub(crate) enum Protocol {
    Udp,
    Tcp,
}

/// Understands a command line; `None` when it is wrong.
pub(crate) fn parse(words: &[&str]) -> Option<Command> {
    Some(match words {
        ["up", boards @ ..] if boards.iter().all(|board| !board.starts_with('-')) => {
            Command::Up(boards.iter().map(|&board| board.to_owned()).collect())
        }
        ["down"] => Command::Down,
        ["list"] => Command::List { json: false },
        ["list", "--json"] => Command::List { json: true },
        ["power", board, action] => Command::Ask(Request::Power {
            board: (*board).to_owned(),
            action: match *action {
                "on" => Switch::On,
                "off" => Switch::Off,
                "reset" => Switch::Reset,
                _ => return None,
            },
        }),
        ["fault", board, fault] => Command::Ask(Request::Fault {
            board: (*board).to_owned(),
            fault: BoardFault::ALL
                .into_iter()
                .find(|(name, _)| name == fault)?
                .1,
        }),
        ["pdu", behaviour] => Command::Ask(Request::Pdu(match *behaviour {
            "honest" => PduBehaviour::Honest,
            "lying" => PduBehaviour::Lying,
            "failing" => PduBehaviour::Failing,
            "unreachable" => PduBehaviour::Unreachable,
            other => {
                let seconds: f64 = other.strip_prefix("slow=")?.parse().ok()?;
                PduBehaviour::Slow(Duration::try_from_secs_f64(seconds).ok()?)
            }
        })),
        ["lossy", protocol, listen, target, settings @ ..] => {
            let protocol = match *protocol {
                "udp" => Protocol::Udp,
                "tcp" => Protocol::Tcp,
                _ => return None,
            };
            let loss = loss(settings)?;
            Command::Lossy(protocol, listen.parse().ok()?, target.parse().ok()?, loss)
        }
        _ => return None,
    })
}

fn loss(settings: &[&str]) -> Option<Loss> {
    let mut loss = Loss::default();
    for setting in settings {
        let (name, value) = setting.split_once('=')?;
        let probability = || value.parse().ok().filter(|p| (0.0..=1.0).contains(p));
        let millis = || value.parse().ok().map(Duration::from_millis);
        match name {
            "drop" => loss.drop = probability()?,
            "duplicate" => loss.duplicate = probability()?,
            "reorder" => loss.reorder = probability()?,
            "delay-ms" => loss.delay = millis()?,
            "jitter-ms" => loss.jitter = millis()?,
            "seed" => loss.seed = value.parse().ok()?,
            _ => return None,
        }
    }
    Some(loss)
}

impl Command {
    pub(crate) fn run(self) -> ExitCode {
        // One thread: the kernel kills what a thread started when the thread dies.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let done = runtime
            .map_err(|error| HalError::from_io("start", "the rack", error))
            .and_then(|runtime| runtime.block_on(self.execute()));
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                let hint = match error.hint() {
                    Some(hint) => format!("\nhint: {hint}"),
                    None => String::new(),
                };
                crate::tell(&format!("rack: {error}{hint}"), ExitCode::FAILURE)
            }
        }
    }

    async fn execute(self) -> Result<(), HalError> {
        match self {
            Self::Up(boards) => up(&boards).await,
            Self::Down => {
                let directory = directory();
                if !control::down(&directory).await? {
                    say(&format!("no rack runs in {}\n", directory.display()));
                }
                Ok(())
            }
            Self::List { json } => {
                if let Answer::Listing(listing) = control::ask(&directory(), &Request::List).await?
                {
                    show(&listing, json);
                }
                Ok(())
            }
            Self::Ask(request) => control::ask(&directory(), &request).await.map(drop),
            Self::Lossy(protocol, listen, target, loss) => {
                lossy(protocol, listen, target, loss).await
            }
        }
    }
}

async fn up(boards: &[String]) -> Result<(), HalError> {
    let config = match env::var_os("PUMICE_RACK_FILE") {
        Some(file) => RackConfig::from_file(&PathBuf::from(file))?,
        None => RackConfig::built_in()?,
    };
    let rack = Arc::new(Rack::start(config.only(boards)?, &directory()).await?);
    show(&control::list(&rack).await, false);
    tokio::select! {
        served = control::serve(Arc::clone(&rack)) => served?,
        () = told_to_end() => {}
    }
    match Arc::into_inner(rack) {
        Some(rack) => rack.stop().await,
        // Somebody still has an answer under way; the end of the process ends the boards too.
        None => Ok(()),
    }
}

async fn lossy(
    protocol: Protocol,
    listen: SocketAddr,
    target: SocketAddr,
    loss: Loss,
) -> Result<(), HalError> {
    let failed = |error| HalError::from_io("listen on", listen.to_string(), error);
    match protocol {
        Protocol::Udp => {
            let proxy = UdpProxy::start(listen, target, loss)
                .await
                .map_err(failed)?;
            say(&format!("udp {} to {target}: {loss}\n", proxy.address()));
            told_to_end().await;
        }
        Protocol::Tcp => {
            let proxy = TcpProxy::start(listen, target, loss)
                .await
                .map_err(failed)?;
            say(&format!("tcp {} to {target}: {loss}\n", proxy.address()));
            told_to_end().await;
        }
    }
    Ok(())
}

/// Waits for Ctrl-C, SIGTERM or the end of the terminal.
async fn told_to_end() {
    let kinds = [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
    ];
    let [mut interrupt, mut terminate, mut hangup] = kinds.map(signal);
    let wait = async |signal: &mut std::io::Result<tokio::signal::unix::Signal>| match signal {
        Ok(signal) => signal.recv().await,
        Err(_) => pending().await,
    };
    tokio::select! {
        _ = wait(&mut interrupt) => {}
        _ = wait(&mut terminate) => {}
        _ = wait(&mut hangup) => {}
    }
}

/// Where the rack keeps its sockets.
fn directory() -> PathBuf {
    if let Some(directory) = env::var_os("PUMICE_RACK_DIRECTORY") {
        return directory.into();
    }
    match env::var_os("XDG_RUNTIME_DIR") {
        Some(runtime) => PathBuf::from(runtime).join("pumice-rack"),
        None => {
            let user = rustix::process::geteuid().as_raw();
            env::temp_dir().join(format!("pumice-rack-{user}"))
        }
    }
}

fn show(listing: &Listing, json: bool) {
    if json {
        let text = serde_json::to_string_pretty(listing).unwrap_or_default();
        return say(&format!("{text}\n"));
    }
    let mut text = format!(
        "PDU: http://{}/power/control/{{on,off,reboot}}?hostname=rack&port=N, SNMP {}\n",
        listing.pdu_http, listing.pdu_snmp
    );
    for board in &listing.boards {
        // Writing into a string cannot fail.
        let _ = writeln!(
            text,
            "{:10} outlet {:<2} power {:3} {:8} console {} tcp {}  {}",
            board.name,
            board.outlet,
            board.power,
            format!("{:?}", board.machine).to_lowercase(),
            board.console.display(),
            board.console_tcp,
            board.description,
        );
    }
    for (name, why) in &listing.left_out {
        let _ = writeln!(text, "{name:10} left out: {why}");
    }
    say(&text);
}

fn say(text: &str) {
    use std::io::Write;
    // Nobody may be listening any more, which is no reason to end the rack.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}
