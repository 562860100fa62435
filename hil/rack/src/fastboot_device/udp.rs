//! A device over UDP, and the link to it, which can be bad.

use super::{Contents, Device, chance::Chance};
use hal::fastboot::udp::{HEADER, MAX_PACKET, Packet, PacketId, VERSION};
use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
};
use tokio::{net::UdpSocket, task::JoinHandle};

/// What the link does to packets, in percent of them.
#[derive(Clone, Copy, Debug, Default)]
pub struct LinkFaults {
    /// Which ones: the same number gives the same faults.
    pub seed: u64,
    /// Packets of either side that are lost.
    pub lost: u8,
    /// Answers that come twice.
    pub doubled: u8,
    /// Answers that come after the next one.
    pub late: u8,
}

/// A device that is served on a UDP port of this machine until it is dropped.
#[derive(Debug)]
pub struct UdpDevice {
    address: SocketAddr,
    contents: Contents,
    task: JoinHandle<io::Result<()>>,
}

impl UdpDevice {
    /// Serves `device` in packets of at most `packet_size` bytes. Must be called inside a tokio
    /// runtime.
    ///
    /// # Errors
    /// When there is no port.
    pub async fn start(device: Device, packet_size: u16, faults: LinkFaults) -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = socket.local_addr()?;
        let contents = device.contents();
        let server = Server {
            socket,
            device,
            packet_size,
            faults,
            chance: Chance::new(faults.seed),
            expected: 0,
            payload: 508,
            message: Vec::new(),
            saying: Vec::new(),
            last: Vec::new(),
            held: None,
        };
        Ok(Self {
            address,
            contents,
            task: tokio::spawn(server.serve()),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has.
    pub fn contents(&self) -> &Contents {
        &self.contents
    }
}

impl Drop for UdpDevice {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Server {
    socket: UdpSocket,
    device: Device,
    packet_size: u16,
    faults: LinkFaults,
    chance: Chance,
    expected: u16,
    payload: usize,
    /// A command that is not complete.
    message: Vec<u8>,
    /// What is left of an answer that does not fit into one packet.
    saying: Vec<u8>,
    /// The last answer, for a host that did not get it.
    last: Vec<u8>,
    /// An answer that will come late.
    held: Option<Vec<u8>>,
}

impl Server {
    async fn serve(mut self) -> io::Result<()> {
        let mut buffer = vec![0; MAX_PACKET + 1];
        while !self.device.is_gone() {
            let (length, host) = self.socket.recv_from(&mut buffer).await?;
            if self.chance.happens(self.faults.lost) {
                continue;
            }
            let Some(packet) = Packet::parse(&buffer[..length]) else {
                continue;
            };
            if !self.take(&packet) || self.device.is_silent() || self.device.is_gone() {
                continue;
            }
            self.reply(host).await?;
            if self.device.has_hung_up() {
                break;
            }
        }
        Ok(())
    }

    /// Makes `last` the answer to `packet`; false when it gets none.
    fn take(&mut self, packet: &Packet<'_>) -> bool {
        if packet.id == PacketId::Query {
            let next = self.expected.to_be_bytes();
            self.answer(packet, false, &next);
            return true;
        }
        if packet.sequence == self.expected.wrapping_sub(1) && !self.last.is_empty() {
            return true;
        }
        if packet.sequence != self.expected {
            return false;
        }
        self.expected = self.expected.wrapping_add(1);
        match packet.id {
            PacketId::Init => self.agree(packet),
            PacketId::Fastboot if packet.data.is_empty() => self.say(packet),
            PacketId::Fastboot => {
                self.listen(packet);
                self.answer(packet, false, &[]);
            }
            PacketId::Query | PacketId::Error => return false,
        }
        true
    }

    fn agree(&mut self, packet: &Packet<'_>) {
        let offered = match packet.data {
            [_, _, high, low, ..] => u16::from_be_bytes([*high, *low]),
            _ => 512,
        };
        let size = self.packet_size.min(offered);
        self.payload = usize::from(size).saturating_sub(HEADER).max(1);
        let [version_high, version_low] = VERSION.to_be_bytes();
        let [size_high, size_low] = self.packet_size.to_be_bytes();
        self.answer(
            packet,
            false,
            &[version_high, version_low, size_high, size_low],
        );
    }

    fn listen(&mut self, packet: &Packet<'_>) {
        if self.device.data_left().is_some() {
            return self.device.take(packet.data);
        }
        self.message.extend_from_slice(packet.data);
        if !packet.continues {
            let message = std::mem::take(&mut self.message);
            self.device.take(&message);
        }
    }

    fn say(&mut self, packet: &Packet<'_>) {
        if self.saying.is_empty() {
            self.saying = self.device.answer().unwrap_or_default();
        }
        let rest = self.saying.split_off(self.saying.len().min(self.payload));
        let here = std::mem::replace(&mut self.saying, rest);
        let continues = !self.saying.is_empty();
        self.answer(packet, continues, &here);
    }

    fn answer(&mut self, to: &Packet<'_>, continues: bool, data: &[u8]) {
        let packet = Packet {
            id: to.id,
            continues,
            sequence: to.sequence,
            data,
        };
        packet.write_to(&mut self.last);
    }

    /// Sends `last`, as the link lets it.
    async fn reply(&mut self, host: SocketAddr) -> io::Result<()> {
        if self.chance.happens(self.faults.late) {
            self.held = Some(self.last.clone());
            return Ok(());
        }
        if self.chance.happens(self.faults.lost) {
            return Ok(());
        }
        self.socket.send_to(&self.last, host).await?;
        if self.chance.happens(self.faults.doubled) {
            self.socket.send_to(&self.last, host).await?;
        }
        if let Some(held) = self.held.take() {
            self.socket.send_to(&held, host).await?;
        }
        Ok(())
    }
}
