//! Serial ports of this machine: USB adapters, on-board UARTs, ttyACM of a board.
//!
//! The port is exclusive: a second opener is refused, by the kernel unless it is root, and by a
//! lock on the node otherwise. Opening raises DTR and RTS, as Linux always does; closing leaves
//! the line as `stty hupcl` says.
//!
//! The kernel keeps who closes a port waiting for up to 30 s while a board takes nothing. Here
//! nobody waits: what was typed last has a second, or the grace of `close`, and then it is lost.

use super::{
    Console, DEFAULT_BAUD, DataBits, Epoch, EpochCounter, FlowControl, LineControl, LineSettings,
    ModemLines, Parity, StopBits,
};
use crate::{
    device::{open_device, who_holds},
    error::{ErrorKind, HalError},
};
use async_trait::async_trait;
use std::{
    io,
    path::Path,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    runtime::Handle,
    sync::oneshot,
    time::{Instant, sleep_until, timeout_at},
};
use tokio_serial::{ClearBuffer, SerialPort, SerialStream};

/// How far the hardware's speed may be from the one asked for, in percent, before a frame of ten
/// bits is read wrongly: half a bit in ten, shared by both ends.
const BAUD_TOLERANCE: u32 = 3;

/// How long what was typed last may take to get out of a port that is dropped.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How often to look whether it did.
const LOOK: Duration = Duration::from_millis(5);

/// A serial port of this machine.
#[derive(Debug)]
pub struct SerialConsole {
    /// `None` once closed from our side.
    port: Option<SerialStream>,
    ended: bool,
    /// The device node, as the caller named it.
    node: String,
    epoch: EpochCounter,
}

impl SerialConsole {
    /// Opens the port at `node` and sets it. Must be called inside a tokio runtime with I/O
    /// enabled. Outputs that the port lacks are no error.
    ///
    /// # Errors
    /// `NotFound`, `PermissionDenied` with the group that may, `Busy` with who has it open,
    /// `InvalidInput` when it is no terminal, `Unsupported` when the hardware cannot be set so.
    ///
    /// **Blocks** while the kernel still closes the port for who had it before, for up to 30 s
    /// when that one typed what the board does not take; [`Self::open_by`] does not.
    pub fn open(
        node: &Path,
        settings: &LineSettings,
        epoch: EpochCounter,
    ) -> Result<Self, HalError> {
        let name = node.display().to_string();
        // Opened first by ourselves, for the system's own words when that fails. It stays open
        // until the port is: closing in between would drop DTR, which resets some boards.
        let probe = open_device(node)?;
        if !rustix::termios::isatty(&probe) {
            let message = format!("{name} is not a serial port");
            return Err(HalError::new(ErrorKind::InvalidInput, name, message));
        }
        let baud = settings.baud.unwrap_or(DEFAULT_BAUD);
        let builder = tokio_serial::new(name.as_str(), baud)
            .data_bits(data_bits(settings.data_bits.unwrap_or(DataBits::Eight)))
            .parity(parity(settings.parity.unwrap_or(Parity::None)))
            .stop_bits(stop_bits(settings.stop_bits.unwrap_or(StopBits::One)))
            .flow_control(flow_control(settings.flow.unwrap_or(FlowControl::None)));
        let port = SerialStream::open(&builder).map_err(|error| not_opened(node, baud, &error))?;
        let mut console = Self {
            port: Some(port),
            ended: false,
            node: name,
            epoch,
        };
        console.check_baud(baud)?;
        if let Some(on) = settings.dtr {
            tolerate(console.control("set DTR of", |port| port.write_data_terminal_ready(on)))?;
        }
        if let Some(on) = settings.rts {
            tolerate(console.control("set RTS of", |port| port.write_request_to_send(on)))?;
        }
        Ok(console)
    }

    /// As [`Self::open`], on a thread of its own: the runtime goes on meanwhile.
    ///
    /// **Cancellation**: when the future is dropped or `deadline` passes while the kernel does not
    /// let go of the port, the port is opened when it does, and closed at once. The runtime does
    /// not wait for that when it ends.
    ///
    /// # Errors
    /// As [`Self::open`], and `Timeout`.
    pub async fn open_by(
        node: &Path,
        settings: &LineSettings,
        epoch: EpochCounter,
        deadline: Instant,
    ) -> Result<Self, HalError> {
        let (name, runtime) = (node.display().to_string(), Handle::current());
        let (node, settings) = (node.to_owned(), *settings);
        let (done, opened) = oneshot::channel();
        // Not one of the runtime's threads: it would wait for it at its end.
        let open = move || {
            let _entered = runtime.enter();
            let _ = done.send(Self::open(&node, &settings, epoch));
        };
        let thread = std::thread::Builder::new().spawn(open);
        thread.map_err(|error| HalError::from_io("start a thread to open", &name, error))?;
        match timeout_at(deadline, opened).await {
            Ok(Ok(opened)) => opened,
            Ok(Err(panicked)) => {
                let message = format!("cannot open {name}: the work was given up");
                Err(HalError::new(ErrorKind::Other, name, message).with_source(panicked))
            }
            Err(_) => {
                let message = format!("cannot open {name} in time: the kernel still closes it");
                Err(HalError::new(ErrorKind::Timeout, name, message).with_hint(
                    "the board did not take what was typed last; the kernel gives up after 30 s",
                ))
            }
        }
    }

    /// Throws away what the kernel holds unread.
    ///
    /// # Errors
    /// `Closed` when the device is gone.
    pub fn discard_input(&mut self) -> Result<(), HalError> {
        self.control("clear", |port| port.clear(ClearBuffer::Input))
    }

    /// The driver tells which speed it could set.
    fn check_baud(&mut self, asked: u32) -> Result<(), HalError> {
        let set = self.control("read the speed of", |port| port.baud_rate())?;
        if set.abs_diff(asked) <= asked / 100 * BAUD_TOLERANCE + 1 {
            return Ok(());
        }
        let name = &self.node;
        let message = format!("{name} cannot be set to {asked} baud: it is at {set}");
        Err(HalError::new(ErrorKind::Unsupported, name, message)
            .with_hint("the adapter's clock does not divide down to that speed"))
    }

    /// Does something with the line besides carrying bytes.
    fn control<T>(
        &mut self,
        doing: &str,
        act: impl FnOnce(&mut SerialStream) -> tokio_serial::Result<T>,
    ) -> Result<T, HalError> {
        let Some(port) = self.port.as_mut().filter(|_| !self.ended) else {
            return Err(self.closed());
        };
        act(port).map_err(|error| {
            let name = &self.node;
            // The crate keeps the words of an error, and of its number only some.
            let gone = error.description == GONE || error.description == NO_DEVICE;
            let kind = match error.kind {
                _ if gone => ErrorKind::Closed,
                tokio_serial::ErrorKind::Io(io::ErrorKind::PermissionDenied) => {
                    ErrorKind::PermissionDenied
                }
                _ => ErrorKind::Unsupported,
            };
            let message = format!("cannot {doing} {name}: {}", error.description);
            HalError::new(kind, name, message).with_source(error)
        })
    }

    fn closed(&self) -> HalError {
        let name = &self.node;
        let (message, hint) = match self.ended {
            true => (
                format!("{name} vanished"),
                "was it unplugged, or its hub reset?",
            ),
            false => (
                format!("the console {name} is closed"),
                "it was closed by this program",
            ),
        };
        HalError::new(ErrorKind::Closed, name, message).with_hint(hint)
    }

    /// What a failed transfer means: unplugging shows in several ways, by driver.
    fn transfer_failed(&mut self, doing: &str, error: io::Error) -> HalError {
        if vanished(&error) {
            self.ended = true;
            return self.closed().with_source(error);
        }
        HalError::from_io(doing, &self.node, error)
    }
}

#[async_trait]
impl Console for SerialConsole {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<Result<usize, HalError>> {
        let Some(port) = self.port.as_mut().filter(|_| !self.ended) else {
            return Poll::Ready(Ok(0));
        };
        let mut unfilled = ReadBuf::new(buffer);
        // The kernel gives at most 4 KiB at a time: filling the buffer saves wake-ups.
        while unfilled.remaining() > 0 {
            let before = unfilled.filled().len();
            match Pin::new(&mut *port).poll_read(cx, &mut unfilled) {
                Poll::Ready(Ok(())) if unfilled.filled().len() > before => {}
                Poll::Ready(Err(error)) if !vanished(&error) => {
                    return Poll::Ready(Err(self.transfer_failed("read from", error)));
                }
                // A hung-up terminal gives an error or an empty read, by driver.
                Poll::Ready(_) => {
                    self.ended = true;
                    break;
                }
                Poll::Pending if before > 0 => break,
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(unfilled.filled().len()))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, HalError>> {
        let Some(port) = self.port.as_mut().filter(|_| !self.ended) else {
            return Poll::Ready(Err(self.closed()));
        };
        let written = ready!(Pin::new(port).poll_write(cx, bytes));
        Poll::Ready(written.map_err(|error| self.transfer_failed("write to", error)))
    }

    async fn close(&mut self, grace: Duration) -> Result<(), HalError> {
        let until = Instant::now() + grace;
        while !self.ended && self.port.as_ref().is_some_and(has_unsent) && Instant::now() < until {
            sleep_until(Instant::now() + LOOK).await;
        }
        if let Some(port) = self.port.take() {
            release(port, Duration::ZERO);
        }
        Ok(())
    }

    fn description(&self) -> String {
        self.node.clone()
    }

    fn epoch(&self) -> Epoch {
        self.epoch.current()
    }

    async fn end_reason(&mut self) -> Option<String> {
        self.ended.then(|| self.closed().to_string())
    }

    fn line_control(&mut self) -> Option<&mut dyn LineControl> {
        Some(self)
    }
}

impl Drop for SerialConsole {
    fn drop(&mut self) {
        if let Some(port) = self.port.take() {
            release(port, LAST_WORDS);
        }
    }
}

/// Whether the kernel has bytes that the device did not take yet.
fn has_unsent(port: &SerialStream) -> bool {
    port.bytes_to_write().is_ok_and(|bytes| bytes > 0)
}

/// Closes a port without making the caller wait for the board.
fn release(port: SerialStream, last_words: Duration) {
    if !has_unsent(&port) {
        return;
    }
    // Closing may block however little is left: not every driver can throw it away. Without a
    // thread it is closed here.
    let _ = std::thread::Builder::new().spawn(move || {
        let until = std::time::Instant::now() + last_words;
        let pause = rustix::event::Timespec::try_from(LOOK).ok();
        while has_unsent(&port) && std::time::Instant::now() < until {
            let _ = rustix::event::poll(&mut [], pause.as_ref());
        }
        let _ = port.clear(tokio_serial::ClearBuffer::Output);
    });
}

#[async_trait]
impl LineControl for SerialConsole {
    async fn send_break(&mut self, duration: Duration) -> Result<(), HalError> {
        let mut held = BreakHeld(self);
        held.0.control("begin BREAK on", |port| port.set_break())?;
        sleep_until(Instant::now() + duration).await;
        held.end()
    }

    async fn set_dtr(&mut self, on: bool) -> Result<(), HalError> {
        self.control("set DTR of", |port| port.write_data_terminal_ready(on))
    }

    async fn set_rts(&mut self, on: bool) -> Result<(), HalError> {
        self.control("set RTS of", |port| port.write_request_to_send(on))
    }

    async fn modem_lines(&mut self) -> Result<ModemLines, HalError> {
        self.control("read the modem lines of", |port| {
            Ok(ModemLines {
                cts: port.read_clear_to_send()?,
                dsr: port.read_data_set_ready()?,
                carrier: port.read_carrier_detect()?,
                ring: port.read_ring_indicator()?,
            })
        })
    }
}

/// Ends BREAK when it goes, also because its future was cancelled.
struct BreakHeld<'a>(&'a mut SerialConsole);

impl BreakHeld<'_> {
    fn end(&mut self) -> Result<(), HalError> {
        self.0.control("end BREAK on", |port| port.clear_break())
    }
}

impl Drop for BreakHeld<'_> {
    fn drop(&mut self) {
        // Ended twice is ended.
        let _ = self.end();
    }
}

/// The words of EIO and ENODEV.
const GONE: &str = "I/O error";
const NO_DEVICE: &str = "No such device";

/// Whether a transfer failed because the device is gone.
fn vanished(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(
        Errno::from_io_error(error),
        Some(Errno::IO | Errno::NODEV | Errno::NXIO | Errno::PIPE)
    )
}

/// A port without modem lines (a pseudo-terminal, some gadgets) is used without.
fn tolerate(set: Result<(), HalError>) -> Result<(), HalError> {
    match set {
        Err(error) if error.kind() == ErrorKind::Unsupported => Ok(()),
        other => other,
    }
}

/// The probe could be opened: what is left is a second holder, or a setting.
fn not_opened(node: &Path, baud: u32, error: &tokio_serial::Error) -> HalError {
    let name = node.display().to_string();
    let reason = &error.description;
    if error.kind == tokio_serial::ErrorKind::NoDevice {
        let message = format!("cannot open {name}: it is in use");
        return HalError::new(ErrorKind::Busy, name, message).with_hint(who_holds(node));
    }
    if reason == GONE || reason == NO_DEVICE {
        let message = format!("{name} vanished while it was opened");
        return HalError::new(ErrorKind::Closed, name, message);
    }
    let message = format!("cannot set {name} to {baud} baud and its frame: {reason}");
    HalError::new(ErrorKind::Unsupported, name, message)
        .with_hint("try the speed and the frame with stty")
}

fn data_bits(bits: DataBits) -> tokio_serial::DataBits {
    match bits {
        DataBits::Five => tokio_serial::DataBits::Five,
        DataBits::Six => tokio_serial::DataBits::Six,
        DataBits::Seven => tokio_serial::DataBits::Seven,
        DataBits::Eight => tokio_serial::DataBits::Eight,
    }
}

fn parity(parity: Parity) -> tokio_serial::Parity {
    match parity {
        Parity::None => tokio_serial::Parity::None,
        Parity::Odd => tokio_serial::Parity::Odd,
        Parity::Even => tokio_serial::Parity::Even,
    }
}

fn stop_bits(bits: StopBits) -> tokio_serial::StopBits {
    match bits {
        StopBits::One => tokio_serial::StopBits::One,
        StopBits::Two => tokio_serial::StopBits::Two,
    }
}

fn flow_control(flow: FlowControl) -> tokio_serial::FlowControl {
    match flow {
        FlowControl::None => tokio_serial::FlowControl::None,
        FlowControl::Software => tokio_serial::FlowControl::Software,
        FlowControl::Hardware => tokio_serial::FlowControl::Hardware,
    }
}
