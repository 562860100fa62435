//! Splits a template into its tags and their tokens.

use std::ops::Range;

/// A `{{ … }}` or `{% … %}`; comments, raw blocks and text between tags are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tag {
    /// The whole tag with its delimiters.
    pub(super) range: Range<usize>,
    /// Whether it is `{% … %}`.
    pub(super) is_statement: bool,
    /// What is in it.
    pub(super) tokens: Vec<Token>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) range: Range<usize>,
    pub(super) kind: TokenKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A name or keyword.
    Name,
    /// A string with its quotes.
    Text,
    /// A number.
    Number,
    /// `==`, `!=`, `<=` or `>=`.
    Comparison,
    /// Any other character.
    Symbol(char),
}

impl Tag {
    /// The word that says what a statement does: `set`, `block`, ….
    pub(super) fn keyword<'a>(&self, text: &'a str) -> Option<&'a str> {
        let first = self.tokens.first().filter(|_| self.is_statement)?;
        (first.kind == TokenKind::Name).then(|| &text[first.range.clone()])
    }

    /// The mark of whitespace control after the opening delimiter: `-`, `+` or nothing.
    pub(super) fn opening_mark(&self, text: &str) -> &'static str {
        mark(text.as_bytes()[self.range.start + 2])
    }

    /// The mark of whitespace control before the closing delimiter: `-`, `+` or nothing.
    pub(super) fn closing_mark(&self, text: &str) -> &'static str {
        mark(text.as_bytes()[self.range.end - 3])
    }
}

fn mark(byte: u8) -> &'static str {
    match byte {
        b'-' => "-",
        b'+' => "+",
        _ => "",
    }
}

/// All tags in order; `None` when a tag, comment, string or raw block does not end.
pub(super) fn scan(text: &str) -> Option<Vec<Tag>> {
    let mut tags = Vec::new();
    let mut position = 0;
    while let Some(start) = next_delimiter(text, position) {
        match text.as_bytes()[start + 1] {
            b'#' => position = start + 2 + text[start + 2..].find("#}")? + 2,
            opening => {
                let tag = scan_tag(text, start, opening == b'%')?;
                position = tag.range.end;
                if tag.keyword(text) == Some("raw") {
                    position = end_of_raw(text, position)?;
                } else {
                    tags.push(tag);
                }
            }
        }
    }
    Some(tags)
}

fn next_delimiter(text: &str, from: usize) -> Option<usize> {
    text.as_bytes()[from..]
        .windows(2)
        .position(|pair| pair[0] == b'{' && matches!(pair[1], b'{' | b'%' | b'#'))
        .map(|found| from + found)
}

/// The place after `{% endraw %}`.
fn end_of_raw(text: &str, mut position: usize) -> Option<usize> {
    loop {
        let start = position + text[position..].find("{%")?;
        let content = text[start + 2..]
            .trim_start_matches(['-', '+'])
            .trim_start();
        if content.starts_with("endraw") {
            return Some(start + text[start..].find("%}")? + 2);
        }
        position = start + 2;
    }
}

fn scan_tag(text: &str, start: usize, is_statement: bool) -> Option<Tag> {
    let closing = if is_statement { "%}" } else { "}}" };
    let mut tokens = Vec::new();
    let mut position = start + 2;
    // `{%- x` and `{%+ x`: the mark is none of the tokens.
    if matches!(text.as_bytes().get(position), Some(b'-' | b'+')) {
        position += 1;
    }
    let mut open = 0_usize;
    loop {
        let rest = &text[position..];
        let first = rest.chars().next()?;
        if open == 0 {
            let unmarked = rest.strip_prefix(['-', '+']).unwrap_or(rest);
            if unmarked.starts_with(closing) {
                let end = position + (rest.len() - unmarked.len()) + 2;
                return Some(Tag {
                    range: start..end,
                    is_statement,
                    tokens,
                });
            }
        }
        if first.is_whitespace() {
            position += first.len_utf8();
            continue;
        }
        let (kind, length) = scan_token(rest, first)?;
        match first {
            '(' | '[' | '{' => open += 1,
            ')' | ']' | '}' => open = open.saturating_sub(1),
            _ => {}
        }
        tokens.push(Token {
            range: position..position + length,
            kind,
        });
        position += length;
    }
}

fn scan_token(rest: &str, first: char) -> Option<(TokenKind, usize)> {
    let while_word = |rest: &str| {
        rest.find(|c: char| !(c.is_alphanumeric() || c == '_'))
            .unwrap_or(rest.len())
    };
    Some(match first {
        '\'' | '"' => (TokenKind::Text, length_of_string(rest, first)?),
        '0'..='9' => (TokenKind::Number, while_word(rest)),
        _ if first.is_alphabetic() || first == '_' => (TokenKind::Name, while_word(rest)),
        '=' | '!' | '<' | '>' if rest[1..].starts_with('=') => (TokenKind::Comparison, 2),
        _ => (TokenKind::Symbol(first), first.len_utf8()),
    })
}

fn length_of_string(rest: &str, quote: char) -> Option<usize> {
    let mut is_escaped = false;
    for (index, character) in rest.char_indices().skip(1) {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            _ if character == quote => return Some(index + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(text: &str) -> Vec<Vec<&str>> {
        let texts = |tag: &Tag| tag.tokens.iter().map(|t| &text[t.range.clone()]).collect();
        scan(text).unwrap().iter().map(texts).collect()
    }

    #[test]
    fn finds_tags_and_tokens() {
        assert_eq!(
            words("a {{- x.y|f('}}') -}} {# {{ no }} #}{% set d = {'k': {}} %}"),
            [
                vec!["x", ".", "y", "|", "f", "(", "'}}'", ")"],
                vec!["set", "d", "=", "{", "'k'", ":", "{", "}", "}"],
            ]
        );
        assert_eq!(
            words("{% raw -%}{{ no }}{%- endraw %}{{ a == 'it\\'s' }}"),
            [vec!["a", "==", "'it\\'s'"]]
        );
    }

    #[test]
    fn gives_up_on_what_does_not_end() {
        for text in [
            "{{ a",
            "{# a",
            "{% set a = 'b %}",
            "{% raw %}{{ a }}",
            "{{ (}}",
        ] {
            assert_eq!(scan(text), None, "{text}");
        }
    }

    const PARTS: &[&str] = &[
        "{",
        "}",
        "{{",
        "}}",
        "{%",
        "%}",
        "{#",
        "#}",
        "-",
        "+",
        "'",
        "\"",
        "\\",
        "é",
        "\n",
        " ",
        ".",
        "|",
        "=",
        "(",
        ")",
        "a",
        "__a",
        "5",
        "set x",
        "block x",
        "endblock",
        "for x in y",
        "endfor",
        "include 'a'",
        "super()",
        "raw",
        "endraw",
        "{% block a %}",
        "{% endblock %}",
        "{% block b scoped %}",
        "{% set x = 1 %}",
        "{% for x in y %}",
        "{% endfor %}",
        "{{é}}",
        "{% include 'a' %}",
        "{{}}",
        "{%%}",
        "{%-%}",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]
        #[test]
        fn never_panics(parts in prop::collection::vec(prop::sample::select(PARTS), 0..12)) {
            let _ = super::super::prepare("test", &parts.concat());
        }
    }
}
