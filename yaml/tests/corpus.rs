//! Real documents: every file of the shared test data loads as in PyYAML.

mod support;

use std::path::{Path, PathBuf};

use support::{Oracle, agree, answer, hex};
use yaml::{Limits, load_bytes};

fn yaml_files(folder: &Path, found: &mut Vec<PathBuf>) {
    let entries = fs_err::read_dir(folder).expect("a readable folder");
    for entry in entries {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            yaml_files(&path, found);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "yaml" || extension == "yml")
        {
            found.push(path);
        }
    }
}

#[test]
fn real_documents_load_as_in_pyyaml() {
    let Some(shared) = reference_data::reference_data("") else {
        return;
    };
    let Some(mut oracle) = Oracle::start() else {
        return;
    };
    let mut files = Vec::new();
    yaml_files(&shared, &mut files);
    let limits = Limits::default();
    let mut wrong = 0;
    for path in &files {
        let bytes = fs_err::read(path).expect("a readable file");
        let ours = answer(&load_bytes(&bytes, &limits));
        let theirs = oracle.ask(&[format!("load {}", hex(&bytes))]).remove(0);
        if !agree(&ours, &theirs) {
            wrong += 1;
            println!(
                "{}\n  PyYAML {theirs:.300}\n  ours   {ours:.300}",
                path.display()
            );
        }
    }
    println!("{} files", files.len());
    assert!(!files.is_empty(), "no YAML under {}", shared.display());
    assert_eq!(wrong, 0, "of {} files", files.len());
}
