//! Where boot files are served, and the servers that run.

use crate::bootfiles::tftp::PORT;
use job::Fault;
use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    ops::Range,
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::task::JoinHandle;

/// Ports of block devices. LAVA 2026.07 takes them from here, and firewalls of labs let them pass.
const NBD_PORTS: Range<u16> = 55000..56000;

/// How many of them LAVA 2026.07 tries.
const NBD_TRIES: u16 = 10;

/// Who serves boot files by TFTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tftp {
    /// We do, on this address, which answers come from as well.
    Own(SocketAddr),
    /// Somebody else does, from this directory.
    Directory(PathBuf),
}

/// Where boot files are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Services {
    /// By TFTP.
    pub tftp: Tftp,
    /// By HTTP; port 0 takes a free one.
    pub http: SocketAddr,
    /// As block devices; port 0 takes the one that the job asks for, or a free one.
    pub nbd: SocketAddr,
}

impl Services {
    /// All of them by us, at an address of this host's.
    pub fn at(address: IpAddr) -> Self {
        Self {
            tftp: Tftp::Own((address, PORT).into()),
            http: (address, 0).into(),
            nbd: (address, 0).into(),
        }
    }
}

impl Default for Services {
    fn default() -> Self {
        Self::at(Ipv4Addr::LOCALHOST.into())
    }
}

/// The ports to try for a block device, in order: that of the job, else that of this host, else
/// some of LAVA's, else any.
pub(super) fn nbd_ports(of_host: u16, of_job: Option<u16>) -> Vec<u16> {
    if let Some(port) = of_job.or((of_host > 0).then_some(of_host)) {
        return vec![port];
    }
    // Jobs of one host shall not all begin with the same.
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let start = now.map_or(0, |now| now.subsec_micros());
    let count = u32::from(NBD_PORTS.end - NBD_PORTS.start);
    let tried = (0..NBD_TRIES).map(|n| {
        let step = (start + u32::from(n)) % count;
        NBD_PORTS.start + u16::try_from(step).unwrap_or_default()
    });
    tried.chain([0]).collect()
}

/// A server that runs until it is dropped.
pub(super) struct Running {
    pub(super) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Running {
    /// Lets it run beside the job.
    pub(super) fn new(
        address: SocketAddr,
        serve: impl Future<Output = io::Result<()>> + Send + 'static,
    ) -> Self {
        let task = tokio::spawn(async move {
            // A socket that fails for good shows as a board that gets nothing.
            let _ = serve.await;
        });
        Self { address, task }
    }

    /// Ends it; its port is free then.
    pub(super) async fn stop(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The fault of a server that cannot have its address.
pub(super) fn cannot_serve(protocol: &str, address: SocketAddr, error: &io::Error) -> Fault {
    let message = format!("cannot serve boot files by {protocol} at {address}: {error}");
    let option = format!("--{}", protocol.to_lowercase());
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            let program = std::env::current_exe().map_or_else(
                |_| "pumice".to_owned(),
                |program| program.display().to_string(),
            );
            format!(
                "ports below 1024 need a capability: `sudo setcap cap_net_bind_service=+ep \
                 {program}`; or give another port ({option} ADDRESS:PORT), which boot commands \
                 name as {{{protocol}_PORT}}"
            )
        }
        io::ErrorKind::AddrInUse if protocol == "TFTP" => {
            "another TFTP server runs: name the directory that it serves (--tftp DIRECTORY)"
                .to_owned()
        }
        io::ErrorKind::AddrNotAvailable => format!(
            "this host does not have that address: give the one to listen on ({option} \
             ADDRESS:PORT)"
        ),
        _ => format!("give another address ({option} ADDRESS:PORT)"),
    };
    Fault::configuration(message).with_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_job_chooses_its_port_before_the_host() {
        assert_eq!(nbd_ports(10809, Some(7)), [7]);
        assert_eq!(nbd_ports(10809, None), [10809]);
        let ports = nbd_ports(0, None);
        assert_eq!((ports.len(), ports[10]), (11, 0));
        assert!(ports[..10].iter().all(|port| NBD_PORTS.contains(port)));
    }
}
