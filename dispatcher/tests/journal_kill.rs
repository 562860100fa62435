//! A runner that is killed in the middle of its work: its job can be taken over, and nothing that
//! it showed is lost or changes.

mod support;

use dispatcher::journal::{JOURNAL_FILE, Journal, LOG_FILE, is_running, rebuild};
use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::Stdio,
};
use support::story;
use wire::journal::{ConnectionId, Epoch, Record};

/// Tells the test below that it is the runner to be killed, and where to write.
const DIRECTORY: &str = "PUMICE_TEST_KILL_DIRECTORY";

/// Does nothing by itself; `a_killed_runner_loses_nothing_it_showed` starts it and kills it.
#[test]
fn runner() {
    let Some(directory) = std::env::var_os(DIRECTORY).map(PathBuf::from) else {
        return;
    };
    let Record::Header(header) = story::entries().remove(0).record else {
        panic!("the story begins with its header");
    };
    let mut journal = Journal::create(&directory, header).expect("a journal");
    for number in 0_u64.. {
        for part in ["one line\r\nand ", "a half", " that goes on\r\n"] {
            let bytes = format!("{number} {part}").into_bytes();
            let (connection, epoch) = (ConnectionId(0), Epoch(0));
            let output = Record::Output {
                connection,
                epoch,
                bytes,
            };
            journal.record(output).expect("a record");
        }
        journal.commit().expect("a commit");
        println!("turn {number}");
    }
}

/// Starts the runner, lets it make so many turns, and kills it.
#[allow(
    clippy::disallowed_methods,
    reason = "what is killed here is not a helper of a job but the test itself"
)]
fn kill_after(turns: usize, directory: &Path) {
    let mut runner = std::process::Command::new(std::env::current_exe().expect("this test"))
        .args(["runner", "--exact", "--nocapture"])
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .spawn()
        .expect("this test starts again");
    let output = runner.stdout.take().expect("a pipe");
    let mut lines = BufReader::new(output).lines().map_while(Result::ok);
    // The pipe stays open until the runner is dead: it must not end for want of a reader.
    let turn = |line: &String| line.contains("turn ");
    let made = lines.by_ref().filter(turn).take(turns).count();
    assert_eq!(made, turns, "the runner ended by itself");
    assert!(is_running(&directory.join(JOURNAL_FILE)).expect("its lock can be seen"));
    runner.kill().expect("it can be killed");
    runner.wait().expect("it ends");
}

#[test]
fn a_killed_runner_loses_nothing_it_showed() {
    for turns in [1, 2, 7, 40, 333] {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join(JOURNAL_FILE);
        kill_after(turns, directory.path());
        assert!(!is_running(&path).expect("the lock went with its process"));
        let shown = fs_err::read(directory.path().join(LOG_FILE)).expect("a log");
        let again = tempfile::tempdir().expect("a temporary directory");
        let rebuilt = rebuild(&path, again.path()).expect("views");
        assert!(rebuilt.damage.is_none(), "{:?}", rebuilt.damage);
        assert!(
            rebuilt.entries > 3 * turns as u64,
            "what was committed is there"
        );
        let log = fs_err::read(again.path().join(LOG_FILE)).expect("a log");
        assert!(
            log.starts_with(&shown),
            "the log was ahead of the journal after {turns} turns"
        );
        let (mut journal, recovery) = Journal::resume(directory.path()).expect("it is free");
        assert_eq!(recovery.entries, rebuilt.entries);
        journal.record(Record::End { ok: false }).expect("the end");
        journal.finish().expect("exports");
        let ended = fs_err::read(directory.path().join(LOG_FILE)).expect("a log");
        assert!(ended.starts_with(&log) && ended.len() > log.len());
    }
}
