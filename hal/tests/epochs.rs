//! Bytes of one life of a board never look like the next one's.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use hal::console::{
    Console, ConsoleExt, ConsoleTarget, Epoch, EpochCounter, Fenced, LineSettings, PtyConsole,
    PtyOptions, SerialConsole, TcpConsole,
};
use std::time::Duration;
use support::{peers::Cable, shell, soon};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    time::{Instant, timeout_at},
};

/// What came, by the epoch of its stamp.
type Seen = Vec<(Epoch, String)>;

fn add(seen: &mut Seen, epoch: Epoch, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match seen.last_mut() {
        Some((last, all)) if *last == epoch => all.push_str(&text),
        _ => seen.push((epoch, text.into_owned())),
    }
}

/// Reads until `text` came.
async fn read_to(console: &mut dyn Console, text: &str, seen: &mut Seen) {
    let mut buffer = [0; 256];
    while !seen.iter().any(|(_, all)| all.contains(text)) {
        let chunk = timeout_at(soon(), console.read(&mut buffer))
            .await
            .expect("more")
            .unwrap();
        assert!(!chunk.is_end(), "{seen:?}");
        add(seen, chunk.epoch, &buffer[..chunk.length]);
    }
}

/// A board on a TCP port that prints what the test says, and a console on it.
async fn board() -> (TcpStream, TcpConsole, EpochCounter) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let epoch = EpochCounter::default();
    let console = TcpConsole::connect(&address, epoch.clone(), soon())
        .await
        .unwrap();
    let (board, _) = listener.accept().await.unwrap();
    board.set_nodelay(true).unwrap();
    (board, console, epoch)
}

#[tokio::test]
async fn without_a_fence_a_stale_prompt_looks_fresh() {
    // Why there is a fence. This is what a plain console promises, no more.
    let (mut board, mut console, epoch) = board().await;
    board.write_all(b"login: ").await.unwrap();
    epoch.advance();
    let mut seen = Seen::new();
    read_to(&mut console, "login: ", &mut seen).await;
    assert_eq!(seen, [(Epoch(1), "login: ".to_owned())]);
}

#[tokio::test]
async fn behind_a_fence_a_stale_prompt_stays_in_its_life() {
    for _ in 0..50 {
        let (mut board, console, epoch) = board().await;
        let mut console = Fenced::new(console, epoch.clone());
        // In the kernel, unread, when the board is switched on.
        board.write_all(b"login: ").await.unwrap();
        epoch.advance();
        let mut seen = Seen::new();
        read_to(&mut console, "login: ", &mut seen).await;
        // The reader waits while the board boots.
        let boot = async {
            tokio::time::sleep_until(Instant::now() + Duration::from_millis(20)).await;
            board.write_all(b"U-Boot\nlogin: ").await.unwrap();
        };
        let mut buffer = [0; 256];
        let (chunk, ()) = tokio::join!(timeout_at(soon(), console.read(&mut buffer)), boot);
        let chunk = chunk.unwrap().unwrap();
        add(&mut seen, chunk.epoch, &buffer[..chunk.length]);
        read_to(&mut console, "U-Boot\nlogin: ", &mut seen).await;
        let expected = [(Epoch(0), "login: "), (Epoch(1), "U-Boot\nlogin: ")];
        assert_eq!(seen, expected.map(|(epoch, text)| (epoch, text.to_owned())));
    }
}

#[tokio::test]
async fn a_reader_that_waits_is_woken_by_the_advance() {
    let (mut board, console, epoch) = board().await;
    let mut console = Fenced::new(console, epoch.clone());
    let switch = async {
        tokio::time::sleep_until(Instant::now() + Duration::from_millis(5)).await;
        epoch.advance();
        tokio::time::sleep_until(Instant::now() + Duration::from_millis(20)).await;
        board.write_all(b"fresh").await.unwrap();
    };
    let mut buffer = [0; 64];
    let (chunk, ()) = tokio::join!(timeout_at(soon(), console.read(&mut buffer)), switch);
    // Had the advance not woken it, its first look after it would have been at the boot's bytes.
    assert_eq!(chunk.unwrap().unwrap().epoch, Epoch(1));
}

#[tokio::test]
async fn a_reader_that_comes_late_loses_words_rather_than_mixing_lives() {
    let (mut board, console, epoch) = board().await;
    let mut console = Fenced::new(console, epoch.clone());
    board.write_all(b"stale login: ").await.unwrap();
    epoch.advance();
    board.write_all(b"boot").await.unwrap();
    let mut seen = Seen::new();
    read_to(&mut console, "boot", &mut seen).await;
    assert_eq!(seen, [(Epoch(0), "stale login: boot".to_owned())]);
}

#[tokio::test]
async fn a_board_that_prints_without_end_gets_into_its_next_life() {
    let epoch = EpochCounter::default();
    let options = PtyOptions {
        epoch: epoch.clone(),
        ..PtyOptions::default()
    };
    let console = PtyConsole::spawn(shell("stty raw; exec yes"), options).unwrap();
    let mut console = Fenced::new(console, epoch.clone());
    let mut buffer = vec![0; 64 * 1024];
    console.read(&mut buffer).await.unwrap();
    epoch.advance();
    let deadline = soon();
    while console.epoch() == Epoch(0) {
        assert!(Instant::now() < deadline, "the old life never ended");
        console.read(&mut buffer).await.unwrap();
    }
    assert_eq!(console.epoch(), Epoch(1));
}

#[tokio::test]
async fn last_words_that_are_under_way_are_drained_into_the_old_life() {
    let Some(cable) = Cable::new().await else {
        return;
    };
    let epoch = EpochCounter::default();
    let settings = LineSettings::default();
    let mut board = SerialConsole::open(&cable.other(), &settings, epoch.clone()).unwrap();
    let target: ConsoleTarget = format!("serial://{}", cable.one().display())
        .parse()
        .unwrap();
    let mut console = target.open(epoch.clone(), soon()).await.unwrap();
    let mut seen = Seen::new();
    // socat, the cable, delays them: they are not in the console's kernel buffer yet.
    board
        .write_all(b"Rebooting.\nlogin: ", soon())
        .await
        .unwrap();
    let drained = console
        .drain(Duration::from_millis(300), soon(), |chunk, bytes| {
            add(&mut seen, chunk.epoch, bytes);
        })
        .await
        .unwrap();
    assert!(drained.quiet && drained.bytes == 18, "{drained:?}");
    epoch.advance();
    let boot = async {
        tokio::time::sleep_until(Instant::now() + Duration::from_millis(20)).await;
        board.write_all(b"login: ", soon()).await.unwrap();
    };
    let mut buffer = [0; 64];
    let (chunk, ()) = tokio::join!(timeout_at(soon(), console.read(&mut buffer)), boot);
    assert_eq!(chunk.unwrap().unwrap().epoch, Epoch(1));
    assert_eq!(seen, [(Epoch(0), "Rebooting.\nlogin: ".to_owned())]);
}

#[tokio::test]
async fn draining_a_board_that_does_not_stop_ends_at_the_deadline() {
    let mut console =
        PtyConsole::spawn(shell("stty raw; exec yes"), PtyOptions::default()).unwrap();
    let deadline = Instant::now() + Duration::from_millis(50);
    let drained = console
        .drain(Duration::from_secs(1), deadline, |_, _| {})
        .await
        .unwrap();
    assert!(!drained.quiet && drained.bytes > 0, "{drained:?}");
    let mut ended = PtyConsole::spawn(shell("printf bye"), PtyOptions::default()).unwrap();
    let drained = ended
        .drain(Duration::from_secs(10), soon(), |_, _| {})
        .await
        .unwrap();
    assert!(drained.closed && drained.bytes == 3, "{drained:?}");
}
