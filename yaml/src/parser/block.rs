//! Block collections: `- item` and `key: value`, shaped by indentation.

use super::{Context, Event, Parser, State};
use crate::Mark;
use crate::error::Error;
use crate::scanner::TokenKind;

impl<'a> Parser<'a> {
    pub(super) fn block_entry(&mut self) -> Result<Event<'a>, Error> {
        match self.peek()?.kind {
            TokenKind::BlockEntry => {
                let mark = self.take()?.span.end;
                match self.peek()?.kind {
                    TokenKind::BlockEntry | TokenKind::BlockEnd => {
                        Ok(self.empty_then(mark, State::BlockEntry))
                    }
                    _ => self.node_then(Context::Block, State::BlockEntry),
                }
            }
            TokenKind::BlockEnd => self.close().map(Event::SequenceEnd),
            _ => Err(self.unexpected(
                "did not find expected '-' indicator",
                "while parsing a block collection",
            )),
        }
    }

    pub(super) fn indentless_entry(&mut self) -> Result<Event<'a>, Error> {
        let token = self.peek()?;
        if !matches!(token.kind, TokenKind::BlockEntry) {
            let mark = token.span.start;
            self.resume();
            return Ok(Event::SequenceEnd(mark));
        }
        let mark = self.take()?.span.end;
        match self.peek()?.kind {
            TokenKind::BlockEntry | TokenKind::Key | TokenKind::Value | TokenKind::BlockEnd => {
                Ok(self.empty_then(mark, State::IndentlessEntry))
            }
            _ => self.node_then(Context::Block, State::IndentlessEntry),
        }
    }

    pub(super) fn block_key(&mut self) -> Result<Event<'a>, Error> {
        match self.peek()?.kind {
            TokenKind::Key => {
                let mark = self.take()?.span.end;
                self.block_mapping_node(mark, State::BlockValue)
            }
            TokenKind::BlockEnd => self.close().map(Event::MappingEnd),
            _ => Err(self.unexpected("did not find expected key", "while parsing a block mapping")),
        }
    }

    pub(super) fn block_value(&mut self) -> Result<Event<'a>, Error> {
        let token = self.peek()?;
        if !matches!(token.kind, TokenKind::Value) {
            let mark = token.span.start;
            return Ok(self.empty_then(mark, State::BlockKey));
        }
        let mark = self.take()?.span.end;
        self.block_mapping_node(mark, State::BlockKey)
    }

    /// A key or value of a block mapping, behind its indicator.
    fn block_mapping_node(&mut self, mark: Mark, after: State) -> Result<Event<'a>, Error> {
        match self.peek()?.kind {
            TokenKind::Key | TokenKind::Value | TokenKind::BlockEnd => {
                Ok(self.empty_then(mark, after))
            }
            _ => self.node_then(Context::BlockInMapping, after),
        }
    }
}
