//! Playing a script.

mod sources;
mod terminal;

use crate::script::{Block, Rule, Scene, Script, Statement, Text};
use hal::{
    HalError,
    console::{EpochCounter, StreamConsole},
};
use std::{
    io,
    os::{fd::AsFd, unix::net::UnixStream},
    time::Duration,
};
use terminal::Terminal;

/// The stack of a board's thread: blocks of a script nest a few levels at most, and there may be a
/// thousand boards.
const STACK: usize = 256 * 1024;

/// How a board's life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Played {
    /// The exit status its script asked for; 0 when it was played to its end or the console was
    /// closed from the other side.
    pub status: u8,
}

/// Plays `script` on standard input and output until it ends or they are closed. Blocks.
///
/// # Errors
/// When a file it prints cannot be read.
pub fn play_on_stdio(script: &Script) -> io::Result<Played> {
    let (input, output) = (rustix::stdio::stdin(), rustix::stdio::stdout());
    Player::new(Terminal::new(input, output)).play(script)
}

/// A console with a board behind it that plays `script` in a thread of its own, until it ends or
/// the console is dropped. Must be called inside a tokio runtime with I/O enabled.
///
/// # Errors
/// When the system gives no socket or no thread.
pub fn console(
    script: Script,
    epoch: EpochCounter,
) -> Result<StreamConsole<tokio::net::UnixStream>, HalError> {
    let cannot = |error| HalError::from_io("start", "a scripted board", error);
    let (ours, board) = UnixStream::pair().map_err(cannot)?;
    ours.set_nonblocking(true).map_err(cannot)?;
    let ours = tokio::net::UnixStream::from_std(ours).map_err(cannot)?;
    let play = move || {
        Player::new(Terminal::new(board.as_fd(), board.as_fd()))
            .play(&script)
            .map(drop)
    };
    std::thread::Builder::new()
        .name("board".to_owned())
        .stack_size(STACK)
        .spawn(play)
        .map_err(cannot)?;
    Ok(StreamConsole::new(ours, "scripted board", epoch))
}

/// Why a board stops in the middle of its script.
enum Stop {
    /// The script says so.
    Ended(u8),
    /// Nobody is at the other side any more.
    Closed,
    Failed(io::Error),
}

/// Where a block goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Next,
    LeaveShell,
    Restart,
}

struct Player<'a> {
    terminal: Terminal<'a>,
    scene: Scene,
    prompt: Option<Vec<u8>>,
}

impl<'a> Player<'a> {
    fn new(terminal: Terminal<'a>) -> Self {
        Self {
            terminal,
            scene: Scene::default(),
            prompt: None,
        }
    }

    fn play(mut self, script: &Script) -> io::Result<Played> {
        let ended = loop {
            match self.block(&script.statements) {
                Ok(Flow::Restart) => {}
                Ok(_) => break self.terminal.flush(),
                Err(stop) => break Err(stop),
            }
        };
        let status = match ended {
            Ok(()) | Err(Stop::Closed) => 0,
            Err(Stop::Ended(status)) => status,
            Err(Stop::Failed(error)) => return Err(error),
        };
        Ok(Played { status })
    }

    fn block(&mut self, block: &Block) -> Result<Flow, Stop> {
        for statement in block {
            match self.statement(statement)? {
                Flow::Next => {}
                elsewhere => return Ok(elsewhere),
            }
        }
        Ok(Flow::Next)
    }

    fn statement(&mut self, statement: &Statement) -> Result<Flow, Stop> {
        match statement {
            Statement::Print(text) => self.terminal.print(&text.render(&self.scene))?,
            Statement::File(path) => sources::file(&mut self.terminal, path)?,
            Statement::Flood { lines, length } => {
                sources::flood(&mut self.terminal, *lines, *length)?;
            }
            Statement::Fill { count, byte } => sources::fill(&mut self.terminal, *count, *byte)?,
            Statement::Noise { bytes, seed } => sources::noise(&mut self.terminal, *bytes, *seed)?,
            Statement::Panic(text) => {
                self.terminal
                    .print(&sources::panic(&text.render(&self.scene)))?;
            }
            Statement::Delay(duration) => self.terminal.delay(*duration)?,
            Statement::Read => self.scene.line = self.terminal.read_line()?,
            Statement::Wait(text) => self.terminal.wait_for(text)?,
            Statement::Interrupt { within, then } => return self.interrupt(*within, then),
            Statement::Repeat { times, body } => return self.repeat(*times, body),
            Statement::Shell { prompt, rules } => return self.shell(prompt, rules),
            Statement::Prompt(text) => self.prompt = Some(text.render(&self.scene)),
            Statement::Leave => return Ok(Flow::LeaveShell),
            Statement::Restart => return Ok(Flow::Restart),
            Statement::Close { status } => {
                self.terminal.flush()?;
                return Err(Stop::Ended(*status));
            }
            Statement::Hang => self.terminal.hang()?,
            Statement::Raw => self.terminal.set_raw().map_err(Stop::Failed)?,
            Statement::Echo(on) => self.terminal.set_echo(*on).map_err(Stop::Failed)?,
        }
        Ok(Flow::Next)
    }

    fn interrupt(&mut self, within: Duration, then: &Block) -> Result<Flow, Stop> {
        if self.terminal.key_within(within)? {
            self.block(then)
        } else {
            Ok(Flow::Next)
        }
    }

    fn repeat(&mut self, times: u64, body: &Block) -> Result<Flow, Stop> {
        let outer = self.scene.counter;
        for counter in 0..times {
            self.scene.counter = counter;
            match self.block(body)? {
                Flow::Next => {}
                elsewhere => return Ok(elsewhere),
            }
        }
        self.scene.counter = outer;
        Ok(Flow::Next)
    }

    fn shell(&mut self, prompt: &Text, rules: &[Rule]) -> Result<Flow, Stop> {
        let outer = self.prompt.replace(prompt.render(&self.scene));
        let flow = loop {
            self.terminal
                .print(self.prompt.as_deref().unwrap_or_default())?;
            let line = self.terminal.read_line()?;
            let matching = rules
                .iter()
                .find_map(|rule| Some((rule, rule.pattern.captures(&line)?)));
            self.scene.line = line;
            if let Some((rule, captures)) = matching {
                self.scene.captures = captures;
                match self.block(&rule.body)? {
                    Flow::Next => {}
                    Flow::LeaveShell => break Flow::Next,
                    Flow::Restart => break Flow::Restart,
                }
            }
        };
        self.prompt = outer;
        Ok(flow)
    }
}
