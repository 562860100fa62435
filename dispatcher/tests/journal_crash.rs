//! A runner may die at any byte: what can be rebuilt then is what it had shown.

mod support;

use dispatcher::journal::{
    JOURNAL_FILE, Journal, JournalError, LOG_FILE, Observer, Reader, State, Views, Writer,
    is_running, rebuild,
};
use proptest::prelude::*;
use std::{
    path::Path,
    sync::{Arc, Mutex},
};
use support::story;
use tempfile::TempDir;
use wire::journal::{ConnectionId, Entry, Epoch, Header, Record, frame};

fn directory() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn read(directory: &Path, name: &str) -> Vec<u8> {
    fs_err::read(directory.join(name)).unwrap_or_default()
}

fn header(entries: &[Entry]) -> Header {
    match &entries[0].record {
        Record::Header(header) => header.clone(),
        other => panic!("not a header: {other:?}"),
    }
}

/// What was on the disk after each commit of a live run.
struct Moment {
    journal: usize,
    log: usize,
    console: usize,
}

struct Live {
    directory: TempDir,
    journal: Vec<u8>,
    log: Vec<u8>,
    console: Vec<u8>,
    moments: Vec<Moment>,
}

/// Runs the story as a runner does, with a commit after each record.
fn live() -> Live {
    let directory = directory();
    let at = directory.path();
    let entries = story::entries();
    let mut views = Views::create(at).expect("views");
    let mut writer = Writer::create(&at.join(JOURNAL_FILE), header(&entries)).expect("a journal");
    views.entry(&entries[0]).expect("the header");
    let mut moments = Vec::new();
    for (index, Entry { at_micros, record }) in entries.iter().cloned().enumerate() {
        if index > 0 {
            let entry = writer.append_at(at_micros, record).expect("a record");
            views.entry(&entry).expect("an entry");
        }
        writer.commit().expect("a commit");
        views.flush().expect("views");
        moments.push(Moment {
            journal: read(at, JOURNAL_FILE).len(),
            log: read(at, LOG_FILE).len(),
            console: read(at, "console.log").len(),
        });
    }
    views.finish().expect("exports");
    let [journal, log, console] =
        [JOURNAL_FILE, LOG_FILE, "console.log"].map(|name| read(at, name));
    Live {
        directory,
        journal,
        log,
        console,
        moments,
    }
}

/// Rebuilds from the first bytes of the journal and compares with what was shown at that moment.
fn assert_rebuilt(live: &Live, length: usize) {
    let directory = directory();
    let at = directory.path();
    fs_err::write(at.join("cut"), &live.journal[..length]).expect("a cut journal");
    let rebuilt = rebuild(&at.join("cut"), at).expect("a cut journal can be read");
    let count = live
        .moments
        .iter()
        .take_while(|moment| moment.journal <= length)
        .count();
    let moment = count.checked_sub(1).map(|last| &live.moments[last]);
    assert_eq!(rebuilt.entries, count as u64);
    assert!(rebuilt.damage.is_none(), "{:?}", rebuilt.damage);
    let whole = moment.map_or(0, |moment| moment.journal);
    if whole > 0 {
        assert_eq!(rebuilt.torn_bytes, (length - whole) as u64);
    }
    let log = moment.map_or(0, |moment| moment.log);
    assert!(
        read(at, LOG_FILE) == live.log[..log],
        "the log of the first {length} bytes"
    );
    let console = moment.map_or(0, |moment| moment.console);
    let rebuilt_console = read(at, "console.log");
    assert!(rebuilt_console.starts_with(&live.console[..console]));
    let ended = count == live.moments.len();
    assert_eq!(rebuilt.summary.state() == State::Unfinished, !ended);
    assert_results(live, at, ended);
}

/// The results are the first of those that the live run exported in the end.
fn assert_results(live: &Live, at: &Path, ended: bool) {
    let json = |directory: &Path| -> serde_json::Value {
        serde_json::from_slice(&read(directory, "results.json")).expect("results.json is JSON")
    };
    let (now, finally) = (json(at), json(live.directory.path()));
    if ended {
        assert_eq!(now, finally);
    }
    let suites = |value: &serde_json::Value| value["suites"].as_array().expect("suites").clone();
    for (now, finally) in suites(&now).iter().zip(suites(&finally)) {
        assert_eq!(now["name"], finally["name"]);
        let cases = now["cases"].as_array().expect("cases");
        assert_eq!(
            cases[..],
            finally["cases"].as_array().expect("cases")[..cases.len()]
        );
    }
}

#[test]
fn views_are_the_same_after_a_crash_at_any_record() {
    let live = live();
    assert_eq!(
        live.moments.last().expect("moments").journal,
        live.journal.len()
    );
    for moment in &live.moments {
        assert_rebuilt(&live, moment.journal);
    }
}

#[test]
fn views_are_the_same_after_a_crash_at_any_byte() {
    let live = live();
    // Bytes of the prelude, then a few within each frame.
    for length in 0..=frame::PRELUDE_LEN {
        assert_rebuilt(&live, length);
    }
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(60));
    runner
        .run(&(0..live.journal.len()), |length| {
            assert_rebuilt(&live, length);
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn a_job_that_is_resumed_goes_on_with_the_next_line() {
    let live = live();
    let entries = story::entries();
    for (index, moment) in live.moments.iter().enumerate().step_by(7) {
        let directory = directory();
        let path = directory.path().join(JOURNAL_FILE);
        let torn = live.journal.len().min(moment.journal + 9);
        fs_err::write(&path, &live.journal[..torn]).expect("a torn journal");
        let (mut writer, recovery) = Writer::resume(&path).expect("nobody holds it");
        assert_eq!(recovery.header, header(&entries));
        assert_eq!(recovery.entries, index as u64 + 1);
        assert_eq!(recovery.torn_bytes, (torn - moment.journal) as u64);
        assert!(recovery.damaged.is_none());
        for Entry { at_micros, record } in entries[index + 1..].iter().cloned() {
            writer.append_at(at_micros, record).expect("a record");
        }
        writer.commit().expect("a commit");
        assert!(
            read(directory.path(), JOURNAL_FILE) == live.journal,
            "resumed after {index}"
        );
        drop(writer);
        rebuild(&path, directory.path()).expect("views");
        for name in [
            LOG_FILE,
            "console.log",
            "results.json",
            "junit.xml",
            "results.tap",
            "results.csv",
        ] {
            assert!(
                read(directory.path(), name) == read(live.directory.path(), name),
                "{name}"
            );
        }
    }
}

#[test]
fn a_runner_that_takes_over_ends_the_job() {
    let directory = directory();
    let entries = story::entries();
    let mut journal = Journal::create(directory.path(), header(&entries)).expect("a journal");
    for entry in &entries[1..30] {
        journal.record(entry.record.clone()).expect("a record");
    }
    journal.commit().expect("a commit");
    let before = read(directory.path(), LOG_FILE);
    drop(journal);
    let (mut journal, recovery) = Journal::resume(directory.path()).expect("nobody holds it");
    assert!(!recovery.ended);
    assert!(
        read(directory.path(), LOG_FILE) == before,
        "the log was made anew"
    );
    let fault = job::Fault::infrastructure("the runner died");
    journal
        .record(Record::Fault {
            level: None,
            action: None,
            fault,
        })
        .expect("a fault");
    journal.record(Record::End { ok: false }).expect("the end");
    let summary = journal.finish().expect("exports");
    assert_eq!(summary.state(), State::Incomplete);
    let log = read(directory.path(), LOG_FILE);
    assert!(log.starts_with(&before) && log.len() > before.len());
    let last = String::from_utf8_lossy(&log)
        .lines()
        .last()
        .expect("a line")
        .to_owned();
    assert!(
        last.contains("\"error_msg\": \"the runner died\", \"error_type\": \"Infrastructure\"")
    );
}

#[test]
fn a_journal_has_one_writer() {
    let directory = directory();
    let path = directory.path().join(JOURNAL_FILE);
    let header = header(&story::entries());
    let writer = Writer::create(&path, header.clone()).expect("a journal");
    assert!(is_running(&path).expect("the lock can be seen"));
    assert!(matches!(
        Writer::resume(&path),
        Err(JournalError::Locked { .. })
    ));
    let error = Writer::create(&path, header).expect_err("it is there already");
    assert!(error.is_used(), "{error}");
    drop(writer);
    assert!(!is_running(&path).expect("the lock can be seen"));
    use std::os::unix::fs::PermissionsExt;
    let mode = fs_err::metadata(&path)
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn damaged_bytes_are_kept_aside_and_what_precedes_them_is_used() {
    let live = live();
    let directory = directory();
    let path = directory.path().join(JOURNAL_FILE);
    let mut journal = live.journal.clone();
    let at = live.moments[20].journal;
    journal[at + 20] ^= 1;
    fs_err::write(&path, &journal).expect("a damaged journal");
    let rebuilt = rebuild(&path, directory.path()).expect("the first part is whole");
    assert_eq!(rebuilt.entries, 21);
    let damage = rebuilt.damage.expect("it is damaged").to_string();
    assert!(
        damage.contains(&format!("byte {at}: the checksum")),
        "{damage}"
    );
    let (writer, recovery) = Writer::resume(&path).expect("nobody holds it");
    let kept = fs_err::read(recovery.damaged.expect("bytes are kept")).expect("they are there");
    assert!(kept == journal[at..], "all that follows is kept");
    assert_eq!(read(directory.path(), JOURNAL_FILE).len(), at);
    drop(writer);
}

#[test]
fn what_is_no_journal_is_refused() {
    let directory = directory();
    let path = directory.path().join("file");
    fs_err::write(&path, "- {\"dt\": 1}\n").expect("a file");
    let log = directory.path().join("logs.yaml");
    fs_err::write(&log, "- {\"dt\": 1}\n").expect("the log of an earlier job");
    let error = rebuild(&path, directory.path()).expect_err("it is a log");
    assert!(fs_err::metadata(&log).expect("the log").len() > 0);
    assert!(
        error.to_string().contains("byte 0: not a journal"),
        "{error}"
    );
    let error = Writer::resume(&path).expect_err("it is a log");
    assert!(matches!(error, JournalError::Damaged { offset: 0, .. }));
    assert_eq!(
        fs_err::read(&path).expect("the file").len(),
        12,
        "it was not touched"
    );
    fs_err::write(&path, frame::prelude()).expect("an empty journal");
    assert!(matches!(
        Writer::resume(&path),
        Err(JournalError::NoHeader { .. })
    ));
}

#[test]
fn a_reader_follows_a_journal_that_grows() {
    let directory = directory();
    let path = directory.path().join(JOURNAL_FILE);
    let entries = story::entries();
    let mut writer = Writer::create(&path, header(&entries)).expect("a journal");
    let mut reader = Reader::open(&path).expect("the journal");
    assert_eq!(reader.read_header().expect("its header"), header(&entries));
    assert!(reader.next_entry().expect("no error").is_none());
    for Entry { at_micros, record } in entries[1..].iter().cloned() {
        let written = writer.append_at(at_micros, record).expect("a record");
        assert!(
            reader.next_entry().expect("no error").is_none(),
            "it was not committed"
        );
        writer.commit().expect("a commit");
        let read = reader
            .next_entry()
            .expect("no error")
            .expect("it was committed");
        // A measurement that is not a number is lost, which is why views show none.
        if !matches!(&read.record, Record::Result(result) if result.case == "nan") {
            assert_eq!(read, written);
        }
    }
}

#[test]
fn time_does_not_go_back() {
    let directory = directory();
    let header = header(&story::entries());
    let mut writer = Writer::create(&directory.path().join("j"), header).expect("a journal");
    let record = Record::End { ok: true };
    let times = [70, 50, 90].map(|at| writer.append_at(at, record.clone()).expect("a record"));
    assert_eq!(times.map(|entry| entry.at_micros), [70, 70, 90]);
    assert!(writer.now_micros() >= 90);
}

struct Seen(Arc<Mutex<Vec<Entry>>>);

impl Observer for Seen {
    fn entry(&mut self, entry: &Entry) {
        self.0
            .lock()
            .expect("no test thread panicked")
            .push(entry.clone());
    }
}

#[test]
fn an_observer_sees_what_is_recorded() {
    let directory = directory();
    let entries = story::entries();
    let mut journal = Journal::create(directory.path(), header(&entries)).expect("a journal");
    let seen = Arc::new(Mutex::new(Vec::new()));
    journal.observe(Box::new(Seen(Arc::clone(&seen))));
    for entry in &entries[1..] {
        journal.record(entry.record.clone()).expect("a record");
    }
    let summary = journal.finish().expect("exports");
    let seen = seen.lock().expect("no test thread panicked");
    let mut reader = Reader::open(&directory.path().join(JOURNAL_FILE)).expect("the journal");
    reader.read_header().expect("its header");
    for entry in seen.iter() {
        let written = reader.next_entry().expect("no error").expect("an entry");
        assert_eq!(entry.at_micros, written.at_micros);
    }
    assert_eq!(seen.len() + 1, entries.len());
    assert_eq!(summary.state(), State::Incomplete);
    let names: Vec<&str> = summary
        .suites
        .iter()
        .map(|suite| suite.name.as_str())
        .collect();
    assert_eq!(names, ["lava", "0_smoke <&>"]);
    let action = &summary.actions[1];
    assert_eq!(
        (action.name.as_str(), action.runs, action.ok),
        ("http-download", 1, Some(true))
    );
    let failure = summary.failure.expect("a fault");
    assert_eq!(
        failure.action,
        Some(("3".to_owned(), "lava-test-retry".to_owned()))
    );
}

#[test]
fn output_after_the_end_of_a_connection_replaces_nothing() {
    let directory = directory();
    let entries = story::entries();
    let mut journal = Journal::create(directory.path(), header(&entries)).expect("a journal");
    let connection = ConnectionId(0);
    let output = |text: &str| Record::Output {
        connection,
        epoch: Epoch(0),
        bytes: text.as_bytes().to_vec(),
    };
    let closed = Record::ConnectionClosed {
        connection,
        reason: String::new(),
    };
    for record in [output("before\n"), closed, output("after\n")] {
        journal.record(record).expect("a record");
        journal.commit().expect("a commit");
    }
    journal.finish().expect("exports");
    assert_eq!(read(directory.path(), "console.log"), b"before\nafter\n");
}
