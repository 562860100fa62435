//! Serial ports of this machine: pseudo-terminals with socat as the cable.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use hal::{
    ErrorKind,
    console::{
        Console, ConsoleExt, EpochCounter, FlowControl, LineSettings, SerialConsole, StopBits,
    },
    process::{Command, CommandLine},
};
use rustix::{
    fs::{Mode, OFlags},
    termios::{ControlModes, InputModes, tcgetattr},
};
use std::{os::unix::fs::PermissionsExt, path::Path, time::Duration};
use support::{
    peers::{self, Cable},
    read_until, soon,
};
use tokio::time::{Instant, timeout_at};

/// Names the node for the part of a test that runs as another user.
const NODE_VARIABLE: &str = "PUMICE_TEST_NODE";

fn open(node: &Path, settings: &LineSettings) -> SerialConsole {
    SerialConsole::open(node, settings, EpochCounter::default()).unwrap()
}

fn refused(node: &Path) -> hal::HalError {
    SerialConsole::open(node, &LineSettings::default(), EpochCounter::default()).unwrap_err()
}

#[tokio::test]
async fn every_byte_passes_at_any_speed() {
    let Some(cable) = Cable::new().await else {
        return;
    };
    for baud in [50, 9600, 115_200, 1_234_567, 3_000_000] {
        let settings = LineSettings {
            baud: Some(baud),
            ..LineSettings::default()
        };
        let mut one = open(&cable.one(), &settings);
        let mut other = open(&cable.other(), &settings);
        let all: Vec<u8> = (0..=255).collect();
        one.write_all(&all, soon()).await.unwrap();
        let mut got = Vec::new();
        let mut buffer = [0; 64];
        while got.len() < all.len() {
            let chunk = timeout_at(soon(), other.read(&mut buffer))
                .await
                .unwrap()
                .unwrap();
            got.extend_from_slice(&buffer[..chunk.length]);
        }
        assert_eq!(got, all, "{baud} baud");
    }
}

#[tokio::test]
async fn the_line_is_set_as_asked() {
    let Some(cable) = Cable::new().await else {
        return;
    };
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK;
    let beside = rustix::fs::open(cable.one(), flags, Mode::empty()).unwrap();
    let settings = LineSettings {
        baud: Some(250_000),
        stop_bits: Some(StopBits::Two),
        flow: Some(FlowControl::Software),
        ..LineSettings::default()
    };
    let _console = open(&cable.one(), &settings);
    // A pseudo-terminal keeps neither parity nor 7 bits; those are seen in a virtual machine.
    let set = tcgetattr(&beside).unwrap();
    assert_eq!(set.output_speed(), 250_000);
    assert!(set.control_modes.contains(ControlModes::CSTOPB));
    assert!(
        set.input_modes
            .contains(InputModes::IXON | InputModes::IXOFF)
    );
}

#[tokio::test]
async fn modem_lines_are_tolerated_where_there_are_none() {
    let Some(cable) = Cable::new().await else {
        return;
    };
    let settings = LineSettings {
        dtr: Some(false),
        rts: Some(true),
        ..LineSettings::default()
    };
    let mut console = open(&cable.one(), &settings);
    let line = console.line_control().unwrap();
    for error in [
        line.set_dtr(true).await.unwrap_err(),
        line.set_rts(false).await.unwrap_err(),
        line.modem_lines().await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(
            error.to_string().contains(cable.one().to_str().unwrap()),
            "{error}"
        );
    }
    line.send_break(Duration::from_millis(1)).await.unwrap();
}

#[tokio::test]
async fn a_second_holder_is_refused_with_the_first_ones_name() {
    let Some(cable) = Cable::new().await else {
        return;
    };
    let first = open(&cable.one(), &LineSettings::default());
    let error = refused(&cable.one());
    assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
    assert!(
        error.to_string().contains(cable.one().to_str().unwrap()),
        "{error}"
    );
    assert!(
        error.hint().unwrap().contains("this program itself"),
        "{:?}",
        error.hint()
    );
    drop(first);
    drop(open(&cable.one(), &LineSettings::default()));
    if !peers::have("flock") {
        return;
    }
    let line = CommandLine::new("flock")
        .arg(cable.one())
        .args(["sleep", "600"]);
    let _holder = peers::start(line, &cable.path("flock.log"));
    let error = support::wait_for(|| {
        let console = SerialConsole::open(
            &cable.one(),
            &LineSettings::default(),
            EpochCounter::default(),
        );
        console.err().ok_or("not held yet")
    })
    .await;
    assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
    let hint = error.hint().unwrap();
    assert!(
        hint.contains("flock (process ") || hint.contains("sleep (process "),
        "{hint}"
    );
}

#[tokio::test]
async fn what_is_missing_or_no_port_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let error = refused(&directory.path().join("ttyUSB9"));
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("ttyUSB9"), "{error}");
    let file = directory.path().join("file");
    fs_err::write(&file, "").unwrap();
    let error = refused(&file);
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(
        error.to_string().ends_with("is not a serial port"),
        "{error}"
    );
    assert_eq!(
        refused(Path::new("/dev/null")).kind(),
        ErrorKind::InvalidInput
    );
}

#[tokio::test]
async fn a_port_that_vanishes_while_it_is_read_is_closed() {
    let Some(mut cable) = Cable::new().await else {
        return;
    };
    let mut console = open(&cable.one(), &LineSettings::default());
    let mut other = open(&cable.other(), &LineSettings::default());
    other.write_all(b"last words", soon()).await.unwrap();
    read_until(&mut console, "last words").await;
    drop(other);
    let unplug = async {
        tokio::task::yield_now().await;
        cable.unplug();
    };
    let mut buffer = [0; 64];
    let (chunk, ()) = tokio::join!(timeout_at(soon(), console.read(&mut buffer)), unplug);
    assert!(chunk.unwrap().unwrap().is_end());
    let reason = console.end_reason().await.unwrap();
    assert!(reason.ends_with("/one vanished"), "{reason}");
    let error = console.write(b"x").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    let line = console.line_control().unwrap();
    assert_eq!(
        line.set_dtr(true).await.unwrap_err().kind(),
        ErrorKind::Closed
    );
}

#[tokio::test]
async fn a_port_that_vanishes_while_it_is_written_is_closed() {
    let Some(mut cable) = Cable::new().await else {
        return;
    };
    let mut console = open(&cable.one(), &LineSettings::default());
    // Nobody reads the other end: the write waits until the port is gone.
    let typing = console.write_all(&[b'x'; 4 << 20], soon());
    let unplug = async {
        tokio::time::sleep_until(Instant::now() + Duration::from_millis(50)).await;
        cable.unplug();
    };
    let (typed, ()) = tokio::join!(typing, unplug);
    let error = typed.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
    assert!(error.to_string().contains("/one vanished"), "{error}");
    assert!(console.read(&mut [0; 8]).await.unwrap().is_end());
}

#[tokio::test]
async fn bytes_from_before_can_be_thrown_away() {
    let Some(cable) = Cable::new().await else {
        return;
    };
    let mut other = open(&cable.other(), &LineSettings::default());
    let mut console = open(&cable.one(), &LineSettings::default());
    other.write_all(b"of the last job", soon()).await.unwrap();
    read_until(&mut console, "of the last job").await;
    drop(console);
    other.write_all(b"stale", soon()).await.unwrap();
    let mut console = open(&cable.one(), &LineSettings::default());
    // socat carries them on its own time.
    let mut thrown = 0;
    let deadline = soon();
    while thrown < 5 {
        assert!(Instant::now() < deadline);
        thrown += console.discard_pending().await.unwrap();
    }
    other.write_all(b"fresh", soon()).await.unwrap();
    assert_eq!(read_until(&mut console, "fresh").await, "fresh");
}

#[tokio::test]
async fn closing_is_for_good() {
    let Some(cable) = Cable::new().await else {
        return;
    };
    let mut console = open(&cable.one(), &LineSettings::default());
    console.close(Duration::ZERO).await.unwrap();
    console.close(Duration::ZERO).await.unwrap();
    assert!(console.read(&mut [0; 8]).await.unwrap().is_end());
    assert_eq!(
        console.write(b"x").await.unwrap_err().kind(),
        ErrorKind::Closed
    );
    drop(open(&cable.one(), &LineSettings::default()));
}

#[tokio::test]
async fn a_port_without_permission_names_the_group_that_has_it() {
    if let Some(node) = std::env::var_os(NODE_VARIABLE) {
        let error = refused(Path::new(&node));
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
        let hint = error.hint().unwrap();
        assert_eq!(hint, "add this user to group 'dialout' and log in again");
        println!("the group was named");
        return;
    }
    let Some(cable) = Cable::new().await else {
        return;
    };
    if !rustix::process::geteuid().is_root() || !peers::have("setpriv") {
        eprintln!("SKIPPED: only root can give a node away and become somebody else");
        return;
    }
    // The node itself: its link is in a directory that others may not enter.
    let node = fs_err::canonicalize(cable.one()).unwrap();
    fs_err::set_permissions(&node, PermissionsExt::from_mode(0o660)).unwrap();
    let chgrp = CommandLine::new("chgrp").arg("dialout").arg(&node);
    let exit = Command::new(chgrp).run(soon(), |_| {}).await.unwrap();
    assert!(exit.success(), "is there a group 'dialout'?");
    let myself = std::env::current_exe().unwrap();
    let line = CommandLine::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(myself)
        .args([
            "--exact",
            "a_port_without_permission_names_the_group_that_has_it",
            "--nocapture",
        ]);
    let output = Command::new(line)
        .env(NODE_VARIABLE, node)
        .output(soon())
        .await
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    if errors.contains("failed to execute") {
        eprintln!("SKIPPED: another user cannot run this test: {errors}");
        return;
    }
    assert!(printed.contains("the group was named"), "{printed}{errors}");
}
