//! Flow collections: `[item, key: value]` and `{key: value}`.

use super::{Context, Event, Parser, Properties, State};
use crate::error::Error;
use crate::scanner::TokenKind;

impl<'a> Parser<'a> {
    pub(super) fn flow_sequence_entry(&mut self, first: bool) -> Result<Event<'a>, Error> {
        if !first && !matches!(self.peek()?.kind, TokenKind::FlowSequenceEnd) {
            if !matches!(self.peek()?.kind, TokenKind::FlowEntry) {
                return Err(self.unexpected(
                    "did not find expected ',' or ']'",
                    "while parsing a flow sequence",
                ));
            }
            self.take()?;
        }
        match self.peek()?.kind {
            TokenKind::FlowSequenceEnd => self.close().map(Event::SequenceEnd),
            TokenKind::Key => {
                let span = self.take()?.span;
                self.state = State::FlowPairKey;
                Ok(Event::MappingStart(Properties {
                    anchor: None,
                    tag: None,
                    span,
                }))
            }
            _ => self.node_then(Context::Flow, State::FlowSequenceNext),
        }
    }

    pub(super) fn flow_pair_key(&mut self) -> Result<Event<'a>, Error> {
        match self.peek()?.kind {
            TokenKind::Value | TokenKind::FlowEntry | TokenKind::FlowSequenceEnd => {
                // libyaml swallows the token, which makes an error of `[? : value]`.
                let mark = self.take()?.span.end;
                Ok(self.empty_then(mark, State::FlowPairValue))
            }
            _ => self.node_then(Context::Flow, State::FlowPairValue),
        }
    }

    pub(super) fn flow_pair_value(&mut self) -> Result<Event<'a>, Error> {
        if matches!(self.peek()?.kind, TokenKind::Value) {
            self.take()?;
            match self.peek()?.kind {
                TokenKind::FlowEntry | TokenKind::FlowSequenceEnd => {}
                _ => return self.node_then(Context::Flow, State::FlowPairEnd),
            }
        }
        let mark = self.peek()?.span.start;
        Ok(self.empty_then(mark, State::FlowPairEnd))
    }

    pub(super) fn flow_pair_end(&mut self) -> Result<Event<'a>, Error> {
        self.state = State::FlowSequenceNext;
        Ok(Event::MappingEnd(self.peek()?.span.start))
    }

    pub(super) fn flow_mapping_key(&mut self, first: bool) -> Result<Event<'a>, Error> {
        if !first && !matches!(self.peek()?.kind, TokenKind::FlowMappingEnd) {
            if !matches!(self.peek()?.kind, TokenKind::FlowEntry) {
                return Err(self.unexpected(
                    "did not find expected ',' or '}'",
                    "while parsing a flow mapping",
                ));
            }
            self.take()?;
        }
        match self.peek()?.kind {
            TokenKind::FlowMappingEnd => self.close().map(Event::MappingEnd),
            TokenKind::Key => {
                self.take()?;
                let token = self.peek()?;
                let mark = token.span.start;
                match token.kind {
                    TokenKind::Value | TokenKind::FlowEntry | TokenKind::FlowMappingEnd => {
                        Ok(self.empty_then(mark, State::FlowMappingValue))
                    }
                    _ => self.node_then(Context::Flow, State::FlowMappingValue),
                }
            }
            _ => self.node_then(Context::Flow, State::FlowMappingNoValue),
        }
    }

    pub(super) fn flow_mapping_value(&mut self) -> Result<Event<'a>, Error> {
        if matches!(self.peek()?.kind, TokenKind::Value) {
            self.take()?;
            match self.peek()?.kind {
                TokenKind::FlowEntry | TokenKind::FlowMappingEnd => {}
                _ => return self.node_then(Context::Flow, State::FlowMappingNext),
            }
        }
        self.flow_mapping_no_value()
    }

    pub(super) fn flow_mapping_no_value(&mut self) -> Result<Event<'a>, Error> {
        let mark = self.peek()?.span.start;
        Ok(self.empty_then(mark, State::FlowMappingNext))
    }
}
