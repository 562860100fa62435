//! What a board's file says.

mod parse;
mod text;

pub(crate) use text::{Pattern, Scene, Text};

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

/// Values that a script refers to as `${NAME}`.
pub type Variables = BTreeMap<String, String>;

/// A board, ready to be played any number of times.
#[derive(Clone, Debug)]
pub struct Script {
    pub(crate) statements: Block,
}

/// Why a script cannot be played.
#[derive(Debug, thiserror::Error)]
#[error("{}:{line}: {message}", file.display())]
pub struct ScriptError {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1; 0 when it is about the file as a whole.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

pub(crate) type Block = Vec<Statement>;

#[derive(Clone, Debug)]
pub(crate) enum Statement {
    Print(Text),
    File(PathBuf),
    Flood { lines: u64, length: usize },
    Fill { count: u64, byte: u8 },
    Noise { bytes: u64, seed: u64 },
    Panic(Text),
    Delay(Duration),
    Read,
    Wait(Vec<u8>),
    Interrupt { within: Duration, then: Block },
    Repeat { times: u64, body: Block },
    Shell { prompt: Text, rules: Vec<Rule> },
    Prompt(Text),
    Leave,
    Restart,
    Close { status: u8 },
    Hang,
    Raw,
    Echo(bool),
}

/// What a shell does when a line matches.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) pattern: Pattern,
    pub(crate) body: Block,
}

impl Script {
    /// Reads the script in `file`. `variables` go before those the script sets.
    ///
    /// # Errors
    /// When a file cannot be read, or at the first line that is wrong.
    pub fn load(file: &Path, variables: Variables) -> Result<Self, ScriptError> {
        parse::load(file, variables).map(|statements| Self { statements })
    }

    /// Reads a script from `text`; files it names are relative to the current directory.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn parse(text: &str, variables: Variables) -> Result<Self, ScriptError> {
        parse::parse(text, variables).map(|statements| Self { statements })
    }
}
