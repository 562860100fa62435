//! Snippets with random edits: PyYAML and this crate have to agree on every one, whether it is
//! still YAML or not.

mod support;

use std::collections::BTreeSet;

use support::cases::{Input, cases};
use support::{Oracle, Random, agree, answer, hex, json};
use yaml::{Limits, load};

/// How many mutated snippets are tried, unless `PUMICE_MUTATIONS` says otherwise.
const COUNT: usize = 30_000;
/// How many of them may be answered otherwise than by PyYAML.
const TOLERATED: usize = 4;

/// What edits insert: all that means something in YAML, and a little that does not.
const FRAGMENTS: &[&str] = &[
    " ",
    "  ",
    "    ",
    "\n",
    "\n ",
    "\n  ",
    "\n\n",
    "\r\n",
    "\r",
    "\t",
    ":",
    ": ",
    ":\n",
    "-",
    "- ",
    "-\n",
    "? ",
    "?",
    ", ",
    ",",
    "[",
    "]",
    "{",
    "}",
    "#",
    " #",
    "&a ",
    "&b ",
    "*a",
    "*b",
    "!",
    "!!str ",
    "!!int ",
    "!!set ",
    "!!omap ",
    "! ",
    "!x ",
    "|",
    "|\n",
    "|-\n",
    "|+\n",
    "|2\n",
    ">",
    ">\n",
    ">-\n",
    "'",
    "''",
    "\"",
    "\\",
    "\\n",
    "\\x41",
    "\\\n",
    "%",
    "@",
    "`",
    "---",
    "---\n",
    "\n---\n",
    "...\n",
    "\n...\n",
    "%YAML 1.1\n",
    "<<: ",
    "<<",
    "=",
    "~",
    "null",
    "yes",
    "1",
    "0",
    "0x1",
    "1_0",
    "1:30",
    "1.5",
    ".5",
    "1e3",
    "+",
    ".inf",
    "2001-01-01",
    "a",
    "b: c",
    "é",
    "\u{85}",
    "\u{2028}",
    "\u{FEFF}",
    "😀",
    "\0",
];

fn mutate(random: &mut Random, snippets: &[String]) -> String {
    let mut text: Vec<char> = random.pick(snippets).chars().collect();
    for _ in 0..=random.below(4) {
        let at = random.below(text.len() + 1);
        let length = random.below(5).min(text.len() - at);
        match random.below(8) {
            0..=2 => {
                text.splice(at..at, random.pick(FRAGMENTS).chars());
            }
            3 => {
                text.splice(at..at + length, random.pick(FRAGMENTS).chars());
            }
            4 => {
                text.drain(at..at + length);
            }
            5 => {
                let copied = text[at..at + length].to_vec();
                let to = random.below(text.len() + 1);
                text.splice(to..to, copied);
            }
            6 => text.truncate(at),
            _ => {
                let other: Vec<char> = random.pick(snippets).chars().collect();
                let from = random.below(other.len() + 1);
                text.truncate(at);
                text.extend(&other[from..]);
            }
        }
    }
    text.into_iter().collect()
}

#[test]
fn mutated_snippets_load_as_in_pyyaml() {
    let Some(mut oracle) = Oracle::start() else {
        return;
    };
    let mut random = Random::seeded("mutated snippets", 20_260_102);
    let snippets: Vec<String> = cases()
        .into_iter()
        .filter_map(|(_, input, _)| match input {
            Input::Text(text) if text.len() < 1000 => Some(text),
            _ => None,
        })
        .collect();
    let count = std::env::var("PUMICE_MUTATIONS").ok();
    let count = count.and_then(|count| count.parse().ok()).unwrap_or(COUNT);
    let limits = Limits::default();
    let mut valid = 0;
    let mut wrong = BTreeSet::new();
    for _ in 0..count {
        let text = mutate(&mut random, &snippets);
        let ours = answer(&load(&text, &limits));
        let theirs = oracle
            .ask(&[format!("text {}", hex(text.as_bytes()))])
            .remove(0);
        valid += usize::from(theirs.starts_with("ok"));
        if !agree(&ours, &theirs) {
            wrong.insert(format!(
                "{}\n    PyYAML {theirs}\n    ours   {ours}",
                json(&text)
            ));
        }
    }
    println!(
        "{count} snippets, {valid} of them valid, {} disagreements",
        wrong.len()
    );
    for wrong in &wrong {
        println!("  {wrong}");
    }
    assert!(wrong.len() <= TOLERATED, "{} disagreements", wrong.len());
}
