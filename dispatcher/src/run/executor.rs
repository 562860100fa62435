//! Runs the tree: order, deadlines, retries, cancellation, and what each action reports.

use super::Context;
use crate::actions;
use job::{CaseResult, Fault, FaultClass, Level, TestResult};
use plan::{Action, Plan, Retry};
use std::{future::Future, pin::Pin, time::Duration};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use wire::journal::{LogLevel, Record};

/// A fault and the innermost action it happened in.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What went wrong.
    pub fault: Fault,
    /// Where in the tree.
    pub level: Level,
    /// The action's name.
    pub action: String,
    /// Whether the job goes on with the next block all the same (`timeout: {skip: true}`).
    pub skip: bool,
}

/// Runs the actions of one plan.
pub struct Executor<'a> {
    context: &'a mut Context,
    cancel: &'a CancellationToken,
}

type Step<'f> = Pin<Box<dyn Future<Output = Result<(), Failure>> + 'f>>;

impl<'a> Executor<'a> {
    /// An executor; canceling `cancel` ends the running action with a fault.
    pub fn new(context: &'a mut Context, cancel: &'a CancellationToken) -> Self {
        Self { context, cancel }
    }

    /// Runs all actions but the last, which is `finalize` and runs whatever happens.
    pub async fn run(&mut self, plan: &Plan, deadline: Instant) -> Result<(), Failure> {
        for action in plan
            .actions
            .iter()
            .take(plan.actions.len().saturating_sub(1))
        {
            match self.action(action, deadline).await {
                Err(failure) if failure.skip => self.context.log.warning(format!(
                    "{} {}: {}; going on, as the job asks (timeout: skip)",
                    failure.level, failure.action, failure.fault
                )),
                other => other?,
            }
        }
        Ok(())
    }

    /// Runs one action with all inside it, within its own time and its parent's.
    pub fn action<'s>(&'s mut self, action: &'s Action, parent: Instant) -> Step<'s> {
        Box::pin(async move {
            let started = Instant::now();
            let deadline = parent.min(started + action.timeout);
            let allowed = deadline - started;
            self.context.log.record(Record::ActionStart {
                level: action.level.clone(),
                name: action.name.clone(),
                namespace: action.namespace.clone(),
                timeout: allowed,
            });
            let ended = timeout_at(deadline, self.inside(action, deadline)).await;
            let mut outcome = ended.unwrap_or_else(|_| Err(self.timed_out(action, allowed)));
            if let Err(failure) = &mut outcome {
                actions::interrupted(action, self.context);
                self.context.explain(action, &mut failure.fault);
            }
            self.report(action, started.elapsed(), outcome)
        })
    }

    async fn inside(&mut self, action: &Action, deadline: Instant) -> Result<Extra, Failure> {
        match action.retry {
            Some(retry) => self
                .repeat(action, retry, deadline)
                .await
                .map(|()| Extra::new()),
            None => self.once(action, deadline).await,
        }
    }

    async fn once(&mut self, action: &Action, deadline: Instant) -> Result<Extra, Failure> {
        let mut extra = self.step(action, deadline, When::Before).await?;
        for child in &action.children {
            self.action(child, deadline).await?;
        }
        if !action.children.is_empty() {
            extra.extend(self.step(action, deadline, When::After).await?);
        }
        Ok(extra)
    }

    async fn step(
        &mut self,
        action: &Action,
        deadline: Instant,
        when: When,
    ) -> Result<Extra, Failure> {
        let cancel = self.cancel;
        self.context.consoles.set_waiting_for(None);
        let run = async {
            match when {
                When::Before => actions::run(action, deadline, self.context).await,
                When::After => actions::after_children(action, self.context).await,
            }
        };
        let outcome = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(self.context.log.reason_to_stop()),
            outcome = run => outcome,
        };
        outcome.map_err(|fault| failure(action, fault))
    }

    /// LAVA's RetryAction: stop at the first success, or with `repeat` go on to the last.
    async fn repeat(
        &mut self,
        action: &Action,
        retry: Retry,
        deadline: Instant,
    ) -> Result<(), Failure> {
        for attempt in 1..=retry.attempts.max(1) {
            let last = attempt >= retry.attempts;
            match self.once(action, deadline).await {
                Ok(_) if retry.repeat && !last => {
                    let log = &self.context.log;
                    log.info(format!(
                        "{} {}: run {attempt} is over",
                        action.level, action.name
                    ));
                }
                Ok(_) => return Ok(()),
                Err(failure) => {
                    if failure.skip || !failure.fault.class.is_retryable() {
                        return Err(failure);
                    }
                    let too_late = Instant::now() + retry.interval >= deadline;
                    if too_late && !last {
                        self.context
                            .log
                            .warning("no time is left for another attempt");
                    }
                    let last = last || too_late;
                    self.context.log.record(Record::ActionRetry {
                        level: action.level.clone(),
                        name: action.name.clone(),
                        attempt,
                        attempts: if last { attempt } else { retry.attempts },
                        reason: failure.fault.message.clone(),
                    });
                    actions::clean_up(action, self.context).await;
                    if last {
                        return Err(failure);
                    }
                    self.pause(action, retry.interval).await?;
                }
            }
        }
        Ok(())
    }

    /// The pause between two attempts; the caller has checked that it ends before the deadline.
    async fn pause(&mut self, action: &Action, interval: Duration) -> Result<(), Failure> {
        let until = Instant::now() + interval;
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => {
                Err(failure(action, self.context.log.reason_to_stop()))
            }
            () = self.context.consoles.drain_until(until) => Ok(()),
        }
    }

    fn timed_out(&self, action: &Action, allowed: Duration) -> Failure {
        let class = action.on_timeout.class;
        let message = format!(
            "{} timed out after {} seconds",
            action.name,
            allowed.as_secs_f64().round()
        );
        let hint = if allowed < action.timeout {
            "no more was left of the time of its block, or of the job: raise that `timeout`"
                .to_owned()
        } else {
            format!(
                "if that is too short, set it in the job: timeouts: {{actions: {{{}: {{minutes: N}}}}}}",
                action.name
            )
        };
        let mut fault = Fault::new(class, message)
            .with_timeout(allowed)
            .with_hint(hint);
        fault.waited_for = self.context.consoles.waiting_for().map(str::to_owned);
        Failure {
            skip: action.on_timeout.skip,
            ..failure(action, fault)
        }
    }

    fn report(
        &mut self,
        action: &Action,
        duration: Duration,
        outcome: Result<Extra, Failure>,
    ) -> Result<(), Failure> {
        let log = &self.context.log;
        if let Err(failure) = &outcome {
            log.log(LogLevel::Exception, failure.fault.message.clone());
        }
        log.record(Record::ActionEnd {
            level: action.level.clone(),
            name: action.name.clone(),
            namespace: action.namespace.clone(),
            duration,
            ok: outcome.is_ok(),
        });
        let extra = match &outcome {
            Ok(extra) => extra.clone(),
            Err(failure) => fail_extra(&failure.fault),
        };
        if !extra.is_empty() {
            log.record(Record::Result(CaseResult {
                definition: "lava".to_owned(),
                case: action.name.clone(),
                result: if outcome.is_ok() {
                    TestResult::Pass
                } else {
                    TestResult::Fail
                },
                namespace: Some(action.namespace.clone()),
                level: Some(action.level.clone()),
                duration: Some(duration),
                extra,
                ..CaseResult::default()
            }));
        }
        log.commit();
        outcome.map(|_| ())
    }
}

/// LAVA's `extra` of a result: what an action tells beside pass or fail.
pub type Extra = serde_json::Map<String, serde_json::Value>;

#[derive(Clone, Copy)]
enum When {
    Before,
    After,
}

fn fail_extra(fault: &Fault) -> Extra {
    Extra::from_iter([("fail".to_owned(), fault.message.clone().into())])
}

fn failure(action: &Action, fault: Fault) -> Failure {
    Failure {
        fault,
        level: action.level.clone(),
        action: action.name.clone(),
        skip: false,
    }
}

/// Whether LAVA would count the fault against the health of the device.
pub fn is_lab_fault(class: FaultClass) -> bool {
    matches!(
        class,
        FaultClass::Infrastructure | FaultClass::Configuration | FaultClass::Bug
    )
}
