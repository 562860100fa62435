//! `pumice power models`

use crate::{
    cli::{ModelsArguments, TableFormat},
    exit::{Exit, Stop},
    lab, table,
};
use hal::power::models::{Model, Models, Tested};
use serde_json::{Value, json};
use std::io::Write;

pub(crate) fn main(arguments: &ModelsArguments) -> Result<Exit, Stop> {
    let of_lab = lab::read_if_any(&arguments.lab)?;
    let models = match &of_lab {
        Some(lab) => lab.models(),
        None => &Models::built_in().map_err(|error| lab::bad(&error))?,
    };
    let text = match arguments.format {
        TableFormat::Json => {
            let list: Vec<Value> = models.iter().map(describe).collect();
            format!("{:#}\n", Value::from(list))
        }
        TableFormat::Text => {
            let heading = ["MODEL", "FAMILY", "READS BACK", "DESCRIPTION"].map(str::to_owned);
            let mut rows = vec![heading.to_vec()];
            rows.extend(models.iter().map(row));
            table::layout(&rows)
        }
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(Exit::Complete)
}

fn row(model: &Model) -> Vec<String> {
    let reads = if model.reads_back() { "yes" } else { "no" };
    vec![
        model.name.clone(),
        model.family.name.to_owned(),
        reads.to_owned(),
        model.description.clone(),
    ]
}

fn describe(model: &Model) -> Value {
    let (how, with) = match &model.tested {
        Tested::Program(with) => ("program", with),
        Tested::Emulated(with) => ("emulated", with),
        Tested::Bytes(with) => ("bytes", with),
    };
    json!({
        "name": model.name,
        "aliases": model.aliases,
        "family": model.family.name,
        "description": model.description,
        "reads_back": model.reads_back(),
        "tested": {"how": how, "with": with},
    })
}
