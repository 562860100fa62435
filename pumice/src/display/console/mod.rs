//! What a board prints, as lines that cannot do anything to the user's terminal.
//!
//! A board is not trusted: its bytes could move the cursor, change the title, ask the terminal to
//! type an answer, or hide what happened. Here they are played on a terminal that has one line
//! only. Carriage returns, backspaces and the sequences that edit a line do what they mean, so that
//! the progress bar of a bootloader looks as it should; colours are kept where they are wanted;
//! sequences that move to other lines end the line; everything else is left out.

mod decode;
mod pen;

use super::text;
use decode::{Decoder, Item};
use dispatcher::journal::Masker;
use memchr::memchr;
use pen::Pen;

/// A longer line comes in pieces of this many characters.
const LONGEST_LINE: usize = 4096;
const TAB: usize = 8;
/// A board may move the cursor so far behind the text: its terminal is hardly wider.
const MARGIN: usize = 255;

/// A character and how it looks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    character: char,
    pen: Pen,
}

/// A line that is complete, or the one that is not.
#[derive(Clone, Copy, Debug)]
pub(super) enum Line<'a> {
    /// Printable ASCII.
    Plain(&'a str),
    /// Anything.
    Cells(&'a [Cell]),
}

/// One connection's text. Memory is bounded by one line of [`LONGEST_LINE`] characters.
#[derive(Debug, Default)]
pub(super) struct ConsoleText {
    decoder: Decoder,
    editor: Editor,
}

#[derive(Debug, Default)]
struct Editor {
    cells: Vec<Cell>,
    cursor: usize,
    pen: Pen,
}

impl ConsoleText {
    /// Takes bytes and gives out the lines they complete.
    pub(super) fn push(&mut self, bytes: &[u8], emit: &mut impl FnMut(Line<'_>)) {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.is_fresh() {
                rest = plain_lines(rest, emit);
            }
            let Self { decoder, editor } = self;
            rest = decoder.step(rest, &mut |item| editor.item(&item, emit));
        }
    }

    /// What was printed after the last line break counts as a line.
    pub(super) fn flush(&mut self, emit: &mut impl FnMut(Line<'_>)) {
        if !self.editor.cells.is_empty() {
            self.editor.end_line(emit);
        }
    }

    /// The line that is not complete, up to the cursor.
    pub(super) fn open(&self) -> Line<'_> {
        Line::Cells(&self.editor.cells)
    }

    /// Whether nothing is left of what came before, so that plain lines can be passed through.
    fn is_fresh(&self) -> bool {
        let Self { decoder, editor } = self;
        editor.cells.is_empty()
            && editor.cursor == 0
            && editor.pen.is_plain()
            && decoder.is_at_ground()
    }
}

/// Gives out the lines at the beginning that are printable ASCII: most of what boards print, fast.
fn plain_lines<'b>(mut bytes: &'b [u8], emit: &mut impl FnMut(Line<'_>)) -> &'b [u8] {
    while let Some(end) = memchr(b'\n', bytes) {
        let mut line = &bytes[..end];
        while let Some(shorter) = line.strip_suffix(b"\r") {
            line = shorter;
        }
        let is_plain = line.len() <= LONGEST_LINE
            && line
                .iter()
                .fold(true, |plain, byte| plain & (0x20..0x7f).contains(byte));
        match std::str::from_utf8(line) {
            Ok(line) if is_plain => emit(Line::Plain(line)),
            _ => return bytes,
        }
        bytes = &bytes[end + 1..];
    }
    bytes
}

impl Editor {
    fn item(&mut self, item: &Item<'_>, emit: &mut impl FnMut(Line<'_>)) {
        match item {
            Item::Text(text) => text.chars().for_each(|character| {
                self.put(text::safe(character), emit);
            }),
            Item::Invalid => self.put('\u{fffd}', emit),
            Item::Control(byte) => self.control(*byte, emit),
            Item::Sequence(parameters, end) => self.sequence(parameters, *end, emit),
            // Index, next line, reverse index, reset: whatever follows is on another line.
            Item::Escape(b'D' | b'E' | b'M') => self.end_line(emit),
            Item::Escape(b'c') => {
                self.pen = Pen::default();
                self.break_line(emit);
            }
            Item::Escape(_) => {}
        }
    }

    fn put(&mut self, character: char, emit: &mut impl FnMut(Line<'_>)) {
        let cell = Cell {
            character,
            pen: self.pen,
        };
        match self.cells.get_mut(self.cursor) {
            Some(place) => *place = cell,
            None => {
                self.pad();
                self.cells.push(cell);
            }
        }
        self.cursor += 1;
        if self.cursor >= LONGEST_LINE {
            self.end_line(emit);
        }
    }

    /// Blanks up to the cursor.
    fn pad(&mut self) {
        let blank = Cell {
            character: ' ',
            pen: Pen::default(),
        };
        if self.cells.len() < self.cursor {
            self.cells.resize(self.cursor, blank);
        }
    }

    fn control(&mut self, byte: u8, emit: &mut impl FnMut(Line<'_>)) {
        match byte {
            b'\n' => self.end_line(emit),
            b'\r' => self.cursor = 0,
            0x08 => self.cursor = self.cursor.saturating_sub(1),
            b'\t' => self.move_to((self.cursor / TAB + 1) * TAB),
            // Vertical tab and form feed.
            0x0b | 0x0c => self.break_line(emit),
            _ => {}
        }
    }

    fn sequence(&mut self, parameters: &[u16], end: u8, emit: &mut impl FnMut(Line<'_>)) {
        let first = parameters.first().copied().unwrap_or(0);
        let count = usize::from(first.max(1));
        match end {
            b'm' => self.pen.select(parameters),
            b'C' | b'a' => self.move_to(self.cursor.saturating_add(count)),
            b'D' => self.cursor = self.cursor.saturating_sub(count),
            b'G' | b'`' => self.move_to(count - 1),
            b'K' | b'J' if first == 0 => self.cells.truncate(self.cursor),
            b'K' if first == 1 => self.blank(0, self.cursor.saturating_add(1)),
            b'K' => self.blank(0, self.cells.len()),
            b'X' => self.blank(self.cursor, self.cursor.saturating_add(count)),
            b'P' => {
                let end = self.cursor.saturating_add(count).min(self.cells.len());
                self.cells.drain(self.cursor.min(end)..end);
            }
            b'@' => self.insert(count),
            // To another line, or the whole screen: end this line, so that nothing is lost.
            b'A' | b'B' | b'E' | b'F' | b'H' | b'J' | b'd' | b'e' | b'f' => self.break_line(emit),
            _ => {}
        }
    }

    fn move_to(&mut self, column: usize) {
        let margin = self.cells.len().clamp(MARGIN, LONGEST_LINE - 1);
        self.cursor = column.min(margin);
    }

    fn blank(&mut self, from: usize, to: usize) {
        let to = to.min(self.cells.len());
        for cell in &mut self.cells[from.min(to)..to] {
            cell.character = ' ';
            cell.pen = Pen::default();
        }
    }

    fn insert(&mut self, count: usize) {
        let blank = Cell {
            character: ' ',
            pen: Pen::default(),
        };
        if self.cursor < self.cells.len() {
            let count = count.min(MARGIN);
            let blanks = std::iter::repeat_n(blank, count);
            self.cells.splice(self.cursor..self.cursor, blanks);
            self.cells.truncate(LONGEST_LINE - 1);
        }
    }

    /// Ends the line if there is anything in it.
    fn break_line(&mut self, emit: &mut impl FnMut(Line<'_>)) {
        if self.cells.iter().any(|cell| cell.character != ' ') {
            self.end_line(emit);
        } else {
            self.cells.clear();
            self.cursor = 0;
        }
    }

    fn end_line(&mut self, emit: &mut impl FnMut(Line<'_>)) {
        emit(Line::Cells(&self.cells));
        self.cells.clear();
        self.cursor = 0;
    }
}

impl<'a> Line<'a> {
    /// Whether a helper on the board wrote this line for us: `<LAVA_SIGNAL_…>`.
    pub(super) fn is_signal(self) -> bool {
        self.text().starts_with("<LAVA_")
    }

    /// The text, when it is printable ASCII and nothing else; else nothing.
    pub(super) fn text(self) -> &'a str {
        match self {
            Line::Plain(text) => text,
            Line::Cells(_) => "",
        }
    }

    /// Appends the line, with the board's colours if they are wanted, ended by a reset of them.
    ///
    /// Secrets that only show once sequences are taken out are hidden here; the caller has masked
    /// the bytes.
    pub(super) fn write(self, colour: bool, masker: &Masker, out: &mut Vec<u8>) {
        let cells = match self {
            Line::Plain(text) => return out.extend_from_slice(text.as_bytes()),
            Line::Cells(cells) => cells,
        };
        if !masker.is_empty() {
            let text: String = cells.iter().map(|cell| cell.character).collect();
            let masked = masker.mask(&text);
            if masked != text {
                return out.extend_from_slice(masked.as_bytes());
            }
        }
        write_cells(cells, colour, out);
    }

    /// The end of the line that fits in so many columns, and the columns it takes.
    pub(super) fn tail(self, room: usize, colour: bool, masker: &Masker) -> (Vec<u8>, usize) {
        let cells: Vec<Cell> = match self {
            Line::Plain(_) => Vec::new(),
            Line::Cells(cells) => cells.to_vec(),
        };
        let mut used = 0;
        let mut start = cells.len();
        for (index, cell) in cells.iter().enumerate().rev() {
            let width = text::width(cell.character);
            if used + width > room {
                break;
            }
            used += width;
            start = index;
        }
        let mut out = Vec::new();
        Line::Cells(&cells[start..]).write(colour, masker, &mut out);
        (out, used)
    }
}

fn write_cells(cells: &[Cell], colour: bool, out: &mut Vec<u8>) {
    let mut pen = Pen::default();
    let mut buffer = [0; 4];
    for cell in cells {
        if colour && cell.pen != pen {
            pen = cell.pen;
            pen.write(out);
        }
        out.extend_from_slice(cell.character.encode_utf8(&mut buffer).as_bytes());
    }
    if !pen.is_plain() {
        Pen::default().write(out);
    }
}

#[cfg(test)]
mod tests;
