//! Plays a recording as a console: what the board printed comes again, as it came then.
//!
//! Takes an iterator of [`Record`]s, so that this crate need not know the journal's format: the
//! owner of a recording offers the iterator. Used to run a job against a board of the past.

use crate::{
    console::{Console, Epoch},
    error::{ErrorKind, HalError},
    recording::{Direction, Record},
};
use async_trait::async_trait;
use std::{
    pin::Pin,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep_until};

/// How fast a recording is played.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// As fast as it was.
    Real,
    /// This many times as fast; must be positive.
    Faster(f64),
    /// As fast as it is read.
    AtOnce,
}

/// What the player makes of what was typed in the recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Typing {
    /// Nothing: the board speaks by the clock.
    Ignored,
    /// The board waits until as many bytes were typed now as had been typed then, and its clock
    /// goes on from there: it answers, like a board.
    Awaited,
}

/// A console that plays a recording, and closes when the recording ends.
///
/// Time is tokio's, so that a paused clock plays an hour at once. What is typed is taken and, but
/// for [`Typing::Awaited`], forgotten. A record that cannot be read fails the read that needs it.
pub struct Player<I> {
    records: I,
    pace: Pace,
    typing: Typing,
    current: Option<(Record, usize)>,
    sleep: Option<Pin<Box<Sleep>>>,
    /// A moment now, and the recording's time of that moment.
    origin: Option<(Instant, Duration)>,
    typed: u64,
    typed_then: u64,
    waiting: Option<Waker>,
    epoch: Epoch,
    ended: bool,
    closed: bool,
}

impl<I: Iterator<Item = Result<Record, HalError>> + Send> Player<I> {
    /// Plays `records` from the first read on. Their times must not decrease.
    pub fn new(records: I, pace: Pace, typing: Typing) -> Self {
        Self {
            records,
            pace,
            typing,
            current: None,
            sleep: None,
            origin: None,
            typed: 0,
            typed_then: 0,
            waiting: None,
            epoch: Epoch::default(),
            ended: false,
            closed: false,
        }
    }

    /// Gets the next record that has bytes; `None` at the end.
    fn load(&mut self) -> Result<Option<&mut (Record, usize)>, HalError> {
        while self.current.is_none() {
            match self.records.next().transpose()? {
                None => return Ok(None),
                Some(record) if record.bytes.is_empty() => {}
                Some(record) => {
                    if record.direction == Direction::Input {
                        self.typed_then += record.bytes.len() as u64;
                    }
                    self.current = Some((record, 0));
                }
            }
        }
        Ok(self.current.as_mut())
    }

    /// When something of the recording's time `at` is due.
    fn due(&mut self, at: Duration) -> Instant {
        let (moment, origin) = *self.origin.get_or_insert((Instant::now(), at));
        let since = at.saturating_sub(origin);
        moment
            + match self.pace {
                Pace::Real => since,
                Pace::Faster(factor) => {
                    Duration::try_from_secs_f64(since.as_secs_f64() / factor).unwrap_or_default()
                }
                Pace::AtOnce => Duration::ZERO,
            }
    }

    fn poll_until(&mut self, cx: &mut Context<'_>, due: Instant) -> Poll<()> {
        if due > Instant::now() {
            let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(due)));
            ready!(sleep.as_mut().poll(cx));
        }
        self.sleep = None;
        Poll::Ready(())
    }

    /// Waits for what was typed then, if the board is to.
    fn poll_typed(&mut self, cx: &mut Context<'_>, at: Duration) -> Poll<()> {
        if self.typing == Typing::Awaited {
            if self.typed < self.typed_then {
                self.waiting = Some(cx.waker().clone());
                return Poll::Pending;
            }
            self.origin = Some((Instant::now(), at));
        }
        Poll::Ready(())
    }
}

#[async_trait]
impl<I: Iterator<Item = Result<Record, HalError>> + Send> Console for Player<I> {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<Result<usize, HalError>> {
        loop {
            if self.ended || self.closed {
                return Poll::Ready(Ok(0));
            }
            let Some((record, _)) = self.load()? else {
                self.ended = true;
                continue;
            };
            let (at, direction) = (record.at, record.direction);
            if direction == Direction::Input {
                ready!(self.poll_typed(cx, at));
                self.current = None;
                continue;
            }
            let due = self.due(at);
            ready!(self.poll_until(cx, due));
            if let Some((record, played)) = &mut self.current {
                let length = buffer.len().min(record.bytes.len() - *played);
                buffer[..length].copy_from_slice(&record.bytes[*played..*played + length]);
                *played += length;
                self.epoch = record.epoch;
                if *played == record.bytes.len() {
                    self.current = None;
                }
                return Poll::Ready(Ok(length));
            }
        }
    }

    fn poll_write(&mut self, _: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, HalError>> {
        if self.ended || self.closed {
            let description = self.description();
            let message = format!("the console {description} is closed");
            return Poll::Ready(Err(HalError::new(ErrorKind::Closed, description, message)));
        }
        self.typed += bytes.len() as u64;
        if let Some(waker) = self.waiting.take() {
            waker.wake();
        }
        Poll::Ready(Ok(bytes.len()))
    }

    async fn close(&mut self, _: Duration) -> Result<(), HalError> {
        self.closed = true;
        Ok(())
    }

    fn description(&self) -> String {
        "a recording".to_owned()
    }

    fn epoch(&self) -> Epoch {
        self.epoch
    }

    async fn end_reason(&mut self) -> Option<String> {
        self.ended.then(|| "the recording ends here".to_owned())
    }
}

impl<I> std::fmt::Debug for Player<I> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Player")
            .field("pace", &self.pace)
            .field("typing", &self.typing)
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        console::ConsoleExt,
        recording::{ConsoleSink, Recorded},
    };
    use proptest::prelude::*;
    use tokio::time::timeout;

    fn record(millis: u64, epoch: u32, direction: Direction, bytes: &[u8]) -> Record {
        Record {
            at: Duration::from_millis(millis),
            epoch: Epoch(epoch),
            direction,
            bytes: bytes.to_vec(),
        }
    }

    /// A boot, what was typed at it, and the next boot.
    fn two_boots() -> Vec<Record> {
        vec![
            record(1000, 1, Direction::Output, b"U-Boot"),
            record(1500, 1, Direction::Output, b" => "),
            record(4000, 1, Direction::Input, b"reset\n"),
            record(4100, 2, Direction::Output, b"U-Boot"),
        ]
    }

    fn player(
        records: Vec<Record>,
        pace: Pace,
        typing: Typing,
    ) -> Player<impl Iterator<Item = Result<Record, HalError>> + Send> {
        Player::new(records.into_iter().map(Ok), pace, typing)
    }

    /// Collects what passes.
    struct Memory {
        begun: Instant,
        records: Vec<Record>,
    }

    impl ConsoleSink for Memory {
        fn output(&mut self, at: Instant, epoch: Epoch, bytes: &[u8]) -> Result<(), HalError> {
            self.records.push(Record {
                at: at - self.begun,
                epoch,
                direction: Direction::Output,
                bytes: bytes.to_vec(),
            });
            Ok(())
        }

        fn input(&mut self, _: Instant, _: Epoch, _: &[u8]) -> Result<(), HalError> {
            Ok(())
        }
    }

    /// Plays `records` to the end, recording them again.
    async fn recorded_again(records: Vec<Record>, pace: Pace) -> Vec<Record> {
        let sink = Memory {
            begun: Instant::now(),
            records: Vec::new(),
        };
        let mut console = Recorded::new(player(records, pace, Typing::Ignored), sink);
        let mut buffer = [0; 64];
        while !console.read(&mut buffer).await.unwrap().is_end() {}
        console.into_parts().1.records
    }

    #[tokio::test(start_paused = true)]
    async fn times_and_epochs_are_those_of_the_recording() {
        let played = recorded_again(two_boots(), Pace::Real).await;
        let expected = [
            record(0, 1, Direction::Output, b"U-Boot"),
            record(500, 1, Direction::Output, b" => "),
            record(3100, 2, Direction::Output, b"U-Boot"),
        ];
        assert_eq!(played, expected);
        let faster = recorded_again(two_boots(), Pace::Faster(10.0)).await;
        assert_eq!(faster[2].at, Duration::from_millis(310));
        let at_once = recorded_again(two_boots(), Pace::AtOnce).await;
        assert_eq!(at_once[2].at, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn an_awaited_board_answers_after_the_same_time() {
        let mut console = player(two_boots(), Pace::Real, Typing::Awaited);
        let mut buffer = [0; 64];
        for _ in 0..2 {
            console.read(&mut buffer).await.unwrap();
        }
        let hour = Duration::from_secs(3600);
        assert!(timeout(hour, console.read(&mut buffer)).await.is_err());
        console.write(b"boot\n").await.unwrap();
        assert!(timeout(hour, console.read(&mut buffer)).await.is_err());
        console.write(b"\n").await.unwrap();
        let begun = Instant::now();
        let chunk = console.read(&mut buffer).await.unwrap();
        assert_eq!(chunk.epoch, Epoch(2));
        assert_eq!(begun.elapsed(), Duration::from_millis(100));
        assert!(console.read(&mut buffer).await.unwrap().is_end());
        let error = console.write(b"x").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed);
    }

    #[tokio::test]
    async fn a_broken_recording_fails_the_read() {
        let broken = || HalError::new(ErrorKind::Protocol, "journal", "journal is damaged");
        let records = [Ok(two_boots().remove(0)), Err(broken())];
        let mut console = Player::new(records.into_iter(), Pace::AtOnce, Typing::Ignored);
        let mut buffer = [0; 64];
        assert_eq!(console.read(&mut buffer).await.unwrap().length, 6);
        let error = console.read(&mut buffer).await.unwrap_err();
        assert_eq!(error.to_string(), "journal is damaged");
    }

    proptest! {
        #[test]
        fn every_byte_is_played_once_and_in_order(
            chunks in proptest::collection::vec(
                (0_u64..5000, proptest::collection::vec(any::<u8>(), 0..20)), 0..20),
        ) {
            let mut at = 0;
            let records: Vec<_> = chunks
                .iter()
                .map(|(gap, bytes)| {
                    at += gap;
                    record(at, 0, Direction::Output, bytes)
                })
                .collect();
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .unwrap();
            let played = runtime.block_on(recorded_again(records, Pace::Real));
            let played: Vec<u8> = played.into_iter().flat_map(|record| record.bytes).collect();
            let sent: Vec<u8> = chunks.into_iter().flat_map(|(_, bytes)| bytes).collect();
            prop_assert_eq!(played, sent);
        }
    }
}
