//! What is told about a test definition: in results, in the log and to the test itself.

use super::{FetchedDefinition, quote};
use plan::step::{DefinitionSource, ShellDefinition};
use serde_json::{Map, Value};

/// Fields of a result's `extra`.
pub type Extra = Map<String, Value>;

/// What the results of all three actions of a test tell.
pub(super) fn extra(test: &ShellDefinition) -> Extra {
    let (from, repository) = match &test.source {
        DefinitionSource::Inline { .. } => ("inline", None),
        DefinitionSource::Git { repository, .. } => ("git", Some(repository)),
        DefinitionSource::Url { repository, .. } => ("url", Some(repository)),
    };
    let mut extra = Extra::new();
    for (key, value) in [
        ("uuid", &test.uuid),
        ("name", &test.name),
        ("path", &test.path),
    ] {
        extra.insert(key.to_owned(), value.clone().into());
    }
    extra.insert("from".to_owned(), from.into());
    if let Some(repository) = repository {
        extra.insert("repository".to_owned(), repository.clone().into());
    }
    extra
}

/// `testdef_metadata`: what the tests can tell about their definition.
pub(super) fn metadata(test: &ShellDefinition, fetched: &FetchedDefinition) -> yaml::Value {
    let mut map = yaml::Map::new();
    for key in ["os", "devices", "environment"] {
        let value = fetched.document.at(&["metadata", key]);
        map.insert(key, value.cloned().unwrap_or_default());
    }
    let branch = match &test.source {
        DefinitionSource::Inline { .. } => "inline",
        DefinitionSource::Git { .. } => "git",
        DefinitionSource::Url { .. } => "url",
    };
    map.insert("branch_vcs", branch);
    let project = fetched
        .document
        .at(&["metadata", "name"])
        .map_or_else(|| test.name.clone(), quote::python_str);
    map.insert("project_name", yaml::Value::from(project));
    if let Some(commit) = &fetched.commit_id {
        map.insert("commit_id", yaml::Value::from(commit.clone()));
    }
    map.into()
}

/// The pattern as LAVA logs it.
pub(super) fn pattern_text(document: &yaml::Node) -> String {
    let Some(parse) = document.get("parse").filter(|node| node.is_truthy()) else {
        return "None".to_owned();
    };
    format!(
        "{{'testdef_pattern': {}}}",
        job::python::python_repr(&parse.value)
    )
}
