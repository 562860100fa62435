//! Consoles over the network, against the programs that serve them in labs: ser2net, pyserial,
//! Python's telnetlib, and servers that misbehave.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use hal::{
    ErrorKind,
    console::{
        Console, ConsoleExt, ConsoleTarget, EpochCounter, LineSettings, ModemLines, Rfc2217Console,
        SerialConsole, TelnetConsole,
    },
    process::{CommandLine, Running},
};
use rustix::{
    fs::{Mode, OFlags},
    termios::tcgetattr,
};
use std::{path::Path, time::Duration};
use support::{
    peers::{self, Cable},
    read_to_end, read_until, soon, wait_for,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    net::TcpListener,
    time::{Instant, timeout_at},
};

/// Every byte, with those that telnet gives a meaning next to each other.
fn every_byte() -> Vec<u8> {
    let mut all: Vec<u8> = (0..=255).collect();
    all.extend(b"\xff\xff\r\0\r\n\r\r\xff\xf0\xff\xfa\x2c\n\0end");
    all
}

async fn open(address: &str) -> Box<dyn Console> {
    let target: ConsoleTarget = address.parse().unwrap();
    target.open(EpochCounter::default(), soon()).await.unwrap()
}

async fn refused(address: &str, deadline: Instant) -> hal::HalError {
    let target: ConsoleTarget = address.parse().unwrap();
    let opened = target.open(EpochCounter::default(), deadline).await;
    opened.err().expect("it is refused")
}

/// The board's end of the cable.
fn board(cable: &Cable) -> SerialConsole {
    let settings = LineSettings::default();
    SerialConsole::open(&cable.other(), &settings, EpochCounter::default()).unwrap()
}

async fn receive(console: &mut dyn Console, length: usize) -> Vec<u8> {
    let mut got = Vec::new();
    let mut buffer = [0; 512];
    while got.len() < length {
        let read = timeout_at(soon(), console.read(&mut buffer)).await;
        let chunk = read.unwrap_or_else(|_| panic!("only {got:?}")).unwrap();
        assert!(!chunk.is_end(), "closed after {got:?}");
        got.extend_from_slice(&buffer[..chunk.length]);
    }
    got
}

/// What is typed reaches the board, and what the board prints comes back, byte for byte.
async fn exchange(console: &mut dyn Console, board: &mut dyn Console) {
    let all = every_byte();
    console.write_all(&all, soon()).await.unwrap();
    assert_eq!(receive(board, all.len()).await, all, "typed");
    board.write_all(&all, soon()).await.unwrap();
    assert_eq!(receive(console, all.len()).await, all, "printed");
}

#[tokio::test]
async fn raw_tcp_by_ser2net() {
    let Some(cable) = Cable::new().await else {
        return;
    };
    let Some((_server, port)) = peers::ser2net("tcp,127.0.0.1,PORT", &cable).await else {
        return;
    };
    let mut board = board(&cable);
    let mut console = open(&format!("tcp://127.0.0.1:{port}")).await;
    exchange(&mut *console, &mut board).await;
}

#[tokio::test]
async fn telnet_by_ser2net_with_break() {
    let Some(cable) = Cable::new().await else {
        return;
    };
    let server = peers::ser2net("telnet,tcp,127.0.0.1,PORT", &cable).await;
    let Some((_server, port)) = server else {
        return;
    };
    let mut board = board(&cable);
    let address = format!("telnet://127.0.0.1:{port}");
    let mut console = open(&address).await;
    exchange(&mut *console, &mut board).await;
    let line = console.line_control().unwrap();
    line.send_break(Duration::from_millis(250)).await.unwrap();
    assert_eq!(
        line.set_dtr(true).await.unwrap_err().kind(),
        ErrorKind::Unsupported
    );
    exchange(&mut *console, &mut board).await;
    // A second holder is told so by the server, and closed.
    let mut second = open(&address).await;
    let told = String::from_utf8(read_to_end(&mut *second).await).unwrap();
    assert!(told.contains("in use"), "{told:?}");
    assert!(second.end_reason().await.unwrap().contains(&address));
}

#[tokio::test]
async fn telnet_by_another_implementation_sees_our_break() {
    let Some((mut console, log, _server)) = python_server("telnetlib", "telnet_server.py").await
    else {
        return;
    };
    // It refuses eight bits: returns travel as RFC 854 has them. Its own decoder drops zeros.
    console.write_all(b"a\r\n\xff\rb", soon()).await.unwrap();
    assert_eq!(receive(&mut *console, 6).await, b"a\r\n\xff\rb");
    console
        .line_control()
        .unwrap()
        .send_break(Duration::ZERO)
        .await
        .unwrap();
    read_until(&mut *console, "got BREAK").await;
    let printed = fs_err::read_to_string(log.path().join("log")).unwrap();
    assert_eq!(printed.lines().nth(1), Some("break"));
}

/// Starts a script of the support folder and connects to it.
async fn python_server(
    module: &str,
    script: &str,
) -> Option<(Box<dyn Console>, tempfile::TempDir, Running)> {
    let (port, log, server) = python_port(module, script).await?;
    Some((
        open(&format!("telnet://127.0.0.1:{port}")).await,
        log,
        server,
    ))
}

async fn python_port(module: &str, script: &str) -> Option<(u16, tempfile::TempDir, Running)> {
    let python = peers::python_with(module).await?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/support")
        .join(script);
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let line = CommandLine::new(python).args(["-W", "ignore"]).arg(script);
    let server = peers::start(line, &log);
    let port = wait_for(|| {
        let printed = fs_err::read_to_string(&log).unwrap();
        printed
            .lines()
            .next()
            .and_then(|line| line.parse().ok())
            .ok_or(printed)
    })
    .await;
    Some((port, directory, server))
}

#[tokio::test]
async fn rfc2217_by_ser2net_sets_the_line() {
    let Some(cable) = Cable::new().await else {
        return;
    };
    let server = peers::ser2net("telnet(rfc2217),tcp,127.0.0.1,PORT", &cable).await;
    let Some((_server, port)) = server else {
        return;
    };
    let mut board = board(&cable);
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK;
    let beside = rustix::fs::open(cable.one(), flags, Mode::empty());
    let address = format!("rfc2217://127.0.0.1:{port}");
    let mut console = open(&format!(
        "{address}?baud=57600&data=8&parity=none&stop=1&flow=none"
    ))
    .await;
    exchange(&mut *console, &mut board).await;
    // Root may look at a port that somebody else holds.
    if let Ok(beside) = beside {
        assert_eq!(tcgetattr(&beside).unwrap().output_speed(), 57_600);
    }
    let line = console.line_control().unwrap();
    line.send_break(Duration::from_millis(5)).await.unwrap();
    exchange(&mut *console, &mut board).await;
    console.close(Duration::from_secs(1)).await.unwrap();
}

#[tokio::test]
async fn rfc2217_by_ser2net_without_modem_lines_says_what_was_asked() {
    let Some(cable) = Cable::new().await else {
        return;
    };
    let server = peers::ser2net("telnet(rfc2217),tcp,127.0.0.1,PORT", &cable).await;
    let Some((_server, port)) = server else {
        return;
    };
    // ser2net 4.3 acknowledges no DTR on a pseudo-terminal, nor does it say that it cannot.
    let address = format!("rfc2217://127.0.0.1:{port}?dtr=on");
    let error = refused(&address, Instant::now() + Duration::from_millis(500)).await;
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let expected =
        format!("rfc2217://127.0.0.1:{port} did not answer when it was asked to switch DTR on");
    assert_eq!(error.to_string(), expected);
    assert!(error.hint().unwrap().contains("has no DTR"));
}

#[tokio::test]
async fn rfc2217_by_ser2net_names_itself_and_purges() {
    let Some(cable) = Cable::new().await else {
        return;
    };
    let server = peers::ser2net("telnet(rfc2217),tcp,127.0.0.1,PORT", &cable).await;
    let Some((_server, port)) = server else {
        return;
    };
    let (address, settings) = (format!("127.0.0.1:{port}"), LineSettings::default());
    let mut console = Rfc2217Console::connect(&address, &settings, EpochCounter::default(), soon())
        .await
        .unwrap();
    assert_eq!(
        console.signature(soon()).await.unwrap().as_deref(),
        Some("ser2net")
    );
    console.purge(soon()).await.unwrap();
}

#[tokio::test]
async fn rfc2217_by_pyserial_with_lines_and_break() {
    let Some((port, log, _server)) = python_port("serial", "rfc2217_server.py").await else {
        return;
    };
    let address = format!("rfc2217://127.0.0.1:{port}?baud=1234567&data=7&parity=even&stop=2");
    let mut console = open(&address).await;
    let all = every_byte();
    console.write_all(&all, soon()).await.unwrap();
    assert_eq!(receive(&mut *console, all.len()).await, all);
    // RTS is connected to CTS, DTR to DSR.
    for on in [true, false, true] {
        let line = console.line_control().unwrap();
        line.set_rts(on).await.unwrap();
        line.set_dtr(!on).await.unwrap();
        // The server looks at its lines between two bytes.
        console.write_all(b"x", soon()).await.unwrap();
        receive(&mut *console, 1).await;
        console.write_all(b"x", soon()).await.unwrap();
        receive(&mut *console, 1).await;
        let lines = console.line_control().unwrap().modem_lines().await.unwrap();
        let expected = ModemLines {
            cts: on,
            dsr: !on,
            carrier: true,
            ring: false,
        };
        assert_eq!(lines, expected);
    }
    let line = console.line_control().unwrap();
    line.send_break(Duration::from_millis(60)).await.unwrap();
    let mut cancelled = Box::pin(line.send_break(Duration::from_secs(600)));
    let soon_over = Instant::now() + Duration::from_millis(60);
    assert!(timeout_at(soon_over, &mut cancelled).await.is_err());
    drop(cancelled);
    let breaks = wait_for(|| {
        let printed = fs_err::read_to_string(log.path().join("log")).unwrap();
        let breaks: Vec<_> = printed.lines().skip(1).map(str::to_owned).collect();
        if breaks.len() == 4 {
            Ok(breaks)
        } else {
            Err(breaks)
        }
    })
    .await;
    let times: Vec<f64> = breaks
        .iter()
        .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
        .collect();
    assert!(
        breaks[0].contains("begins") && breaks[1].contains("ends"),
        "{breaks:?}"
    );
    assert!(
        breaks[3].contains("ends"),
        "cancelling ends BREAK: {breaks:?}"
    );
    assert!(times[1] - times[0] >= 0.04, "{breaks:?}");
}

/// A server whose side the test plays, and the client's end.
fn scripted() -> (DuplexStream, DuplexStream) {
    tokio::io::duplex(64 * 1024)
}

async fn open_scripted(
    stream: DuplexStream,
    settings: LineSettings,
    deadline: Instant,
) -> Result<Rfc2217Console<DuplexStream>, hal::HalError> {
    let epoch = EpochCounter::default();
    Rfc2217Console::open(stream, "rfc2217://scripted", &settings, epoch, deadline).await
}

#[tokio::test]
async fn a_server_that_sets_another_speed_is_not_believed() {
    let (client, mut server) = scripted();
    // DO COM-PORT, the board's output, and 115200 acknowledged whatever was asked.
    server
        .write_all(b"\xff\xfd\x2cU-Boot\xff\xfa\x2c\x65\x00\x01\xc2\x00\xff\xf0")
        .await
        .unwrap();
    let settings = LineSettings {
        baud: Some(1_500_000),
        ..LineSettings::default()
    };
    let opening = open_scripted(client, settings, soon());
    let late = async {
        // Acknowledged before it was asked: not an answer.
        let mut asked = [0; 64];
        let mut seen = Vec::new();
        while !seen.ends_with(b"\x01\x00\x16\xe3\x60\xff\xf0") {
            let length = server.read(&mut asked).await.unwrap();
            seen.extend_from_slice(&asked[..length]);
        }
        server
            .write_all(b"\xff\xfa\x2c\x65\x00\x01\xc2\x00\xff\xf0")
            .await
            .unwrap();
    };
    let (opened, ()) = tokio::join!(opening, late);
    let error = opened.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unconfirmed);
    assert_eq!(
        error.to_string(),
        "rfc2217://scripted was asked to set 1500000 baud and says that it is 115200 now"
    );
}

#[tokio::test]
async fn output_during_the_negotiation_is_kept_and_suspension_is_obeyed() {
    let (client, mut server) = scripted();
    server
        .write_all(b"\xff\xfd\x2cU-Boot \xff\xfa\x2c\x6c\xff\xf0")
        .await
        .unwrap();
    let mut console = open_scripted(client, LineSettings::default(), soon())
        .await
        .unwrap();
    assert_eq!(read_until(&mut console, "U-Boot ").await, "U-Boot ");
    server.write_all(b"2026").await.unwrap();
    assert_eq!(read_until(&mut console, "2026").await, "2026");
    // Suspended: nothing is typed until it is resumed, and what the board says is not lost.
    let mut asked = vec![0; 4096];
    let before = server.read(&mut asked).await.unwrap();
    assert!(!asked[..before].contains(&b'x'));
    let moment = Instant::now() + Duration::from_millis(20);
    let typed = console.write_all(b"x", moment).await;
    assert_eq!(typed.unwrap_err().kind(), ErrorKind::Timeout);
    server
        .write_all(b"busy\xff\xfa\x2c\x6d\xff\xf0")
        .await
        .unwrap();
    console.write_all(b"x", soon()).await.unwrap();
    assert_eq!(server.read(&mut asked).await.unwrap(), 1);
    assert_eq!(read_until(&mut console, "busy").await, "busy");
}

#[tokio::test]
async fn servers_without_rfc2217_are_told_apart() {
    // DONT COM-PORT.
    let (client, mut server) = scripted();
    server.write_all(b"\xff\xfe\x2c").await.unwrap();
    let error = open_scripted(client, LineSettings::default(), soon())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.hint().unwrap().contains("telnet://"));
    // A raw server: silence, or a board that prints without end.
    let (client, _server) = scripted();
    let moment = Instant::now() + Duration::from_millis(20);
    let error = open_scripted(client, LineSettings::default(), moment)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(
        error
            .to_string()
            .ends_with("when it was asked to offer RFC 2217"),
        "{error}"
    );
    let (client, mut server) = scripted();
    let flood = async { while server.write_all(&[b'x'; 4096]).await.is_ok() {} };
    let (opened, ()) = tokio::join!(
        open_scripted(client, LineSettings::default(), soon()),
        flood
    );
    assert_eq!(opened.unwrap_err().kind(), ErrorKind::Exhausted);
    // Accepts and closes.
    let (client, server) = scripted();
    drop(server);
    let error = open_scripted(client, LineSettings::default(), soon())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
}

#[tokio::test]
async fn a_server_that_negotiates_without_end_is_an_error() {
    let (client, mut server) = tokio::io::duplex(1024);
    let mut console = TelnetConsole::new(client, "telnet://hostile", EpochCounter::default());
    // DO 99 without end, and it takes no answer.
    let flood = async { while server.write_all(&[255, 253, 99].repeat(100)).await.is_ok() {} };
    let reading = async {
        let error = console.read(&mut [0; 4096]).await.unwrap_err();
        drop(console);
        error
    };
    let (error, ()) = tokio::join!(reading, flood);
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
}

#[tokio::test]
async fn garbage_does_no_harm() {
    let mut random = 0x2217_u64;
    for _ in 0..20 {
        let (client, mut server) = scripted();
        let mut console = TelnetConsole::new(client, "telnet://garbage", EpochCounter::default());
        let garbage: Vec<u8> = (0..20_000)
            .map(|_| {
                random = random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                let byte = (random >> 56) as u8;
                if byte < 80 { 255 - byte % 20 } else { byte }
            })
            .collect();
        server.write_all(&garbage).await.unwrap();
        drop(server);
        let all = read_to_end(&mut console).await;
        assert!(all.len() < garbage.len());
        assert_eq!(
            console.write(b"x").await.unwrap_err().kind(),
            ErrorKind::Closed
        );
    }
}

#[tokio::test]
async fn a_command_on_a_terminal_and_a_port_are_opened_by_their_addresses() {
    let mut console = open("exec:sh -c 'read word; echo \"got $word\"'").await;
    console.write_all(b"it\n", soon()).await.unwrap();
    read_until(&mut *console, "got it").await;
    assert!(console.line_control().is_none());
    let error = refused("exec:no-such-telnet rack 7001", soon()).await;
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let error = refused("serial:///dev/no-such-tty", soon()).await;
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("/dev/no-such-tty"), "{error}");
}

#[tokio::test]
async fn servers_that_refuse_or_accept_and_close() {
    let port = peers::free_port();
    for scheme in ["tcp", "telnet", "rfc2217"] {
        let address = format!("{scheme}://127.0.0.1:{port}");
        let error = refused(&address, soon()).await;
        assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
        assert!(error.to_string().contains(&address), "{error}");
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("telnet://{}", listener.local_addr().unwrap());
    let mut console = open(&address).await;
    drop(listener.accept().await.unwrap());
    assert!(read_to_end(&mut *console).await.is_empty());
    let reason = console.end_reason().await.unwrap();
    assert_eq!(reason, format!("{address} closed the connection"));
}
