//! The same cases on every board: those of the virtual rack, and real ones.
//!
//! A case is what a lab relies on: a board that is switched on reaches its prompt, one that is
//! off is silent and reads back as off, a reset is a new life. Boards are reached as jobs and
//! people reach them, through a lab file; [`rack_lab`] writes that of a rack.
//!
//! Real boards are switched only if their serial number is on the suite's list: a slip in a lab
//! file must not power-cycle somebody's server. See `hil/suite/README.md`.
#![forbid(unsafe_code)]

mod bench;
mod cases;
mod config;

pub use bench::Bench;
pub use cases::{CASES, Case};
pub use config::{Suite, Target};

use hal::lab::Lab;
use rack::Rack;
use std::{
    fmt,
    fmt::Write as _,
    time::{Duration, Instant},
};

/// What became of a case on a board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It holds.
    Passed,
    /// The board cannot do what it is about.
    NotThere,
    /// It does not hold: why.
    Failed(String),
    /// The board was not touched: why.
    Refused(String),
}

/// A case on a board.
#[derive(Clone, Debug)]
pub struct Report {
    /// The board.
    pub board: String,
    /// The case.
    pub case: &'static str,
    /// What became of it.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_fine(&self) -> bool {
        matches!(self.outcome, Outcome::Passed | Outcome::NotThere)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { board, case, .. } = self;
        let took = self.took;
        match &self.outcome {
            Outcome::Passed => write!(f, "ok      {board} {case} ({took:.1?})"),
            Outcome::NotThere => write!(f, "skipped {board} {case}: it cannot do that"),
            Outcome::Failed(why) => write!(f, "FAILED  {board} {case}: {why}"),
            Outcome::Refused(why) => write!(f, "REFUSED {board}: {why}"),
        }
    }
}

impl Suite {
    /// Runs every case on every board, one after the other, each within its own deadline, and
    /// leaves the boards off. `on_report` hears of each as it ends.
    pub async fn run(&self, mut on_report: impl FnMut(&Report)) -> Vec<Report> {
        let mut reports = Vec::new();
        let mut report = |report: Report| {
            on_report(&report);
            reports.push(report);
        };
        for (name, target) in &self.boards {
            self.run_board(name, target, &mut report).await;
        }
        reports
    }

    async fn run_board(&self, name: &str, target: &Target, report: &mut impl FnMut(Report)) {
        let mut report = |case, outcome, took| {
            let board = name.to_owned();
            report(Report {
                board,
                case,
                outcome,
                took,
            });
        };
        let mut bench = match self.admit(name, target).await {
            Ok(bench) => bench,
            Err(why) => return report("admission", Outcome::Refused(why), Duration::ZERO),
        };
        for case in CASES {
            let begun = Instant::now();
            let outcome = case.judge(&mut bench).await;
            report(case.name, outcome, begun.elapsed());
        }
        if let Err(why) = bench.switch_off().await {
            report("left off", Outcome::Failed(why), Duration::ZERO);
        }
    }

    /// Opens a board, if it is one of ours.
    async fn admit(&self, name: &str, target: &Target) -> Result<Bench, String> {
        if let Some(listed) = &self.serials {
            let console = self.lab.board(name).map_err(|error| error.to_string())?;
            let found = config::adapter_serial(console.console.as_ref());
            config::check_serial(found.as_deref(), listed)?;
        }
        Bench::open(&self.lab, name, target)
            .await
            .map_err(|error| error.to_string())
    }
}

/// The lab file of a rack: consoles on their serial ports, power in turn by HTTP and by SNMP.
pub fn rack_lab(rack: &Rack) -> String {
    let (http, snmp) = (rack.pdu().http(), rack.pdu().snmp());
    let control = "/power/control";
    let query = "hostname=rack&port={outlet}";
    let mut text = format!(
        "[pdu.http]\nmodel = \"http\"\naddress = \"{http}\"\noff-for = \"100ms\"\n\
         [pdu.http.options]\non = \"GET {control}/on?{query}\"\n\
         off = \"GET {control}/off?{query}\"\nstate = \"GET /power/state?{query}\"\n\
         show = {{ regex = \"(on|off)\", on = \"on\", off = \"off\" }}\n\
         [pdu.snmp]\nmodel = \"apc-rpdu\"\naddress = \"{snmp}\"\noff-for = \"100ms\"\n"
    );
    for (board, pdu) in rack.boards().zip(["http", "snmp"].into_iter().cycle()) {
        let (name, outlet) = (board.name(), board.outlet());
        let console = board.console().display();
        // Writing into a string cannot fail.
        let _ = write!(
            text,
            "[board.{name}]\nconsole = \"serial://{console}\"\n\
             power = {{ pdu = \"{pdu}\", outlet = \"{outlet}\" }}\n"
        );
    }
    text
}

/// The suite of a rack's boards that have a prompt. They need no list: they are programs.
///
/// # Errors
/// When the rack's lab file is wrong, which a test excludes.
pub fn of_rack(rack: &Rack) -> Result<Suite, hal::HalError> {
    let lab = Lab::parse(&rack_lab(rack), "the rack's lab file", rack.directory())?;
    let boards = rack.boards().filter_map(|board| {
        let config = board.config();
        let target = Target {
            interrupt: config.interrupt.clone()?,
            key: " ".to_owned(),
            prompt: config.prompt.clone()?,
        };
        Some((board.name().to_owned(), target))
    });
    Ok(Suite {
        boards: boards.collect(),
        lab,
        serials: None,
    })
}
