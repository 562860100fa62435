//! Line folding: what the blanks and line breaks between two words become.

use std::borrow::Cow;

use crate::Mark;
use crate::scanner::cursor::Cursor;

/// The text of a scalar as it grows: a slice of the document as long as that suffices.
pub(super) struct Folded {
    start: Mark,
    owned: Option<String>,
    /// Line breaks since the last word.
    breaks: Breaks,
}

/// The line breaks between two words.
#[derive(Default)]
struct Breaks {
    first: Option<&'static str>,
    rest: String,
}

impl Folded {
    pub(super) fn new(start: Mark) -> Self {
        Self {
            start,
            owned: None,
            breaks: Breaks::default(),
        }
    }

    /// The text so far, on its own: `end` is where its last word ended.
    pub(super) fn own(&mut self, cursor: &Cursor<'_>, end: Mark) -> &mut String {
        let start = self.start;
        self.owned
            .get_or_insert_with(|| cursor.slice(start, end).to_owned())
    }

    /// Adds a slice of the document. Nothing is to do as long as the text is one slice.
    pub(super) fn push(&mut self, slice: &str) {
        if let Some(owned) = &mut self.owned {
            owned.push_str(slice);
        }
    }

    /// A line break; the first one ends the text that ends at `end`.
    pub(super) fn push_break(&mut self, cursor: &Cursor<'_>, end: Mark, text: &'static str) {
        if self.breaks.first.is_none() {
            self.own(cursor, end);
            self.breaks.first = Some(text);
        } else {
            self.breaks.rest.push_str(text);
        }
    }

    /// An escaped line break stands for nothing, but later ones count.
    pub(super) fn push_escaped_break(&mut self, cursor: &Cursor<'_>, end: Mark) {
        self.own(cursor, end);
        self.breaks.first = Some("");
    }

    /// Folds the breaks, now that another word follows: one becomes a space, of more than one
    /// the first disappears, and the Unicode separators stay as they are.
    pub(super) fn fold(&mut self) {
        let breaks = std::mem::take(&mut self.breaks);
        let (Some(owned), Some(first)) = (&mut self.owned, breaks.first) else {
            return;
        };
        match first {
            "\n" if breaks.rest.is_empty() => owned.push(' '),
            "\n" => {}
            _ => owned.push_str(first),
        }
        owned.push_str(&breaks.rest);
    }

    /// The whole text; what was one slice ends at `end`.
    pub(super) fn finish<'a>(self, cursor: &Cursor<'a>, end: Mark) -> Cow<'a, str> {
        match self.owned {
            Some(owned) => Cow::Owned(owned),
            None => Cow::Borrowed(cursor.slice(self.start, end)),
        }
    }
}
