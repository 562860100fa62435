//! The board's side of its console.
//!
//! On a terminal in the kernel's usual mode the kernel echoes what is typed and makes `\r\n` of
//! `\n`, as for any program. Elsewhere (a socket, a pipe, a terminal made raw) the board has to
//! do both itself, like the serial driver of a real one.

use super::Stop;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    termios::{LocalModes, OptionalActions, Termios, isatty, tcgetattr, tcsetattr},
};
use std::{
    io,
    os::fd::BorrowedFd,
    time::{Duration, Instant},
};

const BUFFER: usize = 64 * 1024;

/// Longer typed lines lose their end, as on a terminal.
const MAXIMUM_LINE: usize = 64 * 1024;

pub(super) struct Terminal<'a> {
    input: BorrowedFd<'a>,
    output: BorrowedFd<'a>,
    /// Typed, not yet taken.
    typed: Vec<u8>,
    /// Printed, not yet written.
    printed: Vec<u8>,
    /// Whether the board does what a terminal otherwise does.
    own_lines: bool,
    echo: bool,
    /// How the terminal was before it was changed.
    before: Option<Termios>,
}

impl<'a> Terminal<'a> {
    pub(super) fn new(input: BorrowedFd<'a>, output: BorrowedFd<'a>) -> Self {
        Self {
            input,
            output,
            typed: Vec::new(),
            printed: Vec::with_capacity(BUFFER),
            own_lines: !isatty(output),
            echo: true,
            before: None,
        }
    }

    /// Prints text; `\n` arrives as `\r\n`.
    pub(super) fn print(&mut self, text: &[u8]) -> Result<(), Stop> {
        if !self.own_lines {
            return self.put(text);
        }
        for line in text.split_inclusive(|&byte| byte == b'\n') {
            match line.strip_suffix(b"\n") {
                Some(line) => {
                    self.put(line)?;
                    self.put(b"\r\n")?;
                }
                None => self.put(line)?,
            }
        }
        Ok(())
    }

    fn put(&mut self, mut bytes: &[u8]) -> Result<(), Stop> {
        while !bytes.is_empty() {
            if self.printed.len() == BUFFER {
                self.flush()?;
            }
            let room = bytes.len().min(BUFFER - self.printed.len());
            self.printed.extend_from_slice(&bytes[..room]);
            bytes = &bytes[room..];
        }
        Ok(())
    }

    pub(super) fn flush(&mut self) -> Result<(), Stop> {
        let mut written = 0;
        while written < self.printed.len() {
            match rustix::io::write(self.output, &self.printed[written..]) {
                Ok(length) => written += length,
                Err(Errno::INTR) => {}
                // EIO, EPIPE, ECONNRESET: all say that nobody is there.
                Err(_) => return Err(Stop::Closed),
            }
        }
        self.printed.clear();
        Ok(())
    }

    /// The next line typed, without its end. Ctrl-C gives up what was typed of it.
    pub(super) fn read_line(&mut self) -> Result<Vec<u8>, Stop> {
        let mut line = Vec::new();
        loop {
            match self.next_byte()? {
                b'\r' | b'\n' => {
                    self.echo(b"\n")?;
                    return Ok(line);
                }
                0x03 => {
                    self.echo(b"^C\n")?;
                    return Ok(Vec::new());
                }
                byte => {
                    self.echo(&[byte])?;
                    if line.len() < MAXIMUM_LINE {
                        line.push(byte);
                    }
                }
            }
        }
    }

    /// Waits until `text` was typed.
    pub(super) fn wait_for(&mut self, text: &[u8]) -> Result<(), Stop> {
        let mut seen = Vec::new();
        while !seen.ends_with(text) {
            if seen.len() >= text.len().max(1) {
                seen.remove(0);
            }
            let byte = self.next_byte()?;
            self.echo(&[byte])?;
            seen.push(byte);
        }
        Ok(())
    }

    /// Whether anything is typed within that time; it is taken, with what came with it.
    pub(super) fn key_within(&mut self, within: Duration) -> Result<bool, Stop> {
        self.flush()?;
        if self.typed.is_empty() && !self.ready(PollFlags::IN, within)? {
            return Ok(false);
        }
        self.next_byte()?;
        self.typed.clear();
        Ok(true)
    }

    /// Lets time pass. What is typed meanwhile waits.
    pub(super) fn delay(&mut self, duration: Duration) -> Result<(), Stop> {
        self.flush()?;
        match self.ready(PollFlags::empty(), duration)? {
            true => Err(Stop::Closed),
            false => Ok(()),
        }
    }

    /// Never answers again.
    pub(super) fn hang(&mut self) -> Result<(), Stop> {
        loop {
            self.typed.clear();
            self.next_byte()?;
        }
    }

    /// Takes the terminal's work on lines off the kernel.
    pub(super) fn set_raw(&mut self) -> io::Result<()> {
        self.own_lines = true;
        self.change(Termios::make_raw)
    }

    pub(super) fn set_echo(&mut self, on: bool) -> io::Result<()> {
        self.echo = on;
        if self.own_lines {
            return Ok(());
        }
        self.change(|settings| settings.local_modes.set(LocalModes::ECHO, on))
    }

    fn change(&mut self, change: impl FnOnce(&mut Termios)) -> io::Result<()> {
        if !isatty(self.output) {
            return Ok(());
        }
        let mut settings = tcgetattr(self.output)?;
        self.before.get_or_insert_with(|| settings.clone());
        change(&mut settings);
        Ok(tcsetattr(self.output, OptionalActions::Now, &settings)?)
    }

    fn echo(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        if self.own_lines && self.echo {
            self.print(bytes)
        } else {
            Ok(())
        }
    }

    fn next_byte(&mut self) -> Result<u8, Stop> {
        if self.typed.is_empty() {
            self.flush()?;
            let mut buffer = [0; 4096];
            let length = loop {
                match rustix::io::read(self.input, &mut buffer) {
                    Err(Errno::INTR) => {}
                    Ok(0) | Err(_) => return Err(Stop::Closed),
                    Ok(length) => break length,
                }
            };
            // Taken from the end, one by one.
            self.typed.extend(buffer[..length].iter().rev());
        }
        self.typed.pop().ok_or(Stop::Closed)
    }

    /// Whether the input has one of `events`, or closes, within that time.
    fn ready(&self, events: PollFlags, within: Duration) -> Result<bool, Stop> {
        let deadline = Instant::now() + within;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let mut watched = [PollFd::from_borrowed_fd(self.input, events)];
            match poll(&mut watched, Timespec::try_from(left).ok().as_ref()) {
                Err(Errno::INTR) => {}
                Err(error) => return Err(Stop::Failed(error.into())),
                Ok(count) => return Ok(count > 0),
            }
        }
    }
}

impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // The terminal may be gone, and then needs nothing.
            let _ = tcsetattr(self.output, OptionalActions::Now, before);
        }
    }
}
