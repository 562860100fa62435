//! Texts for people, on standard error. Colour is used on a terminal only, and never alone.

use std::io::{IsTerminal, Write, stderr};

/// Prints an error, with `hint:` lines as they are in the text.
pub(crate) fn error(text: &str) {
    labelled("error", "31", text);
}

/// Prints a warning.
pub(crate) fn warning(text: &str) {
    labelled("warning", "33", text);
}

fn labelled(label: &str, colour: &str, text: &str) {
    let mut out = stderr().lock();
    let label = if stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        format!("\x1b[1;{colour}m{label}\x1b[0m")
    } else {
        label.to_owned()
    };
    // Nobody is left to tell when standard error is gone.
    let _ = writeln!(out, "{label}: {text}");
}
