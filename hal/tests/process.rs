//! Real processes: output, deadlines, and that nothing survives its owner.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use hal::{
    ErrorKind,
    process::{Command, CommandLine, Leftovers, ProcessIdentity},
};
use proptest::prelude::*;
use std::{io::Write, time::Duration};
use support::{shell, soon, wait_for, wait_until_dead};
use tokio::time::Instant;

fn pid_in(file: &std::path::Path) -> Result<ProcessIdentity, String> {
    let text = fs_err::read_to_string(file).map_err(|error| error.to_string())?;
    let pid = text.strip_suffix('\n').ok_or("not yet written")?;
    let identity = ProcessIdentity::of(pid.parse().unwrap());
    identity
        .filter(|identity| identity.is_alive())
        .ok_or(format!("{pid} is gone"))
}

#[tokio::test]
async fn lines_of_both_streams_come_in_order() {
    let mut lines = Vec::new();
    let command = Command::new(shell(
        "echo one; echo two >&2; printf 'three\\r\\nlast'; exit 3",
    ));
    let exit = command
        .run(soon(), |line| lines.push(line.to_vec()))
        .await
        .unwrap();
    assert_eq!(lines, [&b"one"[..], b"two", b"three", b"last"]);
    assert_eq!((exit.success(), exit.returncode()), (false, 3));
    let failure = command.failure(&exit);
    assert_eq!(failure.kind(), ErrorKind::CommandFailed);
    assert!(
        failure.to_string().ends_with("ended with exit status 3"),
        "{failure}"
    );
}

#[tokio::test]
async fn output_is_collected_by_stream() {
    let output = Command::new(shell("echo out; echo err >&2; kill -9 $$"));
    let output = output.output(soon()).await.unwrap();
    assert_eq!(
        (&output.stdout[..], &output.stderr[..]),
        (&b"out\n"[..], &b"err\n"[..])
    );
    assert_eq!(
        (output.exit.returncode(), output.exit.describe()),
        (-9, "signal 9".to_owned())
    );
}

#[tokio::test]
async fn environment_directory_and_empty_input_reach_the_command() {
    let directory = tempfile::tempdir().unwrap();
    let command = Command::new(shell("echo $LAVA_JOB_ID; pwd -P; cat; echo end"));
    let command = command
        .env("LAVA_JOB_ID", "42")
        .current_dir(directory.path());
    let output = command.output(soon()).await.unwrap();
    let expected = format!(
        "42\n{}\nend\n",
        directory.path().canonicalize().unwrap().display()
    );
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
}

#[tokio::test]
async fn command_leads_its_own_session_and_group() {
    let output = Command::new(shell("cut -d' ' -f1,5,6 /proc/$$/stat"))
        .output(soon())
        .await;
    let output = String::from_utf8(output.unwrap().stdout).unwrap();
    let ids: Vec<&str> = output.split_whitespace().collect();
    assert_eq!((ids[0], ids[0]), (ids[1], ids[2]));
}

#[tokio::test]
async fn what_cannot_start_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let missing = Command::new(CommandLine::new("no-such-command"))
        .spawn(None)
        .unwrap_err();
    assert_eq!(
        missing.to_string(),
        "cannot find command 'no-such-command' in $PATH"
    );

    let nowhere = Command::new(shell("true")).current_dir(directory.path().join("gone"));
    let nowhere = nowhere.spawn(None).unwrap_err();
    assert_eq!(nowhere.kind(), ErrorKind::NotFound);
    assert!(
        nowhere.to_string().contains("gone: it is not a directory"),
        "{nowhere}"
    );

    let script = directory.path().join("script");
    fs_err::write(&script, "#!/no/such/interpreter\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs_err::set_permissions(&script, mode).unwrap();
    let script = Command::new(CommandLine::new(script))
        .spawn(None)
        .unwrap_err();
    assert!(script.hint().unwrap().contains("interpreter"), "{script}");

    let nul = Command::new(CommandLine::new("echo").arg("a\0b"))
        .spawn(None)
        .unwrap_err();
    assert_eq!(nul.kind(), ErrorKind::InvalidInput, "{nul}");
}

#[tokio::test]
async fn deadline_ends_the_whole_group() {
    let directory = tempfile::tempdir().unwrap();
    let command = Command::new(shell(
        "sleep 600 & echo $! >pid.new; mv pid.new pid; echo up; wait",
    ));
    let command = command.current_dir(directory.path());
    let mut lines = Vec::new();
    // Long enough for a shell to start on a loaded machine.
    let deadline = Instant::now() + Duration::from_secs(2);
    let error = command
        .run(deadline, |line| lines.push(line.to_vec()))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("did not end within"), "{error}");
    assert_eq!(lines, [b"up"]);
    let grandchild = directory.path().join("pid");
    wait_for(|| pid_in(&grandchild).map_or(Ok(()), Err)).await;
}

#[tokio::test]
async fn command_that_ignores_the_request_is_killed_after_its_grace() {
    let command = Command::new(shell(
        "trap '' TERM; trap 'echo never' EXIT; while :; do sleep 1; done",
    ));
    let command = command.grace(Duration::from_millis(50));
    let started = Instant::now();
    let deadline = started + Duration::from_millis(200);
    let error = command.run(deadline, |_| {}).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(started.elapsed() >= Duration::from_millis(250));
}

#[tokio::test]
async fn command_may_clean_up_within_its_grace() {
    let command = Command::new(shell(
        "trap 'echo cleaned; exit' TERM; echo up; while :; do sleep 0.01; done",
    ));
    let mut lines = Vec::new();
    // Long enough for a shell to start on a loaded machine.
    let deadline = Instant::now() + Duration::from_secs(2);
    command
        .run(deadline, |line| lines.push(line.to_vec()))
        .await
        .unwrap_err();
    assert_eq!(lines.last().unwrap(), b"cleaned");
}

#[tokio::test]
async fn endless_output_does_not_outlive_the_deadline() {
    let command = Command::new(CommandLine::new("yes")).output_limit(1 << 20);
    let started = Instant::now();
    let mut bytes = 0;
    let error = command.run(started + Duration::from_millis(300), |line| {
        bytes += line.len()
    });
    assert_eq!(error.await.unwrap_err().kind(), ErrorKind::Timeout);
    assert!((1..=1 << 20).contains(&bytes), "{bytes}");
}

#[tokio::test]
async fn dropped_run_leaves_no_process() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pid");
    let command = Command::new(shell("echo $$ >leader.new; mv leader.new leader
        sh -c 'trap \"\" TERM HUP; echo $$ >pid.new; mv pid.new pid; while :; do sleep 1; done' & wait"));
    let command = command.current_dir(directory.path());
    let (leader, grandchild) = {
        let mut run = std::pin::pin!(command.run(soon(), |_| {}));
        let ready = wait_for(|| {
            let leader = pid_in(&directory.path().join("leader"))?;
            pid_in(&file).map(|grandchild| (leader, grandchild))
        });
        tokio::select! {
            ended = &mut run => panic!("ended: {ended:?}"),
            pids = ready => pids,
        }
    };
    // The leader was reaped by the drop; the grandchild was sent the signal by it.
    assert_eq!(ProcessIdentity::of(leader.pid()), None);
    wait_until_dead(grandchild).await;
}

#[tokio::test]
async fn leftovers_are_killed_or_left_as_asked() {
    let directory = tempfile::tempdir().unwrap();
    let script = "sleep 600 & echo $! >pid.new; mv pid.new pid";
    for leftovers in [Leftovers::Kill, Leftovers::Leave] {
        let command = Command::new(shell(script)).current_dir(directory.path());
        // The leftover holds the pipe open: the run must not wait for it.
        let exit = command
            .leftovers(leftovers)
            .run(soon(), |_| {})
            .await
            .unwrap();
        assert!(exit.success() && exit.duration < Duration::from_secs(20));
        let file = directory.path().join("pid");
        match leftovers {
            Leftovers::Kill => wait_for(|| pid_in(&file).map_or(Ok(()), Err)).await,
            Leftovers::Leave => {
                let leftover = pid_in(&file).unwrap();
                assert!(leftover.is_alive());
                let pid = rustix::process::Pid::from_raw(leftover.pid().try_into().unwrap());
                rustix::process::kill_process(pid.unwrap(), rustix::process::Signal::KILL).unwrap();
            }
        }
    }
}

#[tokio::test]
async fn collected_output_beyond_the_limit_is_an_error() {
    let command = Command::new(shell("head -c 100000 /dev/zero; sleep 600")).output_limit(99_999);
    assert_eq!(
        command.output(soon()).await.unwrap_err().kind(),
        ErrorKind::Exhausted
    );
    let command = Command::new(shell("head -c 100000 /dev/zero")).output_limit(100_000);
    assert_eq!(command.output(soon()).await.unwrap().stdout.len(), 100_000);
}

#[tokio::test]
async fn much_output_in_one_line_needs_little_memory() {
    let before = support::peak_memory_kib();
    let command = Command::new(shell("head -c 300000000 /dev/zero; echo; echo end >&2"));
    let command = command.output_limit(200_000_000);
    let (mut bytes, mut longest, mut last) = (0, 0, Vec::new());
    let run = command.run(soon(), |line| {
        bytes += line.len();
        longest = longest.max(line.len());
        last = line[..line.len().min(10)].to_vec();
    });
    let exit = run.await.unwrap();
    assert_eq!((bytes, exit.discarded), (200_000_000, 100_000_005));
    assert_eq!(longest, 64 * 1024);
    assert_eq!(last, [0; 10]);
    let grown = support::peak_memory_kib() - before;
    // Other tests run in this process too; the output is far larger than this.
    assert!(grown < 16 * 1024, "grew by {grown} KiB");
}

#[tokio::test]
async fn running_process_is_stopped_and_named() {
    let mut running = Command::new(shell("exec sleep 600")).spawn(None).unwrap();
    let identity = running.identity().unwrap();
    assert_eq!(running.try_exit().unwrap(), None);
    assert!(identity.is_alive());
    let status = running.stop(Duration::from_secs(20)).await.unwrap();
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&status),
        Some(15)
    );
    assert!(!identity.is_alive() && running.identity().is_none());
    // Again, and the undo of a process that is gone.
    assert_eq!(running.stop(Duration::ZERO).await.unwrap(), status);
    identity.kill_group().unwrap();
}

#[tokio::test]
async fn undo_kills_what_a_dead_leader_left() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pid");
    let command = Command::new(shell(
        "echo $$ >leader; sleep 600 & echo $! >pid; exec sleep 600",
    ));
    let command = command
        .current_dir(directory.path())
        .leftovers(Leftovers::Leave);
    let mut running = command.spawn(None).unwrap();
    let leftover = wait_for(|| pid_in(&file)).await;
    let identity = running.identity().unwrap();
    let leader = rustix::process::Pid::from_raw(identity.pid().try_into().unwrap()).unwrap();
    rustix::process::kill_process(leader, rustix::process::Signal::KILL).unwrap();
    running.exited().await.unwrap();
    assert!(leftover.is_alive() && !identity.is_alive());
    identity.kill_group().unwrap();
    wait_until_dead(leftover).await;
}

/// Not a test of its own: the victim of the next one, which runs this program again.
#[tokio::test]
async fn owner_that_gets_killed() {
    let Some(file) = std::env::var_os("HAL_TEST_OWNER_WRITES") else {
        return;
    };
    let running = Command::new(CommandLine::new("sleep").arg("600"))
        .spawn(None)
        .unwrap();
    let console = hal::console::PtyConsole::spawn(shell("sleep 600; true"), Default::default());
    let console = console.unwrap();
    fs_err::write(
        &file,
        format!("{} {}\n", running.pid(), console.process().pid()),
    )
    .unwrap();
    std::future::pending().await
}

#[tokio::test]
async fn kernel_kills_processes_whose_owner_was_killed() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pids");
    let this_program = CommandLine::new(std::env::current_exe().unwrap());
    let owner = Command::new(this_program.args(["--exact", "owner_that_gets_killed"]))
        .env("HAL_TEST_OWNER_WRITES", &file)
        .spawn(None)
        .unwrap();
    let children = wait_for(|| {
        let text = fs_err::read_to_string(&file).map_err(|error| error.to_string())?;
        let text = text.strip_suffix('\n').ok_or("not yet written")?;
        let pids = text
            .split(' ')
            .map(|pid| ProcessIdentity::of(pid.parse().unwrap()));
        pids.collect::<Option<Vec<_>>>()
            .ok_or(format!("{text}: gone"))
    });
    let children = children.await;
    let pid = rustix::process::Pid::from_raw(owner.pid().try_into().unwrap()).unwrap();
    // Only the owner, not its group: the kernel has to do the rest.
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    assert_eq!(children.len(), 2);
    for child in children {
        wait_until_dead(child).await;
    }
}

/// What Python's `shlex.split` makes of each text, or the message of its error.
async fn shlex_of_python(texts: &[String]) -> Option<Vec<Result<Vec<String>, String>>> {
    const SCRIPT: &str = "
import shlex, sys
for record in open(sys.argv[1], encoding='utf-8', newline='').read().split('\\x01')[:-1]:
    try:
        sys.stdout.buffer.write(''.join('w' + w + '\\x02' for w in shlex.split(record)).encode())
    except ValueError as error:
        sys.stdout.buffer.write(('e%s\\x02' % error).encode())
    sys.stdout.buffer.write(b'\\x01')
";
    let mut file = tempfile::NamedTempFile::new().unwrap();
    for text in texts {
        write!(file, "{text}\u{1}").unwrap();
    }
    let python = CommandLine::new("python3")
        .arg("-c")
        .arg(SCRIPT)
        .arg(file.path());
    let output = match Command::new(python).output(soon()).await {
        Ok(output) => output,
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(error) => panic!("{error}"),
    };
    assert!(
        output.exit.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let answers = String::from_utf8(output.stdout).unwrap();
    let answers = answers.split_terminator('\u{1}').map(|answer| {
        let items: Vec<&str> = answer.split_terminator('\u{2}').collect();
        match items[..] {
            [error] if error.starts_with('e') => Err(error[1..].to_owned()),
            _ => Ok(items.iter().map(|word| word[1..].to_owned()).collect()),
        }
    });
    Some(answers.collect())
}

#[tokio::test]
async fn splitting_agrees_with_python() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let pieces = vec![
        "a", "é", " ", "\t", "\n", "\r", "'", "\"", "\\", "#", "$", "\u{a0}", "b;",
    ];
    let text = proptest::collection::vec(proptest::sample::select(pieces), 0..12);
    let mut runner = TestRunner::default();
    let mut sample = || text.new_tree(&mut runner).unwrap().current().concat();
    let texts: Vec<String> = (0..20_000).map(|_| sample()).collect();
    let Some(expected) = shlex_of_python(&texts).await else {
        eprintln!("SKIPPED: there is no python3 to compare with");
        return;
    };
    assert_eq!(expected.len(), texts.len());
    for (text, expected) in texts.iter().zip(expected) {
        let ours = match CommandLine::parse(text) {
            Ok(line) => Ok(line
                .words()
                .map(|word| word.to_str().unwrap().to_owned())
                .collect()),
            Err(hal::process::CommandLineError::Empty) => Ok(Vec::new()),
            Err(error) => Err(error.to_string()),
        };
        assert_eq!(ours, expected, "{text:?}");
    }
}
