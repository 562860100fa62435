//! The same request to the same PDU, by pdudaemon and by us: the PDU must see the same bytes, or
//! `tests/pdudaemon-differences.toml` says why not, and what exactly differs.
//!
//! `PUMICE_PARITY_ROW` names the only row to compare, for whoever changes one.
//!
//! Every driver that pdudaemon has is compared (`tests/pdudaemon-rows.toml`), or is named there with
//! the reason why it is not. What is compared is the request to switch. That we read back what was switched is a difference
//! of all rows, and the point of them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use hal::power::{PowerState, models::Models};
use integration::{Lab, Run, Running, root, skipped};
use power_daemon::pdudaemon;
use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::Permissions,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Stdio},
    time::Duration,
};
use tokio::time::Instant;

/// How long one request may take, pdudaemon's pauses included.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often it is started, until it listens.
const STARTS: usize = 4;

/// The same for one that may never be answered: what it sends is sent by then.
const BRIEF: Duration = Duration::from_secs(5);

/// Where the vendors' variables are (RFC 2578 §2).
const ENTERPRISES: &str = "SNMPv2-SMI DEFINITIONS ::= BEGIN
    internet OBJECT IDENTIFIER ::= { iso org(3) dod(6) 1 }
    private OBJECT IDENTIFIER ::= { internet 4 }
    enterprises OBJECT IDENTIFIER ::= { private 1 }
END
";

/// How to get pdudaemon.
const HOW: &str = "pdudaemon 1.1 is not here: run tools/pypi pdudaemon";

/// One driver.
struct Row {
    name: String,
    host: String,
    outlet: i64,
    by_http: bool,
    /// It has menus.
    menus: bool,
    /// Its second request is never answered.
    silent: bool,
    /// What differs from one request to the next.
    drop: Option<Regex>,
}

#[tokio::test]
async fn a_pdu_cannot_tell_pdudaemon_and_us_apart() {
    compare(|row| !row.menus).await;
}

/// These take seconds each: pdudaemon types slowly.
#[tokio::test]
async fn menus_cannot_tell_pdudaemon_and_us_apart() {
    compare(|row| row.menus).await;
}

/// Compares these rows.
async fn compare(which: impl Fn(&Row) -> bool) {
    let Some(program) = program() else {
        return skipped(HOW);
    };
    let lab = Lab::new();
    let (rows, stubs, configuration) = prepare(&lab, which);
    let (mut stubs, refused) = Stubs::start(&lab, &program, &stubs);
    for reason in &refused {
        skipped(reason);
    }
    let theirs: [_; 2] = [false, true].map(|by_http| {
        let of_this = |row: &&Row| row.by_http == by_http;
        let hosts = rows.iter().filter(of_this).map(|row| row.host.as_str());
        Theirs::start(&lab, &program, &configuration, &hosts.collect(), by_http)
    });
    let text = configuration.to_string();
    let ours = pdudaemon::parse(&text, "pdudaemon.conf", Models::built_in().unwrap()).unwrap();
    let differences = differences();
    let mut wrong = Vec::new();
    let mut compared = 0;
    // Some of its drivers talk to the PDU when it starts.
    stubs.forget();
    for row in rows {
        let difference = differences.get(&row.name);
        let cannot = format!("cannot {}: ", row.name);
        if refused.iter().any(|reason| reason.starts_with(&cannot)) {
            continue;
        }
        let mut both = Both::new();
        for state in [PowerState::On, PowerState::Off] {
            let answer = theirs[usize::from(row.by_http)].ask(&row, state);
            let expected = row.without_numbers(stubs.take(&row.name));
            let result = switch(&ours, &row, state).await;
            let actual = row.without_numbers(stubs.take(&row.name));
            both.shown.push_str(&format!(
                "{} {state}\n  pdudaemon ({answer:?}): {expected:?}\n  ours ({result}): {actual:?}\n",
                row.name
            ));
            let done = answer == "ack" || answer.ends_with("200 OK") || row.silent;
            both.done &= done && result == "ok";
            both.theirs.push(expected);
            both.ours.push(actual);
        }
        compared += 1;
        match both.judge(difference) {
            Ok(None) => {}
            Ok(Some(difference)) => integration::say(&difference),
            Err(what) => wrong.push(format!("{}: {what}\n{}", row.name, both.shown)),
        }
    }
    integration::say(&format!(
        "{compared} rows compared with {}",
        program.display()
    ));
    assert!(compared > 0);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_driver_of_pdudaemon_is_compared_or_has_a_reason() {
    let Some(program) = program() else {
        return skipped(HOW);
    };
    let output = python(&program, &root().join("tests/parity/drivers.py")).output();
    let printed = output.unwrap().stdout;
    let names: BTreeSet<String> = serde_json::from_slice(&printed).unwrap();
    assert!(names.len() > 70, "{names:?}");
    let table = table("tests/pdudaemon-rows.toml");
    let keys = |section: &str| -> Vec<String> {
        let section = table[section].as_table().unwrap();
        section.keys().map(|name| name.to_lowercase()).collect()
    };
    let (compared, not) = (keys("row"), keys("not-compared"));
    let listed: BTreeSet<String> = compared.iter().chain(&not).cloned().collect();
    assert_eq!(names, listed, "drivers of pdudaemon, and what is listed");
    assert_eq!(listed.len(), compared.len() + not.len(), "listed twice");
    for name in differences().keys() {
        assert!(compared.contains(&name.to_lowercase()), "{name} is no row");
    }
}

/// What both sent, for "on" and for "off".
struct Both {
    theirs: Vec<Vec<String>>,
    ours: Vec<Vec<String>>,
    shown: String,
    /// Both say that it is done.
    done: bool,
}

impl Both {
    fn new() -> Self {
        Self {
            theirs: Vec::new(),
            ours: Vec::new(),
            shown: String::new(),
            done: true,
        }
    }

    /// The difference, if it is the one that is listed.
    fn judge(&self, listed: Option<&Difference>) -> Result<Option<String>, String> {
        if self.theirs.iter().any(Vec::is_empty) {
            return Err("pdudaemon sent nothing".to_owned());
        }
        if !self.done {
            return Err("was not done".to_owned());
        }
        match (listed, self.theirs == self.ours) {
            (None, true) => Ok(None),
            (None, false) => Err("differs".to_owned()),
            (Some(_), true) => Err("is listed as different, and is equal".to_owned()),
            (Some(difference), false) => {
                let theirs: Vec<_> = self
                    .theirs
                    .iter()
                    .map(|sent| difference.of(sent, true))
                    .collect();
                let ours: Vec<_> = self
                    .ours
                    .iter()
                    .map(|sent| difference.of(sent, false))
                    .collect();
                if theirs == ours {
                    let reason = &difference.reason;
                    return Ok(Some(format!(
                        "{}  differs, as listed: {reason}",
                        self.shown
                    )));
                }
                Err(format!(
                    "differs in more than what is listed:\n  pdudaemon: {theirs:?}\n  ours: {ours:?}"
                ))
            }
        }
    }
}

/// A difference that has a reason.
struct Difference {
    reason: String,
    without: Vec<Regex>,
    theirs: Vec<(Regex, String)>,
}

impl Difference {
    /// What was sent, without what is listed.
    fn of(&self, sent: &[String], theirs: bool) -> Vec<String> {
        let cut = |text: &String| {
            let mut text = text.clone();
            for pattern in &self.without {
                text = pattern.replace_all(&text, "").into_owned();
            }
            for (pattern, ours) in self.theirs.iter().filter(|_| theirs) {
                text = pattern.replace_all(&text, ours).into_owned();
            }
            text
        };
        let cut = sent.iter().map(cut);
        cut.filter(|text| !text.is_empty()).collect()
    }
}

impl Row {
    fn without_numbers(&self, sent: Vec<String>) -> Vec<String> {
        match &self.drop {
            Some(pattern) => {
                let cut = |text: String| pattern.replace_all(&text, "").into_owned();
                sent.into_iter().map(cut).collect()
            }
            None => sent,
        }
    }
}

/// PyPI's, 1.1 or later: `$PUMICE_PDUDAEMON`, or in a virtual environment of the checkout.
/// Debian 12's (0.1) does not know all drivers, and ends at the first that it does not know.
fn program() -> Option<PathBuf> {
    let named = std::env::var_os("PUMICE_PDUDAEMON").map(PathBuf::from);
    let ours = root().join(".cache/pdudaemon/bin/pdudaemon");
    named.into_iter().chain([ours]).find(|path| path.is_file())
}

fn table(path: &str) -> toml::Table {
    let text = fs_err::read_to_string(root().join(path)).unwrap();
    text.parse().unwrap()
}

fn pattern(text: &toml::Value) -> Regex {
    // A stream's bytes are characters here, whatever they are.
    let text = text.as_str().unwrap();
    RegexBuilder::new(text)
        .dot_matches_new_line(true)
        .build()
        .unwrap()
}

/// The row's keys, with those of the row that it is like.
fn keys(rows: &toml::Table, name: &str) -> toml::Table {
    let own = rows[name].as_table().unwrap();
    let mut keys = match own.get("as") {
        Some(other) => self::keys(rows, other.as_str().unwrap()),
        None => toml::Table::new(),
    };
    keys.extend(own.clone());
    keys
}

/// The rows that are meant, what their stubs need, and the configuration that names them.
fn prepare(lab: &Lab, which: impl Fn(&Row) -> bool) -> (Vec<Row>, Value, Value) {
    let table = table("tests/pdudaemon-rows.toml");
    let table = table["row"].as_table().unwrap();
    let (mut rows, mut stubs, mut pdus) = (Vec::new(), Map::new(), Map::new());
    for (number, name) in table.keys().enumerate() {
        let keys = keys(table, name);
        let row = Row {
            name: name.clone(),
            host: format!("127.77.0.{}", number + 1),
            outlet: keys["outlet"].as_integer().unwrap(),
            by_http: keys.contains_key("by-http"),
            menus: keys.contains_key("menus"),
            silent: keys.contains_key("silent"),
            drop: keys.get("drop").map(pattern),
        };
        let only = std::env::var("PUMICE_PARITY_ROW").unwrap_or(name.clone());
        if !which(&row) || only != *name {
            continue;
        }
        let mut stub = serde_json::to_value(&keys).unwrap();
        let settings = settings(lab, name, &row.host, &mut stub);
        pdus.insert(row.host.clone(), settings.into());
        stubs.insert(name.clone(), stub);
        rows.push(row);
    }
    let configuration = json!({ "daemon": {}, "pdus": pdus, "aliases": {} });
    (rows, stubs.into(), configuration)
}

/// What `pdudaemon.conf` says of a row, and where its stub is.
fn settings(lab: &Lab, name: &str, host: &str, stub: &mut Value) -> Map<String, Value> {
    let mut settings = stub["settings"].as_object().cloned().unwrap_or_default();
    settings.insert("driver".to_owned(), name.into());
    settings.insert("retries".to_owned(), 1.into());
    let noted = lab.path(&format!("{name}.noted"));
    stub["file"] = noted.display().to_string().into();
    match stub["kind"].as_str().unwrap() {
        "file" => {
            let script = format!("#!/bin/sh\necho \"$@\" >>{}\n", noted.display());
            let script = lab.file(&format!("{name}.sh"), script);
            fs_err::set_permissions(&script, Permissions::from_mode(0o755)).unwrap();
            for value in settings.values_mut() {
                if let Some(text) = value.as_str() {
                    *value = text
                        .replace("{program}", &script.display().to_string())
                        .into();
                }
            }
        }
        "serial" => {
            let link = lab.path(&format!("{name}.tty")).display().to_string();
            settings.insert("device".to_owned(), link.clone().into());
            stub["link"] = link.into();
        }
        _ => {
            let directory = lab.path(&format!("{name}.files"));
            fs_err::create_dir(&directory).unwrap();
            stub["directory"] = directory.display().to_string().into();
            settings.insert("ip".to_owned(), host.into());
            stub["host"] = host.into();
        }
    }
    settings
}

fn differences() -> BTreeMap<String, Difference> {
    let list = |row: &toml::Value, key: &str| -> Vec<toml::Value> {
        let list = row.get(key).and_then(toml::Value::as_array);
        list.cloned().unwrap_or_default()
    };
    let difference = |row: &toml::Value| Difference {
        reason: row["reason"].as_str().unwrap().to_owned(),
        without: list(row, "without").iter().map(pattern).collect(),
        theirs: list(row, "theirs")
            .iter()
            .map(|pair| (pattern(&pair[0]), pair[1].as_str().unwrap().to_owned()))
            .collect(),
    };
    let rows = table("tests/pdudaemon-rows.toml");
    let rows = rows["row"].as_table().unwrap();
    let mut differences = BTreeMap::new();
    for (name, row) in &table("tests/pdudaemon-differences.toml") {
        // A row that is like another differs like it.
        for (other, keys) in rows {
            if other == name || like(rows, keys).any(|base| base == name) {
                differences.insert(other.clone(), difference(row));
            }
        }
        differences
            .entry(name.clone())
            .or_insert_with(|| difference(row));
    }
    differences
}

/// The rows that a row is like.
fn like<'a>(rows: &'a toml::Table, row: &'a toml::Value) -> impl Iterator<Item = &'a str> {
    let base = |row: &'a toml::Value| row.get("as").and_then(toml::Value::as_str);
    std::iter::successors(base(row), move |name| base(&rows[*name]))
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
    fn start(lab: &Lab, program: &Path, stubs: &Value) -> (Self, Vec<String>) {
        let rows = lab.file("stubs.json", stubs.to_string());
        let mut child = python(program, &root().join("tests/parity/stubs.py"))
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
    fn take(&mut self, name: &str) -> Vec<String> {
        writeln!(self.input, "{name}").unwrap();
        let taken: Vec<Value> = serde_json::from_str(&self.line()).unwrap();
        let text = |value: &Value| value.as_str().map_or(value.to_string(), str::to_owned);
        taken.iter().map(text).collect()
    }

    /// Lets all stubs forget what they were asked.
    fn forget(&mut self) {
        assert!(self.take("-").is_empty());
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

/// The interpreter that pdudaemon runs in, with a script: it has its libraries.
#[expect(clippy::disallowed_methods, reason = "a test starts its own stubs")]
fn python(program: &Path, script: &Path) -> std::process::Command {
    let own = program.with_file_name("python3");
    let python = if own.is_file() { own } else { "python3".into() };
    let mut command = std::process::Command::new(python);
    command.arg(script);
    command
}

/// pdudaemon's process. It is ended with the lab.
struct Theirs {
    _running: Running,
    port: u16,
    by_http: bool,
}

impl Theirs {
    /// Starts one that has these hosts of the configuration.
    fn start(
        lab: &Lab,
        program: &Path,
        configuration: &Value,
        hosts: &BTreeSet<&str>,
        by_http: bool,
    ) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let listener = if by_http { "http" } else { "tcp" };
        let mut configuration = configuration.clone();
        configuration["daemon"] = json!({
            "hostname": "127.0.0.1", "port": port, "listener": listener, "logging_level": "DEBUG",
        });
        let pdus = configuration["pdus"].as_object_mut().unwrap();
        pdus.retain(|host, _| hosts.contains(host.as_str()));
        let file = lab.file(
            &format!("pdudaemon-{listener}.conf"),
            configuration.to_string(),
        );
        // snmpset does not come with the names that one driver gives it.
        let names = lab.path(&format!("names-{listener}"));
        fs_err::create_dir(&names).unwrap();
        fs_err::write(names.join("SNMPv2-SMI"), ENTERPRISES).unwrap();
        let log = lab.path(&format!("pdudaemon-{listener}.log"));
        let output = lab.path(&format!("output-{listener}"));
        let run = || {
            lab.own(Run::of(program, &output))
                .env("MIBDIRS", &names)
                .env("MIBS", "SNMPv2-SMI")
                .arg("--conf")
                .arg(&file)
                .arg("--logfile")
                .arg(&log)
        };
        // One of its drivers gives a card a tenth of a second when it starts, and else ends it.
        for _ in 0..STARTS {
            let running = run().start();
            let until = std::time::Instant::now() + PATIENCE / 2;
            while std::time::Instant::now() < until {
                if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                    return Self {
                        _running: running,
                        port,
                        by_http,
                    };
                }
                std::thread::park_timeout(Duration::from_millis(50));
            }
        }
        panic!(
            "pdudaemon does not listen: {}",
            fs_err::read_to_string(&log).unwrap_or_default()
        );
    }

    /// Asks by a line, which gives it numbers, or by HTTP, which gives it text: some of its drivers
    /// fail with the one, some with the other.
    fn ask(&self, row: &Row, state: PowerState) -> String {
        let (host, outlet) = (&row.host, row.outlet);
        let question = if self.by_http {
            format!(
                "GET /power/control/{state}?hostname={host}&port={outlet} HTTP/1.0\r\nHost: x\r\n\r\n"
            )
        } else {
            format!("{host} {outlet} {state}")
        };
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let patience = if row.silent { BRIEF } else { PATIENCE };
        stream.set_read_timeout(Some(patience)).unwrap();
        stream.write_all(question.as_bytes()).unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        let first = answer.lines().next().unwrap_or_default();
        first.trim_end().to_owned()
    }
}
