//! A board of the rack: a cable that is always there, and a machine while the outlet is on.

use crate::{
    cable::Cable,
    config::BoardConfig,
    machine::{Machine, Parts, reconnect_option},
    network::Network,
};
use hal::{
    ErrorKind, HalError,
    power::{PowerAction, PowerState},
};
use serde::{Deserialize, Serialize};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{Mutex, OnceCell},
    time::Instant,
};

/// How long a board may take from power to its first instruction. It takes 0.1 s on an idle
/// machine.
const START_WITHIN: Duration = Duration::from_secs(20);

/// Something that happens to a board.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BoardFault {
    /// Its power goes, and the PDU does not know: a loose plug. Until the outlet is switched.
    Cut,
    /// It hangs: executes nothing more.
    Hang,
    /// It goes on.
    Resume,
    /// It resets by itself.
    Reset,
    /// Its network cable is pulled.
    UnplugNetwork,
    /// Its network cable is plugged in.
    PlugNetwork,
    /// Its serial cable carries nothing any more.
    BreakConsole,
    /// Its serial cable is mended.
    MendConsole,
    /// Its serial adapter vanishes.
    UnplugConsole,
    /// Its serial adapter comes back.
    PlugConsole,
}

impl BoardFault {
    /// All of them, with the name that the command line knows.
    pub const ALL: [(&'static str, Self); 10] = [
        ("cut", Self::Cut),
        ("hang", Self::Hang),
        ("resume", Self::Resume),
        ("reset", Self::Reset),
        ("unplug-network", Self::UnplugNetwork),
        ("plug-network", Self::PlugNetwork),
        ("break-console", Self::BreakConsole),
        ("mend-console", Self::MendConsole),
        ("unplug-console", Self::UnplugConsole),
        ("plug-console", Self::PlugConsole),
    ];
}

/// What a board does, seen from inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MachineState {
    /// It has no power.
    Off,
    /// It runs.
    Running,
    /// It has power and executes nothing.
    Hanging,
    /// It has power and switched itself off, or crashed.
    Ended,
}

/// A board as `rack list` shows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BoardStatus {
    /// Its name.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// Its outlet of the PDU.
    pub outlet: u32,
    /// Whether the outlet is on.
    pub power: String,
    /// What it does.
    pub machine: MachineState,
    /// The process that emulates it.
    pub pid: Option<u32>,
    /// Its serial port.
    pub console: PathBuf,
    /// Its serial port over TCP.
    pub console_tcp: SocketAddr,
    /// Whether the serial adapter is plugged in and its cable carries.
    pub console_works: bool,
}

/// A board of the rack. Dropping it cuts its power.
#[derive(Debug)]
pub struct Board {
    name: String,
    config: BoardConfig,
    directory: PathBuf,
    cable: Cable,
    network: Option<Arc<Network>>,
    reconnect: OnceCell<&'static str>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    relay: PowerState,
    machine: Option<Machine>,
}

impl Board {
    /// A board without power, whose files are in `directory`.
    pub(crate) async fn install(
        name: &str,
        config: BoardConfig,
        directory: &Path,
        network: Option<Arc<Network>>,
    ) -> Result<Self, HalError> {
        fs_err::create_dir_all(directory)
            .map_err(|error| HalError::from_io("make", directory.display().to_string(), error))?;
        Ok(Self {
            name: name.to_owned(),
            config,
            directory: directory.to_owned(),
            cable: Cable::lay(directory).await?,
            network,
            reconnect: OnceCell::new(),
            state: Mutex::new(State {
                relay: PowerState::Off,
                machine: None,
            }),
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is made of.
    pub fn config(&self) -> &BoardConfig {
        &self.config
    }

    /// The outlet it hangs on.
    pub fn outlet(&self) -> u32 {
        self.config.outlet
    }

    /// The link to its serial port, which stays the same.
    pub fn console(&self) -> &Path {
        self.cable.link()
    }

    /// Its serial port over TCP: raw bytes.
    pub fn console_tcp(&self) -> SocketAddr {
        self.cable.tcp()
    }

    /// Switches its outlet. `Reset` pulls the reset line of a board that runs, and is a power
    /// cycle otherwise.
    ///
    /// # Errors
    /// When QEMU does not start; the outlet is then off.
    pub async fn power(&self, action: PowerAction) -> Result<(), HalError> {
        let mut state = self.state.lock().await;
        match action {
            PowerAction::Off => {
                state.relay = PowerState::Off;
                self.cut(&mut state).await
            }
            PowerAction::On if state.relay == PowerState::On && state.machine.is_some() => Ok(()),
            PowerAction::On => self.start(&mut state).await,
            PowerAction::Reset => {
                if let Some(machine) = &mut state.machine
                    && machine.ended().is_none()
                {
                    return machine.reset().await;
                }
                self.cut(&mut state).await?;
                self.start(&mut state).await
            }
        }
    }

    /// Whether its outlet is on.
    pub async fn relay(&self) -> PowerState {
        self.state.lock().await.relay
    }

    /// Lets something happen to it.
    ///
    /// # Errors
    /// `Unsupported` for what needs a board that runs, or a network, when there is none.
    pub async fn fault(&self, fault: BoardFault) -> Result<(), HalError> {
        match fault {
            BoardFault::BreakConsole => self.cable.set_intact(false),
            BoardFault::MendConsole => self.cable.set_intact(true),
            BoardFault::UnplugConsole => self.cable.set_plugged(false).await?,
            BoardFault::PlugConsole => self.cable.set_plugged(true).await?,
            BoardFault::Cut => self.cut(&mut *self.state.lock().await).await?,
            BoardFault::Hang | BoardFault::Resume | BoardFault::Reset => {
                let mut state = self.state.lock().await;
                let machine = self.machine(&mut state)?;
                match fault {
                    BoardFault::Reset => machine.reset().await?,
                    _ => machine.set_running(fault == BoardFault::Resume).await?,
                }
            }
            BoardFault::UnplugNetwork | BoardFault::PlugNetwork => {
                let mut state = self.state.lock().await;
                let machine = self.machine(&mut state)?;
                machine.set_link(fault == BoardFault::PlugNetwork).await?;
            }
        }
        Ok(())
    }

    /// What it does.
    pub async fn machine_state(&self) -> MachineState {
        Self::look(&mut *self.state.lock().await).await
    }

    /// All there is to know of it.
    pub async fn status(&self) -> BoardStatus {
        let mut state = self.state.lock().await;
        let machine = Self::look(&mut state).await;
        BoardStatus {
            name: self.name.clone(),
            description: self.config.description.clone(),
            outlet: self.config.outlet,
            power: state.relay.to_string(),
            machine,
            pid: state.machine.as_ref().map(Machine::pid),
            console: self.cable.link().to_owned(),
            console_tcp: self.cable.tcp(),
            console_works: self.cable.is_intact() && self.cable.is_plugged(),
        }
    }

    async fn look(state: &mut State) -> MachineState {
        let Some(machine) = &mut state.machine else {
            return MachineState::Off;
        };
        if machine.ended().is_some() {
            return MachineState::Ended;
        }
        match machine.is_running().await {
            Ok(true) => MachineState::Running,
            Ok(false) => MachineState::Hanging,
            // Its monitor is gone, and so is it.
            Err(_) if machine.ended().is_some() => MachineState::Ended,
            Err(_) => MachineState::Hanging,
        }
    }

    fn machine<'a>(&self, state: &'a mut State) -> Result<&'a mut Machine, HalError> {
        state.machine.as_mut().ok_or_else(|| {
            let name = &self.name;
            let message = format!("board '{name}' has no power");
            HalError::new(ErrorKind::Unsupported, name, message)
                .with_hint(format!("switch on its outlet, {}", self.config.outlet))
        })
    }

    async fn start(&self, state: &mut State) -> Result<(), HalError> {
        let program = &self.config.program;
        let reconnect = self
            .reconnect
            .get_or_try_init(|| reconnect_option(program))
            .await?;
        let parts = Parts {
            name: &self.name,
            config: &self.config,
            directory: &self.directory,
            cable: &self.cable,
            network: self.network.as_deref(),
            reconnect,
        };
        state.relay = PowerState::Off;
        let machine = Machine::start(parts, Instant::now() + START_WITHIN).await?;
        state.machine = Some(machine);
        state.relay = PowerState::On;
        Ok(())
    }

    async fn cut(&self, state: &mut State) -> Result<(), HalError> {
        match state.machine.take() {
            Some(machine) => machine.cut().await,
            None => Ok(()),
        }
    }
}
