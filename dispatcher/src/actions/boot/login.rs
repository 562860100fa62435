//! `auto-login-action` and its `login-action`: the kernel starts, says something, and lets us in.

use crate::{
    actions::{StepRun, compile, quoted},
    expect::kernel::KernelMessage,
    run::{Context, Extra},
};
use job::{CaseResult, Fault, TestResult, python::text_repr};
use plan::step::{AutoLogin, Credentials};
use serde_json::json;
use wire::journal::Record;

const LOGIN_INCORRECT: &str = "Login incorrect";
const LOGIN_TIMED_OUT: &str = "Login timed out";

/// Waits for the kernel to start, and for the bootloader's error messages.
pub async fn wait_for_kernel(
    step: &StepRun<'_>,
    login: &AutoLogin,
    context: &mut Context,
) -> Result<Extra, Fault> {
    let namespace = step.console_namespace();
    context
        .consoles
        .set_character_delay(namespace, login.character_delay);
    if login.wait_for_boot && !login.kernel_start_message.is_empty() {
        let mut expected = vec![login.kernel_start_message.as_str()];
        expected.extend(login.error_messages.iter().map(String::as_str));
        let patterns = compile(&expected)?;
        step.log_wait(&expected, context);
        let found = context
            .consoles
            .wait(namespace, step.wait(&patterns, &expected))
            .await?;
        if found.index != 0 {
            return Err(super::bootloader::failed(step, &expected, &found));
        }
    }
    if !login.ignore_kernel_messages {
        context.consoles.watch_kernel(namespace);
    }
    Ok(Extra::new())
}

/// Waits for a prompt while looking for kernel messages, and logs in when that is asked for.
pub async fn login(
    step: &StepRun<'_>,
    login: &AutoLogin,
    context: &mut Context,
) -> Result<Extra, Fault> {
    let namespace = step.console_namespace();
    warn_of_loose_prompts(login, context);
    let mut expected: Vec<&str> = login.prompts.iter().map(String::as_str).collect();
    let prompts = expected.len();
    expected.extend(login.failure_message.as_deref());
    if let Some(credentials) = &login.credentials {
        expected.extend([credentials.login_prompt.as_str(), LOGIN_INCORRECT]);
    }
    context.log.info("Parsing kernel messages");
    step.log_wait(&expected, context);
    let patterns = compile(&expected)?;
    let waited = context
        .consoles
        .wait_forcing_prompt(namespace, &patterns, &quoted(&expected), step.deadline)
        .await;
    let messages = context.consoles.take_kernel_messages(namespace);
    if !login.ignore_kernel_messages {
        report_kernel_messages(step, &messages, context);
    }
    if let Some(fatal) = messages.iter().find(|message| message.kind.is_fatal()) {
        return Err(Fault::job(fatal.text.lines().next().unwrap_or_default())
            .with_hint("the kernel stopped; the console shows what it did last"));
    }
    let found = waited?;
    context.log.debug(format!(
        "Matched prompt #{}: {}",
        found.index, expected[found.index]
    ));
    let matched = expected[found.index];
    if Some(matched) == login.failure_message.as_deref() && found.index >= prompts {
        return Err(Fault::job(format!("the boot failed: '{matched}'")));
    }
    // A prompt that comes without a login prompt means that somebody is logged in already.
    if let Some(credentials) = &login.credentials
        && found.index >= prompts
    {
        if matched == LOGIN_INCORRECT {
            return Err(refused(LOGIN_INCORRECT));
        }
        log_in(step, login, credentials, context).await?;
    }
    context.consoles.forget_boot(namespace);
    context.namespace(namespace).prompts = login.prompts.clone();
    Ok(extra_of(&messages))
}

async fn log_in(
    step: &StepRun<'_>,
    login: &AutoLogin,
    credentials: &Credentials,
    context: &mut Context,
) -> Result<(), Fault> {
    let namespace = step.console_namespace();
    context
        .log
        .debug(format!("Sending username {}", credentials.username));
    context
        .consoles
        .send_line(namespace, &credentials.username)
        .await?;
    if let Some((prompt, password)) = &credentials.password {
        wait_for_shell(step, login, Some(prompt), context).await?;
        context.log.debug("Sending password");
        context.consoles.send_line(namespace, password).await?;
    }
    wait_for_shell(step, login, None, context).await?;
    for command in &credentials.login_commands {
        context
            .log
            .debug(format!("Running login command: {command}"));
        context.consoles.send_line(namespace, command).await?;
        wait_for_shell(step, login, None, context).await?;
    }
    Ok(())
}

async fn wait_for_shell(
    step: &StepRun<'_>,
    login: &AutoLogin,
    password_prompt: Option<&str>,
    context: &mut Context,
) -> Result<(), Fault> {
    let mut expected: Vec<&str> = login.prompts.iter().map(String::as_str).collect();
    expected.extend(password_prompt);
    let good = expected.len();
    expected.extend([LOGIN_INCORRECT, LOGIN_TIMED_OUT]);
    step.log_wait(&expected, context);
    let patterns = compile(&expected)?;
    let found = context
        .consoles
        .wait_forcing_prompt(
            step.console_namespace(),
            &patterns,
            &quoted(&expected),
            step.deadline,
        )
        .await?;
    if found.index >= good {
        Err(refused(expected[found.index]))
    } else {
        Ok(())
    }
}

fn refused(message: &str) -> Fault {
    Fault::job(message).with_hint("check auto_login: username, password and password_prompt")
}

fn report_kernel_messages(step: &StepRun<'_>, messages: &[KernelMessage], context: &Context) {
    let fatal = messages.iter().any(|message| message.kind.is_fatal());
    let list: Vec<_> = messages
        .iter()
        .map(|message| json!({"kind": message.kind.as_str(), "message": message.text}))
        .collect();
    context.log.record(Record::Result(CaseResult {
        definition: "lava".to_owned(),
        case: "kernel-messages".to_owned(),
        result: if fatal {
            TestResult::Fail
        } else {
            TestResult::Pass
        },
        namespace: Some(step.action.namespace.clone()),
        level: Some(step.action.level.clone()),
        duration: Some(step.started.elapsed()),
        extra: Extra::from_iter([("extra".to_owned(), list.into())]),
        ..CaseResult::default()
    }));
}

fn extra_of(messages: &[KernelMessage]) -> Extra {
    let (key, value) = if messages.is_empty() {
        (
            "success",
            "No kernel warnings or errors detected.".to_owned(),
        )
    } else {
        (
            "warning",
            format!("{} kernel warnings or errors detected", messages.len()),
        )
    };
    Extra::from_iter([(key.to_owned(), value.into())])
}

/// A prompt that looks like a status message will match too early.
fn warn_of_loose_prompts(login: &AutoLogin, context: &Context) {
    for prompt in login
        .prompts
        .iter()
        .filter(|prompt| !prompt.contains(['\\', ':', '@', '#', '$']))
    {
        context.log.warning(format!(
            "The prompt {} has nothing that tells it from other output; it may match too early",
            text_repr(prompt)
        ));
    }
}
