//! What fastboot needs of a connection, whatever carries it.

use crate::error::HalError;
use async_trait::async_trait;
use std::future::Future;
use tokio::time::{Instant, sleep_until};

/// A connection that keeps the borders of messages: USB, TCP or UDP.
///
/// The contract of every implementation:
/// - **No deadline** in `send`, `receive` and the data methods: the client drops the future when
///   its caller's deadline passes. What was in flight may or may not arrive; the client then uses
///   the connection no more before [`Self::reopen`].
/// - **Bounded.** No method holds more memory than the message it was given and a fixed queue.
/// - **Errors** name [`Self::description`]; a connection that is gone is
///   [`Closed`](crate::ErrorKind::Closed).
#[async_trait]
pub trait Transport: Send {
    /// Names the device in messages: "usb:1-1.2", "udp:board01:5554".
    fn description(&self) -> &str;

    /// Sends one message.
    ///
    /// # Errors
    /// When it cannot be sent.
    async fn send(&mut self, message: &[u8]) -> Result<(), HalError>;

    /// Receives one message, or as much of the device's data as has come, into `buffer`; gives
    /// its length, which is never 0.
    ///
    /// # Errors
    /// `Protocol` when the message is longer than `buffer`.
    async fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, HalError>;

    /// Sends a part of a download. It may return while bytes are still in a queue.
    ///
    /// # Errors
    /// As `send`.
    async fn send_data(&mut self, data: Vec<u8>) -> Result<(), HalError> {
        self.send(&data).await
    }

    /// Waits until everything given to `send_data` is out.
    ///
    /// # Errors
    /// As `send`.
    async fn finish_data(&mut self) -> Result<(), HalError> {
        Ok(())
    }

    /// Connects anew, to the same device: waits for it until `deadline`. When it `left`, because it
    /// was told to reboot, a device that is still where it was is not taken.
    ///
    /// # Errors
    /// `Timeout` when it did not come back, with the last reason; at once what no waiting cures.
    async fn reopen(&mut self, left: bool, deadline: Instant) -> Result<(), HalError>;

    /// Goes on after a command whose answer nobody waited for, so that what the device still says
    /// to it is not taken for the answer to the next one. Without a connection that keeps what is
    /// on its way this is [`Self::reopen`].
    ///
    /// # Errors
    /// `Timeout` when the device is not done with that command before `deadline`; as `reopen`.
    async fn resume(&mut self, deadline: Instant) -> Result<(), HalError> {
        self.reopen(false, deadline).await
    }

    /// Whether the end of the connection after a command that was sent shows that the device took
    /// the command and left. On a bus it does. A connection over a network can have ended long
    /// before, and silence shows nothing.
    fn shows_leaving(&self) -> bool {
        false
    }

    /// The size of `send_data`'s parts that suits the transport.
    fn chunk_size(&self) -> usize {
        256 * 1024
    }

    /// Whether a device forgets a download of which it got a part when the host connects anew.
    /// Where it does not, it takes the next command for data.
    fn reconnecting_resets(&self) -> bool;
}

#[async_trait]
impl<T: Transport + ?Sized> Transport for Box<T> {
    fn description(&self) -> &str {
        (**self).description()
    }

    async fn send(&mut self, message: &[u8]) -> Result<(), HalError> {
        (**self).send(message).await
    }

    async fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, HalError> {
        (**self).receive(buffer).await
    }

    async fn send_data(&mut self, data: Vec<u8>) -> Result<(), HalError> {
        (**self).send_data(data).await
    }

    async fn finish_data(&mut self) -> Result<(), HalError> {
        (**self).finish_data().await
    }

    async fn reopen(&mut self, left: bool, deadline: Instant) -> Result<(), HalError> {
        (**self).reopen(left, deadline).await
    }

    async fn resume(&mut self, deadline: Instant) -> Result<(), HalError> {
        (**self).resume(deadline).await
    }

    fn shows_leaving(&self) -> bool {
        (**self).shows_leaving()
    }

    fn chunk_size(&self) -> usize {
        (**self).chunk_size()
    }

    fn reconnecting_resets(&self) -> bool {
        (**self).reconnecting_resets()
    }
}

/// How long to wait between two tries to find a device.
const TRY_EVERY: std::time::Duration = std::time::Duration::from_millis(100);

/// Tries `connect` until it works, its error is one that `is_final`, or `deadline` passes.
pub(super) async fn connect_until<T, F>(
    device: &str,
    deadline: Instant,
    mut connect: impl FnMut() -> F,
    is_final: impl Fn(&HalError) -> bool,
) -> Result<T, HalError>
where
    F: Future<Output = Result<T, HalError>>,
{
    let mut last = None;
    loop {
        match tokio::time::timeout_at(deadline, connect()).await {
            Ok(Ok(connected)) => return Ok(connected),
            Ok(Err(error)) if is_final(&error) => return Err(error),
            Ok(Err(error)) => last = Some(error),
            Err(_) => return Err(absent(device, last)),
        }
        if Instant::now() + TRY_EVERY >= deadline {
            return Err(absent(device, last));
        }
        sleep_until(Instant::now() + TRY_EVERY).await;
    }
}

fn absent(device: &str, last: Option<HalError>) -> HalError {
    let message = match &last {
        Some(error) => format!("fastboot device {device} did not come in time: {error}"),
        None => format!("fastboot device {device} did not come in time: it does not answer"),
    };
    let error = HalError::new(crate::ErrorKind::Timeout, device, message)
        .with_hint("is the board powered, and in its bootloader's fastboot mode?");
    match last {
        Some(last) => error.with_source(last),
        None => error,
    }
}
