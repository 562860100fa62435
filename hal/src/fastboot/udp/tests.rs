//! Packets, and what is sent when over a link.

use super::*;
use proptest::prelude::*;
use tokio::net::UdpSocket;

proptest! {
    #[test]
    fn packets_are_read_as_they_were_written(
        id in prop::sample::select(vec![
            PacketId::Error, PacketId::Query, PacketId::Init, PacketId::Fastboot,
        ]),
        continues: bool,
        sequence: u16,
        data in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let packet = Packet { id, continues, sequence, data: &data };
        let mut bytes = Vec::new();
        packet.write_to(&mut bytes);
        prop_assert_eq!(Packet::parse(&bytes), Some(packet));
    }

    #[test]
    fn any_bytes_are_a_packet_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..20)) {
        let expected = bytes.len() >= HEADER && bytes[0] < 4;
        prop_assert_eq!(Packet::parse(&bytes).is_some(), expected);
    }
}

/// What a device of the tests does with the packets that come: for each its number, counted from
/// 0 with repeated ones, gives the time after which it is answered, or that it is lost.
type Plan = fn(usize) -> Option<Duration>;

/// A device that answers as planned, on time that the runtime makes. It gives the times at which
/// packets came.
async fn device(plan: Plan) -> (Address, tokio::sync::mpsc::UnboundedReceiver<Instant>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = socket.local_addr().unwrap().port();
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut buffer = [0; MIN_PACKET];
        for number in 0.. {
            let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
            let _ = sender.send(Instant::now());
            let Some(after) = plan(number) else { continue };
            sleep(after).await;
            let asked = Packet::parse(&buffer[..length]).unwrap();
            let data: &[u8] = match asked.id {
                PacketId::Query => &[0, 0],
                PacketId::Init => &[0, 1, 2, 0],
                PacketId::Error | PacketId::Fastboot => &[],
            };
            let mut answer = Vec::new();
            Packet {
                data,
                continues: false,
                ..asked
            }
            .write_to(&mut answer);
            socket.send_to(&answer, from).await.unwrap();
        }
    });
    let host = "127.0.0.1".to_owned();
    (Address { host, port }, receiver)
}

async fn connected(address: Address) -> UdpTransport {
    let deadline = Instant::now() + Duration::from_secs(30);
    UdpTransport::open(address, deadline).await.unwrap()
}

fn count(times: &mut tokio::sync::mpsc::UnboundedReceiver<Instant>) -> usize {
    std::iter::from_fn(|| times.try_recv().ok()).count()
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_always_slow_is_not_asked_twice() {
    let (address, mut times) = device(|_| Some(Duration::from_millis(150))).await;
    let mut transport = connected(address).await;
    // The first packets are the ones it is learned with.
    transport
        .send(&[1; 10 * (MIN_PACKET - HEADER)])
        .await
        .unwrap();
    sleep(Duration::from_secs(1)).await;
    count(&mut times);
    transport
        .send(&[2; 50 * (MIN_PACKET - HEADER)])
        .await
        .unwrap();
    assert_eq!(count(&mut times), 50);
}

#[tokio::test(start_paused = true)]
async fn a_lost_packet_is_sent_again_soon_to_a_quick_device() {
    let lost = |number| (number != 7).then_some(Duration::from_millis(1));
    let (address, mut times) = device(lost).await;
    let mut transport = connected(address).await;
    transport
        .send(&[1; 10 * (MIN_PACKET - HEADER)])
        .await
        .unwrap();
    let times: Vec<_> = std::iter::from_fn(|| times.try_recv().ok()).collect();
    assert_eq!(times.len(), 2 + 10 + 1);
    let again = times[8] - times[7];
    assert!((100..=105).contains(&again.as_millis()), "{again:?}");
}

#[tokio::test(start_paused = true)]
async fn a_device_that_writes_is_left_in_peace_and_a_gone_one_reported() {
    let busy = |number| match number {
        0..3 => Some(Duration::from_millis(1)),
        3 => Some(Duration::from_secs(30)),
        _ => None,
    };
    let (address, mut times) = device(busy).await;
    let mut transport = connected(address).await;
    transport.send(b"a").await.unwrap();
    count(&mut times);
    // It reads what was repeated when it is done.
    transport.send(b"flash").await.unwrap();
    sleep(Duration::from_millis(10)).await;
    let asked = count(&mut times);
    assert!((25..=34).contains(&asked), "{asked}");
    let start = Instant::now();
    let error = transport.send(b"b").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
    assert!((60..=61).contains(&start.elapsed().as_secs()));
}
