//! Follows a running test: its signals, its patterns, its results.
//!
//! What is decided here stands in [`TestRun`], which is pure. This module reads the console, puts
//! records where they belong between the lines, and keeps the clocks.

use crate::{
    actions::StepRun,
    expect::{
        signal::Run,
        test_run::{Expected, NoteLevel, ParsePattern, RunDefinition, TestEvent, TestRun},
    },
    overlay::FetchedDefinition,
    run::{Context, JobLog, NamespaceState},
};
use job::{CaseResult, Fault, Namespace, TestResult};
use plan::step::{DefinitionSource, ShellDefinition, TestShell};
use serde_json::Value;
use std::{collections::HashMap, sync::Arc};
use tokio::time::Instant;
use wire::journal::{LogLevel, Record};

/// A test shell that runs.
pub(crate) struct Follower {
    test: TestRun,
    namespace: Namespace,
    stage: u32,
    started: HashMap<String, Instant>,
    installation_failed: bool,
    log: JobLog,
}

/// What the reader of the console has to do next.
enum Next {
    Read,
    Finished,
    Type(String),
    Fail(Fault),
}

/// Follows the runner on the device to its end.
///
/// When it is dropped, [`abandon`] must be called: a run without an end has failed.
pub(super) async fn follow(
    step: &StepRun<'_>,
    shell: &TestShell,
    context: &mut Context,
) -> Result<(), Fault> {
    let namespace = step.console_namespace();
    let definitions = definitions(shell, context.namespace(&step.action.namespace))?;
    let mut follower = Follower {
        test: TestRun::new(definitions),
        namespace: step.action.namespace.clone(),
        stage: shell.stage,
        started: HashMap::new(),
        installation_failed: false,
        log: context.log.clone(),
    };
    // It belongs to the context while it runs, so that an interruption can end it.
    loop {
        context.follower = Some(follower);
        let chunk = context.consoles.next_chunk(namespace).await?;
        let Some(running) = context.follower.take() else {
            return Err(Fault::bug("a test was ended while it was followed"));
        };
        follower = running;
        let mut rest: &[u8] = &chunk.bytes;
        while !rest.is_empty() {
            let (next, taken) = follower.read(rest, |bytes| {
                if !chunk.recorded {
                    context.consoles.record_bytes(namespace, bytes);
                }
            });
            rest = &rest[taken..];
            match next {
                Next::Read => {}
                Next::Type(line) => context.consoles.send_line(namespace, &line).await?,
                Next::Finished => {
                    context.consoles.give_back(namespace, rest, chunk.recorded);
                    return follower.finish();
                }
                Next::Fail(fault) => {
                    context.consoles.give_back(namespace, rest, chunk.recorded);
                    follower.abandon();
                    return Err(fault);
                }
            }
        }
    }
}

/// Ends a test that was interrupted: what is open has failed, what was expected is missing.
pub(crate) fn abandon(context: &mut Context) {
    if let Some(follower) = context.follower.take() {
        follower.abandon();
    }
}

impl Follower {
    /// Reads up to the first event that asks for something. `record` gets the bytes in order, before
    /// the records of what follows from them; the number says how many bytes that were.
    fn read(&mut self, bytes: &[u8], mut record: impl FnMut(&[u8])) -> (Next, usize) {
        let mut taken = 0;
        let mut events = Vec::new();
        while taken < bytes.len() {
            let rest = &bytes[taken..];
            let length = self
                .test
                .push_until_event(rest, &mut |event| events.push(event));
            record(&rest[..length]);
            taken += length;
            for event in events.drain(..) {
                match self.event(event) {
                    Next::Read => {}
                    next => return (next, taken),
                }
            }
        }
        (Next::Read, taken)
    }

    fn event(&mut self, event: TestEvent) -> Next {
        match event {
            TestEvent::Note(level, text) => self.log.log(log_level(level), text),
            TestEvent::Signal(signal) => self.log.record(Record::Signal(signal)),
            TestEvent::Result(result) => self.log.record(Record::Result(result)),
            TestEvent::RunStarted(run) => {
                self.started.insert(run.uuid, Instant::now());
            }
            TestEvent::RunEnded { run, result } => self.run_ended(&run, result),
            // All consoles of the job are read all the time.
            TestEvent::Feedback(_) => {}
            TestEvent::MultiNode { request, .. } => {
                self.log
                    .error(format!("{request}: this job has no other nodes"));
                return Next::Type(format!("<LAVA_{request}_COMPLETE nack>\n"));
            }
            TestEvent::InstallFailed => self.installation_failed = true,
            TestEvent::Finished => return Next::Finished,
            TestEvent::Raise(fault) => return Next::Fail(fault),
        }
        Next::Read
    }

    fn run_ended(&mut self, run: &Run, result: CaseResult) {
        let duration = self
            .started
            .remove(&run.uuid)
            .map(|started| started.elapsed());
        self.log.info(format!(
            "Ending test lava.{} ({}), duration {:.2}",
            run.name,
            run.uuid,
            duration.unwrap_or_default().as_secs_f64()
        ));
        self.log.record(Record::Result(CaseResult {
            duration,
            namespace: Some(self.namespace.clone()),
            ..result
        }));
    }

    fn finish(mut self) -> Result<(), Fault> {
        self.end();
        if !self.installation_failed {
            return Ok(());
        }
        self.log.record(Record::Result(CaseResult {
            definition: "lava".to_owned(),
            case: format!("stage_{}", self.stage),
            result: TestResult::Fail,
            ..CaseResult::default()
        }));
        Err(
            Fault::test("a test definition could not be installed on the device")
                .with_hint("the console shows what its install steps printed"),
        )
    }

    fn abandon(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let mut events = Vec::new();
        self.test.finish(&mut |event| events.push(event));
        for event in events {
            // Nobody is left to type to, and the fault that ends the test is known.
            self.event(event);
        }
    }
}

fn log_level(level: NoteLevel) -> LogLevel {
    match level {
        NoteLevel::Debug => LogLevel::Debug,
        NoteLevel::Info => LogLevel::Info,
        NoteLevel::Warning => LogLevel::Warning,
        NoteLevel::Error => LogLevel::Error,
        NoteLevel::Event => LogLevel::Event,
    }
}

fn definitions(shell: &TestShell, state: &NamespaceState) -> Result<Vec<RunDefinition>, Fault> {
    shell
        .definitions
        .iter()
        .map(|definition| run_definition(definition, state.definitions.get(&definition.index)))
        .collect()
}

fn run_definition(
    definition: &Arc<ShellDefinition>,
    fetched: Option<&FetchedDefinition>,
) -> Result<RunDefinition, Fault> {
    let pattern = fetched.and_then(|fetched| fetched.pattern.as_ref());
    let by_job = definition.expected.is_some();
    let expected = definition.expected.clone();
    let expected = expected.or_else(|| fetched.and_then(|fetched| fetched.expected.clone()));
    Ok(RunDefinition {
        run: Run {
            name: format!("{}_{}", definition.index, definition.name),
            uuid: definition.uuid.clone(),
        },
        fixups: pattern
            .map(|pattern| pattern.fixup.clone())
            .unwrap_or_default(),
        pattern: pattern
            .map(|pattern| ParsePattern::new(&pattern.pattern))
            .transpose()
            .map_err(|error| error.fault())?,
        expected: expected.map(|cases| Expected { cases, by_job }),
        fields: fields(definition, fetched),
    })
}

/// What the final record of a run tells of its definition.
fn fields(
    definition: &ShellDefinition,
    fetched: Option<&FetchedDefinition>,
) -> Vec<(String, Value)> {
    let (repository, revision) = match &definition.source {
        DefinitionSource::Inline { document } => (job::document::json(document), None),
        DefinitionSource::Git {
            repository,
            revision,
            ..
        } => (repository.clone().into(), revision.clone()),
        DefinitionSource::Url { repository, .. } => (repository.clone().into(), None),
    };
    let revision = revision.unwrap_or_else(|| "unspecified".to_owned());
    let mut fields = vec![
        ("repository".to_owned(), repository),
        ("path".to_owned(), definition.path.clone().into()),
        ("revision".to_owned(), revision.into()),
    ];
    if let Some(commit) = fetched.and_then(|fetched| fetched.commit_id.clone()) {
        fields.push(("commit_id".to_owned(), commit.into()));
    }
    fields
}
