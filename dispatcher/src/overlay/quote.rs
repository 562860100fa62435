//! Quoting for the shells of boards.

use yaml::Node;

/// `text` as one word of a shell, quoted only where it must be (Python's `shlex.quote`).
pub(super) fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./_-".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        always(text)
    }
}

/// `text` in single quotes.
pub(super) fn always(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Whether a shell takes `name` as the name of a variable.
pub(super) fn is_variable(name: &str) -> bool {
    let mut chars = name.chars();
    chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Python's `str()` of a value, as LAVA writes parameters that are not strings.
pub(super) fn python_str(node: &Node) -> String {
    job::python::python_str(&node.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_would_split_or_expand() {
        assert_eq!(word("qemu-tcg01"), "qemu-tcg01");
        assert_eq!(word(""), "''");
        assert_eq!(word("two words"), "'two words'");
        assert_eq!(word("it's $HOME"), r"'it'\''s $HOME'");
    }

    #[test]
    fn variables_have_no_characters_that_end_an_assignment() {
        for name in ["A", "_x1", "GREETING"] {
            assert!(is_variable(name), "{name}");
        }
        for name in ["", "1A", "A-B", "A;reboot", "A B", "Ä"] {
            assert!(!is_variable(name), "{name}");
        }
    }
}
