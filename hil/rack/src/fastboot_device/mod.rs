//! A fastboot device that exists only in memory, to be flashed over UDP or TCP.
//!
//! Used by the tests of `hal` in place of a board: Debian's `fastboot` and our client talk to it,
//! and it can be told to misbehave ([`Fault`], [`LinkFaults`]). It writes no file.

mod chance;
mod gadget;
mod tcp;
mod udp;

pub use gadget::{GadgetOptions, serve_gadget};
pub use tcp::TcpDevice;
pub use udp::{LinkFaults, UdpDevice};

use hal::fastboot::{
    protocol::Response,
    sparse::{Layout, SparseError, format::FileHeader},
};
use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What a device does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Answers every command with bytes that are no response.
    Garbage,
    /// Answers with an INFO line that is longer than any buffer.
    LongInfo,
    /// Never stops sending INFO lines.
    EndlessInfo,
    /// Asks for more bytes than were announced.
    WrongDataSize,
    /// Answers nothing, and goes on to be there.
    Silent,
    /// Is gone once this many bytes of a download have come.
    Vanish(usize),
    /// Answers a download with a failure after its last byte.
    DownloadFails,
    /// Says OKAY to a download without asking for data.
    NoData,
    /// Reboots, when it is told to, without a word.
    HangUp,
}

/// What a device has, shared with whoever watches it.
#[derive(Clone, Debug, Default)]
pub struct Contents(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    partitions: BTreeMap<String, Vec<u8>>,
    variables: BTreeMap<String, String>,
    commands: Vec<String>,
    fault: Option<Fault>,
    max_download: usize,
}

impl Contents {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bytes of a partition.
    pub fn partition(&self, name: &str) -> Option<Vec<u8>> {
        self.lock().partitions.get(name).cloned()
    }

    /// All commands that came, in order; without the data of downloads.
    pub fn commands(&self) -> Vec<String> {
        self.lock().commands.clone()
    }

    /// Changes what the device does wrong, from its next command on.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.lock().fault = fault;
    }

    /// Changes a variable.
    pub fn set_variable(&self, name: &str, value: &str) {
        let mut state = self.lock();
        state.variables.insert(name.to_owned(), value.to_owned());
    }
}

/// What the device waits for.
#[derive(Debug)]
enum Mode {
    Command,
    /// This many more bytes of a download.
    Data(usize),
}

/// The device's side of the protocol, without a transport.
#[derive(Debug)]
pub struct Device {
    contents: Contents,
    mode: Mode,
    staged: Vec<u8>,
    answers: VecDeque<Vec<u8>>,
    endless: bool,
    gone: bool,
    silent: bool,
    hung_up: bool,
}

impl Device {
    /// A device that takes `max_download` bytes at once, with partitions full of `0xA5`, so that
    /// what is not written shows.
    pub fn new(max_download: usize, partitions: &[(&str, usize)]) -> Self {
        let contents = Contents::default();
        {
            let mut state = contents.lock();
            state.max_download = max_download;
            for (name, size) in partitions {
                state
                    .partitions
                    .insert((*name).to_owned(), vec![0xA5; *size]);
            }
            for (name, value) in [
                ("version", "0.4"),
                ("product", "rack"),
                ("serialno", "RACK0001"),
            ] {
                state.variables.insert(name.to_owned(), value.to_owned());
            }
            let size = format!("{max_download:#010x}");
            state.variables.insert("max-download-size".to_owned(), size);
        }
        Self {
            contents,
            mode: Mode::Command,
            staged: Vec::new(),
            answers: VecDeque::new(),
            endless: false,
            gone: false,
            silent: false,
            hung_up: false,
        }
    }

    /// What it has, to be looked at while it is served.
    pub fn contents(&self) -> Contents {
        self.contents.clone()
    }

    /// Takes a message of the host, or a part of a download.
    pub fn take(&mut self, mut message: &[u8]) {
        while let Mode::Data(left) = self.mode
            && !message.is_empty()
        {
            let (here, rest) = message.split_at(message.len().min(left));
            message = rest;
            self.take_data(here, left);
        }
        if !message.is_empty() && matches!(self.mode, Mode::Command) {
            self.take_command(&String::from_utf8_lossy(message));
        }
    }

    /// What it has to say next.
    pub fn answer(&mut self) -> Option<Vec<u8>> {
        if self.endless {
            return Some(b"INFOand so on".to_vec());
        }
        self.answers.pop_front()
    }

    /// How many bytes of a download are to come; `None` when it waits for a command.
    pub fn data_left(&self) -> Option<usize> {
        match self.mode {
            Mode::Data(left) => Some(left),
            Mode::Command => None,
        }
    }

    /// Forgets a download that did not end, as at a new connection.
    pub fn begin_again(&mut self) {
        self.mode = Mode::Command;
        self.staged.clear();
        self.answers.clear();
        self.endless = false;
        self.hung_up = false;
    }

    /// Whether it was told to vanish.
    pub fn is_gone(&self) -> bool {
        self.gone
    }

    /// Whether it left without a word.
    pub fn has_hung_up(&self) -> bool {
        self.hung_up
    }

    /// Whether it was told to say nothing.
    pub fn is_silent(&self) -> bool {
        self.silent
    }

    fn take_data(&mut self, data: &[u8], left: usize) {
        self.staged.extend_from_slice(data);
        let fault = self.contents.lock().fault;
        if matches!(fault, Some(Fault::Vanish(after)) if self.staged.len() >= after) {
            self.gone = true;
        }
        self.mode = Mode::Data(left - data.len());
        if left == data.len() {
            self.mode = Mode::Command;
            if fault == Some(Fault::DownloadFails) {
                self.fail("data lost");
            } else {
                self.okay("");
            }
        }
    }

    fn take_command(&mut self, command: &str) {
        let fault = {
            let mut state = self.contents.lock();
            state.commands.push(command.to_owned());
            state.fault
        };
        match fault {
            Some(Fault::Garbage) => return self.answers.push_back(b"\xff\x00what?".to_vec()),
            Some(Fault::LongInfo) => {
                let long = Response::Info("x".repeat(100_000));
                return self.answers.push_back(long.to_bytes());
            }
            Some(Fault::EndlessInfo) => return self.endless = true,
            Some(Fault::Silent) => return self.silent = true,
            Some(Fault::HangUp) if command.starts_with("reboot") => return self.hung_up = true,
            _ => {}
        }
        let (word, argument) = match command.split_once(':') {
            Some((word, argument)) => (word, argument),
            None => (command, ""),
        };
        match (word, argument) {
            ("getvar", "all") => self.tell_all(),
            ("getvar", name) => {
                let value = self.contents.lock().variables.get(name).cloned();
                match value {
                    Some(value) => self.okay(&value),
                    None => self.fail("unknown variable"),
                }
            }
            ("download", size) => self.begin_download(size, fault),
            ("flash", name) => self.flash(name),
            ("erase", name) => self.write(name, |bytes| {
                bytes.fill(0xFF);
                Ok(())
            }),
            ("upload", "") => {
                let staged = std::mem::take(&mut self.staged);
                self.push(&Response::Data(staged.len() as u32));
                // As a device would: in pieces of its own.
                self.answers.extend(staged.chunks(4096).map(<[u8]>::to_vec));
                self.okay("");
            }
            ("oem echo" | "reboot" | "reboot-bootloader" | "reboot-recovery", _)
            | ("reboot-fastboot" | "continue" | "set_active", _) => self.okay(""),
            ("boot", "") if !self.staged.is_empty() => self.okay(""),
            ("boot", "") => self.fail("no image downloaded"),
            _ => match command.strip_prefix("oem say ") {
                Some(words) => {
                    for word in words.split(' ') {
                        self.push(&Response::Info(word.to_owned()));
                    }
                    self.okay("");
                }
                None => self.fail("unknown command"),
            },
        }
    }

    fn tell_all(&mut self) {
        let variables = self.contents.lock().variables.clone();
        for (name, value) in variables {
            self.push(&Response::Info(format!("{name}: {value}")));
        }
        self.okay("");
    }

    fn begin_download(&mut self, size: &str, fault: Option<Fault>) {
        let max = self.contents.lock().max_download;
        let size = u32::from_str_radix(size, 16).ok();
        match size.filter(|size| *size > 0 && *size as usize <= max) {
            Some(_) if fault == Some(Fault::NoData) => self.okay(""),
            Some(size) => {
                let asked = if fault == Some(Fault::WrongDataSize) {
                    size + 1
                } else {
                    size
                };
                self.push(&Response::Data(asked));
                self.staged = Vec::with_capacity(size as usize);
                self.mode = Mode::Data(size as usize);
            }
            None => self.fail("data too large"),
        }
    }

    fn flash(&mut self, name: &str) {
        let staged = std::mem::take(&mut self.staged);
        self.write(name, |partition| {
            if staged.is_empty() {
                return Err("no image downloaded".to_owned());
            }
            if FileHeader::is_sparse(&staged) {
                return write_sparse(&staged, partition).map_err(|error| error.to_string());
            }
            let room = partition.get_mut(..staged.len());
            room.ok_or("image too large")?.copy_from_slice(&staged);
            Ok(())
        });
    }

    fn write(&mut self, name: &str, change: impl FnOnce(&mut Vec<u8>) -> Result<(), String>) {
        let done = match self.contents.lock().partitions.get_mut(name) {
            Some(partition) => change(partition),
            None => Err("cannot find partition".to_owned()),
        };
        match done {
            Ok(()) => self.okay(""),
            Err(reason) => self.fail(&reason),
        }
    }

    fn okay(&mut self, value: &str) {
        self.push(&Response::Okay(value.to_owned()));
    }

    fn fail(&mut self, reason: &str) {
        self.push(&Response::Fail(reason.to_owned()));
    }

    fn push(&mut self, response: &Response) {
        self.answers.push_back(response.to_bytes());
    }
}

/// Writes a sparse image over a partition; what it leaves out stays.
fn write_sparse(image: &Vec<u8>, partition: &mut [u8]) -> Result<(), SparseError> {
    let layout = Layout::of_sparse(image)?;
    if layout.expanded() > partition.len() as u64 {
        return Err(SparseError::TooLarge);
    }
    layout.expand(image, |offset, bytes| {
        let room = usize::try_from(offset)
            .ok()
            .and_then(|start| partition.get_mut(start..)?.get_mut(..bytes.len()));
        room.ok_or(io::ErrorKind::InvalidData)?
            .copy_from_slice(bytes);
        Ok(())
    })
}
