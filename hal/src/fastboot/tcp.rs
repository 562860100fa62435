//! Fastboot over TCP, version 1: "FB01" from both sides, then messages with a length of eight
//! bytes before them (big-endian). Source: AOSP's description of fastboot's TCP protocol.

use super::{
    target::Address,
    transport::{Transport, connect_until},
};
use crate::error::{ErrorKind, HalError};
use async_trait::async_trait;
use std::io;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};

/// What both sides begin with: the protocol's name and version.
pub const HANDSHAKE: [u8; 4] = *b"FB01";

/// The length of the length before each message.
const PREFIX: usize = 8;

/// A connection over TCP.
#[derive(Debug)]
pub struct TcpTransport {
    address: Address,
    description: String,
    stream: Option<TcpStream>,
    /// Bytes of a message that were not fetched yet; its length was read.
    left: u64,
}

impl TcpTransport {
    /// Connects to `address`, waiting for the device until `deadline`.
    ///
    /// # Errors
    /// `Timeout` when it did not come, `Protocol` when something else than fastboot answers.
    pub async fn open(address: Address, deadline: Instant) -> Result<Self, HalError> {
        let description = format!("tcp:{address}");
        let mut transport = Self {
            address,
            description,
            stream: None,
            left: 0,
        };
        transport.reopen(false, deadline).await?;
        Ok(transport)
    }

    async fn connect(&self) -> Result<TcpStream, HalError> {
        let failed = |error| HalError::from_io("connect to", &self.description, error);
        let address = (self.address.host.as_str(), self.address.port);
        let mut stream = TcpStream::connect(address).await.map_err(failed)?;
        // Commands must not wait for more.
        stream.set_nodelay(true).map_err(failed)?;
        stream.write_all(&HANDSHAKE).await.map_err(failed)?;
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).await.map_err(failed)?;
        let version: Option<u8> = answer
            .strip_prefix(b"FB")
            .and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        match version {
            Some(1..) => Ok(stream),
            _ => {
                let answer = answer.escape_ascii();
                let message = format!(
                    "{} is not fastboot: it began with '{answer}'",
                    self.description
                );
                Err(HalError::new(
                    ErrorKind::Protocol,
                    &self.description,
                    message,
                ))
            }
        }
    }

    fn stream<'a>(
        stream: &'a mut Option<TcpStream>,
        description: &str,
    ) -> Result<&'a mut TcpStream, HalError> {
        stream.as_mut().ok_or_else(|| {
            let message = format!("the connection to {description} is closed");
            HalError::new(ErrorKind::Closed, description, message)
        })
    }
}

#[async_trait]
impl Transport for TcpTransport {
    fn description(&self) -> &str {
        &self.description
    }

    async fn send(&mut self, message: &[u8]) -> Result<(), HalError> {
        let failed = |error| HalError::from_io("write to", &self.description, error);
        let stream = Self::stream(&mut self.stream, &self.description)?;
        let length = (message.len() as u64).to_be_bytes();
        // A small message goes out in one piece: two would be two packets.
        if message.len() <= super::protocol::MAX_COMMAND {
            let whole = [&length, message].concat();
            return stream.write_all(&whole).await.map_err(failed);
        }
        stream.write_all(&length).await.map_err(failed)?;
        stream.write_all(message).await.map_err(failed)
    }

    async fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, HalError> {
        let failed = |error| HalError::from_io("read from", &self.description, error);
        let stream = Self::stream(&mut self.stream, &self.description)?;
        while self.left == 0 {
            let mut prefix = [0; PREFIX];
            stream.read_exact(&mut prefix).await.map_err(failed)?;
            self.left = u64::from_be_bytes(prefix);
        }
        let length = usize::try_from(self.left)
            .ok()
            .filter(|length| *length <= buffer.len());
        let Some(length) = length else {
            let message = format!(
                "{} announces a message of {} bytes where at most {} make sense",
                self.description,
                self.left,
                buffer.len()
            );
            return Err(HalError::new(
                ErrorKind::Protocol,
                &self.description,
                message,
            ));
        };
        stream
            .read_exact(&mut buffer[..length])
            .await
            .map_err(failed)?;
        self.left = 0;
        Ok(length)
    }

    async fn reopen(&mut self, _left: bool, deadline: Instant) -> Result<(), HalError> {
        // Dropped first: a device has one connection at a time.
        self.stream = None;
        self.left = 0;
        let is_final = |error: &HalError| error.kind() == ErrorKind::Protocol;
        let connect = || self.connect();
        let stream = connect_until(&self.description, deadline, connect, is_final).await?;
        self.stream = Some(stream);
        Ok(())
    }

    fn reconnecting_resets(&self) -> bool {
        true
    }
}

/// For devices that we play: reads a message's length.
///
/// # Errors
/// `InvalidData` when it is longer than `limit`.
pub fn message_length(prefix: [u8; PREFIX], limit: usize) -> io::Result<usize> {
    let length = usize::try_from(u64::from_be_bytes(prefix)).ok();
    length
        .filter(|length| *length <= limit)
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}
