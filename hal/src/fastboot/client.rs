//! The client: one method for each thing a bootloader does.

mod exchange;
mod reply;

use super::{
    image::{Download, Image},
    protocol::{Command, parse_size},
    transport::Transport,
};
use crate::error::{ErrorKind, HalError};
use exchange::{Answer, Session};
use reply::{MAX_LINES, Replies, variable};
pub use reply::{Progress, Reply};
use std::{fmt, io::Read, io::Write};
use tokio::time::{Instant, timeout_at};

/// Where a reboot leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RebootTarget {
    /// To the system.
    System,
    /// To the bootloader again.
    Bootloader,
    /// To the recovery system.
    Recovery,
    /// To the fastboot that runs in user space.
    Fastboot,
}

impl RebootTarget {
    fn command(self) -> &'static str {
        match self {
            Self::System => "reboot",
            Self::Bootloader => "reboot-bootloader",
            Self::Recovery => "reboot-recovery",
            Self::Fastboot => "reboot-fastboot",
        }
    }
}

/// A fastboot device.
///
/// Each method takes the caller's deadline for all it does. **Cancellation**: when a future is
/// dropped, or its deadline passes, the exchange with the device is in an unknown state; the next
/// method first waits for the end of a command that was broken off, or connects anew. Where the
/// device would take that for a part of a broken-off download it says so instead
/// ([`ErrorKind::Closed`]). Nothing is retried.
pub struct Fastboot<T> {
    transport: T,
    session: Session,
    /// What the caller allows at most for one download.
    limit: Option<u64>,
    /// What the device says, once it was asked; forgotten when the device leaves.
    max_download: Option<Option<u64>>,
}

impl<T: Transport> fmt::Debug for Fastboot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fastboot")
            .field("device", &self.transport.description())
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

impl<T: Transport> Fastboot<T> {
    /// A client over a connection that was just opened.
    pub fn new(transport: T) -> Self {
        Self {
            transport,
            session: Session::Ready,
            limit: None,
            max_download: None,
        }
    }

    /// Sends at most `bytes` at once, even where the device allows more (`fastboot -S`).
    #[must_use]
    pub fn with_limit(mut self, bytes: u64) -> Self {
        self.limit = Some(bytes);
        self
    }

    /// Names the device in messages.
    pub fn description(&self) -> &str {
        self.transport.description()
    }

    /// Waits until the device is there (again), and connects to it. A command that was broken off
    /// is not waited for: what the device says to it much later may be taken for another's answer.
    ///
    /// # Errors
    /// `Timeout` when it did not come before `deadline`.
    pub async fn reconnect(&mut self, deadline: Instant) -> Result<(), HalError> {
        if self.session == Session::InData && !self.transport.reconnecting_resets() {
            return Err(self.half_a_download());
        }
        let left = self.session == Session::Left;
        if self.session == Session::Ready {
            self.session = Session::Confused;
        }
        self.max_download = None;
        self.transport.reopen(left, deadline).await?;
        self.session = Session::Ready;
        Ok(())
    }

    /// Tells the client that the board was reset by other means: whatever was broken off is
    /// forgotten, and the next method waits for the device.
    pub fn board_was_reset(&mut self) {
        self.session = Session::Left;
    }

    /// Any command, and what the device answers.
    ///
    /// # Errors
    /// `CommandFailed` with the device's words when it refuses; `Timeout` when it does not answer
    /// before `deadline`; `Protocol` when it answers something else; `Closed` when it is gone.
    pub async fn command(
        &mut self,
        command: &str,
        progress: impl FnMut(Progress<'_>) + Send,
        deadline: Instant,
    ) -> Result<Reply, HalError> {
        let command = Command::new(command)?;
        self.exchange(&command, progress, deadline).await
    }

    /// The value of a variable.
    ///
    /// # Errors
    /// As [`Self::command`]; a device refuses variables it does not know.
    pub async fn getvar(&mut self, name: &str, deadline: Instant) -> Result<String, HalError> {
        let command = Command::new(format!("getvar:{name}"))?;
        let reply = self.exchange(&command, |_| {}, deadline).await?;
        Ok(reply.value)
    }

    /// All variables the device tells of, as `name` and `value`, in its order.
    ///
    /// # Errors
    /// As [`Self::command`].
    pub async fn getvar_all(
        &mut self,
        deadline: Instant,
    ) -> Result<Vec<(String, String)>, HalError> {
        let command = Command::new("getvar:all")?;
        let reply = self.exchange(&command, |_| {}, deadline).await?;
        Ok(reply.lines.iter().filter_map(|l| variable(l)).collect())
    }

    /// How many bytes the device takes at once; `None` when it does not say. Asked once.
    ///
    /// # Errors
    /// As [`Self::command`], but a device that does not know the variable is none.
    pub async fn max_download(&mut self, deadline: Instant) -> Result<Option<u64>, HalError> {
        if let Some(known) = self.max_download {
            return Ok(known);
        }
        let size = match self.getvar("max-download-size", deadline).await {
            Ok(value) => parse_size(&value),
            Err(error) if error.kind() == ErrorKind::CommandFailed => None,
            Err(error) => return Err(error),
        };
        self.max_download = Some(size);
        Ok(size)
    }

    /// Sends `size` bytes of `reader` into the device's memory. `reader` is read on a thread for
    /// blocking work and may go on reading after a cancellation until its current read returns.
    ///
    /// # Errors
    /// As [`Self::command`]; `InvalidInput` when there is nothing to send, when it is more than a
    /// download can have, or when `reader` ends too early.
    pub async fn download(
        &mut self,
        reader: impl Read + Send + 'static,
        size: u64,
        progress: impl FnMut(Progress<'_>) + Send,
        deadline: Instant,
    ) -> Result<Reply, HalError> {
        let reader = Box::new(reader);
        self.send_download(Download { size, reader }, progress, deadline)
            .await
    }

    /// Writes `image` to `partition`. What does not fit into one download is sent as several
    /// sparse images, each written before the next is sent.
    ///
    /// # Errors
    /// As [`Self::download`]; the message names the partition.
    pub async fn flash(
        &mut self,
        partition: &str,
        image: &Image,
        mut progress: impl FnMut(Progress<'_>) + Send,
        deadline: Instant,
    ) -> Result<Reply, HalError> {
        let command = Command::new(format!("flash:{partition}"))?;
        let device = self.max_download(deadline).await?;
        let limit = [device, self.limit].into_iter().flatten().min();
        let planned = image.clone();
        let planning = tokio::task::spawn_blocking(move || planned.downloads(limit));
        let downloads = match self.before(deadline, "plan of the image", planning).await? {
            Ok(downloads) => downloads?,
            Err(panicked) => {
                let message = format!("cannot read {}: {panicked}", image.name());
                return Err(HalError::new(ErrorKind::Other, image.name(), message));
            }
        };
        let mut reply = Reply::default();
        let of = downloads.len();
        for (index, download) in downloads.into_iter().enumerate() {
            progress(Progress::Part {
                number: index + 1,
                of,
            });
            self.send_download(download, &mut progress, deadline)
                .await?;
            let part = self.exchange(&command, &mut progress, deadline).await?;
            reply.value = part.value;
            reply.lines.extend(part.lines);
            reply.lines.truncate(MAX_LINES);
        }
        Ok(reply)
    }

    /// Sends a kernel image and starts it, without writing it anywhere.
    ///
    /// # Errors
    /// As [`Self::download`].
    pub async fn boot(
        &mut self,
        image: &Image,
        mut progress: impl FnMut(Progress<'_>) + Send,
        deadline: Instant,
    ) -> Result<Reply, HalError> {
        self.send_download(image.whole(), &mut progress, deadline)
            .await?;
        self.leave("boot", progress, deadline).await
    }

    /// Erases `partition`.
    ///
    /// # Errors
    /// As [`Self::command`].
    pub async fn erase(
        &mut self,
        partition: &str,
        progress: impl FnMut(Progress<'_>) + Send,
        deadline: Instant,
    ) -> Result<Reply, HalError> {
        self.command(&format!("erase:{partition}"), progress, deadline)
            .await
    }

    /// A command of the vendor: "oem `arguments`".
    ///
    /// # Errors
    /// As [`Self::command`].
    pub async fn oem(
        &mut self,
        arguments: &str,
        progress: impl FnMut(Progress<'_>) + Send,
        deadline: Instant,
    ) -> Result<Reply, HalError> {
        self.command(&format!("oem {arguments}"), progress, deadline)
            .await
    }

    /// Makes the slot ("a", "b") the one to boot.
    ///
    /// # Errors
    /// As [`Self::command`].
    pub async fn set_active(&mut self, slot: &str, deadline: Instant) -> Result<Reply, HalError> {
        self.command(&format!("set_active:{slot}"), |_| {}, deadline)
            .await
    }

    /// Reboots. Returns when the device said it will, or left the USB without a word; the next
    /// method waits for it to come back.
    ///
    /// # Errors
    /// As [`Self::command`].
    pub async fn reboot(
        &mut self,
        target: RebootTarget,
        deadline: Instant,
    ) -> Result<Reply, HalError> {
        self.leave(target.command(), |_| {}, deadline).await
    }

    /// Leaves fastboot, and the bootloader goes on booting.
    ///
    /// # Errors
    /// As [`Self::command`].
    pub async fn continue_boot(&mut self, deadline: Instant) -> Result<Reply, HalError> {
        self.leave("continue", |_| {}, deadline).await
    }

    /// Writes what the device has to give after `command` ("upload" for what an oem command
    /// staged, "fetch:boot" for a partition) to `writer`, and says how much it was. `writer` is
    /// called on this thread: give one that does not block.
    ///
    /// # Errors
    /// As [`Self::command`]; `Exhausted` when the device announces more than `limit` bytes.
    pub async fn upload(
        &mut self,
        command: &str,
        writer: &mut (impl Write + Send),
        limit: u64,
        deadline: Instant,
    ) -> Result<u64, HalError> {
        let command = Command::new(command)?;
        let mut replies = Replies::default();
        self.begin(&command, deadline).await?;
        let size = match self
            .answer(&command, &mut replies, |_| {}, deadline)
            .await?
        {
            Answer::Data(size) => {
                self.session = Session::Confused;
                u64::from(size)
            }
            Answer::Done => return Err(self.garbled(&command, "OKAY instead of data")),
        };
        if size > limit {
            let message = format!(
                "fastboot device {} has {size} bytes for '{command}', more than the {limit} allowed",
                self.description()
            );
            let device = self.description();
            return Err(HalError::new(ErrorKind::Exhausted, device, message));
        }
        let mut buffer = vec![0; 64 * 1024];
        let mut left = size;
        while left > 0 {
            let room = left.min(buffer.len() as u64) as usize;
            let receiving = timeout_at(deadline, self.transport.receive(&mut buffer[..room])).await;
            let length = receiving.map_err(|_| self.late(&command))??;
            let written = writer.write_all(&buffer[..length]);
            written.map_err(|error| HalError::from_io("write", "the upload", error))?;
            left -= length as u64;
        }
        match self
            .answer(&command, &mut replies, |_| {}, deadline)
            .await?
        {
            Answer::Done => self.session = Session::Ready,
            Answer::Data(_) => return Err(self.garbled(&command, "DATA twice")),
        }
        Ok(size)
    }
}
