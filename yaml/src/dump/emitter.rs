//! Layout: indentation, quotes and folding, as libyaml 0.2.5 does them.
//!
//! libyaml counts a column per character and decides by the column *before* it writes a space
//! whether to break the line there, which makes lines longer than the width.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::DumpOptions;
use super::analysis::{Analysis, analyze, is_break, is_printable};
use crate::resolver::{Tag, resolve};

/// How a scalar is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Style {
    Plain,
    SingleQuoted,
    DoubleQuoted,
    Literal,
}

/// A scalar to be written.
pub(super) struct Scalar<'v> {
    pub(super) text: Cow<'v, str>,
    pub(super) analysis: Analysis,
    /// The tag to write in front of it.
    pub(super) tag: Option<&'static str>,
    style: Style,
    /// Whether it is read back as what it is when it is written plain.
    plain_implicit: bool,
    /// Whether it is when it is quoted, which only strings are.
    quoted_implicit: bool,
}

impl<'v> Scalar<'v> {
    pub(super) fn new(text: Cow<'v, str>, tag: &Tag<'_>, style: Style, unicode: bool) -> Self {
        let plain_implicit = resolve(&text) == *tag;
        let quoted_implicit = *tag == Tag::String;
        let written = match tag {
            _ if plain_implicit || quoted_implicit => None,
            Tag::Binary => Some("!!binary"),
            Tag::Timestamp => Some("!!timestamp"),
            // What the representer writes for the others always resolves to them.
            _ => None,
        };
        Self {
            analysis: analyze(&text, unicode),
            text,
            tag: written,
            style,
            plain_implicit,
            quoted_implicit,
        }
    }
}

impl Scalar<'_> {
    /// Whether it can be a key without `? `: on one line, and not too long.
    pub(super) fn is_simple_key(&self) -> bool {
        const LONGEST: usize = 128;
        let length = self.text.len() + self.tag.map_or(0, str::len);
        !self.analysis.multiline && length <= LONGEST
    }
}

/// Writes text and keeps count of the column.
pub(super) struct Emitter {
    output: String,
    /// Spaces per level.
    step: usize,
    width: usize,
    unicode: bool,
    column: usize,
    /// Indentation of the collection that is being written; none outside of any.
    indent: Option<usize>,
    indents: Vec<Option<usize>>,
    flow_level: usize,
    /// Whether the last character was white space.
    whitespace: bool,
    /// Whether only indentation and indicators are on the line so far.
    pub(super) indention: bool,
}

impl Emitter {
    pub(super) fn new(options: &DumpOptions) -> Self {
        let step = match options.indent {
            step @ 2..=9 => step,
            _ => 2,
        };
        let width = if options.width > step * 2 {
            options.width
        } else {
            80
        };
        Self {
            output: String::new(),
            step,
            width,
            unicode: options.allow_unicode,
            column: 0,
            indent: None,
            indents: Vec::new(),
            flow_level: 0,
            whitespace: true,
            indention: true,
        }
    }

    /// Ends the document.
    pub(super) fn finish(mut self) -> String {
        self.write_indent();
        self.output
    }

    pub(super) fn in_flow(&self) -> bool {
        self.flow_level > 0
    }

    fn put(&mut self, character: char) {
        self.output.push(character);
        self.column += 1;
    }

    /// Writes a line break; the Unicode ones as they are.
    fn put_break(&mut self, character: char) {
        self.output.push(character);
        self.column = 0;
    }

    pub(super) fn write_indicator(
        &mut self,
        indicator: &str,
        need_whitespace: bool,
        is_whitespace: bool,
        is_indention: bool,
    ) {
        if need_whitespace && !self.whitespace {
            self.put(' ');
        }
        self.output.push_str(indicator);
        self.column += indicator.len();
        self.whitespace = is_whitespace;
        self.indention = self.indention && is_indention;
    }

    /// Goes to the indentation, on a new line if need be.
    pub(super) fn write_indent(&mut self) {
        let indent = self.indent.unwrap_or(0);
        if !self.indention || self.column > indent || (self.column == indent && !self.whitespace) {
            self.put_break('\n');
        }
        while self.column < indent {
            self.put(' ');
        }
        self.whitespace = true;
        self.indention = true;
    }

    fn increase_indent(&mut self, flow: bool, indentless: bool) {
        self.indents.push(self.indent);
        self.indent = match self.indent {
            None if flow => Some(self.step),
            None => Some(0),
            Some(indent) if indentless => Some(indent),
            Some(indent) => Some(indent + self.step),
        };
    }

    fn decrease_indent(&mut self) {
        self.indent = self.indents.pop().flatten();
    }

    pub(super) fn begin_block(&mut self, indentless: bool) {
        self.increase_indent(false, indentless);
    }

    pub(super) fn end_block(&mut self) {
        self.decrease_indent();
    }

    pub(super) fn begin_flow(&mut self, bracket: &str) {
        self.write_indicator(bracket, true, true, false);
        self.increase_indent(true, false);
        self.flow_level += 1;
    }

    pub(super) fn begin_flow_item(&mut self, first: bool) {
        if !first {
            self.write_indicator(",", false, false, false);
        }
        self.break_flow_when_wide();
    }

    pub(super) fn break_flow_when_wide(&mut self) {
        if self.column > self.width {
            self.write_indent();
        }
    }

    pub(super) fn end_flow(&mut self, bracket: &str) {
        self.flow_level -= 1;
        self.decrease_indent();
        self.write_indicator(bracket, false, false, false);
    }

    pub(super) fn write_tag(&mut self, tag: &str) {
        self.write_indicator(tag, true, false, false);
    }

    /// Writes a scalar in the nearest style to the wanted one that keeps its text.
    pub(super) fn write_scalar(&mut self, scalar: &Scalar<'_>, simple_key: bool) {
        let style = self.select_style(scalar, simple_key);
        let tag = match scalar.tag {
            None if !scalar.quoted_implicit && style != Style::Plain => Some("!"),
            tag => tag,
        };
        if let Some(tag) = tag {
            self.write_tag(tag);
        }
        self.increase_indent(true, false);
        let text = &*scalar.text;
        match style {
            Style::Plain => self.write_plain(text, !simple_key),
            Style::SingleQuoted => self.write_single_quoted(text, !simple_key),
            Style::DoubleQuoted => self.write_double_quoted(text, !simple_key),
            Style::Literal => self.write_literal(text),
        }
        self.decrease_indent();
    }

    fn select_style(&self, scalar: &Scalar<'_>, simple_key: bool) -> Style {
        let analysis = &scalar.analysis;
        let mut style = scalar.style;
        if simple_key && analysis.multiline {
            style = Style::DoubleQuoted;
        }
        if style == Style::Plain {
            let allowed = if self.in_flow() {
                analysis.flow_plain_allowed
            } else {
                analysis.block_plain_allowed
            };
            let empty = scalar.text.is_empty() && (self.in_flow() || simple_key);
            if !allowed || empty || (scalar.tag.is_none() && !scalar.plain_implicit) {
                style = Style::SingleQuoted;
            }
        }
        if style == Style::SingleQuoted && !analysis.single_quoted_allowed {
            style = Style::DoubleQuoted;
        }
        if style == Style::Literal && (!analysis.block_allowed || self.in_flow() || simple_key) {
            style = Style::DoubleQuoted;
        }
        style
    }

    /// Whether to break the line instead of writing a space, when that is possible here.
    fn is_wide(&self, allow_breaks: bool, after_space: bool) -> bool {
        allow_breaks && !after_space && self.column > self.width
    }

    fn write_plain(&mut self, text: &str, allow_breaks: bool) {
        if !self.whitespace && (!text.is_empty() || self.in_flow()) {
            self.put(' ');
        }
        let mut after_space = false;
        let mut rest = text.chars();
        while let Some(character) = rest.next() {
            let next_is_space = rest.clone().next() == Some(' ');
            if character == ' ' && self.is_wide(allow_breaks, after_space) && !next_is_space {
                self.write_indent();
            } else {
                self.put(character);
                self.indention = self.indention && character == ' ';
            }
            after_space = character == ' ';
        }
        self.whitespace = false;
        self.indention = false;
    }

    fn write_single_quoted(&mut self, text: &str, allow_breaks: bool) {
        self.write_indicator("'", true, false, false);
        let mut after_space = false;
        let mut after_break = false;
        let mut first = true;
        let mut rest = text.chars();
        while let Some(character) = rest.next() {
            let next = rest.clone().next();
            if character == ' ' {
                let inside = !first && next.is_some_and(|next| next != ' ');
                if self.is_wide(allow_breaks, after_space) && inside {
                    self.write_indent();
                } else {
                    self.put(' ');
                }
                after_space = true;
            } else if is_break(character) {
                // One line break would be read as a space.
                if !after_break && character == '\n' {
                    self.put_break('\n');
                }
                self.put_break(character);
                self.indention = true;
                after_break = true;
            } else {
                if after_break {
                    self.write_indent();
                }
                if character == '\'' {
                    self.put('\'');
                }
                self.put(character);
                self.indention = false;
                after_space = false;
                after_break = false;
            }
            first = false;
        }
        if after_break {
            self.write_indent();
        }
        self.write_indicator("'", false, false, false);
        self.whitespace = false;
        self.indention = false;
    }

    fn write_double_quoted(&mut self, text: &str, allow_breaks: bool) {
        self.write_indicator("\"", true, false, false);
        let mut after_space = false;
        let mut first = true;
        let mut rest = text.chars();
        while let Some(character) = rest.next() {
            let next = rest.clone().next();
            let plain = is_printable(character)
                && (self.unicode || character.is_ascii())
                && !is_break(character)
                && !matches!(character, '"' | '\\');
            if !plain {
                self.write_escape(character);
            } else if character == ' '
                && self.is_wide(allow_breaks, after_space)
                && !first
                && next.is_some()
            {
                self.write_indent();
                if next == Some(' ') {
                    self.put('\\');
                }
            } else {
                self.put(character);
            }
            after_space = plain && character == ' ';
            first = false;
        }
        self.write_indicator("\"", false, false, false);
        self.whitespace = false;
        self.indention = false;
    }

    fn write_escape(&mut self, character: char) {
        let short = match character {
            '\0' => '0',
            '\x07' => 'a',
            '\x08' => 'b',
            '\t' => 't',
            '\n' => 'n',
            '\x0B' => 'v',
            '\x0C' => 'f',
            '\r' => 'r',
            '\x1B' => 'e',
            '"' => '"',
            '\\' => '\\',
            '\u{85}' => 'N',
            '\u{A0}' => '_',
            '\u{2028}' => 'L',
            '\u{2029}' => 'P',
            _ => {
                let before = self.output.len();
                let code = u32::from(character);
                // Writing to a string cannot fail.
                let _ = match code {
                    0..=0xFF => write!(self.output, "\\x{code:02X}"),
                    0x100..=0xFFFF => write!(self.output, "\\u{code:04X}"),
                    _ => write!(self.output, "\\U{code:08X}"),
                };
                self.column += self.output.len() - before;
                return;
            }
        };
        self.put('\\');
        self.put(short);
    }

    /// Only for base64, which needs neither an indentation hint nor one for its end: it begins
    /// with no space and ends with one line break.
    fn write_literal(&mut self, text: &str) {
        self.write_indicator("|", true, false, false);
        self.put_break('\n');
        self.indention = true;
        self.whitespace = true;
        let mut after_break = true;
        for character in text.chars() {
            if is_break(character) {
                self.put_break(character);
                self.indention = true;
                after_break = true;
            } else {
                if after_break {
                    self.write_indent();
                }
                self.put(character);
                self.indention = false;
                after_break = false;
            }
        }
    }
}
