//! From characters to tokens.
//!
//! This is where indentation becomes `BlockSequenceStart`, `BlockMappingStart` and `BlockEnd`, and
//! where a `:` turns the token before it into a key ("simple keys"). The rules are those of
//! YAML 1.1 as libyaml 0.2.5 applies them, with its deviations: they decide which documents exist.
//!
//! The text was checked by [`crate::reader`]: it holds no NUL, so a NUL byte here means "the end".

mod cursor;
mod directive;
mod fold;
mod scalar;
mod tag;
mod token;

use std::collections::VecDeque;

pub(crate) use token::{Token, TokenKind};

use crate::error::{Error, ErrorKind};
use crate::{Mark, Span};
use cursor::{Cursor, is_blank_or_end};

/// libyaml's bound on the length of a key on one line, in characters.
const LONGEST_SIMPLE_KEY: u32 = 1024;

/// Reads tokens one by one, looking ahead no further than one simple key.
pub(crate) struct Scanner<'a> {
    cursor: Cursor<'a>,
    queue: VecDeque<Token<'a>>,
    /// How many tokens left the queue; numbers the tokens together with their place in it.
    taken: usize,
    /// Column of the innermost block collection, -1 outside of any.
    indent: i64,
    indents: Vec<i64>,
    /// For each flow level, beginning with 0 for block context: what may turn out to be a key.
    keys: Vec<Option<SimpleKey>>,
    /// Below this index no entry of `keys` can hold back a token any more.
    first_live_key: usize,
    /// Whether the next token may begin a key.
    key_allowed: bool,
}

/// A token that becomes a key when a `:` follows it soon.
#[derive(Clone, Copy)]
struct SimpleKey {
    /// In block context at the current indentation nothing but a key can stand.
    required: bool,
    token: usize,
    mark: Mark,
}

impl SimpleKey {
    /// A key must end on its line and within bounds.
    fn is_stale(&self, now: Mark) -> bool {
        self.mark.line < now.line || now.column - self.mark.column > LONGEST_SIMPLE_KEY
    }

    fn missing_colon(&self, now: Mark) -> Error {
        scan_error("could not find expected ':'", now)
            .within("while scanning a simple key", self.mark)
    }
}

fn scan_error(message: impl Into<String>, mark: Mark) -> Error {
    Error::new(ErrorKind::Scanner, message, mark)
}

impl<'a> Scanner<'a> {
    /// A scanner of checked text, from `start` on.
    pub(crate) fn new(text: &'a str, start: Mark) -> Self {
        Self {
            cursor: Cursor::new(text, start),
            queue: VecDeque::new(),
            taken: 0,
            indent: -1,
            indents: Vec::new(),
            keys: vec![None],
            first_live_key: 0,
            key_allowed: true,
        }
    }

    /// Looks at the next token; after the last one that is `StreamEnd` for ever.
    pub(crate) fn peek(&mut self) -> Result<&mut Token<'a>, Error> {
        while self.queue.is_empty() || self.first_token_may_be_key() {
            self.fetch()?;
        }
        Ok(&mut self.queue[0])
    }

    /// Takes the next token.
    pub(crate) fn take(&mut self) -> Result<Token<'a>, Error> {
        loop {
            if !self.first_token_may_be_key()
                && let Some(token) = self.queue.pop_front()
            {
                self.taken += 1;
                return Ok(token);
            }
            self.fetch()?;
        }
    }

    /// Whether the first token of the queue cannot go yet, as a `Key` may still come before it.
    fn first_token_may_be_key(&mut self) -> bool {
        while let Some(slot) = self.keys.get(self.first_live_key) {
            match slot {
                Some(key) if !key.is_stale(self.cursor.mark()) => return key.token == self.taken,
                _ => self.first_live_key += 1,
            }
        }
        false
    }

    fn in_flow(&self) -> bool {
        self.keys.len() > 1
    }

    /// Scans one token, or more when indentation ends collections.
    fn fetch(&mut self) -> Result<(), Error> {
        self.skip_to_token();
        let mark = self.cursor.mark();
        // Only the block level can require a key.
        if let Some(Some(key)) = self.keys.first()
            && key.required
            && key.is_stale(mark)
        {
            return Err(key.missing_colon(mark));
        }
        self.unroll_indent(i64::from(mark.column));

        let byte = self.cursor.peek();
        if byte == 0 {
            return self.fetch_stream_end();
        }
        if mark.column == 0 {
            if byte == b'%' {
                return self.fetch_directive();
            }
            if self.cursor.at_document_indicator() {
                let start = byte == b'-';
                return self.fetch_document_indicator(start);
            }
        }
        let separated = self.in_flow() || is_blank_or_end(self.cursor.rest(1));
        match byte {
            b'[' => self.fetch_flow_start(TokenKind::FlowSequenceStart),
            b'{' => self.fetch_flow_start(TokenKind::FlowMappingStart),
            b']' => self.fetch_flow_end(TokenKind::FlowSequenceEnd),
            b'}' => self.fetch_flow_end(TokenKind::FlowMappingEnd),
            b',' => self.fetch_flow_entry(),
            b'-' if is_blank_or_end(self.cursor.rest(1)) => self.fetch_block_entry(),
            b'?' if separated => self.fetch_key(),
            b':' if separated => self.fetch_value(),
            b'*' => self.fetch_anchor(true),
            b'&' => self.fetch_anchor(false),
            b'!' => self.fetch_tag(),
            b'|' if !self.in_flow() => self.fetch_block_scalar(true),
            b'>' if !self.in_flow() => self.fetch_block_scalar(false),
            b'\'' => self.fetch_quoted_scalar(true),
            b'"' => self.fetch_quoted_scalar(false),
            b'\t' | b'|' | b'>' | b'%' | b'@' | b'`' => Err(Self::no_token(byte, mark)),
            _ => self.fetch_plain_scalar(),
        }
    }

    fn no_token(byte: u8, mark: Mark) -> Error {
        let hint = match byte {
            b'\t' => ": a tab; indent with spaces",
            b'@' | b'`' | b'%' | b'|' | b'>' => ": quote text that begins with it",
            _ => "",
        };
        let character = char::from(byte).escape_default();
        let message = format!("found character '{character}' that cannot start any token{hint}");
        scan_error(message, mark).within("while scanning for the next token", mark)
    }

    /// Skips spaces, comments and line breaks. Tabs count as spaces only where no key may begin.
    fn skip_to_token(&mut self) {
        loop {
            self.cursor.skip_byte_order_mark();
            let tabs = self.in_flow() || !self.key_allowed;
            while self.cursor.peek() == b' ' || (tabs && self.cursor.peek() == b'\t') {
                self.cursor.skip_ascii(1);
            }
            if self.cursor.peek() == b'#' {
                self.cursor.skip_line_content();
            }
            if self.cursor.skip_break().is_none() {
                return;
            }
            if !self.in_flow() {
                self.key_allowed = true;
            }
        }
    }

    fn push(&mut self, kind: TokenKind<'a>, start: Mark) {
        let end = self.cursor.mark();
        let span = Span { start, end };
        self.queue.push_back(Token { kind, span });
    }

    /// Pushes a token of `length` ASCII characters and steps over it.
    fn push_indicator(&mut self, kind: TokenKind<'a>, length: u32) {
        let start = self.cursor.mark();
        self.cursor.skip_ascii(length);
        self.push(kind, start);
    }

    /// Inserts a token without extent before the token of this number.
    fn insert(&mut self, number: usize, kind: TokenKind<'a>, mark: Mark) {
        let span = Span {
            start: mark,
            end: mark,
        };
        let index = number.saturating_sub(self.taken).min(self.queue.len());
        self.queue.insert(index, Token { kind, span });
    }

    /// The next token may be a key: remembers where it begins.
    fn save_key(&mut self) -> Result<(), Error> {
        if self.key_allowed {
            let mark = self.cursor.mark();
            self.drop_key()?;
            let required = !self.in_flow() && self.indent == i64::from(mark.column);
            let top = self.keys.len() - 1;
            self.keys[top] = Some(SimpleKey {
                required,
                token: self.taken + self.queue.len(),
                mark,
            });
            self.first_live_key = self.first_live_key.min(top);
        }
        Ok(())
    }

    /// What was a possible key on this level is none.
    fn drop_key(&mut self) -> Result<(), Error> {
        match self.keys.last_mut().and_then(Option::take) {
            Some(key) if key.required => Err(key.missing_colon(self.cursor.mark())),
            _ => Ok(()),
        }
    }

    /// Begins a block collection at `column` unless one is there. Without the number of the
    /// token it begins before, it begins here.
    fn roll_indent(&mut self, mark: Mark, number: Option<usize>, kind: TokenKind<'a>) {
        let column = i64::from(mark.column);
        if !self.in_flow() && self.indent < column {
            self.indents.push(self.indent);
            self.indent = column;
            self.insert(number.unwrap_or(usize::MAX), kind, mark);
        }
    }

    /// Ends the block collections that are indented deeper than `column`.
    fn unroll_indent(&mut self, column: i64) {
        while !self.in_flow() && self.indent > column {
            self.push(TokenKind::BlockEnd, self.cursor.mark());
            self.indent = self.indents.pop().unwrap_or(-1);
        }
    }

    fn fetch_stream_end(&mut self) -> Result<(), Error> {
        // An unclosed flow collection keeps the block collections around it open; the parser
        // reports it.
        self.unroll_indent(-1);
        self.drop_key()?;
        self.first_live_key = self.keys.len();
        self.key_allowed = false;
        self.push(TokenKind::StreamEnd, self.cursor.mark());
        Ok(())
    }

    fn fetch_directive(&mut self) -> Result<(), Error> {
        self.unroll_indent(-1);
        self.drop_key()?;
        self.key_allowed = false;
        let start = self.cursor.mark();
        let kind = directive::scan(&mut self.cursor)?;
        self.push(kind, start);
        Ok(())
    }

    fn fetch_document_indicator(&mut self, start: bool) -> Result<(), Error> {
        self.unroll_indent(-1);
        self.drop_key()?;
        self.key_allowed = false;
        let kind = if start {
            TokenKind::DocumentStart
        } else {
            TokenKind::DocumentEnd
        };
        self.push_indicator(kind, 3);
        Ok(())
    }

    fn fetch_flow_start(&mut self, kind: TokenKind<'a>) -> Result<(), Error> {
        self.save_key()?;
        self.keys.push(None);
        self.key_allowed = true;
        self.push_indicator(kind, 1);
        Ok(())
    }

    fn fetch_flow_end(&mut self, kind: TokenKind<'a>) -> Result<(), Error> {
        self.drop_key()?;
        if self.in_flow() {
            self.keys.pop();
        }
        self.key_allowed = false;
        self.push_indicator(kind, 1);
        Ok(())
    }

    fn fetch_flow_entry(&mut self) -> Result<(), Error> {
        self.drop_key()?;
        self.key_allowed = true;
        self.push_indicator(TokenKind::FlowEntry, 1);
        Ok(())
    }

    fn fetch_block_entry(&mut self) -> Result<(), Error> {
        if !self.in_flow() {
            let mark = self.cursor.mark();
            if !self.key_allowed {
                let message = "block sequence entries are not allowed in this context";
                return Err(scan_error(message, mark));
            }
            self.roll_indent(mark, None, TokenKind::BlockSequenceStart);
        }
        self.drop_key()?;
        self.key_allowed = true;
        self.push_indicator(TokenKind::BlockEntry, 1);
        Ok(())
    }

    fn fetch_key(&mut self) -> Result<(), Error> {
        if !self.in_flow() {
            let mark = self.cursor.mark();
            if !self.key_allowed {
                let message = "mapping keys are not allowed in this context";
                return Err(scan_error(message, mark));
            }
            self.roll_indent(mark, None, TokenKind::BlockMappingStart);
        }
        self.drop_key()?;
        self.key_allowed = !self.in_flow();
        self.push_indicator(TokenKind::Key, 1);
        Ok(())
    }

    fn fetch_value(&mut self) -> Result<(), Error> {
        let mark = self.cursor.mark();
        let key = self.keys.last_mut().and_then(Option::take);
        if let Some(key) = key.filter(|key| !key.is_stale(mark)) {
            self.insert(key.token, TokenKind::Key, key.mark);
            self.roll_indent(key.mark, Some(key.token), TokenKind::BlockMappingStart);
            self.key_allowed = false;
        } else if self.in_flow() {
            self.key_allowed = false;
        } else {
            if !self.key_allowed {
                let message = "mapping values are not allowed in this context \
                    (quote text that contains ': ')";
                return Err(scan_error(message, mark));
            }
            self.roll_indent(mark, None, TokenKind::BlockMappingStart);
            self.key_allowed = true;
        }
        self.push_indicator(TokenKind::Value, 1);
        Ok(())
    }

    fn fetch_anchor(&mut self, alias: bool) -> Result<(), Error> {
        self.save_key()?;
        self.key_allowed = false;
        let start = self.cursor.mark();
        let name = tag::scan_anchor(&mut self.cursor, alias)?;
        let kind = if alias {
            TokenKind::Alias(name)
        } else {
            TokenKind::Anchor(name)
        };
        self.push(kind, start);
        Ok(())
    }

    fn fetch_tag(&mut self) -> Result<(), Error> {
        self.save_key()?;
        self.key_allowed = false;
        let start = self.cursor.mark();
        let (handle, suffix) = tag::scan_tag(&mut self.cursor, self.keys.len() > 1)?;
        self.push(TokenKind::Tag { handle, suffix }, start);
        Ok(())
    }

    fn fetch_block_scalar(&mut self, literal: bool) -> Result<(), Error> {
        self.drop_key()?;
        self.key_allowed = true;
        let (text, span) = scalar::scan_block(&mut self.cursor, self.indent, literal)?;
        let kind = TokenKind::Scalar { text, plain: false };
        self.queue.push_back(Token { kind, span });
        Ok(())
    }

    fn fetch_quoted_scalar(&mut self, single: bool) -> Result<(), Error> {
        self.save_key()?;
        self.key_allowed = false;
        let start = self.cursor.mark();
        let text = scalar::scan_quoted(&mut self.cursor, single)?;
        self.push(TokenKind::Scalar { text, plain: false }, start);
        Ok(())
    }

    fn fetch_plain_scalar(&mut self) -> Result<(), Error> {
        self.save_key()?;
        let in_flow = self.in_flow();
        let plain = scalar::scan_plain(&mut self.cursor, self.indent, in_flow)?;
        self.key_allowed = plain.ended_after_break;
        let text = plain.text;
        let kind = TokenKind::Scalar { text, plain: true };
        let span = plain.span;
        self.queue.push_back(Token { kind, span });
        Ok(())
    }
}
