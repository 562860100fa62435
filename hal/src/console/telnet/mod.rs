//! Consoles behind a telnet server, natively: console servers, ser2net, QEMU's `telnet` sockets.
//!
//! [`codec`] is the protocol without a connection; [`TelnetConsole`] puts it on one, and
//! [`Rfc2217Console`] controls the serial port behind it. The board never gets a byte of the
//! negotiation, and the reader never sees one. No login: a server that asks for a name shows its
//! question as the board's output.

pub mod codec;
mod link;
mod negotiation;
mod rfc2217;
#[cfg(test)]
mod tests;

pub use negotiation::{Side, TelnetOption};
pub use rfc2217::Rfc2217Console;

use super::{Console, Epoch, EpochCounter, LineControl, stream::connect};
use crate::error::{ErrorKind, HalError};
use async_trait::async_trait;
use codec::TelnetCodec;
use link::Link;
use std::{
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::Instant,
};

/// How long a server may take to accept a control request, which has no deadline of its own.
const CONTROL_WITHIN: Duration = Duration::from_secs(5);

/// A console over telnet.
///
/// It asks for eight bits both ways (BINARY) and for SUPPRESS GO AHEAD, goes on whatever the
/// server answers, and lets the server echo. [`LineControl`] has BREAK only.
#[derive(Debug)]
pub struct TelnetConsole<S = TcpStream> {
    link: Link<S>,
    epoch: EpochCounter,
}

impl TelnetConsole {
    /// Connects to `address` ("rack:7001").
    ///
    /// # Errors
    /// `Timeout` when `deadline` passes first, or what the network says.
    pub async fn connect(
        address: &str,
        epoch: EpochCounter,
        deadline: Instant,
    ) -> Result<Self, HalError> {
        let description = format!("telnet://{address}");
        let stream = connect(address, &description, deadline).await?;
        Ok(Self::new(stream, description, epoch))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> TelnetConsole<S> {
    /// A console over `stream`; `description` names it in messages.
    pub fn new(stream: S, description: impl Into<String>, epoch: EpochCounter) -> Self {
        let mut codec = TelnetCodec::new(&[]);
        request_binary(&mut codec);
        let link = Link::new(stream, codec, description.into());
        Self { link, epoch }
    }
}

/// Asks for a connection that changes no byte.
fn request_binary(codec: &mut TelnetCodec) {
    codec.request(TelnetOption::SUPPRESS_GO_AHEAD, Side::Them);
    codec.request(TelnetOption::SUPPRESS_GO_AHEAD, Side::Us);
    codec.request(TelnetOption::BINARY, Side::Us);
    codec.request(TelnetOption::BINARY, Side::Them);
}

#[async_trait]
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Console for TelnetConsole<S> {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<Result<usize, HalError>> {
        self.link.poll_read(cx, buffer)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, HalError>> {
        self.link.poll_write(cx, bytes)
    }

    async fn close(&mut self, grace: Duration) -> Result<(), HalError> {
        self.link.close(grace).await;
        Ok(())
    }

    fn description(&self) -> String {
        self.link.description().to_owned()
    }

    fn epoch(&self) -> Epoch {
        self.epoch.current()
    }

    async fn end_reason(&mut self) -> Option<String> {
        self.link.end_reason()
    }

    fn line_control(&mut self) -> Option<&mut dyn LineControl> {
        Some(self)
    }
}

#[async_trait]
impl<S: AsyncRead + AsyncWrite + Unpin + Send> LineControl for TelnetConsole<S> {
    /// Sends the telnet command BREAK. Its length is the server's: `duration` is not sent.
    async fn send_break(&mut self, _duration: Duration) -> Result<(), HalError> {
        self.link.queue(TelnetCodec::encode_break);
        self.link.flush(Instant::now() + CONTROL_WITHIN).await
    }

    async fn set_dtr(&mut self, _on: bool) -> Result<(), HalError> {
        Err(self.cannot("DTR"))
    }

    async fn set_rts(&mut self, _on: bool) -> Result<(), HalError> {
        Err(self.cannot("RTS"))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> TelnetConsole<S> {
    fn cannot(&self, output: &str) -> HalError {
        let name = self.link.description();
        let message = format!("{name} cannot set {output}: telnet has only BREAK");
        HalError::new(ErrorKind::Unsupported, name, message)
            .with_hint("use rfc2217:// if the console server offers it")
    }
}
