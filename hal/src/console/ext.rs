//! Async methods for every console.

use super::{Console, Epoch, fence::SETTLE};
use crate::error::{ErrorKind, HalError};
use std::{
    future::{Future, poll_fn},
    task::ready,
    time::Duration,
};
use tokio::time::{Instant, timeout_at};

const DRAIN_BUFFER: usize = 16 * 1024;

/// How long a board that does not stop printing is listened to when that is to be thrown away.
const DISCARD_AT_MOST: Duration = Duration::from_millis(100);

/// What one read took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// How many bytes of the buffer were filled; 0 says that the console is closed.
    pub length: usize,
    /// When they were read.
    pub at: Instant,
    /// The board's life at that moment.
    pub epoch: Epoch,
}

impl Chunk {
    /// Whether the console is closed.
    pub fn is_end(&self) -> bool {
        self.length == 0
    }
}

/// Async methods for every [`Console`].
pub trait ConsoleExt: Console {
    /// Waits until the board sends something or the console closes. Has no deadline of its own:
    /// combine it with the caller's. Cancel-safe: a dropped read has taken nothing.
    ///
    /// # Errors
    /// When the transport fails.
    fn read<'a>(
        &'a mut self,
        buffer: &'a mut [u8],
    ) -> impl Future<Output = Result<Chunk, HalError>> + Send + 'a {
        poll_fn(move |cx| {
            let length = ready!(self.poll_read(cx, buffer))?;
            Ok(Chunk {
                length,
                at: Instant::now(),
                epoch: self.epoch(),
            })
            .into()
        })
    }

    /// Types some of `bytes` and says how many. Cancel-safe: a dropped write has typed nothing.
    ///
    /// # Errors
    /// `Closed` when nobody can receive them any more.
    fn write<'a>(
        &'a mut self,
        bytes: &'a [u8],
    ) -> impl Future<Output = Result<usize, HalError>> + Send + 'a {
        poll_fn(move |cx| self.poll_write(cx, bytes))
    }

    /// Types all of `bytes`. Not cancel-safe: a dropped future may have typed a part.
    ///
    /// A board that does not read blocks this, and a board whose output nobody reads may stop
    /// reading. Who types more than a few hundred bytes reads meanwhile, with [`Self::write`].
    ///
    /// # Errors
    /// `Closed`; `Timeout` when `deadline` passes first.
    fn write_all<'a>(
        &'a mut self,
        bytes: &'a [u8],
        deadline: Instant,
    ) -> impl Future<Output = Result<(), HalError>> + Send + 'a {
        async move {
            let mut typed = 0;
            while typed < bytes.len() {
                match timeout_at(deadline, self.write(&bytes[typed..])).await {
                    Ok(length) => typed += length?,
                    Err(_) => return Err(not_taken(&self.description(), typed, bytes.len())),
                }
            }
            Ok(())
        }
    }

    /// Reads until nothing came for `quiet`, the console closed, or `deadline` passed, and gives
    /// every piece to `record` with its stamp. Cancel-safe: what was read was recorded.
    ///
    /// Between switching a board off and on again this takes the last words of its old life, in
    /// the old epoch, also those that were still under way: `quiet` is longer than the longest
    /// delay of the path (a USB adapter keeps bytes for up to 16 ms, a console server for some
    /// tens). What is left after that is no longer told apart from the next life.
    ///
    /// # Errors
    /// When the transport fails.
    fn drain<'a>(
        &'a mut self,
        quiet: Duration,
        deadline: Instant,
        mut record: impl FnMut(Chunk, &[u8]) + Send + 'a,
    ) -> impl Future<Output = Result<Drained, HalError>> + Send + 'a {
        async move {
            let mut drained = Drained::default();
            let mut buffer = vec![0; DRAIN_BUFFER];
            loop {
                let silent = Instant::now() + quiet;
                match timeout_at(silent.min(deadline), self.read(&mut buffer)).await {
                    Err(_) => {
                        drained.quiet = silent <= deadline;
                        return Ok(drained);
                    }
                    Ok(chunk) => {
                        let chunk = chunk?;
                        if chunk.is_end() {
                            drained.closed = true;
                            return Ok(drained);
                        }
                        drained.bytes += chunk.length as u64;
                        record(chunk, &buffer[..chunk.length]);
                        if Instant::now() >= deadline {
                            return Ok(drained);
                        }
                    }
                }
            }
        }
    }

    /// Throws away what this machine's kernel already holds, right after opening a device that
    /// others used before: see [`Self::drain`]. Ends after at most 100 ms, also at a board that
    /// prints without end, and says how many bytes it was.
    ///
    /// # Errors
    /// When the transport fails.
    fn discard_pending(&mut self) -> impl Future<Output = Result<u64, HalError>> + Send + '_ {
        async move {
            let until = Instant::now() + DISCARD_AT_MOST;
            let drained = self.drain(SETTLE, until, |_, _| {}).await?;
            Ok(drained.bytes)
        }
    }
}

impl<C: Console + ?Sized> ConsoleExt for C {}

/// How a [`ConsoleExt::drain`] ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// How many bytes were read.
    pub bytes: u64,
    /// Whether the line was quiet for as long as wanted; else the deadline came first.
    pub quiet: bool,
    /// Whether the console closed meanwhile.
    pub closed: bool,
}

fn not_taken(console: &str, typed: usize, all: usize) -> HalError {
    let message = format!("{console} took only {typed} of {all} bytes typed");
    HalError::new(ErrorKind::Timeout, console, message)
        .with_hint("the board does not read its console: it hangs, or flow control stops it")
}
