//! From tokens to events: the grammar.
//!
//! A state machine over the productions of YAML 1.1 with libyaml's deviations. It holds no tree
//! and does not recurse, so nesting costs it one entry of a stack per level.

mod block;
mod flow;

use std::borrow::Cow;
use std::collections::HashMap;

use crate::error::{Error, ErrorKind};
use crate::scanner::{Scanner, Token, TokenKind};
use crate::{Mark, Span};

/// What the text says next.
#[derive(Debug)]
pub(crate) enum Event<'a> {
    StreamEnd,
    DocumentStart(Mark),
    DocumentEnd,
    Alias(&'a str, Span),
    Scalar(Properties<'a>, Scalar<'a>),
    SequenceStart(Properties<'a>),
    SequenceEnd(Mark),
    MappingStart(Properties<'a>),
    MappingEnd(Mark),
}

/// Anchor, tag and place of a node.
#[derive(Debug)]
pub(crate) struct Properties<'a> {
    pub(crate) anchor: Option<&'a str>,
    /// The full tag; `None` also for the non-specific `!`.
    pub(crate) tag: Option<Cow<'a, str>>,
    /// From its properties to the end of what opens it.
    pub(crate) span: Span,
}

/// The text of a scalar.
#[derive(Debug)]
pub(crate) struct Scalar<'a> {
    pub(crate) text: Cow<'a, str>,
    /// Whether its type follows from its text when it has no tag.
    pub(crate) resolve: bool,
}

/// What the parser expects next.
#[derive(Clone, Copy, Debug)]
enum State {
    /// The first document needs no `---`.
    FirstDocument,
    Document,
    DocumentContent,
    DocumentEnd,
    BlockNode,
    BlockEntry,
    IndentlessEntry,
    BlockKey,
    BlockValue,
    FlowSequenceFirst,
    FlowSequenceNext,
    FlowPairKey,
    FlowPairValue,
    FlowPairEnd,
    FlowMappingFirst,
    FlowMappingNext,
    FlowMappingValue,
    FlowMappingNoValue,
    StreamEnd,
}

/// Which productions a node may use.
#[derive(Clone, Copy, PartialEq)]
enum Context {
    Flow,
    Block,
    /// In a block mapping a sequence may stand at the indentation of its key.
    BlockInMapping,
}

/// Turns tokens into events.
pub(crate) struct Parser<'a> {
    scanner: Scanner<'a>,
    state: State,
    /// Where to go on behind the node that is being read.
    states: Vec<State>,
    /// Where the collections that are being read began, for messages.
    begins: Vec<Mark>,
    /// Handles of the document's `%TAG` directives.
    handles: HashMap<&'a str, Cow<'a, str>>,
}

fn parse_error(message: &str, mark: Mark) -> Error {
    Error::new(ErrorKind::Parser, message, mark)
}

impl<'a> Parser<'a> {
    /// A parser of checked text, from `start` on.
    pub(crate) fn new(text: &'a str, start: Mark) -> Self {
        Self {
            scanner: Scanner::new(text, start),
            state: State::FirstDocument,
            states: Vec::new(),
            begins: Vec::new(),
            handles: HashMap::new(),
        }
    }

    /// The next event; after the last one `StreamEnd` for ever.
    pub(crate) fn next(&mut self) -> Result<Event<'a>, Error> {
        match self.state {
            State::FirstDocument => self.document_start(true),
            State::Document => self.document_start(false),
            State::DocumentContent => self.document_content(),
            State::DocumentEnd => self.document_end(),
            State::BlockNode => self.node(Context::Block),
            State::BlockEntry => self.block_entry(),
            State::IndentlessEntry => self.indentless_entry(),
            State::BlockKey => self.block_key(),
            State::BlockValue => self.block_value(),
            State::FlowSequenceFirst => self.flow_sequence_entry(true),
            State::FlowSequenceNext => self.flow_sequence_entry(false),
            State::FlowPairKey => self.flow_pair_key(),
            State::FlowPairValue => self.flow_pair_value(),
            State::FlowPairEnd => self.flow_pair_end(),
            State::FlowMappingFirst => self.flow_mapping_key(true),
            State::FlowMappingNext => self.flow_mapping_key(false),
            State::FlowMappingValue => self.flow_mapping_value(),
            State::FlowMappingNoValue => self.flow_mapping_no_value(),
            State::StreamEnd => Ok(Event::StreamEnd),
        }
    }

    /// Looks at the next token.
    fn peek(&mut self) -> Result<&mut Token<'a>, Error> {
        self.scanner.peek()
    }

    /// Takes the next token.
    fn take(&mut self) -> Result<Token<'a>, Error> {
        self.scanner.take()
    }

    /// Goes on where the surrounding collection or document wants to.
    fn resume(&mut self) {
        self.state = self.states.pop().unwrap_or(State::StreamEnd);
    }

    /// Reads a node, and goes on with `after` behind it.
    fn node_then(&mut self, context: Context, after: State) -> Result<Event<'a>, Error> {
        self.states.push(after);
        self.node(context)
    }

    /// A node of which nothing is written.
    fn empty_then(&mut self, mark: Mark, after: State) -> Event<'a> {
        self.state = after;
        Self::empty(None, None, mark, mark, true)
    }

    fn empty(
        anchor: Option<&'a str>,
        tag: Option<Cow<'a, str>>,
        start: Mark,
        end: Mark,
        resolve: bool,
    ) -> Event<'a> {
        let span = Span { start, end };
        let text = Cow::Borrowed("");
        Event::Scalar(Properties { anchor, tag, span }, Scalar { text, resolve })
    }

    fn document_start(&mut self, first: bool) -> Result<Event<'a>, Error> {
        if !first {
            while matches!(self.peek()?.kind, TokenKind::DocumentEnd) {
                self.take()?;
            }
        }
        let token = self.peek()?;
        let start = token.span.start;
        match token.kind {
            TokenKind::StreamEnd => {
                self.state = State::StreamEnd;
                return Ok(Event::StreamEnd);
            }
            TokenKind::VersionDirective { .. }
            | TokenKind::TagDirective { .. }
            | TokenKind::DocumentStart => {}
            _ if first => {
                self.states.push(State::DocumentEnd);
                self.state = State::BlockNode;
                return Ok(Event::DocumentStart(start));
            }
            _ => {}
        }
        self.directives()?;
        let token = self.take()?;
        if !matches!(token.kind, TokenKind::DocumentStart) {
            let message = "did not find expected <document start>";
            return Err(parse_error(message, token.span.start));
        }
        self.states.push(State::DocumentEnd);
        self.state = State::DocumentContent;
        Ok(Event::DocumentStart(start))
    }

    fn directives(&mut self) -> Result<(), Error> {
        let mut version_seen = false;
        while let TokenKind::VersionDirective { .. } | TokenKind::TagDirective { .. } =
            self.peek()?.kind
        {
            let Token { kind, span } = self.take()?;
            let problem = match kind {
                TokenKind::VersionDirective { .. } if version_seen => {
                    Some("found duplicate %YAML directive")
                }
                TokenKind::VersionDirective { major, minor } => {
                    version_seen = true;
                    let known = major == 1 && (minor == 1 || minor == 2);
                    (!known).then_some("found incompatible YAML document")
                }
                TokenKind::TagDirective { handle, prefix } => {
                    let before = self.handles.insert(handle, prefix);
                    before.map(|_| "found duplicate %TAG directive")
                }
                _ => None,
            };
            if let Some(problem) = problem {
                return Err(parse_error(problem, span.start));
            }
        }
        Ok(())
    }

    fn document_content(&mut self) -> Result<Event<'a>, Error> {
        let token = self.peek()?;
        let mark = token.span.start;
        match token.kind {
            TokenKind::VersionDirective { .. }
            | TokenKind::TagDirective { .. }
            | TokenKind::DocumentStart
            | TokenKind::DocumentEnd
            | TokenKind::StreamEnd => {
                self.resume();
                Ok(Self::empty(None, None, mark, mark, true))
            }
            _ => self.node(Context::Block),
        }
    }

    fn document_end(&mut self) -> Result<Event<'a>, Error> {
        if matches!(self.peek()?.kind, TokenKind::DocumentEnd) {
            self.take()?;
        }
        self.handles.clear();
        self.state = State::Document;
        Ok(Event::DocumentEnd)
    }

    fn node(&mut self, context: Context) -> Result<Event<'a>, Error> {
        let start = self.peek()?.span.start;
        if let TokenKind::Alias(name) = self.peek()?.kind {
            let span = self.take()?.span;
            self.resume();
            return Ok(Event::Alias(name, span));
        }
        let mut anchor = None;
        let mut tag = None;
        let mut end = start;
        loop {
            match &mut self.peek()?.kind {
                TokenKind::Anchor(name) if anchor.is_none() => anchor = Some(*name),
                TokenKind::Tag { handle, suffix } if tag.is_none() => {
                    tag = Some((*handle, std::mem::take(suffix)));
                }
                _ => break,
            }
            end = self.take()?.span.end;
        }
        let tag = match tag {
            Some((handle, suffix)) => Some(self.resolve_tag(handle, suffix, start)?),
            None => None,
        };
        self.content(context, anchor, tag, start, end)
    }

    /// Reads what stands behind anchor and tag.
    fn content(
        &mut self,
        context: Context,
        anchor: Option<&'a str>,
        tag: Option<Cow<'a, str>>,
        start: Mark,
        end: Mark,
    ) -> Result<Event<'a>, Error> {
        let block = context != Context::Flow;
        let token = self.peek()?;
        let span = Span {
            start,
            end: token.span.end,
        };
        let properties = |tag| Properties { anchor, tag, span };
        match &mut token.kind {
            TokenKind::BlockEntry if context == Context::BlockInMapping => {
                self.state = State::IndentlessEntry;
                Ok(Event::SequenceStart(properties(specific(tag))))
            }
            TokenKind::Scalar { text, plain } => {
                let resolve = match &tag {
                    None => *plain,
                    Some(tag) => tag == NON_SPECIFIC,
                };
                let text = std::mem::take(text);
                self.take()?;
                self.resume();
                let scalar = Scalar { text, resolve };
                Ok(Event::Scalar(properties(specific(tag)), scalar))
            }
            TokenKind::FlowSequenceStart => {
                self.open(State::FlowSequenceFirst)?;
                Ok(Event::SequenceStart(properties(specific(tag))))
            }
            TokenKind::FlowMappingStart => {
                self.open(State::FlowMappingFirst)?;
                Ok(Event::MappingStart(properties(specific(tag))))
            }
            TokenKind::BlockSequenceStart if block => {
                self.open(State::BlockEntry)?;
                Ok(Event::SequenceStart(properties(specific(tag))))
            }
            TokenKind::BlockMappingStart if block => {
                self.open(State::BlockKey)?;
                Ok(Event::MappingStart(properties(specific(tag))))
            }
            _ if anchor.is_some() || tag.is_some() => {
                // Unlike before a written scalar, here `!` makes a string.
                let resolve = tag.is_none();
                self.resume();
                Ok(Self::empty(anchor, specific(tag), start, end, resolve))
            }
            _ => {
                let mark = token.span.start;
                let context = if block {
                    "while parsing a block node"
                } else {
                    "while parsing a flow node"
                };
                Err(parse_error("did not find expected node content", mark).within(context, start))
            }
        }
    }

    /// Takes the token that opens a collection.
    fn open(&mut self, state: State) -> Result<(), Error> {
        let token = self.take()?;
        self.begins.push(token.span.start);
        self.state = state;
        Ok(())
    }

    /// Takes the token that closes a collection, and returns where the collection ends.
    fn close(&mut self) -> Result<Mark, Error> {
        self.begins.pop();
        self.resume();
        Ok(self.take()?.span.end)
    }

    /// The error of a token that cannot stand in the collection that is being read.
    fn unexpected(&mut self, message: &str, context: &'static str) -> Error {
        let begin = self.begins.last().copied().unwrap_or_default();
        match self.peek() {
            Ok(token) => parse_error(message, token.span.start).within(context, begin),
            Err(error) => error,
        }
    }

    fn resolve_tag(
        &self,
        handle: &'a str,
        suffix: Cow<'a, str>,
        mark: Mark,
    ) -> Result<Cow<'a, str>, Error> {
        if handle.is_empty() {
            return Ok(suffix);
        }
        let prefix = match (self.handles.get(handle), handle) {
            (Some(prefix), _) => prefix,
            (None, "!") => "!",
            (None, "!!") => "tag:yaml.org,2002:",
            (None, _) => {
                return Err(parse_error("found undefined tag handle", mark)
                    .within("while parsing a node", mark));
            }
        };
        Ok(Cow::Owned(format!("{prefix}{suffix}")))
    }
}

/// The non-specific tag.
const NON_SPECIFIC: &str = "!";

/// Drops the non-specific tag.
fn specific(tag: Option<Cow<'_, str>>) -> Option<Cow<'_, str>> {
    tag.filter(|tag| tag != NON_SPECIFIC)
}
