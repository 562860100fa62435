//! Which blocks of a transfer to send next: the part of the server that has no socket and no
//! clock.
//!
//! A window of blocks is under way until the client acknowledges its last one (RFC 7440). An
//! acknowledgement of an earlier block says that the one behind it was lost, and the window begins
//! again there. With a window of one that is RFC 1350, with its one trap avoided: an
//! acknowledgement that comes twice is never answered twice, else each delayed packet would double
//! all that follow (the "sorcerer's apprentice").

use std::ops::RangeInclusive;

/// The progress of one transfer. Blocks are counted from 1 and do not wrap here.
#[derive(Debug)]
pub(super) struct Window {
    /// How many blocks may be under way.
    size: u64,
    /// The last block of the file, which is shorter than the others, or empty.
    last: u64,
    /// All blocks up to this one have arrived.
    acknowledged: u64,
    /// The last block that was sent.
    sent: u64,
    /// The gap that was already answered by sending again.
    answered_gap: Option<u64>,
    /// How many blocks were sent again.
    retransmitted: u64,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Send these blocks.
    Send(RangeInclusive<u64>),
    /// Nothing: the packet was old, or told nothing new.
    Wait,
    /// Everything has arrived.
    Done,
}

impl Window {
    /// For a file of `length` bytes in blocks of `block_size`, `size` of which may be under way.
    pub(super) fn new(length: u64, block_size: usize, size: u16) -> Self {
        Self {
            size: u64::from(size.max(1)),
            last: length / (block_size.max(1) as u64) + 1,
            acknowledged: 0,
            sent: 0,
            answered_gap: None,
            retransmitted: 0,
        }
    }

    /// The blocks to begin with.
    pub(super) fn start(&mut self) -> Next {
        self.send_from(0)
    }

    /// The client has all blocks up to `number`, of which we see the low 16 bits.
    pub(super) fn acknowledge(&mut self, number: u16) -> Next {
        let under_way = self.sent - self.acknowledged;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the low 16 bits are what packets carry"
        )]
        let arrived = u64::from(number.wrapping_sub(self.acknowledged as u16));
        if arrived > under_way {
            return Next::Wait;
        }
        let block = self.acknowledged + arrived;
        if block == self.last {
            self.acknowledged = block;
            return Next::Done;
        }
        if block == self.sent {
            self.acknowledged = block;
            self.answered_gap = None;
            return self.send_from(block);
        }
        // A gap behind `block`. The client may tell it once for each block that came after it;
        // and with one block under way, it only repeats itself.
        if self.size == 1 || self.answered_gap == Some(block) {
            return Next::Wait;
        }
        self.acknowledged = block;
        self.answered_gap = Some(block);
        self.retransmitted += self.sent - block;
        self.send_from(block)
    }

    /// Nothing came for too long: what is under way is sent again.
    pub(super) fn timed_out(&mut self) -> Next {
        self.answered_gap = None;
        self.retransmitted += self.sent - self.acknowledged;
        self.send_from(self.acknowledged)
    }

    /// All blocks up to this one have arrived.
    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// How many blocks were sent again.
    pub(super) fn retransmitted(&self) -> u64 {
        self.retransmitted
    }

    fn send_from(&mut self, block: u64) -> Next {
        self.sent = (block + self.size).min(self.last);
        Next::Send(block + 1..=self.sent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_file_that_fills_its_blocks_ends_with_an_empty_one() {
        let mut window = Window::new(1024, 512, 1);
        assert_eq!(window.start(), Next::Send(1..=1));
        assert_eq!(window.acknowledge(1), Next::Send(2..=2));
        assert_eq!(window.acknowledge(2), Next::Send(3..=3));
        assert_eq!(window.acknowledge(3), Next::Done);
    }

    #[test]
    fn repeated_acknowledgements_are_not_answered() {
        let mut window = Window::new(10_000, 512, 1);
        window.start();
        assert_eq!(window.acknowledge(1), Next::Send(2..=2));
        assert_eq!(window.acknowledge(1), Next::Wait);
        assert_eq!(window.timed_out(), Next::Send(2..=2));
    }

    #[test]
    fn a_gap_is_filled_once() {
        let mut window = Window::new(100_000, 512, 4);
        assert_eq!(window.start(), Next::Send(1..=4));
        assert_eq!(window.acknowledge(2), Next::Send(3..=6));
        assert_eq!(window.acknowledge(2), Next::Wait);
        assert_eq!(window.acknowledge(6), Next::Send(7..=10));
        assert_eq!(window.retransmitted(), 2);
    }

    #[test]
    fn what_was_never_sent_is_not_acknowledged() {
        let mut window = Window::new(100_000, 512, 4);
        window.start();
        assert_eq!(window.acknowledge(5), Next::Wait);
        assert_eq!(window.acknowledge(60_000), Next::Wait);
    }

    /// A client as RFC 7440 describes it, behind a line that loses what `lost` says.
    fn transfer(length: u64, block_size: usize, size: u16, mut lost: impl FnMut() -> bool) -> u64 {
        let mut window = Window::new(length, block_size, size);
        let last = length / block_size as u64 + 1;
        let (mut have, mut next) = (0, window.start());
        for _ in 0..1_000_000 {
            let blocks = match next {
                Next::Done => return have,
                Next::Send(blocks) => blocks,
                Next::Wait => match window.timed_out() {
                    Next::Send(blocks) => blocks,
                    other => panic!("{other:?} after a time-out"),
                },
            };
            let end = *blocks.end();
            let mut acknowledge = None;
            for block in blocks {
                if lost() {
                    continue;
                }
                if block == have + 1 {
                    have = block;
                    if block == end || block == last {
                        acknowledge = Some(have);
                    }
                } else {
                    acknowledge = Some(have);
                }
            }
            next = match acknowledge.filter(|_| !lost()) {
                Some(block) => window.acknowledge((block & 0xffff) as u16),
                None => Next::Wait,
            };
        }
        panic!("never done: {window:?}");
    }

    proptest! {
        #[test]
        fn every_block_arrives(
            length in 0u64..200_000,
            size in 1u16..40,
            loss in proptest::collection::vec(any::<u8>(), 64),
        ) {
            let mut turn = 0usize;
            let lost = || {
                turn += 1;
                loss[turn % 64].wrapping_add((turn / 64 % 251) as u8) < 40
            };
            prop_assert_eq!(transfer(length, 512, size, lost), length / 512 + 1);
        }
    }

    #[test]
    fn numbers_wrap() {
        assert_eq!(transfer(8 * 200_000, 8, 16, || false), 200_001);
    }
}
