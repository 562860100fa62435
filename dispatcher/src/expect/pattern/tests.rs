use super::*;
use proptest::prelude::*;

fn set(patterns: &[&str]) -> PatternSet {
    PatternSet::prompts(patterns).unwrap()
}

/// The text of the first match and its named groups.
fn first(pattern: &str, text: &[u8]) -> Option<(String, Vec<(String, String)>)> {
    let set = set(&[pattern]);
    let found = set.captures(text, 0).unwrap()?;
    let show = |range: std::ops::Range<usize>| String::from_utf8_lossy(&text[range]).into_owned();
    let groups = found
        .groups
        .into_iter()
        .map(|(name, range)| (name, show(range)));
    Some((show(found.span), groups.collect()))
}

fn matched(pattern: &str, text: &str) -> Option<String> {
    first(pattern, text.as_bytes()).map(|(text, _)| text)
}

#[test]
fn patterns_mean_what_they_mean_in_python() {
    // (pattern, text, match): each checked against CPython's `re` with DOTALL.
    let rows = [
        (r"root@(.*):[/~]#", "x root@lava:~#", Some("root@lava:~#")),
        (r"a.b", "a\nb", Some("a\nb")),
        (r"{foo}", "{foo}", Some("{foo}")),
        (r"a{,2}b", "aaab", Some("aab")),
        (r"a{2}", "aaa", Some("aa")),
        (r"a{x", "a{x", Some("a{x")),
        (r"a{1,", "a{1,", Some("a{1,")),
        (r"x{}", "x{}", Some("x{}")),
        (r"[]a]+", "]a]", Some("]a]")),
        (r"[^]a]", "]b", Some("b")),
        (r"[[a]+", "[a", Some("[a")),
        (r"[a&&b]+", "a&b", Some("a&b")),
        (r"[a-]+", "a-", Some("a-")),
        (r"[\]\-x]+", "]-x", Some("]-x")),
        (r"\x41\102\t", "AB\t", Some("AB\t")),
        (r"\/ #", "/ #", Some("/ #")),
        (r"foo\Z", "foofoo", Some("foo")),
        (r"(?i)LOGIN:", "Login:", Some("Login:")),
        (r"(?x) a b # comment", "ab", Some("ab")),
        (r"a(?#comment)b", "ab", Some("ab")),
        (r"(?-s:a.b)", "a\nb", None),
        (r"(?:a|b)*c", "ababc", Some("ababc")),
        (r"caf\u00e9", "café", Some("café")),
        (r"[é-ü]+", "éü", Some("éü")),
        (r"[^>]+", "añ>", Some("añ")),
        (r"(?<=x)y", "yxy", Some("y")),
        (r"foo(?!bar)", "foobar foox", Some("foo")),
        (r"(a)(b)\2\1", "abba", Some("abba")),
        (r"(?P<q>['x]).(?P=q)", "'a'", Some("'a'")),
        (r"(a)?b(?(1)c|d)", "abc", Some("abc")),
        (r"(?=é)[é]x", "éx", Some("éx")),
        (r"=> ", "foo=> ", Some("=> ")),
        (r"\$ $", "user$ ", Some("$ ")),
    ];
    for (pattern, text, expected) in rows {
        assert_eq!(
            matched(pattern, text).as_deref(),
            expected,
            "{pattern} on {text:?}"
        );
    }
}

#[test]
fn python_and_pumice_refuse_the_same_patterns() {
    for (pattern, reason, position) in [
        ("(", "missing ), unterminated subpattern", 0),
        (")", "unbalanced parenthesis", 0),
        ("*a", "nothing to repeat", 0),
        ("a**", "multiple repeat", 2),
        ("a{2}{3}", "multiple repeat", 6),
        ("[a", "unterminated character set", 0),
        ("[z-a]", "bad character range", 1),
        (r"[\w-a]", "bad character range", 1),
        (r"\q", r"bad escape \q", 0),
        (r"\", "bad escape (end of pattern)", 0),
        (r"\1", "invalid group reference 1", 1),
        ("(?P<1a>x)", "bad character in group name", 0),
        ("(?P<a>x)(?P<a>y)", "redefinition of group name 'a'", 8),
        ("(?P=a)", "unknown group name 'a'", 0),
        (
            "a(?i)b",
            "global flags not at the start of the expression",
            1,
        ),
        ("a{3,2}", "min repeat greater than max repeat", 2),
        ("^*", "nothing to repeat", 1),
    ] {
        let error = Pattern::new(pattern).unwrap_err();
        assert_eq!(
            error,
            PatternError::Invalid {
                pattern: pattern.to_owned(),
                reason: reason.to_owned(),
                position,
            }
        );
        assert_eq!(error.fault().class, job::FaultClass::Test);
    }
}

#[test]
fn patterns_that_explode_are_refused() {
    let nested = format!("{}x{}", "(".repeat(5_000), ")".repeat(5_000));
    assert!(matches!(
        Pattern::new(&nested),
        Err(PatternError::Invalid { .. })
    ));
    for pattern in [
        "(((a{1000}){1000}){1000})",
        "(?:.{1000}){1000}x",
        &"a".repeat(20_000),
    ] {
        let error = Pattern::new(pattern).unwrap_err();
        assert!(matches!(error, PatternError::TooLarge { .. }), "{error}");
    }
}

#[test]
fn catastrophic_look_around_is_given_up() {
    let set = set(&[r"(?=x)(x+x+)+y(?!z)"]);
    let text = [&[b'x'; 60][..], b"yz"].concat();
    let error = set.captures(&text, 0).unwrap_err();
    assert!(
        matches!(error, PatternError::TooExpensive { .. }),
        "{error}"
    );
}

#[test]
fn the_earliest_match_wins_and_then_the_first_pattern() {
    let cases: [(&[&str], &str, usize); 5] = [
        (&["login:", "boot"], "boot login:", 1),
        (&["boot.*login:", "boot"], "boot login:", 0),
        (&["boot", "boot.*login:"], "boot login:", 0),
        (&["(?<!y)boot", "boot"], "boot", 0),
        (&["boot", "(?<!y)boot"], "boot", 0),
    ];
    for (patterns, text, expected) in cases {
        let found = set(patterns).captures(text.as_bytes(), 0).unwrap().unwrap();
        assert_eq!(found.index, expected, "{patterns:?}");
    }
}

#[test]
fn bytes_that_are_no_text_are_matched_too() {
    assert!(first(r"a.b", b"a\xffb").is_some());
    assert!(first(r"a[^x]b", b"a\xffb").is_some());
    assert!(first(r"(?<=a).b", b"a\xffb").is_some());
    assert!(first(r"\Sb", b"\xc3b").is_some());
}

#[test]
fn groups_are_named_and_those_without_a_match_are_left_out() {
    let (_, groups) = first(
        r"(?P<id>\w+): (?P<result>pass)?(?P<other>fail)?",
        b"t1: pass",
    )
    .unwrap();
    let expected = [("id", "t1"), ("result", "pass")];
    assert_eq!(
        groups,
        expected.map(|(name, text)| (name.to_owned(), text.to_owned()))
    );
}

#[test]
fn line_patterns_know_both_ends_of_a_line_and_forgive_a_carriage_return() {
    for pattern in ["^a: b$", r"a: b\r\n", r"a: b\s*$", r"(?<!x)^a: b$"] {
        let set = PatternSet::new(vec![Pattern::for_lines(pattern).unwrap()]).unwrap();
        assert!(set.captures(b"a: b\n", 0).unwrap().is_some(), "{pattern}");
    }
}

#[test]
fn literals_stand_for_themselves() {
    let text = "a.b*[c](d){e}\\ $^| é";
    let set = PatternSet::new(vec![Pattern::literal(text).unwrap()]).unwrap();
    assert_eq!(
        set.captures(text.as_bytes(), 0).unwrap().unwrap().span,
        0..text.len()
    );
}

#[test]
fn what_rules_the_backtracking_engine_out_takes_nothing_from_it() {
    let superset = |pattern: &str| {
        let engine = Pattern::new(pattern).unwrap().engine;
        let Engine::Backtracking(regex) = engine else {
            panic!("{pattern} is ordinary");
        };
        let superset = regex.superset.as_ref();
        superset.map(|superset| superset.is_match("a login: b"))
    };
    assert_eq!(superset(r"(?<!last )login:(?! root)"), Some(true));
    assert_eq!(superset(r"(?<!last )Login:(?! root)"), Some(false));
    assert_eq!(superset(r"(?i)(?<!last )Login:(?! root)$"), Some(true));
    assert_eq!(superset(r"(l)(?>o)g\b.\1?"), Some(true));
    assert_eq!(superset(r"(l)?x(?(1)y|z)"), Some(false));
    assert_eq!(superset(r"(l)(?(1)og|z)"), Some(true));
    // It would match everywhere.
    assert_eq!(superset(r"(?<=x)"), None);
    assert_eq!(superset(r"(x)?\1"), None);
}

/// Patterns of all that only the backtracking engine knows.
fn backtracking() -> impl Strategy<Value = String> {
    let leaves = [
        "a", "b", ".", "[^a]", r"\b", r"\B", r"\Z", "$", "^", r"\1", "(?P=q)",
    ];
    let leaf = prop::sample::select(leaves.to_vec()).prop_map(str::to_owned);
    let grown = leaf.prop_recursive(4, 16, 2, |inner| {
        let around = ["(?=", "(?!", "(?<=", "(?<!", "(?>", "(?:", "(?i:", "("];
        let repeats = ["*", "+", "?", "{2}", "*?", "*+", "++"];
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(one, two)| one + &two),
            (inner.clone(), inner.clone()).prop_map(|(one, two)| format!("(?:{one}|{two})")),
            (inner.clone(), inner.clone()).prop_map(|(one, two)| format!("(?(1){one}|{two})")),
            (prop::sample::select(around.to_vec()), inner.clone())
                .prop_map(|(open, inner)| format!("{open}{inner})")),
            (inner, prop::sample::select(repeats.to_vec()))
                .prop_map(|(inner, repeat)| format!("(?:{inner}){repeat}")),
        ]
    });
    grown.prop_map(|pattern| format!("(?P<q>a)?{pattern}b?"))
}

proptest! {
    /// Where the backtracking engine finds something it is asked.
    #[test]
    fn what_rules_the_backtracking_engine_out_is_right(
        pattern in backtracking(),
        text in "[ab\n]{0,12}",
    ) {
        let Ok(Pattern { engine: Engine::Backtracking(regex), .. }) = Pattern::new(&pattern) else {
            return Ok(());
        };
        for from in 0..=text.len() {
            let Ok(Some(found)) = regex.regex.find_from_pos(text.as_bytes(), from) else {
                continue;
            };
            let candidate = regex.candidate(text.as_bytes(), from);
            prop_assert!(candidate.is_some_and(|start| start <= found.start()), "{}", from);
            // The engine finds the same when it starts there.
            let again = regex.regex.find_from_pos(text.as_bytes(), candidate.unwrap());
            prop_assert_eq!(again.unwrap().map(|again| again.range()), Some(found.range()));
        }
    }

    #[test]
    fn no_pattern_panics(
        pattern in r"([a-z.^$|()\[\]{},*+?\\<>=!:P0-9é-]|\(\?|\\[a-zA-Z0-9]|\[\^){0,24}",
        text in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        for compiled in [Pattern::new(&pattern), Pattern::for_lines(&pattern)].into_iter().flatten() {
            let _ = PatternSet::new(vec![compiled]).map(|set| set.captures(&text, 0));
        }
    }
}
