//! What holds for every input.

use proptest::prelude::*;
use yaml::{DumpOptions, Int, Limits, Map, Node, Value, decode, dump, load, load_all, load_bytes};

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        any::<i128>().prop_map(|number| Value::Int(Int::from(num_bigint::BigInt::from(number)))),
        any::<f64>()
            .prop_filter("NaN is not equal to itself", |number| !number.is_nan())
            .prop_map(Value::Float),
        any::<String>().prop_map(Value::from),
        "[ -~\n]{0,40}".prop_map(Value::from),
        prop::collection::vec(any::<u8>(), 0..80).prop_map(Value::Binary),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(4, 40, 6, |inner| {
        let map = prop::collection::vec((scalar(), inner.clone()), 0..6).prop_map(|entries| {
            let node = |(key, value)| (Node::from(key), Node::from(value));
            Value::from(entries.into_iter().map(node).collect::<Map>())
        });
        prop_oneof![
            prop::collection::vec(inner, 0..6).prop_map(Value::from),
            map
        ]
    })
}

fn options() -> impl Strategy<Value = DumpOptions> {
    (0_usize..120, 0_usize..12, any::<(bool, bool, bool)>()).prop_map(
        |(width, indent, (allow_unicode, flow, double_quoted))| DumpOptions {
            sort_keys: false,
            width,
            indent,
            allow_unicode,
            flow,
            double_quoted,
        },
    )
}

/// Text of which a good part is YAML.
fn yaml_like() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        " ",
        "  ",
        "\n",
        "\n  ",
        "- ",
        "-",
        ": ",
        ":",
        "? ",
        "[",
        "]",
        "{",
        "}",
        ", ",
        "#",
        "&a",
        "*a",
        "!",
        "!!str",
        "!!map",
        "|",
        ">",
        "'",
        "\"",
        "\\",
        "%",
        "---",
        "...",
        "<<",
        "=",
        "a",
        "1",
        "é",
        "\t",
        "\r\n",
        "\u{2028}",
        "2001-01-01",
        "!!binary",
        "!!omap",
        "~",
        "0x",
        "1:2",
        ".",
    ]);
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

fn walk(node: &Node, visit: &mut impl FnMut(&Node)) {
    visit(node);
    match &node.value {
        Value::Sequence(items) | Value::Set(items) => {
            items.iter().for_each(|item| walk(item, visit));
        }
        Value::Mapping(map) => map.iter().for_each(|(key, value)| {
            walk(key, visit);
            walk(value, visit);
        }),
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_dumped_loads_as_the_same_value(value in value(), options in options()) {
        let text = dump(&value, &options);
        let read = load(&text, &Limits::default());
        prop_assert_eq!(read.map(|node| node.value), Ok(value), "written as {}", text);
    }

    #[test]
    fn any_bytes_give_a_value_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Err(error) = load_bytes(&bytes, &Limits::default())
            && let Ok(text) = decode(&bytes)
        {
            prop_assert!(error.snippet(&text).contains('^'));
        }
    }

    #[test]
    fn any_text_gives_values_or_an_error_with_its_place(text in yaml_like()) {
        let limits = Limits::default();
        match load_all(&text, &limits) {
            Err(error) => {
                let offset = error.mark().offset as usize;
                prop_assert!(text.is_char_boundary(offset), "{} in {:?}", error, text);
                prop_assert!(error.to_string().starts_with("line "));
                prop_assert!(error.snippet(&text).contains('^'));
            }
            Ok(documents) => for document in &documents {
                walk(document, &mut |node| {
                    let (start, end) = (node.span.start.offset, node.span.end.offset);
                    let slice = text.get(start as usize..end as usize);
                    assert!(slice.is_some(), "a span that is no slice in {text:?}");
                });
            },
        }
    }

    #[test]
    fn marks_count_lines_and_columns(text in yaml_like()) {
        let Ok(document) = load(&text, &Limits::default()) else { return Ok(()) };
        walk(&document, &mut |node| {
            let mark = node.span.start;
            let before = text[..mark.offset as usize].replace("\r\n", "\n");
            let breaks = |character| matches!(character, '\n' | '\r' | '\u{2028}');
            let line = before.chars().filter(|character| breaks(*character)).count();
            let column = before.chars().rev().take_while(|character| !breaks(*character)).count();
            assert_eq!((mark.line as usize, mark.column as usize), (line, column), "in {text:?}");
        });
    }
}
