//! Generated consoles on which the kernel writes into the signals of the tests.
//!
//! Each console is what LAVA's helpers print for a few tests, with one or two cuts in one signal
//! and kernel output there and elsewhere. What the test shell makes of it is compared with what
//! the tests reported. No result may go to another test, and nearly all single cuts must be
//! repaired. The seed is printed; `PUMICE_SEED=…` runs the same consoles again, and
//! `PUMICE_SHOW_LOST=1` shows those that were not repaired.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test and its support: it may fail, and it prints what it counted"
)]

use dispatcher::expect::{TestEvent, TestRun, signal::Run, test_run::RunDefinition};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }
}

/// What the kernel says, with all that could pass for a part of a signal.
const KERNEL: [&str; 39] = [
    "usb 1-1: new high-speed USB device number 2 using xhci_hcd",
    "random: crng init done",
    "EXT4-fs (mmcblk0p2): mounted filesystem with ordered data mode",
    "IPv6: ADDRCONF(NETDEV_CHANGE): eth0: link becomes ready",
    "ttyS0: 1 input overrun(s)",
    "cfg80211: Loading compiled-in X.509 certificates",
    "mmc0: new HS200 MMC card at address 0001",
    "thermal thermal_zone0: trip 1 -> 2",
    "link is up -> down",
    "dev->state changed",
    "qcom_q6v5: remote processor <adsp> is now up",
    "foo: bar > baz",
    "list: a->b->c>",
    "pass",
    "fail",
    "selftest: RESULT=fail",
    "RESULT=fail",
    "test-1 RESULT=fail reason=timeout",
    "kunit: ok 1 - test-1-1",
    "# test-11: pass:3 fail:0 skip:0 total:3",
    "TEST_CASE_ID=boot RESULT=fail",
    "audit: type=1400 audit(1.2:3): apparmor=\"DENIED\" operation=\"open\"",
    "systemd[1]: Started Journal Service.",
    "x",
    "-1",
    "ss",
    "il: no such device",
    "0",
    "1.5 GB/s",
    "4 CPUs",
    "MB/s: 12",
    "BUG: scheduling while atomic: kworker/0:1/12/0x00000002",
    "CPU: 0 PID: 1 Comm: swapper/0 Tainted: G W",
    " ret_from_fork+0x10/0x20",
    "<up>",
    "<",
    "LAVA",
    "a < b && c > d",
    "START of buffer",
];

const IDS: [&str; 18] = [
    "boot",
    "test-1",
    "test-1-1",
    "test-11",
    "usb",
    "usb-1",
    "ltp.syscalls.open01",
    "net/ping_eth0",
    "kselftest.net.fib_sh",
    "x",
    "pass",
    "fail-case",
    "RESULT",
    "a=b",
    "speed",
    "START",
    "systemd",
    "0",
];
const UNITS: [&str; 6] = ["MB/s", "s", "ms", "MHz", "items", "GB"];
const RESULTS: [&str; 4] = ["pass", "fail", "skip", "unknown"];
const SUITES: [&str; 4] = ["smoke", "smoke-2", "ltp", "usb"];

type Key = (String, String);

/// What a test reported; its suite and its test case are the key.
#[derive(Clone, Debug, PartialEq)]
struct Reported {
    result: String,
    set: Option<String>,
    measurement: Option<f64>,
    units: Option<String>,
    reference: Option<String>,
}

/// How a console looks.
#[derive(Clone, Copy)]
struct Style {
    stamps: bool,
    colour: bool,
    caller: usize,
    /// Whether the shell prints the commands of the test definition, as `run.sh` does.
    commands: bool,
    line_break: &'static str,
}

struct Console {
    text: String,
    truth: BTreeMap<Key, Reported>,
    definitions: Vec<RunDefinition>,
    style: Style,
    cuts: usize,
}

/// What is printed, in order; signals are told apart because they are the ones that get cut.
enum Line {
    Signal(String),
    Other(String),
}

fn generate(random: &mut Random, cuts: usize) -> Console {
    let style = Style {
        stamps: random.chance(80),
        colour: random.chance(25),
        caller: random.below(3),
        commands: random.chance(85),
        line_break: if random.chance(80) { "\r\n" } else { "\r\r\n" },
    };
    let mut truth = BTreeMap::new();
    let mut lines = Vec::new();
    let mut definitions = Vec::new();
    for index in 0..=usize::from(random.chance(30)) {
        let run = Run {
            name: format!("{index}_{}", random.pick(&SUITES)),
            uuid: format!("{}_1.1.2.{}", 1_000 + random.below(9_000), 1 + 4 * index),
        };
        write_run(random, style, &run, &mut lines, &mut truth);
        definitions.push(RunDefinition {
            run,
            pattern: None,
            fixups: Vec::new(),
            expected: None,
            fields: Vec::new(),
        });
    }
    lines.push(Line::Signal("<LAVA_TEST_RUNNER EXIT>".to_owned()));
    Console {
        text: print(random, style, &lines, cuts),
        truth,
        definitions,
        style,
        cuts,
    }
}

fn signal(text: &str) -> Line {
    Line::Signal(format!("<LAVA_SIGNAL_{text}>"))
}

fn write_run(
    random: &mut Random,
    style: Style,
    run: &Run,
    lines: &mut Vec<Line>,
    truth: &mut BTreeMap<Key, Reported>,
) {
    lines.push(Line::Other("+ set +x".to_owned()));
    lines.push(signal(&format!("STARTRUN {} {}", run.name, run.uuid)));
    let mut set = None;
    for _ in 0..1 + random.below(3) {
        let key = (run.name.clone(), random.pick(&IDS).to_owned());
        if truth.contains_key(&key) {
            continue;
        }
        if random.chance(10) {
            set = write_set(random, style, set.as_deref(), lines);
        }
        let reported = write_case(random, style, &key.1, set.as_deref(), lines);
        truth.insert(key, reported);
    }
    lines.push(Line::Other("+ set +x".to_owned()));
    lines.push(signal(&format!("ENDRUN {} {}", run.name, run.uuid)));
}

fn write_set(
    random: &mut Random,
    style: Style,
    set: Option<&str>,
    lines: &mut Vec<Line>,
) -> Option<String> {
    if set.is_some() {
        command(style, lines, "lava-test-set stop");
        lines.push(signal("TESTSET STOP"));
        return None;
    }
    let name = format!("set-{}", random.below(12));
    command(style, lines, &format!("lava-test-set start {name}"));
    lines.push(signal(&format!("TESTSET START {name}")));
    Some(name)
}

fn write_case(
    random: &mut Random,
    style: Style,
    id: &str,
    set: Option<&str>,
    lines: &mut Vec<Line>,
) -> Reported {
    let mut reported = Reported {
        result: random.pick(&RESULTS).to_owned(),
        set: set.map(str::to_owned),
        measurement: None,
        units: None,
        reference: None,
    };
    let result = reported.result.clone();
    match random.below(10) {
        0 => {
            let reference = format!("https://example.org/{}", random.below(1_000));
            let options = format!("{id} --result {result} --reference {reference}");
            command(style, lines, &format!("lava-test-reference {options}"));
            lines.push(signal(&format!("TESTREFERENCE {id} {result} {reference}")));
            reported.reference = Some(reference);
        }
        1..=4 => {
            let mut options = format!("{id} --result {result}");
            let mut text = format!("TESTCASE TEST_CASE_ID={id} RESULT={result}");
            if random.chance(40) {
                let units = random.pick(&UNITS);
                let number = format!("{}.{}", random.below(500), random.below(100));
                let _ = write!(options, " --measurement {number} --units {units}");
                let _ = write!(text, " UNITS={units} MEASUREMENT={number}");
                reported.units = Some(units.to_owned());
                reported.measurement = Some(number.parse().unwrap());
            }
            command(style, lines, &format!("lava-test-case {options}"));
            lines.push(signal(&text));
        }
        _ => {
            reported.result = random.pick(&["pass", "fail"]).to_owned();
            command(
                style,
                lines,
                &format!("lava-test-case {id} --shell ./run '{id}' -v"),
            );
            lines.push(signal(&format!("STARTTC {id}")));
            for _ in 0..random.below(3) {
                lines.push(Line::Other(random.pick(&KERNEL).to_owned()));
            }
            lines.push(signal(&format!("ENDTC {id}")));
            let result = &reported.result;
            lines.push(signal(&format!(
                "TESTCASE TEST_CASE_ID={id} RESULT={result}"
            )));
        }
    }
    reported
}

fn command(style: Style, lines: &mut Vec<Line>, command: &str) {
    if style.commands {
        lines.push(Line::Other(format!("+ {command}")));
    }
}

/// Prints everything, with the kernel's output between lines and in one signal.
fn print(random: &mut Random, style: Style, lines: &[Line], cuts: usize) -> String {
    let signals: Vec<usize> = (0..lines.len())
        .filter(|place| matches!(lines[*place], Line::Signal(_)))
        .collect();
    let victim = signals[random.below(signals.len())];
    let mut clock = 1_000_000 * random.below(20_000);
    let mut text = String::new();
    for (place, line) in lines.iter().enumerate() {
        if random.chance(10) {
            kernel(random, style, &mut clock, &mut text);
        }
        match line {
            Line::Signal(signal) if place == victim => {
                let mut places: Vec<usize> = (0..cuts)
                    .map(|_| 1 + random.below(signal.len() - 1))
                    .collect();
                places.sort_unstable();
                let mut from = 0;
                for place in places {
                    text.push_str(&signal[from..place]);
                    kernel(random, style, &mut clock, &mut text);
                    from = place;
                }
                text.push_str(&signal[from..]);
            }
            Line::Signal(line) | Line::Other(line) => text.push_str(line),
        }
        text.push_str(style.line_break);
    }
    text
}

/// One message of the kernel, of one line or of several.
fn kernel(random: &mut Random, style: Style, clock: &mut usize, text: &mut String) {
    let lines = if random.chance(80) {
        1
    } else {
        2 + random.below(3)
    };
    let colours = |colour| {
        if style.colour {
            (colour, "\x1b[0m")
        } else {
            ("", "")
        }
    };
    for _ in 0..lines {
        *clock += random.below(900_000);
        if style.stamps {
            let caller = ["", "[    T1]", "[  C0]"][style.caller];
            let (start, end) = colours("\x1b[32m");
            let (seconds, micros) = (*clock / 1_000_000, *clock % 1_000_000);
            let _ = write!(text, "{start}[{seconds:5}.{micros:06}]{caller} {end}");
        }
        let (start, end) = colours("\x1b[33m");
        let message = random.pick(&KERNEL);
        let _ = write!(text, "{start}{message}{end}{}", style.line_break);
    }
}

#[derive(Clone, Copy, Default, Debug)]
struct Counts {
    consoles: usize,
    recovered: usize,
    unknown: usize,
    misattributed: usize,
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.consoles += other.consoles;
        self.recovered += other.recovered;
        self.unknown += other.unknown;
        self.misattributed += other.misattributed;
    }

    fn percent(&self) -> f64 {
        100.0 * self.recovered as f64 / self.consoles.max(1) as f64
    }
}

/// Runs the test shell on a console and compares what it reports with the truth.
fn check(console: &Console) -> Counts {
    let mut tests = TestRun::new(console.definitions.clone());
    let mut counts = Counts {
        consoles: 1,
        ..Counts::default()
    };
    let (mut right, mut ended, mut finished) = (0, 0, false);
    let mut wrong = Vec::new();
    let mut seen = Vec::new();
    let mut emit = |event| match event {
        TestEvent::Result(result) => {
            let key = (result.definition.clone(), result.case.clone());
            let truth = console.truth.get(&key);
            let reported = Reported {
                result: result.result.to_string(),
                set: result.set.clone(),
                measurement: result.measurement,
                units: result.units.clone(),
                reference: result.reference.clone(),
            };
            let is_lost = result.reason.is_some();
            let agrees = truth.is_some_and(|truth| {
                // A result whose set is uncertain is reported without one.
                let without_set = Reported {
                    set: None,
                    ..truth.clone()
                };
                is_lost || reported == *truth || reported == without_set
            });
            if !agrees || seen.contains(&key) {
                counts.misattributed += 1;
                wrong.push(format!("{key:?} {reported:?}, not {truth:?}"));
            }
            seen.push(key);
            counts.unknown += usize::from(is_lost);
            right += usize::from(truth == Some(&reported) && !is_lost);
        }
        TestEvent::RunEnded { result, .. } => {
            ended += usize::from(result.result == job::TestResult::Pass);
        }
        TestEvent::Finished => finished = true,
        _ => {}
    };
    tests.push(console.text.as_bytes(), &mut emit);
    tests.finish(&mut emit);
    let complete = right == console.truth.len() && ended == console.definitions.len() && finished;
    counts.recovered += usize::from(complete);
    if !wrong.is_empty() && SHOWN.fetch_add(1, Ordering::Relaxed) < 3 {
        eprintln!("{wrong:#?}\n{}", console.text);
    } else if !complete && std::env::var_os("PUMICE_SHOW_LOST").is_some() {
        eprintln!("not recovered:\n{}", console.text);
    }
    counts
}

/// How many consoles with wrong results were printed; more would help nobody.
static SHOWN: AtomicUsize = AtomicUsize::new(0);

/// Counts by class of console.
type Table = BTreeMap<String, Counts>;

fn run_consoles(first: u64, count: usize) -> Table {
    let mut table = Table::new();
    for seed in first..first + count as u64 {
        let mut random = Random(seed.wrapping_mul(0x2545_f491_4f6c_dd1d));
        let console = generate(&mut random, 1 + usize::from(seed % 2 == 1));
        let counts = check(&console);
        let cuts = ["one cut", "two cuts"][console.cuts - 1];
        let stamps = ["no time stamps", "time stamps"][usize::from(console.style.stamps)];
        let commands = ["no commands", "commands shown"][usize::from(console.style.commands)];
        table.entry(cuts.to_owned()).or_default().add(counts);
        let class = format!("{cuts}, {stamps}, {commands}");
        table.entry(class).or_default().add(counts);
        if counts.misattributed > 0 {
            eprintln!("a result went to another test with PUMICE_SEED={seed}");
        }
    }
    table
}

fn run_threads(count: usize) {
    let seed: u64 = std::env::var("PUMICE_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(20_000_000);
    let threads = thread::available_parallelism()
        .map_or(1, usize::from)
        .min(8);
    let share = count.div_ceil(threads);
    let workers: Vec<_> = (0..threads)
        .map(|worker| {
            let first = seed + (worker * share) as u64;
            thread::spawn(move || run_consoles(first, share))
        })
        .collect();
    let mut table = Table::new();
    for worker in workers {
        for (class, counts) in worker.join().unwrap() {
            table.entry(class).or_default().add(counts);
        }
    }
    println!("PUMICE_SEED={seed}");
    for (class, counts) in &table {
        println!(
            "{class:40} {:8} consoles, {:7.3} % recovered, {:6} unknown, {} misattributed",
            counts.consoles,
            counts.percent(),
            counts.unknown,
            counts.misattributed
        );
    }
    for counts in table.values() {
        assert_eq!(counts.misattributed, 0, "results went to another test");
    }
    assert!(
        table["one cut"].percent() >= 99.0,
        "too few single cuts were repaired"
    );
    assert!(
        table["one cut, time stamps, commands shown"].percent() >= 99.9,
        "too few single cuts were repaired where the kernel prints time stamps"
    );
}

#[test]
fn no_result_goes_to_another_test_when_the_kernel_cuts_signals() {
    run_threads(110_000);
}

#[test]
#[ignore = "takes minutes; part of the soak tests"]
fn no_result_goes_to_another_test_in_two_million_consoles() {
    run_threads(2_000_000);
}

#[test]
fn a_console_is_read_the_same_however_it_is_cut_into_chunks() {
    let mut random = Random(7);
    for number in 0..300 {
        let console = generate(&mut random, number % 3);
        let events = |chunk: usize| {
            let mut events = Vec::new();
            let mut tests = TestRun::new(console.definitions.clone());
            for bytes in console.text.as_bytes().chunks(chunk) {
                tests.push(bytes, &mut |event| events.push(event));
            }
            tests.finish(&mut |event| events.push(event));
            events
        };
        let whole = events(console.text.len());
        for chunk in [1, 2, 3, 7, 64] {
            let text = &console.text;
            assert_eq!(events(chunk), whole, "chunks of {chunk}: {text}");
        }
    }
}
