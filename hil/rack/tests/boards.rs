//! The boards that come with the rack, played as a program on a terminal and in process.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that cannot go on fails; what is skipped and how long it took is said"
)]

mod support;

use hal::{
    console::{Console, ConsoleExt, EpochCounter, PtyConsole, PtyOptions},
    process::CommandLine,
};
use rack::{Script, Variables};
use std::{path::PathBuf, time::Duration};
use support::{read_until, say, soon};
use tokio::time::{Instant, timeout_at};

fn board(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("boards")
        .join(name)
}

/// The board as a program on a terminal: as a device's connection command.
fn on_terminal(name: &str, variables: &[&str]) -> PtyConsole {
    let line = CommandLine::new(env!("CARGO_BIN_EXE_rack"))
        .arg("board")
        .arg(board(name));
    PtyConsole::spawn(line.args(variables.iter().copied()), PtyOptions::default()).unwrap()
}

/// The board in this process.
fn in_process(name: &str, variables: &[&str]) -> Box<dyn Console> {
    let variables = variables.iter().map(|assignment| {
        let (name, value) = assignment.split_once('=').unwrap();
        (name.to_owned(), value.to_owned())
    });
    let script = Script::load(&board(name), variables.collect()).unwrap();
    Box::new(rack::console(script, EpochCounter::default()).unwrap())
}

async fn rest(console: &mut dyn Console) -> Vec<u8> {
    let (mut all, mut buffer) = (Vec::new(), vec![0; 64 * 1024]);
    loop {
        let chunk = timeout_at(soon(), console.read(&mut buffer))
            .await
            .unwrap()
            .unwrap();
        if chunk.is_end() {
            return all;
        }
        all.extend_from_slice(&buffer[..chunk.length]);
    }
}

/// Boots, logs in, runs the suite and powers off.
async fn run_suite(console: &mut dyn Console) -> String {
    let mut seen = read_until(console, "board login: ").await;
    say(console, "root\n").await;
    seen += &read_until(console, "root@board:~# ").await;
    say(
        console,
        ". /lava-42/environment ; printf \"<LAVA_SIGNAL_RETRUNCODE $?>\\n\"\n",
    )
    .await;
    seen += &read_until(console, "<LAVA_SIGNAL_RETRUNCODE 0>").await;
    say(console, "/lava-42/bin/lava-test-runner /lava-42/0\n").await;
    seen += &read_until(console, "<LAVA_TEST_RUNNER EXIT>").await;
    say(console, "poweroff\n").await;
    seen + &String::from_utf8_lossy(&rest(console).await)
}

#[tokio::test]
async fn linux_board_says_the_same_on_a_terminal_and_in_process() {
    let on_terminal = run_suite(&mut on_terminal("linux.board", &[])).await;
    let in_process = run_suite(&mut *in_process("linux.board", &[])).await;
    assert_eq!(on_terminal, in_process);
    for expected in [
        "\r\n[    0.000099] board: device 99 registered at 0x00000099\r\n",
        "board login: root\r\nroot@board:~# ",
        "\r\n<LAVA_SIGNAL_STARTRUN 0_board 42_1.2.1>\r\n",
        "\r\n<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=case-2 RESULT=pass>\r\n",
        "poweroff\r\nThe system is going down",
    ] {
        assert!(
            on_terminal.contains(expected),
            "no {expected:?} in {on_terminal}"
        );
    }
}

#[tokio::test]
async fn flood_has_every_line_once_and_in_order() {
    for mut console in [
        Box::new(on_terminal("linux.board", &["flood_boot=200000"])) as Box<dyn Console>,
        in_process("linux.board", &["flood_boot=200000"]),
    ] {
        let seen = read_until(&mut *console, "login: ").await;
        let flood: Vec<&str> = seen.split("\r\n").filter(|line| line.len() == 80).collect();
        assert_eq!(flood.len(), 200_000);
        for (number, line) in flood.iter().enumerate() {
            assert!(line.starts_with(&format!("{number:010}klm")), "{line:?}");
        }
    }
}

#[tokio::test]
async fn panic_comes_after_the_last_prompt() {
    let mut console = on_terminal("linux.board", &["late_panic=1"]);
    read_until(&mut console, "login: ").await;
    say(&mut console, "root\n").await;
    read_until(&mut console, "# ").await;
    say(&mut console, "/lava-1/bin/lava-test-runner /lava-1/0\n").await;
    let before = read_until(&mut console, "EXIT>\r\nroot@board:~# ").await;
    assert!(!before.contains("panic"), "{before}");
    let prompted = Instant::now();
    read_until(&mut console, "---[ end Kernel panic - not syncing").await;
    assert!(
        prompted.elapsed() >= Duration::from_millis(20),
        "{:?}",
        prompted.elapsed()
    );
}

#[tokio::test]
async fn hostile_output_arrives_whole() {
    let variables = ["noise=100000", "long_line=3000000"];
    let mut console = in_process("linux.board", &variables);
    let seen = read_until(&mut *console, "login: ").await;
    assert!(seen.contains('\0') && seen.contains('\u{fffd}'));
    assert!(seen.contains(&"x".repeat(3_000_000)));
}

#[tokio::test]
async fn uboot_is_interrupted_by_a_key_or_boots_by_itself() {
    let mut console = on_terminal("uboot.board", &[]);
    read_until(&mut console, "autoboot").await;
    say(&mut console, " ").await;
    read_until(&mut console, "=> ").await;
    say(&mut console, "frobnicate\n").await;
    let answer = read_until(&mut console, "=> ").await;
    assert_eq!(
        answer,
        "frobnicate\r\nUnknown command 'frobnicate' - try 'help'\r\n=> "
    );
    say(&mut console, "boot\n").await;
    read_until(&mut console, "login: ").await;
    say(&mut console, "root\n").await;
    read_until(&mut console, "Password: ").await;
    say(&mut console, "secret\n").await;
    assert!(!read_until(&mut console, "# ").await.contains("secret"));
    say(&mut console, "reboot\n").await;
    // Nobody presses a key this time.
    read_until(&mut console, "stop autoboot").await;
    assert!(!read_until(&mut console, "login: ").await.contains("=>"));
}

#[tokio::test]
async fn console_that_closes_gives_what_it_had_and_its_status() {
    let mut console = on_terminal("closes.board", &[]);
    let seen = rest(&mut console).await;
    assert!(seen.ends_with(b"supply vol"));
    assert!(
        console
            .end_reason()
            .await
            .unwrap()
            .contains("exit status 3")
    );
    assert!(
        rest(&mut *in_process("closes.board", &[]))
            .await
            .ends_with(b"supply vol")
    );
}

#[tokio::test]
async fn silent_and_panicking_boards_stay_connected() {
    for (name, last) in [("silent.board", "#1 SMP"), ("panic.board", "(0,0) ]---")] {
        let mut console = on_terminal(name, &[]);
        read_until(&mut console, last).await;
        say(&mut console, "hello\n").await;
        let quiet = timeout_at(
            Instant::now() + Duration::from_millis(50),
            rest(&mut console),
        );
        assert!(quiet.await.is_err(), "{name} closed its console");
    }
}

#[tokio::test]
async fn every_board_can_be_loaded() {
    let mut names: Vec<_> = fs_err::read_dir(board(""))
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    names.sort();
    assert!(names.len() >= 6, "{names:?}");
    for name in names {
        Script::load(&name, Variables::new()).unwrap();
    }
}

#[tokio::test]
async fn wrong_use_is_explained() {
    let program = || CommandLine::new(env!("CARGO_BIN_EXE_rack"));
    for (line, expected) in [
        (program(), "rack board FILE"),
        (
            program().arg("board").arg("/no/such.board"),
            "/no/such.board",
        ),
        (
            program().arg("board").arg(board("linux.board")).arg("hold"),
            "hold: not NAME=VALUE",
        ),
        (
            program()
                .arg("board")
                .arg(board("linux.board"))
                .arg("hold=x"),
            "linux.board:",
        ),
    ] {
        let output = hal::process::Command::new(line)
            .output(soon())
            .await
            .unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.exit.returncode(), 64);
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn script_statements_do_what_they_say() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs_err::write(path("text"), "from a file\n").unwrap();
    fs_err::write(
        path("part.board"),
        "set who nobody\nprint \"part ${who}\\n\"\n",
    )
    .unwrap();
    fs_err::write(
        path("all.board"),
        r#"set who me
           include "part.board"
           file "text"
           fill 3 "="
           wait "go"
           print "\ngone\n"
           shell "A> "
             on "in *"
               shell "${1}> "
                 on "out"
                   leave
                 end
               end
             end
             on "ps1 *"
               prompt "${1}"
             end
             on "quit"
               exit 7
             end
           end"#,
    )
    .unwrap();
    let script = Script::load(&path("all.board"), Variables::new()).unwrap();
    let mut console = rack::console(script, EpochCounter::default()).unwrap();
    let console: &mut dyn Console = &mut console;
    assert_eq!(
        read_until(console, "===").await,
        "part me\r\nfrom a file\r\n==="
    );
    say(console, "ggo").await;
    read_until(console, "ggo\r\ngone\r\nA> ").await;
    say(console, "in B\rout\rps1 C\rabc\x03in D\rquit\r").await;
    // The nested shell has its own prompt; Ctrl-C gives up a line; `quit` is no rule of D.
    read_until(
        console,
        "in B\r\nB> out\r\nA> ps1 C\r\nCabc^C\r\nCin D\r\nD> quit\r\nD> ",
    )
    .await;
    say(console, "out\rquit\r").await;
    assert!(rest(console).await.ends_with(b"quit\r\n"));
}

#[tokio::test]
async fn board_program_starts_fast() {
    let mut starts = Vec::new();
    for _ in 0..20 {
        let started = Instant::now();
        let mut console = on_terminal("linux.board", &[]);
        read_until(&mut console, "U-Boot").await;
        starts.push(started.elapsed());
    }
    starts.sort();
    eprintln!("first output after {:.1?} (median of 20)", starts[10]);
    assert!(starts[0] < Duration::from_millis(100), "{starts:?}");
}
