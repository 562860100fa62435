//! Prints formats of which nothing may be left out: plain, lava, json.
//!
//! The runner appends to a queue of bounded size, a thread writes it. When the queue is full the
//! runner waits as long as the reader takes something; when it takes nothing for
//! [`PATIENCE`], what has no room is left out and counted, so that a reader that
//! hangs cannot keep a board powered.

use super::outlet::{Outlet, PATIENCE, Watch, outlet};
use std::{
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

/// What waits to be written at most. As much again may be on its way.
const ROOM: usize = 1 << 20;

#[derive(Default)]
struct Queue {
    waiting: Vec<u8>,
    /// Whether the thread sleeps.
    idle: bool,
    /// No more will come.
    closed: bool,
    /// Nobody reads any more.
    gone: bool,
    /// The reader took nothing for [`PATIENCE`].
    stalled: bool,
    left_out: u64,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    filled: Condvar,
    emptied: Condvar,
}

/// Takes what is to be printed. Clones print to the same place.
#[derive(Clone)]
pub(super) struct Printer {
    shared: Arc<Shared>,
    watch: Arc<Watch>,
}

impl Printer {
    /// Starts to print on standard output.
    pub(super) fn start() -> Self {
        let shared = Arc::new(Shared::default());
        let (outlet, watch) = outlet();
        let theirs = Arc::clone(&shared);
        // Without a thread nothing is printed; the job and its files are what matters.
        let started = thread::Builder::new()
            .name("printer".to_owned())
            .spawn(move || write_all(&theirs, outlet));
        if started.is_err() {
            lock(&shared.queue).gone = true;
        }
        Self {
            shared,
            watch: Arc::new(watch),
        }
    }

    /// Prints something that makes sense as a whole, such as some lines.
    pub(super) fn print(&self, bytes: &[u8]) {
        let mut queue = lock(&self.shared.queue);
        if queue.gone || bytes.is_empty() {
            return;
        }
        if !has_room(&queue, bytes) {
            queue = self.wait_for_room(queue, bytes);
        }
        if queue.gone || !has_room(&queue, bytes) {
            queue.left_out += 1;
            return;
        }
        queue.waiting.extend_from_slice(bytes);
        if queue.idle {
            self.shared.filled.notify_one();
        }
    }

    fn wait_for_room<'q>(
        &self,
        mut queue: MutexGuard<'q, Queue>,
        bytes: &[u8],
    ) -> MutexGuard<'q, Queue> {
        while !queue.gone && !queue.stalled && !has_room(&queue, bytes) {
            let before = self.watch.written();
            let waited = self.shared.emptied.wait_timeout(queue, PATIENCE);
            let (guard, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            queue = guard;
            queue.stalled = timeout.timed_out() && self.watch.written() == before;
        }
        queue
    }

    /// Waits until everything is written. Gives how many pieces were left out.
    pub(super) fn finish(&self) -> u64 {
        lock(&self.shared.queue).closed = true;
        self.shared.filled.notify_one();
        self.watch.wait();
        lock(&self.shared.queue).left_out
    }
}

fn has_room(queue: &Queue, bytes: &[u8]) -> bool {
    queue.waiting.is_empty() || queue.waiting.len() + bytes.len() <= ROOM
}

/// The thread.
fn write_all(shared: &Shared, mut outlet: Outlet) {
    let mut taken = Vec::new();
    loop {
        let mut queue = lock(&shared.queue);
        while queue.waiting.is_empty() && !queue.closed {
            queue.idle = true;
            let woken = shared.filled.wait(queue);
            queue = woken.unwrap_or_else(PoisonError::into_inner);
        }
        queue.idle = false;
        queue.stalled = false;
        if queue.waiting.is_empty() {
            return;
        }
        mem::swap(&mut taken, &mut queue.waiting);
        drop(queue);
        shared.emptied.notify_one();
        if outlet.write(&taken).is_err() {
            let mut queue = lock(&shared.queue);
            queue.gone = true;
            queue.waiting = Vec::new();
            shared.emptied.notify_one();
            return;
        }
        taken.clear();
    }
}

/// A thread that panicked leaves a queue that is as good as before.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
