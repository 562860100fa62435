//! Passes bytes between a board and the user until one of them has enough.

use super::{
    keys::{Command, Keys, Typed, name},
    log::Log,
    terminal::{Gone, Output, Raw, input},
};
use crate::{
    exit::{Exit, Stop},
    lab,
    signals::Signals,
};
use hal::{
    ErrorKind, HalError,
    console::Console,
    power::{PowerAction, PowerControl, PowerState},
};
use std::{
    collections::VecDeque,
    future::{pending, poll_fn},
    sync::Arc,
    task::Poll,
    time::Duration,
};
use tokio::{
    sync::{Mutex, mpsc},
    task::JoinHandle,
    time::{Instant, sleep_until},
};

/// How much is read of the board at once.
const PIECE: usize = 16 << 10;

/// How much may wait for a board that does not read; what is typed beyond that is refused.
const MOST_TYPED: usize = 64 << 10;

/// How long a BREAK lasts: ten characters at 300 baud, and what Linux's SysRq wants.
const BREAK: Duration = Duration::from_millis(250);

/// How long closing the console may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

/// A board's power, shared with the task that switches it.
pub(crate) type SharedPower = Arc<Mutex<Box<dyn PowerControl>>>;

/// What a session is made of.
pub(crate) struct Options {
    /// The board's name.
    pub(crate) board: String,
    /// Its console.
    pub(crate) console: Box<dyn Console>,
    /// What happens to the connection: gaps, mostly.
    pub(crate) events: mpsc::Receiver<String>,
    /// Its power, when it has some.
    pub(crate) power: Option<SharedPower>,
    /// The file its output goes to.
    pub(crate) log: Option<Log>,
    /// The escape key.
    pub(crate) escape: Option<u8>,
    /// Whether nothing is typed at the board.
    pub(crate) read_only: bool,
    /// When to leave.
    pub(crate) leave_after: Option<Duration>,
    /// How long switching the power may take.
    pub(crate) timeout: Duration,
}

/// Why a session is over.
enum End {
    /// The user left, or the time is over, or nobody reads what the board prints.
    Left,
    /// A signal.
    Signal,
    /// The console is closed.
    Closed,
    /// The console, or the log, failed.
    Failed(Stop),
}

struct Session {
    options: Options,
    output: Output,
    typed: VecDeque<u8>,
    power: Option<JoinHandle<String>>,
}

/// What happened to the console.
enum Traffic {
    Read(usize),
    Wrote(usize),
    /// Nobody can receive what was typed now.
    Lost,
}

/// Runs a session to its end.
pub(crate) async fn run(options: Options) -> Result<Exit, Stop> {
    let mut signals = Signals::install();
    let raw = Raw::enter()?;
    let has_keyboard = raw.is_some();
    let mut session = Session {
        output: Output::start(),
        typed: VecDeque::new(),
        power: None,
        options,
    };
    let end = match session.greet(has_keyboard).await {
        Ok(()) => session.pass(has_keyboard, &mut signals).await,
        Err(Gone) => End::Left,
    };
    session.finish(end, raw).await
}

impl Session {
    async fn greet(&self, has_keyboard: bool) -> Result<(), Gone> {
        let board = &self.options.board;
        let console = self.options.console.description();
        let mut text = format!("{board}: {console}");
        if self.options.read_only {
            text.push_str(", read-only");
        }
        if let Some(escape) = self.options.escape.filter(|_| has_keyboard) {
            let key = name(escape);
            text.push_str(&format!(". {key} . leaves, {key} ? helps"));
        }
        self.output.say(&text).await
    }

    async fn pass(&mut self, has_keyboard: bool, signals: &mut Signals) -> End {
        let mut keys = Keys::new(self.options.escape.filter(|_| has_keyboard));
        let mut input = Some(input());
        let leave_at = self.options.leave_after.map(|time| Instant::now() + time);
        let mut buffer = vec![0; PIECE];
        loop {
            let step = tokio::select! {
                traffic = traffic(&mut *self.options.console, &self.typed, &mut buffer) => {
                    self.traffic(traffic, &buffer).await
                }
                typed = next(&mut input) => match typed {
                    Some(typed) => self.keyboard(keys.take(&typed)).await,
                    None => {
                        input = None;
                        Ok(())
                    }
                },
                Some(event) = self.options.events.recv() => self.event(&event).await,
                said = switched(&mut self.power) => {
                    self.power = None;
                    self.event(&said).await
                }
                () = at(leave_at) => Err(End::Left),
                () = signals.next() => Err(End::Signal),
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    async fn traffic(
        &mut self,
        traffic: Result<Traffic, HalError>,
        buffer: &[u8],
    ) -> Result<(), End> {
        // A gap is told before the first byte from behind it.
        while let Ok(event) = self.options.events.try_recv() {
            self.event(&event).await?;
        }
        match traffic {
            Ok(Traffic::Wrote(length)) => {
                self.typed.drain(..length);
                Ok(())
            }
            Ok(Traffic::Lost) => {
                self.typed.clear();
                Ok(self.output.say("not sent: the console is closed").await?)
            }
            Ok(Traffic::Read(0)) => Err(End::Closed),
            Ok(Traffic::Read(length)) => {
                let bytes = &buffer[..length];
                if let Some(log) = &mut self.options.log {
                    log.output(bytes)?;
                }
                Ok(self.output.board(bytes).await?)
            }
            Err(error) => Err(End::Failed(lab::failed(&error))),
        }
    }

    async fn keyboard(&mut self, typed: Vec<Typed>) -> Result<(), End> {
        for typed in typed {
            match typed {
                Typed::Bytes(_) if self.options.read_only => {}
                Typed::Bytes(bytes) if self.typed.len() + bytes.len() > MOST_TYPED => {
                    let text = "the board does not read; what was typed now is not sent";
                    self.output.say(text).await?;
                }
                Typed::Bytes(bytes) => self.typed.extend(bytes),
                Typed::Command(command) => self.command(command).await?,
            }
        }
        Ok(())
    }

    async fn command(&mut self, command: Command) -> Result<(), End> {
        match command {
            Command::Leave => return Err(End::Left),
            Command::Break => self.send_break().await?,
            Command::PowerMenu => {
                let text = match &self.options.power {
                    Some(_) => "power: 1 on, 0 off, c cycle, s status; any other key: nothing",
                    None => "this board has no power that could be switched",
                };
                self.output.say(text).await?;
            }
            Command::On => self.switch(Some(PowerAction::On)).await?,
            Command::Off => self.switch(Some(PowerAction::Off)).await?,
            Command::Cycle => self.switch(Some(PowerAction::Reset)).await?,
            Command::Status => self.switch(None).await?,
            Command::Help => self.output.say(&self.help()).await?,
            Command::Unknown(_) => self.output.say("nothing done").await?,
        }
        Ok(())
    }

    fn help(&self) -> String {
        let key = self.options.escape.map(name).unwrap_or_default();
        format!(
            "{key} .  leave\n    {key} p  power: then 1 on, 0 off, c cycle, s status\n    \
             {key} b  send a BREAK\n    {key} {key}  send {key} to the board"
        )
    }

    async fn send_break(&mut self) -> Result<(), End> {
        if self.options.read_only {
            return Ok(self
                .output
                .say("no BREAK: this console is read-only")
                .await?);
        }
        let text = match self.options.console.line_control() {
            None => "this console has no line that could BREAK".to_owned(),
            Some(line) => match line.send_break(BREAK).await {
                Ok(()) => "BREAK sent".to_owned(),
                Err(error) => error.to_string(),
            },
        };
        Ok(self.output.say(&text).await?)
    }

    /// Begins to switch, or to ask; the console goes on meanwhile.
    async fn switch(&mut self, action: Option<PowerAction>) -> Result<(), End> {
        let Some(power) = self.options.power.clone() else {
            return Ok(());
        };
        if self.options.read_only && action.is_some() {
            let text = "the power is not switched: this console is read-only";
            return Ok(self.output.say(text).await?);
        }
        if self.power.is_some() {
            return Ok(self
                .output
                .say("the power is being switched already")
                .await?);
        }
        if let Some(action) = action {
            self.event(&format!("{action} …")).await?;
        }
        let timeout = self.options.timeout;
        self.power = Some(tokio::spawn(async move {
            let mut power = power.lock().await;
            switch(&mut **power, action, timeout).await
        }));
        Ok(())
    }

    /// Something that happened to the board, for the user and the log.
    async fn event(&mut self, text: &str) -> Result<(), End> {
        if let Some(log) = &mut self.options.log {
            log.event(text)?;
        }
        Ok(self.output.say(text).await?)
    }

    async fn finish(mut self, end: End, raw: Option<Raw>) -> Result<Exit, Stop> {
        // A cycle that is cut off leaves the board off.
        if let Some(power) = self.power.take() {
            let _ = self.output.say("waiting until the power is switched").await;
            if let Ok(said) = power.await {
                let _ = self.event(&said).await;
            }
        }
        let (text, result) = match end {
            End::Left => (Some("left".to_owned()), Ok(Exit::Complete)),
            End::Signal => (Some("ended by a signal".to_owned()), Ok(Exit::Canceled)),
            End::Failed(stop) => (None, Err(stop)),
            End::Closed => {
                let reason = self.options.console.end_reason().await;
                let reason = reason.unwrap_or_else(|| "it is closed".to_owned());
                let text = format!("the console of {} ended: {reason}", self.options.board);
                (None, Err(Stop::new(Exit::InfrastructureFault, text)))
            }
        };
        if let Some(text) = text {
            let _ = self.output.say(&text).await;
        }
        let closed = self.options.console.close(CLOSE_WITHIN).await;
        self.output.finish().await;
        drop(raw);
        closed.map_err(|error| lab::failed(&error))?;
        result
    }
}

/// Reads, or writes if something is to be written, whatever is possible first. Cancel-safe.
async fn traffic(
    console: &mut dyn Console,
    typed: &VecDeque<u8>,
    buffer: &mut [u8],
) -> Result<Traffic, HalError> {
    poll_fn(|cx| {
        let (bytes, _) = typed.as_slices();
        if !bytes.is_empty()
            && let Poll::Ready(wrote) = console.poll_write(cx, bytes)
        {
            return Poll::Ready(match wrote {
                Err(error) if error.kind() == ErrorKind::Closed => Ok(Traffic::Lost),
                wrote => wrote.map(Traffic::Wrote),
            });
        }
        console
            .poll_read(cx, buffer)
            .map(|read| read.map(Traffic::Read))
    })
    .await
}

/// The next piece of input; waits for ever once there is none any more.
async fn next(input: &mut Option<mpsc::Receiver<Vec<u8>>>) -> Option<Vec<u8>> {
    match input {
        Some(input) => input.recv().await,
        None => pending().await,
    }
}

async fn switched(power: &mut Option<JoinHandle<String>>) -> String {
    match power {
        Some(task) => task.await.unwrap_or_else(|error| error.to_string()),
        None => pending().await,
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => pending().await,
    }
}

/// Switches, or asks, and says what came of it.
async fn switch(
    power: &mut dyn PowerControl,
    action: Option<PowerAction>,
    timeout: Duration,
) -> String {
    let begun = Instant::now();
    let deadline = begun + timeout;
    let done = match action {
        None => Ok(()),
        Some(PowerAction::Reset) => crate::commands::power::cycle(power, None, deadline).await,
        Some(action) => power.set(action, deadline).await,
    };
    let state = match done {
        Ok(()) => power.state(deadline).await,
        Err(error) => return lab::text(&error),
    };
    let state = match state {
        Ok(Some(PowerState::On)) => "the power is on",
        Ok(Some(PowerState::Off)) => "the power is off",
        Ok(None) => "this PDU cannot tell whether the power is on",
        Err(error) => return lab::text(&error),
    };
    match action {
        Some(action) => format!("{action} took {:.1?}; {state}", begun.elapsed()),
        None => state.to_owned(),
    }
}

impl From<Gone> for End {
    fn from(_: Gone) -> Self {
        Self::Left
    }
}

impl From<std::io::Error> for End {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.into())
    }
}
