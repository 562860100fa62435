//! Serial ports that go away, take nothing or may not be used, with a real kernel's drivers.
//!
//! `hil/bench-vm/test` runs them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bench_vm;
mod support;

use bench_vm::{
    gadget::CONTROLLERS,
    in_bench_vm,
    ports::{ADAPTER, Board, ON_THE_WAY, Port, carry, noise, open, run, speed},
};
use hal::{
    ErrorKind,
    console::{
        Console, ConsoleExt, ConsoleTarget, EpochCounter, LineSettings, Reopening, SerialConsole,
        SerialFactory,
        reopen::{ReopenEvent, ReopenTiming, Returned, TargetOpener},
    },
    discover::{Access, Factory},
    process::{Command, CommandLine},
};
use std::{
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};
use support::{read_until, soon, wait_for};
use tokio::time::{Instant, timeout_at};

type Events = Arc<Mutex<Vec<ReopenEvent>>>;

async fn reopening(node: &Path) -> (Reopening, Events) {
    let events = Events::default();
    let sink = Arc::clone(&events);
    let observer = Box::new(move |event| sink.lock().unwrap().push(event));
    let epoch = EpochCounter::default();
    let opener = Arc::new(TargetOpener {
        target: format!("serial://{}", node.display()).parse().unwrap(),
        epoch: epoch.clone(),
    });
    let timing = ReopenTiming {
        within: Duration::from_secs(25),
        pause: Duration::from_millis(20),
    };
    let console = Reopening::open(opener, timing, epoch, observer, soon()).await;
    (console.unwrap(), events)
}

/// The gap that was reported.
fn assert_gap(events: &Events, node: &Path) {
    let events = events.lock().unwrap();
    let [
        ReopenEvent::Closed { reason, .. },
        ReopenEvent::Reopened(gap),
    ] = events.as_slice()
    else {
        panic!("{events:?}");
    };
    assert_eq!(*reason, format!("{} vanished", node.display()));
    assert_eq!(gap.returned, Returned::Same, "{gap:?}");
    assert!(gap.reopened_at > gap.closed_at);
}

#[tokio::test]
#[ignore = "needs the bench VM"]
async fn a_boards_own_port_that_is_replugged_while_it_is_read_goes_on() {
    if !in_bench_vm() {
        return;
    }
    let port = Port::plug(CONTROLLERS[0], "REPLUG").await;
    let (mut console, events) = reopening(&port.node).await;
    let mut board = port.board();
    board.write_all(b"before", soon()).await.unwrap();
    read_until(&mut console, "before").await;
    let replug = async {
        port.gadget.unplug();
        drop(board);
        until(&events, is_closed).await;
        port.gadget.connect();
        let mut board = port.board();
        board.write_all(b"after", soon()).await.unwrap();
        board
    };
    let (seen, mut board) = tokio::join!(read_until(&mut console, "after"), replug);
    assert_eq!(seen, "after");
    assert_gap(&events, &port.node);
    console.write_all(b"typed", soon()).await.unwrap();
    read_until(&mut board, "typed").await;
}

/// The port of the hub into which the adapter is plugged.
fn power_of_adapter(on: bool) {
    let usb = SerialFactory::default().usb_of(Path::new(ADAPTER));
    let place = usb.map_or_else(|| "1-1".to_owned(), |usb| usb.place);
    let (bus, port) = place.split_once('-').unwrap();
    let switch = format!("/sys/bus/usb/devices/{bus}-0:1.0/usb{bus}-port{port}/disable");
    fs_err::write(switch, if on { "0" } else { "1" }).unwrap();
}

#[tokio::test]
#[ignore = "needs the bench VM"]
async fn an_adapter_that_is_replugged_while_it_is_read_goes_on() {
    if !in_bench_vm() {
        return;
    }
    let (mut console, events) = reopening(Path::new(ADAPTER)).await;
    let Some(mut board) = Board::of_adapter().await else {
        return;
    };
    board.console.write_all(b"before", soon()).await.unwrap();
    read_until(&mut console, "before").await;
    let replug = async {
        power_of_adapter(false);
        until(&events, is_closed).await;
        power_of_adapter(true);
        // Until the adapter is set up again, what it gets is thrown away, as by a real one.
        until(&events, is_reopened).await;
        board.console.write_all(b"after", soon()).await.unwrap();
    };
    let (seen, ()) = tokio::join!(read_until(&mut console, "after"), replug);
    assert_eq!(seen, "after");
    assert_gap(&events, Path::new(ADAPTER));
    console.write_all(b"typed", soon()).await.unwrap();
    read_until(&mut board.console, "typed").await;
}

/// Waits for an event. One that tells of a closed port comes when nothing holds the port: as long
/// as something does, the kernel gives its name to no other.
async fn until(events: &Events, is_it: impl Fn(&ReopenEvent) -> bool) {
    wait_for(|| {
        let events = events.lock().unwrap();
        if events.iter().any(&is_it) {
            Ok(())
        } else {
            Err(events.clone())
        }
    })
    .await;
}

fn is_closed(event: &ReopenEvent) -> bool {
    matches!(event, ReopenEvent::Closed { .. })
}

fn is_reopened(event: &ReopenEvent) -> bool {
    matches!(event, ReopenEvent::Reopened(_))
}

#[tokio::test]
#[ignore = "needs the bench VM"]
async fn a_port_that_stays_away_ends_at_the_callers_deadline() {
    if !in_bench_vm() {
        return;
    }
    let port = Port::plug(CONTROLLERS[0], "AWAY").await;
    let (mut console, events) = reopening(&port.node).await;
    let deadline = Instant::now() + Duration::from_secs(2);
    console.set_deadline(Some(deadline));
    port.gadget.unplug();
    let mut buffer = [0; 16];
    let chunk = timeout_at(soon(), console.read(&mut buffer)).await;
    assert!(chunk.unwrap().unwrap().is_end());
    let late = Instant::now().saturating_duration_since(deadline);
    assert!(late < Duration::from_secs(2), "{late:?} past the deadline");
    let error = console.write(b"x").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
    let node = port.node.display().to_string();
    assert!(error.to_string().contains(&node), "{error}");
    assert!(error.to_string().contains("did not come back"), "{error}");
    let last = events.lock().unwrap().pop();
    assert!(matches!(last, Some(ReopenEvent::GaveUp { .. })), "{last:?}");
}

#[tokio::test]
#[ignore = "needs the bench VM"]
async fn a_board_that_does_not_read_costs_no_more_than_the_deadline() {
    if !in_bench_vm() {
        return;
    }
    let port = Port::plug(CONTROLLERS[0], "DEAF").await;
    // Nobody has the far end open: the gadget takes nothing.
    for closed in [true, false] {
        let mut console = open(&port.node, &speed(115_200));
        let deadline = Instant::now() + Duration::from_millis(500);
        let typed = console.write_all(&noise(1 << 20), deadline).await;
        let error = typed.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        assert!(error.to_string().contains("/dev/ttyACM"), "{error}");
        let begun = Instant::now();
        if closed {
            console.close(Duration::from_millis(500)).await.unwrap();
        }
        drop(console);
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(3), "{took:?}");
        opens_late(&port.node).await;
        // The kernel lets go of the port when it is unplugged, if not after half a minute.
        port.gadget.unplug();
        until_released(&port.node).await;
        port.gadget.connect();
        wait_for(|| fs_err::metadata(&port.node)).await;
    }
}

/// A port that the kernel is still closing keeps who opens it waiting, but not past the deadline,
/// and nobody else.
async fn opens_late(node: &Path) {
    let target: ConsoleTarget = format!("serial://{}", node.display()).parse().unwrap();
    let given_up = soon();
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    loop {
        ticks.tick().await;
        let deadline = Instant::now() + Duration::from_millis(200);
        let opened = target.open(EpochCounter::default(), deadline).await;
        let late = Instant::now().saturating_duration_since(deadline);
        assert!(late < Duration::from_secs(5), "{late:?} past the deadline");
        let seen = match opened {
            // Just before the kernel began to close it: then it begins when this one is dropped.
            Ok(console) => console.description(),
            Err(error) if error.kind() == ErrorKind::Timeout => {
                assert!(error.to_string().contains("/dev/ttyACM"), "{error}");
                return;
            }
            // Before that we have it ourselves, for its last words.
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
                error.to_string()
            }
        };
        assert!(Instant::now() < given_up, "it is never closed: {seen}");
    }
}

/// Waits until a port that was unplugged is gone, and nothing of ours holds it.
async fn until_released(node: &Path) {
    wait_for(|| {
        let held = fs_err::read_dir("/proc/self/fd")
            .unwrap()
            .any(|descriptor| {
                let target = fs_err::read_link(descriptor.unwrap().path());
                target.is_ok_and(|target| target.starts_with(node))
            });
        if held || node.exists() {
            Err(held)
        } else {
            Ok(())
        }
    })
    .await;
}

#[tokio::test]
#[ignore = "needs the bench VM"]
async fn a_port_that_vanishes_while_it_is_written_is_closed_and_named() {
    if !in_bench_vm() {
        return;
    }
    let noise = noise(1 << 20);
    // A board that takes nothing.
    let port = Port::plug(CONTROLLERS[0], "STALLED").await;
    let mut console = open(&port.node, &speed(115_200));
    let typing = console.write_all(&noise, soon());
    let (typed, ()) = tokio::join!(typing, async { port.gadget.unplug() });
    assert_vanished(&typed.unwrap_err(), &port.node);
}

#[tokio::test]
#[ignore = "needs the bench VM"]
async fn an_adapter_that_vanishes_while_it_is_written_is_closed_and_named() {
    if !in_bench_vm() {
        return;
    }
    let noise = noise(ON_THE_WAY);
    let mut console = open(Path::new(ADAPTER), &speed(3_000_000));
    let Some(mut board) = Board::of_adapter().await else {
        return;
    };
    carry(&mut console, &mut board.console, &noise).await;
    // The adapter takes all it is given at once, so this may be typed when it goes.
    let unplug = async { power_of_adapter(false) };
    let (typed, ()) = tokio::join!(console.write_all(&noise, soon()), unplug);
    let typed = match typed {
        Ok(()) => console.write_all(&noise, soon()).await,
        broken => broken,
    };
    assert_vanished(&typed.unwrap_err(), Path::new(ADAPTER));
    // Before it comes back: as long as we hold its name, the kernel gives it another.
    drop(console);
    power_of_adapter(true);
    wait_for(|| fs_err::metadata(ADAPTER)).await;
    // The next test finds nothing on the way: all that was typed came before this.
    let mut console = open(Path::new(ADAPTER), &speed(115_200));
    console.write_all(b"the end", soon()).await.unwrap();
    board.console.write_all(b"of it", soon()).await.unwrap();
    read_until(&mut board.console, "the end").await;
    read_until(&mut console, "of it").await;
}

fn assert_vanished(error: &hal::HalError, node: &Path) {
    assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
    assert_eq!(error.to_string(), format!("{} vanished", node.display()));
}

/// Names the node for the part of a test that runs as another user.
const NODE_VARIABLE: &str = "PUMICE_TEST_NODE";

#[tokio::test]
#[ignore = "needs the bench VM"]
async fn a_real_port_without_permission_names_the_group_that_has_it() {
    if let Some(node) = std::env::var_os(NODE_VARIABLE) {
        let node = Path::new(&node);
        let settings = LineSettings::default();
        let opened = SerialConsole::open(node, &settings, EpochCounter::default());
        let error = opened.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
        let hint = error.hint().unwrap();
        assert_eq!(hint, "add this user to group 'dialout' and log in again");
        let listed = SerialFactory::default().list().unwrap();
        let found = listed
            .iter()
            .find(|found| found.node.as_deref() == Some(node));
        assert_eq!(found.unwrap().access, Access::Denied(hint.to_owned()));
        println!("the group was named");
        return;
    }
    if !in_bench_vm() {
        return;
    }
    let before = fs_err::metadata(ADAPTER).unwrap();
    run("chgrp", &["dialout", ADAPTER]).await;
    fs_err::set_permissions(ADAPTER, PermissionsExt::from_mode(0o660)).unwrap();
    let line = CommandLine::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "a_real_port_without_permission_names_the_group_that_has_it",
            "--nocapture",
        ]);
    let output = Command::new(line)
        .env(NODE_VARIABLE, ADAPTER)
        .output(soon())
        .await
        .unwrap();
    fs_err::set_permissions(ADAPTER, before.permissions()).unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(printed.contains("the group was named"), "{printed}{errors}");
}
