//! `pumice plan JOB`

use crate::{
    cli::{PlanArguments, PlanFormat},
    exit::{Exit, Stop},
    input, message,
};
use std::io::Write;

pub(crate) fn main(arguments: &PlanArguments) -> Result<Exit, Stop> {
    let planned = input::plan(&arguments.job, &arguments.device)?;
    if let Some(problems) = &planned.problems {
        message::warning(&format!("this job cannot succeed\n{problems}"));
    }
    let text = match arguments.format {
        PlanFormat::Tree => plan::render_tree(&planned.plan),
        PlanFormat::Json => format!("{:#}\n", plan::describe(&planned.plan)),
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(Exit::Complete)
}
