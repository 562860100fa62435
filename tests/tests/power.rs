//! `pumice power`: boards and outlets from the command line, and the daemon that serves them to
//! pdudaemon's clients.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use integration::{BOOT, Finished, Lab, OVERLAY, Run, Running, job, skipped};
use rustix::process::Signal;
use serde_json::Value;
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

/// A device whose power is commands that write down what they do.
fn device(lab: &Lab) -> String {
    let device = lab.device(&lab.board_of_the_rack("linux.board", ""));
    lab.file("device.yaml", device.to_string())
        .display()
        .to_string()
}

fn power(lab: &Lab, arguments: &[&str]) -> Finished {
    lab.own(Run::bare("power", &lab.path("output")))
        .args(arguments)
        .finish()
}

#[test]
fn a_device_is_switched_by_its_commands_and_its_state_is_not_known() {
    let lab = Lab::new();
    let device = device(&lab);
    for (action, noted) in [("cycle", "on"), ("off", "off")] {
        let done = power(&lab, &[action, "--device", &device]);
        assert_eq!(done.code, 0, "{}", done.output);
        assert!(
            done.output.contains("this PDU cannot tell"),
            "{}",
            done.output
        );
        assert_eq!(lab.noted("power").last().map(String::as_str), Some(noted));
    }
    let status = power(&lab, &["status", "--device", &device]);
    assert_eq!(status.code, 7, "{}", status.output);
    assert_eq!(status.output, "board  unknown: this PDU cannot tell\n");
    let on = power(&lab, &["on", "--device", &device, "--format", "json"]);
    assert_eq!(on.code, 3, "{}", on.output);
    assert!(
        on.output
            .contains("device 'board' has no command to power on"),
        "{}",
        on.output
    );
    assert!(
        on.output.contains("hint: set commands: power_on"),
        "{}",
        on.output
    );
}

#[test]
fn a_command_that_fails_is_a_fault_of_the_lab() {
    let lab = Lab::new();
    let mut device = lab.device("true");
    device["commands"]["power_off"] = "sh -c 'echo no such relay; exit 3'".into();
    let device = lab
        .file("device.yaml", device.to_string())
        .display()
        .to_string();
    let off = power(&lab, &["off", "--device", &device]);
    assert_eq!(off.code, 5, "{}", off.output);
    assert!(off.output.contains("no such relay"), "{}", off.output);
    assert!(
        off.output.contains("ended with exit status 3"),
        "{}",
        off.output
    );
}

#[test]
fn mistakes_are_told_with_what_there_is() {
    let lab = Lab::new();
    let file = lab.file("lab.toml", "[board.one]\n").display().to_string();
    for (arguments, code, text) in [
        (&["on", "one"][..], 3, "there is no lab file"),
        (&["on"], 2, "required"),
        (&["on", "two", "--lab", &file], 2, "it has: one"),
        (
            &["on", "one", "--lab", &file],
            3,
            "board 'one' has no power",
        ),
        (&["on", "rack1:3", "--lab", &file], 2, "has no PDU 'rack1'"),
        (&["on", "one", "--lab", "/nowhere.toml"], 3, "/nowhere.toml"),
        (
            &["status", "one", "--timeout", "soon"],
            2,
            "a time is 500ms",
        ),
        (
            &["serve", "--lab", &file, "--listen", "nowhere"],
            2,
            "invalid value",
        ),
    ] {
        let refused = power(&lab, arguments);
        assert_eq!(refused.code, code, "{arguments:?}: {}", refused.output);
        assert!(
            refused.output.contains(text),
            "{arguments:?}: {}",
            refused.output
        );
    }
}

#[test]
fn a_board_that_a_job_holds_is_switched_by_force_only() {
    let lab = Lab::new();
    let silent = lab.device(&lab.board_of_the_rack("silent.board", ""));
    let mut running = lab.run(&job(&[OVERLAY, BOOT]), &silent).start();
    running.wait_for("Parsing kernel messages");
    let device = lab.path("device.yaml").display().to_string();
    let refused = power(&lab, &["off", "--device", &device]);
    assert_eq!(refused.code, 8, "{}", refused.output);
    assert!(
        refused
            .output
            .contains("board 'board' is held by pumice run (job 1, pid "),
        "{}",
        refused.output
    );
    assert_eq!(lab.noted("power"), ["on"]);
    let status = power(&lab, &["status", "--device", &device]);
    assert_eq!(status.code, 7, "looking is free: {}", status.output);
    let forced = power(&lab, &["off", "--device", &device, "--force"]);
    assert_eq!(forced.code, 0, "{}", forced.output);
    assert_eq!(lab.noted("power"), ["on", "off"]);
    // The job's own commands may switch its board.
    let own = lab.own(Run::bare("power", &lab.path("output")));
    let own = own
        .args(["off", "--device", &device])
        .env("LAVA_JOB_ID", "1")
        .finish();
    assert_eq!(own.code, 0, "{}", own.output);
    // A second job for the same board does not begin.
    let second = lab.own(Run::new(&lab.path("job.yaml"), &lab.path("second")));
    let second = second.arg("--device").arg(lab.path("device.yaml")).finish();
    assert_eq!(second.code, 8, "{}", second.output);
    running.signal(Signal::INT);
    assert_eq!(running.finish().code, 130);
}

/// A daemon for a pdudaemon.conf, on a free port.
struct Daemon {
    running: Running,
    address: SocketAddr,
}

impl Daemon {
    fn start(lab: &Lab, configuration: &Value, arguments: &[&str]) -> Self {
        let file = lab.file("pdudaemon.conf", configuration.to_string());
        let run = lab
            .own(Run::bare("power", &lab.path("output")))
            .arg("serve");
        let run = run.arg("--pdudaemon-conf").arg(file).args(arguments);
        let mut running = run.start();
        running.wait_for("listening at 127.");
        running.wait_for(" for ");
        let text = running.text();
        let at = text.split("listening at ").nth(1).unwrap();
        let address = at.split_whitespace().next().unwrap().parse().unwrap();
        Self { running, address }
    }

    fn talk(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn end(self) -> Finished {
        self.running.signal(Signal::TERM);
        self.running.finish()
    }
}

fn configuration(lab: &Lab, listener: &str) -> Value {
    let note = |word: &str| {
        let script = lab.file(
            &format!("{word}.sh"),
            format!("echo \"{word} $1\" >>{}\n", lab.path("power").display()),
        );
        format!("sh {} %s", script.display())
    };
    serde_json::json!({
        "daemon": {"hostname": "127.0.0.1", "port": 0, "listener": listener},
        "pdus": {
            "relay": {"driver": "localcmdline", "cmd_on": note("on"), "cmd_off": note("off")},
            "broken": {"driver": "localcmdline", "cmd_on": "false %s", "cmd_off": "false %s"},
            "shell": {"driver": "localcmdline", "cmd_on": "echo %s | cat", "cmd_off": "true"},
        },
        "aliases": {"board1": {"hostname": "relay", "port": 7}},
    })
}

#[test]
fn the_curl_lines_of_device_dictionaries_work_with_the_daemon() {
    let lab = Lab::new();
    let daemon = Daemon::start(&lab, &configuration(&lab, "http"), &[]);
    let base = format!("http://{}/power/control", daemon.address);
    // `-f`: the exit code tells whether it worked, which LAVA looks at.
    let curl = |path: &str| {
        let run = lab.own(Run::of("curl".as_ref(), &lab.path("output")));
        run.args(["-s", "--fail-with-body", "--max-time", "20"])
            .arg(format!("{base}/{path}"))
    };
    if !std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| folder.join("curl").is_file())
    }) {
        return skipped("curl is not installed");
    }
    for (path, noted) in [
        ("on?hostname=relay&port=3", &["on 3"][..]),
        ("reboot?hostname=relay&port=3&delay=0", &["off 3", "on 3"]),
        ("off?alias=board1", &["off 7"]),
    ] {
        let _ = fs_err::remove_file(lab.path("power"));
        let done = curl(path).finish();
        assert_eq!(
            (done.code, done.output.as_str()),
            (0, "OK - accepted request\n"),
            "{path}"
        );
        assert_eq!(lab.noted("power"), noted, "{path}");
    }
    let failed = curl("on?hostname=broken&port=3").finish();
    assert_eq!(failed.code, 22, "{}", failed.output);
    assert!(
        failed
            .output
            .contains("command 'false 3' ended with exit status 1"),
        "{}",
        failed.output
    );
    let unusable = curl("on?hostname=shell&port=3").finish();
    assert_eq!(unusable.code, 22, "{}", unusable.output);
    assert!(
        unusable.output.contains("means something to a shell only"),
        "{}",
        unusable.output
    );

    let status = "GET /power/status?alias=board1 HTTP/1.0\r\n\r\n";
    assert!(daemon.talk(status).contains(r#""state":"unknown""#));
    let ended = daemon.end();
    assert_eq!(ended.code, 0, "{}", ended.output);
    assert!(
        ended.output.contains("warning: shell cannot be used: "),
        "{}",
        ended.output
    );
    assert!(ended.output.contains("done in "), "{}", ended.output);
}

/// labgrid's `PDUDaemonDriver`, whose port is pdudaemon's: the daemon has an address of its own.
#[test]
fn labgrid_works_with_the_daemon() {
    const HOST: &str = "127.77.1.1";
    let python = integration::root().join(".cache/labgrid/bin/python3");
    if !python.is_file() {
        return skipped("labgrid is not here: run tools/pypi labgrid");
    }
    let lab = Lab::new();
    let listen = format!("{HOST}:16421");
    let daemon = Daemon::start(&lab, &configuration(&lab, "http"), &["--listen", &listen]);
    let script = integration::root().join("tests/parity/drive_labgrid.py");
    let labgrid = |words: &[&str]| {
        let run = lab.own(Run::of(&python, &lab.path("output")));
        run.arg(&script).arg(HOST).args(words).finish()
    };
    let done = labgrid(&["relay", "3", "on", "off", "cycle"]);
    assert_eq!(done.code, 0, "{}", done.output);
    assert_eq!(lab.noted("power"), ["on 3", "off 3", "off 3", "on 3"]);
    let failed = labgrid(&["broken", "3", "on"]);
    assert_eq!(failed.code, 22, "{}", failed.output);
    assert!(failed.output.contains("502"), "{}", failed.output);
    assert_eq!(daemon.end().code, 0);
}

#[test]
fn pduclients_lines_work_where_the_configuration_says_tcp() {
    let lab = Lab::new();
    let daemon = Daemon::start(&lab, &configuration(&lab, "tcp"), &[]);
    assert_eq!(daemon.talk("relay 3 on"), "ack\n");
    assert_eq!(daemon.talk("broken 3 on"), "nack\n");
    assert_eq!(lab.noted("power"), ["on 3"]);
    assert_eq!(daemon.end().code, 0);
}

#[test]
fn a_network_without_tokens_is_warned_of() {
    let lab = Lab::new();
    let configuration = configuration(&lab, "http");
    let file = lab.file("pdudaemon.conf", configuration.to_string());
    let serve = |arguments: &[&str]| {
        let run = lab
            .own(Run::bare("power", &lab.path("output")))
            .arg("serve");
        run.arg("--pdudaemon-conf").arg(&file).args(arguments)
    };
    let mut open = serve(&["--listen", "0.0.0.0:0"]).start();
    open.wait_for("everyone who reaches 0.0.0.0:");
    open.signal(Signal::TERM);
    assert_eq!(open.finish().code, 0);
    let tokens = lab
        .file("tokens", "0123456789abcdef\n")
        .display()
        .to_string();
    let mut closed = serve(&["--listen", "0.0.0.0:0", "--token-file", &tokens]).start();
    closed.wait_for("listening at 0.0.0.0:");
    closed.signal(Signal::TERM);
    let closed = closed.finish();
    assert!(!closed.output.contains("everyone"), "{}", closed.output);
    let taken = Daemon::start(&lab, &configuration, &[]);
    let again = serve(&["--listen", &taken.address.to_string()]).finish();
    assert_eq!(again.code, 5, "{}", again.output);
    assert!(
        again.output.contains("cannot listen at 127.0.0.1:"),
        "{}",
        again.output
    );
    taken.end();
}
