//! What tests find in their environment.

use crate::{job_view::JobView, step::HelperValues};
use job::document::python_str;
use yaml::{Int, Map, Node, Value};

/// The lines of the overlay's `environment`, in LAVA's order: name and value, quoted for a shell.
pub(crate) fn variables(view: &JobView<'_>) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let device = view.device;
    for (key, value) in device.environment.iter() {
        flatten(&python_str(&key.value), value, &mut out);
    }
    for (prefix, list) in [
        ("LAVA_DEVICE_INFO", &device.device_info),
        ("LAVA_STATIC_INFO", &device.static_info),
        ("LAVA_STORAGE_INFO", &device.storage_info),
    ] {
        for (index, entry) in list.iter().enumerate() {
            flatten_map(&format!("{prefix}_{index}"), entry, &mut out);
        }
    }
    for (key, value) in job_environment(view) {
        flatten(&python_str(&key.value), value, &mut out);
    }
    let facts = view.facts;
    for (name, value) in [
        ("LAVA_JOB_ID", facts.job_id.as_str()),
        ("LAVA_DISPATCHER_IP", &facts.dispatcher_ip),
        ("LAVA_JOB_TAGS", &view.definition.tags.join(",")),
        ("LAVA_DISPATCHER_PREFIX", &facts.prefix),
        ("LAVA_DEVICE_HOSTNAME", &device.hostname),
        ("LAVA_DEVICE_TYPE", &device.device_type),
    ] {
        out.push((name.to_owned(), quote(value)));
    }
    if let Some(cache) = &facts.dispatcher.http_url_format_string {
        out.push(("HTTP_CACHE".to_owned(), quote(cache)));
    }
    out
}

/// The job's environment; that of the role in a MultiNode job.
fn job_environment<'a>(view: &JobView<'a>) -> impl Iterator<Item = (&'a Node, &'a Node)> {
    let multinode = view
        .is_multinode()
        .then(|| view.definition.protocols.get("lava-multinode"))
        .flatten()
        .map(|protocol| protocol.get("environment").and_then(Node::as_map));
    match multinode {
        Some(environment) => environment.into_iter().flat_map(Map::iter),
        None => Some(&view.definition.environment)
            .into_iter()
            .flat_map(Map::iter),
    }
}

/// Values that helpers on the device print.
pub(crate) fn helper_values(view: &JobView<'_>) -> HelperValues {
    let device = view.device;
    let target = |key: &str| {
        device
            .at(&["parameters", "interfaces", "target", key])
            .and_then(|value| value.as_text())
            .unwrap_or_default()
    };
    let probe = |key: &str| {
        device
            .static_info
            .iter()
            .find_map(|entry| entry.get(key))
            .map(|value| python_str(&value.value))
            .unwrap_or_default()
    };
    HelperValues {
        target_mac: target("mac"),
        target_ip: target("ip"),
        probe_ip: probe("probe_ip"),
        probe_channel: probe("probe_channel"),
        storage: device
            .storage_info
            .iter()
            .flat_map(Map::iter)
            .map(|(method, place)| (python_str(&method.value), python_str(&place.value)))
            .collect(),
    }
}

fn flatten(name: &str, value: &Node, out: &mut Vec<(String, String)>) {
    let text = match &value.value {
        Value::Mapping(map) => return flatten_map(name, map, out),
        Value::Sequence(items) | Value::Set(items) => {
            for (index, item) in items.iter().enumerate() {
                flatten(&format!("{name}_{index}"), item, out);
            }
            return;
        }
        Value::Bool(truth) => i32::from(*truth).to_string(),
        Value::Int(Int::Small(number)) => number.to_string(),
        Value::Int(Int::Big(number)) => number.to_string(),
        // LAVA fails on these; an empty variable is what the author of the template meant.
        Value::Null => quote(""),
        other => quote(&python_str(other)),
    };
    out.push((name.to_owned(), text));
}

fn flatten_map(name: &str, map: &Map, out: &mut Vec<(String, String)>) {
    for (key, value) in map.iter() {
        flatten(&format!("{name}_{}", python_str(&key.value)), value, out);
    }
}

/// A text as one word of a POSIX shell, in the form of Python's `shlex.quote`.
pub(crate) fn quote(text: &str) -> String {
    let plain =
        |character: char| character.is_ascii_alphanumeric() || "@%+=:,./-_".contains(character);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\"'\"'"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_as_python_does() {
        for (text, quoted) in [
            ("", "''"),
            ("a-b_c/d.e:f,g@h%i+j=k", "a-b_c/d.e:f,g@h%i+j=k"),
            ("two words", "'two words'"),
            ("it's", "'it'\"'\"'s'"),
            ("naïve", "'naïve'"),
            ("~", "'~'"),
        ] {
            assert_eq!(quote(text), quoted);
        }
    }

    #[test]
    fn flattens_nested_values() {
        let mut map = Map::new();
        map.insert("a", Value::from(vec![Value::from(1), Value::from("x y")]));
        map.insert("b", Value::from(true));
        map.insert("c", Value::Null);
        let mut out = Vec::new();
        flatten_map("P", &map, &mut out);
        let lines: Vec<_> = out.iter().map(|(n, v)| format!("{n}={v}")).collect();
        assert_eq!(lines, ["P_a_0=1", "P_a_1='x y'", "P_b=1", "P_c=''"]);
    }
}
