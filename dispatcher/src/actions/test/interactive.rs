//! Test blocks with `interactive`: type commands, judge what comes back.

use crate::{
    actions::{StepRun, compile, quoted},
    expect::Found,
    run::{Context, Extra},
};
use job::{CaseResult, Fault, TestResult};
use plan::step::{Interactive, InteractiveScript, InteractiveStep};
use std::time::Duration;
use tokio::time::Instant;
use wire::journal::Record;

/// How long a console is waited for to be quiet before the first command.
const SETTLING: Duration = Duration::from_secs(1);

/// Runs all scripts of the block; a fault ends the job, a failed case does not.
pub async fn run(
    step: &StepRun<'_>,
    interactive: &Interactive,
    context: &mut Context,
) -> Result<Extra, Fault> {
    let namespace = step.console_namespace();
    context
        .consoles
        .set_character_delay(namespace, interactive.character_delay);
    let mut session = Session {
        step,
        substitutions: interactive.substitutions.clone(),
        suite: String::new(),
        cases: Vec::new(),
        typed: false,
    };
    for script in &interactive.scripts {
        let started = Instant::now();
        session.suite = format!("{}_{}", interactive.stage, script.name);
        session.cases.clear();
        let outcome = session.script(script, context).await;
        session.report_missing(script, context);
        session.report_suite(outcome.is_ok(), started.elapsed(), context);
        outcome?;
    }
    Ok(Extra::new())
}

struct Session<'a> {
    step: &'a StepRun<'a>,
    substitutions: Vec<(String, String)>,
    suite: String,
    cases: Vec<String>,
    /// Whether a command was typed already.
    typed: bool,
}

/// What a command came to.
struct Verdict {
    ok: bool,
    /// Why not, when it did not.
    message: String,
    fault: Option<Fault>,
}

impl Session<'_> {
    async fn script(
        &mut self,
        script: &InteractiveScript,
        context: &mut Context,
    ) -> Result<(), Fault> {
        for command in &script.steps {
            let verdict = self.command(script, command, context).await?;
            if let Some(name) = &command.name {
                self.report_case(script, name, verdict.ok, context);
            }
            match verdict {
                Verdict {
                    fault: Some(fault), ..
                } => return Err(fault),
                Verdict {
                    ok: false, message, ..
                } if command.name.is_none() => {
                    return Err(Fault::test(message));
                }
                _ => {}
            }
        }
        Ok(())
    }

    async fn command(
        &mut self,
        script: &InteractiveScript,
        command: &InteractiveStep,
        context: &mut Context,
    ) -> Result<Verdict, Fault> {
        let namespace = self.step.console_namespace();
        if !command.delay.is_zero() {
            context.log.debug(format!(
                "Waiting {} s before the command",
                command.delay.as_secs()
            ));
            context
                .consoles
                .drain_until(Instant::now() + command.delay)
                .await;
        }
        if let Some(text) = &command.command {
            let text = self.substitute(text);
            if !std::mem::replace(&mut self.typed, true) {
                // The prompt of what ran before this block may still be on its way.
                let until = (Instant::now() + SETTLING).min(self.step.deadline);
                context.consoles.drain_until_quiet(until).await;
            }
            context.consoles.forget_pending(namespace);
            context.consoles.send_line(namespace, &text).await?;
            if script.discard_echo {
                let echo = compile(&[r"\r?\n"])?;
                context
                    .consoles
                    .wait(namespace, self.step.wait(&echo, &["the echo"]))
                    .await?;
            }
        }
        let prompts = script.prompts.iter();
        let failures = command.failures.iter().map(|failure| &failure.message);
        let expected: Vec<&str> = prompts
            .chain(failures)
            .chain(&command.successes)
            .map(String::as_str)
            .collect();
        let patterns = compile(&expected)?;
        self.step.log_wait(&expected, context);
        let found = context
            .consoles
            .wait(namespace, self.step.wait(&patterns, &expected))
            .await?;
        let verdict = self.judge(script, command, &found, expected[found.index]);
        if found.index >= script.prompts.len() && command.wait_for_prompt {
            let prompts: Vec<&str> = script.prompts.iter().map(String::as_str).collect();
            let patterns = compile(&prompts)?;
            context
                .consoles
                .wait(namespace, self.step.wait(&patterns, &prompts))
                .await?;
        }
        Ok(verdict)
    }

    fn judge(
        &mut self,
        script: &InteractiveScript,
        command: &InteractiveStep,
        found: &Found,
        matched: &str,
    ) -> Verdict {
        let prompts = script.prompts.len();
        if found.index < prompts {
            let ok = command.successes.is_empty();
            let message = format!(
                "a prompt came, but none of the messages {}",
                quoted(
                    &command
                        .successes
                        .iter()
                        .map(String::as_str)
                        .collect::<Vec<_>>()
                )
            );
            return Verdict {
                ok,
                message,
                fault: None,
            };
        }
        if let Some(failure) = command.failures.get(found.index - prompts) {
            let text = failure.error.clone();
            let message = text.unwrap_or_else(|| format!("'{matched}' matched: a failure"));
            let fault = failure
                .exception
                .map(|class| Fault::new(class, message.clone()));
            return Verdict {
                ok: false,
                message,
                fault,
            };
        }
        let groups = found.groups.iter();
        self.substitutions.extend(
            groups.map(|(name, bytes)| (name.clone(), String::from_utf8_lossy(bytes).into_owned())),
        );
        Verdict {
            ok: true,
            message: String::new(),
            fault: None,
        }
    }

    fn substitute(&self, command: &str) -> String {
        // The newest value of a name wins.
        self.substitutions
            .iter()
            .rev()
            .fold(command.to_owned(), |text, (name, value)| {
                text.replace(&format!("{{{name}}}"), value)
            })
    }

    fn report_case(&mut self, script: &InteractiveScript, name: &str, ok: bool, context: &Context) {
        let unexpected = script
            .expected
            .as_ref()
            .is_some_and(|expected| !expected.iter().any(|case| case == name));
        if unexpected {
            context
                .log
                .warning(format!("'{name}' is not in the expected list: it fails"));
        }
        self.cases.push(name.to_owned());
        context.log.record(Record::Result(CaseResult {
            definition: self.suite.clone(),
            case: name.to_owned(),
            result: result_of(ok && !unexpected),
            reason: unexpected.then(|| "not in the list of expected cases".to_owned()),
            ..CaseResult::default()
        }));
    }

    fn report_missing(&self, script: &InteractiveScript, context: &Context) {
        for case in script
            .expected
            .iter()
            .flatten()
            .filter(|case| !self.cases.contains(case))
        {
            context
                .log
                .warning(format!("'{case}' was expected, but did not run: it fails"));
            context.log.record(Record::Result(CaseResult {
                definition: self.suite.clone(),
                case: case.clone(),
                result: TestResult::Fail,
                reason: Some("expected, but it did not run".to_owned()),
                ..CaseResult::default()
            }));
        }
    }

    fn report_suite(&self, ok: bool, duration: Duration, context: &Context) {
        context.log.record(Record::Result(CaseResult {
            definition: "lava".to_owned(),
            case: self.suite.clone(),
            result: result_of(ok),
            duration: Some(duration),
            ..CaseResult::default()
        }));
    }
}

fn result_of(ok: bool) -> TestResult {
    if ok {
        TestResult::Pass
    } else {
        TestResult::Fail
    }
}
