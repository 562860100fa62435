//! Consoles: the bytes a board prints and the bytes typed at it.
//!
//! [`ConsoleTarget`] names every kind as text and opens it: a serial port ([`SerialConsole`]), TCP,
//! telnet, RFC 2217, ssh, any command on a terminal. [`Fenced`] keeps bytes of one life of the board
//! out of the next; [`Reopening`] brings back what vanished, and says so.
//!
//! The runner holds one [`Console`] per connection. A console never interprets what passes: no
//! lines, no character sets, no log. [`crate::recording::Recorded`] wraps one to journal it.

mod epoch;
mod ext;
pub mod fence;
mod line;
mod ports;
mod pty;
pub mod reopen;
mod serial;
mod ssh;
mod stream;
pub mod target;
pub mod telnet;

pub use epoch::{Epoch, EpochCounter};
pub use ext::{Chunk, ConsoleExt, Drained};
pub use fence::Fenced;
pub use line::{DEFAULT_BAUD, DataBits, FlowControl, LineSettings, ModemLines, Parity, StopBits};
pub use ports::{SerialFactory, UsbPort};
pub use pty::{PtyConsole, PtyOptions};
pub use reopen::Reopening;
pub use serial::SerialConsole;
pub use ssh::{HostKeyCheck, SshOptions};
pub use stream::{StreamConsole, TcpConsole};
pub use target::ConsoleTarget;
pub use telnet::{Rfc2217Console, TelnetConsole};

use crate::error::{ErrorKind, HalError};
use async_trait::async_trait;
use std::{
    task::{Context, Poll},
    time::Duration,
};

/// A byte stream to and from a board.
///
/// The contract of every implementation:
/// - **Order.** Bytes come out in the order the board sent them, each exactly once; none is lost,
///   also when the board closes the stream right after sending.
/// - **End.** Once a read gave 0 every later read gives 0. Writes then fail with
///   [`ErrorKind::Closed`].
/// - **Cancellation.** A poll that returns `Pending` has taken no byte. Therefore every future
///   built from polls loses nothing when it is dropped.
/// - **One holder.** A console has one owner; a second process that opens the same device is kept
///   out if the transport can do that (a TTY by exclusive use), or gets its own copy (TCP).
/// - **Drop.** Dropping closes at once. It sends nothing to the board, and the line is left as it
///   was: what the board was doing goes on.
///
/// Async code uses the methods of [`ConsoleExt`].
#[async_trait]
pub trait Console: Send {
    /// Takes what the board sent, at most `buffer.len()` bytes, as soon as there is any. `Ok(0)`
    /// says that the console is closed; an empty `buffer` is the caller's mistake.
    ///
    /// # Errors
    /// When the transport failed in another way than by closing.
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<Result<usize, HalError>>;

    /// Types some of `bytes` and says how many; `Pending` when the transport is full.
    ///
    /// # Errors
    /// `Closed` when nobody can receive them any more.
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, HalError>>;

    /// Closes the console and ends what is behind it, gently for at most `grace`, by force after
    /// that. What was not read is thrown away. Idempotent. When the future is dropped the console
    /// may stay open until the console itself is dropped.
    ///
    /// # Errors
    /// When what is behind it could not be ended.
    async fn close(&mut self, grace: Duration) -> Result<(), HalError>;

    /// The device or command, for messages: "'telnet rack 7001'", "tcp://rack:7001".
    fn description(&self) -> String;

    /// Counts the boots of the board: see [`Epoch`].
    fn epoch(&self) -> Epoch {
        Epoch::default()
    }

    /// Why the console closed by itself, for a message, once a read gave 0; `None` when unknown.
    async fn end_reason(&mut self) -> Option<String> {
        None
    }

    /// Control of the physical line, where there is one.
    fn line_control(&mut self) -> Option<&mut dyn LineControl> {
        None
    }
}

/// What a serial line can do besides carrying bytes.
#[async_trait]
pub trait LineControl: Send {
    /// Holds the line in the BREAK state for `duration`. Ends BREAK also when cancelled.
    ///
    /// # Errors
    /// When the device is gone.
    async fn send_break(&mut self, duration: Duration) -> Result<(), HalError>;

    /// Sets the DTR output.
    ///
    /// # Errors
    /// When the device is gone, or `Unsupported`.
    async fn set_dtr(&mut self, on: bool) -> Result<(), HalError>;

    /// Sets the RTS output.
    ///
    /// # Errors
    /// When the device is gone, or `Unsupported`.
    async fn set_rts(&mut self, on: bool) -> Result<(), HalError>;

    /// The inputs of the line.
    ///
    /// # Errors
    /// When the device is gone, or `Unsupported`, which is the default.
    async fn modem_lines(&mut self) -> Result<ModemLines, HalError> {
        let message = "this console has no modem lines";
        Err(HalError::new(
            ErrorKind::Unsupported,
            "modem lines",
            message,
        ))
    }
}

/// Passes a whole trait on to what a pointer points to.
macro_rules! console_of_pointer {
    ($(<$($generic:tt),*>)? $pointer:ty) => {
        #[async_trait]
        impl<$($($generic,)*)? C: Console + ?Sized> Console for $pointer {
            fn poll_read(
                &mut self,
                cx: &mut Context<'_>,
                buffer: &mut [u8],
            ) -> Poll<Result<usize, HalError>> {
                (**self).poll_read(cx, buffer)
            }

            fn poll_write(
                &mut self,
                cx: &mut Context<'_>,
                bytes: &[u8],
            ) -> Poll<Result<usize, HalError>> {
                (**self).poll_write(cx, bytes)
            }

            async fn close(&mut self, grace: Duration) -> Result<(), HalError> {
                (**self).close(grace).await
            }

            fn description(&self) -> String {
                (**self).description()
            }

            fn epoch(&self) -> Epoch {
                (**self).epoch()
            }

            async fn end_reason(&mut self) -> Option<String> {
                (**self).end_reason().await
            }

            fn line_control(&mut self) -> Option<&mut dyn LineControl> {
                (**self).line_control()
            }
        }
    };
}

console_of_pointer!(Box<C>);
console_of_pointer!(&mut C);
