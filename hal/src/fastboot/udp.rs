//! Fastboot over UDP, version 1. Source: AOSP's description of fastboot's UDP protocol.
//!
//! The host sends a packet and waits for the answer to it, always one at a time. Each packet has
//! an id, flags and a sequence number; a packet that is not answered is sent again and again, and
//! the device answers a repeated one as it did before. Whoever wants to read asks with an empty
//! packet.

mod patience;

use super::{
    target::Address,
    transport::{Transport, connect_until},
};
use crate::{
    error::{ErrorKind, HalError},
    sys,
};
use async_trait::async_trait;
use patience::Patience;
use rustix::{
    io::Errno,
    net::{self, RecvFlags, SendFlags},
};
use std::{io, net::UdpSocket, os::fd::OwnedFd, time::Duration};
use tokio::{
    io::{Interest, unix::AsyncFd},
    net::lookup_host,
    time::{Instant, sleep, timeout},
};

/// The length of each packet's header.
pub const HEADER: usize = 4;

/// The smallest packet that every side must take.
pub const MIN_PACKET: usize = 512;

/// The largest packet that we take and offer: no UDP packet over IPv4 is larger.
pub const MAX_PACKET: usize = 65_507;

/// The version of the protocol.
pub const VERSION: u16 = 1;

/// More of the message follows.
pub const CONTINUATION: u8 = 1;

/// After this long without an answer the device is gone. Bootloaders are silent while they write.
const SILENCE: Duration = Duration::from_secs(60);

/// How long to wait before a device that has nothing to say is asked again, at most.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// What a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketId {
    /// The device cannot go on; the data is its reason.
    Error,
    /// Asks for the next sequence number.
    Query,
    /// Version and packet size of both sides.
    Init,
    /// Commands, responses and data.
    Fastboot,
}

impl PacketId {
    fn byte(self) -> u8 {
        match self {
            Self::Error => 0,
            Self::Query => 1,
            Self::Init => 2,
            Self::Fastboot => 3,
        }
    }
}

/// A packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// What it is.
    pub id: PacketId,
    /// Whether more of the message follows.
    pub continues: bool,
    /// Its number.
    pub sequence: u16,
    /// What follows the header.
    pub data: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads a packet; `None` when it is none. Flags that we do not know are ignored.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let ([id, flags, high, low], data) = bytes.split_first_chunk::<HEADER>()?;
        let id = match id {
            0 => PacketId::Error,
            1 => PacketId::Query,
            2 => PacketId::Init,
            3 => PacketId::Fastboot,
            _ => return None,
        };
        Some(Self {
            id,
            continues: flags & CONTINUATION != 0,
            sequence: u16::from_be_bytes([*high, *low]),
            data,
        })
    }

    /// Writes the packet into `buffer`, which is emptied first.
    pub fn write_to(&self, buffer: &mut Vec<u8>) {
        buffer.clear();
        let flags = if self.continues { CONTINUATION } else { 0 };
        let [high, low] = self.sequence.to_be_bytes();
        buffer.extend_from_slice(&[self.id.byte(), flags, high, low]);
        buffer.extend_from_slice(self.data);
    }
}

/// A connection over UDP.
#[derive(Debug)]
pub struct UdpTransport {
    address: Address,
    description: String,
    link: Option<Link>,
}

impl UdpTransport {
    /// Agrees with the device at `address`, waiting for it until `deadline`.
    ///
    /// # Errors
    /// `Timeout` when it did not come, `Protocol` when it cannot agree.
    pub async fn open(address: Address, deadline: Instant) -> Result<Self, HalError> {
        let description = format!("udp:{address}");
        let mut transport = Self {
            address,
            description,
            link: None,
        };
        transport.reopen(false, deadline).await?;
        Ok(transport)
    }

    /// The packet size both sides agreed on; 0 without a connection.
    pub fn packet_size(&self) -> usize {
        self.link.as_ref().map_or(0, |link| link.payload + HEADER)
    }

    async fn connect(&self) -> Result<Link, HalError> {
        let failed = |error| HalError::from_io("reach", &self.description, error);
        let host = (self.address.host.as_str(), self.address.port);
        let peer = lookup_host(host).await.map_err(failed)?.next();
        let peer = peer.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
        let any = if peer.is_ipv4() {
            "0.0.0.0:0"
        } else {
            "[::]:0"
        };
        let socket = UdpSocket::bind(any).map_err(failed)?;
        socket.connect(peer).map_err(failed)?;
        socket.set_nonblocking(true).map_err(failed)?;
        let socket = sys::watch(socket.into(), Interest::READABLE).map_err(failed)?;
        let mut link = Link {
            socket,
            name: self.description.clone(),
            sequence: 0,
            payload: MIN_PACKET - HEADER,
            patience: Patience::new(),
            out: Vec::with_capacity(MAX_PACKET),
            input: vec![0; MAX_PACKET],
        };
        link.agree().await?;
        Ok(link)
    }

    fn link(&mut self) -> Result<&mut Link, HalError> {
        self.link.as_mut().ok_or_else(|| {
            let message = format!("the connection to {} is closed", self.description);
            HalError::new(ErrorKind::Closed, &self.description, message)
        })
    }
}

#[async_trait]
impl Transport for UdpTransport {
    fn description(&self) -> &str {
        &self.description
    }

    async fn send(&mut self, message: &[u8]) -> Result<(), HalError> {
        self.link()?.send(message).await
    }

    async fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, HalError> {
        self.link()?.receive(buffer).await
    }

    async fn reopen(&mut self, _left: bool, deadline: Instant) -> Result<(), HalError> {
        self.link = None;
        let is_final = |error: &HalError| error.kind() == ErrorKind::Protocol;
        let connect = || self.connect();
        let link = connect_until(&self.description, deadline, connect, is_final).await?;
        self.link = Some(link);
        Ok(())
    }

    fn chunk_size(&self) -> usize {
        // Whole packets: a message's last packet would else be a small one.
        let payload = self.packet_size().max(MIN_PACKET) - HEADER;
        (256 * 1024 / payload).max(1) * payload
    }

    fn reconnecting_resets(&self) -> bool {
        false
    }
}

/// A socket and where the conversation is.
#[derive(Debug)]
struct Link {
    /// Watched for what arrives only. Watched for both, as tokio's own sockets are, it would wake
    /// us once more for each packet, to say that the packet has left.
    socket: AsyncFd<OwnedFd>,
    name: String,
    sequence: u16,
    /// How much of a message goes into a packet.
    payload: usize,
    patience: Patience,
    out: Vec<u8>,
    input: Vec<u8>,
}

/// The answer to a packet: where its data is in `Link::input`, and whether more follows.
struct Answer {
    length: usize,
    continues: bool,
}

impl Link {
    /// Finds out the device's sequence number, and agrees on the size of packets.
    async fn agree(&mut self) -> Result<(), HalError> {
        let answer = self.ask(PacketId::Query, false, &[]).await?;
        let next = self.numbers(&answer, "its sequence number")?;
        self.sequence = next[0];
        let [offer_high, offer_low] = (MAX_PACKET as u16).to_be_bytes();
        let [version_high, version_low] = VERSION.to_be_bytes();
        let offer = [version_high, version_low, offer_high, offer_low];
        let answer = self.ask(PacketId::Init, false, &offer).await?;
        let agreed = self.numbers(&answer, "version and packet size")?;
        let size = usize::from(*agreed.get(1).unwrap_or(&0)).min(MAX_PACKET);
        if agreed[0] < VERSION || size < MIN_PACKET {
            let got = format!("version {} and packets of {size} bytes", agreed[0]);
            return Err(self.wrong(&format!("cannot agree: it offers {got}")));
        }
        self.payload = size - HEADER;
        Ok(())
    }

    async fn send(&mut self, message: &[u8]) -> Result<(), HalError> {
        let mut rest = message;
        while !rest.is_empty() {
            let (here, after) = rest.split_at(rest.len().min(self.payload));
            let answer = self
                .ask(PacketId::Fastboot, !after.is_empty(), here)
                .await?;
            if answer.length > 0 {
                let said = self.said(&answer);
                return Err(self.wrong(&format!("spoke before it was asked: '{said}'")));
            }
            rest = after;
        }
        Ok(())
    }

    async fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, HalError> {
        let mut filled = 0;
        let mut pause = Duration::from_millis(1);
        loop {
            let answer = self.ask(PacketId::Fastboot, false, &[]).await?;
            let Some(room) = buffer[filled..].get_mut(..answer.length) else {
                return Err(self.wrong("sent a message that is too long"));
            };
            room.copy_from_slice(&self.input[HEADER..HEADER + answer.length]);
            filled += answer.length;
            if filled > 0 && !answer.continues {
                return Ok(filled);
            }
            if answer.length == 0 {
                sleep(pause).await;
                pause = (pause * 2).min(ASK_AGAIN);
            }
        }
    }

    /// Sends a packet until it is answered. Not cancel-safe: afterwards nobody knows which number
    /// the device expects.
    async fn ask(
        &mut self,
        id: PacketId,
        continues: bool,
        data: &[u8],
    ) -> Result<Answer, HalError> {
        let packet = Packet {
            id,
            continues,
            sequence: self.sequence,
            data,
        };
        packet.write_to(&mut self.out);
        let start = Instant::now();
        let mut repeated = false;
        loop {
            self.expect_nothing_old();
            self.transmit()?;
            // What arrives late or twice must not prolong the wait.
            if let Ok(answer) = timeout(self.patience.wait(), self.matching(id)).await {
                let answer = answer?;
                if !repeated {
                    self.patience.answered(start.elapsed());
                }
                if id != PacketId::Query {
                    self.sequence = self.sequence.wrapping_add(1);
                }
                return Ok(answer);
            }
            if start.elapsed() >= SILENCE {
                let message = format!(
                    "fastboot device {} is gone: no answer for {} seconds",
                    self.name,
                    SILENCE.as_secs()
                );
                return Err(HalError::new(ErrorKind::Closed, &self.name, message));
            }
            repeated = true;
            self.patience.unanswered();
        }
    }

    /// Spares the system call that would only find the socket empty. An answer to what is sent
    /// after this is a new event for the runtime; what is in the socket already is read before it.
    fn expect_nothing_old(&self) {
        let empty = |_: &OwnedFd| Err::<(), _>(io::ErrorKind::WouldBlock.into());
        // That it "fails" is its purpose: the runtime takes the socket for empty.
        let _ = self.socket.try_io(Interest::READABLE, empty);
    }

    /// Sends the packet once. One for which the kernel has no room now is as good as lost.
    fn transmit(&self) -> Result<(), HalError> {
        match net::send(&self.socket, &self.out, SendFlags::NOSIGNAL) {
            Ok(_) | Err(Errno::WOULDBLOCK) => Ok(()),
            Err(error) => Err(HalError::from_io("send to", &self.name, error.into())),
        }
    }

    /// Waits for the answer to the packet that was just sent; drops all else.
    async fn matching(&mut self, id: PacketId) -> Result<Answer, HalError> {
        loop {
            let input = &mut self.input;
            let receive = |socket: &OwnedFd| {
                let received = net::recv(socket, &mut *input, RecvFlags::empty());
                received.map(|(length, _)| length).map_err(io::Error::from)
            };
            let received = self.socket.async_io(Interest::READABLE, receive).await;
            let length =
                received.map_err(|error| HalError::from_io("hear from", &self.name, error))?;
            let Some(packet) = Packet::parse(&self.input[..length]) else {
                continue;
            };
            if packet.sequence != self.sequence {
                continue;
            }
            let answer = Answer {
                length: packet.data.len(),
                continues: packet.continues,
            };
            if packet.id == PacketId::Error {
                let said = self.said(&answer);
                return Err(self.wrong(&format!("broke off: '{said}'")));
            }
            if packet.id == id {
                return Ok(answer);
            }
        }
    }

    /// The numbers of 16 bits that an answer consists of; at least one.
    fn numbers(&self, answer: &Answer, what: &str) -> Result<Vec<u16>, HalError> {
        let data = &self.input[HEADER..HEADER + answer.length];
        if data.len() < 2 {
            return Err(self.wrong(&format!("does not tell {what}")));
        }
        let number = |pair: &[u8]| u16::from_be_bytes([pair[0], pair[1]]);
        Ok(data.chunks_exact(2).map(number).collect())
    }

    fn said(&self, answer: &Answer) -> String {
        let data = &self.input[HEADER..HEADER + answer.length.min(200)];
        data.escape_ascii().to_string()
    }

    fn wrong(&self, what: &str) -> HalError {
        let message = format!("fastboot device {} {what}", self.name);
        HalError::new(ErrorKind::Protocol, &self.name, message)
    }
}

#[cfg(test)]
mod tests;
