//! The recording wrapper: whatever passes a console goes to a sink as well.
//!
//! `hal` does not know the journal's format: the runner implements [`ConsoleSink`].

use crate::{
    console::{Console, Epoch, LineControl},
    error::HalError,
};
use async_trait::async_trait;
use std::{
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::Instant;

/// Which way bytes went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The board sent them.
    Output,
    /// They were typed.
    Input,
}

/// Something that passed a console: what every recording comes down to, and what
/// [`Player`](crate::player::Player) plays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// When, since the recording began.
    pub at: Duration,
    /// The board's life at that moment.
    pub epoch: Epoch,
    /// Which way.
    pub direction: Direction,
    /// What.
    pub bytes: Vec<u8>,
}

/// Receives what passes a console, in order and exactly once.
pub trait ConsoleSink: Send {
    /// The board sent `bytes`. Called before the reader gets them.
    ///
    /// # Errors
    /// When they cannot be recorded; the read fails with it.
    fn output(&mut self, at: Instant, epoch: Epoch, bytes: &[u8]) -> Result<(), HalError>;

    /// `bytes` were typed. Called after the transport took them.
    ///
    /// # Errors
    /// When they cannot be recorded; the write fails with it.
    fn input(&mut self, at: Instant, epoch: Epoch, bytes: &[u8]) -> Result<(), HalError>;
}

/// A console whose traffic is recorded.
#[derive(Debug)]
pub struct Recorded<C, S> {
    console: C,
    sink: S,
}

impl<C: Console, S: ConsoleSink> Recorded<C, S> {
    /// Records what passes `console` from now on.
    pub fn new(console: C, sink: S) -> Self {
        Self { console, sink }
    }

    /// The console inside. What is read from it directly is not recorded.
    pub fn console(&self) -> &C {
        &self.console
    }

    /// The sink.
    pub fn sink_mut(&mut self) -> &mut S {
        &mut self.sink
    }

    /// Ends the recording.
    pub fn into_parts(self) -> (C, S) {
        (self.console, self.sink)
    }
}

#[async_trait]
impl<C: Console, S: ConsoleSink> Console for Recorded<C, S> {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<Result<usize, HalError>> {
        let length = ready!(self.console.poll_read(cx, buffer))?;
        if length > 0 {
            self.sink
                .output(Instant::now(), self.console.epoch(), &buffer[..length])?;
        }
        Poll::Ready(Ok(length))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, HalError>> {
        let length = ready!(self.console.poll_write(cx, bytes))?;
        self.sink
            .input(Instant::now(), self.console.epoch(), &bytes[..length])?;
        Poll::Ready(Ok(length))
    }

    async fn close(&mut self, grace: Duration) -> Result<(), HalError> {
        self.console.close(grace).await
    }

    fn description(&self) -> String {
        self.console.description()
    }

    fn epoch(&self) -> Epoch {
        self.console.epoch()
    }

    async fn end_reason(&mut self) -> Option<String> {
        self.console.end_reason().await
    }

    fn line_control(&mut self) -> Option<&mut dyn LineControl> {
        self.console.line_control()
    }
}
