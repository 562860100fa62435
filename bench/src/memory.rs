//! The console stack without the rest of a job: bytes from memory, or of a board on a terminal,
//! through everything that a job does with what a board prints, down to the journal and its views in
//! real files.
//!
//! The one part that uses the project's own code instead of looking at a process from outside, and
//! in a process of its own like the others.

use crate::Problem;
use async_trait::async_trait;
use dispatcher::{
    expect::{PatternSet, TestEvent, TestRun, signal::Run, test_run::RunDefinition},
    journal::{Journal, unix_micros},
    run::{
        JobLog, Undos,
        consoles::{Consoles, Wait},
    },
};
use hal::{
    HalError,
    console::{Console, PtyConsole, PtyOptions},
    process::CommandLine,
};
use job::{JobId, Namespace};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use std::{
    ffi::OsString,
    fmt::Write,
    task::{Context, Poll},
    time::{Duration, Instant},
};
use wire::journal::{FORMAT, Header};

/// How much text is made; it is printed again and again.
const TEXT: usize = 1 << 20;

/// Prompts as jobs and devices have them: of several distributions, with their escapes.
const PROMPTS: [&str; 6] = [
    r"Linux version [0-9]",
    "/ #",
    r"root@(.*):~#",
    r"root@board:[^ ]*# ",
    "board login:",
    "Login incorrect",
];

/// A prompt with look-around, which only the backtracking engine knows.
const LOOK_AROUND: &str = r"(?<!last )login:(?! root)";

/// What the job does while the board prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Phase {
    /// It waits for one of six prompts and watches for messages of the kernel.
    Boot,
    /// The same, with a prompt that uses look-around.
    LookAround,
    /// It runs a test suite and reads its signals.
    Test,
}

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    #[arg(long, value_enum)]
    pub(crate) phase: Phase,
    /// Megabytes that the board in memory prints
    #[arg(long, default_value_t = 1)]
    pub(crate) megabytes: usize,
    /// Bytes that one read gives at most
    #[arg(long, default_value_t = 4096)]
    pub(crate) read: usize,
    /// A program that plays the board on a terminal, instead of the one in memory
    #[arg(last = true)]
    pub(crate) command: Vec<OsString>,
}

/// What it took, in seconds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Took {
    /// Bytes that went through; 0 when only the board knows.
    pub(crate) bytes: u64,
    pub(crate) wall: f64,
    pub(crate) cpu: f64,
}

pub(crate) fn main(arguments: &Arguments) -> Result<(), Problem> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Problem::while_doing("start the runtime"))?;
    let took = runtime.block_on(run(arguments))?;
    crate::probe::print(&took)
}

async fn run(arguments: &Arguments) -> Result<Took, Problem> {
    let directory = tempfile::Builder::new().prefix("pumice-bench").tempdir();
    let directory = directory.map_err(Problem::while_doing("make a directory"))?;
    let journal = Journal::create(directory.path(), header());
    let log = JobLog::new(journal.map_err(Problem::while_doing("create a journal"))?);
    let mut consoles = Consoles::new(log.clone(), Undos::new(log.clone()));
    let namespace = Namespace::common();
    let (mut started, mut cpu) = (Instant::now(), cpu_time());
    let (console, bytes) = board(arguments)?;
    if arguments.command.is_empty() {
        // Making the text is not part of it; starting a program is, as for the bare loop.
        (started, cpu) = (Instant::now(), cpu_time());
    }
    consoles.open(&namespace, "board", console, None);
    match arguments.phase {
        Phase::Boot => wait(&mut consoles, &namespace, &PROMPTS).await?,
        Phase::LookAround => {
            let prompts: Vec<&str> = PROMPTS.into_iter().chain([LOOK_AROUND]).collect();
            wait(&mut consoles, &namespace, &prompts).await?;
        }
        Phase::Test => follow(&mut consoles, &namespace).await?,
    }
    log.commit();
    let took = Took {
        bytes,
        wall: started.elapsed().as_secs_f64(),
        cpu: cpu_time().saturating_sub(cpu).as_secs_f64(),
    };
    match log.write_fault() {
        Some(fault) => Err(Problem::new(fault.to_string())),
        None => Ok(took),
    }
}

/// The board's console, and how many bytes it will give where that is known.
fn board(arguments: &Arguments) -> Result<(Box<dyn Console>, u64), Problem> {
    if let [program, words @ ..] = &arguments.command[..] {
        let line = CommandLine::new(program).args(words);
        let console = PtyConsole::spawn(line, PtyOptions::default());
        let console = console.map_err(Problem::while_doing("start the board"))?;
        return Ok((Box::new(console), 0));
    }
    let text = match arguments.phase {
        Phase::Boot | Phase::LookAround => boot_text(),
        Phase::Test => test_text(),
    };
    let total = arguments.megabytes * 1_000_000;
    let bytes = (START.len() + total + END.len()) as u64;
    let memory = Memory::new(text, total, arguments.read);
    Ok((Box::new(memory), bytes))
}

/// As `auto-login-action` does.
async fn wait(
    consoles: &mut Consoles,
    namespace: &Namespace,
    prompts: &[&str],
) -> Result<(), Problem> {
    let patterns = PatternSet::prompts(prompts);
    let patterns = patterns.map_err(Problem::while_doing("compile the prompts"))?;
    consoles.watch_kernel(namespace);
    let wait = Wait {
        patterns: &patterns,
        what: "the prompts".to_owned(),
        until: None,
    };
    let found = consoles.wait(namespace, wait).await;
    let found = found.map_err(Problem::while_doing("find the prompt"))?;
    if found.text.starts_with(b"board login") && consoles.take_kernel_messages(namespace).is_empty()
    {
        return Ok(());
    }
    Err(Problem::new(
        "something else than the last prompt was found",
    ))
}

/// As `lava-test-shell` does.
async fn follow(consoles: &mut Consoles, namespace: &Namespace) -> Result<(), Problem> {
    let mut test = TestRun::new(vec![RunDefinition {
        run: Run {
            name: "0_board".to_owned(),
            uuid: "1_1.2.1".to_owned(),
        },
        pattern: None,
        fixups: Vec::new(),
        expected: None,
        fields: Vec::new(),
    }]);
    let mut events = Vec::new();
    // The console closes at the end of the text.
    while let Ok(chunk) = consoles.next_chunk(namespace).await {
        let mut rest: &[u8] = &chunk.bytes;
        while !rest.is_empty() {
            let taken = test.push_until_event(rest, &mut |event| events.push(event));
            consoles.record_bytes(namespace, &rest[..taken]);
            rest = &rest[taken..];
            for event in events.drain(..) {
                if let TestEvent::Raise(fault) = event {
                    return Err(Problem::new(fault.to_string()));
                }
            }
        }
    }
    Ok(())
}

fn header() -> Header {
    Header {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        job_id: JobId::new("1"),
        job_name: "benchmark".to_owned(),
        device: "memory".to_owned(),
        device_type: "memory".to_owned(),
        started_unix_micros: unix_micros(),
    }
}

/// What the board prints first: the test suite starts.
const START: &[u8] = b"<LAVA_SIGNAL_STARTRUN 0_board 1_1.2.1>\r\n";

/// What the board prints last.
const END: &[u8] = b"\r\nboard login: ";

/// Lines of a kernel that boots: of many lengths, 70 characters on the average.
fn boot_text() -> Vec<u8> {
    const WHAT: [&str; 6] = [
        "usb 1-1.4: new high-speed USB device number 5 using xhci_hcd",
        "pci 0000:00:02.0: reg 0x10: [mem 0xfd000000-0xfdffffff pref]",
        "mmc0: SDHCI controller on fe340000.mmc [fe340000.mmc] using ADMA",
        "EXT4-fs (mmcblk0p2): mounted filesystem with ordered data mode. Quota mode: none.",
        "Freeing unused kernel memory: 4160K",
        "systemd[1]: Set hostname to <board>.",
    ];
    made(|text, number| {
        let what = WHAT[number % WHAT.len()];
        let (seconds, micros) = (number / 4000, number % 4000 * 250);
        writeln!(text, "[{seconds:>5}.{micros:06}] {what}\r")
    })
}

/// The output of tests: one result in 200 lines.
fn test_text() -> Vec<u8> {
    made(|text, number| match number % 200 {
        199 => writeln!(
            text,
            "<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=case-{number} RESULT=pass>\r"
        ),
        step => writeln!(
            text,
            "case-{number:06}: step {step} compares 4096 bytes at {:#010x}: they are equal\r",
            number * 4096
        ),
    })
}

fn made(mut line: impl FnMut(&mut String, usize) -> std::fmt::Result) -> Vec<u8> {
    let mut text = String::with_capacity(TEXT + 256);
    let mut number = 0;
    while text.len() < TEXT && line(&mut text, number).is_ok() {
        number += 1;
    }
    text.into_bytes()
}

/// A board in memory: it prints [`START`], a text again and again, and [`END`].
struct Memory {
    start: &'static [u8],
    text: Vec<u8>,
    at: usize,
    left: usize,
    end: &'static [u8],
    most: usize,
}

impl Memory {
    fn new(text: Vec<u8>, total: usize, most: usize) -> Self {
        Self {
            start: START,
            text,
            at: 0,
            left: total,
            end: END,
            most: most.max(1),
        }
    }
}

#[async_trait]
impl Console for Memory {
    fn poll_read(
        &mut self,
        _: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<Result<usize, HalError>> {
        let room = buffer.len().min(self.most);
        let edge = match self.left {
            0 => &mut self.end,
            _ => &mut self.start,
        };
        if self.left == 0 || !edge.is_empty() {
            let length = room.min(edge.len());
            buffer[..length].copy_from_slice(&edge[..length]);
            *edge = &edge[length..];
            return Poll::Ready(Ok(length));
        }
        let length = room.min(self.left).min(self.text.len() - self.at);
        buffer[..length].copy_from_slice(&self.text[self.at..self.at + length]);
        self.at = (self.at + length) % self.text.len();
        self.left -= length;
        Poll::Ready(Ok(length))
    }

    fn poll_write(&mut self, _: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, HalError>> {
        Poll::Ready(Ok(bytes.len()))
    }

    async fn close(&mut self, _: Duration) -> Result<(), HalError> {
        Ok(())
    }

    fn description(&self) -> String {
        "memory".to_owned()
    }
}

fn cpu_time() -> Duration {
    clock_gettime(ClockId::ProcessCPUTime)
        .try_into()
        .unwrap_or_default()
}
