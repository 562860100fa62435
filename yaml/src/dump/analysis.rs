//! Which ways of writing a scalar would be read back as the same text.

/// What a look at all characters of a scalar found.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Analysis {
    /// It holds line breaks.
    pub(super) multiline: bool,
    pub(super) flow_plain_allowed: bool,
    pub(super) block_plain_allowed: bool,
    pub(super) single_quoted_allowed: bool,
    pub(super) block_allowed: bool,
}

pub(super) fn is_break(character: char) -> bool {
    matches!(character, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_blank_or_end(character: Option<char>) -> bool {
    character.is_none_or(|character| matches!(character, ' ' | '\t' | '\0') || is_break(character))
}

/// libyaml's idea of a printable character: none beyond the Basic Multilingual Plane is.
pub(super) fn is_printable(character: char) -> bool {
    matches!(character,
        '\n' | ' '..='~' | '\u{A0}'..='\u{D7FF}' | '\u{E000}'..='\u{FEFE}' | '\u{FF00}'..='\u{FFFD}')
}

/// Looks at a scalar.
pub(super) fn analyze(text: &str, allow_unicode: bool) -> Analysis {
    if text.is_empty() {
        return Analysis {
            multiline: false,
            flow_plain_allowed: false,
            block_plain_allowed: true,
            single_quoted_allowed: true,
            block_allowed: false,
        };
    }
    let mut found = Findings::default();
    if text.starts_with("---") || text.starts_with("...") {
        found.block_indicator = true;
        found.flow_indicator = true;
    }
    let mut previous = None;
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        let next = rest.clone().next();
        found.indicators(character, previous, next);
        found.spaces(character, previous, next);
        if !is_printable(character) || (!allow_unicode && !character.is_ascii()) {
            found.special = true;
        }
        previous = Some(character);
    }
    found.conclude()
}

#[derive(Default)]
struct Findings {
    block_indicator: bool,
    flow_indicator: bool,
    line_break: bool,
    special: bool,
    leading_space: bool,
    leading_break: bool,
    trailing_space: bool,
    trailing_break: bool,
    /// A space at the beginning of a line.
    break_space: bool,
    /// A space at the end of a line.
    space_break: bool,
}

impl Findings {
    /// Looks for characters that mean something in a plain scalar.
    fn indicators(&mut self, character: char, previous: Option<char>, next: Option<char>) {
        let first = previous.is_none();
        let (flow, block) = match character {
            '#' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' if first => {
                (true, true)
            }
            ',' | '[' | ']' | '{' | '}' => (true, first),
            '-' if first => (is_blank_or_end(next), is_blank_or_end(next)),
            ':' => (true, is_blank_or_end(next)),
            '?' => (true, first && is_blank_or_end(next)),
            '#' => (is_blank_or_end(previous), is_blank_or_end(previous)),
            _ => (false, false),
        };
        self.flow_indicator |= flow;
        self.block_indicator |= block;
    }

    /// Looks for spaces and breaks in places where they would get lost.
    fn spaces(&mut self, character: char, previous: Option<char>, next: Option<char>) {
        if character == ' ' {
            self.leading_space |= previous.is_none();
            self.trailing_space |= next.is_none();
            self.break_space |= previous.is_some_and(is_break);
        } else if is_break(character) {
            self.line_break = true;
            self.leading_break |= previous.is_none();
            self.trailing_break |= next.is_none();
            self.space_break |= previous == Some(' ');
        }
    }

    fn conclude(&self) -> Analysis {
        let outer =
            self.leading_space || self.leading_break || self.trailing_space || self.trailing_break;
        let lossy = self.space_break || self.special;
        let plain_allowed = !(outer || self.break_space || lossy || self.line_break);
        Analysis {
            multiline: self.line_break,
            flow_plain_allowed: plain_allowed && !self.flow_indicator,
            block_plain_allowed: plain_allowed && !self.block_indicator,
            single_quoted_allowed: !(self.break_space || lossy),
            block_allowed: !(self.trailing_space || lossy),
        }
    }
}
