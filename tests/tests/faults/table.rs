//! The table's rows: what they claim, how that is checked, and how it is written down.

use integration::{Finished, Lab};
use serde_json::Value;

/// What becomes of a bad input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The job is complete all the same.
    Complete,
    /// It is complete, but a test failed, which the caller asked to be told.
    TestFailed,
    /// The command line is refused.
    CommandLine,
    /// The definition is refused; nothing was touched.
    Definition,
    /// The job is incomplete, by a fault of this class (LAVA's `error_type`).
    Fault(&'static str),
    /// No job could begin, by the fault of this host.
    Host,
    /// The job is incomplete, and its results could not be written.
    Unwritten,
}
pub(crate) use Outcome::{CommandLine, Complete, Definition, Fault, Host, TestFailed, Unwritten};

pub(crate) const JOB: Outcome = Fault("Job");
pub(crate) const TEST: Outcome = Fault("Test");
pub(crate) const INFRASTRUCTURE: Outcome = Fault("Infrastructure");
pub(crate) const CONFIGURATION: Outcome = Fault("Configuration");
pub(crate) const CANCELED: Outcome = Fault("Canceled");

/// One row of the table.
pub(crate) struct Row {
    /// The name of its test.
    pub(crate) name: &'static str,
    /// The bad input, for people.
    pub(crate) input: &'static str,
    /// What has to become of it.
    pub(crate) outcome: Outcome,
    /// What the message has to say.
    pub(crate) says: &'static str,
    /// What the hint has to say; empty where a message needs none.
    pub(crate) hints: &'static str,
    /// Does it. `None` when this host cannot, which it has said.
    pub(crate) play: fn(&Lab) -> Option<Finished>,
}

/// Rows that belong together.
pub(crate) struct Section {
    pub(crate) title: &'static str,
    pub(crate) rows: &'static [Row],
}

/// Makes the rows of a section, and a test of each.
macro_rules! section {
    ($title:literal; $(
        $name:ident: $input:literal => $outcome:expr, $says:literal, $hints:literal, $play:expr;
    )*) => {
        pub(crate) const SECTION: crate::table::Section = crate::table::Section {
            title: $title,
            rows: &[$(crate::table::Row {
                name: stringify!($name),
                input: $input,
                outcome: $outcome,
                says: $says,
                hints: $hints,
                play: $play,
            }),*],
        };

        $(#[test]
        fn $name() {
            SECTION.check(stringify!($name));
        })*
    };
}
pub(crate) use section;

impl Outcome {
    fn exit_code(self) -> i32 {
        match self {
            Complete => 0,
            TestFailed => 1,
            CommandLine => 2,
            Definition => 3,
            Fault("Job" | "Test") => 4,
            Fault("Infrastructure" | "Configuration") | Host | Unwritten => 5,
            Fault("Canceled") => 130,
            Fault(_) => 6,
        }
    }

    fn class(self) -> &'static str {
        match self {
            Complete | TestFailed => "none",
            CommandLine | Definition | Host => "refused",
            Unwritten => "Infrastructure",
            Fault(class) => class,
        }
    }

    fn state(self) -> &'static str {
        match self {
            Complete | TestFailed => "complete",
            Fault("Canceled") => "canceled",
            _ => "incomplete",
        }
    }

    /// Whether a job was begun, so that there are results.
    fn has_results(self) -> bool {
        matches!(self, Complete | TestFailed | Fault(_))
    }
}

impl Section {
    pub(crate) fn check(&self, name: &str) {
        let row = self.rows.iter().find(|row| row.name == name).unwrap();
        let lab = Lab::new();
        if let Some(finished) = (row.play)(&lab) {
            let problems = row.problems(&lab, &finished);
            let output = shown(&finished.output);
            assert!(
                problems.is_empty(),
                "{}:\n- {}\n--- what it printed ---\n{output}",
                row.input,
                problems.join("\n- ")
            );
        }
    }
}

impl Row {
    /// All that is not as the row says.
    fn problems(&self, lab: &Lab, finished: &Finished) -> Vec<String> {
        let mut problems = lab.leftovers(&finished.directory);
        let mut require = |ok: bool, problem: String| {
            if !ok {
                problems.push(problem);
            }
        };
        let expected = self.outcome.exit_code();
        require(
            finished.code == expected,
            format!("the exit code is {}, not {expected}", finished.code),
        );
        let (message, hint) = if self.outcome.has_results() {
            self.check_results(finished, &mut require);
            (finished.fault("message"), finished.fault("hint"))
        } else {
            let untouched = finished.results().is_none() && finished.file("journal").is_empty()
                || self.outcome == Unwritten;
            require(untouched, "something was touched".to_owned());
            (finished.output.clone(), finished.output.clone())
        };
        require(
            message.contains(self.says),
            format!("the message does not say {:?}: {message:?}", self.says),
        );
        require(
            hint.contains(self.hints),
            format!("the hint does not say {:?}: {hint:?}", self.hints),
        );
        // Whoever watches sees what programs read.
        for text in [self.says, self.hints, &finished.fault("waited_for")] {
            require(
                finished.output.contains(text),
                format!("{text:?} was not printed"),
            );
        }
        problems
    }

    fn check_results(&self, finished: &Finished, require: &mut impl FnMut(bool, String)) {
        let Some(results) = finished.results() else {
            require(false, "there is no results.json".to_owned());
            return;
        };
        let verdict = &results["verdict"];
        require(
            verdict["state"] == self.outcome.state(),
            format!("the verdict is {}", verdict["state"]),
        );
        let class = match self.outcome {
            Fault(class) => Value::from(class),
            _ => Value::Null,
        };
        require(
            verdict["fault"]["error_type"] == class,
            format!("the fault in results.json is {}", verdict["fault"]),
        );
        let lava = finished.file("result.yaml");
        let expected = match self.outcome {
            Fault(class) => format!("error_type: {class}\n"),
            _ => "result: pass\n".to_owned(),
        };
        require(
            lava.contains(&expected),
            format!("result.yaml does not say {expected:?}: {lava}"),
        );
    }
}

/// `docs/faults.md`.
pub(crate) fn documentation(sections: &[Section]) -> String {
    let mut text = "\
# What becomes of bad input

Each row is a test of `tests/tests/faults`, which also proves that nothing is left behind: no
process, no temporary file, no powered board. The class is LAVA's `error_type`; `refused` means that
no job was begun. The message contains what the fourth column says. [Exit codes](exit-codes.md) says
what the codes mean.
"
    .to_owned();
    for section in sections {
        text.push_str(&format!(
            "\n## {}\n\n| input | class | exit code | message |\n|---|---|---|---|\n",
            section.title
        ));
        for row in section.rows {
            let says = match row.says {
                "" => String::new(),
                says => format!("`{}`", says.replace('|', "\\|")),
            };
            text.push_str(&format!(
                "| {} | {} | {} | {says} |\n",
                row.input,
                row.outcome.class(),
                row.outcome.exit_code()
            ));
        }
    }
    text
}

/// The beginning and the end of a long text.
fn shown(text: &str) -> String {
    const MOST: usize = 6000;
    let characters: Vec<char> = text.chars().collect();
    if characters.len() <= 2 * MOST {
        return text.to_owned();
    }
    let start: String = characters[..MOST].iter().collect();
    let end: String = characters[characters.len() - MOST..].iter().collect();
    format!("{start}\n[…]\n{end}")
}
