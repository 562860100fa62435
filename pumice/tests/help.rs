//! What the program says about itself: help, manual pages, completions.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::{Command, Output, Stdio};

const COMMANDS: [&str; 10] = [
    "run",
    "plan",
    "check",
    "report",
    "recover",
    "power",
    "console",
    "hal",
    "completions",
    "man",
];

/// Subcommands of subcommands.
const INNER: [[&str; 2]; 7] = [
    ["power", "on"],
    ["power", "off"],
    ["power", "cycle"],
    ["power", "status"],
    ["power", "serve"],
    ["power", "models"],
    ["hal", "list"],
];

#[expect(
    clippy::disallowed_methods,
    reason = "a test starts the program as a user would"
)]
fn pumice(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pumice"))
        .args(arguments)
        .output()
        .unwrap()
}

fn stdout(arguments: &[&str]) -> String {
    let output = pumice(arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_command_teaches_by_example() {
    let overview = stdout(&["--help"]);
    for command in COMMANDS {
        assert!(
            overview.contains(&format!("\n  {command} ")),
            "{command} in\n{overview}"
        );
        let help = stdout(&[command, "--help"]);
        assert!(
            help.contains(&format!("Examples:\n  pumice {command}")),
            "{help}"
        );
        assert!(!help.contains('\x1b'), "no colours in a pipe");
    }
    for [outer, inner] in INNER {
        let overview = stdout(&[outer, "--help"]);
        assert!(overview.contains(&format!("\n  {inner} ")), "{overview}");
        let help = stdout(&[outer, inner, "--help"]);
        assert!(
            help.contains(&format!("Examples:\n  pumice {outer} ")),
            "{help}"
        );
    }
}

#[test]
fn the_examples_are_lines_that_the_program_takes() {
    let outer = COMMANDS.map(|command| vec![command, "--help"]);
    let inner = INNER.map(|[outer, inner]| vec![outer, inner, "--help"]);
    for command in outer.iter().chain(&inner) {
        let help = stdout(command);
        for example in help
            .lines()
            .filter_map(|line| line.trim().strip_prefix("pumice "))
        {
            let words = example
                .split_once(['|', '>', '<', '#'])
                .map_or(example, |(words, _)| words);
            // What explains an example stands behind several blanks.
            let words = words.split("   ").next().unwrap();
            let mut arguments: Vec<&str> = words.split_whitespace().collect();
            // Clap looks at all arguments before it prints the help that is asked for last.
            arguments.push("--help");
            assert_eq!(pumice(&arguments).status.code(), Some(0), "pumice {words}");
        }
    }
}

#[test]
fn manual_pages_are_there_for_all_and_name_only_such() {
    let folder = tempfile::tempdir().unwrap();
    stdout(&["man", "--directory", folder.path().to_str().unwrap()]);
    let main = fs_err::read_to_string(folder.path().join("pumice.1")).unwrap();
    assert_eq!(main, stdout(&["man"]));
    for command in COMMANDS {
        let page = folder.path().join(format!("pumice-{command}.1"));
        let page = fs_err::read_to_string(page).unwrap();
        assert!(page.contains(".SH EXAMPLES"), "{page}");
        assert!(main.contains(&format!("pumice\\-{command}(1)")), "{main}");
    }
    assert_eq!(main.matches("(1)").count(), COMMANDS.len(), "{main}");
    for [outer, inner] in INNER {
        let page = folder.path().join(format!("pumice-{outer}-{inner}.1"));
        let page = fs_err::read_to_string(page).unwrap();
        assert!(page.contains(".SH EXAMPLES"), "{page}");
    }
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the shell itself says whether it understands"
)]
fn completions_know_all_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let script = stdout(&["completions", shell]);
        for command in COMMANDS {
            assert!(script.contains(command), "{shell}: {command}");
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("completions");
        fs_err::write(&file, script).unwrap();
        match Command::new(shell)
            .arg("-n")
            .arg(&file)
            .stderr(Stdio::null())
            .status()
        {
            Ok(status) => assert!(
                status.success(),
                "{shell} does not understand its completions"
            ),
            Err(_) => eprintln!("SKIPPED: {shell} is not installed"),
        }
    }
}
