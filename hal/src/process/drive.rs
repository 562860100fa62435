//! Following a process to its end: output, deadline, kill.

use super::{Running, running::KILL_GRACE};
use crate::{error::HalError, sys};
use rustix::process::Signal;
use std::{
    future::{Future, poll_fn},
    io,
    os::fd::OwnedFd,
    process::ExitStatus,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    time::{Instant, sleep_until},
};

const CHUNK: usize = 64 * 1024;

/// What an ended process may have left in its pipes: their capacity (unprivileged maximum).
const DRAIN_LIMIT: usize = 1 << 20;

/// The reading end of a pipe.
pub(super) struct Pipe(AsyncFd<OwnedFd>);

impl Pipe {
    pub(super) fn new(descriptor: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&descriptor, true)?;
        sys::watch(descriptor, Interest::READABLE).map(Self)
    }

    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.0.poll_read_ready(cx))?;
            match rustix::io::read(self.0.get_ref(), &mut *buffer) {
                Err(rustix::io::Errno::AGAIN) => guard.clear_ready(),
                Err(rustix::io::Errno::INTR) => {}
                result => return Poll::Ready(Ok(result?)),
            }
        }
    }
}

enum Event {
    Data { stream: usize, length: usize },
    Exited(ExitStatus),
    Deadline,
}

/// Follows `running` until it ends and passes its output to `take`. `None`: it had to be killed
/// because the deadline passed. An error of `take` kills it.
pub(super) async fn drive(
    mut running: Running,
    mut pipes: [Option<Pipe>; 2],
    grace: Duration,
    deadline: Instant,
    mut take: impl FnMut(usize, &[u8]) -> Result<(), HalError>,
) -> Result<Option<ExitStatus>, HalError> {
    let mut buffer = vec![0; CHUNK];
    let mut timer = std::pin::pin!(sleep_until(deadline));
    let mut escalation = [(Signal::TERM, grace), (Signal::KILL, KILL_GRACE)].into_iter();
    let mut in_time = true;
    loop {
        let event = poll_fn(|cx| {
            // The end comes first: a leftover that never stops printing must not hide it.
            if let Poll::Ready(ended) = running.poll_exited(cx) {
                return Poll::Ready(ended.map(Event::Exited));
            }
            if timer.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ok(Event::Deadline));
            }
            poll_pipes(&mut pipes, &mut buffer, cx).map(Ok)
        });
        match event.await? {
            Event::Data { stream, length } => take(stream, &buffer[..length])?,
            Event::Exited(status) => {
                drain(&mut pipes, &mut buffer, &mut take)?;
                return Ok(in_time.then_some(status));
            }
            Event::Deadline => {
                in_time = false;
                let Some((signal, patience)) = escalation.next() else {
                    return Ok(None);
                };
                running.signal(signal);
                timer.as_mut().reset(Instant::now() + patience);
            }
        }
        // A command that prints without end must not keep the runtime from its timers.
        tokio::task::consume_budget().await;
    }
}

fn poll_pipes(
    pipes: &mut [Option<Pipe>; 2],
    buffer: &mut [u8],
    cx: &mut Context<'_>,
) -> Poll<Event> {
    for (stream, slot) in pipes.iter_mut().enumerate() {
        let Some(pipe) = slot else { continue };
        match pipe.poll_read(cx, buffer) {
            Poll::Ready(Ok(0) | Err(_)) => *slot = None,
            Poll::Ready(Ok(length)) => return Poll::Ready(Event::Data { stream, length }),
            Poll::Pending => {}
        }
    }
    Poll::Pending
}

/// Takes what an ended process left in its pipes. It does not wait for their end: a leftover may
/// hold them open.
fn drain(
    pipes: &mut [Option<Pipe>; 2],
    buffer: &mut [u8],
    take: &mut impl FnMut(usize, &[u8]) -> Result<(), HalError>,
) -> Result<(), HalError> {
    for (stream, pipe) in pipes.iter().enumerate() {
        let Some(pipe) = pipe else { continue };
        let mut drained = 0;
        while drained < DRAIN_LIMIT {
            match rustix::io::read(pipe.0.get_ref(), &mut *buffer) {
                Ok(0) => break,
                Ok(length) => {
                    take(stream, &buffer[..length])?;
                    drained += length;
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => break,
            }
        }
    }
    Ok(())
}
