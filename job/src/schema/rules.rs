//! Rules about a job that no single key tells.

use super::{
    job,
    shape::{Checker, UNITS, join},
    test,
};
use std::collections::BTreeMap;
use yaml::{Map, Node};

/// Checks the job as a whole. Whatever has the wrong shape was reported already.
pub(super) fn check(checker: &mut Checker, definition: &Node) {
    let blocks = blocks(checker, definition);
    check_device_type(checker, definition);
    check_priority(checker, definition);
    check_limits(checker, definition, &blocks);
    check_namespaces(checker, &blocks);
    check_roles(checker, definition, &blocks);
    check_notify(checker, definition);
    for block in &blocks {
        check_block(checker, block);
    }
}

/// One block of `actions`.
struct Block<'a> {
    keyword: &'a str,
    path: String,
    key: &'a Node,
    node: &'a Node,
}

fn blocks<'a>(checker: &mut Checker, job: &'a Node) -> Vec<Block<'a>> {
    let mut blocks = Vec::new();
    let Some(actions) = job.get("actions") else {
        return blocks;
    };
    let items = actions.as_sequence().unwrap_or_default();
    if items.is_empty() && actions.as_sequence().is_some() {
        checker.report("actions", actions.span, "there is no action");
    }
    for (index, item) in items.iter().enumerate() {
        let path = format!("actions[{index}]");
        let Some(map) = item.as_map() else {
            continue;
        };
        if map.len() != 1 {
            let hint = "begin each block with its own `-`";
            checker.report_with_hint(&path, item.span, "an action is a map with one key", hint);
        }
        blocks.extend(map.iter().filter_map(|(key, node)| {
            let keyword = key.as_str()?;
            job::ACTIONS.iter().find(|action| action.name == keyword)?;
            Some(Block {
                keyword,
                path: join(&path, keyword),
                key,
                node,
            })
        }));
    }
    blocks
}

fn multinode(job: &Node) -> Option<&Node> {
    job.at(&["protocols", "lava-multinode"])
}

/// The roles of a MultiNode job as it is submitted, `None` for any other job.
fn submitted_roles(job: &Node) -> Option<&Map> {
    let roles = multinode(job)?.get("roles")?.as_map()?;
    // In the job of one role they are job ids with their roles.
    roles
        .iter()
        .all(|(_, role)| role.as_map().is_some())
        .then_some(roles)
}

fn check_device_type(checker: &mut Checker, job: &Node) {
    let Some(map) = job.as_map() else {
        return;
    };
    if submitted_roles(job).is_some() {
        for key in ["device_type", "environment", "context", "tags"] {
            if let Some((name, _)) = map.get_entry(key) {
                let message = format!("a MultiNode job has no {key:?} of its own");
                let hint = format!(
                    "move it to the roles below {:?}",
                    "protocols.lava-multinode"
                );
                checker.report_with_hint(key, name.span, message, hint);
            }
        }
    } else if multinode(job).is_none() && !map.contains("device_type") {
        checker.report("", job.span, format!("{:?} is missing", "device_type"));
    }
}

fn check_priority(checker: &mut Checker, job: &Node) {
    let Some(priority) = job.get("priority") else {
        return;
    };
    let is_in_range = |number| (0..=100).contains(&number);
    if priority.as_str().is_none() && !priority.as_i64().is_some_and(is_in_range) {
        let message = "a priority is high, medium, low, or a number from 0 to 100";
        checker.report("priority", priority.span, message);
    }
}

/// No part of a job may take longer than the job.
fn check_limits(checker: &mut Checker, job: &Node, blocks: &[Block<'_>]) {
    let Some(timeouts) = job.get("timeouts") else {
        return;
    };
    let Some(whole) = timeouts
        .get("job")
        .and_then(seconds)
        .filter(|whole| *whole > 0)
    else {
        return;
    };
    let mut limits: Vec<(String, &Node)> = ["action", "connection"]
        .iter()
        .filter_map(|key| Some((format!("timeouts.{key}"), timeouts.get(key)?)))
        .collect();
    let named = |path: String, map: Option<&'_ Node>| -> Vec<(String, Node)> {
        let entries = map.and_then(Node::as_map).into_iter().flat_map(Map::iter);
        entries
            .filter_map(|(key, limit)| Some((join(&path, key.as_str()?), limit.clone())))
            .collect()
    };
    let mut nested = Vec::new();
    for key in ["actions", "connections"] {
        nested.extend(named(format!("timeouts.{key}"), timeouts.get(key)));
    }
    for block in blocks {
        let limit = block.node.get("timeout");
        limits.extend(limit.map(|limit| (format!("{}.timeout", block.path), limit)));
        nested.extend(named(
            format!("{}.timeouts", block.path),
            block.node.get("timeouts"),
        ));
    }
    limits.extend(nested.iter().map(|(path, limit)| (path.clone(), limit)));
    for (path, limit) in limits {
        if seconds(limit).is_some_and(|limit| limit > whole) {
            let message = "it is longer than the time limit of the job";
            checker.report_with_hint(&path, limit.span, message, "raise `timeouts.job`");
        }
    }
}

/// The seconds of a time limit with one unit.
fn seconds(limit: &Node) -> Option<i64> {
    UNITS
        .iter()
        .find_map(|(unit, seconds)| limit.get(unit)?.as_i64()?.checked_mul(*seconds))
}

/// Either all blocks name a namespace or none does.
fn check_namespaces(checker: &mut Checker, blocks: &[Block<'_>]) {
    let has_namespace = |block: &Block<'_>| block.node.get("namespace").is_some();
    if blocks.iter().any(has_namespace) {
        for block in blocks.iter().filter(|block| !has_namespace(block)) {
            let message = "it names no namespace, but other blocks of the job do";
            let hint = "either all blocks have a namespace or none has";
            checker.report_with_hint(&block.path, block.key.span, message, hint);
        }
    }
    for block in blocks {
        let Some(namespace) = block.node.get("namespace") else {
            continue;
        };
        if let Some(name @ ("common" | "docker-test-shell")) = namespace.as_str() {
            let path = format!("{}.namespace", block.path);
            checker.report(
                &path,
                namespace.span,
                format!("the namespace {name:?} is reserved"),
            );
        }
    }
}

/// Every block of a MultiNode job says for which of its roles it is.
fn check_roles(checker: &mut Checker, job: &Node, blocks: &[Block<'_>]) {
    let Some(roles) = submitted_roles(job) else {
        return;
    };
    let known: Vec<&str> = roles.iter().filter_map(|(role, _)| role.as_str()).collect();
    for block in blocks {
        let Some(role) = block.node.get("role") else {
            let message = "it has no role, and the job is a MultiNode job";
            let hint = format!("add `role:` with some of {}", known.join(", "));
            checker.report_with_hint(&block.path, block.key.span, message, hint);
            continue;
        };
        let one = std::slice::from_ref(role);
        for role in role.as_sequence().unwrap_or(one) {
            let Some(name) = role.as_str().filter(|name| !known.contains(name)) else {
                continue;
            };
            let message = format!("there is no role {name:?}");
            let hint = format!("the job has {}", known.join(", "));
            checker.report_with_hint(&format!("{}.role", block.path), role.span, message, hint);
        }
    }
}

fn check_notify(checker: &mut Checker, job: &Node) {
    let Some(notify) = job.get("notify").and_then(Node::as_map) else {
        return;
    };
    if let (true, Some((key, _))) = (notify.contains("callback"), notify.get_entry("callbacks")) {
        let message = "there is a \"callback\" too";
        let hint = "keep one of them";
        checker.report_with_hint("notify.callbacks", key.span, message, hint);
    }
}

fn check_block(checker: &mut Checker, block: &Block<'_>) {
    let Some(map) = block.node.as_map() else {
        return;
    };
    if let (true, Some((key, _))) = (map.contains("failure_retry"), map.get_entry("repeat")) {
        let message = "\"repeat\" and \"failure_retry\" exclude each other";
        checker.report(&block.path, key.span, message);
    }
    match block.keyword {
        "deploy" => check_deploy(checker, block, map),
        "boot" => check_login(checker, block),
        "test" => check_test(checker, block, map),
        _ => {}
    }
}

fn check_deploy(checker: &mut Checker, block: &Block<'_>, map: &Map) {
    let nfs = map.get_entry("persistent_nfs");
    if let (true, Some((key, _))) = (map.contains("nfsrootfs"), nfs) {
        let message = "\"nfsrootfs\" and \"persistent_nfs\" exclude each other";
        checker.report(&block.path, key.span, message);
    }
}

fn check_login(checker: &mut Checker, block: &Block<'_>) {
    let Some(login) = block.node.get("auto_login") else {
        return;
    };
    if login.get("password_prompt").is_some() && login.get("password").is_none() {
        let path = format!("{}.auto_login", block.path);
        let message = "there is a \"password_prompt\" but no \"password\"";
        checker.report(&path, login.span, message);
    }
}

fn check_test(checker: &mut Checker, block: &Block<'_>, map: &Map) {
    let kinds: Vec<&str> = test::KINDS
        .iter()
        .map(|kind| kind.name)
        .filter(|kind| map.contains(kind))
        .collect();
    if kinds.is_empty() {
        let message = "it says nothing to test";
        let hint = "add definitions, interactive, monitors or services";
        checker.report_with_hint(&block.path, block.key.span, message, hint);
    } else if kinds.len() > 1 {
        let message = format!("{} exclude each other", kinds.join(" and "));
        let hint = "make a test block of each";
        checker.report_with_hint(&block.path, block.key.span, message, hint);
    }
    let definitions = block.node.get("definitions").and_then(Node::as_sequence);
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, definition) in definitions.unwrap_or_default().iter().enumerate() {
        let path = format!("{}.definitions[{index}]", block.path);
        check_definition(checker, &path, definition);
        let Some(name) = definition.get("name") else {
            continue;
        };
        if let Some(first) = name.as_str().and_then(|text| names.insert(text, index)) {
            let message = format!("definitions[{first}] has the same name");
            let hint = "results of both could not be told apart";
            checker.report_with_hint(&format!("{path}.name"), name.span, message, hint);
        }
    }
}

fn check_definition(checker: &mut Checker, path: &str, definition: &Node) {
    let (Some(from), Some(repository)) = (definition.get("from"), definition.get("repository"))
    else {
        return;
    };
    let is_written_here = repository.as_map().is_some();
    match from.as_str() {
        Some("inline") if !is_written_here => {
            let message = "an inline definition is a map";
            let hint = "write the definition itself here, with `metadata` and `run`";
            checker.report_with_hint(&join(path, "repository"), repository.span, message, hint);
        }
        Some("git" | "url") if is_written_here => {
            let message = "it is written here, but \"from\" says it is elsewhere";
            let hint = "use `from: inline`";
            checker.report_with_hint(&join(path, "repository"), repository.span, message, hint);
        }
        _ => {}
    }
    let is_shallow = definition.get("shallow").and_then(Node::as_bool) == Some(true);
    if let (true, Some(revision)) = (is_shallow, definition.get("revision")) {
        let message = "a shallow clone may not have the revision";
        let hint = "leave out `shallow`";
        checker.report_with_hint(&join(path, "revision"), revision.span, message, hint);
    }
}
