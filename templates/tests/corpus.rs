//! Devices of real labs against what LAVA made of them.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[cfg(test)]
mod support;

use reference_data::reference_data;
use std::{collections::BTreeMap, path::Path};
use templates::{Device, Renderer, Scheduled};

fn load(path: &Path) -> yaml::Node {
    let text = fs_err::read_to_string(path).unwrap();
    yaml::load(&text, &yaml::Limits::default())
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Each recorded device: its file, and a job it was rendered for.
fn pairs(corpus: &Path) -> BTreeMap<String, (String, String)> {
    let text = fs_err::read_to_string(corpus.join("index.json")).unwrap();
    let index: Vec<BTreeMap<String, String>> = serde_json::from_str(&text).unwrap();
    index
        .into_iter()
        .map(|pair| {
            let part = |key: &str| pair[key].clone();
            (part("rendered"), (part("device"), part("job")))
        })
        .collect()
}

#[test]
fn devices_render_as_lava_renders_them() {
    let Some(corpus) = reference_data("corpus") else {
        return;
    };
    let renderer = Renderer::new()
        .with_directory(corpus.join("devices"))
        .with_directory(corpus.join("device-types"));
    let (mut same_text, mut same_yaml, mut different) = (0, 0, Vec::new());
    let pairs = pairs(&corpus);
    for (recorded, (device, job)) in &pairs {
        let job = load(&corpus.join("jobs").join(job));
        let none = yaml::Map::new();
        let context = job
            .get("context")
            .and_then(yaml::Node::as_map)
            .unwrap_or(&none);
        let ours = renderer
            .render(Device::Template(device), context, Scheduled::default())
            .unwrap_or_else(|error| panic!("{device}: {error}"));
        let path = corpus.join("rendered").join(recorded);
        if ours.text == fs_err::read_to_string(&path).unwrap() {
            same_text += 1;
        } else if yaml::load(&ours.text, &yaml::Limits::default()).ok() == Some(load(&path)) {
            same_yaml += 1;
        } else {
            different.push(recorded.as_str());
        }
    }
    println!(
        "{} devices: {same_text} the same text, {same_yaml} the same YAML, {} different",
        pairs.len(),
        different.len()
    );
    assert_eq!(different, Vec::<&str>::new());
    // All are the same to the byte; a difference in the text alone would be a surprise too.
    assert_eq!((same_text, same_yaml), (pairs.len(), 0));
    assert!(same_text > 0);
}
