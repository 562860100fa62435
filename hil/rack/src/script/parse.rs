//! From lines to statements.

use super::{
    Block, Rule, ScriptError, Statement, Variables,
    text::{Word, words},
};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// Blocks in blocks, and files in files.
const MAXIMUM_DEPTH: usize = 16;

/// A script is text a person wrote.
const MAXIMUM_SIZE: u64 = 1 << 20;

pub(super) fn load(file: &Path, variables: Variables) -> Result<Block, ScriptError> {
    let mut parser = Parser {
        variables,
        file: file.to_owned(),
        line: 0,
        depth: 0,
    };
    parser.load(file)
}

pub(super) fn parse(text: &str, variables: Variables) -> Result<Block, ScriptError> {
    let mut parser = Parser {
        variables,
        file: PathBuf::from("board"),
        line: 0,
        depth: 0,
    };
    parser.whole(text)
}

struct Parser {
    variables: Variables,
    file: PathBuf,
    line: usize,
    depth: usize,
}

/// How a block ended.
#[derive(PartialEq, Eq)]
enum End {
    Statement,
    File,
}

type Lines<'a> = std::iter::Enumerate<std::str::Lines<'a>>;

impl Parser {
    fn load(&mut self, file: &Path) -> Result<Block, ScriptError> {
        let size = fs_err::metadata(file)
            .map_err(|error| self.wrong(error.to_string()))?
            .len();
        if size > MAXIMUM_SIZE {
            return Err(self.wrong(format!("{} is larger than a script may be", file.display())));
        }
        let text = fs_err::read_to_string(file).map_err(|error| self.wrong(error.to_string()))?;
        let outer = std::mem::replace(&mut self.file, file.to_owned());
        let outer_line = std::mem::replace(&mut self.line, 0);
        let block = self.whole(&text)?;
        self.file = outer;
        self.line = outer_line;
        Ok(block)
    }

    fn whole(&mut self, text: &str) -> Result<Block, ScriptError> {
        let mut lines = text.lines().enumerate();
        match self.block(&mut lines)? {
            (block, End::File) => Ok(block),
            (_, End::Statement) => Err(self.wrong("there is no block to end here")),
        }
    }

    /// The statements up to `end` or the end of the file.
    fn block(&mut self, lines: &mut Lines<'_>) -> Result<(Block, End), ScriptError> {
        self.depth += 1;
        if self.depth > MAXIMUM_DEPTH {
            return Err(self.wrong("too many blocks or files inside each other"));
        }
        let mut block = Block::new();
        let end = loop {
            match self.next(lines)? {
                None => break End::File,
                Some((name, _)) if name == "end" => break End::Statement,
                Some((name, words)) => self.statement(&name, words, lines, &mut block)?,
            }
        };
        self.depth -= 1;
        Ok((block, end))
    }

    /// The statements of a block that an `end` has to close.
    fn body(&mut self, lines: &mut Lines<'_>) -> Result<Block, ScriptError> {
        let start = self.line;
        match self.block(lines)? {
            (block, End::Statement) => Ok(block),
            (_, End::File) => {
                self.line = start;
                Err(self.wrong("the end of this block is missing"))
            }
        }
    }

    /// The next line that is not empty: its first word, and the others.
    fn next(&mut self, lines: &mut Lines<'_>) -> Result<Option<(String, Words)>, ScriptError> {
        for (index, line) in lines {
            self.line = index + 1;
            let mut words = words(line, &self.variables)
                .map_err(|error| self.wrong(error))?
                .into_iter();
            if let Some(first) = words.next() {
                let name = first.into_bytes().map_err(|error| self.wrong(error))?;
                return Ok(Some((
                    String::from_utf8_lossy(&name).into_owned(),
                    Words(words),
                )));
            }
        }
        Ok(None)
    }

    fn statement(
        &mut self,
        name: &str,
        mut words: Words,
        lines: &mut Lines<'_>,
        block: &mut Block,
    ) -> Result<(), ScriptError> {
        match name {
            "set" => self.set(&mut words)?,
            "include" => {
                let file = self.path(&mut words)?;
                block.extend(self.load(&file)?);
            }
            "interrupt" => {
                let within = self.take(words.duration())?;
                block.push(Statement::Interrupt {
                    within,
                    then: self.body(lines)?,
                });
            }
            "repeat" => {
                let times = self.take(words.number())?;
                block.push(Statement::Repeat {
                    times,
                    body: self.body(lines)?,
                });
            }
            "shell" => {
                let prompt = self.take(words.next())?.into_text();
                block.push(Statement::Shell {
                    prompt,
                    rules: self.rules(lines)?,
                });
            }
            "on" => return Err(self.wrong("'on' belongs into a 'shell' block")),
            _ => block.push(self.simple(name, &mut words)?),
        }
        match words.0.next() {
            None => Ok(()),
            Some(_) => Err(self.wrong(format!("'{name}' takes fewer words"))),
        }
    }

    /// A statement without a block.
    fn simple(&self, name: &str, words: &mut Words) -> Result<Statement, ScriptError> {
        Ok(match name {
            "print" => Statement::Print(self.take(words.next())?.into_text()),
            "file" => Statement::File(self.path(words)?),
            "flood" => {
                let lines = self.take(words.number())?;
                let length = usize::try_from(self.take(words.number())?).unwrap_or(usize::MAX);
                if !(1..=1 << 16).contains(&length) {
                    return Err(self.wrong("a line of 'flood' has 1 to 65536 characters"));
                }
                Statement::Flood { lines, length }
            }
            "fill" => {
                let count = self.take(words.number())?;
                match self.take(words.bytes())?[..] {
                    [byte] => Statement::Fill { count, byte },
                    _ => return Err(self.wrong("'fill' repeats one byte")),
                }
            }
            "noise" => Statement::Noise {
                bytes: self.take(words.number())?,
                seed: self.take(words.number())?,
            },
            "panic" => Statement::Panic(self.take(words.next())?.into_text()),
            "delay" => Statement::Delay(self.take(words.duration())?),
            "read" => Statement::Read,
            "wait" => Statement::Wait(self.take(words.bytes())?),
            "prompt" => Statement::Prompt(self.take(words.next())?.into_text()),
            "leave" => Statement::Leave,
            "restart" => Statement::Restart,
            "close" => Statement::Close { status: 0 },
            "exit" => match u8::try_from(self.take(words.number())?) {
                Ok(status) => Statement::Close { status },
                Err(_) => return Err(self.wrong("an exit status is 0 to 255")),
            },
            "hang" => Statement::Hang,
            "raw" => Statement::Raw,
            "echo" => match &self.take(words.bytes())?[..] {
                b"on" => Statement::Echo(true),
                b"off" => Statement::Echo(false),
                _ => return Err(self.wrong("'echo' is on or off")),
            },
            _ => return Err(self.wrong(format!("there is no statement '{name}'"))),
        })
    }

    fn set(&mut self, words: &mut Words) -> Result<(), ScriptError> {
        let name = self.take(words.string())?;
        let value = self.take(words.string())?;
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_') {
            return Err(self.wrong("the name of a variable has letters and _ only"));
        }
        if name == "n" || name == "line" {
            return Err(self.wrong(format!("'{name}' has a meaning of its own")));
        }
        // What was set from outside or by the including file goes first.
        self.variables.entry(name).or_insert(value);
        Ok(())
    }

    fn rules(&mut self, lines: &mut Lines<'_>) -> Result<Vec<Rule>, ScriptError> {
        let start = self.line;
        let mut rules = Vec::new();
        loop {
            match self.next(lines)? {
                Some((name, _)) if name == "end" => return Ok(rules),
                Some((name, mut words)) if name == "on" => {
                    let pattern = self.take(words.next().and_then(Word::into_pattern))?;
                    rules.push(Rule {
                        pattern,
                        body: self.body(lines)?,
                    });
                }
                Some((name, _)) => {
                    return Err(self.wrong(format!("a shell has rules ('on') only, not '{name}'")));
                }
                None => {
                    self.line = start;
                    return Err(self.wrong("the end of this block is missing"));
                }
            }
        }
    }

    /// A path, relative to the file that names it.
    fn path(&self, words: &mut Words) -> Result<PathBuf, ScriptError> {
        let path = self.take(words.string())?;
        Ok(self.file.parent().unwrap_or(Path::new("")).join(path))
    }

    fn take<T>(&self, result: Result<T, String>) -> Result<T, ScriptError> {
        result.map_err(|message| self.wrong(message))
    }

    fn wrong(&self, message: impl Into<String>) -> ScriptError {
        ScriptError {
            file: self.file.clone(),
            line: self.line,
            message: message.into(),
        }
    }
}

/// The words after a statement's name.
struct Words(std::vec::IntoIter<Word>);

impl Words {
    fn next(&mut self) -> Result<Word, String> {
        self.0.next().ok_or_else(|| "a word is missing".to_owned())
    }

    fn bytes(&mut self) -> Result<Vec<u8>, String> {
        self.next()?.into_bytes()
    }

    fn string(&mut self) -> Result<String, String> {
        String::from_utf8(self.bytes()?).map_err(|_| "this has to be UTF-8".to_owned())
    }

    fn number(&mut self) -> Result<u64, String> {
        let text = self.string()?;
        text.replace('_', "")
            .parse()
            .map_err(|_| format!("'{text}' is not a number"))
    }

    fn duration(&mut self) -> Result<Duration, String> {
        let text = self.string()?;
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = match &text[digits.len()..] {
            "us" => Duration::from_micros(1),
            "ms" => Duration::from_millis(1),
            "s" => Duration::from_secs(1),
            _ => return Err(format!("'{text}' is not a duration such as 30ms or 2s")),
        };
        let count = digits
            .parse()
            .map_err(|_| format!("'{digits}' is not a number"))?;
        unit.checked_mul(count)
            .ok_or_else(|| format!("'{text}' is too long"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Script;

    fn error(text: &str) -> String {
        Script::parse(text, Variables::new())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn mistakes_are_reported_with_their_line() {
        for (text, expected) in [
            (
                "print \"a\"\nprnt \"b\"",
                "board:2: there is no statement 'prnt'",
            ),
            ("print", "board:1: a word is missing"),
            ("hang now", "board:1: 'hang' takes fewer words"),
            ("\n\nend", "board:3: there is no block to end here"),
            (
                "repeat 3\nprint \"x\"",
                "board:1: the end of this block is missing",
            ),
            (
                "shell \"# \"\non \"x\"\nend",
                "board:1: the end of this block is missing",
            ),
            (
                "shell \"# \"\nprint \"x\"\nend",
                "board:2: a shell has rules ('on') only, not 'print'",
            ),
            ("on \"x\"", "board:1: 'on' belongs into a 'shell' block"),
            (
                "delay 5",
                "board:1: '5' is not a duration such as 30ms or 2s",
            ),
            (
                "delay 99999999999s",
                "board:1: '99999999999' is not a number",
            ),
            ("repeat many\nend", "board:1: 'many' is not a number"),
            (
                "flood 1 0",
                "board:1: a line of 'flood' has 1 to 65536 characters",
            ),
            ("exit 256", "board:1: an exit status is 0 to 255"),
            ("fill 3 \"ab\"", "board:1: 'fill' repeats one byte"),
            ("set n 3", "board:1: 'n' has a meaning of its own"),
        ] {
            assert_eq!(error(text), expected);
        }
    }

    #[test]
    fn depth_is_bounded() {
        assert!(error(&"repeat 1\n".repeat(100)).contains("inside each other"));
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("self.board");
        fs_err::write(&file, "include \"self.board\"\n").unwrap();
        let error = Script::load(&file, Variables::new())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("self.board:0: too many blocks or files"),
            "{error}"
        );
    }

    #[test]
    fn variables_from_outside_go_first() {
        let set = Variables::from([("a".to_owned(), "2".to_owned())]);
        let script = Script::parse("set a 1\nset b 1\nrepeat ${a}${b}\nend", set).unwrap();
        assert!(matches!(
            script.statements[..],
            [Statement::Repeat { times: 21, .. }]
        ));
    }

    #[test]
    fn missing_file_is_named() {
        let error = Script::load(Path::new("/no/such.board"), Variables::new()).unwrap_err();
        assert!(error.to_string().contains("/no/such.board"), "{error}");
    }
}
