//! Command lines as argument vectors.

use crate::error::{ErrorKind, HalError};
use std::{
    ffi::{OsStr, OsString},
    fmt,
};

/// A program and its arguments. Never empty, never interpreted by a shell.
///
/// `Display` quotes the words so that a POSIX shell would read the same vector.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CommandLine {
    program: OsString,
    arguments: Vec<OsString>,
}

/// Why a text is not a command line. The messages are those of Python's `shlex`, which LAVA's
/// users know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandLineError {
    /// A quoted part does not end.
    #[error("No closing quotation")]
    NoClosingQuotation,
    /// The text ends in a backslash.
    #[error("No escaped character")]
    NoEscapedCharacter,
    /// There is no word in it.
    #[error("the command is empty")]
    Empty,
}

impl CommandLine {
    /// A command without arguments.
    pub fn new(program: impl Into<OsString>) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
        }
    }

    /// Splits `text` into words as `shlex.split` of Python does (POSIX rules, no comments), which
    /// is how LAVA 2026.07 treats the commands of a device dictionary.
    ///
    /// # Errors
    /// When a quotation or an escape does not end, or there is no word.
    pub fn parse(text: &str) -> Result<Self, CommandLineError> {
        let mut words = split(text)?.into_iter();
        let program = words.next().ok_or(CommandLineError::Empty)?;
        Ok(Self {
            program: program.into(),
            arguments: words.map(OsString::from).collect(),
        })
    }

    /// A command line from words; `None` when there is none.
    pub fn from_words<I>(words: I) -> Option<Self>
    where
        I: IntoIterator,
        I::Item: Into<OsString>,
    {
        let mut words = words.into_iter().map(Into::into);
        Some(Self {
            program: words.next()?,
            arguments: words.collect(),
        })
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<I>(mut self, arguments: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<OsString>,
    {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// The program, as written.
    pub fn program(&self) -> &OsStr {
        &self.program
    }

    /// The arguments, without the program.
    pub fn arguments(&self) -> &[OsString] {
        &self.arguments
    }

    /// The program, then its arguments.
    pub fn words(&self) -> impl Iterator<Item = &OsStr> {
        std::iter::once(self.program()).chain(self.arguments.iter().map(OsString::as_os_str))
    }
}

impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, word) in self.words().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            write_quoted(f, &word.to_string_lossy())?;
        }
        Ok(())
    }
}

impl From<CommandLineError> for HalError {
    fn from(error: CommandLineError) -> Self {
        Self::new(
            ErrorKind::InvalidInput,
            "command line",
            format!("not a command line: {error}"),
        )
        .with_hint("quote the words that contain blanks, and double each backslash")
    }
}

fn write_quoted(f: &mut fmt::Formatter<'_>, word: &str) -> fmt::Result {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@%_+=:,./-".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return f.write_str(word);
    }
    write!(f, "'{}'", word.replace('\'', r#"'"'"'"#))
}

/// `shlex.split(text, posix=True, comments=False)`.
fn split(text: &str) -> Result<Vec<String>, CommandLineError> {
    let mut words = Vec::new();
    // A word has begun once this is Some: `''` is a word too.
    let mut word: Option<String> = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '\\' => {
                let next = characters
                    .next()
                    .ok_or(CommandLineError::NoEscapedCharacter)?;
                word.get_or_insert_default().push(next);
            }
            '\'' => single_quoted(&mut characters, word.get_or_insert_default())?,
            '"' => double_quoted(&mut characters, word.get_or_insert_default())?,
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Ok(words)
}

fn single_quoted(
    text: &mut std::str::Chars<'_>,
    word: &mut String,
) -> Result<(), CommandLineError> {
    for character in text {
        if character == '\'' {
            return Ok(());
        }
        word.push(character);
    }
    Err(CommandLineError::NoClosingQuotation)
}

fn double_quoted(
    text: &mut std::str::Chars<'_>,
    word: &mut String,
) -> Result<(), CommandLineError> {
    while let Some(character) = text.next() {
        match character {
            '"' => return Ok(()),
            '\\' => {
                let next = text.next().ok_or(CommandLineError::NoEscapedCharacter)?;
                if next != '\\' && next != '"' {
                    word.push('\\');
                }
                word.push(next);
            }
            other => word.push(other),
        }
    }
    Err(CommandLineError::NoClosingQuotation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_are_split_as_shlex_does() {
        let cases: [(&str, &[&str]); 12] = [
            ("telnet localhost 7001", &["telnet", "localhost", "7001"]),
            ("  a\t b\r\nc ", &["a", "b", "c"]),
            ("a 'b c' d", &["a", "b c", "d"]),
            (r#"a "b \" \\ \n" c"#, &["a", r#"b " \ \n"#, "c"]),
            (r"a\ b 'c\d'", &["a b", r"c\d"]),
            ("a ''", &["a", ""]),
            (r#"a"b"'c'd"#, &["abcd"]),
            ("a #b", &["a", "#b"]),
            ("a;b|c>d", &["a;b|c>d"]),
            ("a\u{a0}b", &["a\u{a0}b"]),
            ("a\\\nb", &["a\nb"]),
            ("$HOME `x` *", &["$HOME", "`x`", "*"]),
        ];
        for (text, expected) in cases {
            assert_eq!(split(text).unwrap(), expected, "{text:?}");
        }
    }

    #[test]
    fn unfinished_text_is_refused() {
        assert_eq!(
            CommandLine::parse("a 'b"),
            Err(CommandLineError::NoClosingQuotation)
        );
        assert_eq!(
            CommandLine::parse("a \"b"),
            Err(CommandLineError::NoClosingQuotation)
        );
        assert_eq!(
            CommandLine::parse("a \\"),
            Err(CommandLineError::NoEscapedCharacter)
        );
        assert_eq!(CommandLine::parse(" \n"), Err(CommandLineError::Empty));
        assert_eq!(CommandLine::from_words(Vec::<String>::new()), None);
    }

    proptest! {
        #[test]
        fn displayed_line_reads_back(words in proptest::collection::vec(".{0,12}", 1..6)) {
            let line = CommandLine::from_words(words).unwrap();
            prop_assert_eq!(CommandLine::parse(&line.to_string()).unwrap(), line);
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = CommandLine::parse(&text);
        }
    }
}
