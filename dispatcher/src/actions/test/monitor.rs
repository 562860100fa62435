//! Test blocks with `monitors`: results printed by a board that nobody types into.

use crate::{
    actions::{StepRun, compile, group},
    expect::Found,
    run::{Context, Extra},
};
use job::{CaseResult, Fault, TestResult};
use plan::step::{Monitor, MonitorEntry};
use wire::journal::Record;

/// Runs the monitors one after the other.
pub async fn run(
    step: &StepRun<'_>,
    monitor: &Monitor,
    context: &mut Context,
) -> Result<Extra, Fault> {
    for entry in &monitor.monitors {
        watch(step, entry, context).await?;
    }
    Ok(Extra::new())
}

async fn watch(
    step: &StepRun<'_>,
    entry: &MonitorEntry,
    context: &mut Context,
) -> Result<(), Fault> {
    let namespace = step.console_namespace();
    let suite = entry.name.to_lowercase().replace(' ', "-");
    let start = compile(&[entry.start.as_str()])?;
    step.log_wait(&[&entry.start], context);
    context
        .consoles
        .wait(namespace, step.wait(&start, &[&entry.start]))
        .await?;
    context
        .log
        .info(format!("ok: start pattern found for {suite}"));

    let mut seen = Vec::new();
    let expected = [entry.end.as_str(), entry.pattern.as_str()];
    let patterns = compile(&expected)?;
    loop {
        let found = context
            .consoles
            .wait(namespace, step.wait(&patterns, &expected))
            .await?;
        if found.index == 0 {
            context
                .log
                .info(format!("ok: end pattern found for {suite}"));
            break;
        }
        match result(&suite, entry, &found) {
            Ok(result) => {
                seen.push(result.case.clone());
                context.log.record(Record::Result(result));
            }
            Err(problem) => context.log.error(problem),
        }
    }
    for case in entry
        .expected
        .iter()
        .flatten()
        .filter(|case| !seen.contains(case))
    {
        context
            .log
            .warning(format!("'{case}' was expected, but did not come: it fails"));
        context.log.record(Record::Result(CaseResult {
            definition: suite.clone(),
            case: case.clone(),
            result: TestResult::Fail,
            reason: Some("expected, but the board did not report it".to_owned()),
            ..CaseResult::default()
        }));
    }
    Ok(())
}

/// One match as a result. Without a `result` group, a measurement counts as passed (LAVA 2026.07).
fn result(suite: &str, entry: &MonitorEntry, found: &Found) -> Result<CaseResult, String> {
    let case = group(found, "test_case_id").ok_or("the pattern found no test_case_id")?;
    let case = normalised(&case);
    let measurement = match group(found, "measurement") {
        Some(text) => Some(text.trim().parse::<f64>().map_err(|_| {
            format!("'{case}' has the measurement '{text}', which is not a number")
        })?),
        None => None,
    };
    let result = match group(found, "result") {
        Some(word) => {
            let fixed = entry.fixup.iter().find(|(from, _)| *from == word);
            let word = fixed.map_or(&word, |(_, to)| to);
            TestResult::parse(word).ok_or_else(|| {
                format!("'{case}' has the result '{word}'; fixupdict must map it to LAVA's words")
            })?
        }
        None if measurement.is_some() => TestResult::Pass,
        None => return Err(format!("'{case}' has neither a result nor a measurement")),
    };
    let unexpected = entry
        .expected
        .as_ref()
        .is_some_and(|expected| !expected.contains(&case));
    Ok(CaseResult {
        definition: suite.to_owned(),
        result: if unexpected { TestResult::Fail } else { result },
        reason: unexpected.then(|| "not in the list of expected cases".to_owned()),
        measurement,
        units: group(found, "units"),
        case,
        has_lines: true,
        ..CaseResult::default()
    })
}

/// Lower case, and whatever is not part of a word as one underscore.
fn normalised(id: &str) -> String {
    let mut name = String::with_capacity(id.len());
    for character in id.to_lowercase().chars() {
        if character.is_alphanumeric() || character == '_' {
            name.push(character);
        } else if !name.ends_with('\u{0}') {
            name.push('\u{0}');
        }
    }
    name.replace('\u{0}', "_")
}

#[cfg(test)]
mod tests {
    use super::normalised;

    #[test]
    fn other_characters_become_one_underscore() {
        assert_eq!(
            normalised("1 - Measure time |\r\n | switching"),
            "1_measure_time_switching"
        );
        assert_eq!(normalised("plain_name"), "plain_name");
    }
}
