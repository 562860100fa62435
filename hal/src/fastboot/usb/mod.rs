//! Fastboot over USB: one bulk endpoint for each direction. Source: AOSP's description of fastboot
//! and the USB specification.
//!
//! A command or a response is one transfer. No transfer of ours ends in an empty packet, also
//! where its length is a multiple of the packet size: the device knows how long a download is.
//! Empty packets from the device, which some send after a full one, are skipped.

mod find;

pub use find::{FastbootFactory, UsbMatch};

use super::{
    protocol::{MAX_RESPONSE, Response},
    transport::{Transport, connect_until},
};
use crate::error::{ErrorKind, HalError};
use async_trait::async_trait;
use find::Candidate;
use nusb::{
    Endpoint, Interface,
    transfer::{Buffer, Bulk, Completion, Direction, In, Out, TransferError},
};
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

/// How many transfers of a download are queued in the kernel, which is asked to hold 4 MiB (its
/// limit for all devices is 16 MiB).
const QUEUE: usize = 16;

/// The size of each. Large ones save system calls; the host controller splits them anyway.
const TRANSFER: usize = 256 * 1024;

/// How long a device that was told to reboot may stay before we take it for one that came back
/// under its old address.
const LINGER: Duration = Duration::from_secs(10);

/// How long to listen for responses nobody fetched when a connection is taken up again.
const STALE: Duration = Duration::from_millis(50);

/// How many of them there may be.
const STALE_PACKETS: usize = 10_000;

/// How long the kernel may take to see that a device was unplugged. Until it does, transfers fail
/// as on a bad cable. Source: the kernel's documentation of USB error codes, on `EPROTO`; hubs
/// are asked four times a second.
const UNPLUG: Duration = Duration::from_secs(1);

/// How often to look whether it did.
const LOOK: Duration = Duration::from_millis(50);

/// A connection over USB.
#[derive(Debug)]
pub struct UsbTransport {
    wanted: UsbMatch,
    description: String,
    link: Option<Link>,
    /// Where the device was last.
    address: Option<(u8, u8)>,
}

impl UsbTransport {
    /// Connects to the device that `wanted` names, waiting for it until `deadline`.
    ///
    /// # Errors
    /// `Timeout` when it did not come, `InvalidInput` when two devices fit, `PermissionDenied`
    /// with what to change, `Busy` when another program uses it.
    pub async fn open(wanted: UsbMatch, deadline: Instant) -> Result<Self, HalError> {
        let description = format!("usb:{wanted}");
        let mut transport = Self {
            wanted,
            description,
            link: None,
            address: None,
        };
        transport.connect(deadline, |_| true).await?;
        Ok(transport)
    }

    async fn connect(
        &mut self,
        deadline: Instant,
        acceptable: impl Fn(&Candidate) -> bool,
    ) -> Result<(), HalError> {
        // Waiting cures neither a missing right nor a second device.
        let is_final = |error: &HalError| {
            matches!(
                error.kind(),
                ErrorKind::PermissionDenied | ErrorKind::InvalidInput | ErrorKind::Protocol
            )
        };
        let connect = || async {
            let devices = find::candidates()?;
            let device = self.wanted.choose(&devices)?;
            if !acceptable(device) {
                let message = format!("{device} did not leave yet");
                return Err(HalError::new(ErrorKind::Busy, device.to_string(), message));
            }
            Link::open(device).await.map(|link| (link, device.address))
        };
        let (link, address) = connect_until(&self.description, deadline, connect, is_final).await?;
        self.link = Some(link);
        self.address = Some(address);
        Ok(())
    }

    fn link(&mut self) -> Result<&mut Link, HalError> {
        self.link.as_mut().ok_or_else(|| {
            let message = format!("the connection to {} is closed", self.description);
            HalError::new(ErrorKind::Closed, &self.description, message)
        })
    }
}

#[async_trait]
impl Transport for UsbTransport {
    fn description(&self) -> &str {
        &self.description
    }

    async fn send(&mut self, message: &[u8]) -> Result<(), HalError> {
        let link = self.link()?;
        link.submit(message).await?;
        link.flush().await
    }

    async fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, HalError> {
        self.link()?.receive(buffer).await
    }

    async fn send_data(&mut self, data: Vec<u8>) -> Result<(), HalError> {
        self.link()?.submit(&data).await
    }

    async fn finish_data(&mut self) -> Result<(), HalError> {
        self.link()?.flush().await
    }

    async fn reopen(&mut self, left: bool, deadline: Instant) -> Result<(), HalError> {
        // Dropped first: it holds the interface.
        self.link = None;
        let (old, start) = (self.address, Instant::now());
        let acceptable =
            |device: &Candidate| !left || Some(device.address) != old || start.elapsed() >= LINGER;
        self.connect(deadline, acceptable).await?;
        self.link()?.drain().await
    }

    async fn resume(&mut self, deadline: Instant) -> Result<(), HalError> {
        if let Some(link) = &mut self.link {
            match timeout_at(deadline, link.settle()).await {
                Ok(Ok(())) => return Ok(()),
                // Whatever happened to it: what can help is a new connection.
                Ok(Err(_)) => {}
                Err(_) => return Err(still_busy(&self.description)),
            }
        }
        self.reopen(false, deadline).await
    }

    fn shows_leaving(&self) -> bool {
        true
    }

    fn chunk_size(&self) -> usize {
        TRANSFER
    }

    fn reconnecting_resets(&self) -> bool {
        false
    }
}

/// The claimed interface's endpoints.
#[derive(Debug)]
struct Link {
    name: String,
    address: (u8, u8),
    output: Endpoint<Bulk, Out>,
    input: Endpoint<Bulk, In>,
}

impl Link {
    async fn open(device: &Candidate) -> Result<Self, HalError> {
        let name = device.to_string();
        let failed = |doing: &str, error: nusb::Error| usb_error(doing, device, error);
        let Some(info) = &device.info else {
            let message = format!("{name} cannot be opened");
            return Err(HalError::new(ErrorKind::Unsupported, name, message));
        };
        let opened = info.open().await.map_err(|error| failed("open", error))?;
        let interface = opened.claim_interface(device.interface).await;
        let interface = interface.map_err(|error| failed("claim", error))?;
        let (output, input) = addresses(&interface).ok_or_else(|| {
            let message = format!("{name} has fastboot's interface without two bulk endpoints");
            HalError::new(ErrorKind::Protocol, &name, message)
        })?;
        let endpoint = |error| failed("open an endpoint of", error);
        Ok(Self {
            output: interface.endpoint(output).map_err(endpoint)?,
            input: interface.endpoint(input).map_err(endpoint)?,
            name,
            address: device.address,
        })
    }

    /// Queues a transfer, and waits while the queue is full.
    async fn submit(&mut self, data: &[u8]) -> Result<(), HalError> {
        // A buffer that came back is used again: they are mapped into the kernel.
        let mut buffer = if self.output.pending() >= QUEUE {
            self.sent().await?.buffer
        } else {
            self.output.allocate(TRANSFER.max(data.len()))
        };
        if buffer.capacity() < data.len() {
            buffer = self.output.allocate(data.len());
        }
        buffer.clear();
        buffer.extend_from_slice(data);
        self.output.submit(buffer);
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), HalError> {
        while self.output.pending() > 0 {
            self.sent().await?;
        }
        Ok(())
    }

    async fn sent(&mut self) -> Result<Completion, HalError> {
        let done = self.output.next_complete().await;
        match done.status {
            Ok(()) => Ok(done),
            Err(error) => Err(self.broken("write to", error).await),
        }
    }

    /// One packet is one response: a device's responses are shorter than a packet of high speed,
    /// and at full speed no longer than one.
    async fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, HalError> {
        loop {
            if self.input.pending() == 0 {
                let packet = self.input.max_packet_size();
                self.input.submit(Buffer::new(packet));
            }
            let done = self.input.next_complete().await;
            if let Err(error) = done.status {
                return Err(self.broken("read from", error).await);
            }
            let received = &done.buffer[..];
            if received.is_empty() {
                continue;
            }
            let Some(room) = buffer.get_mut(..received.len()) else {
                let message = format!("{} sent more than was asked for", self.name);
                return Err(HalError::new(ErrorKind::Protocol, &self.name, message));
            };
            room.copy_from_slice(received);
            return Ok(received.len());
        }
    }

    /// Throws away what the device said to a command that was given up.
    async fn drain(&mut self) -> Result<(), HalError> {
        let mut thrown_away = [0; 1024];
        for _ in 0..STALE_PACKETS {
            match timeout(STALE, self.receive(&mut thrown_away)).await {
                Ok(received) => received?,
                Err(_) => return Ok(()),
            };
        }
        let message = format!("{} does not stop talking", self.name);
        Err(HalError::new(ErrorKind::Protocol, &self.name, message))
    }

    /// Waits until the device has answered a command that was given up. Its transfers went on
    /// without us, so neither the command nor the answer is lost.
    async fn settle(&mut self) -> Result<(), HalError> {
        let mut said = [0; MAX_RESPONSE];
        self.flush().await?;
        loop {
            let length = self.receive(&mut said).await?;
            match Response::parse(&said[..length]) {
                Ok(Response::Okay(_) | Response::Fail(_)) => return Ok(()),
                Ok(Response::Info(_) | Response::Text(_)) => {}
                // The length of what comes now is not known here.
                Ok(Response::Data(_)) | Err(_) => {
                    let message = format!("{} is in the middle of something", self.name);
                    return Err(HalError::new(ErrorKind::Protocol, &self.name, message));
                }
            }
        }
    }

    async fn broken(&self, doing: &str, error: TransferError) -> HalError {
        let kind = match error {
            TransferError::Disconnected | TransferError::Cancelled => ErrorKind::Closed,
            TransferError::Fault if self.is_unplugged().await => ErrorKind::Closed,
            TransferError::Stall | TransferError::Fault => ErrorKind::Protocol,
            _ => ErrorKind::Other,
        };
        let message = format!("cannot {doing} {}: {error}", self.name);
        HalError::new(kind, &self.name, message).with_source(error)
    }

    /// Whether the device leaves within [`UNPLUG`]. One that came back has another address.
    async fn is_unplugged(&self) -> bool {
        let address = self.address;
        let deadline = Instant::now() + UNPLUG;
        while Instant::now() < deadline {
            match find::candidates() {
                Ok(there) if there.iter().all(|device| device.address != address) => return true,
                _ => sleep_until(Instant::now() + LOOK).await,
            }
        }
        false
    }
}

fn still_busy(device: &str) -> HalError {
    let message =
        format!("fastboot device {device} is not done in time with a command that was given up");
    HalError::new(ErrorKind::Timeout, device, message)
}

/// The addresses of the first bulk endpoints out and in.
fn addresses(interface: &Interface) -> Option<(u8, u8)> {
    use nusb::descriptors::TransferType;
    let descriptor = interface.descriptor()?;
    let first = |direction| {
        let mut endpoints = descriptor.endpoints();
        let bulk = endpoints
            .find(|e| e.transfer_type() == TransferType::Bulk && e.direction() == direction)?;
        Some(bulk.address())
    };
    Some((first(Direction::Out)?, first(Direction::In)?))
}

fn usb_error(doing: &str, device: &Candidate, error: nusb::Error) -> HalError {
    let kind = match error.kind() {
        nusb::ErrorKind::Disconnected => ErrorKind::Closed,
        nusb::ErrorKind::Busy => ErrorKind::Busy,
        nusb::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
        nusb::ErrorKind::NotFound => ErrorKind::NotFound,
        nusb::ErrorKind::Unsupported => ErrorKind::Unsupported,
        _ => ErrorKind::Other,
    };
    let message = format!("cannot {doing} {device}: {error}");
    let described = HalError::new(kind, device.to_string(), message).with_source(error);
    match kind {
        ErrorKind::PermissionDenied => {
            let who = crate::device::who_may(&device.node());
            described.with_hint(format!("{who}; a udev rule: {}", device.udev_rule()))
        }
        ErrorKind::Busy => {
            described.with_hint("another program uses it: is adb or fastboot running?")
        }
        _ => described,
    }
}
