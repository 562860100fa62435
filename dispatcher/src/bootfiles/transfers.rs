//! What clients loaded: told to the job's log as it happens, and asked when a boot goes wrong.

use std::{
    collections::VecDeque,
    fmt,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// How many transfers are remembered; boards load a handful.
const REMEMBERED: usize = 1000;

/// How a file was loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// TFTP.
    Tftp,
    /// HTTP.
    Http,
    /// A block device over the network.
    Nbd,
}

/// How a transfer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The client has it all.
    Done,
    /// It was not served, and why.
    Refused(String),
    /// It broke off, and why.
    Failed(String),
}

/// A transfer that runs.
#[derive(Debug)]
pub(super) struct Progress {
    protocol: Protocol,
    client: SocketAddr,
    path: String,
    size: u64,
    begun: Instant,
    bytes: AtomicU64,
    retransmitted: AtomicU64,
    ended: Mutex<Option<(Outcome, Duration)>>,
}

impl Progress {
    /// The client has `bytes` of it, and so many packets were sent again.
    pub(super) fn update(&self, bytes: u64, retransmitted: u64) {
        self.bytes.store(bytes, Ordering::Relaxed);
        self.retransmitted.store(retransmitted, Ordering::Relaxed);
    }

    fn report(&self) -> Report {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let (outcome, duration) = match &*ended {
            Some((outcome, duration)) => (Some(outcome.clone()), *duration),
            None => (None, self.begun.elapsed()),
        };
        Report {
            protocol: self.protocol,
            client: self.client,
            path: self.path.clone(),
            size: self.size,
            bytes: self.bytes.load(Ordering::Relaxed),
            retransmitted: self.retransmitted.load(Ordering::Relaxed),
            begun: self.begun,
            duration,
            outcome,
        }
    }
}

/// A transfer, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// How.
    pub protocol: Protocol,
    /// Who loads.
    pub client: SocketAddr,
    /// The file, as the client called it.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// What has arrived of it.
    pub bytes: u64,
    /// Packets that were sent again.
    pub retransmitted: u64,
    /// When it began.
    pub begun: Instant,
    /// How long it takes, or took.
    pub duration: Duration,
    /// How it ended; `None` while it runs.
    pub outcome: Option<Outcome>,
}

impl Report {
    /// How much of it has arrived, in percent; `None` for a file of no size.
    pub fn percent(&self) -> Option<u8> {
        let percent = self.bytes.saturating_mul(100).checked_div(self.size)?;
        u8::try_from(percent.min(100)).ok()
    }
}

/// The transfers of one server. Clones share them.
#[derive(Clone)]
pub struct Transfers {
    list: Arc<Mutex<VecDeque<Arc<Progress>>>>,
    ended: Arc<dyn Fn(Report) + Send + Sync>,
}

impl Transfers {
    /// Tells each transfer that is over to `ended`, on the server's thread.
    pub fn new(ended: impl Fn(Report) + Send + Sync + 'static) -> Self {
        Self {
            list: Arc::default(),
            ended: Arc::new(ended),
        }
    }

    /// The last transfers, oldest first, with those that run.
    pub fn reports(&self) -> Vec<Report> {
        let list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        list.iter().map(|progress| progress.report()).collect()
    }

    pub(super) fn begin(
        &self,
        protocol: Protocol,
        client: SocketAddr,
        path: &str,
        size: u64,
    ) -> Arc<Progress> {
        let progress = Arc::new(Progress {
            protocol,
            client,
            path: path.to_owned(),
            size,
            begun: Instant::now(),
            bytes: AtomicU64::new(0),
            retransmitted: AtomicU64::new(0),
            ended: Mutex::new(None),
        });
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        if list.len() == REMEMBERED {
            list.pop_front();
        }
        list.push_back(progress.clone());
        progress
    }

    pub(super) fn end(&self, progress: &Progress, outcome: Outcome) {
        let end = (outcome, progress.begun.elapsed());
        *progress
            .ended
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(end);
        (self.ended)(progress.report());
    }
}

impl fmt::Debug for Transfers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.reports()).finish()
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tftp => "TFTP",
            Self::Http => "HTTP",
            Self::Nbd => "NBD",
        })
    }
}

/// "TFTP: Image to 192.0.2.7, 27236288 bytes in 1.37 s, 3 packets sent again".
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (client, seconds) = (self.client.ip(), self.duration.as_secs_f64());
        write!(
            f,
            "{}: {} to {client}",
            self.protocol,
            self.path.escape_debug()
        )?;
        match &self.outcome {
            Some(Outcome::Refused(reason)) => return write!(f, " refused: {reason}"),
            Some(Outcome::Done) => write!(f, ", {} bytes in {seconds:.2} s", self.bytes)?,
            other => {
                let percent = self.percent().unwrap_or(100);
                let (bytes, size) = (self.bytes, self.size);
                write!(
                    f,
                    ", {percent} % ({bytes} of {size} bytes) in {seconds:.2} s"
                )?;
                if let Some(Outcome::Failed(reason)) = other {
                    write!(f, ", then {reason}")?;
                }
            }
        }
        match self.retransmitted {
            0 => Ok(()),
            packets => write!(f, ", {packets} packets sent again"),
        }
    }
}
