//! Words of a script: escapes, references, patterns.

use super::Variables;

/// Text to print, with what is only known while playing left open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Text(Vec<Piece>);

/// A line's pattern: literal parts with anything between them. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern(Vec<Vec<u8>>);

/// One word of a statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Word {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Bytes(Vec<u8>),
    /// An unescaped `*`: itself when printed, anything in a pattern.
    Star,
    /// `${1}`: what the first `*` of the rule matched.
    Capture(usize),
    /// `${line}`: the line typed last.
    Line,
    /// `${n}` or `${n:6}`: how often the innermost `repeat` went round, with at least `width`
    /// digits.
    Counter {
        width: usize,
    },
}

/// What the references of a text stand for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scene {
    pub(crate) line: Vec<u8>,
    pub(crate) captures: Vec<Vec<u8>>,
    pub(crate) counter: u64,
}

/// Wider than any number needs to be; a bound on what `${n:WIDTH}` allocates.
const MAXIMUM_WIDTH: usize = 64;

impl Text {
    /// The text as it is now.
    pub(crate) fn render(&self, scene: &Scene) -> Vec<u8> {
        let mut text = Vec::new();
        for piece in &self.0 {
            match piece {
                Piece::Bytes(bytes) => text.extend_from_slice(bytes),
                Piece::Star => text.push(b'*'),
                Piece::Capture(index) => {
                    text.extend_from_slice(scene.captures.get(*index).map_or(b"", Vec::as_slice));
                }
                Piece::Line => text.extend_from_slice(&scene.line),
                Piece::Counter { width } => {
                    text.extend_from_slice(format!("{:0width$}", scene.counter).as_bytes());
                }
            }
        }
        text
    }
}

impl Pattern {
    /// What each `*` stands for, if the whole `line` matches. Every `*` but the last takes as
    /// little as it can.
    pub(crate) fn captures(&self, line: &[u8]) -> Option<Vec<Vec<u8>>> {
        let (first, rest) = self.0.split_first()?;
        let mut line = line.strip_prefix(first.as_slice())?;
        let Some((last, middle)) = rest.split_last() else {
            return line.is_empty().then(Vec::new);
        };
        let mut captures = Vec::with_capacity(rest.len());
        for literal in middle {
            let start = find(line, literal)?;
            captures.push(line[..start].to_vec());
            line = &line[start + literal.len()..];
        }
        captures.push(line.strip_suffix(last.as_slice())?.to_vec());
        Some(captures)
    }
}

/// Where `needle` first is in `haystack`.
pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    if needle.is_empty() {
        return Some(0);
    }
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

impl Word {
    /// As text to print.
    pub(crate) fn into_text(self) -> Text {
        Text(self.pieces)
    }

    /// As a pattern.
    pub(crate) fn into_pattern(self) -> Result<Pattern, String> {
        let mut literals = vec![Vec::new()];
        for piece in self.pieces {
            match (piece, literals.last_mut()) {
                (Piece::Bytes(bytes), Some(literal)) => literal.extend(bytes),
                (Piece::Star, _) => literals.push(Vec::new()),
                _ => return Err("a pattern can refer to variables only".to_owned()),
            }
        }
        Ok(Pattern(literals))
    }

    /// As bytes that are the same at all times.
    pub(crate) fn into_bytes(self) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        for piece in self.pieces {
            match piece {
                Piece::Bytes(more) => bytes.extend(more),
                Piece::Star => bytes.push(b'*'),
                _ => return Err("only variables can be referred to here".to_owned()),
            }
        }
        Ok(bytes)
    }

    fn push_byte(&mut self, byte: u8) {
        self.push_bytes(&[byte]);
    }

    fn push_bytes(&mut self, more: &[u8]) {
        match self.pieces.last_mut() {
            Some(Piece::Bytes(bytes)) => bytes.extend_from_slice(more),
            _ => self.pieces.push(Piece::Bytes(more.to_vec())),
        }
    }
}

/// Splits a line into words. `"…"` groups and takes escapes; `#` begins a comment where a word
/// could begin.
pub(crate) fn words(line: &str, variables: &Variables) -> Result<Vec<Word>, String> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() && !rest.starts_with('#') {
        let mut word = Word::default();
        rest = match rest.strip_prefix('"') {
            Some(text) => quoted(text, variables, &mut word)?,
            None => bare(rest, variables, &mut word)?,
        };
        if !rest.is_empty() && !rest.starts_with(char::is_whitespace) {
            return Err(format!("a blank is missing before {rest:.20}"));
        }
        words.push(word);
        rest = rest.trim_start();
    }
    Ok(words)
}

fn bare<'a>(mut text: &'a str, set: &Variables, word: &mut Word) -> Result<&'a str, String> {
    while let Some(character) = text.chars().next() {
        if character.is_whitespace() {
            break;
        }
        text = match text.strip_prefix("${") {
            Some(after) => reference(after, set, word)?,
            None => literal(text, character, word),
        };
    }
    Ok(text)
}

fn quoted<'a>(mut text: &'a str, set: &Variables, word: &mut Word) -> Result<&'a str, String> {
    while let Some(character) = text.chars().next() {
        if let Some(after) = text.strip_prefix("${") {
            text = reference(after, set, word)?;
            continue;
        }
        match character {
            '"' => return Ok(&text[1..]),
            '\\' => text = escape(&text[1..], word)?,
            _ => text = literal(text, character, word),
        }
    }
    Err("the closing quotation mark is missing".to_owned())
}

fn literal<'a>(text: &'a str, character: char, word: &mut Word) -> &'a str {
    let (one, rest) = text.split_at(character.len_utf8());
    match character {
        '*' => word.pieces.push(Piece::Star),
        _ => word.push_bytes(one.as_bytes()),
    }
    rest
}

fn escape<'a>(text: &'a str, word: &mut Word) -> Result<&'a str, String> {
    let code = text.chars().next().ok_or("a backslash ends the line")?;
    let byte = match code {
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        '0' => 0,
        'a' => 7,
        'b' => 8,
        'e' => 0x1b,
        '\\' | '"' | '$' | '*' => text.as_bytes()[0],
        'x' => {
            let digits = text
                .get(1..3)
                .filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
            let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
            word.push_byte(byte.ok_or("\\x needs two hexadecimal digits")?);
            return Ok(&text[3..]);
        }
        _ => {
            return Err(format!(
                "\\{code} is no escape; they are \\n \\r \\t \\0 \\a \\b \\e \\xNN \\\\ \\\" \\$ \\*"
            ));
        }
    };
    word.push_byte(byte);
    Ok(&text[code.len_utf8()..])
}

fn reference<'a>(text: &'a str, set: &Variables, word: &mut Word) -> Result<&'a str, String> {
    let (name, rest) = text.split_once('}').ok_or("a } is missing after ${")?;
    if let Some(value) = set.get(name) {
        word.push_bytes(value.as_bytes());
        return Ok(rest);
    }
    word.pieces.push(match (name, name.parse::<usize>()) {
        ("line", _) => Piece::Line,
        ("n", _) => Piece::Counter { width: 0 },
        (_, Ok(number @ 1..)) => Piece::Capture(number - 1),
        _ => match name.strip_prefix("n:").map(str::parse) {
            Some(Ok(width @ 0..=MAXIMUM_WIDTH)) => Piece::Counter { width },
            _ => {
                return Err(format!(
                    "there is no variable '{name}': set it before, or give {name}=VALUE"
                ));
            }
        },
    });
    Ok(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(line: &str) -> Word {
        let mut words = words(line, &Variables::from([("v".into(), "value".into())])).unwrap();
        assert_eq!(words.len(), 1, "{words:?}");
        words.remove(0)
    }

    #[test]
    fn escapes_and_references_are_read() {
        let scene = Scene {
            line: b"typed".into(),
            captures: vec![b"a".into()],
            counter: 7,
        };
        let text = one(r#""\x00\xff\e[0m ${v} ${line} ${1} ${2} ${n} ${n:3} $? \${v} * \*\"""#);
        let expected = b"\x00\xff\x1b[0m value typed a  7 007 $? ${v} * *\"";
        assert_eq!(text.into_text().render(&scene), expected);
    }

    #[test]
    fn words_end_at_blanks_and_comments() {
        let found = words(
            "repeat  ${v}x # not this",
            &[("v".into(), "3".into())].into(),
        )
        .unwrap();
        let found: Vec<_> = found
            .into_iter()
            .map(|word| word.into_bytes().unwrap())
            .collect();
        assert_eq!(found, [&b"repeat"[..], b"3x"]);
    }

    #[test]
    fn mistakes_are_named() {
        for (line, message) in [
            ("\"abc", "quotation mark"),
            (r#""\q""#, "no escape"),
            (r#""\x4""#, "hexadecimal"),
            ("\"\\", "ends the line"),
            ("${nothing}", "no variable 'nothing'"),
            ("${n:999}", "no variable 'n:999'"),
            ("${n", "} is missing"),
            ("\"a\"b", "blank is missing"),
        ] {
            let error = words(line, &Variables::new()).unwrap_err();
            assert!(error.contains(message), "{line}: {error}");
        }
    }

    #[test]
    fn patterns_capture_what_the_stars_stand_for() {
        let captures = |pattern: &str, line: &str| {
            let captures = one(&format!("\"{pattern}\"")).into_pattern().unwrap();
            let captures = captures.captures(line.as_bytes())?;
            Some(
                captures
                    .into_iter()
                    .map(|c| String::from_utf8(c).unwrap())
                    .collect::<Vec<_>>(),
            )
        };
        let yes = |words: &[&str]| Some(words.iter().map(|&w| w.to_owned()).collect::<Vec<_>>());
        assert_eq!(captures("abc", "abc"), yes(&[]));
        assert_eq!(captures("abc", "abcd"), None);
        assert_eq!(captures("", ""), yes(&[]));
        assert_eq!(captures("*", "x y"), yes(&["x y"]));
        assert_eq!(
            captures("/lava-*/bin/*", "/lava-42/bin/run"),
            yes(&["42", "run"])
        );
        assert_eq!(captures("*a*", "bab a"), yes(&["b", "b a"]));
        assert_eq!(captures("aa*aa", "aaa"), None);
        assert_eq!(captures("*b", "abcb"), yes(&["abc"]));
    }

    proptest! {
        #[test]
        fn no_line_panics(line in "[ -~\\\\\"${}*#é]{0,40}") {
            let _ = words(&line, &Variables::new());
        }
    }
}
