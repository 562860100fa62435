use super::*;
use proptest::prelude::*;

fn prompts(patterns: &[&str]) -> PatternSet {
    PatternSet::prompts(patterns).unwrap()
}

/// All matches of the set, one after the other, for a stream cut as given.
fn all(set: &PatternSet, chunks: &[&[u8]], window: usize) -> Vec<(usize, Range<u64>)> {
    let mut matcher = Matcher::with_window(window);
    let mut found = Vec::new();
    for chunk in chunks {
        matcher.push(chunk);
        while let Some(one) = matcher.find(set).unwrap() {
            assert_eq!(one.text.len() as u64, one.span.end - one.span.start);
            found.push((one.index, one.span));
        }
    }
    found
}

fn cut<'a>(bytes: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    cuts.windows(2)
        .map(|pair| &bytes[pair[0]..pair[1]])
        .collect()
}

#[test]
fn a_match_is_consumed_and_the_rest_is_kept() {
    let mut matcher = Matcher::new();
    matcher.push(b"Starting kernel ...\r\nlavavm login: x");
    let found = matcher
        .find(&prompts(&["Login incorrect", "login: "]))
        .unwrap()
        .unwrap();
    assert_eq!(found.index, 1);
    assert_eq!(found.before, b"Starting kernel ...\r\nlavavm ");
    assert_eq!(found.span, 28..35);
    assert!(!found.at_end);
    assert_eq!(matcher.pending(), b"x");
    assert_eq!(matcher.find(&prompts(&["login"])).unwrap(), None);
    matcher.push(b"y");
    assert!(matcher.find(&prompts(&["xy"])).unwrap().unwrap().at_end);
    assert_eq!(matcher.tail(3), b" xy");
}

#[test]
fn what_was_printed_before_a_wait_counts() {
    let mut matcher = Matcher::new();
    matcher.push(b"one two three");
    assert_eq!(matcher.find(&prompts(&["four"])).unwrap(), None);
    assert_eq!(
        matcher.find(&prompts(&["two"])).unwrap().unwrap().span,
        4..7
    );
}

#[test]
fn a_prompt_in_single_bytes_is_found_at_its_last_byte() {
    let set = prompts(&["Kernel panic", r"root@(?P<host>[^:]*):[^#]*# "]);
    let mut matcher = Matcher::new();
    let text = b"\x1b[6nroot@lavavm:/root# ";
    for (at, byte) in text.iter().enumerate() {
        matcher.push(&[*byte]);
        let found = matcher.find(&set).unwrap();
        assert_eq!(found.is_some(), at + 1 == text.len());
        if let Some(found) = found {
            assert_eq!(found.groups, [("host".to_owned(), b"lavavm".to_vec())]);
        }
    }
}

#[test]
fn a_repeat_at_the_end_of_a_pattern_takes_all_its_line() {
    let set = prompts(&["Bytes transferred = (?P<size>[0-9]+)"]);
    let mut matcher = Matcher::new();
    matcher.push(b"Bytes transferred = 12");
    assert_eq!(matcher.find_in_lines(&set).unwrap(), None);
    matcher.push(b"34 (4d2 hex)\r\n=> ");
    let found = matcher.find_in_lines(&set).unwrap().unwrap();
    assert_eq!(found.groups, [("size".to_owned(), b"1234".to_vec())]);
    assert!(matcher.find(&prompts(&["=> $"])).unwrap().is_some());
}

#[test]
fn the_start_of_the_text_is_where_the_last_match_ended() {
    let set = prompts(&["^abc"]);
    let mut matcher = Matcher::with_window(16);
    for _ in 0..100 {
        matcher.push(b"xxxxabc");
        assert_eq!(matcher.find(&set).unwrap(), None);
    }
    matcher.push(b"#abc");
    assert!(matcher.find(&prompts(&["#"])).unwrap().is_some());
    assert!(matcher.find(&set).unwrap().is_some());
}

#[test]
fn memory_is_bounded_whatever_comes() {
    for pattern in ["never", "a.*never", "(?<=a)never"] {
        let set = prompts(&[pattern]);
        let mut matcher = Matcher::with_window(1_000);
        for round in 0..2_000_usize {
            matcher.push(&[b"a\0\xffb\n"[round % 5]; 99]);
            assert_eq!(matcher.find(&set).unwrap(), None);
            assert!(
                matcher.bytes.len() <= 2_200,
                "{} bytes",
                matcher.bytes.len()
            );
        }
        for _ in 0..2_000 {
            matcher.push(&[b'x'; 99]);
            assert!(
                matcher.bytes.len() <= 33_000,
                "{} bytes",
                matcher.bytes.len()
            );
        }
        assert_eq!(matcher.end(), 2 * 2_000 * 99);
    }
}

#[test]
fn a_match_whose_beginning_is_gone_hides_no_later_one() {
    let set = prompts(&["start.*finish", "finish|panic"]);
    let mut matcher = Matcher::with_window(100);
    matcher.push(b"start ");
    for _ in 0..100 {
        matcher.push(&[b'-'; 50]);
        assert_eq!(matcher.find(&set).unwrap(), None);
    }
    matcher.push(b"fini");
    assert_eq!(matcher.find(&set).unwrap(), None);
    matcher.push(b"sh");
    assert_eq!(matcher.find(&set).unwrap().unwrap().index, 1);
}

#[test]
fn a_watch_sees_everything_and_consumes_nothing() {
    let panic = prompts(&["Kernel panic - not syncing"]);
    let prompt = prompts(&["# "]);
    let mut matcher = Matcher::new();
    matcher.push(b"Kernel panic - not syncing: before the watch\n");
    let mut watch = matcher.watch(&panic);
    assert_eq!(matcher.peek(&mut watch).unwrap(), None);
    matcher.push(b"Kernel panic - not ");
    assert_eq!(matcher.peek(&mut watch).unwrap(), None);
    matcher.push(b"syncing\n# ");
    assert!(matcher.find(&prompt).unwrap().is_some());
    let found = matcher.peek(&mut watch).unwrap().unwrap();
    assert_eq!(found.text, b"Kernel panic - not syncing");
    assert_eq!(matcher.peek(&mut watch).unwrap(), None);
    matcher.push(b"# ");
    assert!(matcher.find(&prompt).unwrap().is_some());
}

#[test]
fn bytes_of_another_boot_do_not_match() {
    let set = prompts(&["login: "]);
    let mut matcher = Matcher::new();
    matcher.push(b"old login");
    assert_eq!(matcher.find(&set).unwrap(), None);
    assert_eq!(matcher.clear_epoch(), 9);
    matcher.push(b": new log");
    assert_eq!(matcher.find(&set).unwrap(), None);
    matcher.push(b"in: ");
    assert_eq!(matcher.find(&set).unwrap().unwrap().span, 15..22);
}

proptest! {
    /// No alternative is a prefix of another and none can grow, so chunks must not matter.
    #[test]
    fn chunks_do_not_matter(
        text in prop::collection::vec(prop_oneof![
            Just(b"login: ".to_vec()), Just(b"root@x:/# ".to_vec()), Just(b"Unhandled fault".to_vec()),
            Just(b"roo".to_vec()), Just(b"logi".to_vec()), Just(b"Unh".to_vec()),
            Just(b"\xff\0\n".to_vec()), prop::collection::vec(any::<u8>(), 0..4),
        ], 0..40).prop_map(|parts| parts.concat()),
        cuts in prop::collection::vec(0_usize..400, 0..12),
        backtracks in any::<bool>(),
        slow in any::<bool>(),
    ) {
        let login = if backtracks { "(?<!x)login: " } else { "login: " };
        // Without a literal at its start the set has no prefilter.
        let prompt = if slow { "[r-s]oot@[^:]:/# " } else { "root@[^:]:/# " };
        let set = prompts(&[login, prompt, "Unhandled fault"]);
        let whole = all(&set, &[&text], 4096);
        prop_assert_eq!(&whole, &all(&set, &cut(&text, &cuts), 4096));
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        prop_assert_eq!(&whole, &all(&set, &bytes, 64));
    }

    #[test]
    fn what_one_search_finds_a_piecewise_one_finds_too(
        text in prop::collection::vec(prop_oneof![Just(b'a'), Just(b'b'), Just(b'\n'), Just(b'c')], 0..60),
        cuts in prop::collection::vec(0_usize..60, 0..8),
        which in 0_usize..6,
    ) {
        let set = [["a.*b", "cc"], ["^ab", "b\\b"], ["a+c", "[^a]b{2}"], ["(?:ab|a)c?", "ccc"],
            ["(?<=a)b+c", "ca"], ["a(?!b)c", "bab"]][which];
        let set = prompts(&set);
        let whole = set.captures(&text, 0).unwrap().map(|found| found.span.start);
        let mut matcher = Matcher::new();
        let mut found = None;
        for chunk in cut(&text, &cuts) {
            matcher.push(chunk);
            found = found.or(matcher.find(&set).unwrap().map(|found| found.span.start));
        }
        prop_assert!(found.is_some() || whole.is_none());
    }
}
