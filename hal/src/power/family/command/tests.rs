//! Filling of vectors, and real programs.

use super::*;
use std::fmt::Write;

fn rows() -> Vec<(String, Row)> {
    let table: toml::Table = toml::from_str(COMMAND.table).unwrap();
    let models = table["model"].as_table().unwrap();
    let parse = |(name, row): (&String, &toml::Value)| {
        let mut row = row.as_table().unwrap().clone();
        for common in ["aliases", "description", "tested"] {
            row.remove(common);
        }
        let text: RowText = row.try_into().unwrap();
        (name.clone(), text.compile().unwrap())
    };
    models.iter().map(parse).collect()
}

fn row(name: &str) -> Row {
    let mut rows = rows().into_iter();
    rows.find(|(each, _)| each == name).unwrap().1
}

fn values(pairs: &[(&str, &str)]) -> Values {
    let pairs = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    pairs.collect()
}

#[test]
fn every_vector_of_every_row() {
    let mut all = String::new();
    for (name, row) in rows() {
        let mut values = row.options.clone();
        values.extend(values_of_a_lab(row.port));
        if name == "bcu-bootmode" {
            values.insert("bootmode".to_owned(), "emmc".to_owned());
        }
        if let Some(device) = values
            .get_mut("device")
            .filter(|_| name.starts_with("onewire"))
        {
            "29.7D6913000000".clone_into(device);
        }
        let lines = [&row.before, &row.on, &row.off, &row.reset, &row.state];
        for line in lines.into_iter().flatten() {
            writeln!(all, "{name}: {:?}", line.words(&values).unwrap()).unwrap();
        }
        for (variable, value) in &row.environment {
            writeln!(all, "{name}: {variable}={value}").unwrap();
        }
    }
    insta::assert_snapshot!(all);
}

fn values_of_a_lab(port: Option<u16>) -> Values {
    let port = port.unwrap_or(0).to_string();
    values(&[
        ("outlet", "2"),
        ("address", "192.0.2.7"),
        ("host", "192.0.2.7"),
        ("port", &port),
        ("username", "admin"),
    ])
}

#[test]
fn a_value_stays_inside_its_argument() {
    let words = toml::Value::from(vec!["tool", "--at={host}", "{outlet}"]);
    let line: Line = words.try_into().unwrap();
    let evil = values(&[("host", "a b;reboot $(x)"), ("outlet", "1")]);
    assert_eq!(
        line.words(&evil).unwrap(),
        ["tool", "--at=a b;reboot $(x)", "1"]
    );
    let option = values(&[("host", "h"), ("outlet", "-oProxyCommand=x")]);
    assert!(
        line.words(&option)
            .unwrap_err()
            .contains("cannot begin with a hyphen")
    );
    assert_eq!(
        line.words(&values(&[("host", "h")])).unwrap_err(),
        "it needs 'outlet'"
    );
}

#[test]
fn optional_arguments_come_and_go_together() {
    let row = row("sispmctl");
    let on = row.on.unwrap();
    let mut values = values(&[("outlet", "3"), ("device", "")]);
    assert_eq!(on.words(&values).unwrap(), ["sispmctl", "-o", "3"]);
    values.insert("device".to_owned(), "01:02".to_owned());
    assert_eq!(
        on.words(&values).unwrap(),
        ["sispmctl", "-D", "01:02", "-o", "3"]
    );
}

#[test]
fn mistakes_in_rows_are_told() {
    let error = |row: &str| {
        let text: Result<RowText, _> = toml::from_str(row);
        text.map_err(|error| error.to_string())
            .and_then(RowText::compile)
            .unwrap_err()
    };
    assert!(error("on = ['x', '{password}']").contains("every user of this host can read it"));
    assert_eq!(
        error("on = ['x', '{hots}']"),
        "'on' has the unknown place '{hots}'"
    );
    assert_eq!(
        error("on = ['x', '{host']"),
        "'{host': a brace does not end"
    );
    assert_eq!(error("on = []"), "'on' has to begin with a program");
    assert_eq!(error("on = [['x']]"), "'on' has to begin with a program");
    assert_eq!(
        error("state = ['x']"),
        "'state' goes with 'state-on' and 'state-off'"
    );
    assert!(error("on = ['x']\ndenied = '('").contains("unclosed group"));
    assert!(error("onn = ['x']").contains("unknown field `onn`"));
}

#[test]
fn states_are_read_from_what_the_programs_print() {
    let state = |name: &str, outlet: &str, output: &str| {
        row(name).state(output, &values(&[("outlet", outlet)]))
    };
    // As their manuals show it.
    let hub = "Current status for hub 1-1 [0424:9514]\n  Port 1: 0503 power highspeed enable connect\n  Port 12: 0000 off\n";
    assert_eq!(state("uhubctl", "1", hub), Some(PowerState::On));
    assert_eq!(state("uhubctl", "12", hub), Some(PowerState::Off));
    assert_eq!(state("uhubctl", "2", hub), None);
    let strip = "Accessing Gembird #0 USB device 002\nStatus of outlet 1:\ton\n";
    assert_eq!(state("sispmctl", "1", strip), Some(PowerState::On));
    assert_eq!(
        state("sispmctl", "1", &strip.replace("on\n", "off\n")),
        Some(PowerState::Off)
    );
    assert_eq!(
        state("ipmi", "1", "Chassis Power is off\n"),
        Some(PowerState::Off)
    );
    let plug = "== Lamp - P110 ==\nHost: 192.0.2.7\nPort: 80\nDevice state: True\n";
    assert_eq!(state("kasa", "1", plug), Some(PowerState::On));
    let off = plug.replace("True", "False");
    assert_eq!(state("kasa", "1", &off), Some(PowerState::Off));
    assert_eq!(state("sigrok", "1", "true\n"), Some(PowerState::On));
    assert_eq!(state("sigrok", "1", "false\n"), Some(PowerState::Off));
    assert_eq!(state("onewire", "0", "           1"), Some(PowerState::On));
    assert_eq!(state("onewire-inverted", "0", "1"), Some(PowerState::Off));
    assert_eq!(state("onewire", "0", ""), None);
    assert_eq!(state("ubntmfi3port", "1", "1\n\n"), Some(PowerState::On));
    assert_eq!(state("ubntmfi3port", "1", "sh: not found\n"), None);
}

#[test]
fn addresses_are_split_at_the_port() {
    assert_eq!(split_address("bmc.lab"), ("bmc.lab", None));
    assert_eq!(split_address("bmc.lab:9623"), ("bmc.lab", Some("9623")));
    assert_eq!(split_address("[fe80::1]:623"), ("fe80::1", Some("623")));
    assert_eq!(split_address("fe80::1"), ("fe80::1", None));
}
