//! A connection that speaks telnet: what [`TelnetConsole`](super::TelnetConsole) and
//! [`Rfc2217Console`](super::Rfc2217Console) are made of.

use super::codec::{Subnegotiation, TelnetCodec};
use crate::error::{ErrorKind, HalError, kind_of};
use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    time::{Instant, timeout_at},
};

/// What of the board is kept while an answer of the server is awaited.
const STASH_LIMIT: usize = 1 << 20;

/// What waits to be sent. A server that makes us answer more than this without taking it does
/// not negotiate, it attacks.
const OUTGOING_LIMIT: usize = 64 * 1024;

/// How much typed text is encoded at once.
const TYPED_AT_ONCE: usize = 4096;

/// One telnet connection.
#[derive(Debug)]
pub(super) struct Link<S> {
    stream: S,
    pub(super) codec: TelnetCodec,
    /// Encoded, and not sent yet; its first `sent` bytes are.
    outgoing: Vec<u8>,
    sent: usize,
    /// The board's bytes that came while something else was awaited; the first `taken` were read.
    stash: Vec<u8>,
    taken: usize,
    pub(super) ended: bool,
    closed: bool,
    description: String,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Link<S> {
    pub(super) fn new(stream: S, codec: TelnetCodec, description: String) -> Self {
        Self {
            stream,
            codec,
            outgoing: Vec::new(),
            sent: 0,
            stash: Vec::new(),
            taken: 0,
            ended: false,
            closed: false,
            description,
        }
    }

    pub(super) fn description(&self) -> &str {
        &self.description
    }

    /// Takes the board's bytes. What else the server says is handled by the codec meanwhile.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<Result<usize, HalError>> {
        if self.closed {
            return Poll::Ready(Ok(0));
        }
        if self.taken < self.stash.len() {
            let length = buffer.len().min(self.stash.len() - self.taken);
            buffer[..length].copy_from_slice(&self.stash[self.taken..self.taken + length]);
            self.taken += length;
            if self.taken == self.stash.len() {
                (self.stash, self.taken) = (Vec::new(), 0);
            }
            return Poll::Ready(Ok(length));
        }
        self.poll_receive(cx, buffer)
    }

    /// As [`Self::poll_read`], from the connection only.
    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<Result<usize, HalError>> {
        loop {
            if self.ended {
                return Poll::Ready(Ok(0));
            }
            // A connection that takes no answers may still give what the board said.
            let _ = self.poll_flush(cx)?;
            let mut unfilled = ReadBuf::new(buffer);
            let read = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut unfilled));
            let length = unfilled.filled().len();
            match read {
                Ok(()) if length > 0 => {}
                Err(error) if kind_of(&error) != ErrorKind::Closed => {
                    return Poll::Ready(Err(self.error("read from", error)));
                }
                _ => {
                    self.ended = true;
                    continue;
                }
            }
            let length = self.codec.decode(&mut buffer[..length]);
            if !self.codec.replies().is_empty() {
                let _ = self.poll_flush(cx)?;
            }
            if length > 0 {
                return Poll::Ready(Ok(length));
            }
        }
    }

    /// Receives while something else than the board's bytes is awaited; those are kept. Ready
    /// when something came or the connection ended.
    ///
    /// # Errors
    /// `Exhausted` when more was kept than one may.
    pub(super) fn poll_pump(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), HalError>> {
        if self.stash.len() >= STASH_LIMIT {
            let name = &self.description;
            let message = format!(
                "{name} sent {STASH_LIMIT} bytes of the board instead of the answer that was awaited"
            );
            return Poll::Ready(Err(HalError::new(ErrorKind::Exhausted, name, message)));
        }
        let mut buffer = [0; 4096];
        let length = ready!(self.poll_receive(cx, &mut buffer))?;
        self.stash.extend_from_slice(&buffer[..length]);
        Poll::Ready(Ok(()))
    }

    /// Types some of `bytes`.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize, HalError>> {
        if self.closed || self.ended {
            return Poll::Ready(Err(self.is_closed()));
        }
        ready!(self.poll_flush(cx))?;
        let plain = self.codec.unchanged_length(bytes);
        if plain > 0 {
            let sent = Pin::new(&mut self.stream).poll_write(cx, &bytes[..plain]);
            return sent.map_err(|error| self.error("write to", error));
        }
        // What the connection does not take at once is sent before anything else.
        let typed = &bytes[..bytes.len().min(TYPED_AT_ONCE)];
        self.codec.encode(typed, &mut self.outgoing);
        let _ = self.poll_flush(cx)?;
        Poll::Ready(Ok(typed.len()))
    }

    /// Sends what waits.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), HalError>> {
        self.outgoing.append(self.codec.replies());
        if self.outgoing.len() - self.sent > OUTGOING_LIMIT {
            let name = &self.description;
            let message = format!("{name} asks for telnet options without end and takes no answer");
            return Poll::Ready(Err(HalError::new(ErrorKind::Protocol, name, message)
                .with_hint(
                    "is there a console server at all? try tcp:// instead of telnet://",
                )));
        }
        while self.sent < self.outgoing.len() {
            let written =
                ready!(Pin::new(&mut self.stream).poll_write(cx, &self.outgoing[self.sent..]));
            match written {
                Ok(length @ 1..) => self.sent += length,
                Ok(0) => return Poll::Ready(Err(self.is_closed())),
                // The reader sees the end, after what the board said last.
                Err(error) if kind_of(&error) == ErrorKind::Closed => break,
                Err(error) => return Poll::Ready(Err(self.error("write to", error))),
            }
        }
        self.outgoing.clear();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }

    /// Puts bytes of the protocol in line to be sent.
    pub(super) fn queue(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        // Answers of the negotiation come first: they decide what these bytes mean.
        self.outgoing.append(self.codec.replies());
        encode(&mut self.outgoing);
    }

    /// Sends what can be sent without waiting, for a value that is being dropped.
    pub(super) fn flush_now(&mut self) {
        let _ = self.poll_flush(&mut Context::from_waker(Waker::noop()));
    }

    /// Sends all that waits.
    ///
    /// # Errors
    /// `Timeout` when the server does not take it, `Closed` when it is gone.
    pub(super) async fn flush(&mut self, deadline: Instant) -> Result<(), HalError> {
        if self.closed || self.ended {
            return Err(self.is_closed());
        }
        match timeout_at(deadline, poll_fn(|cx| self.poll_flush(cx))).await {
            Ok(flushed) => flushed,
            Err(_) => {
                let message = format!("{} takes nothing any more", self.description);
                Err(HalError::new(
                    ErrorKind::Timeout,
                    &self.description,
                    message,
                ))
            }
        }
    }

    pub(super) fn take_subnegotiations(&mut self) -> Vec<Subnegotiation> {
        self.codec.take_subnegotiations()
    }

    pub(super) async fn close(&mut self, grace: Duration) {
        if !std::mem::replace(&mut self.closed, true) {
            let until = Instant::now() + grace;
            // What was typed last may still be under way; if the other side takes nothing any
            // more, that is how a console ends too.
            let _ = timeout_at(until, poll_fn(|cx| self.poll_flush(cx))).await;
            let _ = timeout_at(until, self.stream.shutdown()).await;
        }
    }

    pub(super) fn end_reason(&self) -> Option<String> {
        self.ended
            .then(|| format!("{} closed the connection", self.description))
    }

    pub(super) fn is_closed(&self) -> HalError {
        let message = format!("the console {} is closed", self.description);
        HalError::new(ErrorKind::Closed, &self.description, message)
    }

    fn error(&self, doing: &str, error: io::Error) -> HalError {
        HalError::from_io(doing, &self.description, error)
    }
}
