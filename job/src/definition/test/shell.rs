//! Definitions of lava-test-shell, as jobs list them.

use crate::{Problem, document::Cursor};
use std::collections::BTreeMap;
use yaml::{Span, Value};

/// One entry of `definitions`.
#[derive(Clone, Debug, PartialEq)]
pub struct TestDefinition {
    /// Its name: the suite is `<index>_<name>`.
    pub name: String,
    /// The file, relative to its source.
    pub path: String,
    /// Where it comes from.
    pub source: DefinitionSource,
    /// `parameters` and `params`, in this order.
    pub parameters: Vec<(String, String)>,
    /// Sections of `install` to leave out.
    pub skip_install: Vec<String>,
    /// `lava-signal: kmsg`: signals go through the kernel's log.
    pub use_kmsg: bool,
    /// Test cases the job expects.
    pub expected: Option<Vec<String>>,
    /// Where it stands.
    pub span: Span,
    /// Where it stands: `actions[2].test.definitions[0]`.
    pub location: String,
}

/// Where a test definition comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum DefinitionSource {
    /// `from: inline`: written in the job.
    Inline(Value),
    /// `from: git`.
    Git(GitSource),
    /// `from: url`: an archive.
    Url(UrlSource),
}

/// A git repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitSource {
    /// Its URL.
    pub repository: String,
    /// The branch.
    pub branch: Option<String>,
    /// The commit.
    pub revision: Option<String>,
    /// Whether `.git` stays.
    pub history: bool,
    /// Whether submodules are fetched.
    pub recursive: bool,
    /// Whether only the newest commit is fetched; not for a given revision unless asked for.
    pub shallow: bool,
}

/// An archive at a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlSource {
    /// Its URL.
    pub repository: String,
    /// How it is compressed.
    pub compression: Option<String>,
    /// Leading directories to drop.
    pub strip_components: u32,
    /// Further request headers.
    pub headers: BTreeMap<String, String>,
}

impl TestDefinition {
    pub(super) fn read(entry: &Cursor<'_>, problems: &mut Vec<Problem>) -> Option<Self> {
        let from = entry.require("from", problems)?.text(problems)?;
        let source = match from.as_str() {
            "inline" => {
                let document = entry.require("repository", problems)?;
                DefinitionSource::Inline(document.node().value.clone())
            }
            "git" => DefinitionSource::Git(GitSource::read(entry, problems)?),
            "url" => DefinitionSource::Url(UrlSource::read(entry, problems)?),
            _ => {
                problems.push(
                    entry
                        .problem(format!("tests cannot come from `{from}`"))
                        .with_hint("`from` is `inline`, `git` or `url`"),
                );
                return None;
            }
        };
        let mut parameters = Vec::new();
        for key in ["parameters", "params"] {
            if let Some(values) = entry.get(key) {
                parameters.extend(values.text_entries(problems));
            }
        }
        Some(Self {
            name: entry.require("name", problems)?.text(problems)?,
            path: entry.require("path", problems)?.text(problems)?,
            source,
            parameters,
            skip_install: entry.texts_at("skip_install", problems),
            use_kmsg: entry
                .get("lava-signal")
                .is_some_and(|signal| signal.node().as_str() == Some("kmsg")),
            expected: entry
                .set("expected")
                .map(|expected| expected.texts(problems)),
            span: entry.node().span,
            location: entry.path().to_owned(),
        })
    }
}

impl GitSource {
    fn read(entry: &Cursor<'_>, problems: &mut Vec<Problem>) -> Option<Self> {
        let revision = entry.text_at("revision", problems);
        Some(Self {
            repository: entry.require("repository", problems)?.text(problems)?,
            branch: entry.text_at("branch", problems),
            history: entry.flag("history", true),
            recursive: entry.flag("recursive", false),
            shallow: entry.flag("shallow", revision.is_none()),
            revision,
        })
    }
}

impl UrlSource {
    fn read(entry: &Cursor<'_>, problems: &mut Vec<Problem>) -> Option<Self> {
        Some(Self {
            repository: entry.require("repository", problems)?.text(problems)?,
            compression: entry.text_at("compression", problems),
            strip_components: entry
                .set("strip-components")
                .and_then(|count| count.count(problems))
                .unwrap_or(0),
            headers: entry
                .get("headers")
                .map_or_else(Vec::new, |headers| headers.text_entries(problems))
                .into_iter()
                .collect(),
        })
    }
}
