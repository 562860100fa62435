//! How far a transfer has come, and the thread that takes its bytes.

use crate::download::{
    OnProgress, Progress,
    cache::{Partial, Validator},
    failure::Failure,
    sink::{Chunk, OutputPlan, QUEUE, Sink, Source, Written},
};
use tempfile::TempPath;
use tokio::sync::mpsc;

/// How far a transfer from one server has come.
#[derive(Default)]
pub(super) struct State {
    pub(super) partial: Option<Partial>,
    pub(super) sink: Option<(Sink, mpsc::Sender<Chunk>)>,
    /// Bytes the sink has got, those of an earlier transfer included.
    pub(super) received: u64,
    pub(super) validator: Validator,
    pub(super) total: Option<u64>,
    /// Whether bytes of an earlier transfer are among them.
    pub(super) continued: bool,
}

impl State {
    /// Where to go on, and what vouches for it being the same file. Without a strong validator
    /// only a declared digest can tell afterwards, so that `needs_validator` is false.
    pub(super) fn offset(&self, needs_validator: bool) -> Option<(u64, Validator)> {
        let (offset, validator) = match &self.sink {
            Some(_) => (self.received, self.validator.clone()),
            None => self.partial.as_ref()?.resumable()?,
        };
        (offset > 0 && (validator.strong().is_some() || !needs_validator))
            .then_some((offset, validator))
    }

    /// Starts the thread that writes.
    pub(super) fn begin(
        &mut self,
        plan: &OutputPlan,
        offset: u64,
        validator: Validator,
        total: Option<u64>,
        progress: &mut OnProgress<'_>,
    ) -> Result<(), Failure> {
        if offset == 0
            && let Some(partial) = &mut self.partial
            && let Err(error) = partial.begin(&validator)
        {
            progress(Progress::Note(format!(
                "not using the download cache: {error}"
            )));
            self.partial = None;
        }
        let file = || self.partial.as_ref().map(Partial::file).transpose();
        let failed = |error| Failure::Read {
            path: plan.destination.clone(),
            error,
        };
        let ahead = file().map_err(failed)?.filter(|_| offset > 0);
        let keep = file().map_err(failed)?;
        let (sender, chunks) = mpsc::channel(QUEUE);
        let source = Source::Queue {
            ahead: ahead.map(|file| (file, offset)),
            chunks,
        };
        let sink = plan.start(source, keep, total)?;
        self.sink = Some((sink, sender));
        self.received = offset;
        self.validator = validator;
        self.total = total;
        progress(Progress::Started { total });
        if offset > 0 {
            progress(Progress::Advanced {
                done: offset,
                total,
            });
        }
        Ok(())
    }

    pub(super) async fn feed(&mut self, chunk: bytes::Bytes) -> Result<(), Failure> {
        let sent = match &self.sink {
            Some((_, sender)) => sender.send(Chunk::Data(chunk)).await.is_ok(),
            None => false,
        };
        if sent {
            return Ok(());
        }
        // The thread only ends before its input does when it failed.
        match self.finish().await {
            Ok(_) => Err(Failure::Worker),
            Err(failure) => Err(failure),
        }
    }

    pub(super) async fn finish(&mut self) -> Result<(Written, TempPath), Failure> {
        let (sink, sender) = self.sink.take().ok_or(Failure::Worker)?;
        // When the thread failed already it does not listen; its failure comes below.
        let _ = sender.send(Chunk::End).await;
        drop(sender);
        sink.finish().await
    }

    /// Back to the first byte, with nothing kept.
    pub(super) async fn restart(&mut self) {
        if let Some((sink, sender)) = self.sink.take() {
            drop(sender);
            sink.abort().await;
        }
        if let Some(partial) = &mut self.partial
            && partial.discard().is_err()
        {
            self.partial = None;
        }
        self.received = 0;
        self.continued = false;
        self.validator = Validator::default();
        self.total = None;
    }
}
