//! What waits to be painted: bounded, whatever the board prints and however slow the terminal is.

use dispatcher::journal::Masker;
use memchr::{memchr, memchr_iter};
use std::{
    collections::{BTreeSet, VecDeque},
    mem,
};
use wire::journal::ConnectionId;

/// So much waits at most; the oldest gives way.
const MOST: usize = 1 << 20;
/// So much is painted without waiting for the next turn.
const MUCH: usize = 128 << 10;
/// Output is put together to pieces of this size.
const PIECE: usize = 16 << 10;

/// Something for the history.
#[derive(Debug)]
pub(super) enum Piece {
    /// Bytes of a console, secrets hidden.
    Output(ConnectionId, Vec<u8>),
    /// What a console printed after its last line break counts as a line.
    EndLine {
        /// The console.
        connection: ConnectionId,
        /// Whether it is closed.
        is_closed: bool,
    },
    /// A line of ours, without its end.
    Event(String),
    /// From here on these secrets are hidden.
    Masker(Masker),
}

/// The queue.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pieces: VecDeque<Piece>,
    bytes: usize,
    left_out: u64,
}

impl Pending {
    /// Adds output.
    pub(super) fn output(&mut self, connection: ConnectionId, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.bytes += bytes.len();
        match self.pieces.back_mut() {
            Some(Piece::Output(last, piece)) if *last == connection && piece.len() < PIECE => {
                piece.extend_from_slice(bytes);
            }
            _ => self
                .pieces
                .push_back(Piece::Output(connection, bytes.to_vec())),
        }
        self.make_room();
    }

    /// Ends a line.
    pub(super) fn end_line(&mut self, connection: ConnectionId, is_closed: bool) {
        self.pieces.push_back(Piece::EndLine {
            connection,
            is_closed,
        });
    }

    /// Adds a line of ours.
    pub(super) fn event(&mut self, line: String) {
        self.bytes += event_size(&line);
        self.pieces.push_back(Piece::Event(line));
        self.make_room();
    }

    /// Hides secrets from here on.
    pub(super) fn masker(&mut self, masker: Masker) {
        self.pieces.push_back(Piece::Masker(masker));
    }

    /// Whether it should be painted at once.
    pub(super) fn is_much(&self) -> bool {
        self.bytes >= MUCH
    }

    /// Everything that waits, and how many lines had to give way before it.
    pub(super) fn take(&mut self) -> (Vec<Piece>, u64) {
        self.bytes = 0;
        let left_out = mem::take(&mut self.left_out);
        (mem::take(&mut self.pieces).into(), left_out)
    }

    /// Leaves out the older half when there is too much: whole lines, but for the one that is open
    /// on the screen.
    fn make_room(&mut self) {
        if self.bytes <= MOST {
            return;
        }
        let mut bytes = self.bytes;
        let mut lines = 0;
        // Consoles whose output was cut within a line.
        let mut cut = BTreeSet::new();
        self.pieces.retain_mut(|piece| {
            let is_old = bytes > MOST / 2;
            match piece {
                Piece::Output(connection, output) => {
                    let leave = match memchr(b'\n', output) {
                        _ if is_old => output.len(),
                        Some(end) if cut.contains(connection) => end + 1,
                        None if cut.contains(connection) => output.len(),
                        _ => 0,
                    };
                    let ends = memchr_iter(b'\n', &output[..leave]).count();
                    bytes -= leave;
                    lines += ends as u64;
                    if leave > 0 && output[leave - 1] != b'\n' {
                        cut.insert(*connection);
                    } else {
                        cut.remove(connection);
                    }
                    output.drain(..leave);
                    !output.is_empty()
                }
                Piece::Event(line) if is_old => {
                    bytes -= event_size(line);
                    lines += 1;
                    false
                }
                Piece::Event(_) | Piece::EndLine { .. } | Piece::Masker(_) => true,
            }
        });
        self.bytes = bytes;
        self.left_out += lines;
    }
}

fn event_size(line: &str) -> usize {
    line.len() + mem::size_of::<Piece>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_is_counted() {
        let mut pending = Pending::default();
        let line = [b"x".repeat(99), b"\n".to_vec()].concat();
        for number in 0..50_000 {
            // Lines of two consoles, cut in the middle.
            let connection = ConnectionId(number / 500 % 2);
            pending.output(connection, &line[..40]);
            pending.output(connection, &line[40..]);
            assert!(pending.bytes <= MOST);
        }
        pending.end_line(ConnectionId(0), true);
        let (pieces, left_out) = pending.take();
        let kept: usize = pieces
            .iter()
            .map(|piece| match piece {
                Piece::Output(_, bytes) => {
                    let lines = bytes.split_inclusive(|byte| *byte == b'\n');
                    lines.inspect(|kept| assert_eq!(kept.len(), 100)).count()
                }
                _ => 0,
            })
            .sum();
        assert_eq!(kept as u64 + left_out, 50_000);
        assert!(kept * line.len() >= MOST / 2 - line.len(), "{kept}");
        assert!(matches!(pieces.last(), Some(Piece::EndLine { .. })));
        assert_eq!(pending.take().1, 0);
    }
}
