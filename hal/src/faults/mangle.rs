//! What faults do to a stream of bytes, apart from time and transport.

use super::Plan;
use std::{collections::VecDeque, time::Duration};

/// Something that goes wrong on a serial line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConsoleFault {
    /// The next bytes never arrive: an overrun of the UART.
    Drop(usize),
    /// The next bytes arrive twice: a console server that sends again what it had sent.
    Duplicate(usize),
    /// The bits of this mask are flipped in the next byte: noise, a wrong baud rate.
    Corrupt(u8),
    /// Everything from here on comes this much later, in one piece with what follows.
    Delay(Duration),
    /// These bytes come in between: a kernel's message in the middle of a program's line.
    Interleave(Vec<u8>),
    /// Nothing passes any more, and the line stays open.
    Stall,
    /// The line closes.
    Disconnect,
}

/// What comes out, in order.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Bytes(VecDeque<u8>),
    Wait(Duration),
    Stall,
    End,
}

/// What the fault that began is still doing.
#[derive(Debug)]
enum Active {
    None,
    Dropping(usize),
    Duplicating {
        missing: usize,
        copy: Vec<u8>,
    },
    Corrupting(u8),
    /// Stalled or closed: whatever comes is swallowed.
    Over,
}

/// One direction of a line. What comes out does not depend on how the bytes were cut when they
/// were pushed.
#[derive(Debug)]
pub(super) struct Mangler {
    plan: Plan<ConsoleFault>,
    next: Option<(u64, ConsoleFault)>,
    active: Active,
    arrived: u64,
    out: VecDeque<Piece>,
}

impl Mangler {
    pub(super) fn new(mut plan: Plan<ConsoleFault>) -> Self {
        let mut mangler = Self {
            next: plan.take(),
            plan,
            active: Active::None,
            arrived: 0,
            out: VecDeque::new(),
        };
        mangler.begin_due();
        mangler
    }

    pub(super) fn plan(&self) -> &Plan<ConsoleFault> {
        &self.plan
    }

    /// What is to be passed on first.
    pub(super) fn front(&mut self) -> Option<&mut Piece> {
        self.out.front_mut()
    }

    /// The first piece was passed on.
    pub(super) fn pop(&mut self) {
        self.out.pop_front();
    }

    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let length = self.pass(bytes);
            self.arrived += length as u64;
            bytes = &bytes[length..];
            self.begin_due();
        }
    }

    /// Treats the first of `bytes`, and says how many it were: at least one.
    fn pass(&mut self, bytes: &[u8]) -> usize {
        match std::mem::replace(&mut self.active, Active::None) {
            Active::None => {
                let room = match &self.next {
                    Some((at, _)) => usize::try_from(at - self.arrived).unwrap_or(usize::MAX),
                    None => usize::MAX,
                };
                let length = bytes.len().min(room);
                self.emit(&bytes[..length]);
                length
            }
            Active::Dropping(missing) => {
                let length = bytes.len().min(missing);
                if length < missing {
                    self.active = Active::Dropping(missing - length);
                }
                length
            }
            Active::Duplicating { missing, mut copy } => {
                let length = bytes.len().min(missing);
                self.emit(&bytes[..length]);
                copy.extend_from_slice(&bytes[..length]);
                if length < missing {
                    let missing = missing - length;
                    self.active = Active::Duplicating { missing, copy };
                } else {
                    self.emit(&copy);
                }
                length
            }
            Active::Corrupting(mask) => {
                self.emit(&[bytes[0] ^ mask]);
                1
            }
            Active::Over => {
                self.active = Active::Over;
                bytes.len()
            }
        }
    }

    /// Begins the faults whose position is reached, each once the one before is done. They begin
    /// without waiting for another byte: a line may fall silent right after a prompt.
    fn begin_due(&mut self) {
        while let Active::None = self.active {
            match self.next.take() {
                Some((at, fault)) if at <= self.arrived => {
                    self.begin(fault);
                    self.next = self.plan.take();
                }
                later => {
                    self.next = later;
                    return;
                }
            }
        }
    }

    fn begin(&mut self, fault: ConsoleFault) {
        match fault {
            ConsoleFault::Drop(0) | ConsoleFault::Duplicate(0) => {}
            ConsoleFault::Drop(length) => self.active = Active::Dropping(length),
            ConsoleFault::Duplicate(missing) => {
                let copy = Vec::new();
                self.active = Active::Duplicating { missing, copy };
            }
            ConsoleFault::Corrupt(mask) => self.active = Active::Corrupting(mask),
            ConsoleFault::Delay(duration) => self.out.push_back(Piece::Wait(duration)),
            ConsoleFault::Interleave(bytes) => self.emit(&bytes),
            ConsoleFault::Stall => self.over(Piece::Stall),
            ConsoleFault::Disconnect => self.over(Piece::End),
        }
    }

    fn over(&mut self, last: Piece) {
        self.out.push_back(last);
        self.active = Active::Over;
    }

    fn emit(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        match self.out.back_mut() {
            Some(Piece::Bytes(last)) => last.extend(bytes),
            _ => self
                .out
                .push_back(Piece::Bytes(bytes.iter().copied().collect())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mangle(plan: Plan<ConsoleFault>, chunks: &[&[u8]]) -> VecDeque<Piece> {
        let mut mangler = Mangler::new(plan);
        for chunk in chunks {
            mangler.push(chunk);
        }
        mangler.out
    }

    fn bytes(text: &str) -> Piece {
        Piece::Bytes(text.bytes().collect())
    }

    #[test]
    fn each_fault_does_what_it_says() {
        let wait = Duration::from_millis(5);
        let cases = [
            (ConsoleFault::Drop(3), vec![bytes("abfgh")]),
            (ConsoleFault::Duplicate(2), vec![bytes("abcdcdefgh")]),
            (ConsoleFault::Corrupt(0x20), vec![bytes("abCdefgh")]),
            (
                ConsoleFault::Interleave(b"[!]".to_vec()),
                vec![bytes("ab[!]cdefgh")],
            ),
            (
                ConsoleFault::Delay(wait),
                vec![bytes("ab"), Piece::Wait(wait), bytes("cdefgh")],
            ),
            (ConsoleFault::Stall, vec![bytes("ab"), Piece::Stall]),
            (ConsoleFault::Disconnect, vec![bytes("ab"), Piece::End]),
        ];
        for (fault, expected) in cases {
            let plan = Plan::listed([(2, fault.clone())]);
            assert_eq!(mangle(plan, &[b"abcdefgh"]), expected, "{fault:?}");
        }
    }

    #[test]
    fn a_fault_at_the_last_byte_waits_for_no_other() {
        let plan = Plan::listed([(2, ConsoleFault::Disconnect)]);
        assert_eq!(mangle(plan, &[b"=>"]), [bytes("=>"), Piece::End]);
        let plan = Plan::listed([(0, ConsoleFault::Disconnect)]);
        assert_eq!(mangle(plan, &[]), [Piece::End]);
    }

    #[test]
    fn a_fault_within_another_waits_for_its_end() {
        let faults = [(1, ConsoleFault::Drop(3)), (2, ConsoleFault::Corrupt(0x20))];
        assert_eq!(
            mangle(Plan::listed(faults), &[b"abcdefgh"]),
            [bytes("aEfgh")]
        );
    }

    fn any_fault() -> impl Strategy<Value = ConsoleFault> {
        prop_oneof![
            (0_usize..9).prop_map(ConsoleFault::Drop),
            (0_usize..9).prop_map(ConsoleFault::Duplicate),
            any::<u8>().prop_map(ConsoleFault::Corrupt),
            (0_u64..9).prop_map(|ms| ConsoleFault::Delay(Duration::from_millis(ms))),
            proptest::collection::vec(any::<u8>(), 0..9).prop_map(ConsoleFault::Interleave),
        ]
    }

    proptest! {
        #[test]
        fn cutting_the_input_elsewhere_changes_nothing(
            seed: u64,
            mean in 1_u64..40,
            faults in proptest::collection::vec(any_fault(), 0..6),
            input in proptest::collection::vec(any::<u8>(), 0..300),
            cuts in proptest::collection::vec(1_usize..40, 0..40),
        ) {
            let plan = Plan::drawn(seed, mean.try_into().unwrap(), faults);
            let whole = mangle(plan.clone(), &[&input]);
            let (mut rest, mut chunks) = (&input[..], Vec::new());
            for cut in cuts {
                let (chunk, after) = rest.split_at(cut.min(rest.len()));
                chunks.push(chunk);
                rest = after;
            }
            chunks.push(rest);
            prop_assert_eq!(mangle(plan, &chunks), whole);
        }
    }
}
