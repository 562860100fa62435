use super::*;
use proptest::prelude::*;

/// The lines, and the open one behind a `>`.
fn lines(chunks: &[&[u8]], colour: bool) -> Vec<String> {
    let mut console = ConsoleText::default();
    let mut lines = Vec::new();
    let text = |line: Line<'_>| {
        let mut out = Vec::new();
        line.write(colour, &Masker::new(), &mut out);
        String::from_utf8(out).expect("lines are UTF-8")
    };
    for chunk in chunks {
        console.push(chunk, &mut |line| lines.push(text(line)));
    }
    let open = text(console.open());
    if !open.is_empty() {
        lines.push(format!(">{open}"));
    }
    lines
}

#[test]
fn line_ends_of_all_kinds_end_one_line() {
    assert_eq!(lines(&[b"a\nb\r\nc\r\r\nd"], false), ["a", "b", "c", ">d"]);
    assert_eq!(lines(&[b"a\r", b"\nb\r\n"], false), ["a", "b"]);
    assert_eq!(lines(&[b"\n\r\n"], false), ["", ""]);
}

#[test]
fn a_line_is_edited_as_on_a_terminal() {
    assert_eq!(lines(&[b" 10%\r 20%\r100%\r\n"], false), ["100%"]);
    assert_eq!(lines(&[b"roof\x08\x08\x08uu\n"], false), ["ruuf"]);
    assert_eq!(lines(&[b"abc\x1b[2D\x1b[KX\n"], false), ["aX"]);
    assert_eq!(lines(&[b"a\tb\n"], false), ["a       b"]);
    assert_eq!(
        lines(&[b"abcd\x1b[3G\x1b[2@\x1b[1G\x1b[P\n"], false),
        ["b  cd"]
    );
    assert_eq!(lines(&[b"ab\x1b[3Cc\n"], false), ["ab   c"]);
}

#[test]
fn a_screen_full_of_text_comes_line_by_line() {
    let menu = b"\x1b[2J\x1b[1;1HGNU GRUB\x1b[3;5H*Linux\x1b[4;5HMemtest\x1b[24;1H";
    assert_eq!(lines(&[menu], false), ["GNU GRUB", "*Linux", "Memtest"]);
}

#[test]
fn colours_are_kept_when_they_are_wanted() {
    let green = b"\x1b[32mok\x1b[0m done\n";
    assert_eq!(lines(&[green], true), ["\x1b[0;32mok\x1b[0m done"]);
    assert_eq!(lines(&[green], false), ["ok done"]);
    assert_eq!(
        lines(&[b"\x1b[31mred\nstill\n"], true),
        ["\x1b[0;31mred\x1b[0m", "\x1b[0;31mstill\x1b[0m"]
    );
}

#[test]
fn a_line_without_end_comes_in_pieces() {
    let line = vec![b'x'; 10_000];
    let lines = lines(&[&line, b"\n"], false);
    assert_eq!(
        lines.iter().map(String::len).collect::<Vec<_>>(),
        [4096, 4096, 1808]
    );
}

#[test]
fn a_secret_behind_sequences_is_hidden() {
    let mut masker = Masker::new();
    masker.add(&["hunter2".to_owned()]);
    let mut console = ConsoleText::default();
    let mut out = Vec::new();
    console.push(b"it is hun\x1b[1mter\x08r2\n", &mut |line| {
        line.write(true, &masker, &mut out)
    });
    assert_eq!(String::from_utf8_lossy(&out), "it is [MASKED]");
}

#[test]
fn the_open_line_shows_its_end() {
    let mut console = ConsoleText::default();
    console.push("very long: 中文 # ".as_bytes(), &mut |_| {});
    let (text, used) = console.open().tail(7, false, &Masker::new());
    assert_eq!(
        (String::from_utf8_lossy(&text).as_ref(), used),
        ("中文 # ", 7)
    );
    let (text, used) = console.open().tail(6, false, &Masker::new());
    assert_eq!(
        (String::from_utf8_lossy(&text).as_ref(), used),
        ("文 # ", 5)
    );
}

proptest! {
    /// Whatever a board prints, only printable characters and colours reach the terminal.
    #[test]
    fn nothing_but_text_and_colours_gets_through(
        chunks in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..40),
                "(\x1b[\\[\\]PX^_c(#78=>ABCDEHMNOZ]|\x1b\\[[?0-9;:<=> ]{0,6}[@-~]|[ -~\u{80}-\u{9f}\u{202e}\n]){0,12}"
                    .prop_map(String::into_bytes),
            ],
            0..8,
        ),
    ) {
        let chunks: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
        for line in lines(&chunks, true) {
            let mut rest = line.as_str();
            while let Some(at) = rest.find('\x1b') {
                prop_assert!(!rest[..at].chars().any(text::is_unsafe));
                let sequence = &rest[at + 1..];
                let end = sequence.find('m').expect("only SGR gets through");
                let allowed = |character: char| character.is_ascii_digit() || character == ';';
                prop_assert!(sequence[..end].starts_with('['));
                prop_assert!(sequence[1..end].chars().all(allowed), "{line:?}");
                rest = &sequence[end + 1..];
            }
            prop_assert!(!rest.chars().any(text::is_unsafe), "{line:?}");
        }
        prop_assert_eq!(lines(&[&chunks.concat()], true), lines(&chunks, true));
    }
}
