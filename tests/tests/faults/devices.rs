//! Commands of the device that fail: its console, its power, its own commands.

use crate::table::{CONFIGURATION, Definition, INFRASTRUCTURE, section};
use integration::{BOOT, Finished, Lab, OVERLAY, inline, job};

section! {
    "Commands of the device";

    connect_missing: "a connection command that is not installed"
        => INFRASTRUCTURE, "cannot find command 'no-such-telnet'", "",
        |lab| connecting(lab, "no-such-telnet localhost 7000");
    connect_not_executable: "a connection command that may not be executed"
        => INFRASTRUCTURE, "is not an executable file", "",
        |lab| {
            let file = lab.file("connect.sh", "#!/bin/sh\n");
            connecting(lab, &file.display().to_string())
        };
    connect_without_interpreter: "a connection command whose interpreter is missing"
        => INFRASTRUCTURE, "cannot start command", "interpreter",
        |lab| {
            let file = lab.file("connect.sh", "#!/no/such/interpreter\n");
            integration::shell("chmod 755 \"$1\"", &file)?;
            connecting(lab, &file.display().to_string())
        };
    connect_malformed: "a connection command with an open quote"
        => CONFIGURATION, "makes no sense: No closing quotation", "",
        |lab| connecting(lab, "telnet 'localhost 7000");
    connect_refused: "a connection command that fails"
        => INFRASTRUCTURE, "Connection closed: the command", "last lines",
        |lab| {
            let script = lab.file("connect.sh", "echo 'telnet: cannot connect' >&2\nexit 1\n");
            let finished = connecting(lab, &format!("sh {}", script.display()))?;
            console_shows(&finished, "telnet: cannot connect");
            Some(finished)
        };
    console_closes_at_once: "a console that closes at once"
        => INFRASTRUCTURE, "Connection closed: the command 'true' ended with exit status 0", "last lines",
        |lab| connecting(lab, "true");
    console_closes_while_booting: "a console that closes while the board boots"
        => INFRASTRUCTURE, "ended with exit status 3", "last lines",
        |lab| {
            let board = lab.board_of_the_rack("closes.board", "");
            let finished = connecting(lab, &board)?;
            console_shows(&finished, "supply vol");
            Some(finished)
        };
    console_killed: "a connection command that is killed"
        => INFRASTRUCTURE, "ended with signal 9", "",
        |lab| {
            let script = lab.file("connect.sh", "echo Linux version 6\nkill -9 $$\n");
            connecting(lab, &format!("sh {}", script.display()))
        };

    reset_fails: "a reset command that fails"
        => INFRASTRUCTURE, "ended with exit status 7", "in the log",
        |lab| {
            let finished = with_command(lab, "hard_reset", "sh -c 'echo no such outlet; exit 7'")?;
            assert!(finished.file("logs.yaml").contains("no such outlet"));
            Some(finished)
        };
    reset_missing: "a reset command that is not installed"
        => INFRASTRUCTURE, "cannot find command 'no-such-pdu'", "",
        |lab| {
            let finished = with_command(lab, "hard_reset", "no-such-pdu off")?;
            assert!(lab.noted("power").is_empty(), "the board was touched");
            Some(finished)
        };
    reset_hangs: "a reset command that never ends"
        => INFRASTRUCTURE, "pdu-reboot timed out after 1 seconds", "",
        |lab| {
            let mut device = booting(lab);
            device["commands"]["hard_reset"] = "sh -c 'sleep 1000 & sleep 1000'".into();
            device["timeouts"]["actions"]["pdu-reboot"] = serde_json::json!({"seconds": 1});
            let finished = lab.run(&whole_job(), &device).finish();
            let waited = finished.fault("waited_for");
            assert!(waited.contains("sleep 1000"), "it waited for {waited:?}");
            Some(finished)
        };
    power_off_fails: "a power-off command that fails"
        => INFRASTRUCTURE, "Failed to clean after job", "",
        |lab| {
            let finished = with_command(lab, "power_off", "sh -c 'echo no such outlet; exit 7'")?;
            // Nobody can switch this board off: that is what the fault is for.
            lab.file("power", "on\noff\n");
            Some(finished)
        };
    power_off_hangs: "a power-off command that never ends"
        => INFRASTRUCTURE, "Failed to clean after job: power-off timed out after 1 seconds", "",
        |lab| {
            let mut device = booting(lab);
            device["commands"]["power_off"] = "sh -c 'sleep 1000 & sleep 1000'".into();
            device["timeouts"]["actions"]["power-off"] = serde_json::json!({"seconds": 1});
            let finished = lab.run(&whole_job(), &device).finish();
            lab.file("power", "on\noff\n");
            Some(finished)
        };
    user_command_unknown: "a user command that the device does not have"
        => Definition, "the device has no command `no_such_command`", "",
        |lab| user_command(lab, "no_such_command", "true");
    user_command_fails: "a user command that fails; its undo runs"
        => INFRASTRUCTURE, "ended with exit status 1", "",
        |lab| {
            let finished = user_command(lab, "attach", "false")?;
            assert_eq!(lab.noted("relay"), ["detached"]);
            Some(finished)
        };
}

fn whole_job() -> String {
    job(&[OVERLAY, BOOT, &inline("")])
}

fn booting(lab: &Lab) -> serde_json::Value {
    lab.device(&lab.board_of_the_rack("linux.board", ""))
}

fn connecting(lab: &Lab, connect: &str) -> Option<Finished> {
    Some(lab.run(&whole_job(), &lab.device(connect)).finish())
}

fn with_command(lab: &Lab, name: &str, command: &str) -> Option<Finished> {
    let mut device = booting(lab);
    device["commands"][name] = command.into();
    Some(lab.run(&whole_job(), &device).finish())
}

/// A job that runs a user command of a device that has one named `attach`.
fn user_command(lab: &Lab, name: &str, attach: &str) -> Option<Finished> {
    let mut device = booting(lab);
    device["commands"]["users"] = serde_json::json!({
        "attach": {"do": attach, "undo": lab.note("relay", "detached")},
    });
    let command = format!("- command: {{name: {name}}}\n");
    Some(lab.run(&job(&[OVERLAY, &command, BOOT]), &device).finish())
}

fn console_shows(finished: &Finished, text: &str) {
    let results = finished.results().unwrap_or_default();
    let console = results["verdict"]["fault"]["console"].to_string();
    assert!(console.contains(text), "the fault's console is {console}");
}
