//! The files of a job that boards fetch over the network, and who hands them out.
//!
//! A deploy puts its files below a root, in a directory named after the job. They are served by a
//! TFTP server of our own, which begins with the first such deploy and ends with the job, or by one
//! that serves the root already (tftpd-hpa). HTTP and block devices are served by us, from when
//! something needs them.

mod service;

pub use service::{Services, Tftp};

use super::{Undos, context::make_directory, fault};
use crate::bootfiles::{
    Protocol, Report, Root, Transfers,
    http::{self, HttpServer},
    nbd::{self, Export, NbdServer},
    tftp::{self, PORT, TftpServer},
};
use job::{Fault, JobId, Namespace};
use service::{Running, cannot_serve, nbd_ports};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};
use tokio::sync::mpsc;
use wire::journal::Undo;

/// Transfers that nobody has logged yet; further ones are not told. A boot fetches some ten files.
const UNTOLD: usize = 1000;

/// The boot files of a job.
pub struct BootFiles {
    services: Services,
    job: JobId,
    /// What paths of boot commands are relative to.
    root: PathBuf,
    /// Whether this job has a directory below it, which is removed at the end.
    is_used: bool,
    tftp: Option<Running>,
    http: Option<Running>,
    /// The image of each namespace.
    nbd: BTreeMap<Namespace, Running>,
    transfers: Transfers,
    ended: mpsc::Receiver<Report>,
    /// When the boot that runs began.
    boot_began: Instant,
}

impl BootFiles {
    /// The boot files of a job; nothing is served yet. `work_dir` is the job's own directory.
    pub fn new(services: Services, job: JobId, work_dir: &Path) -> Self {
        let (tell, ended) = mpsc::channel(UNTOLD);
        let root = match &services.tftp {
            Tftp::Own(_) => work_dir.join("boot-files"),
            Tftp::Directory(directory) => directory.clone(),
        };
        Self {
            services,
            job,
            root,
            is_used: false,
            tftp: None,
            http: None,
            nbd: BTreeMap::new(),
            // A full channel loses the line of the log, not the transfer.
            transfers: Transfers::new(move |report| drop(tell.try_send(report))),
            ended,
            boot_began: Instant::now(),
        }
    }

    /// Sees to it that files are served by TFTP, and gives the directory of this job below the
    /// root. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When our server cannot have its port, or the directory cannot be made.
    pub async fn directory(&mut self, undos: &Undos) -> Result<PathBuf, Fault> {
        let directory = self.make(undos)?;
        if let (Tftp::Own(address), None) = (&self.services.tftp, &self.tftp) {
            let cannot = |error| cannot_serve("TFTP", *address, &error);
            let served = Arc::new(Root::new(&self.root).map_err(|error| fault::of_io(&error))?);
            let limits = tftp::Limits::default();
            let server = TftpServer::bind(*address, served, limits, self.transfers.clone());
            let server = server.await.map_err(cannot)?;
            let address = server.local_address().map_err(cannot)?;
            let root = self.root.display();
            undos
                .log()
                .debug(format!("Serving {root} by TFTP at {address}"));
            self.tftp = Some(Running::new(address, server.serve()));
        }
        Ok(directory)
    }

    /// Sees to it that files are served by HTTP, and gives the directory of this job. Whatever
    /// else is below the root, only this job's files are served.
    ///
    /// # Errors
    /// When there is no port, or the directory cannot be made.
    pub async fn serve_http(&mut self, undos: &Undos) -> Result<PathBuf, Fault> {
        let directory = self.make(undos)?;
        if self.http.is_none() {
            let address = self.services.http;
            let cannot = |error| cannot_serve("HTTP", address, &error);
            let served = Root::one_of(&self.root, self.job.as_str());
            let served = Arc::new(served.map_err(|error| fault::of_io(&error))?);
            let limits = http::Limits::default();
            let server = HttpServer::bind(address, served, limits, self.transfers.clone());
            let server = server.await.map_err(cannot)?;
            let address = server.local_address().map_err(cannot)?;
            let shown = directory.display();
            undos
                .log()
                .debug(format!("Serving {shown} by HTTP at {address}"));
            self.http = Some(Running::new(address, server.serve()));
        }
        Ok(directory)
    }

    /// Serves an image, which must be the job's own copy, as a block device, in place of the
    /// namespace's former one. The address is that which boards connect to.
    ///
    /// # Errors
    /// When there is no port, or the image cannot be written to.
    pub async fn serve_nbd(
        &mut self,
        namespace: &Namespace,
        image: &Path,
        port: Option<u16>,
    ) -> Result<SocketAddr, Fault> {
        if let Some(former) = self.nbd.remove(namespace) {
            former.stop().await;
        }
        let mut address = self.services.nbd;
        let mut last = None;
        for port in nbd_ports(address.port(), port) {
            address.set_port(port);
            let export = Export::open(image).map_err(|error| fault::of_io(&error))?;
            let limits = nbd::Limits::default();
            let bound = NbdServer::bind(address, export, limits, self.transfers.clone()).await;
            match bound.and_then(|server| Ok((server.local_address()?, server))) {
                Ok((address, server)) => {
                    let running = Running::new(address, server.serve());
                    self.nbd.insert(namespace.clone(), running);
                    return Ok(address);
                }
                Err(error) => last = Some(cannot_serve("NBD", address, &error)),
            }
        }
        Err(last.unwrap_or_else(|| Fault::bug("no port was tried for NBD")))
    }

    /// Makes the job's directory below the root.
    fn make(&mut self, undos: &Undos) -> Result<PathBuf, Fault> {
        let directory = self.root.join(self.job.as_str());
        if !std::mem::replace(&mut self.is_used, true) {
            undos.register(Undo::RemovePath {
                path: directory.clone(),
            });
        }
        make_directory(&directory)?;
        Ok(directory)
    }

    /// The path of a file that a board asks for.
    pub fn path_of(&self, file: &Path) -> Option<String> {
        let below = file.strip_prefix(&self.root).ok()?;
        Some(below.to_string_lossy().into_owned())
    }

    /// The port that boards ask by TFTP.
    pub fn port(&self) -> u16 {
        let own = self.tftp.as_ref();
        own.map_or(PORT, |running| running.address.port())
    }

    /// The port that boards ask by HTTP, once we serve there.
    pub fn http_port(&self) -> Option<u16> {
        Some(self.http.as_ref()?.address.port())
    }

    /// The port of a namespace's block device.
    pub fn nbd_port(&self, namespace: &Namespace) -> Option<u16> {
        Some(self.nbd.get(namespace)?.address.port())
    }

    /// The next transfer that ended; waits for ever where none comes. Cancel-safe.
    pub async fn next_report(&mut self) -> Report {
        match self.ended.recv().await {
            Some(report) => report,
            None => std::future::pending().await,
        }
    }

    /// A boot begins: what was loaded before says nothing of it.
    pub fn begin_boot(&mut self) {
        self.boot_began = Instant::now();
    }

    /// The files that were loaded in this boot, also those that still are. A block device is never
    /// loaded to its end.
    pub fn of_this_boot(&self) -> Vec<Report> {
        let reports = self.transfers.reports().into_iter();
        reports
            .filter(|report| report.begun >= self.boot_began && report.protocol != Protocol::Nbd)
            .collect()
    }

    /// A transfer that has ended and was not told yet.
    pub fn try_next_report(&mut self) -> Option<Report> {
        self.ended.try_recv().ok()
    }

    /// Ends all servers. Gives the transfers that had not come to an end: block devices, mostly,
    /// whose boards were switched off.
    pub async fn stop(&mut self) -> Vec<Report> {
        let reports = self.transfers.reports().into_iter();
        let unfinished = reports.filter(|report| report.outcome.is_none()).collect();
        let running = [self.tftp.take(), self.http.take()];
        let images = std::mem::take(&mut self.nbd);
        for running in running.into_iter().flatten().chain(images.into_values()) {
            running.stop().await;
        }
        unfinished
    }
}
