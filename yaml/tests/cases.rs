//! Hand-made edge cases with the answers of PyYAML on file, so that they run without Python.

mod support;

use support::cases::cases;
use support::{Oracle, agree};

#[test]
fn cases_load_as_on_file() {
    let cases = cases();
    assert!(cases.len() >= 200, "only {} cases", cases.len());
    let mut wrong = 0;
    for (line, input, expected) in &cases {
        let ours = input.load();
        if !agree(&ours, expected) {
            wrong += 1;
            println!("cases.txt:{line}:\n    expected {expected}\n    got      {ours}");
        }
    }
    assert_eq!(wrong, 0, "of {} cases", cases.len());
}

#[test]
fn answers_on_file_are_those_of_pyyaml() {
    let Some(mut oracle) = Oracle::start() else {
        return;
    };
    for (line, input, expected) in cases() {
        let theirs = oracle.ask(&[input.request()]).remove(0);
        assert!(
            agree(&theirs, &expected),
            "cases.txt:{line}: PyYAML says {theirs}"
        );
    }
}
