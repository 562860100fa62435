//! What a test definition says, read from its YAML.

use super::quote;
use job::Fault;
use std::path::PathBuf;
use yaml::{Map, Node, Value};

/// A test definition that has been fetched into the overlay.
#[derive(Clone, Debug, PartialEq)]
pub struct FetchedDefinition {
    /// The directory of the test in the overlay on this host.
    pub directory: PathBuf,
    /// The definition.
    pub document: Node,
    /// The commit that was checked out, for those from git.
    pub commit_id: Option<String>,
    /// How to find results in what the tests print, when the definition says.
    pub pattern: Option<Pattern>,
    /// Test cases the definition expects; those of the job go before them.
    pub expected: Option<Vec<String>>,
}

/// How to find results in what the tests print.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// In Python's syntax, with the groups `test_case_id`, `result`, `measurement` and `units`.
    pub pattern: String,
    /// Maps words of the output to LAVA's results.
    pub fixup: Vec<(String, String)>,
}

/// Something to clone into the directory of a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GitRepository {
    pub(super) url: String,
    pub(super) branch: Option<String>,
    pub(super) destination: String,
}

/// The part `install:` of a definition, without what the job skips.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Install {
    pub(super) keys: Vec<String>,
    pub(super) sources: Vec<String>,
    pub(super) packages: Vec<String>,
    pub(super) repositories: Vec<GitRepository>,
    pub(super) steps: Vec<String>,
}

/// The whole definition, which must be a map.
pub(super) fn root<'a>(document: &'a Node, name: &str) -> Result<&'a Map, Fault> {
    document.as_map().ok_or_else(|| {
        Fault::job(format!(
            "the test definition {name:?} is {}, not a map",
            document.value.kind()
        ))
        .with_hint("a test definition has the keys 'metadata' and 'run' at its top level")
    })
}

/// `parse:`, when it has a pattern.
pub(super) fn pattern(document: &Node) -> Option<Pattern> {
    let pattern = document.at(&["parse", "pattern"])?;
    if pattern.is_null() {
        return None;
    }
    let fixup = document
        .at(&["parse", "fixupdict"])
        .and_then(Node::as_map)
        .map(|map| {
            map.iter()
                .map(|(word, result)| (quote::python_str(word), quote::python_str(result)))
                .collect()
        })
        .unwrap_or_default();
    Some(Pattern {
        pattern: quote::python_str(pattern),
        fixup,
    })
}

/// `expected:`.
pub(super) fn expected(document: &Node) -> Option<Vec<String>> {
    let items = document.get("expected")?.as_sequence()?;
    Some(items.iter().map(quote::python_str).collect())
}

/// Default parameters: `params`, then `parameters`.
pub(super) fn parameters(document: &Node) -> Vec<(String, String)> {
    ["params", "parameters"]
        .iter()
        .filter_map(|key| document.get(key)?.as_map())
        .flat_map(Map::iter)
        .map(|(name, value)| (quote::python_str(name), quote::python_str(value)))
        .collect()
}

/// `run.steps`.
pub(super) fn run_steps(document: &Node, name: &str) -> Result<Vec<String>, Fault> {
    steps(document.at(&["run", "steps"]), name, "run.steps")
}

/// `install`, without the sections the job skips; `None` when the definition has none.
pub(super) fn install(
    document: &Node,
    name: &str,
    distribution: Option<&str>,
    skip: &[String],
    parameters: &[(String, String)],
) -> Result<Option<Install>, Fault> {
    let Some(section) = document.get("install").filter(|node| !node.is_null()) else {
        return Ok(None);
    };
    let Some(map) = section.as_map() else {
        return Err(Fault::job(format!(
            "'install' of the test definition {name:?} is {}, not a map",
            section.value.kind()
        )));
    };
    let skipped = |key: &str| skip.iter().any(|entry| entry == key || entry == "all");
    let list = |key: &str| -> Vec<String> {
        if skipped(key) {
            return Vec::new();
        }
        map.get(key).map(strings).unwrap_or_default()
    };
    let mut packages = list("deps");
    if let Some(distribution) = distribution
        && !skipped("deps")
    {
        packages.extend(list(&format!("deps-{distribution}")));
    }
    let repositories = if skipped("git-repos") {
        Vec::new()
    } else {
        repositories(map, name, parameters)?
    };
    let steps = if skipped("steps") {
        Vec::new()
    } else {
        steps(map.get("steps"), name, "install.steps")?
    };
    Ok(Some(Install {
        keys: list("keys"),
        sources: list("sources"),
        packages,
        repositories,
        steps,
    }))
}

/// `git-repos`: a URL, or a map whose values may name parameters.
fn repositories(
    install: &Map,
    name: &str,
    parameters: &[(String, String)],
) -> Result<Vec<GitRepository>, Fault> {
    let Some(items) = install.get("git-repos").and_then(Node::as_sequence) else {
        return Ok(Vec::new());
    };
    let resolve = |text: String| {
        let named = parameters.iter().rev().find(|(key, _)| *key == text);
        named.map_or(text.clone(), |(_, value)| value.clone())
    };
    let field = |item: &Node, key: &str| {
        item.get(key)
            .filter(|node| !node.is_null())
            .map(|node| resolve(quote::python_str(node)))
    };
    items
        .iter()
        .map(|item| {
            let url = match &item.value {
                Value::String(url) => Some(url.clone()),
                _ => field(item, "url"),
            };
            let Some(url) = url else {
                return Err(Fault::job(format!(
                    "an entry of 'install.git-repos' of the test definition {name:?} has no URL"
                ))
                .with_hint(
                    "write a URL, or a map with 'url' and perhaps 'branch', 'destination'",
                ));
            };
            let destination = field(item, "destination").unwrap_or_else(|| base_name(&url));
            Ok(GitRepository {
                branch: field(item, "branch"),
                destination,
                url,
            })
        })
        .collect()
}

/// The directory `git clone` would make.
fn base_name(url: &str) -> String {
    let url = url.trim_end_matches('/');
    let name = url.rsplit(['/', ':']).next().unwrap_or(url);
    name.strip_suffix(".git").unwrap_or(name).to_owned()
}

/// A list of texts, or a single one.
fn strings(node: &Node) -> Vec<String> {
    match &node.value {
        Value::Null => Vec::new(),
        Value::Sequence(items) => items.iter().map(quote::python_str).collect(),
        _ => vec![quote::python_str(node)],
    }
}

/// Lines of shell. What YAML took for something else is written as its author meant it, or
/// refused where nobody can tell.
fn steps(node: Option<&Node>, name: &str, key: &str) -> Result<Vec<String>, Fault> {
    let Some(node) = node.filter(|node| !node.is_null()) else {
        return Ok(Vec::new());
    };
    let single = std::slice::from_ref(node);
    let items = node.as_sequence().unwrap_or(single);
    items
        .iter()
        .enumerate()
        .map(|(index, item)| match &item.value {
            Value::String(text) => Ok(text.clone()),
            // The commands `true` and `false`.
            Value::Bool(truth) => Ok(truth.to_string()),
            Value::Null => Ok(String::new()),
            Value::Int(_) | Value::Float(_) | Value::Timestamp(_) => Ok(quote::python_str(item)),
            other => Err(Fault::job(format!(
                "step {} of '{key}' of the test definition {name:?} is {}, not a command",
                index + 1,
                other.kind()
            ))
            .with_hint("quote the step: YAML takes 'word: text' for a map")),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(entries: Vec<(&str, Value)>) -> Value {
        let mut map = Map::new();
        for (key, value) in entries {
            map.insert(key, value);
        }
        map.into()
    }

    #[test]
    fn repositories_may_name_parameters() {
        let install_section = map(vec![(
            "git-repos",
            vec![
                Value::from("https://example.org/tools.git"),
                map(vec![
                    ("url", "REPO".into()),
                    ("branch", "BRANCH".into()),
                    ("destination", "there".into()),
                ]),
            ]
            .into(),
        )]);
        let document = Node::from(map(vec![("install", install_section)]));
        let parameters = [
            ("REPO".to_owned(), "https://example.org/a".to_owned()),
            ("BRANCH".to_owned(), "old".to_owned()),
            ("BRANCH".to_owned(), "new".to_owned()),
        ];
        let install = install(&document, "t", None, &[], &parameters)
            .unwrap()
            .unwrap();
        assert_eq!(install.repositories[0].destination, "tools");
        assert_eq!(install.repositories[1].url, "https://example.org/a");
        assert_eq!(install.repositories[1].branch.as_deref(), Some("new"));
        assert_eq!(install.repositories[1].destination, "there");
    }

    #[test]
    fn skipped_sections_are_left_out() {
        let install_section = map(vec![
            ("deps", vec![Value::from("a")].into()),
            ("deps-debian", vec![Value::from("b")].into()),
            ("steps", vec![Value::from("make")].into()),
        ]);
        let document = Node::from(map(vec![("install", install_section)]));
        let with = |skip: &[&str]| {
            let skip: Vec<String> = skip.iter().map(|&key| key.to_owned()).collect();
            install(&document, "t", Some("debian"), &skip, &[])
                .unwrap()
                .unwrap()
        };
        assert_eq!(with(&[]).packages, ["a", "b"]);
        assert!(with(&["deps"]).packages.is_empty());
        assert_eq!(with(&["deps"]).steps, ["make"]);
        assert_eq!(with(&["all"]), Install::default());
    }

    #[test]
    fn a_step_that_yaml_takes_for_a_map_is_refused_with_its_number() {
        let steps = vec![Value::from(true), map(vec![("echo a", "b".into())])];
        let document = Node::from(map(vec![("run", map(vec![("steps", steps.into())]))]));
        let fault = run_steps(&document, "smoke").unwrap_err();
        assert!(fault.message.contains("step 2"), "{fault}");
        assert!(fault.hint.unwrap().contains("quote"));
    }
}
