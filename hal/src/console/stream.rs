//! Consoles over a byte stream: raw TCP (ser2net, QEMU's sockets) and anything else that tokio
//! reads and writes.

use super::{Console, Epoch, EpochCounter};
use crate::error::{ErrorKind, HalError, kind_of};
use async_trait::async_trait;
use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
    time::{Instant, timeout_at},
};

/// A console over a byte stream.
#[derive(Debug)]
pub struct StreamConsole<S> {
    stream: S,
    ended: bool,
    closed: bool,
    description: String,
    epoch: EpochCounter,
}

/// A console over a raw TCP connection: no telnet negotiation, bytes as they are.
pub type TcpConsole = StreamConsole<TcpStream>;

impl TcpConsole {
    /// Connects to `address` ("rack:7001").
    ///
    /// # Errors
    /// `Timeout` when `deadline` passes first, or what the network says.
    pub async fn connect(
        address: &str,
        epoch: EpochCounter,
        deadline: Instant,
    ) -> Result<Self, HalError> {
        let description = format!("tcp://{address}");
        let stream = connect(address, &description, deadline).await?;
        Ok(Self::new(stream, description, epoch))
    }
}

/// Connects to `address` for the console that `description` names.
pub(super) async fn connect(
    address: &str,
    description: &str,
    deadline: Instant,
) -> Result<TcpStream, HalError> {
    let connecting = timeout_at(deadline, TcpStream::connect(address)).await;
    let stream = connecting.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    // Single typed characters must not wait for more.
    let stream = stream.and_then(|stream| stream.set_nodelay(true).map(|()| stream));
    stream.map_err(|error| {
        HalError::from_io("connect to", description, error)
            .with_hint("is the console server running, and nobody else connected?")
    })
}

impl<S> StreamConsole<S> {
    /// A console over `stream`; `description` names it in messages.
    pub fn new(stream: S, description: impl Into<String>, epoch: EpochCounter) -> Self {
        let description = description.into();
        Self {
            stream,
            ended: false,
            closed: false,
            description,
            epoch,
        }
    }

    fn error(&self, doing: &str, error: io::Error) -> HalError {
        HalError::from_io(doing, &self.description, error)
    }
}

#[async_trait]
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Console for StreamConsole<S> {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<Result<usize, HalError>> {
        if self.ended || self.closed {
            return Poll::Ready(Ok(0));
        }
        let mut buffer = ReadBuf::new(buffer);
        let result = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer));
        let length = buffer.filled().len();
        match result {
            Ok(()) => {
                self.ended = length == 0;
                Poll::Ready(Ok(length))
            }
            // A console server that is switched off resets its connections.
            Err(error) if kind_of(&error) == ErrorKind::Closed => {
                self.ended = true;
                Poll::Ready(Ok(0))
            }
            Err(error) => Poll::Ready(Err(self.error("read from", error))),
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, HalError>> {
        if self.closed || self.ended {
            let message = format!("the console {} is closed", self.description);
            return Poll::Ready(Err(HalError::new(
                ErrorKind::Closed,
                &self.description,
                message,
            )));
        }
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes));
        Poll::Ready(written.map_err(|error| self.error("write to", error)))
    }

    async fn close(&mut self, grace: Duration) -> Result<(), HalError> {
        if !std::mem::replace(&mut self.closed, true) {
            // What was typed last may still be under way; if the other side takes nothing any
            // more, that is how a console ends too.
            let _ = timeout_at(Instant::now() + grace, self.stream.shutdown()).await;
        }
        Ok(())
    }

    fn description(&self) -> String {
        self.description.clone()
    }

    fn epoch(&self) -> Epoch {
        self.epoch.current()
    }

    async fn end_reason(&mut self) -> Option<String> {
        self.ended
            .then(|| format!("{} closed the connection", self.description))
    }
}
