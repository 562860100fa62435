//! Devices that the rack plays, over TCP and UDP.

use super::soon;
use hal::{
    HalError,
    fastboot::{Fastboot, Target, Transport, open},
};
use rack::fastboot_device::{Contents, Device, LinkFaults, TcpDevice, UdpDevice};
use std::future::Future;

pub const MIB: usize = 1 << 20;

pub type Client = Fastboot<Box<dyn Transport>>;

/// A device on either transport.
pub enum Served {
    Tcp(TcpDevice),
    Udp(UdpDevice),
}

impl Served {
    pub async fn tcp(device: Device) -> Self {
        Self::Tcp(TcpDevice::start(device).await.unwrap())
    }

    pub async fn udp(device: Device, faults: LinkFaults) -> Self {
        Self::Udp(UdpDevice::start(device, 1400, faults).await.unwrap())
    }

    pub fn contents(&self) -> &Contents {
        match self {
            Self::Tcp(device) => device.contents(),
            Self::Udp(device) => device.contents(),
        }
    }

    pub async fn client(&self) -> Client {
        let target = match self {
            Self::Tcp(device) => format!("tcp:{}", device.address()),
            Self::Udp(device) => format!("udp:{}", device.address()),
        };
        connect(&target).await.unwrap()
    }
}

pub async fn connect(target: &str) -> Result<Client, HalError> {
    let target: Target = target.parse()?;
    open(&target, soon()).await.map(Fastboot::new)
}

pub fn board(max_download: usize) -> Device {
    Device::new(max_download, &[("boot", 8 * MIB), ("rootfs", 8 * MIB)])
}

/// The same story over each transport.
pub async fn on_both<F: Future<Output = ()>>(max_download: usize, story: impl Fn(Served) -> F) {
    story(Served::tcp(board(max_download)).await).await;
    story(Served::udp(board(max_download), LinkFaults::default()).await).await;
}
