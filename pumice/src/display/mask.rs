//! Hides secrets in what observers are given: they see entries as they were recorded.

use dispatcher::journal::{Masker, StreamMasker};
use job::CaseResult;
use std::{borrow::Cow, collections::BTreeMap};
use wire::journal::ConnectionId;

/// The secrets of a job, and what is held back of its consoles.
#[derive(Debug, Default)]
pub(super) struct Secrets {
    masker: Masker,
    streams: BTreeMap<(ConnectionId, Direction), StreamMasker>,
}

/// Which way bytes went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Direction {
    /// From the board.
    Output,
    /// To the board.
    Input,
}

impl Secrets {
    /// Hides these from here on too.
    pub(super) fn add(&mut self, secrets: &[String]) {
        self.masker.add(secrets);
    }

    /// What finds them.
    pub(super) fn masker(&self) -> &Masker {
        &self.masker
    }

    /// A text without them.
    pub(super) fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.masker.mask(text)
    }

    /// A result whose texts have none. The name of the dispatcher's own suite stays.
    pub(super) fn result(&self, result: &CaseResult) -> CaseResult {
        let mut masked = result.clone();
        if self.masker.is_empty() {
            return masked;
        }
        let text = |text: &str| self.masker.mask(text).into_owned();
        if masked.definition != "lava" {
            masked.definition = text(&result.definition);
        }
        masked.case = text(&result.case);
        masked.set = result.set.as_deref().map(text);
        masked.units = result.units.as_deref().map(text);
        masked.reference = result.reference.as_deref().map(text);
        masked.reason = result.reason.as_deref().map(text);
        masked
    }

    /// Appends to `out` what may be shown of a console so far: all but what may be the beginning of
    /// a secret.
    pub(super) fn stream(
        &mut self,
        connection: ConnectionId,
        direction: Direction,
        bytes: &[u8],
        out: &mut Vec<u8>,
    ) {
        if self.masker.is_empty() && self.streams.is_empty() {
            return out.extend_from_slice(bytes);
        }
        let stream = self.streams.entry((connection, direction)).or_default();
        stream.push(&self.masker, bytes, out);
    }

    /// The line or the stream ended: appends what was held back.
    pub(super) fn end(
        &mut self,
        connection: ConnectionId,
        direction: Direction,
        out: &mut Vec<u8>,
    ) {
        if let Some(mut stream) = self.streams.remove(&(connection, direction)) {
            stream.finish(&self.masker, out);
        }
    }
}
