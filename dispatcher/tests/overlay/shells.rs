//! The scripts of the overlay under every shell that is installed.

use crate::support::{build, command, has, inline, overlay, path, script};
use dispatcher::overlay::{Multinode, OverlayBuilder};
use plan::step::LavaOverlay;
use std::{
    fs::Permissions,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Stdio,
};
use tempfile::TempDir;

/// A board: a directory with the overlay, and a shell.
struct Board {
    directory: TempDir,
    shell: PathBuf,
    overlay: LavaOverlay,
}

impl Board {
    /// One board for each shell of this host.
    fn all() -> impl Iterator<Item = Self> {
        [
            ("dash", "exec dash \"$@\""),
            ("busybox", "exec busybox sh \"$@\""),
            ("bash", "exec bash \"$@\""),
            ("mksh", "exec mksh \"$@\""),
        ]
        .into_iter()
        .filter(|(program, _)| has(program))
        .map(|(program, start)| Self::new(program, start))
    }

    fn new(program: &str, start: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        // Scripts name an absolute path of a program without arguments.
        let shell = directory.path().join(format!("{program}-shell"));
        fs_err::write(&shell, format!("#!/bin/sh\n{start}\n")).unwrap();
        fs_err::set_permissions(&shell, Permissions::from_mode(0o755)).unwrap();
        let overlay = overlay(&directory.path().join("root"), &shell.display().to_string());
        Self {
            directory,
            shell,
            overlay,
        }
    }

    /// Builds the overlay so that it is where the board looks for it.
    fn install(&self, definitions: &[(&str, &str)]) -> OverlayBuilder {
        let definitions: Vec<_> = definitions
            .iter()
            .zip(0..)
            .map(|((name, text), index)| inline(&self.overlay, index, name, text))
            .collect();
        build(Path::new("/"), &self.overlay, &definitions)
    }

    fn results_dir(&self) -> &str {
        &self.overlay.results_dir
    }

    /// Types a line; returns all that the console shows.
    fn console(&self, line: &str, input: &str) -> String {
        let mut child = command("sh")
            .args(["-c", "exec \"$0\" -c \"$1\" 2>&1"])
            .arg(&self.shell)
            .arg(line)
            .current_dir(self.directory.path())
            .env("SHELL", &self.shell)
            .env("PATH", format!("{}/bin:{}", self.results_dir(), path()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    fn run_stage(&self) -> String {
        let results_dir = self.results_dir();
        self.console(
            &format!(
                ". {results_dir}/environment; {results_dir}/bin/lava-test-runner {results_dir}/0"
            ),
            "",
        )
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the shell was {}", self.shell.display());
        }
    }
}

/// Lines with signals.
fn signals(console: &str) -> Vec<&str> {
    console
        .lines()
        .filter(|line| line.contains("<LAVA_"))
        .collect()
}

/// The steps and the signals are those of a job that was recorded with LAVA 2026.07.
#[test]
fn a_job_prints_the_signals_that_lava_prints() {
    let first = "
metadata: {format: Lava-Test Test Definition 1.0, name: peer-inline}
run:
  steps:
  - lava-test-case uname --shell uname -a
  - lava-test-case always-pass --result pass
  - lava-test-case always-fail --result fail
  - lava-test-case skipped --result skip
  - lava-test-case unknown-one --result unknown
  - lava-test-case measured --result pass --measurement 42.5 --units MB/s
  - lava-test-case shell-false --shell false
  - lava-test-set start set-a
  - lava-test-case in-set-1 --result pass
  - lava-test-case in-set-2 --shell 'echo greeting=hello'
  - lava-test-set stop set-a
  - lava-test-reference ref-case --result pass --reference https://example.org/x
  - echo \"plain output line\"
";
    let second = "
metadata: {format: Lava-Test Test Definition 1.0, name: second}
run:
  steps:
  - lava-test-case second-1 --result pass
  - lava-test-feedback /dev/null 2>/dev/null || true
";
    let expected = [
        "<LAVA_SIGNAL_STARTRUN 0_peer-inline 1003_1.1.2.1>",
        "<LAVA_SIGNAL_STARTTC uname>",
        "<LAVA_SIGNAL_ENDTC uname>",
        "<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=uname RESULT=pass>",
        "<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=always-pass RESULT=pass>",
        "<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=always-fail RESULT=fail>",
        "<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=skipped RESULT=skip>",
        "<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=unknown-one RESULT=unknown>",
        "<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=measured RESULT=pass UNITS=MB/s MEASUREMENT=42.5>",
        "<LAVA_SIGNAL_STARTTC shell-false>",
        "<LAVA_SIGNAL_ENDTC shell-false>",
        "<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=shell-false RESULT=fail>",
        "<LAVA_SIGNAL_TESTSET START set-a>",
        "<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=in-set-1 RESULT=pass>",
        "<LAVA_SIGNAL_STARTTC in-set-2>",
        "<LAVA_SIGNAL_ENDTC in-set-2>",
        "<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=in-set-2 RESULT=pass>",
        "<LAVA_SIGNAL_TESTSET STOP>",
        "<LAVA_SIGNAL_TESTREFERENCE ref-case pass https://example.org/x>",
        "<LAVA_SIGNAL_ENDRUN 0_peer-inline 1003_1.1.2.1>",
        "<LAVA_SIGNAL_STARTRUN 1_second 1003_1.1.2.5>",
        "<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=second-1 RESULT=pass>",
        "<LAVA_SIGNAL_ENDRUN 1_second 1003_1.1.2.5>",
        "<LAVA_TEST_RUNNER EXIT>",
    ];
    for board in Board::all() {
        board.install(&[("peer-inline", first), ("second", second)]);
        let console = board.run_stage();
        assert_eq!(signals(&console), expected, "{console}");
        let lines: Vec<&str> = console.lines().collect();
        assert!(lines.contains(&"greeting=hello"), "{console}");
        assert!(lines.contains(&"plain output line"), "{console}");
        assert!(console.contains("Usage: lava-test-feedback"), "{console}");
    }
}

#[test]
fn what_the_shell_traces_before_a_run_is_what_lava_traces() {
    if !has("busybox") {
        return;
    }
    let board = Board::new("busybox", "exec busybox sh \"$@\"");
    board.install(&[("peer", "run: {steps: [lava-test-case a --result pass]}")]);
    let console = board.run_stage();
    let results_dir = board.results_dir();
    let expected = format!(
        "+ export 'TESTRUN_ID=0_peer'
+ cd {results_dir}/0/tests/0_peer
+ cat uuid
+ UUID=1003_1.1.2.1
+ set +x
<LAVA_SIGNAL_STARTRUN 0_peer 1003_1.1.2.1>
+ lava-test-case a --result pass
<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=a RESULT=pass>
+ set +x
<LAVA_SIGNAL_ENDRUN 0_peer 1003_1.1.2.1>
<LAVA_TEST_RUNNER EXIT>
"
    );
    assert_eq!(console, expected);
}

#[test]
fn a_failing_step_ends_its_run_and_the_next_test_still_runs() {
    for board in Board::all() {
        board.install(&[
            ("first", "run: {steps: ['false', echo never]}"),
            ("second", "run: {steps: [lava-test-case a --result pass]}"),
        ]);
        let console = board.run_stage();
        assert_eq!(
            signals(&console),
            [
                "<LAVA_SIGNAL_STARTRUN 0_first 1003_1.1.2.1>",
                "<LAVA_SIGNAL_STARTRUN 1_second 1003_1.1.2.5>",
                "<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=a RESULT=pass>",
                "<LAVA_SIGNAL_ENDRUN 1_second 1003_1.1.2.5>",
                "<LAVA_TEST_RUNNER EXIT>",
            ]
        );
        let code = script(
            board.directory.path(),
            &format!(
                "cat {}/0/results/0_first-*/return_code",
                board.results_dir()
            ),
        );
        assert_eq!(code, "1\n");
    }
}

#[test]
fn a_failing_install_is_reported_and_its_test_is_skipped() {
    for board in Board::all() {
        board.install(&[
            (
                "broken",
                "install: {steps: [echo preparing, 'false']}\nrun: {steps: [echo never]}",
            ),
            (
                "fine",
                "install: {steps: [echo ready > ready]}\nrun: {steps: [cat ready]}",
            ),
        ]);
        let console = board.run_stage();
        assert_eq!(
            signals(&console),
            [
                "<LAVA_TEST_RUNNER INSTALL_FAIL>",
                "<LAVA_SIGNAL_STARTRUN 1_fine 1003_1.1.2.5>",
                "<LAVA_SIGNAL_ENDRUN 1_fine 1003_1.1.2.5>",
                "<LAVA_TEST_RUNNER EXIT>",
            ]
        );
        assert!(console.lines().any(|line| line == "ready"), "{console}");
    }
}

#[test]
fn after_a_reboot_nothing_runs_twice() {
    for board in Board::all() {
        board.install(&[("a", "run: {steps: [lava-test-case a --result pass]}")]);
        assert!(board.run_stage().contains("TEST_CASE_ID=a"));
        assert_eq!(signals(&board.run_stage()), ["<LAVA_TEST_RUNNER EXIT>"]);
    }
}

#[test]
fn parameters_reach_the_steps_whatever_is_in_them() {
    for board in Board::all() {
        let mut definition = inline(
            &board.overlay,
            0,
            "parameters",
            "params: {GREETING: default, KEPT: 1}\nrun:\n  steps:\n  - printf '%s|%s|%s\\n' \"$GREETING\" \"$KEPT\" \"$ODD\"\n",
        );
        definition.parameters = vec![
            ("GREETING".to_owned(), "two  words".to_owned()),
            ("ODD".to_owned(), "it's $(reboot) `x` \\ \" *".to_owned()),
        ];
        build(Path::new("/"), &board.overlay, &[definition]);
        let console = board.run_stage();
        assert!(
            console
                .lines()
                .any(|line| line == "two  words|1|it's $(reboot) `x` \\ \" *"),
            "{console}"
        );
    }
}

#[test]
fn arguments_of_signals_cannot_break_the_line() {
    for board in Board::all() {
        board.install(&[]);
        for (line, expected) in [
            (
                "lava-test-case 'a b>c' --result pass --units 'x  y'",
                "<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=a_b_c RESULT=pass UNITS=x__y>",
            ),
            (
                "lava-test-set start 'a\nb'",
                "<LAVA_SIGNAL_TESTSET START a_b>",
            ),
            (
                "lava-test-event 'one <b> two'",
                "<LAVA_SIGNAL_TESTEVENT one <b_ two>",
            ),
            (
                "lava-test-case '%s\\n$HOME*' --result pass",
                "<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=%s\\n$HOME* RESULT=pass>",
            ),
        ] {
            assert_eq!(board.console(line, ""), format!("{expected}\n"), "{line}");
        }
    }
}

#[test]
fn test_cases_run_commands_in_a_shell_of_their_own() {
    for board in Board::all() {
        board.install(&[]);
        let console = board.console(
            "lava-test-case a --shell 'exit 3'; echo \"code $?\"; \
             lava-test-case b --shell 'echo one | grep -q one && cd /'; \
             echo cat > cats; lava-test-case c --result skip --output cats; rm cats",
            "",
        );
        assert_eq!(
            console,
            "<LAVA_SIGNAL_STARTTC a>
<LAVA_SIGNAL_ENDTC a>
<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=a RESULT=fail>
code 0
<LAVA_SIGNAL_STARTTC b>
<LAVA_SIGNAL_ENDTC b>
<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=b RESULT=pass>
<LAVA_SIGNAL_STARTTC c>
cat
<LAVA_SIGNAL_ENDTC c>
<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=c RESULT=skip>
"
        );
    }
}

#[test]
fn wrong_arguments_print_the_usage_and_fail() {
    for board in Board::all() {
        board.install(&[]);
        for line in [
            "lava-test-case",
            "lava-test-case --result pass",
            "lava-test-case a",
            "lava-test-case a --result",
            "lava-test-case a --results pass",
            "lava-test-case a --shell",
            "lava-test-set",
            "lava-test-set start",
            "lava-test-reference a --result pass",
            "lava-test-event",
            "lava-test-feedback common",
            "lava-test-raise",
            "lava-test-shell x",
            "lava-background-process-start a",
            "lava-background-process-stop a",
        ] {
            let console = board.console(&format!("{line}; echo \"code $?\""), "");
            assert!(console.contains("Usage:"), "{line}: {console}");
            assert!(console.ends_with("code 1\n"), "{line}: {console}");
            assert!(!console.contains("<LAVA_"), "{line}: {console}");
        }
        let raised = board.console("lava-test-raise board is on fire; echo \"code $?\"", "");
        assert_eq!(raised, "<LAVA_SIGNAL_TESTRAISE board is on fire>\ncode 1\n");
    }
}

#[test]
fn helpers_print_what_the_dictionary_says() {
    for board in Board::all() {
        board.install(&[]);
        let console = board.console(
            "lava-target-mac; lava-target-storage; lava-target-storage SATA; \
             lava-target-storage NONE; echo $?; lava-target-ip; echo $?; \
             . $(dirname $(command -v lava-test-case))/../secrets; echo \"$TOKEN\"",
            "",
        );
        assert_eq!(
            console,
            "00:11:22:33:44:55
UMS\t/dev/disk/by-id/ums
SATA\t/dev/disk/by-id/sata
/dev/disk/by-id/sata
1
lava-target-ip: the dictionary of this device does not tell
1
it's $ecret
"
        );
    }
}

#[test]
fn processes_in_the_background_are_respawned_and_stopped_with_their_children() {
    for board in Board::all() {
        board.install(&[]);
        let results = board.directory.path().join("results-of-a-test");
        let console = board.console(
            &format!(
                "export LAVA_RESULT_DIR={}; mkfifo ticks; \
                 lava-background-process-start ticker --cmd 'echo tick > ticks; sleep 1000'; \
                 cat ticks; pid=$(cat $LAVA_RESULT_DIR/results/ticker/pid); \
                 kill -0 $pid && echo running; echo kept > kept; \
                 lava-background-process-stop ticker --attach kept text/plain; \
                 i=0; while kill -0 -$pid 2>/dev/null && [ $i -lt 400 ]; do sleep 0.05; i=$((i + 1)); done; \
                 cat $LAVA_RESULT_DIR/results/ticker/kept; rm -f ticks kept; \
                 kill -0 -$pid 2>/dev/null || echo gone",
                results.display()
            ),
            "",
        );
        assert_eq!(console, "tick\nrunning\nkept\ngone\n");
    }
}

#[test]
fn multinode_helpers_ask_wait_and_keep_the_answer() {
    for board in Board::all() {
        let mut builder = board.install(&[]);
        builder
            .add_multinode(&Multinode {
                group: vec![
                    ("8962".to_owned(), "server".to_owned()),
                    ("8963".to_owned(), "client".to_owned()),
                    ("8964".to_owned(), "client".to_owned()),
                ],
                role: "server".to_owned(),
                name: "8962".to_owned(),
            })
            .unwrap();
        let bin = Path::new(board.results_dir()).join("bin");
        // The cache is one for all boards of this host.
        let cache = board.directory.path().join("cache.txt");
        for entry in fs_err::read_dir(&bin).unwrap() {
            let path = entry.unwrap().path();
            let text = fs_err::read_to_string(&path).unwrap();
            let text = text.replace(
                "/tmp/lava_multi_node_cache.txt",
                &cache.display().to_string(),
            );
            fs_err::write(&path, text).unwrap();
        }
        let answers = "noise\n<LAVA_WAIT_COMPLETE 8963:ip=10.0.0.1 8963:port=80>\n\n\
                       <LAVA_SYNC_COMPLETE>\n<LAVA_WAIT_ALL_COMPLETE nack>\n";
        let console = board.console(
            &format!(
                "lava-group; lava-group client; lava-role; lava-role list; lava-self; \
                 lava-send addr ip=10.0.0.1 port=80; lava-wait addr; cat {0}; \
                 lava-sync ready; wc -c < {0}; lava-wait-all done client; echo \"code $?\"",
                cache.display()
            ),
            answers,
        );
        let lines: Vec<&str> = console
            .lines()
            .filter(|line| !line.contains("_DEBUG "))
            .map(str::trim)
            .collect();
        assert_eq!(
            lines,
            [
                "8962\tserver",
                "8963\tclient",
                "8964\tclient",
                "8963",
                "8964",
                "server",
                "server",
                "client",
                "8962",
                "<LAVA_MULTI_NODE> <LAVA_SEND addr ip=10.0.0.1 port=80>",
                "<LAVA_MULTI_NODE> <LAVA_WAIT addr>",
                "8963:ip=10.0.0.1",
                "8963:port=80",
                "<LAVA_MULTI_NODE> <LAVA_SYNC ready>",
                "0",
                "<LAVA_MULTI_NODE> <LAVA_WAIT_ALL done client>",
                "code 1",
            ]
        );
    }
}

/// A signal goes out in one write, or the kernel's messages get in between.
#[test]
fn a_signal_is_one_write() {
    use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, recv, socketpair};
    for board in Board::all() {
        board.install(&[]);
        // A socket that keeps what is written apart.
        let (ours, console) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .unwrap();
        let status = command(&board.shell.display().to_string())
            .arg(format!("{}/bin/lava-test-case", board.results_dir()))
            .args(["a", "--result", "pass", "--measurement", "1"])
            .stdout(console)
            .status()
            .unwrap();
        assert!(status.success());
        let mut first = [0; 200];
        let (_, length) = recv(&ours, &mut first, RecvFlags::empty()).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&first[..length]),
            "<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=a RESULT=pass MEASUREMENT=1>\n"
        );
    }
}

#[test]
fn the_scripts_are_clean_for_shellcheck() {
    if !has("shellcheck") {
        return;
    }
    let helpers = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/overlay/helpers");
    script(
        &helpers,
        "cd common; shellcheck -s sh -x ./* ../[!cm]*/*; \
         cd ../multinode; shellcheck -s sh -e SC1091 ./*; cd ../centos; shellcheck -s sh ./*",
    );
    let board = Board::new("dash", "exec dash \"$@\"");
    board.install(&[(
        "a",
        "install: {deps: [a b], steps: [make]}\nparams: {A: b}\nrun: {steps: [echo a]}",
    )]);
    // Parameters and CHARACTER_DELAY may be unused.
    script(
        Path::new(board.results_dir()),
        "shellcheck -s sh -e SC2034 0/tests/0_a/run.sh 0/tests/0_a/install.sh environment",
    );
}
