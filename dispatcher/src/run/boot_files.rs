//! The files of a job that boot loaders fetch, and who hands them out.
//!
//! A deploy puts its files below a root, in a directory named after the job. They are served by a
//! TFTP server of our own, which begins with the first such deploy and ends with the job, or by one
//! that serves the root already (tftpd-hpa).

use super::{Undos, context::make_directory, fault};
use crate::bootfiles::{
    Report, Root, Transfers,
    tftp::{Limits, PORT, TftpServer},
};
use job::{Fault, JobId};
use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::{sync::mpsc, task::AbortHandle};
use wire::journal::Undo;

/// Transfers that nobody has logged yet; further ones are not told. A boot fetches some ten files.
const UNTOLD: usize = 1000;

/// Who serves boot files by TFTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tftp {
    /// We do, on this address, which answers come from as well.
    Own(SocketAddr),
    /// Somebody else does, from this directory.
    Directory(PathBuf),
}

impl Default for Tftp {
    fn default() -> Self {
        Self::Own(SocketAddr::from(([127, 0, 0, 1], PORT)))
    }
}

/// The boot files of a job.
pub struct BootFiles {
    service: Tftp,
    job: JobId,
    /// The root that paths of boot commands are relative to; known with the first deploy.
    root: Option<PathBuf>,
    server: Option<Server>,
}

struct Server {
    address: SocketAddr,
    reports: mpsc::Receiver<Report>,
    transfers: Transfers,
    /// How many transfers there were when the boot that runs began.
    before: usize,
    task: AbortHandle,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl BootFiles {
    /// The boot files of a job; nothing is served yet.
    pub fn new(service: Tftp, job: JobId) -> Self {
        Self {
            service,
            job,
            root: None,
            server: None,
        }
    }

    /// Sees to it that files are served, and gives the directory of this job below the root.
    /// Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When our server cannot have its port, or the directory cannot be made.
    pub async fn directory(&mut self, work_dir: &Path, undos: &Undos) -> Result<PathBuf, Fault> {
        let root = match &self.service {
            Tftp::Own(_) => work_dir.join("boot-files"),
            Tftp::Directory(directory) => directory.clone(),
        };
        let directory = root.join(self.job.as_str());
        if self.root.is_none() {
            undos.register(Undo::RemovePath {
                path: directory.clone(),
            });
        }
        make_directory(&directory)?;
        self.root = Some(root.clone());
        if let (Tftp::Own(address), None) = (&self.service, &self.server) {
            let server = start(*address, &root).await?;
            let (address, root) = (server.address, root.display());
            undos
                .log()
                .debug(format!("Serving {root} by TFTP at {address}"));
            self.server = Some(server);
        }
        Ok(directory)
    }

    /// The path of a file that a board asks for.
    pub fn path_of(&self, file: &Path) -> Option<String> {
        let below = file.strip_prefix(self.root.as_ref()?).ok()?;
        Some(below.to_string_lossy().into_owned())
    }

    /// The port that boards ask.
    pub fn port(&self) -> u16 {
        let own = self.server.as_ref();
        own.map_or(PORT, |server| server.address.port())
    }

    /// The next transfer that ended; waits for ever where we serve nothing. Cancel-safe.
    pub async fn next_report(&mut self) -> Report {
        let next = match &mut self.server {
            Some(server) => server.reports.recv().await,
            None => None,
        };
        match next {
            Some(report) => report,
            None => std::future::pending().await,
        }
    }

    /// A boot begins: what was loaded before says nothing of it.
    pub fn begin_boot(&mut self) {
        if let Some(server) = &mut self.server {
            server.before = server.transfers.reports().len();
        }
    }

    /// The transfers of this boot, also those that go on.
    pub fn of_this_boot(&self) -> Vec<Report> {
        self.server.as_ref().map_or_else(Vec::new, |server| {
            let reports = server.transfers.reports();
            reports.into_iter().skip(server.before).collect()
        })
    }

    /// A transfer that has ended and was not told yet.
    pub fn try_next_report(&mut self) -> Option<Report> {
        self.server.as_mut()?.reports.try_recv().ok()
    }
}

async fn start(address: SocketAddr, root: &Path) -> Result<Server, Fault> {
    let root = Arc::new(Root::new(root).map_err(|error| fault::of_io(&error))?);
    let (ended, reports) = mpsc::channel(UNTOLD);
    // A full channel loses the line of the log, not the transfer.
    let transfers = Transfers::new(move |report| drop(ended.try_send(report)));
    let server = TftpServer::bind(address, root, Limits::default(), transfers.clone()).await;
    let server = server.map_err(|error| cannot_serve(address, &error))?;
    let address = server
        .local_address()
        .map_err(|error| cannot_serve(address, &error))?;
    let task = tokio::spawn(async move {
        // A socket that fails for good shows as a board that gets nothing.
        let _ = server.serve().await;
    });
    Ok(Server {
        address,
        reports,
        transfers,
        before: 0,
        task: task.abort_handle(),
    })
}

fn cannot_serve(address: SocketAddr, error: &io::Error) -> Fault {
    let message = format!("cannot serve boot files by TFTP at {address}: {error}");
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied => format!(
            "ports below 1024 need a capability: `sudo setcap cap_net_bind_service=+ep {}`; or \
             give another port (--tftp ADDRESS:PORT), which boot commands name as {{TFTP_PORT}}",
            std::env::current_exe().map_or_else(
                |_| "pumice".to_owned(),
                |program| program.display().to_string()
            )
        ),
        io::ErrorKind::AddrInUse => {
            "another TFTP server runs: name the directory that it serves (--tftp DIRECTORY)"
                .to_owned()
        }
        io::ErrorKind::AddrNotAvailable => {
            "this host does not have that address: give the one to listen on (--tftp ADDRESS:PORT)"
                .to_owned()
        }
        _ => "give another address (--tftp ADDRESS:PORT)".to_owned(),
    };
    Fault::configuration(message).with_hint(hint)
}
