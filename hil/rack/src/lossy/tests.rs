use super::*;
use proptest::prelude::*;
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    time::{Instant, timeout},
};

const SOON: Duration = Duration::from_secs(10);

fn any_port() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

fn losing(seed: u64) -> Loss {
    Loss {
        drop: 0.2,
        duplicate: 0.2,
        reorder: 0.2,
        seed,
        ..Loss::default()
    }
}

/// Sends the numbers up to `count` through a proxy one way, and says which came in which order.
async fn through(loss: Loss, count: u16) -> Vec<u16> {
    let target = UdpSocket::bind(any_port()).await.unwrap();
    let proxy = UdpProxy::start(any_port(), target.local_addr().unwrap(), loss);
    let proxy = proxy.await.unwrap();
    let client = UdpSocket::bind(any_port()).await.unwrap();
    client.connect(proxy.address()).await.unwrap();
    for number in 0..count {
        client.send(&number.to_be_bytes()).await.unwrap();
    }
    let (mut came, mut buffer) = (Vec::new(), [0; 16]);
    // Two packets at least come after the last is sent, unless they are lost: silence is the end.
    let silence = loss.delay + loss.jitter + Duration::from_millis(200);
    while let Ok(received) = timeout(silence, target.recv(&mut buffer)).await {
        assert_eq!(received.unwrap(), 2);
        came.push(u16::from_be_bytes([buffer[0], buffer[1]]));
    }
    came
}

#[tokio::test]
async fn a_good_link_carries_everything_in_order() {
    assert!(through(Loss::default(), 200).await.into_iter().eq(0..200));
}

#[tokio::test]
async fn a_seed_does_the_same_to_the_same_packets() {
    let loss = losing(5);
    let came = through(loss, 200).await;
    let lost = (0..200).filter(|number| !came.contains(number)).count();
    let doubled = (0..200)
        .filter(|number| came.iter().filter(|other| *other == number).count() == 2)
        .count();
    let overtaken = came.windows(2).filter(|pair| pair[0] > pair[1]).count();
    for (what, count) in [
        ("lost", lost),
        ("doubled", doubled),
        ("overtaken", overtaken),
    ] {
        assert!(
            (10..80).contains(&count),
            "{what}: {count} of 200 with {loss}"
        );
    }
    assert_eq!(came, through(loss, 200).await, "{loss}");
}

#[tokio::test]
async fn answers_find_their_client_late() {
    let target = UdpSocket::bind(any_port()).await.unwrap();
    let loss = Loss {
        delay: Duration::from_millis(30),
        ..Loss::default()
    };
    let proxy = UdpProxy::start(any_port(), target.local_addr().unwrap(), loss);
    let proxy = proxy.await.unwrap();
    for number in 0..2_u8 {
        let client = UdpSocket::bind(any_port()).await.unwrap();
        client.connect(proxy.address()).await.unwrap();
        let begun = Instant::now();
        client.send(&[number]).await.unwrap();
        let mut buffer = [0; 16];
        let (length, way) = timeout(SOON, target.recv_from(&mut buffer))
            .await
            .unwrap()
            .unwrap();
        target.send_to(&buffer[..length], way).await.unwrap();
        let length = timeout(SOON, client.recv(&mut buffer))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(buffer[..length], [number]);
        assert!(begun.elapsed() >= 2 * loss.delay, "{:?}", begun.elapsed());
    }
}

async fn tcp_through(loss: Loss, length: usize) -> std::io::Result<Vec<u8>> {
    let target = TcpListener::bind(any_port()).await?;
    let proxy = TcpProxy::start(any_port(), target.local_addr()?, loss).await?;
    let mut client = TcpStream::connect(proxy.address()).await?;
    let serving = async {
        let (mut server, _) = target.accept().await?;
        let mut all = Vec::new();
        server.read_to_end(&mut all).await.map(|_| all)
    };
    let sending = async {
        let bytes: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
        client.write_all(&bytes).await?;
        client.shutdown().await
    };
    let (received, _) = timeout(SOON, async { tokio::join!(serving, sending) }).await?;
    received
}

#[tokio::test]
async fn a_late_connection_loses_nothing() {
    let loss = Loss {
        delay: Duration::from_millis(20),
        jitter: Duration::from_millis(2),
        ..Loss::default()
    };
    let begun = Instant::now();
    let received = tcp_through(loss, 200_000).await.unwrap();
    assert!(
        received
            .iter()
            .enumerate()
            .all(|(n, byte)| *byte == (n % 251) as u8)
    );
    assert_eq!(received.len(), 200_000);
    assert!(begun.elapsed() >= loss.delay);
}

#[tokio::test]
async fn a_dropped_packet_cuts_the_connection() {
    let loss = Loss {
        drop: 0.1,
        seed: 1,
        ..Loss::default()
    };
    match tcp_through(loss, 1_000_000).await {
        Err(_) => {}
        Ok(received) => assert!(received.len() < 1_000_000, "nothing was cut with {loss}"),
    }
}

proptest! {
    #[test]
    fn fates_depend_on_seed_and_direction_alone(seed: u64) {
        let fates = |direction| {
            let mut fates = Fates::new(losing(seed), direction);
            std::array::from_fn::<_, 64, _>(|_| fates.next())
        };
        prop_assert_eq!(fates(0), fates(0));
        prop_assert_ne!(fates(0), fates(1));
    }
}
