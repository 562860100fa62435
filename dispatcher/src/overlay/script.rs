//! The scripts that run one test: `install.sh` and `run.sh`.
//!
//! What they print is what LAVA 2026.07's print, up to the shell's own way of tracing.

use super::{
    definition::Install,
    quote::{always, is_variable, word},
};
use std::{fmt::Write, time::Duration};

/// What both scripts know of their test.
pub(super) struct Context<'a> {
    /// The directory of the test on the device.
    pub(super) directory: &'a str,
    /// Default parameters of the definition, in order.
    pub(super) defaults: &'a [(String, String)],
    /// Parameters of the job, in order; they go before the defaults.
    pub(super) parameters: &'a [(String, String)],
}

/// `run.sh`: parameters, STARTRUN, the steps with a trace, ENDRUN.
pub(super) fn run(
    context: &Context<'_>,
    test: &str,
    steps: &[String],
    use_kmsg: bool,
    character_delay: Duration,
) -> String {
    let mut text = header(context);
    let _ = writeln!(text, "set -e\nset -x");
    let _ = writeln!(text, "export TESTRUN_ID={}", word(test));
    let _ = writeln!(text, "cd {}", word(context.directory));
    text.push_str("UUID=$(cat uuid)\nset +x\n");
    let mut pause = String::new();
    if !character_delay.is_zero() {
        let seconds = character_delay.as_secs_f64();
        let _ = writeln!(text, "export CHARACTER_DELAY={seconds}");
        pause = format!("sleep {seconds} 2>/dev/null || sleep 1\n");
    }
    if use_kmsg {
        // lava-test-runner looks for this line.
        text.push_str("# USE_KMSG\nexport KMSG=true\n");
    }
    let signal = |name: &str| {
        let (priority, target) = if use_kmsg {
            ("<0>", " >/dev/kmsg")
        } else {
            ("", "")
        };
        format!(
            "{pause}printf '%s\\n' \"{priority}<LAVA_SIGNAL_{name} $TESTRUN_ID $UUID>\"{target}\n"
        )
    };
    text.push_str(&signal("STARTRUN"));
    text.push_str("set -x\n");
    for step in steps {
        for line in step.lines() {
            text.push_str(&keep_positions(line));
            text.push('\n');
        }
    }
    text.push_str("set +x\n");
    text.push_str(&signal("ENDRUN"));
    text
}

/// `install.sh`: keys, sources and packages, then the steps.
pub(super) fn install(context: &Context<'_>, install: &Install) -> String {
    let mut text = header(context);
    text.push_str("set -e\nset -x\n");
    for key in &install.keys {
        let _ = writeln!(text, "lava-add-keys {}", word(key));
    }
    for source in &install.sources {
        let _ = writeln!(text, "lava-add-sources {}", word(source));
    }
    if !install.packages.is_empty() {
        let packages: Vec<String> = install.packages.iter().map(|name| word(name)).collect();
        let _ = writeln!(text, "lava-install-packages {}", packages.join(" "));
    }
    let _ = writeln!(text, "cd {}\npwd", word(context.directory));
    for step in &install.steps {
        text.push_str(step.trim_end_matches('\n'));
        text.push('\n');
    }
    text
}

/// Which parameters no shell can hold, because of their names.
pub(super) fn unusable<'a>(
    parameters: &'a [(String, String)],
) -> impl Iterator<Item = &'a str> + use<'a> {
    parameters
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|name| !is_variable(name))
}

/// The assignments that both scripts begin with.
fn header(context: &Context<'_>) -> String {
    let mut text = String::new();
    for (title, parameters) in [
        ("Parameters of the test definition.", context.defaults),
        ("Parameters of the job.", context.parameters),
    ] {
        let _ = writeln!(text, "# {title}");
        for (name, value) in parameters.iter().filter(|(name, _)| is_variable(name)) {
            let _ = writeln!(text, "{name}={}", always(value));
        }
    }
    text
}

/// In commands for another shell (`--shell`, `--cmd`), `$1` belongs to that shell.
fn keep_positions(line: &str) -> String {
    if !line.contains("--shell") && !line.contains("--cmd") {
        return line.to_owned();
    }
    let mut out = String::with_capacity(line.len() + 4);
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '$' && chars.peek().is_some_and(char::is_ascii_digit) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(entries: &[(&str, &str)]) -> Vec<(String, String)> {
        entries
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    #[test]
    fn parameters_of_the_job_come_after_the_defaults_and_are_quoted() {
        let defaults = pairs(&[("A", "default"), ("not-a-name", "x")]);
        let parameters = pairs(&[("A", "it's")]);
        let context = Context {
            directory: "/lava-1/0/tests/0_a",
            defaults: &defaults,
            parameters: &parameters,
        };
        let text = run(&context, "0_a", &[], false, Duration::ZERO);
        let default = text.find("A='default'").unwrap();
        let own = text.find(r"A='it'\''s'").unwrap();
        assert!(default < own);
        assert!(!text.contains("not-a-name"));
        assert_eq!(unusable(&defaults).collect::<Vec<_>>(), ["not-a-name"]);
    }

    #[test]
    fn positions_are_kept_for_the_shell_of_the_command() {
        assert_eq!(
            keep_positions("lava-test-case a --shell awk '{print $1}'"),
            r"lava-test-case a --shell awk '{print \$1}'"
        );
        assert_eq!(keep_positions("awk '{print $1}'"), "awk '{print $1}'");
        assert_eq!(keep_positions("x --cmd $A $"), "x --cmd $A $");
    }
}
