//! Against programs of others: pymodbus' server is switched, and pdudaemon switches the same boards.
#![allow(clippy::print_stderr, reason = "who skips says so")]

use super::{
    cases,
    pdu_simulator::{
        as_hexadecimal, check_error, config, open, outlet, pdudaemon, power, python, soon,
    },
    support::read_until,
};
use hal::{
    ErrorKind,
    console::{PtyConsole, PtyOptions},
    power::{PowerAction, PowerControl, PowerState},
    process::CommandLine,
};

/// pymodbus' server with 40 coils, or `None`, said loudly, where it is not installed.
async fn pymodbus(framer: &str) -> Option<(PtyConsole, String)> {
    let script = include_str!("modbus_server.py");
    let line = CommandLine::new(python()).arg("-c").arg(script).arg(framer);
    let mut server = PtyConsole::spawn(line, PtyOptions::default()).unwrap();
    let said = read_until(&mut server, "\r\n.\r\n").await;
    let Some((_, port)) = said.split_once("coils at ") else {
        eprintln!("SKIPPED: pymodbus' server does not run (PUMICE_PYTHON names another): {said}");
        return None;
    };
    let port: String = port.chars().take_while(char::is_ascii_digit).collect();
    Some((server, format!("127.0.0.1:{port}")))
}

#[tokio::test]
async fn pymodbus_understands_our_frames() {
    for (model, framer) in [
        ("modbustcp", "socket"),
        ("modbus-rtu", "rtu"),
        ("waveshare16", "socket"),
    ] {
        let Some((_server, address)) = pymodbus(framer).await else {
            return;
        };
        let config = config(model, &address);
        for number in [0, 9, 15] {
            let mut power = power(&config, number);
            power.set(PowerAction::On, soon()).await.unwrap();
            assert_eq!(
                power.state(soon()).await.unwrap(),
                Some(PowerState::On),
                "{model}"
            );
        }
        power(&config, 9)
            .set(PowerAction::Off, soon())
            .await
            .unwrap();
        let mut states = Vec::new();
        for number in [0, 1, 9, 15] {
            states.push(open(&config).read(&outlet(number), soon()).await.unwrap());
        }
        let (on, off) = (Some(PowerState::On), Some(PowerState::Off));
        assert_eq!(states, [on, off, off, on], "{model}");
        if model != "waveshare16" {
            let result = open(&config)
                .switch(&outlet(1000), PowerState::On, soon())
                .await;
            check_error(result, ErrorKind::InvalidInput, "no such coil");
        }
    }
}

#[tokio::test]
async fn pdudaemon_sends_the_same_bytes() {
    for case in cases().await {
        let model = case.model;
        let module = match model {
            _ if model.starts_with("devantech_eth") => "devantech",
            // Not known to it, at a port that cannot be chosen, or broken with this pymodbus.
            _ => continue,
        };
        let address = &case.simulator.address;
        let mut settings = match address.rsplit_once(':') {
            Some((host, port)) => {
                let port: u16 = port.parse().unwrap();
                serde_json::json!({ "hostname": "board", "ip": host, "port": port })
            }
            None => serde_json::json!({ "hostname": "board", "device": address }),
        };
        if !case.password.is_empty() {
            settings["password"] = case.password.into();
        }
        let mut pdu = open(&case.config());
        let mut ours = Vec::new();
        for to in [PowerState::On, PowerState::Off] {
            pdu.switch(&outlet(case.outlet), to, soon()).await.unwrap();
            ours.push(case.simulator.take_heard().await);
        }
        if !pdudaemon(module, model, settings, "on,off", case.outlet).await {
            return;
        }
        let theirs = case.simulator.take_heard().await;
        assert!(!case.simulator.is_on(case.index), "{model}");
        assert_eq!(
            as_hexadecimal(&ours.concat()),
            as_hexadecimal(&theirs),
            "{model}"
        );
    }
}
