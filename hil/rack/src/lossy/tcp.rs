//! Connections over a bad link: late, and sometimes cut.

use super::{Fates, Loss};
use std::{io, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep_until},
};

/// The most bytes that count as one packet: an Ethernet frame's.
const PACKET: usize = 1460;

/// How many packets are under way before the sender has to wait.
const UNDER_WAY: usize = 256;

/// More clients are turned away.
const CLIENTS: usize = 64;

/// A proxy for connections, until it is dropped.
#[derive(Debug)]
pub struct TcpProxy {
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl TcpProxy {
    /// Listens on `listen` (port 0 takes any) and connects each client to `target`. A dropped
    /// packet resets the connection.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn start(listen: SocketAddr, target: SocketAddr, loss: Loss) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let mut tasks = JoinSet::new();
        tasks.spawn(run(listener, target, loss));
        Ok(Self {
            address,
            _tasks: tasks,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn run(listener: TcpListener, target: SocketAddr, loss: Loss) {
    let mut clients = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, _)) if clients.len() < CLIENTS => {
                    clients.spawn(serve(client, target, loss));
                }
                _ => crate::pause().await,
            },
            Some(_) = clients.join_next() => {}
        }
    }
}

async fn serve(client: TcpStream, target: SocketAddr, loss: Loss) -> io::Result<()> {
    let target = TcpStream::connect(target).await?;
    for stream in [&client, &target] {
        stream.set_nodelay(true)?;
        // Closing resets, unless it was shut down before: a cut looks like a cut.
        stream.set_zero_linger()?;
    }
    let (client_input, client_output) = client.into_split();
    let (target_input, target_output) = target.into_split();
    tokio::try_join!(
        carry(client_input, target_output, Fates::new(loss, 0)),
        carry(target_input, client_output, Fates::new(loss, 1)),
    )?;
    Ok(())
}

/// Carries one direction to its end. Later packets wait for earlier ones.
async fn carry(
    mut input: OwnedReadHalf,
    mut output: OwnedWriteHalf,
    mut fates: Fates,
) -> io::Result<()> {
    let (queue, mut under_way) = mpsc::channel::<(Instant, Vec<u8>)>(UNDER_WAY);
    let take = async move {
        let mut buffer = [0; PACKET];
        let mut last = Instant::now();
        loop {
            let length = input.read(&mut buffer).await?;
            let fate = match length {
                0 => fates.end(),
                _ => fates.next(),
            };
            if fate.copies == 0 {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            last = last.max(Instant::now() + fate.delay);
            if queue.send((last, buffer[..length].to_vec())).await.is_err() || length == 0 {
                return Ok(());
            }
        }
    };
    let give = async {
        while let Some((due, packet)) = under_way.recv().await {
            sleep_until(due).await;
            match packet.is_empty() {
                true => output.shutdown().await?,
                false => output.write_all(&packet).await?,
            }
        }
        Ok(())
    };
    tokio::try_join!(take, give).map(drop)
}

impl Fates {
    /// What happens to the end of a stream: it is late, like all else.
    fn end(&self) -> super::Fate {
        super::Fate {
            copies: 1,
            overtaken: false,
            delay: self.loss.delay.max(Duration::ZERO),
        }
    }
}
