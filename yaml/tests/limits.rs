//! Hostile documents: refused in time that grows with their length, and with little memory.

use std::time::{Duration, Instant};

use yaml::{ErrorKind, Limits, Value, load};

/// Far more than any of these takes, and far less than one of them would take if it were quadratic.
const PATIENCE: Duration = Duration::from_secs(20);

fn refused(text: &str, limits: &Limits) -> String {
    let begin = Instant::now();
    let error = load(text, limits).expect_err("a limit");
    assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
    assert!(begin.elapsed() < PATIENCE, "took {:?}", begin.elapsed());
    error.to_string()
}

/// `a0` is a list of ten, every further level ten times the one before.
fn bomb(levels: usize, item: impl Fn(usize) -> String) -> String {
    let mut text = format!("a0: &a0 [{}]\n", ["lol"; 10].join(", "));
    for level in 1..levels {
        let items = vec![item(level - 1); 10].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{items}]\n"));
    }
    text
}

#[test]
fn alias_bombs_are_refused() {
    let text = bomb(20, |level| format!("*a{level}"));
    let message = refused(&text, &Limits::default());
    assert_eq!(
        message,
        "line 5, column 45: aliases add more than 100000 nodes"
    );
}

#[test]
fn merge_bombs_are_refused() {
    let mut text = "m0: &m0 {a: 1, b: 2}\n".to_owned();
    for level in 1..40 {
        let source = format!("*m{}", level - 1);
        let sources = vec![source; 4].join(", ");
        text.push_str(&format!(
            "m{level}: &m{level} {{<<: [{sources}], k{level}: 1}}\n"
        ));
    }
    refused(&text, &Limits::default());
}

#[test]
fn long_text_cannot_be_multiplied() {
    let text = format!("- &a {}\n{}", "x".repeat(1 << 20), "- *a\n".repeat(1000));
    assert!(refused(&text, &Limits::default()).ends_with("aliases add more than 8388608 bytes"));
}

#[test]
fn deep_documents_are_refused() {
    for text in [
        "[".repeat(1 << 20),
        "- ".repeat(1 << 20),
        "{a: ".repeat(1 << 20),
    ] {
        let message = refused(&text, &Limits::default());
        assert!(
            message.ends_with("nested deeper than 128 levels"),
            "{message}"
        );
    }
}

#[test]
fn aliases_count_for_the_depth() {
    let mut text = "- &a0 [x]\n".to_owned();
    for level in 1..200 {
        text.push_str(&format!("- &a{level} [*a{}]\n", level - 1));
    }
    refused(&text, &Limits::default());
}

#[test]
fn deepest_document_that_is_allowed_loads() {
    let limits = Limits {
        depth: usize::MAX,
        ..Limits::default()
    };
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(load(&nested(Limits::MAX_DEPTH), &limits).is_ok());
    refused(&nested(Limits::MAX_DEPTH + 1), &limits);
}

#[test]
fn nodes_and_bytes_are_limited() {
    let limits = Limits {
        nodes: 10,
        bytes: 100,
        ..Limits::default()
    };
    assert!(load("[1, 2, 3, 4, 5, 6, 7, 8, 9]", &limits).is_ok());
    refused("[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]", &limits);
    refused(&"#".repeat(101), &limits);
}

/// Each of these has a shape that makes careless parsers quadratic.
#[test]
fn time_grows_with_the_length_only() {
    let repeat = |text: &str| text.repeat((2 << 20) / text.len());
    let keys: String = (0..200_000)
        .map(|number| format!("k{number}: 1\n"))
        .collect();
    let nested = "[".repeat(100) + &repeat("a, ") + &"]".repeat(100);
    let one_line_flow = format!("{{{}}}", repeat("a: {b: [c]}, "));
    let documents = [
        keys,
        nested,
        one_line_flow,
        format!("|\n{}", repeat(" \n")),
        format!("\"{}\"", repeat("\\\n")),
        format!("\"{}\"", repeat("a\n\n")),
        format!("a: {}b", repeat("a\n ")),
        format!("'{}'", repeat("''")),
        format!("? {}", repeat("a ")),
        format!("!{} x", repeat("%41")),
        format!("&{} x", repeat("a")),
        format!("x: !!int {}", repeat("1")),
        format!("x: {}", repeat("1:1")),
        format!("x: 0x{}", repeat("f")),
        format!("x: {}.5", repeat("1:1")),
        format!("!!timestamp {}", repeat("1")),
        repeat("# comment\n"),
        repeat("--- \n"),
        repeat(" "),
        repeat("? ? ? ? ? ? a\n"),
        repeat("%TAG !a! b\n"),
    ];
    let limits = Limits {
        nodes: 10_000_000,
        ..Limits::default()
    };
    for text in documents {
        let begin = Instant::now();
        let _ = load(&text, &limits);
        let start: String = text.chars().take(20).collect();
        println!("{start:?} took {:?}", begin.elapsed());
        assert!(
            begin.elapsed() < PATIENCE,
            "{start:?} took {:?}",
            begin.elapsed()
        );
    }
}

#[test]
fn recursive_documents_are_refused_by_name() {
    let error = load("a: &loop\n  b: [*loop]\n", &Limits::default()).expect_err("no tree");
    assert_eq!(
        error.to_string(),
        "line 2, column 7: the alias \"loop\" stands inside of what it refers to \
         (recursive node that begins at line 1, column 4)"
    );
}

#[test]
fn large_maps_find_their_keys() {
    let text: String = (0..1000)
        .map(|number| format!("k{number}: {number}\n"))
        .collect();
    let node = load(&format!("{text}k7: again\n"), &Limits::default()).expect("a map");
    let map = node.as_map().expect("a map");
    assert_eq!(map.len(), 1000);
    assert_eq!(map.get("k999").and_then(|value| value.as_i64()), Some(999));
    assert_eq!(
        map.get("k7").and_then(|value| value.as_str()),
        Some("again")
    );
    assert_eq!(
        map.iter().nth(7).map(|(key, _)| &key.value),
        Some(&Value::from("k7"))
    );
    assert!(!map.contains("k1000"));
}
