//! What the scanner produces.

use std::borrow::Cow;

use crate::Span;

/// A token and where it stands.
#[derive(Debug)]
pub(crate) struct Token<'a> {
    pub(crate) kind: TokenKind<'a>,
    pub(crate) span: Span,
}

/// The tokens of YAML 1.1, without the start of the stream.
#[derive(Debug)]
pub(crate) enum TokenKind<'a> {
    StreamEnd,
    /// `%YAML 1.1`.
    VersionDirective {
        major: u32,
        minor: u32,
    },
    /// `%TAG !handle! prefix`.
    TagDirective {
        handle: &'a str,
        prefix: Cow<'a, str>,
    },
    DocumentStart,
    DocumentEnd,
    BlockSequenceStart,
    BlockMappingStart,
    BlockEnd,
    FlowSequenceStart,
    FlowSequenceEnd,
    FlowMappingStart,
    FlowMappingEnd,
    BlockEntry,
    FlowEntry,
    Key,
    Value,
    Alias(&'a str),
    Anchor(&'a str),
    /// A tag; the handle is empty for `!<verbatim>` and for the lone `!`.
    Tag {
        handle: &'a str,
        suffix: Cow<'a, str>,
    },
    Scalar {
        text: Cow<'a, str>,
        plain: bool,
    },
}
