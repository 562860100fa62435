//! Power by commands and by processes.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use hal::{
    ErrorKind,
    console::{Epoch, EpochCounter},
    power::{
        CommandEvent, CommandPower, PowerAction, PowerCommands, PowerControl, PowerState,
        ProcessPower,
    },
    process::Command,
};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use support::{shell, soon, wait_until_dead};
use tokio::time::Instant;

type Log = Arc<Mutex<Vec<String>>>;

fn power(commands: PowerCommands, epoch: &EpochCounter) -> (CommandPower, Log) {
    let log = Log::default();
    let copy = log.clone();
    let environment = vec![("LAVA_JOB_ID".to_owned(), "42".to_owned())];
    let listen = move |event: CommandEvent<'_>| {
        copy.lock().unwrap().push(match event {
            CommandEvent::Started(line) => format!("start {line}"),
            CommandEvent::Line(line) => String::from_utf8_lossy(line).into_owned(),
            CommandEvent::Ended(exit) => format!("end {}", exit.returncode()),
            _ => unreachable!("no other event exists"),
        });
    };
    (
        CommandPower::new("board01", commands, environment, epoch.clone(), listen),
        log,
    )
}

#[tokio::test]
async fn commands_run_in_order_with_the_environment_of_the_job() {
    let epoch = EpochCounter::default();
    let on = vec![shell("echo first $LAVA_JOB_ID"), shell("echo second >&2")];
    let (mut power, log) = power(
        PowerCommands {
            on,
            ..Default::default()
        },
        &epoch,
    );
    power.set(PowerAction::On, soon()).await.unwrap();
    let log = std::mem::take(&mut *log.lock().unwrap());
    let log: Vec<&str> = log
        .iter()
        .map(String::as_str)
        .filter(|l| !l.starts_with("start"))
        .collect();
    assert_eq!(log, ["first 42", "end 0", "second", "end 0"]);
    assert_eq!(epoch.current(), Epoch(1));
    assert_eq!(power.state(soon()).await.unwrap(), None);
    assert!(
        !format!("{power:?}").contains("42"),
        "the environment may hold secrets"
    );
}

#[tokio::test]
async fn a_failing_command_is_named_and_stops_the_list() {
    let epoch = EpochCounter::default();
    let off = vec![shell("exit 9"), shell("echo never")];
    let (mut power, log) = power(
        PowerCommands {
            off,
            ..Default::default()
        },
        &epoch,
    );
    let error = power.set(PowerAction::Off, soon()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CommandFailed);
    assert_eq!(
        error.to_string(),
        "command 'sh -c 'exit 9'' ended with exit status 9"
    );
    assert!(!log.lock().unwrap().iter().any(|line| line == "never"));
    assert_eq!(epoch.current(), Epoch(0), "switching off begins no boot");
}

#[tokio::test]
async fn a_device_without_the_command_is_told_apart_from_a_failure() {
    let (mut power, _) = power(PowerCommands::default(), &EpochCounter::default());
    assert!(!power.supports(PowerAction::Reset));
    let error = power.set(PowerAction::Reset, soon()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.hint().unwrap().contains("hard_reset"), "{error}");
}

#[tokio::test]
async fn a_command_that_hangs_ends_with_the_deadline() {
    let reset = vec![shell("exec sleep 600")];
    let commands = PowerCommands {
        reset,
        ..Default::default()
    };
    let (mut power, _) = power(commands, &EpochCounter::default());
    let deadline = Instant::now() + Duration::from_millis(100);
    let error = power.set(PowerAction::Reset, deadline).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn virtual_board_is_on_while_its_process_runs() {
    let epoch = EpochCounter::default();
    let mut power = ProcessPower::new(Command::new(shell("exec sleep 600")), epoch.clone());
    assert_eq!(power.state(soon()).await.unwrap(), Some(PowerState::Off));
    for _ in 0..2 {
        power.set(PowerAction::On, soon()).await.unwrap();
        assert_eq!(
            (power.state(soon()).await.unwrap(), epoch.current()),
            (Some(PowerState::On), Epoch(1))
        );
    }
    let first = power.process().unwrap().identity().unwrap();
    power.set(PowerAction::Reset, soon()).await.unwrap();
    let second = power.process().unwrap().identity().unwrap();
    assert!(!first.is_alive() && second.is_alive());
    assert_eq!(epoch.current(), Epoch(2));
    for _ in 0..2 {
        power.set(PowerAction::Off, soon()).await.unwrap();
        assert_eq!(power.state(soon()).await.unwrap(), Some(PowerState::Off));
    }
    assert!(!second.is_alive());
}

#[tokio::test]
async fn virtual_board_that_ends_by_itself_is_off() {
    let mut power = ProcessPower::new(Command::new(shell("exit 0")), EpochCounter::default());
    power.set(PowerAction::On, soon()).await.unwrap();
    let process = power.process().unwrap().identity();
    if let Some(process) = process {
        wait_until_dead(process).await;
    }
    assert_eq!(power.state(soon()).await.unwrap(), Some(PowerState::Off));
}
