//! What the tests of this crate share.
#![allow(dead_code, reason = "each test uses its part")]

use serde_json::{Value, json};
use std::{collections::BTreeMap, io::Write, process::Stdio};
use templates::{Device, Error, Renderer, Scheduled};

/// Templates of one rendering, and what they are rendered with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Case {
    /// Name and text; `main` is rendered.
    pub(crate) templates: BTreeMap<String, String>,
    /// The job's context.
    pub(crate) context: BTreeMap<String, Value>,
}

impl Case {
    /// A single template.
    pub(crate) fn new(main: &str) -> Self {
        Self::default().with("main", main)
    }

    /// Adds a template.
    pub(crate) fn with(mut self, name: &str, text: &str) -> Self {
        self.templates.insert(name.to_owned(), text.to_owned());
        self
    }

    /// Adds a variable of the context.
    pub(crate) fn set(mut self, name: &str, value: Value) -> Self {
        self.context.insert(name.to_owned(), value);
        self
    }

    /// What we make of it.
    pub(crate) fn render(&self) -> Result<String, Error> {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in &self.templates {
            fs_err::write(directory.path().join(name), text).unwrap();
        }
        let mut context = yaml::Map::new();
        for (name, value) in &self.context {
            context.insert(name.as_str(), node(value));
        }
        Renderer::new()
            .with_directory(directory.path())
            .render(Device::Template("main"), &context, Scheduled::default())
            .map(|rendered| rendered.text)
    }
}

/// What Jinja2 makes of the cases; `None`, loudly, where there is no Jinja2.
#[expect(
    clippy::disallowed_methods,
    reason = "the oracle is a plain child of this test"
)]
pub(crate) fn jinja2(cases: &[Case]) -> Option<Vec<Result<String, String>>> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/oracle.py");
    let python = |arguments: &[&str]| {
        std::process::Command::new("python3")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
    };
    let is_there = python(&["-c", "import jinja2.sandbox, yaml"])
        .and_then(|child| child.wait_with_output())
        .is_ok_and(|output| output.status.success());
    if !is_there {
        eprintln!("SKIPPED: python3 with jinja2 and yaml is not installed; nothing was compared");
        return None;
    }
    let input: Vec<Value> = cases
        .iter()
        .map(|case| json!({"templates": case.templates, "main": "main", "context": case.context}))
        .collect();
    let mut child = python(&[script]).unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let text = serde_json::to_vec(&input).unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&text).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(
        output.status.success(),
        "the oracle failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let replies: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let reply = |reply: &Value| match reply["text"].as_str() {
        Some(text) => Ok(text.to_owned()),
        None => Err(reply["error"].as_str().unwrap_or_default().to_owned()),
    };
    Some(replies.iter().map(reply).collect())
}

/// JSON as YAML.
pub(crate) fn node(value: &Value) -> yaml::Node {
    match value {
        Value::Null => yaml::Value::Null.into(),
        Value::Bool(truth) => yaml::Value::from(*truth).into(),
        Value::Number(number) => match number.as_i64() {
            Some(number) => yaml::Value::from(number).into(),
            None => yaml::Value::from(number.as_f64().unwrap()).into(),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => yaml::Value::Sequence(items.iter().map(node).collect()).into(),
        Value::Object(entries) => {
            let mut map = yaml::Map::new();
            for (key, value) in entries {
                map.insert(key.as_str(), node(value));
            }
            yaml::Value::Mapping(map).into()
        }
    }
}
