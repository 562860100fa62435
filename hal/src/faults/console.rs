//! A console with a bad line.

use super::{
    ConsoleFault, Plan,
    mangle::{Mangler, Piece},
};
use crate::{
    console::{Console, Epoch, LineControl},
    error::{ErrorKind, HalError},
};
use async_trait::async_trait;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Sleep, sleep};

/// How much is taken from the console inside, or from the caller, at a time.
const CHUNK: usize = 4096;

/// A console whose line is bad in either direction, as two plans say.
///
/// It keeps the contract of [`Console`] except for what its plans take away. Typed bytes that a
/// delay holds back are sent by the next read or write after it.
#[derive(Debug)]
pub struct FaultyConsole<C> {
    console: C,
    output: Direction,
    input: Direction,
    /// The inner console closed.
    ended: bool,
}

#[derive(Debug)]
struct Direction {
    mangler: Mangler,
    /// The delay under way.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Direction {
    fn new(plan: Plan<ConsoleFault>) -> Self {
        Self {
            mangler: Mangler::new(plan),
            sleep: None,
        }
    }

    /// Waits until the first piece is no delay.
    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(&mut Piece::Wait(duration)) = self.mangler.front() {
            let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep(duration)));
            ready!(sleep.as_mut().poll(cx));
            self.sleep = None;
            self.mangler.pop();
        }
        Poll::Ready(())
    }
}

impl<C: Console> FaultyConsole<C> {
    /// A console that does to what the board prints what `output` says, and to what is typed
    /// what `input` says. `Plan::default()` leaves a direction alone.
    pub fn new(console: C, output: Plan<ConsoleFault>, input: Plan<ConsoleFault>) -> Self {
        Self {
            console,
            output: Direction::new(output),
            input: Direction::new(input),
            ended: false,
        }
    }

    /// Ends the faults.
    pub fn into_inner(self) -> C {
        self.console
    }

    /// Sends what was typed and not sent.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), HalError>> {
        loop {
            ready!(self.input.poll_wait(cx));
            match self.input.mangler.front() {
                None => return Poll::Ready(Ok(())),
                Some(Piece::Bytes(bytes)) => {
                    let sent = ready!(self.console.poll_write(cx, bytes.as_slices().0))?;
                    bytes.drain(..sent);
                    if bytes.is_empty() {
                        self.input.mangler.pop();
                    }
                }
                Some(Piece::End) => return Poll::Ready(Err(self.disconnected())),
                // Whoever waits has a deadline.
                Some(Piece::Stall | Piece::Wait(_)) => return Poll::Pending,
            }
        }
    }

    fn disconnected(&self) -> HalError {
        let description = self.description();
        let message = format!("the console {description} is closed");
        HalError::new(ErrorKind::Closed, description, message)
    }
}

#[async_trait]
impl<C: Console> Console for FaultyConsole<C> {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<Result<usize, HalError>> {
        // An error of the other direction is reported to who writes.
        let _ = self.poll_send(cx);
        loop {
            ready!(self.output.poll_wait(cx));
            match self.output.mangler.front() {
                Some(Piece::Bytes(bytes)) => {
                    let first = bytes.as_slices().0;
                    let length = first.len().min(buffer.len());
                    buffer[..length].copy_from_slice(&first[..length]);
                    bytes.drain(..length);
                    if bytes.is_empty() {
                        self.output.mangler.pop();
                    }
                    return Poll::Ready(Ok(length));
                }
                Some(Piece::End) => return Poll::Ready(Ok(0)),
                Some(Piece::Stall | Piece::Wait(_)) => return Poll::Pending,
                None if self.ended => return Poll::Ready(Ok(0)),
                None => {
                    let mut chunk = [0; CHUNK];
                    let length = ready!(self.console.poll_read(cx, &mut chunk))?;
                    self.ended = length == 0;
                    self.output.mangler.push(&chunk[..length]);
                }
            }
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, HalError>> {
        if let Some(Piece::End) = self.output.mangler.front() {
            return Poll::Ready(Err(self.disconnected()));
        }
        ready!(self.poll_send(cx))?;
        let taken = &bytes[..bytes.len().min(CHUNK)];
        self.input.mangler.push(taken);
        // They are taken now; what cannot be sent yet goes with the next poll.
        match self.poll_send(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(taken.len())),
        }
    }

    async fn close(&mut self, grace: Duration) -> Result<(), HalError> {
        self.console.close(grace).await
    }

    fn description(&self) -> String {
        let mut seeds = Vec::new();
        for (direction, what) in [(&self.output, "output"), (&self.input, "input")] {
            if let Some(seed) = direction.mangler.plan().seed() {
                seeds.push(format!("{what} seed {seed}"));
            }
        }
        let inner = self.console.description();
        match seeds.is_empty() {
            true => format!("{inner} with faults"),
            false => format!("{inner} with faults ({})", seeds.join(", ")),
        }
    }

    fn epoch(&self) -> Epoch {
        self.console.epoch()
    }

    async fn end_reason(&mut self) -> Option<String> {
        match self.ended {
            true => self.console.end_reason().await,
            false => Some("a planned fault closed it".to_owned()),
        }
    }

    fn line_control(&mut self) -> Option<&mut dyn LineControl> {
        self.console.line_control()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::{ConsoleExt, EpochCounter, StreamConsole};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
        time::{Instant, timeout},
    };

    fn pair(
        output: Plan<ConsoleFault>,
        input: Plan<ConsoleFault>,
    ) -> (FaultyConsole<StreamConsole<DuplexStream>>, DuplexStream) {
        let (ours, board) = duplex(64 * 1024);
        let console = StreamConsole::new(ours, "board", EpochCounter::default());
        (FaultyConsole::new(console, output, input), board)
    }

    async fn rest(console: &mut impl Console) -> Vec<u8> {
        let (mut all, mut buffer) = (Vec::new(), [0; 7]);
        loop {
            let chunk = console.read(&mut buffer).await.unwrap();
            if chunk.is_end() {
                return all;
            }
            all.extend_from_slice(&buffer[..chunk.length]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_delay_takes_its_time_and_loses_nothing() {
        let delay = Duration::from_secs(3);
        let plan = Plan::listed([(4, ConsoleFault::Delay(delay))]);
        let (mut console, mut board) = pair(plan, Plan::default());
        board.write_all(b"U-Boot 2026").await.unwrap();
        drop(board);
        let begun = Instant::now();
        assert_eq!(rest(&mut console).await, b"U-Boot 2026");
        assert!(begun.elapsed() >= delay && begun.elapsed() < 2 * delay);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stalled_line_stays_open_and_says_nothing() {
        let plan = Plan::listed([(2, ConsoleFault::Stall)]);
        let (mut console, mut board) = pair(plan, Plan::default());
        board.write_all(b"=> ").await.unwrap();
        let waiting = timeout(Duration::from_secs(60), rest(&mut console)).await;
        assert!(waiting.is_err(), "{waiting:?}");
    }

    #[tokio::test]
    async fn a_disconnected_line_ends_both_directions() {
        let plan = Plan::listed([(2, ConsoleFault::Disconnect)]);
        let (mut console, mut board) = pair(plan, Plan::default());
        board.write_all(b"=> ").await.unwrap();
        assert_eq!(rest(&mut console).await, b"=>");
        let error = console.write(b"x").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed);
        assert!(console.end_reason().await.unwrap().contains("fault"));
    }

    #[tokio::test]
    async fn typed_bytes_suffer_too() {
        let plan = Plan::listed([(1, ConsoleFault::Drop(1)), (4, ConsoleFault::Duplicate(2))]);
        let (mut console, mut board) = pair(Plan::default(), plan);
        let deadline = Instant::now() + Duration::from_secs(10);
        console.write_all(b"print", deadline).await.unwrap();
        console.write_all(b"env\n", deadline).await.unwrap();
        console.close(Duration::from_secs(1)).await.unwrap();
        let mut seen = String::new();
        board.read_to_string(&mut seen).await.unwrap();
        assert_eq!(seen, "pintetenv\n");
    }

    #[tokio::test]
    async fn the_seed_is_in_every_message() {
        let plan = Plan::drawn(4711, 10.try_into().unwrap(), [ConsoleFault::Drop(1)]);
        let (console, _board) = pair(plan, Plan::default());
        assert_eq!(
            console.description(),
            "board with faults (output seed 4711)"
        );
        assert!(console.disconnected().to_string().contains("4711"));
    }
}
