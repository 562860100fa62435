//! Commands whose answers never come, or are not waited for: what the next command meets.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod fastboot_support;

use fastboot_support::{
    served::{MIB, Served, board, on_both},
    soon,
};
use hal::{ErrorKind, fastboot::RebootTarget};
use rack::fastboot_device::{Fault, LinkFaults};
use std::{
    future::{Future, poll_fn},
    io::Cursor,
    task::Poll,
    time::Duration,
};
use tokio::time::timeout;

/// Gives its first bytes, and then nothing more until it is dropped by its owner.
struct Stuck(std::sync::mpsc::Receiver<()>, bool);

impl std::io::Read for Stuck {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if std::mem::replace(&mut self.1, true) {
            let _ = self.0.recv();
            return Ok(0);
        }
        buffer.fill(7);
        Ok(buffer.len())
    }
}

#[tokio::test]
async fn a_cancelled_download_poisons_the_session() {
    for over_udp in [false, true] {
        let device = if over_udp {
            Served::udp(board(8 * MIB), LinkFaults::default()).await
        } else {
            Served::tcp(board(8 * MIB)).await
        };
        let mut client = device.client().await;
        let (release, stuck) = std::sync::mpsc::channel();
        let cancelled = client.download(Stuck(stuck, false), 4 * MIB as u64, |_| {}, soon());
        timeout(Duration::from_millis(300), cancelled)
            .await
            .unwrap_err();
        drop(release);
        let next = client.getvar("version", soon()).await;
        if over_udp {
            let error = next.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
            assert_eq!(error.hint(), Some("reset the board"));
        } else {
            assert_eq!(next.unwrap(), "0.4");
        }
    }
}

#[tokio::test]
async fn a_download_whose_answer_nobody_awaited_poisons_the_session() {
    on_both(MIB, |device| async move {
        let mut client = device.client().await;
        // It sends the command when it is polled first, and is dropped then.
        let mut begun = Box::pin(client.download(Cursor::new(vec![0; 512]), 512, |_| {}, soon()));
        poll_fn(|cx| {
            assert!(begun.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        drop(begun);
        let next = client.getvar("version", soon()).await;
        if matches!(device, Served::Udp(_)) {
            let error = next.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
            assert_eq!(error.hint(), Some("reset the board"));
        } else {
            assert_eq!(next.unwrap(), "0.4");
        }
    })
    .await;
}

/// Over a network nothing shows that it took the command; over USB see the bench VM's tests.
#[tokio::test]
async fn a_reboot_that_is_not_answered_is_an_error() {
    on_both(MIB, |device| async move {
        let mut client = device.client().await;
        device.contents().set_fault(Some(Fault::HangUp));
        let left = client.reboot(RebootTarget::System, soon()).await;
        let error = left.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
        assert!(error.to_string().contains(":127.0.0.1:"), "{error}");
        if matches!(device, Served::Tcp(_)) {
            // It is back.
            assert_eq!(client.getvar("version", soon()).await.unwrap(), "0.4");
        }
        assert_eq!(device.contents().commands()[0], "reboot");
    })
    .await;
}

#[tokio::test]
async fn a_cancelled_command_is_forgotten() {
    let device = Served::udp(board(MIB), LinkFaults::default()).await;
    let mut client = device.client().await;
    device.contents().set_fault(Some(Fault::EndlessInfo));
    let cancelled = client.getvar("version", soon());
    let _ = timeout(Duration::from_millis(5), cancelled).await;
    let error = client.getvar("version", soon()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
}
