//! Texts for people, on standard error. Colour is used on a terminal only, and never alone.

use crate::cli::Colour;
use std::{
    io::{IsTerminal, Write, stderr},
    sync::OnceLock,
};

/// What the user wants; the program sets it once.
static COLOUR: OnceLock<Colour> = OnceLock::new();

/// Sets what `--color` says, for all that is printed.
pub(crate) fn set_colour(colour: Colour) {
    // It is only set once, by `main`.
    let _ = COLOUR.set(colour);
}

/// Whether colours may be used on an output: <https://no-color.org> asks to look at `NO_COLOR`.
pub(crate) fn has_colour(is_terminal: bool) -> bool {
    match COLOUR.get().copied().unwrap_or(Colour::Auto) {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto => {
            let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
            let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
            is_terminal && !is_dumb && !is_set("NO_COLOR")
        }
    }
}

/// Prints an error, with `hint:` lines as they are in the text.
pub(crate) fn error(text: &str) {
    labelled("error", "31", text);
}

/// Prints a warning.
pub(crate) fn warning(text: &str) {
    labelled("warning", "33", text);
}

/// Prints what happens meanwhile.
pub(crate) fn note(text: &str) {
    // Nobody is left to tell when standard error is gone.
    let _ = writeln!(stderr().lock(), "{text}");
}

fn labelled(label: &str, colour: &str, text: &str) {
    let mut out = stderr().lock();
    let label = if has_colour(out.is_terminal()) {
        format!("\x1b[1;{colour}m{label}\x1b[0m")
    } else {
        label.to_owned()
    };
    // Nobody is left to tell when standard error is gone.
    let _ = writeln!(out, "{label}: {text}");
}
