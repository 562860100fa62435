//! The socket of the TFTP server, and one task for each transfer.

use super::{
    packet::{self, DEFAULT_BLOCK_SIZE, ErrorCode, Options, ReadRequest, Reply},
    window::{Next, Window},
};
use crate::bootfiles::{
    NotServed, Root,
    transfers::{Outcome, Progress, Protocol, Transfers},
};
use std::{
    fs::File,
    io,
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    os::unix::fs::FileExt,
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::UdpSocket,
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, timeout_at},
};

/// What the server allows its clients.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The largest block: what fits an Ethernet frame, since lost fragments cost whole blocks.
    pub block_size: usize,
    /// The most blocks under way.
    pub window: u16,
    /// Transfers at a time; requests beyond it are refused.
    pub transfers: usize,
    /// A transfer ends when it makes no progress for so long.
    pub patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            block_size: 1468,
            window: 32,
            transfers: 256,
            patience: Duration::from_secs(30),
        }
    }
}

/// The shortest wait before something is sent again: clients are slow at times.
const SHORTEST_WAIT: Duration = Duration::from_millis(100);
/// The longest, and the first one, before the client's speed is known.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// Room for what clients send: requests and acknowledgements.
const RECEIVE_BUFFER: usize = 2048;

/// A TFTP server that serves one directory, reading only.
#[derive(Debug)]
pub struct TftpServer {
    socket: UdpSocket,
    address: IpAddr,
    root: Arc<Root>,
    limits: Limits,
    transfers: Transfers,
}

impl TftpServer {
    /// Serves `root` on `address`, which must be one that clients reach: answers come from it.
    /// Each transfer is told to `transfers`.
    ///
    /// # Errors
    /// When the address cannot be used; port 69 needs a capability.
    pub async fn bind(
        address: SocketAddr,
        root: Arc<Root>,
        limits: Limits,
        transfers: Transfers,
    ) -> io::Result<Self> {
        Self::on(UdpSocket::bind(address).await?, root, limits, transfers)
    }

    /// As [`Self::bind`], on a socket that was opened by somebody else: systemd, say.
    ///
    /// # Errors
    /// When its address cannot be told.
    pub fn on(
        socket: UdpSocket,
        root: Arc<Root>,
        limits: Limits,
        transfers: Transfers,
    ) -> io::Result<Self> {
        let address = socket.local_addr()?.ip();
        Ok(Self {
            socket,
            address,
            root,
            limits,
            transfers,
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system cannot say.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Serves until it is dropped, which ends all transfers.
    ///
    /// # Errors
    /// When the socket fails for good.
    pub async fn serve(self) -> io::Result<()> {
        let free = Arc::new(Semaphore::new(self.limits.transfers));
        let mut tasks = JoinSet::new();
        let mut buffer = [0; RECEIVE_BUFFER];
        loop {
            let (length, client) = tokio::select! {
                received = self.socket.recv_from(&mut buffer) => match received {
                    Ok(received) => received,
                    // A client that is gone: the host tells it by an error of the next call.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
                    Err(error) => return Err(error),
                },
                Some(_) = tasks.join_next() => continue,
            };
            let refused = match packet::parse_request(&buffer[..length]) {
                Err(None) => continue,
                Err(Some(bad)) => (bad.code, bad.message),
                Ok(request) => match free.clone().try_acquire_owned() {
                    Err(_) => (ErrorCode::Undefined, "the server is busy, try again"),
                    Ok(permit) => {
                        let serving = Serving {
                            address: self.address,
                            client,
                            root: self.root.clone(),
                            limits: self.limits,
                            transfers: self.transfers.clone(),
                        };
                        tasks.spawn(async move {
                            serving.serve(request).await;
                            drop(permit);
                        });
                        continue;
                    }
                },
            };
            // If the answer is lost the client asks again.
            let _ = self
                .socket
                .try_send_to(&packet::error(refused.0, refused.1), client);
        }
    }
}

/// One transfer.
struct Serving {
    address: IpAddr,
    client: SocketAddr,
    root: Arc<Root>,
    limits: Limits,
    transfers: Transfers,
}

impl Serving {
    async fn serve(self, request: ReadRequest) {
        let opened = self.root.open(&request.path);
        let size = opened.as_ref().map_or(0, |(_, size)| *size);
        let progress = self
            .transfers
            .begin(Protocol::Tftp, self.client, &request.path, size);
        let outcome = match self.socket().await {
            Err(error) => Outcome::Failed(format!("no socket for it: {error}")),
            Ok(socket) => match opened {
                Ok((file, size)) => {
                    let granted = granted(request.options, self.limits);
                    let sending =
                        Sending::new(&socket, file, size, granted, &progress, self.limits);
                    sending.run().await
                }
                Err(refused) => refuse(&socket, &refused).await,
            },
        };
        self.transfers.end(&progress, outcome);
    }

    /// A socket of its own for each transfer: its port names the transfer (RFC 1350 §4), and the
    /// system keeps the packets of others away.
    async fn socket(&self) -> io::Result<UdpSocket> {
        let socket = UdpSocket::bind((self.address, 0)).await?;
        socket.connect(self.client).await?;
        Ok(socket)
    }
}

async fn refuse(socket: &UdpSocket, refused: &NotServed) -> Outcome {
    let code = match refused {
        NotServed::Missing => ErrorCode::FileNotFound,
        NotServed::Denied => ErrorCode::AccessViolation,
        NotServed::Host(_) => ErrorCode::Undefined,
    };
    let _ = socket
        .send(&packet::error(code, &refused.to_string()))
        .await;
    match refused {
        NotServed::Host(error) => Outcome::Refused(format!("{refused}: {error}")),
        _ => Outcome::Refused(refused.to_string()),
    }
}

/// What of its options a client gets.
fn granted(asked: Options, limits: Limits) -> Options {
    Options {
        block_size: asked.block_size.map(|bytes| bytes.min(limits.block_size)),
        window: asked.window.map(|blocks| blocks.min(limits.window)),
        ..asked
    }
}

/// A transfer whose file is open.
struct Sending<'a> {
    socket: &'a UdpSocket,
    file: File,
    size: u64,
    block_size: usize,
    options: Options,
    window: Window,
    progress: &'a Progress,
    patience: Duration,
    round_trip: RoundTrip,
    buffer: Vec<u8>,
}

impl<'a> Sending<'a> {
    fn new(
        socket: &'a UdpSocket,
        file: File,
        size: u64,
        options: Options,
        progress: &'a Progress,
        limits: Limits,
    ) -> Self {
        let block_size = options.block_size.unwrap_or(DEFAULT_BLOCK_SIZE);
        Self {
            socket,
            file,
            size,
            block_size,
            options,
            window: Window::new(size, block_size, options.window.unwrap_or(1)),
            progress,
            patience: limits.patience,
            round_trip: RoundTrip::default(),
            buffer: Vec::new(),
        }
    }

    async fn run(mut self) -> Outcome {
        match self.send_all().await {
            Ok(outcome) => outcome,
            // A client that went away has its host refuse our packets.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                Outcome::Failed("the client closed its port".to_owned())
            }
            Err(error) => {
                let message = packet::error(ErrorCode::Undefined, "the server cannot go on");
                let _ = self.socket.send(&message).await;
                Outcome::Failed(error.to_string())
            }
        }
    }

    async fn send_all(&mut self) -> io::Result<Outcome> {
        let mut waits_for_options = self.options.any();
        if waits_for_options {
            self.socket
                .send(&self.options.acknowledge(self.size))
                .await?;
        } else if let Next::Send(blocks) = self.window.start() {
            self.send(blocks).await?;
        }
        let mut sent_at = Instant::now();
        let mut gives_up = sent_at + self.patience;
        let mut wait = self.round_trip.wait();
        let mut clean = true;
        loop {
            let next = match self.reply((sent_at + wait).min(gives_up)).await? {
                Some(Reply::Error(reason)) => {
                    return Ok(Outcome::Failed(format!("the client gave up: {reason}")));
                }
                Some(Reply::Acknowledge(0)) if waits_for_options => {
                    waits_for_options = false;
                    self.window.start()
                }
                Some(Reply::Acknowledge(_)) if waits_for_options => Next::Wait,
                Some(Reply::Acknowledge(number)) => self.window.acknowledge(number),
                None if Instant::now() >= gives_up => return Ok(self.stalled()),
                None => {
                    wait = (wait * 2).min(LONGEST_WAIT);
                    sent_at = Instant::now();
                    clean = false;
                    if waits_for_options {
                        let options = self.options.acknowledge(self.size);
                        self.socket.send(&options).await?;
                    } else if let Next::Send(blocks) = self.window.timed_out() {
                        self.send(blocks).await?;
                        self.report();
                    }
                    continue;
                }
            };
            match next {
                Next::Wait => {}
                Next::Done => {
                    self.report();
                    return Ok(Outcome::Done);
                }
                Next::Send(blocks) => {
                    if std::mem::replace(&mut clean, true) {
                        self.round_trip.measured(sent_at.elapsed());
                    }
                    self.send(blocks).await?;
                    self.report();
                    sent_at = Instant::now();
                    wait = self.round_trip.wait();
                    gives_up = sent_at + self.patience;
                }
            }
        }
    }

    /// What the client says next; `None` when `until` passes first.
    async fn reply(&self, until: Instant) -> io::Result<Option<Reply>> {
        let mut buffer = [0; RECEIVE_BUFFER];
        loop {
            let Ok(received) = timeout_at(until, self.socket.recv(&mut buffer)).await else {
                return Ok(None);
            };
            if let Some(reply) = packet::parse_reply(&buffer[..received?]) {
                return Ok(Some(reply));
            }
        }
    }

    async fn send(&mut self, blocks: RangeInclusive<u64>) -> io::Result<()> {
        let block_size = self.block_size as u64;
        let begin = (blocks.start() - 1) * block_size;
        let end = (blocks.end() * block_size).min(self.size);
        self.buffer
            .resize(usize::try_from(end - begin).unwrap_or(0), 0);
        // From the page cache: the job has just written these files.
        self.file.read_exact_at(&mut self.buffer, begin)?;
        let mut packet = Vec::with_capacity(self.block_size + 4);
        let mut rest = &self.buffer[..];
        for block in blocks {
            let (bytes, behind) = rest.split_at(rest.len().min(self.block_size));
            rest = behind;
            packet.clear();
            packet.extend_from_slice(&packet::data_head(block));
            packet.extend_from_slice(bytes);
            self.socket.send(&packet).await?;
        }
        Ok(())
    }

    fn report(&self) {
        let bytes = (self.window.acknowledged() * self.block_size as u64).min(self.size);
        self.progress.update(bytes, self.window.retransmitted());
    }

    fn stalled(&self) -> Outcome {
        self.report();
        let seconds = self.patience.as_secs();
        Outcome::Failed(format!("the client was silent for {seconds} s"))
    }
}

/// How long this client takes to answer, smoothed as TCP does (RFC 6298).
#[derive(Default)]
struct RoundTrip {
    smoothed: Option<Duration>,
    variation: Duration,
}

impl RoundTrip {
    fn measured(&mut self, time: Duration) {
        match self.smoothed {
            None => {
                self.smoothed = Some(time);
                self.variation = time / 2;
            }
            Some(smoothed) => {
                self.variation = (self.variation * 3 + smoothed.abs_diff(time)) / 4;
                self.smoothed = Some((smoothed * 7 + time) / 8);
            }
        }
    }

    fn wait(&self) -> Duration {
        match self.smoothed {
            None => LONGEST_WAIT,
            Some(smoothed) => (smoothed + self.variation * 4).clamp(SHORTEST_WAIT, LONGEST_WAIT),
        }
    }
}
