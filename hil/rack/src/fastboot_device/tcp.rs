//! A device over TCP.

use super::{Contents, Device};
use hal::fastboot::{
    protocol::MAX_COMMAND,
    tcp::{HANDSHAKE, message_length},
};
use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// A device that is served on a TCP port of this machine, to one host at a time, until it is
/// dropped.
#[derive(Debug)]
pub struct TcpDevice {
    address: SocketAddr,
    contents: Contents,
    task: JoinHandle<io::Result<()>>,
}

impl TcpDevice {
    /// Serves `device`. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When there is no port.
    pub async fn start(mut device: Device) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let contents = device.contents();
        let task = tokio::spawn(async move {
            while !device.is_gone() {
                let (stream, _) = listener.accept().await?;
                device.begin_again();
                // A host that leaves in the middle of something is no reason to end.
                let _ = converse(&mut device, stream).await;
            }
            Ok(())
        });
        Ok(Self {
            address,
            contents,
            task,
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

impl Drop for TcpDevice {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn converse(device: &mut Device, mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut greeting = [0; 4];
    stream.write_all(&HANDSHAKE).await?;
    stream.read_exact(&mut greeting).await?;
    if !greeting.starts_with(b"FB") {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let mut prefix = [0; 8];
        stream.read_exact(&mut prefix).await?;
        let limit = if device.data_left().is_some() {
            u32::MAX as usize
        } else {
            MAX_COMMAND
        };
        let mut left = message_length(prefix, limit)?;
        while left > 0 {
            let here = left.min(buffer.len());
            stream.read_exact(&mut buffer[..here]).await?;
            device.take(&buffer[..here]);
            left -= here;
            if device.is_gone() || device.has_hung_up() {
                return Ok(());
            }
        }
        if device.is_silent() {
            // Until the host has enough of it.
            while stream.read(&mut buffer).await? > 0 {}
            return Ok(());
        }
        while let Some(answer) = device.answer() {
            stream
                .write_all(&(answer.len() as u64).to_be_bytes())
                .await?;
            stream.write_all(&answer).await?;
        }
    }
}
