//! Consoles over real terminals and sockets.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use hal::{
    ErrorKind, HalError,
    console::{
        Chunk, Console, ConsoleExt, Epoch, EpochCounter, PtyConsole, PtyOptions, StreamConsole,
        TcpConsole,
    },
    process::{CommandLine, ProcessIdentity},
    recording::{ConsoleSink, Recorded},
};
use std::{
    future::Future,
    task::{Context, Poll, Waker},
    time::Duration,
};
use support::{read_to_end, read_until, shell, soon, wait_until_dead};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::Instant,
};

fn spawn(script: &str) -> PtyConsole {
    PtyConsole::spawn(shell(script), PtyOptions::default()).unwrap()
}

#[tokio::test]
async fn typed_text_is_echoed_and_answered() {
    let mut console = spawn("read word; echo \"got $word\"; stty size");
    console.write_all(b"hello\n", soon()).await.unwrap();
    let all = String::from_utf8(read_to_end(&mut console).await).unwrap();
    assert_eq!(all, "hello\r\ngot hello\r\n24 80\r\n");
    let reason = console.end_reason().await.unwrap();
    assert!(reason.contains("ended with exit status 0"), "{reason}");
}

#[tokio::test]
async fn command_sees_a_terminal_of_its_own() {
    let mut console = spawn("test -t 0 && test -t 1 && test -t 2 && tty && echo ok >/dev/tty");
    let all = String::from_utf8(read_to_end(&mut console).await).unwrap();
    assert!(
        all.starts_with("/dev/pts/") && all.ends_with("ok\r\n"),
        "{all:?}"
    );
    assert!(console.exited().await.unwrap().success());
}

#[tokio::test]
async fn nothing_is_lost_when_the_command_prints_and_exits() {
    for _ in 0..5 {
        let mut console = spawn("stty -opost; head -c 1000000 /dev/zero | tr '\\0' x; printf end");
        let all = read_to_end(&mut console).await;
        assert_eq!(all.len(), 1_000_003);
        assert!(all.ends_with(b"xend"));
        // Closed stays closed.
        assert!(console.read(&mut [0; 8]).await.unwrap().is_end());
    }
}

#[tokio::test]
async fn nothing_is_lost_when_nobody_reads_before_the_exit() {
    let mut console = spawn("printf 'last words'");
    console.exited().await.unwrap();
    assert_eq!(read_to_end(&mut console).await, b"last words");
}

#[tokio::test]
async fn typing_at_a_closed_console_is_refused() {
    let mut console = spawn("exit 7");
    read_to_end(&mut console).await;
    let error = console.write_all(b"hello\n", soon()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert!(error.to_string().contains("exit 7"), "{error}");
    assert!(
        console
            .end_reason()
            .await
            .unwrap()
            .contains("exit status 7")
    );
}

#[tokio::test]
async fn typing_at_a_board_that_does_not_read_times_out() {
    let mut console = spawn("stty raw -echo; echo ready; exec sleep 600");
    read_until(&mut console, "ready").await;
    let deadline = Instant::now() + Duration::from_millis(200);
    let error = console
        .write_all(&[b'x'; 1 << 20], deadline)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("of 1048576 bytes"), "{error}");
}

#[tokio::test]
async fn dropped_console_leaves_no_process() {
    let mut console =
        spawn("trap '' HUP TERM; sh -c 'trap \"\" HUP; echo pid:$$:; sleep 600; :'; :");
    let seen = read_until(&mut console, ":\r\n").await;
    let grandchild: u32 = seen.split(':').nth(1).unwrap().parse().unwrap();
    let grandchild = ProcessIdentity::of(grandchild).unwrap();
    let child = console.process().identity().unwrap();
    drop(console);
    assert_eq!(ProcessIdentity::of(child.pid()), None, "the drop reaps it");
    wait_until_dead(grandchild).await;
}

#[tokio::test]
async fn close_is_gentle_then_forceful_then_idempotent() {
    let mut gentle = spawn("trap 'exit 0' TERM; echo up; while :; do sleep 0.01; done");
    read_until(&mut gentle, "up").await;
    gentle.close(Duration::from_secs(20)).await.unwrap();
    assert!(gentle.exited().await.unwrap().success());

    let mut stubborn = spawn("trap '' TERM HUP; echo up; while :; do sleep 1; done");
    read_until(&mut stubborn, "up").await;
    stubborn.close(Duration::from_millis(50)).await.unwrap();
    assert!(!stubborn.exited().await.unwrap().success());
    stubborn.close(Duration::ZERO).await.unwrap();
    assert!(stubborn.read(&mut [0; 8]).await.unwrap().is_end());
    assert_eq!(
        stubborn.write(b"x").await.unwrap_err().kind(),
        ErrorKind::Closed
    );
}

#[tokio::test]
async fn dropped_read_has_taken_nothing() {
    let mut console = spawn("stty raw -echo; echo ready; cat");
    read_until(&mut console, "ready").await;
    let mut received = Vec::new();
    for number in 0..500u32 {
        let mut buffer = [0; 16];
        // Polled once, most often before the answer is there, then dropped.
        let mut context = Context::from_waker(Waker::noop());
        let polled = Box::pin(console.read(&mut buffer))
            .as_mut()
            .poll(&mut context);
        if let Poll::Ready(chunk) = polled {
            received.extend_from_slice(&buffer[..chunk.unwrap().length]);
        }
        let text = format!("{number:06}");
        console.write_all(text.as_bytes(), soon()).await.unwrap();
    }
    let text = String::from_utf8(received).unwrap() + &read_until(&mut console, "000499").await;
    let expected: String = (0..500).map(|number| format!("{number:06}")).collect();
    assert_eq!(text.trim_start_matches(['\r', '\n']), expected);
}

#[tokio::test]
async fn a_board_that_prints_without_end_needs_little_memory() {
    let before = support::peak_memory_kib();
    let mut console = spawn("stty -opost; head -c 200000000 /dev/zero");
    let (mut total, mut buffer) = (0, vec![0; 64 * 1024]);
    loop {
        let chunk = console.read(&mut buffer).await.unwrap();
        if chunk.is_end() {
            break;
        }
        total += chunk.length;
    }
    assert_eq!(total, 200_000_000);
    let grown = support::peak_memory_kib() - before;
    // Other tests run in this process too; the output is far larger than this.
    assert!(grown < 16 * 1024, "grew by {grown} KiB");
}

#[tokio::test]
async fn a_board_that_prints_without_end_does_not_stop_the_clock() {
    let mut console = PtyConsole::spawn(CommandLine::new("yes"), PtyOptions::default()).unwrap();
    let mut buffer = vec![0; 64 * 1024];
    let forever = async {
        loop {
            assert!(!console.read(&mut buffer).await.unwrap().is_end());
        }
    };
    let limit = Instant::now() + Duration::from_millis(100);
    let outcome: Result<(), _> = tokio::time::timeout_at(limit, forever).await;
    assert!(outcome.is_err());
    assert!(limit.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn missing_command_is_reported_before_anything_starts() {
    let line = CommandLine::new("no-such-telnet");
    let error = PtyConsole::spawn(line, PtyOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn window_can_be_resized() {
    let mut console = spawn("trap 'stty size; exit' WINCH; echo up; while :; do sleep 0.01; done");
    read_until(&mut console, "up").await;
    console.resize(50, 132).unwrap();
    read_until(&mut console, "50 132").await;
}

#[tokio::test]
async fn chunks_carry_the_epoch() {
    let epoch = EpochCounter::default();
    let options = PtyOptions {
        epoch: epoch.clone(),
        ..PtyOptions::default()
    };
    let mut console = PtyConsole::spawn(shell("cat"), options).unwrap();
    let mut buffer = [0; 64];
    for expected in 0..3 {
        console.write_all(b"x\n", soon()).await.unwrap();
        let Chunk {
            epoch: stamped, at, ..
        } = console.read(&mut buffer).await.unwrap();
        assert_eq!(stamped, Epoch(expected));
        assert!(at <= Instant::now());
        epoch.advance();
    }
}

#[tokio::test]
async fn tcp_console_carries_bytes_both_ways_and_sees_the_end() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let board = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut typed = [0; 6];
        stream.read_exact(&mut typed).await.unwrap();
        stream.write_all(b"got \xff\0").await.unwrap();
        typed
    });
    let mut console = TcpConsole::connect(&address, EpochCounter::default(), soon())
        .await
        .unwrap();
    console.write_all(b"reset\n", soon()).await.unwrap();
    assert_eq!(read_to_end(&mut console).await, b"got \xff\0");
    assert_eq!(&board.await.unwrap(), b"reset\n");
    assert!(console.end_reason().await.unwrap().contains(&address));
    assert_eq!(
        console.write(b"x").await.unwrap_err().kind(),
        ErrorKind::Closed
    );
    console.close(Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn tcp_console_without_a_server_says_so() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let refused = TcpConsole::connect(&address, EpochCounter::default(), soon())
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Closed);
    assert!(refused.to_string().contains(&address) && refused.hint().is_some());
}

#[derive(Default)]
struct Transcript {
    text: String,
    limit: usize,
}

impl Transcript {
    fn record(&mut self, direction: char, epoch: Epoch, bytes: &[u8]) -> Result<(), HalError> {
        if self.text.len() + bytes.len() > self.limit {
            return Err(HalError::new(
                ErrorKind::Exhausted,
                "journal",
                "the disk is full",
            ));
        }
        self.text += &format!("{direction}{epoch}{:?} ", String::from_utf8_lossy(bytes));
        Ok(())
    }
}

impl ConsoleSink for Transcript {
    fn output(&mut self, _: Instant, epoch: Epoch, bytes: &[u8]) -> Result<(), HalError> {
        self.record('<', epoch, bytes)
    }

    fn input(&mut self, _: Instant, epoch: Epoch, bytes: &[u8]) -> Result<(), HalError> {
        self.record('>', epoch, bytes)
    }
}

#[tokio::test]
async fn recording_has_what_passed_and_a_full_disk_is_reported() {
    let (ours, mut board) = tokio::io::duplex(64);
    let console = StreamConsole::new(ours, "duplex", EpochCounter::default());
    let sink = Transcript {
        text: String::new(),
        limit: 40,
    };
    let mut console: Box<dyn Console> = Box::new(Recorded::new(console, sink));
    board.write_all(b"login: ").await.unwrap();
    read_until(&mut *console, "login: ").await;
    console.write_all(b"root\n", soon()).await.unwrap();
    board.write_all(&[b'x'; 50]).await.unwrap();
    let error = console.read(&mut [0; 64]).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.subject()),
        (ErrorKind::Exhausted, "journal")
    );
}

#[tokio::test]
async fn transcript_keeps_order_and_direction() {
    let (ours, mut board) = tokio::io::duplex(64);
    let console = StreamConsole::new(ours, "duplex", EpochCounter::default());
    let mut console = Recorded::new(
        console,
        Transcript {
            text: String::new(),
            limit: 1000,
        },
    );
    board.write_all(b"login: ").await.unwrap();
    read_until(&mut console, "login: ").await;
    console.write_all(b"root\n", soon()).await.unwrap();
    drop(board);
    read_to_end(&mut console).await;
    assert_eq!(console.sink_mut().text, r#"<0"login: " >0"root\n" "#);
}
