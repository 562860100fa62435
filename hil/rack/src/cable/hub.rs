//! Who gets what the board prints.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::mpsc;

/// How much is kept for the first reader when there is none.
pub(super) const BACKLOG: usize = 64 * 1024;

/// How many pieces wait for a reader before it holds up the board. A piece is at most
/// [`super::wire::PIECE`] bytes, but for the backlog.
const WAITING: usize = 8;

/// What the board printed, in pieces.
pub(super) type Feed = mpsc::Receiver<Box<[u8]>>;

/// Passes what the board prints to all who read it.
#[derive(Debug, Default)]
pub(super) struct Hub(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    readers: Vec<mpsc::Sender<Box<[u8]>>>,
    backlog: VecDeque<u8>,
}

impl Hub {
    /// A new reader: gets the backlog if nobody else did, and everything from now on, until it
    /// drops the feed.
    pub(super) fn attach(&self) -> Feed {
        let (reader, feed) = mpsc::channel(WAITING);
        let mut state = self.lock();
        if !state.backlog.is_empty() {
            let backlog = Vec::from(std::mem::take(&mut state.backlog));
            // There is room: the channel is new.
            let _ = reader.try_send(backlog.into());
        }
        state.readers.push(reader);
        feed
    }

    /// Passes `bytes` on, and waits for readers that are behind.
    pub(super) async fn pass(&self, bytes: &[u8]) {
        let readers = {
            let mut state = self.lock();
            state.readers.retain(|reader| !reader.is_closed());
            if state.readers.is_empty() {
                state.keep(bytes);
                return;
            }
            state.readers.clone()
        };
        for reader in readers {
            // A reader that went away meanwhile needs nothing.
            let _ = reader.send(bytes.into()).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No holder of the lock can panic between two changes that belong together.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn keep(&mut self, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(BACKLOG)..];
        let over = (self.backlog.len() + bytes.len()).saturating_sub(BACKLOG);
        self.backlog.drain(..over);
        self.backlog.extend(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_newest_bytes_are_kept_for_the_first_reader() {
        let hub = Hub::default();
        let bytes: Vec<u8> = (0..BACKLOG + 1000).map(|n| n as u8).collect();
        for chunk in bytes.chunks(777) {
            hub.pass(chunk).await;
        }
        let mut first = hub.attach();
        let mut second = hub.attach();
        assert_eq!(*first.recv().await.unwrap(), bytes[1000..]);
        hub.pass(b"now").await;
        assert_eq!(&*first.recv().await.unwrap(), b"now");
        assert_eq!(&*second.recv().await.unwrap(), b"now");
        drop(first);
        hub.pass(b"later").await;
        assert_eq!(&*second.recv().await.unwrap(), b"later");
    }
}
