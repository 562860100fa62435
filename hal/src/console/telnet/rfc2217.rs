//! RFC 2217: a serial port behind a telnet server, with its speed, its frame, BREAK and lines.
//!
//! Every request waits for the server's acknowledgement, and what the server says it set is
//! compared with what was asked.

use super::{
    CONTROL_WITHIN, Link, Side, TelnetCodec, TelnetOption, codec::Subnegotiation, request_binary,
};
use crate::{
    console::{
        Console, DataBits, Epoch, EpochCounter, FlowControl, LineControl, LineSettings, ModemLines,
        Parity, StopBits, stream::connect,
    },
    error::{ErrorKind, HalError},
};
use async_trait::async_trait;
use std::{
    future::poll_fn,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{Instant, sleep_until, timeout_at},
};

// RFC 2217 §3: commands of the client. The server's answer is the same plus 100.
const SIGNATURE: u8 = 0;
const SET_BAUDRATE: u8 = 1;
const SET_DATASIZE: u8 = 2;
const SET_PARITY: u8 = 3;
const SET_STOPSIZE: u8 = 4;
const SET_CONTROL: u8 = 5;
const PURGE_DATA: u8 = 12;
const ANSWER: u8 = 100;
const NOTIFY_LINESTATE: u8 = 106;
const NOTIFY_MODEMSTATE: u8 = 107;
const FLOWCONTROL_SUSPEND: u8 = 108;
const FLOWCONTROL_RESUME: u8 = 109;

// Values of SET-CONTROL.
const FLOW_NONE: u8 = 1;
const FLOW_SOFTWARE: u8 = 2;
const FLOW_HARDWARE: u8 = 3;
const BREAK_ON: u8 = 5;
const BREAK_OFF: u8 = 6;
const DTR_ON: u8 = 8;
const DTR_OFF: u8 = 9;
const RTS_ON: u8 = 11;
const RTS_OFF: u8 = 12;

/// Which way PURGE-DATA throws bytes away: those of the board that the server has not sent yet.
const PURGE_RECEIVED: u8 = 1;

/// Answers that nobody waits for are thrown away beyond this many.
const ANSWERS_KEPT: usize = 64;

/// A console over RFC 2217.
#[derive(Debug)]
pub struct Rfc2217Console<S = TcpStream> {
    link: Link<S>,
    epoch: EpochCounter,
    /// Command and value, in order of arrival.
    answers: Vec<(u8, Vec<u8>)>,
    modem: Option<ModemLines>,
    line_errors: u8,
    suspended: bool,
}

impl Rfc2217Console {
    /// Connects to `address` ("rack:7001") and sets what `settings` names.
    ///
    /// # Errors
    /// `Timeout` when `deadline` passes first, with what was asked last; `Unsupported` when the
    /// server speaks telnet without RFC 2217; `Unconfirmed` when it set something else; or what
    /// the network says.
    pub async fn connect(
        address: &str,
        settings: &LineSettings,
        epoch: EpochCounter,
        deadline: Instant,
    ) -> Result<Self, HalError> {
        let description = format!("rfc2217://{address}");
        let stream = connect(address, &description, deadline).await?;
        Self::open(stream, description, settings, epoch, deadline).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Rfc2217Console<S> {
    /// As [`Rfc2217Console::connect`], over a connection; `description` names it in messages.
    ///
    /// # Errors
    /// As [`Rfc2217Console::connect`].
    pub async fn open(
        stream: S,
        description: impl Into<String>,
        settings: &LineSettings,
        epoch: EpochCounter,
        deadline: Instant,
    ) -> Result<Self, HalError> {
        let mut codec = TelnetCodec::new(&[TelnetOption::COM_PORT]);
        request_binary(&mut codec);
        codec.request(TelnetOption::COM_PORT, Side::Us);
        let mut console = Self {
            link: Link::new(stream, codec, description.into()),
            epoch,
            answers: Vec::new(),
            modem: None,
            line_errors: 0,
            suspended: false,
        };
        console.negotiate(deadline).await?;
        console.apply(settings, deadline).await?;
        Ok(console)
    }

    /// Waits until the server agreed to RFC 2217 or refused it.
    async fn negotiate(&mut self, deadline: Instant) -> Result<(), HalError> {
        self.link.flush(deadline).await?;
        let agreed = |console: &mut Self| {
            let codec = &console.link.codec;
            let refused = codec.was_refused(TelnetOption::COM_PORT, Side::Us);
            (refused || codec.is_on(TelnetOption::COM_PORT, Side::Us)).then_some(refused)
        };
        if self
            .await_answer("offer RFC 2217", deadline, agreed)
            .await?
        {
            let name = self.link.description();
            let message = format!("{name} refuses RFC 2217");
            return Err(
                HalError::new(ErrorKind::Unsupported, name, message).with_hint(
                    "use telnet:// and set the line at the server, or switch RFC 2217 on there",
                ),
            );
        }
        Ok(())
    }

    /// Sets what `settings` names, one after the other.
    ///
    /// # Errors
    /// `Timeout` with what was asked; `Unconfirmed` when the server set something else.
    pub async fn apply(
        &mut self,
        settings: &LineSettings,
        deadline: Instant,
    ) -> Result<(), HalError> {
        if let Some(baud) = settings.baud {
            let asked = format!("set {baud} baud");
            self.set(SET_BAUDRATE, &baud.to_be_bytes(), &asked, deadline)
                .await?;
        }
        if let Some(bits) = settings.data_bits {
            let asked = format!("set {bits} data bits");
            self.set(SET_DATASIZE, &[data_size(bits)], &asked, deadline)
                .await?;
        }
        if let Some(parity) = settings.parity {
            let asked = format!("set parity {parity}");
            self.set(SET_PARITY, &[parity_code(parity)], &asked, deadline)
                .await?;
        }
        if let Some(bits) = settings.stop_bits {
            let asked = format!("set {bits} stop bits");
            self.set(SET_STOPSIZE, &[stop_size(bits)], &asked, deadline)
                .await?;
        }
        if let Some(flow) = settings.flow {
            let asked = format!("set flow control {flow}");
            self.set(SET_CONTROL, &[flow_code(flow)], &asked, deadline)
                .await?;
        }
        if let Some(on) = settings.dtr {
            self.output("DTR", on, [DTR_OFF, DTR_ON], deadline).await?;
        }
        if let Some(on) = settings.rts {
            self.output("RTS", on, [RTS_OFF, RTS_ON], deadline).await?;
        }
        Ok(())
    }

    /// What the server calls itself; `None` when it gives no name within `deadline`: many do not.
    ///
    /// # Errors
    /// When the connection fails.
    pub async fn signature(&mut self, deadline: Instant) -> Result<Option<String>, HalError> {
        match self
            .exchange(SIGNATURE, &[], "say its name", deadline)
            .await
        {
            Ok(name) => Ok(Some(String::from_utf8_lossy(&name).into_owned())),
            Err(error) if error.kind() == ErrorKind::Timeout => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes the server throw away what the board sent and nobody read. Bytes that are under way
    /// already still come.
    ///
    /// # Errors
    /// `Timeout` when the server does not say that it did.
    pub async fn purge(&mut self, deadline: Instant) -> Result<(), HalError> {
        let asked = "throw received bytes away";
        self.set(PURGE_DATA, &[PURGE_RECEIVED], asked, deadline)
            .await
    }

    /// Overrun, parity and framing errors and breaks of the line since the last call, as the bits
    /// of RFC 2217's NOTIFY-LINESTATE. 0 at servers that do not report them.
    pub fn take_line_errors(&mut self) -> u8 {
        std::mem::take(&mut self.line_errors)
    }

    async fn output(
        &mut self,
        name: &str,
        on: bool,
        codes: [u8; 2],
        deadline: Instant,
    ) -> Result<(), HalError> {
        let asked = format!("switch {name} {}", if on { "on" } else { "off" });
        self.set(SET_CONTROL, &[codes[usize::from(on)]], &asked, deadline)
            .await
    }

    /// Sends a command and compares the acknowledged value.
    async fn set(
        &mut self,
        command: u8,
        value: &[u8],
        asked: &str,
        deadline: Instant,
    ) -> Result<(), HalError> {
        let set = self.exchange(command, value, asked, deadline).await?;
        if set == value {
            return Ok(());
        }
        let shown = match <[u8; 4]>::try_from(set.as_slice()) {
            Ok(number) => u32::from_be_bytes(number).to_string(),
            Err(_) => format!("{set:?}"),
        };
        let name = self.link.description();
        let message = format!("{name} was asked to {asked} and says that it is {shown} now");
        Err(HalError::new(ErrorKind::Unconfirmed, name, message)
            .with_hint("the hardware there cannot do that, or the server does not allow it"))
    }

    /// Sends a command and waits for its acknowledgement.
    async fn exchange(
        &mut self,
        command: u8,
        value: &[u8],
        asked: &str,
        deadline: Instant,
    ) -> Result<Vec<u8>, HalError> {
        // An answer that came late belongs to a request whose time is over.
        self.answers
            .retain(|(answered, _)| *answered != command + ANSWER);
        self.queue(command, value);
        self.link.flush(deadline).await?;
        let answered = |console: &mut Self| console.take_answer(command);
        self.await_answer(asked, deadline, answered).await
    }

    fn take_answer(&mut self, command: u8) -> Option<Vec<u8>> {
        let mut answers = self.answers.iter();
        let place = answers.position(|(answered, _)| *answered == command + ANSWER)?;
        Some(self.answers.remove(place).1)
    }

    fn queue(&mut self, command: u8, value: &[u8]) {
        let mut parameters = vec![command];
        parameters.extend_from_slice(value);
        self.link.queue(|out| {
            TelnetCodec::encode_subnegotiation(TelnetOption::COM_PORT, &parameters, out);
        });
    }

    /// Receives until `done` gives something. What the board sends meanwhile is kept.
    async fn await_answer<T>(
        &mut self,
        asked: &str,
        deadline: Instant,
        done: impl Fn(&mut Self) -> Option<T>,
    ) -> Result<T, HalError> {
        let answer = poll_fn(|cx| {
            loop {
                if let Some(answer) = done(self) {
                    return Poll::Ready(Ok(answer));
                }
                if self.link.ended {
                    return Poll::Ready(Err(self.hung_up(asked)));
                }
                ready!(self.link.poll_pump(cx))?;
                self.take_notices();
            }
        });
        match timeout_at(deadline, answer).await {
            Ok(answer) => answer,
            Err(_) => {
                let name = self.link.description();
                let message = format!("{name} did not answer when it was asked to {asked}");
                Err(HalError::new(ErrorKind::Timeout, name, message).with_hint(
                    "the port there may lack it (a pseudo-terminal has no DTR), \
                     or the server speaks no RFC 2217: try telnet://",
                ))
            }
        }
    }

    fn hung_up(&self, asked: &str) -> HalError {
        let name = self.link.description();
        let message = format!("{name} closed the connection when it was asked to {asked}");
        HalError::new(ErrorKind::Closed, name, message)
            .with_hint("is the port there in use, or missing?")
    }

    /// Sorts what the server said besides the board's bytes.
    fn take_notices(&mut self) {
        for Subnegotiation { parameters, .. } in self.link.take_subnegotiations() {
            match parameters.as_slice() {
                [NOTIFY_LINESTATE, state, ..] => self.line_errors |= state & 0b1_1110,
                [NOTIFY_MODEMSTATE, state, ..] => self.modem = Some(modem_lines(*state)),
                [FLOWCONTROL_SUSPEND, ..] => self.suspended = true,
                [FLOWCONTROL_RESUME, ..] => self.suspended = false,
                [command, value @ ..] if self.answers.len() < ANSWERS_KEPT => {
                    self.answers.push((*command, value.to_vec()));
                }
                _ => {}
            }
        }
    }
}

#[async_trait]
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Console for Rfc2217Console<S> {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<Result<usize, HalError>> {
        let read = self.link.poll_read(cx, buffer);
        self.take_notices();
        read
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, HalError>> {
        while self.suspended && !self.link.ended {
            ready!(self.link.poll_pump(cx))?;
            self.take_notices();
        }
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
impl<S: AsyncRead + AsyncWrite + Unpin + Send> LineControl for Rfc2217Console<S> {
    async fn send_break(&mut self, duration: Duration) -> Result<(), HalError> {
        let begun = Instant::now() + CONTROL_WITHIN;
        let held = BreakHeld(self);
        held.0
            .set(SET_CONTROL, &[BREAK_ON], "begin BREAK", begun)
            .await?;
        sleep_until(Instant::now() + duration).await;
        // The guard asks for the end; only the acknowledgement is left to wait for.
        held.0.answers.clear();
        drop(held);
        let answered = |console: &mut Self| console.take_answer(SET_CONTROL);
        let over = Instant::now() + CONTROL_WITHIN;
        self.link.flush(over).await?;
        self.await_answer("end BREAK", over, answered)
            .await
            .map(drop)
    }

    async fn set_dtr(&mut self, on: bool) -> Result<(), HalError> {
        let deadline = Instant::now() + CONTROL_WITHIN;
        self.output("DTR", on, [DTR_OFF, DTR_ON], deadline).await
    }

    async fn set_rts(&mut self, on: bool) -> Result<(), HalError> {
        let deadline = Instant::now() + CONTROL_WITHIN;
        self.output("RTS", on, [RTS_OFF, RTS_ON], deadline).await
    }

    /// What the server reported last; it does so when a line changes.
    async fn modem_lines(&mut self) -> Result<ModemLines, HalError> {
        self.modem.ok_or_else(|| {
            let name = self.link.description();
            let message = format!("{name} has not reported its modem lines");
            HalError::new(ErrorKind::Unsupported, name, message)
        })
    }
}

/// Ends BREAK when it goes, also because its future was cancelled.
struct BreakHeld<'a, S: AsyncRead + AsyncWrite + Unpin + Send>(&'a mut Rfc2217Console<S>);

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Drop for BreakHeld<'_, S> {
    fn drop(&mut self) {
        self.0.queue(SET_CONTROL, &[BREAK_OFF]);
        self.0.link.flush_now();
    }
}

fn data_size(bits: DataBits) -> u8 {
    bits.count()
}

fn parity_code(parity: Parity) -> u8 {
    match parity {
        Parity::None => 1,
        Parity::Odd => 2,
        Parity::Even => 3,
    }
}

fn stop_size(bits: StopBits) -> u8 {
    match bits {
        StopBits::One => 1,
        StopBits::Two => 2,
    }
}

fn flow_code(flow: FlowControl) -> u8 {
    match flow {
        FlowControl::None => FLOW_NONE,
        FlowControl::Software => FLOW_SOFTWARE,
        FlowControl::Hardware => FLOW_HARDWARE,
    }
}

/// The bits of RFC 2217's NOTIFY-MODEMSTATE.
fn modem_lines(state: u8) -> ModemLines {
    ModemLines {
        carrier: state & 0x80 != 0,
        ring: state & 0x40 != 0,
        dsr: state & 0x20 != 0,
        cts: state & 0x10 != 0,
    }
}
