//! The consoles of a job: the lives of a board are told apart, and what passed can be played.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use dispatcher::{
    expect::PatternSet,
    journal::{JOURNAL_FILE, Journal, Reader, Recording},
    run::{
        JobLog, Undos,
        consoles::{Consoles, Wait},
    },
};
use hal::{
    console::{ConsoleExt, EpochCounter, StreamConsole},
    player::{Pace, Player, Typing},
};
use job::{Fault, JobId, Namespace};
use std::{path::Path, time::Duration};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    time::Instant,
};
use wire::journal::{ConnectionId, Epoch, FORMAT, Header, Record};

const LOGIN: &str = "board login:";

/// The consoles of a job with one board, and that board's end of its console.
struct Job {
    directory: TempDir,
    log: JobLog,
    consoles: Consoles,
    board: UnixStream,
}

impl Job {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let header = Header {
            format: FORMAT,
            version: "test".to_owned(),
            job_id: JobId::new("1"),
            job_name: "test".to_owned(),
            device: "board".to_owned(),
            device_type: "board".to_owned(),
            started_unix_micros: 0,
        };
        let log = JobLog::new(Journal::create(directory.path(), header).unwrap());
        let mut consoles = Consoles::new(log.clone(), Undos::new(log.clone()));
        let (ours, board) = UnixStream::pair().unwrap();
        let console = StreamConsole::new(ours, "board", EpochCounter::default());
        consoles.open(&Namespace::common(), "board", Box::new(console), None);
        Self {
            directory,
            log,
            consoles,
            board,
        }
    }

    async fn prints(&mut self, text: &str) {
        self.board.write_all(text.as_bytes()).await.unwrap();
    }

    async fn wait(&mut self, prompt: &str, within: Duration) -> Result<(), Fault> {
        let patterns = PatternSet::prompts([prompt]).unwrap();
        let wait = Wait {
            patterns: &patterns,
            what: prompt.to_owned(),
            until: Some(Instant::now() + within),
        };
        let found = self.consoles.wait(&Namespace::common(), wait).await;
        found.map(drop)
    }

    /// Waits for what surely comes.
    async fn wait_for(&mut self, prompt: &str) {
        self.wait(prompt, Duration::from_secs(10)).await.unwrap();
    }

    /// Ends the job, and gives the directory of its journal.
    async fn end(mut self) -> TempDir {
        self.consoles.close_all("the end").await;
        self.log.finish().unwrap();
        self.directory
    }
}

/// What the board printed, by the life in which the journal has it.
fn printed(directory: &Path) -> Vec<(Epoch, String)> {
    let mut reader = Reader::open(&directory.join(JOURNAL_FILE)).unwrap();
    let mut lives: Vec<(Epoch, String)> = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        if let Record::Output { epoch, bytes, .. } = entry.record {
            let text = String::from_utf8(bytes).unwrap();
            match lives.last_mut() {
                Some((last, all)) if *last == epoch => all.push_str(&text),
                _ => lives.push((epoch, text)),
            }
        }
    }
    lives
}

#[tokio::test]
async fn last_words_of_a_life_are_recorded_and_satisfy_no_wait_of_the_next() {
    let mut job = Job::new();
    job.consoles.begin_life().await;
    job.prints("boot one\nboard login: ").await;
    job.wait_for(LOGIN).await;
    // Nobody reads this before the power is switched: the kernel has it.
    job.prints("good-bye\nboard login: ").await;
    job.consoles.begin_life().await;
    let silence = job.wait(LOGIN, Duration::from_millis(100)).await;
    assert!(silence.unwrap_err().timed_out_after.is_some());
    job.prints("boot two\nboard login: ").await;
    job.wait_for(LOGIN).await;
    let directory = job.end().await;
    let lives = [
        (
            Epoch(1),
            "boot one\nboard login: good-bye\nboard login: ".to_owned(),
        ),
        (Epoch(2), "boot two\nboard login: ".to_owned()),
    ];
    assert_eq!(printed(directory.path()), lives);
}

#[tokio::test]
async fn first_words_right_after_a_switch_are_heard() {
    let mut job = Job::new();
    for life in 0..20 {
        job.consoles.begin_life().await;
        // At once: no reader was woken in between.
        job.prints(&format!("boot {life}\n")).await;
        job.wait_for(&format!("boot {life}\n")).await;
    }
}

#[tokio::test]
async fn a_board_that_never_stops_printing_does_not_hold_up_a_switch() {
    let mut job = Job::new();
    job.consoles.begin_life().await;
    let (_, mut board) = UnixStream::pair().unwrap();
    std::mem::swap(&mut board, &mut job.board);
    let flood =
        tokio::spawn(async move { while board.write_all(&[b'x'; 64 << 10]).await.is_ok() {} });
    let begun = Instant::now();
    job.consoles.begin_life().await;
    assert!(begun.elapsed() < Duration::from_secs(5));
    flood.abort();
}

#[tokio::test]
async fn a_console_of_a_job_that_ended_can_be_played() {
    let mut job = Job::new();
    job.consoles.begin_life().await;
    job.prints("boot one\nboard login: ").await;
    job.wait_for(LOGIN).await;
    job.consoles
        .send_line(&Namespace::common(), "root")
        .await
        .unwrap();
    let mut typed = [0; 5];
    job.board.read_exact(&mut typed).await.unwrap();
    assert_eq!(&typed, b"root\n");
    job.prints("root\n# \u{fffd}").await;
    job.wait_for("# ").await;
    job.consoles.begin_life().await;
    job.prints("boot two\n").await;
    job.wait_for("boot two").await;
    let directory = job.end().await;
    let journal = directory.path().join(JOURNAL_FILE);
    let expected: Vec<u8> = printed(directory.path())
        .into_iter()
        .flat_map(|(_, text)| text.into_bytes())
        .collect();
    assert!(expected.ends_with("root\n# \u{fffd}boot two\n".as_bytes()));

    let recording = Recording::open(&journal, ConnectionId(0)).unwrap();
    let mut player = Player::new(recording, Pace::AtOnce, Typing::Awaited);
    let (mut played, mut buffer) = (Vec::new(), [0; 4096]);
    let mut last = hal::console::Epoch::default();
    loop {
        let chunk = player.read(&mut buffer).await.unwrap();
        if chunk.is_end() {
            break;
        }
        played.extend_from_slice(&buffer[..chunk.length]);
        last = chunk.epoch;
        if played.ends_with(LOGIN.as_bytes()) || played.ends_with(b"board login: ") {
            // The board waits to be answered, as it did then.
            player.write(b"root\n").await.unwrap();
        }
    }
    assert_eq!(played, expected);
    assert_eq!(last, hal::console::Epoch(2));

    let mut missing = Recording::open(&journal, ConnectionId(7)).unwrap();
    let error = missing.next().unwrap().unwrap_err();
    assert_eq!(error.kind(), hal::ErrorKind::NotFound);
    assert!(missing.next().is_none());
    fs_err::write(&journal, "no journal").unwrap();
    let mut damaged = Recording::open(&journal, ConnectionId(0)).unwrap();
    assert!(damaged.next().unwrap().is_err() && damaged.next().is_none());
}
