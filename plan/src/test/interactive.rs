//! Scripts typed at the console.

use crate::{
    Step,
    builder::{Builder, Planned, Spec},
    step::{Interactive, InteractiveFailure, InteractiveScript, InteractiveStep},
};
use job::{
    FaultClass,
    definition::{self, InteractiveCommand},
};

pub(super) fn plan(
    builder: &mut Builder<'_, '_>,
    scripts: &[definition::InteractiveScript],
    stage: u32,
) -> Planned {
    let multinode = scripts
        .iter()
        .flat_map(|script| &script.commands)
        .find_map(|command| command.multinode.as_deref());
    let step = match multinode {
        Some(request) => Step::Unsupported {
            what: format!("`{request}` in an interactive test"),
        },
        None => Step::Interactive(Box::new(interactive(builder, scripts, stage))),
    };
    let outer = Spec::group("lava-test-interactive-retry").retrying();
    builder.nest(outer, |builder| {
        builder.add(
            Spec::new("lava-test-interactive", step)
                .on_timeout(FaultClass::Test)
                .skippable(),
        );
        Ok(())
    })
}

fn interactive(
    builder: &Builder<'_, '_>,
    scripts: &[definition::InteractiveScript],
    stage: u32,
) -> Interactive {
    let facts = builder.view().facts;
    Interactive {
        scripts: scripts.iter().map(script).collect(),
        stage,
        substitutions: vec![
            ("SERVER_IP".to_owned(), facts.dispatcher_ip.clone()),
            ("JOB_ID".to_owned(), facts.job_id.to_string()),
        ],
        character_delay: builder.device().character_delays.test,
    }
}

fn script(script: &definition::InteractiveScript) -> InteractiveScript {
    InteractiveScript {
        name: script.name.clone(),
        prompts: script.prompts.clone(),
        discard_echo: script.discard_echo,
        expected: script.expected.clone(),
        steps: script.commands.iter().map(command).collect(),
    }
}

fn command(command: &InteractiveCommand) -> InteractiveStep {
    InteractiveStep {
        name: command.name.clone(),
        command: command.command.clone(),
        successes: command.successes.clone(),
        failures: command
            .failures
            .iter()
            .map(|failure| InteractiveFailure {
                message: failure.message.clone(),
                exception: failure.exception,
                error: failure.error.clone(),
            })
            .collect(),
        wait_for_prompt: command.wait_for_prompt,
        delay: command.delay,
    }
}
