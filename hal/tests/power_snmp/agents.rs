//! Agents that misbehave, and a network that loses or delays datagrams.

use super::{config, open, outlet, support::soon};
use hal::{ErrorKind, HalError, lab::Secret, power::PowerState};
use std::{net::Ipv4Addr, time::Duration};
use tokio::{net::UdpSocket, time::Instant};

/// An agent that answers each datagram with what `answer` makes of it.
pub(crate) async fn agent(answer: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> String {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = socket.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            for datagram in answer(&buffer[..length]) {
                let _ = socket.send_to(&datagram, from).await;
            }
        }
    });
    address
}

/// The answer of an honest agent to a request of version 1: itself, with another tag.
pub(crate) fn honest(request: &[u8]) -> Vec<u8> {
    let mut answer = request.to_vec();
    let tag = answer
        .iter()
        .position(|byte| [0xa0, 0xa3].contains(byte))
        .unwrap();
    answer[tag] = 0xa2;
    answer
}

/// The same with the byte at `distance` from the tag of the PDU changed.
fn changed(request: &[u8], distance: usize, change: impl Fn(u8) -> u8) -> Vec<u8> {
    let mut answer = honest(request);
    let tag = answer.iter().position(|byte| *byte == 0xa2).unwrap();
    answer[tag + distance] = change(answer[tag + distance]);
    answer
}

async fn switch_error(address: &str) -> HalError {
    let mut config = config("apc-rpdu", address);
    config.timeout = Some(Duration::from_millis(300));
    config.password = Some(Secret::new("sesame"));
    let begun = Instant::now();
    let result = open(&config)
        .switch(&outlet("7"), PowerState::On, soon())
        .await;
    let error = result.unwrap_err();
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{error} took {:?}",
        begun.elapsed()
    );
    assert_eq!(error.subject(), "rack1");
    assert!(error.to_string().contains("PDU 'rack1'"), "{error}");
    assert!(!format!("{error:?}").contains("sesame"), "{error:?}");
    error
}

#[tokio::test]
async fn agents_that_misbehave_are_errors_of_the_right_kind() {
    type Answer = fn(&[u8]) -> Vec<Vec<u8>>;
    let cases: [(&str, Answer, ErrorKind, &str); 9] = [
        (
            "silence",
            |_| vec![],
            ErrorKind::Timeout,
            "does not answer within 0.3 s",
        ),
        (
            "garbage",
            |_| vec![b"HTTP/1.1 200 OK".to_vec()],
            ErrorKind::Protocol,
            "no SNMP",
        ),
        (
            "nothing",
            |_| vec![vec![]],
            ErrorKind::Protocol,
            "it ends too early",
        ),
        (
            "huge",
            |_| vec![vec![0x30; 60_000]],
            ErrorKind::Protocol,
            "no SNMP",
        ),
        (
            "another id",
            |request| vec![changed(request, 7, |byte| byte ^ 1)],
            ErrorKind::Protocol,
            "the request's id differs",
        ),
        (
            "noSuchName",
            |request| vec![changed(request, 10, |_| 2)],
            ErrorKind::InvalidInput,
            "has no variable 1.3.6.1.4.1.318.1.1.12.3.3.1.1.4.7",
        ),
        (
            "genErr",
            |request| vec![changed(request, 10, |_| 5)],
            ErrorKind::CommandFailed,
            "with genErr",
        ),
        (
            "another value",
            |request| {
                let mut answer = honest(request);
                *answer.last_mut().unwrap() = 2;
                vec![answer]
            },
            ErrorKind::Protocol,
            "to another value",
        ),
        (
            "another outlet",
            |request| {
                let mut answer = honest(request);
                let at = answer.len() - 4;
                answer[at] = 8;
                vec![answer]
            },
            ErrorKind::Protocol,
            "was asked about 1.3.6.1.4.1.318.1.1.12.3.3.1.1.4.7",
        ),
    ];
    for (name, answer, kind, text) in cases {
        let error = switch_error(&agent(answer).await).await;
        assert_eq!(error.kind(), kind, "{name}: {error}");
        assert!(error.to_string().contains(text), "{name}: {error}");
    }
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let closed = socket.local_addr().unwrap().to_string();
    drop(socket);
    assert_eq!(switch_error(&closed).await.kind(), ErrorKind::Closed);
    let error = switch_error("no-such-host.invalid").await;
    assert!(
        matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Timeout),
        "{error}"
    );
}

#[tokio::test]
async fn a_late_answer_to_an_earlier_request_is_passed_over() {
    let address =
        agent(|request| vec![changed(request, 7, |byte| byte ^ 1), honest(request)]).await;
    let mut pdu = open(&config("apc-rpdu", &address));
    pdu.switch(&outlet("7"), PowerState::On, soon())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_lost_datagram_is_sent_again_but_no_reboot_is() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static HEARD: AtomicUsize = AtomicUsize::new(0);
    let address = agent(|request| match HEARD.fetch_add(1, Ordering::SeqCst) {
        0 => vec![],
        _ => vec![honest(request)],
    })
    .await;
    let mut config = config("apc-rpdu", &address);
    config.timeout = Some(Duration::from_millis(2500));
    let mut pdu = open(&config);
    pdu.switch(&outlet("7"), PowerState::On, soon())
        .await
        .unwrap();
    assert_eq!(HEARD.load(Ordering::SeqCst), 2);
    HEARD.store(0, Ordering::SeqCst);
    let error = pdu.reboot(&outlet("7"), soon()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(HEARD.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_state_without_meaning_is_no_guess() {
    let address = agent(|request| {
        let mut answer = honest(request);
        let length = answer.len();
        // NULL becomes INTEGER: one byte more, in every length around it.
        answer.truncate(length - 2);
        answer.extend([2, 1, 9]);
        let tag = answer.iter().position(|byte| *byte == 0xa2).unwrap();
        for at in [1, tag + 1, tag + 15, tag + 17] {
            answer[at] += 1;
        }
        vec![answer]
    })
    .await;
    let mut pdu = open(&config("apc-rpdu", &address));
    let error = pdu.read(&outlet("7"), soon()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert_eq!(
        error.to_string(),
        "PDU 'rack1': the state of outlet 7 is Integer(9), which means neither on nor off"
    );
}
