//! The same request to the same PDU, by pdudaemon and by us: the PDU must see the same bytes, or
//! `tests/pdudaemon-differences.toml` says why not.
//!
//! What is compared is the request to switch. That we read back what was switched is a difference
//! of all rows, and the point of them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use hal::power::{PowerState, models::Models};
use integration::{Lab, Run, Running, root, skipped};
use power_daemon::pdudaemon;
use serde_json::{Map, Value, json};
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Stdio},
    time::Duration,
};
use tokio::time::Instant;

/// How long one request may take, pdudaemon's pauses included.
const PATIENCE: Duration = Duration::from_secs(30);

/// One driver.
struct Row {
    name: String,
    host: String,
    outlet: u64,
}

#[tokio::test]
async fn a_pdu_cannot_tell_pdudaemon_and_us_apart() {
    let Some(program) = program() else {
        return skipped(
            "pdudaemon 1.1 is not here: python3 -m venv .cache/pdudaemon && \
             .cache/pdudaemon/bin/pip install pdudaemon",
        );
    };
    let lab = Lab::new();
    let (rows, stubs, configuration) = prepare(&lab);
    let (mut stubs, refused) = Stubs::start(&lab, &stubs);
    for reason in &refused {
        skipped(reason);
    }
    let theirs = Theirs::start(&lab, &program, &configuration);
    let text = configuration.to_string();
    let ours = pdudaemon::parse(&text, "pdudaemon.conf", Models::built_in().unwrap()).unwrap();
    let differences = differences();
    let mut wrong = Vec::new();
    let mut compared = 0;
    for row in rows {
        let cannot = format!("cannot {}: ", row.name);
        if refused.iter().any(|reason| reason.starts_with(&cannot)) {
            continue;
        }
        let mut equal = true;
        let mut shown = String::new();
        for state in [PowerState::On, PowerState::Off] {
            let answer = theirs.ask(&format!("{} {} {state}", row.host, row.outlet));
            let expected = stubs.take(&row.name);
            let result = switch(&ours, &row, state).await;
            let actual = stubs.take(&row.name);
            equal &= expected == actual && expected.as_array().is_some_and(|list| !list.is_empty());
            shown.push_str(&format!(
                "{} {state}\n  pdudaemon ({answer:?}): {expected}\n  ours ({result}): {actual}\n",
                row.name
            ));
        }
        compared += 1;
        match (equal, differences.get(&row.name)) {
            (true, None) => {}
            (false, Some(reason)) => {
                integration::say(&format!("{shown}  differs, as listed: {reason}"));
            }
            (true, Some(_)) => wrong.push(format!("{} is listed, and is equal", row.name)),
            (false, None) => wrong.push(shown),
        }
    }
    integration::say(&format!(
        "{compared} rows compared with {}",
        program.display()
    ));
    assert!(compared > 0);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// PyPI's, 1.1 or later: `$PUMICE_PDUDAEMON`, or in a virtual environment of the checkout.
/// Debian 12's (0.1) does not know all drivers, and ends at the first that it does not know.
fn program() -> Option<PathBuf> {
    let named = std::env::var_os("PUMICE_PDUDAEMON").map(PathBuf::from);
    let ours = root().join(".cache/pdudaemon/bin/pdudaemon");
    named.into_iter().chain([ours]).find(|path| path.is_file())
}

/// The rows, what their stubs need, and the configuration that names them.
fn prepare(lab: &Lab) -> (Vec<Row>, Value, Value) {
    let text = fs_err::read_to_string(root().join("tests/pdudaemon-rows.toml")).unwrap();
    let table: toml::Table = text.parse().unwrap();
    let (mut rows, mut stubs, mut pdus) = (Vec::new(), Map::new(), Map::new());
    for (number, (name, row)) in table["row"].as_table().unwrap().iter().enumerate() {
        let mut stub = serde_json::to_value(row).unwrap();
        let host = format!("127.77.0.{}", number + 1);
        let mut settings = stub["settings"].as_object().cloned().unwrap_or_default();
        settings.insert("driver".to_owned(), name.clone().into());
        settings.insert("retries".to_owned(), 1.into());
        match stub["kind"].as_str().unwrap() {
            "file" => {
                let noted = lab.path(&format!("{name}.noted"));
                let script = lab.file(
                    &format!("{name}.sh"),
                    format!("#!/bin/sh\necho \"$@\" >>{}\n", noted.display()),
                );
                for value in settings.values_mut() {
                    if let Some(text) = value.as_str() {
                        let command = format!("sh {}", script.display());
                        *value = text.replace("{script}", &command).into();
                    }
                }
                stub["file"] = noted.display().to_string().into();
            }
            "serial" => {
                let link = lab.path(&format!("{name}.tty")).display().to_string();
                settings.insert("device".to_owned(), link.clone().into());
                stub["link"] = link.into();
            }
            _ => {
                settings.insert("ip".to_owned(), host.clone().into());
                stub["host"] = host.clone().into();
            }
        }
        rows.push(Row {
            name: name.clone(),
            host: host.clone(),
            outlet: stub["outlet"].as_u64().unwrap(),
        });
        pdus.insert(host, settings.into());
        stubs.insert(name.clone(), stub);
    }
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let configuration = json!({
        "daemon": {"hostname": "127.0.0.1", "port": free.port(), "listener": "tcp", "logging_level": "DEBUG"},
        "pdus": pdus,
        "aliases": {},
    });
    (rows, stubs.into(), configuration)
}

fn differences() -> BTreeMap<String, String> {
    let text = fs_err::read_to_string(root().join("tests/pdudaemon-differences.toml")).unwrap();
    let table: toml::Table = text.parse().unwrap();
    let reason = |row: &toml::Value| row["reason"].as_str().unwrap().to_owned();
    table
        .iter()
        .map(|(name, row)| (name.clone(), reason(row)))
        .collect()
}

async fn switch(ours: &pdudaemon::Configuration, row: &Row, state: PowerState) -> String {
    if let Some(why) = ours.unusable.get(&row.host) {
        return why.clone();
    }
    let deadline = Instant::now() + PATIENCE;
    let mut pdu = ours
        .lab
        .pdu(&row.host)
        .unwrap()
        .lock(deadline)
        .await
        .unwrap();
    let outlet = row.outlet.to_string().parse().unwrap();
    match pdu.switch(&outlet, state, deadline).await {
        Ok(()) => "ok".to_owned(),
        Err(error) => error.to_string(),
    }
}

/// The stubs' process.
struct Stubs {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Stubs {
    /// Starts them; gives those that cannot listen.
    fn start(lab: &Lab, stubs: &Value) -> (Self, Vec<String>) {
        let rows = lab.file("stubs.json", stubs.to_string());
        let mut child = python(&root().join("tests/parity/stubs.py"))
            .arg(rows)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stubs = Self {
            input: child.stdin.take().unwrap(),
            output: BufReader::new(child.stdout.take().unwrap()),
            child,
        };
        let mut refused = Vec::new();
        loop {
            match stubs.line().as_str() {
                "ready" => return (stubs, refused),
                "" => panic!("the stubs ended"),
                reason => refused.push(reason.to_owned()),
            }
        }
    }

    /// What a stub was asked since the last time.
    fn take(&mut self, name: &str) -> Value {
        writeln!(self.input, "{name}").unwrap();
        serde_json::from_str(&self.line()).unwrap()
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

impl Drop for Stubs {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "a test starts its own stubs")]
fn python(script: &Path) -> std::process::Command {
    let mut command = std::process::Command::new("python3");
    command.arg(script);
    command
}

/// pdudaemon's process. It is ended with the lab.
struct Theirs {
    _running: Running,
    port: u64,
}

impl Theirs {
    fn start(lab: &Lab, program: &Path, configuration: &Value) -> Self {
        let file = lab.file("pdudaemon.conf", configuration.to_string());
        let log = lab.path("pdudaemon.log");
        let run = lab
            .own(Run::of(program, &lab.path("output")))
            .arg("--conf")
            .arg(file);
        let running = run.arg("--logfile").arg(&log).start();
        let port = configuration["daemon"]["port"].as_u64().unwrap();
        let until = std::time::Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", u16::try_from(port).unwrap())).is_err() {
            assert!(
                std::time::Instant::now() < until,
                "pdudaemon does not listen"
            );
            std::thread::yield_now();
        }
        Self {
            _running: running,
            port,
        }
    }

    /// Asks by a line, which gives it numbers: by HTTP some of its drivers get text and fail.
    fn ask(&self, line: &str) -> String {
        let port = u16::try_from(self.port).unwrap();
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(line.as_bytes()).unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer.trim_end().to_owned()
    }
}
