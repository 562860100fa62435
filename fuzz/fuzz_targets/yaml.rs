//! Any bytes give a value or an error with its place; a value survives being written and read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use yaml::{DumpOptions, Limits, Value, decode, dump, load, load_all, load_bytes};

/// Whether a value holds something that is not equal to itself.
fn holds_nan(value: &Value) -> bool {
    match value {
        Value::Float(number) => number.is_nan(),
        Value::Sequence(items) | Value::Set(items) => {
            items.iter().any(|item| holds_nan(&item.value))
        }
        Value::Mapping(map) => map
            .iter()
            .any(|(key, value)| holds_nan(&key.value) || holds_nan(&value.value)),
        _ => false,
    }
}

/// Options that the input decides.
fn options(byte: u8) -> DumpOptions {
    DumpOptions {
        sort_keys: false,
        width: if byte & 1 == 0 { 80 } else { 9 },
        indent: usize::from(byte >> 1 & 7) + 2,
        allow_unicode: byte & 16 == 0,
        flow: byte & 32 != 0,
        double_quoted: byte & 64 != 0,
    }
}

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits::default();
    let loaded = load_bytes(bytes, &limits);
    if let Ok(text) = decode(bytes) {
        let _ = load_all(&text, &limits);
        if let Err(error) = &loaded {
            assert!(error.mark().offset as usize <= text.len());
            assert!(error.snippet(&text).contains('^'));
        }
    }
    let Ok(node) = loaded else { return };
    let options = options(bytes.first().copied().unwrap_or_default());
    let text = dump(&node.value, &options);
    match load(&text, &limits) {
        Ok(read) => assert!(
            read == node || holds_nan(&node.value),
            "written as {text:?}"
        ),
        // Expanded aliases and indentation make it longer.
        Err(error) => assert_eq!(error.kind(), yaml::ErrorKind::Limit, "{error} in {text:?}"),
    }
});
