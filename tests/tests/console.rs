//! `pumice console` on a terminal and on pipes, against scripted boards.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use hal::{
    console::{ConsoleExt, PtyConsole, PtyOptions},
    process::CommandLine,
};
use integration::{BOOT, Lab, OVERLAY, Run, job, pumice};
use rustix::process::Signal;
use std::{io::Write, net::TcpListener, num::NonZero, time::Duration};
use tokio::time::{Instant, timeout_at};

/// A test that waits longer has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// The escape key.
const ESCAPE: &[u8] = b"\x1d";

/// `pumice console` on a terminal.
struct Terminal {
    console: PtyConsole,
    parser: vt100::Parser,
}

impl Terminal {
    fn start(lab: &Lab, arguments: &[&str]) -> Self {
        let line = CommandLine::new("env")
            .args(["TERM=xterm", "LC_ALL=C.UTF-8"])
            .arg(format!("PUMICE_LOCK_DIR={}", lab.path("locks").display()))
            .arg(pumice())
            .arg("console")
            .args(arguments);
        let (rows, columns) = (NonZero::new(24).unwrap(), NonZero::new(80).unwrap());
        Self {
            console: PtyConsole::spawn(line, PtyOptions::default()).unwrap(),
            parser: vt100::Parser::new(rows, columns, 1000),
        }
    }

    async fn wait(&mut self, text: &str) {
        let until = Instant::now() + PATIENCE;
        while !self.screen().contains(text) {
            assert!(
                self.read(until).await,
                "{text:?} never came; the screen is\n{}",
                self.screen()
            );
        }
    }

    async fn send(&mut self, bytes: &[u8]) {
        let until = Instant::now() + PATIENCE;
        self.console.write_all(bytes, until).await.unwrap();
    }

    async fn finish(mut self) -> (Option<i32>, String) {
        let until = Instant::now() + PATIENCE;
        while self.read(until).await {}
        let exited = timeout_at(until, self.console.exited()).await;
        (exited.expect("it ends").unwrap().code(), self.screen())
    }

    fn screen(&self) -> String {
        self.parser.screen().contents()
    }

    async fn read(&mut self, until: Instant) -> bool {
        let mut buffer = [0; 4096];
        let read = timeout_at(until, self.console.read(&mut buffer)).await;
        let Ok(Ok(chunk)) = read else { return false };
        self.parser.process(&buffer[..chunk.length]);
        !chunk.is_end()
    }
}

/// A lab file with the board `one` that stops in U-Boot.
fn uboot(lab: &Lab) -> String {
    let board = lab.board_of_the_rack("uboot.board", "");
    let text = format!("[board.one]\nconsole = \"exec:{board}\"\n");
    lab.file("lab.toml", text).display().to_string()
}

#[tokio::test]
async fn keys_reach_the_board_and_the_escape_key_leaves() {
    let lab = Lab::new();
    let (file, log) = (uboot(&lab), lab.path("log").display().to_string());
    let mut terminal = Terminal::start(&lab, &["one", "--lab", &file, "--log", &log]);
    terminal.wait("Ctrl-] . leaves, Ctrl-] ? helps").await;
    terminal.wait("stop autoboot").await;
    terminal.send(b" ").await;
    terminal.wait("=> ").await;
    terminal.send(b"dhcp\r").await;
    terminal.wait("bound to address 192.0.2.15").await;
    terminal.send(&[ESCAPE, b"?"].concat()).await;
    terminal.wait("send a BREAK").await;
    terminal.send(&[ESCAPE, b"b"].concat()).await;
    terminal.wait("no line that could BREAK").await;
    terminal.send(&[ESCAPE, b"p"].concat()).await;
    terminal.wait("has no power that could be switched").await;
    terminal.send(&[b"x", ESCAPE, b"."].concat()).await;
    let (code, screen) = terminal.finish().await;
    assert_eq!(code, Some(0), "{screen}");
    let log = fs_err::read_to_string(log).unwrap();
    assert!(log.contains("DHCP client bound"), "{log}");
    assert!(!log.contains("***"), "our words are not the board's: {log}");
}

#[tokio::test]
async fn read_only_types_nothing() {
    let lab = Lab::new();
    let file = uboot(&lab);
    let mut terminal = Terminal::start(&lab, &["one", "--lab", &file, "--read-only"]);
    terminal.wait("stop autoboot").await;
    terminal.send(b"   \r").await;
    terminal.wait("board login:").await;
    terminal.send(&[ESCAPE, b"."].concat()).await;
    let (code, screen) = terminal.finish().await;
    assert_eq!(code, Some(0), "{screen}");
}

#[tokio::test]
async fn power_is_switched_by_the_device_while_the_console_goes_on() {
    let lab = Lab::new();
    let device = lab.device(&lab.board_of_the_rack("uboot.board", ""));
    let device = lab
        .file("device.yaml", device.to_string())
        .display()
        .to_string();
    let mut terminal = Terminal::start(&lab, &["--device", &device]);
    terminal.wait("stop autoboot").await;
    terminal.send(&[ESCAPE, b"pc"].concat()).await;
    terminal.wait("reset took").await;
    terminal.send(&[ESCAPE, b"."].concat()).await;
    assert_eq!(terminal.finish().await.0, Some(0));
    assert_eq!(lab.noted("power"), ["on"]);
}

#[tokio::test]
async fn a_job_that_holds_the_board_is_named_and_can_be_watched() {
    let lab = Lab::new();
    let silent = lab.device(&lab.board_of_the_rack("silent.board", ""));
    let mut running = lab.run(&job(&[OVERLAY, BOOT]), &silent).start();
    running.wait_for("Parsing kernel messages");
    let device = lab.path("device.yaml").display().to_string();
    let (code, screen) = Terminal::start(&lab, &["--device", &device]).finish().await;
    assert_eq!(code, Some(8), "{screen}");
    assert!(
        screen.contains("held by pumice run (job 1, pid "),
        "{screen}"
    );
    assert!(screen.contains("--join watches the job"), "{screen}");
    let mut joined = Terminal::start(&lab, &["--device", &device, "--join"]);
    joined.wait("watching board 'board' is held by").await;
    running.signal(Signal::INT);
    joined.wait("the job is over").await;
    assert_eq!(joined.finish().await.0, Some(0));
    assert_eq!(running.finish().code, 130);
}

#[tokio::test]
async fn a_lost_connection_is_told_and_comes_back() {
    let lab = Lab::new();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let file = lab.file(
        "lab.toml",
        format!("[board.one]\nconsole = \"tcp://{address}\"\n"),
    );
    let file = file.display().to_string();
    let mut terminal = Terminal::start(&lab, &["one", "--lab", &file]);
    server.accept().unwrap().0.write_all(b"first\r\n").unwrap();
    terminal.wait("opening it again").await;
    let (mut second, _) = server.accept().unwrap();
    second.write_all(b"second\r\n").unwrap();
    terminal.wait("second").await;
    let screen = terminal.screen();
    let at = |text: &str| {
        screen
            .find(text)
            .unwrap_or_else(|| panic!("{text} in\n{screen}"))
    };
    assert!(at("first") < at("the console closed"), "{screen}");
    assert!(at("the console is back") < at("second"), "{screen}");
    terminal.send(&[ESCAPE, b"."].concat()).await;
    assert_eq!(terminal.finish().await.0, Some(0));
}

#[test]
fn pipes_carry_bytes_as_they_are() {
    let lab = Lab::new();
    let file = uboot(&lab);
    let run = lab.own(Run::bare("console", &lab.path("output")));
    let finished = run.args(["one", "--lab", &file, "--for", "1s"]).finish();
    assert_eq!(finished.code, 0, "{}", finished.output);
    assert!(
        finished.output.contains("Hit any key to stop autoboot"),
        "{}",
        finished.output
    );
    let run = lab.own(Run::bare("console", &lab.path("output")));
    let mut running = run.args(["one", "--lab", &file]).start();
    running.wait_for("autoboot");
    running.signal(Signal::TERM);
    assert_eq!(running.finish().code, 130);
}

#[test]
fn a_console_that_ends_or_cannot_be_opened_is_a_fault_of_the_lab() {
    let lab = Lab::new();
    let closes = lab.board_of_the_rack("closes.board", "");
    let text = format!(
        "[board.closes]\nconsole = \"exec:{closes}\"\n[board.gone]\nconsole = \"tcp://127.0.0.1:1\"\n[board.none]\n"
    );
    let file = lab.file("lab.toml", text).display().to_string();
    for (board, code, text) in [
        ("closes", 5, "the console of closes ended"),
        ("gone", 5, "cannot connect to tcp://127.0.0.1:1"),
        ("none", 3, "board 'none' has no console"),
        ("other", 2, "it has: closes, gone, none"),
    ] {
        let run = lab.own(Run::bare("console", &lab.path("output")));
        let finished = run.args([board, "--lab", &file]).finish();
        assert_eq!(finished.code, code, "{board}: {}", finished.output);
        assert!(
            finished.output.contains(text),
            "{board}: {}",
            finished.output
        );
    }
}
