//! Escapes in string literals that Python knows and the engine does not, and the reverse.

use super::{Edit, Tag, TokenKind};

/// Replaces every literal that would mean something else to the engine.
pub(super) fn edits(text: &str, tags: &[Tag]) -> Vec<Edit> {
    tags.iter()
        .flat_map(|tag| &tag.tokens)
        .filter(|token| token.kind == TokenKind::Text)
        .filter_map(|token| {
            let literal = &text[token.range.clone()];
            let rewritten = rewrite(literal)?;
            Some(Edit {
                range: token.range.clone(),
                text: rewritten,
            })
        })
        .collect()
}

/// `None` when nothing needs to change.
fn rewrite(literal: &str) -> Option<String> {
    if !literal.contains('\\') {
        return None;
    }
    let mut out = String::with_capacity(literal.len());
    let mut rest = literal;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let escape = &rest[at..];
        let mut length = 1 + escape[1..].chars().next().map_or(0, char::len_utf8);
        match escape.as_bytes().get(1) {
            // Python has no such escape, so the backslash stays.
            Some(b'/') => out.push_str("\\\\/"),
            Some(b'a') => out.push_str("\\x07"),
            Some(b'v') => out.push_str("\\x0b"),
            // A line that continues; the line break moves out of the literal's value.
            Some(b'\n') => {}
            Some(b'U') => match long_escape(escape) {
                Some(character) => {
                    length = 10;
                    out.push(character);
                }
                None => out.push_str("\\U"),
            },
            _ => out.push_str(&escape[..length]),
        }
        rest = &escape[length..];
    }
    out.push_str(rest);
    (out != literal).then_some(out)
}

/// The character of `\U0001F600`, unless it would end the literal or begin an escape.
fn long_escape(escape: &str) -> Option<char> {
    let code = u32::from_str_radix(escape.get(2..10)?, 16).ok()?;
    char::from_u32(code).filter(|character| !matches!(character, '\\' | '\'' | '"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rewrites_only_what_differs() {
        for (literal, expected) in [
            (r"'a\n\.\d\x41\\/'", None),
            (r"'a\/b'", Some(r"'a\\/b'")),
            (r"'\a\v'", Some(r"'\x07\x0b'")),
            ("'a\\\nb'", Some("'ab'")),
            (r"'\U0001F600'", Some("'😀'")),
            (r"'\\a'", None),
        ] {
            assert_eq!(rewrite(literal).as_deref(), expected, "{literal}");
        }
    }
}
