//! Every tree of LAVA's own test data comes out the same.

#![allow(
    clippy::print_stdout,
    reason = "the counts and differences are what a failure is understood by"
)]

mod support;

use reference_data::reference_data;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::{Duration, Instant},
};
use yaml::Node;

/// How many trees must agree; raised as methods are added.
const AGREEING: usize = 856;

/// How many pairs that LAVA refuses must be refused.
const REFUSED: usize = 3805;

struct Corpus {
    jobs: BTreeMap<String, Node>,
    rendered: BTreeMap<String, Node>,
    pairs: Vec<Pair>,
    folder: std::path::PathBuf,
}

struct Pair {
    job: String,
    device: String,
    rendered: String,
    tree: String,
}

fn corpus() -> Option<Corpus> {
    let folder = reference_data("corpus")?;
    let index: Value = json(&folder.join("index.json"));
    let text = |entry: &Value, key: &str| entry[key].as_str().expect("a name").to_owned();
    let pairs: Vec<Pair> = index
        .as_array()
        .expect("a list")
        .iter()
        .map(|entry| Pair {
            job: text(entry, "job"),
            device: text(entry, "device"),
            rendered: text(entry, "rendered"),
            tree: text(entry, "tree"),
        })
        .collect();
    Some(Corpus {
        jobs: documents(&folder.join("jobs")),
        rendered: documents(&folder.join("rendered")),
        pairs,
        folder,
    })
}

fn json(path: &Path) -> Value {
    let text = fs_err::read_to_string(path).expect("a file of the corpus");
    serde_json::from_str(&text).expect("JSON")
}

fn documents(folder: &Path) -> BTreeMap<String, Node> {
    fs_err::read_dir(folder)
        .expect("a folder of the corpus")
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy();
            let text = fs_err::read_to_string(&path).expect("a file of the corpus");
            (name.into_owned(), support::load(&text))
        })
        .collect()
}

/// What a job asks for: `deploy:tmpfs`, `boot:qemu`, ….
fn methods(job: &Node) -> BTreeSet<String> {
    let actions = job.get("actions").and_then(Node::as_sequence);
    actions
        .unwrap_or_default()
        .iter()
        .filter_map(|action| {
            let (keyword, block) = action.as_map()?.iter().next()?;
            let keyword = keyword.as_str()?;
            let method = ["to", "method"]
                .iter()
                .find_map(|key| block.get(key)?.as_str());
            let kinds = [
                "docker",
                "definitions",
                "interactive",
                "monitors",
                "services",
            ];
            let kind = kinds.iter().find(|kind| block.get(kind).is_some());
            Some(match (keyword, method, kind) {
                ("test", _, Some(kind)) => format!("test:{kind}"),
                (_, Some(method), _) => format!("{keyword}:{method}"),
                _ => keyword.to_owned(),
            })
        })
        .collect()
}

#[test]
fn trees_are_those_of_lava() {
    let Some(corpus) = corpus() else { return };
    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut agreeing = 0;
    let mut shown = 0;
    for pair in &corpus.pairs {
        let job = &corpus.jobs[&pair.job];
        let expected = json(&corpus.folder.join("trees").join(&pair.tree));
        let result = support::plan_nodes(job, &corpus.rendered[&pair.rendered]);
        let agrees = match &result {
            Ok(plan) => plan::describe(plan) == expected,
            Err(_) => false,
        };
        agreeing += usize::from(agrees);
        for method in methods(job) {
            let count = counts.entry(method).or_default();
            count.0 += usize::from(agrees);
            count.1 += 1;
        }
        if !agrees && shown < 8 {
            shown += 1;
            explain(pair, &result, &expected);
        }
    }
    for (method, (agree, all)) in &counts {
        println!("{method:24} {agree:4} of {all:4}");
    }
    println!("{agreeing} of {} trees agree", corpus.pairs.len());
    assert!(agreeing >= AGREEING, "only {agreeing} trees agree");
}

/// Says how a tree differs.
fn explain(pair: &Pair, result: &Result<plan::Plan, Vec<job::Problem>>, expected: &Value) {
    match result {
        Err(problems) => {
            for problem in problems {
                println!("{} on {}: refused: {problem}", pair.job, pair.device);
            }
        }
        Ok(plan) => {
            let ours = flat(&plan::describe(plan));
            let theirs = flat(expected);
            let first = ours
                .iter()
                .zip(&theirs)
                .find(|(ours, theirs)| ours != theirs);
            println!("{} on {}: {first:?}", pair.job, pair.device);
            if first.is_none() {
                println!("  {} actions, {} expected", ours.len(), theirs.len());
            }
        }
    }
}

fn flat(tree: &Value) -> Vec<String> {
    let mut out = Vec::new();
    for action in tree.as_array().into_iter().flatten() {
        out.push(format!(
            "{} {} x{} {} {}",
            action["level"].as_str().unwrap_or("?"),
            action["name"].as_str().unwrap_or("?"),
            action["max_retries"],
            action["timeout"],
            action.get("url").unwrap_or(&Value::Null)
        ));
        out.extend(flat(action.get("pipeline").unwrap_or(&Value::Null)));
    }
    out
}

/// Pairs of a job and a device for which LAVA makes no tree.
///
/// LAVA renders a device with the context of the job; where that rendering is not among the data
/// another one of the same device stands for it, which has the same methods.
#[test]
fn what_lava_refuses_is_refused() {
    let Some(corpus) = corpus() else { return };
    let mut renderings: BTreeMap<&str, Vec<(Option<&Node>, &Node)>> = BTreeMap::new();
    let mut planned = BTreeSet::new();
    for pair in &corpus.pairs {
        let context = corpus.jobs[&pair.job].get("context");
        let rendered = &corpus.rendered[&pair.rendered];
        renderings
            .entry(&pair.device)
            .or_default()
            .push((context, rendered));
        planned.insert((pair.job.as_str(), pair.device.as_str()));
    }
    let (mut tried, mut accepted) = (0, Vec::new());
    for (name, job) in &corpus.jobs {
        let context = job.get("context");
        for (device, renderings) in &renderings {
            if planned.contains(&(name.as_str(), device)) {
                continue;
            }
            let same = renderings.iter().find(|(of, _)| *of == context);
            let (_, rendered) = same.unwrap_or(&renderings[0]);
            tried += 1;
            if support::plan_nodes(job, rendered).is_ok() {
                accepted.push(format!("{name} on {device}"));
            }
        }
    }
    for pair in accepted.iter().take(40) {
        println!("accepted, but LAVA refuses it: {pair}");
    }
    let refused = tried - accepted.len();
    println!("{refused} of {tried} impossible pairs are refused");
    assert!(refused >= REFUSED, "only {refused} pairs are refused");
}

/// Users wait for plans, and so do schedulers that try one on every device.
#[test]
fn a_plan_is_made_within_five_milliseconds() {
    let Some(corpus) = corpus() else { return };
    let mut times: Vec<Duration> = corpus
        .pairs
        .iter()
        .map(|pair| {
            let job = &corpus.jobs[&pair.job];
            let device = &corpus.rendered[&pair.rendered];
            let begin = Instant::now();
            let planned = support::plan_nodes(job, device);
            let time = begin.elapsed();
            assert!(planned.is_ok(), "{} on {}", pair.job, pair.device);
            time
        })
        .collect();
    times.sort();
    let (median, longest) = (times[times.len() / 2], times[times.len() - 1]);
    println!("a plan takes {median:?}, at most {longest:?}");
    // The longest depends on what else the machine does; the median hardly does.
    assert!(median < Duration::from_millis(5), "{median:?}");
}
