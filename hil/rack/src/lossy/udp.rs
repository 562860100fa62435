//! Datagrams over a bad link.

use super::{Fates, Loss};
use std::{
    collections::{BTreeMap, HashMap},
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::UdpSocket,
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep_until},
};

/// The largest datagram.
const LARGEST: usize = 64 * 1024;

/// More datagrams under way in one direction are dropped: a link has a queue.
const UNDER_WAY: usize = 1024;

/// More clients are not served.
const CLIENTS: usize = 64;

/// How long a packet that is to be overtaken waits for the one behind it.
const OVERTAKEN_WITHIN: Duration = Duration::from_millis(50);

/// A proxy for datagrams, until it is dropped. Each client has its own way to the target.
#[derive(Debug)]
pub struct UdpProxy {
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl UdpProxy {
    /// Listens on `listen` (port 0 takes any) and passes everything on to `target` and back.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn start(listen: SocketAddr, target: SocketAddr, loss: Loss) -> io::Result<Self> {
        let socket = Arc::new(UdpSocket::bind(listen).await?);
        let address = socket.local_addr()?;
        let mut tasks = JoinSet::new();
        tasks.spawn(run(socket, target, loss));
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

async fn run(front: Arc<UdpSocket>, target: SocketAddr, loss: Loss) {
    let mut clients: HashMap<SocketAddr, mpsc::Sender<Vec<u8>>> = HashMap::new();
    let mut ways = JoinSet::new();
    let mut buffer = vec![0; LARGEST];
    loop {
        // It fails only for an answer to somebody who is gone.
        let Ok((length, client)) = front.recv_from(&mut buffer).await else {
            crate::pause().await;
            continue;
        };
        if !clients.contains_key(&client) && clients.len() < CLIENTS {
            let (forth, packets) = mpsc::channel(UNDER_WAY);
            ways.spawn(serve(Arc::clone(&front), client, target, loss, packets));
            clients.insert(client, forth);
        }
        if let Some(forth) = clients.get(&client) {
            // A full queue drops, as a link does.
            let _ = forth.try_send(buffer[..length].to_vec());
        }
    }
}

/// One client's way to the target and back.
async fn serve(
    front: Arc<UdpSocket>,
    client: SocketAddr,
    target: SocketAddr,
    loss: Loss,
    forth: mpsc::Receiver<Vec<u8>>,
) {
    let any: SocketAddr = match target {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let Ok(rear) = UdpSocket::bind(any).await else {
        return;
    };
    let (answers, back) = mpsc::channel(UNDER_WAY);
    let receive = async {
        let mut buffer = vec![0; LARGEST];
        loop {
            // A target that is not there is a link that loses everything.
            if let Ok((length, _)) = rear.recv_from(&mut buffer).await {
                let _ = answers.try_send(buffer[..length].to_vec());
            } else {
                crate::pause().await;
            }
        }
    };
    tokio::join!(
        receive,
        carry(forth, Fates::new(loss, 0), &rear, target),
        carry(back, Fates::new(loss, 1), &front, client),
    );
}

/// Carries packets to `receiver`, each as its fate says.
async fn carry(
    mut packets: mpsc::Receiver<Vec<u8>>,
    mut fates: Fates,
    socket: &UdpSocket,
    receiver: SocketAddr,
) {
    // By the time they are due, and the order in which they came.
    let mut under_way: BTreeMap<(Instant, u64), Vec<u8>> = BTreeMap::new();
    let mut overtaken: Option<(Instant, u64, Vec<u8>)> = None;
    let mut number = 0;
    loop {
        let waiting = overtaken.as_ref().map(|(until, ..)| *until);
        let due = under_way.keys().map(|(due, _)| *due).chain(waiting).min();
        let next = due.unwrap_or_else(Instant::now);
        tokio::select! {
            packet = packets.recv() => {
                let Some(packet) = packet else { return };
                let fate = fates.next();
                let now = Instant::now();
                number += 1;
                if fate.copies == 0 || under_way.len() >= UNDER_WAY {
                    continue;
                }
                if fate.overtaken && overtaken.is_none() {
                    overtaken = Some((now + fate.delay + OVERTAKEN_WITHIN, number, packet));
                    continue;
                }
                for _ in 0..fate.copies {
                    under_way.insert((now + fate.delay, number), packet.clone());
                    number += 1;
                }
                // The one that was to be overtaken is.
                if let Some((_, _, packet)) = overtaken.take() {
                    under_way.insert((now + fate.delay, number), packet);
                }
            }
            () = sleep_until(next), if due.is_some() => {
                if let Some((_, number, packet)) = overtaken.take_if(|(until, ..)| *until <= next) {
                    under_way.insert((next, number), packet);
                }
                while let Some(entry) = under_way.first_entry().filter(|entry| entry.key().0 <= next) {
                    // A receiver that is gone is a link that loses everything.
                    let _ = socket.send_to(&entry.remove(), receiver).await;
                }
            }
        }
    }
}
