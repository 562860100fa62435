//! `rack board FILE`: a scripted board on standard input and output.

use rack::{Script, Variables};
use std::{path::Path, process::ExitCode};

const USAGE: &str = "usage: rack board FILE [NAME=VALUE]...

Plays the board that FILE describes on standard input and output, as the
connection command of a device. NAME=VALUE overrides `set NAME` in FILE.
The language of the file is described in hil/rack/README.md.";

/// The exit status for a wrong command line or a wrong script, far from those that boards use.
const WRONG_USE: u8 = 64;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["board", file, ref variables @ ..] => play(file, variables),
        ["help" | "--help" | "-h"] => tell(USAGE, ExitCode::SUCCESS),
        _ => tell(USAGE, ExitCode::from(WRONG_USE)),
    }
}

fn play(file: &str, assignments: &[&str]) -> ExitCode {
    let mut variables = Variables::new();
    for assignment in assignments {
        match assignment.split_once('=') {
            Some((name, value)) => variables.insert(name.to_owned(), value.to_owned()),
            None => {
                return tell(
                    &format!("{assignment}: not NAME=VALUE\n{USAGE}"),
                    WRONG_USE.into(),
                );
            }
        };
    }
    match Script::load(Path::new(file), variables) {
        Ok(script) => match rack::play_on_stdio(&script) {
            Ok(played) => ExitCode::from(played.status),
            Err(error) => tell(&format!("rack: {error}"), ExitCode::FAILURE),
        },
        Err(error) => tell(&format!("rack: {error}"), WRONG_USE.into()),
    }
}

#[expect(
    clippy::print_stderr,
    reason = "standard output is the board's console"
)]
fn tell(text: &str, code: ExitCode) -> ExitCode {
    eprintln!("{text}");
    code
}
