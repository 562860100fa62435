//! What every method of the client is made of: a command, perhaps its data, and the responses.
//!
//! Keeps account of where in an exchange the connection is, so that one that was broken off is
//! never taken for one that is ready. Knows no command by its meaning.

use super::{
    Fastboot,
    reply::{Progress, Replies, Reply},
};
use crate::{
    error::{ErrorKind, HalError},
    fastboot::{
        feed::{Feed, source_failed},
        image::Download,
        protocol::{Command, MAX_DOWNLOAD, MAX_RESPONSE, Response, shorten},
        refusal::refused,
        transport::Transport,
    },
};
use std::future::Future;
use tokio::time::{Instant, timeout_at};

/// What the connection is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Session {
    /// The device waits for a command.
    Ready,
    /// The device left, as it was told to: it has to be found again.
    Left,
    /// A command was sent and its end was not seen: it will come.
    InCommand,
    /// The connection failed, or the device said what we do not understand, or sends data: what
    /// will come is not known.
    Confused,
    /// The device takes what comes for data, or may do so.
    InData,
}

/// What decides about a command.
pub(super) enum Answer {
    Done,
    Data(u32),
}

impl<T: Transport> Fastboot<T> {
    /// A command after which the device is gone. Over USB some reset before their answer is out:
    /// that they took the command and left the bus is what the answer would have said. Elsewhere
    /// nothing tells that they took it, and no answer is an error.
    pub(super) async fn leave(
        &mut self,
        command: &str,
        progress: impl FnMut(Progress<'_>) + Send,
        deadline: Instant,
    ) -> Result<Reply, HalError> {
        let command = Command::new(command)?;
        let mut replies = Replies::default();
        self.begin(&command, deadline).await?;
        match self
            .answer(&command, &mut replies, progress, deadline)
            .await
        {
            Ok(Answer::Done) => {}
            Ok(Answer::Data(_)) => return Err(self.unasked_data(&command)),
            Err(error) if error.kind() == ErrorKind::Closed && self.transport.shows_leaving() => {}
            Err(error) => return Err(error),
        }
        self.session = Session::Left;
        Ok(replies.into_reply())
    }

    /// A command without data.
    pub(super) async fn exchange(
        &mut self,
        command: &Command,
        progress: impl FnMut(Progress<'_>) + Send,
        deadline: Instant,
    ) -> Result<Reply, HalError> {
        let mut replies = Replies::default();
        self.begin(command, deadline).await?;
        match self
            .answer(command, &mut replies, progress, deadline)
            .await?
        {
            Answer::Done => {
                self.session = Session::Ready;
                Ok(replies.into_reply())
            }
            Answer::Data(_) => Err(self.unasked_data(command)),
        }
    }

    pub(super) async fn send_download(
        &mut self,
        download: Download,
        mut progress: impl FnMut(Progress<'_>) + Send,
        deadline: Instant,
    ) -> Result<Reply, HalError> {
        let Download { size, reader } = download;
        let announced = u32::try_from(size).ok().filter(|size| *size > 0);
        let Some(announced) = announced else {
            let message = format!(
                "cannot send {size} bytes to {}: a download has 1 to {MAX_DOWNLOAD}",
                self.description()
            );
            let device = self.description();
            return Err(HalError::new(ErrorKind::InvalidInput, device, message));
        };
        let command = Command::download(announced);
        let mut replies = Replies::default();
        self.begin(&command, deadline).await?;
        match self
            .answer(&command, &mut replies, &mut progress, deadline)
            .await?
        {
            Answer::Data(size) if size == announced => {}
            Answer::Data(other) => {
                let error = self.garbled(&command, &format!("DATA for {other} bytes"));
                self.session = Session::InData;
                return Err(error);
            }
            Answer::Done => {
                self.session = Session::Confused;
                return Err(self.garbled(&command, "OKAY instead of DATA"));
            }
        }
        let mut feed = Feed::start(reader, size, self.transport.chunk_size());
        let sending = async {
            let mut sent = 0;
            while let Some(chunk) = feed.next().await {
                let chunk =
                    chunk.map_err(|error| source_failed(self.transport.description(), error))?;
                sent += chunk.len() as u64;
                self.transport.send_data(chunk).await?;
                progress(Progress::Sent {
                    bytes: sent,
                    total: size,
                });
            }
            self.transport.finish_data().await
        };
        let sending = timeout_at(deadline, sending).await;
        sending.map_err(|_| self.untaken(&command))??;
        self.session = Session::InCommand;
        match self
            .answer(&command, &mut replies, progress, deadline)
            .await?
        {
            Answer::Done => self.session = Session::Ready,
            Answer::Data(_) => return Err(self.garbled(&command, "DATA twice")),
        }
        Ok(replies.into_reply())
    }

    /// Makes the connection fit for a command, and sends it.
    pub(super) async fn begin(
        &mut self,
        command: &Command,
        deadline: Instant,
    ) -> Result<(), HalError> {
        match self.session {
            Session::Ready => {}
            Session::InCommand => {
                self.max_download = None;
                self.transport.resume(deadline).await?;
                self.session = Session::Ready;
            }
            Session::Left | Session::Confused | Session::InData => self.reconnect(deadline).await?,
        }
        // A device may wait for data before it was heard to say so.
        self.session = if command.announces_data() {
            Session::InData
        } else {
            Session::InCommand
        };
        let sending = timeout_at(deadline, self.transport.send(command.as_bytes())).await;
        let sent = sending.map_err(|_| self.late(command))?;
        sent.inspect_err(|_| self.confuse())
    }

    /// After a failure: no answer will come that could be waited for.
    fn confuse(&mut self) {
        if self.session == Session::InCommand {
            self.session = Session::Confused;
        }
    }

    /// Reads responses until the one that decides. After a FAIL the device waits for the next
    /// command.
    pub(super) async fn answer(
        &mut self,
        command: &Command,
        replies: &mut Replies,
        mut progress: impl FnMut(Progress<'_>) + Send,
        deadline: Instant,
    ) -> Result<Answer, HalError> {
        let mut buffer = [0; MAX_RESPONSE];
        loop {
            let receiving = timeout_at(deadline, self.transport.receive(&mut buffer)).await;
            let received = receiving.map_err(|_| self.late(command))?;
            let length = received.inspect_err(|_| self.confuse())?;
            let response = match Response::parse(&buffer[..length]) {
                Ok(response) => response,
                Err(error) => return Err(self.garbled(command, &error.to_string())),
            };
            let (text, ends_line) = match response {
                Response::Okay(value) => {
                    replies.value = value;
                    return Ok(Answer::Done);
                }
                Response::Fail(reason) => {
                    self.session = Session::Ready;
                    return Err(refused(self.description(), command, &reason));
                }
                Response::Data(size) => return Ok(Answer::Data(size)),
                Response::Info(text) => (text, true),
                Response::Text(text) => (text, false),
            };
            progress(Progress::Info(&text));
            if !replies.add(&text, ends_line) {
                return Err(self.garbled(command, "more text than any command has"));
            }
        }
    }

    /// Waits for `future` until `deadline`.
    pub(super) async fn before<F: Future>(
        &self,
        deadline: Instant,
        what: &str,
        future: F,
    ) -> Result<F::Output, HalError> {
        timeout_at(deadline, future).await.map_err(|_| {
            let device = self.description();
            let message = format!("the {what} for fastboot device {device} was not ready in time");
            HalError::new(ErrorKind::Timeout, device, message)
        })
    }

    pub(super) fn late(&self, command: &Command) -> HalError {
        let device = self.description();
        let message = format!("fastboot device {device} did not answer '{command}' in time");
        HalError::new(ErrorKind::Timeout, device, message)
    }

    fn untaken(&self, command: &Command) -> HalError {
        let device = self.description();
        let message =
            format!("fastboot device {device} did not take all data of '{command}' in time");
        HalError::new(ErrorKind::Timeout, device, message)
    }

    /// The device waits for data of which we have none.
    fn unasked_data(&mut self, command: &Command) -> HalError {
        let error = self.garbled(command, "DATA, though no data is to come");
        self.session = Session::InData;
        error
    }

    /// What the device will say now is not known, but that it takes data, if it does.
    pub(super) fn garbled(&mut self, command: &Command, got: &str) -> HalError {
        self.confuse();
        let device = self.description();
        let got = shorten(got, 200);
        let message = format!("fastboot device {device} answered '{command}' with nonsense: {got}");
        HalError::new(ErrorKind::Protocol, device, message)
    }

    pub(super) fn half_a_download(&self) -> HalError {
        let device = self.description();
        let message = format!(
            "fastboot device {device} waits for the rest of a download that was broken off"
        );
        HalError::new(ErrorKind::Closed, device, message).with_hint("reset the board")
    }
}
