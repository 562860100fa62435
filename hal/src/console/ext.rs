//! Async methods for every console.

use super::{Console, Epoch};
use crate::error::{ErrorKind, HalError};
use std::{
    future::{Future, poll_fn},
    task::ready,
};
use tokio::time::{Instant, timeout_at};

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
}

impl<C: Console + ?Sized> ConsoleExt for C {}

fn not_taken(console: &str, typed: usize, all: usize) -> HalError {
    let message = format!("{console} took only {typed} of {all} bytes typed");
    HalError::new(ErrorKind::Timeout, console, message)
        .with_hint("the board does not read its console: it hangs, or flow control stops it")
}
