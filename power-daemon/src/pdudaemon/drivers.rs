//! Settings that pdudaemon's drivers have, and that our models call otherwise.

use super::text;
use hal::{HalError, lab::PduConfig};
use serde_json::{Map, Value, json};

/// Settings of one driver with another name here: driver, its name, ours.
const OTHER_NAMES: [(&str, &str, &str); 7] = [
    ("bcu", "bcu_exe", "program"),
    ("bcu", "reset_gpio", "gpio"),
    ("home-assistant-http", "api_key", "password"),
    ("modbustcp", "slave", "unit"),
    ("netiojson", "number_of_outputs", "outlets"),
    ("snmpv3", "priv_protocol", "privacy"),
    ("tasmota", "port_count", "outlets"),
];

/// What pysnmp calls the hashes and ciphers of SNMP version 3.
const OF_PYSNMP: [(&str, &str); 8] = [
    ("usmHMACMD5AuthProtocol", "md5"),
    ("usmHMACSHAAuthProtocol", "sha"),
    ("usmHMAC128SHA224AuthProtocol", "sha224"),
    ("usmHMAC192SHA256AuthProtocol", "sha256"),
    ("usmHMAC256SHA384AuthProtocol", "sha384"),
    ("usmHMAC384SHA512AuthProtocol", "sha512"),
    ("usmDESPrivProtocol", "des"),
    ("usmAesCfb128Protocol", "aes"),
];

/// Gives a driver's settings the names and values that the model of that name has.
pub(super) fn translate(
    config: &mut PduConfig,
    settings: Map<String, Value>,
) -> Result<Map<String, Value>, HalError> {
    let driver = config.model.to_ascii_lowercase();
    let mut named = Map::new();
    for (key, value) in settings {
        let other = OTHER_NAMES
            .iter()
            .find(|(of, theirs, _)| *of == driver && *theirs == key);
        let name = other.map_or(key, |(_, _, ours)| (*ours).to_owned());
        named.insert(name, value);
    }
    match driver.as_str() {
        "bcu" => bcu(config, &mut named),
        "servertechpro2" => servertech(config, &mut named),
        "servo" => servo(config, &mut named)?,
        "snmpv3" => snmp3(config, &mut named)?,
        "netiojson" | "tasmota" => count(config, &mut named)?,
        _ if driver.starts_with("ubntmfi") => ubiquity(&mut named),
        _ => {}
    }
    Ok(named)
}

/// Whether a setting is what Python calls true; text is a number there.
fn is_true(value: &Value) -> bool {
    match value {
        Value::Bool(value) => *value,
        other => !matches!(text(other).as_deref(), None | Some("" | "0")),
    }
}

/// A line that resets while it is low, unless the file says; and a boot mode is a model of its own.
fn bcu(config: &mut PduConfig, settings: &mut Map<String, Value>) {
    let active_low = settings.remove("reset_gpio_active_low");
    if active_low.is_some_and(|value| !is_true(&value)) {
        settings.insert("on".to_owned(), "0".into());
        settings.insert("off".to_owned(), "1".into());
    }
    if settings.contains_key("bootmode") {
        "bcu-bootmode".clone_into(&mut config.model);
    }
}

/// How many outlets there are.
fn count(config: &PduConfig, settings: &mut Map<String, Value>) -> Result<(), HalError> {
    if let Some(count) = settings.get_mut("outlets") {
        let number = text(count).and_then(|count| count.parse::<u32>().ok());
        let number = number.ok_or_else(|| config.invalid("its number of outlets is no number"))?;
        *count = json!([1, number]);
    }
    Ok(())
}

fn servertech(config: &PduConfig, settings: &mut Map<String, Value>) {
    if let Some(insecure) = settings.get_mut("insecure") {
        *insecure = is_true(insecure).into();
    }
    let protocol = settings.remove("protocol");
    if let Some(protocol) = protocol.as_ref().and_then(Value::as_str) {
        let host = settings.get("ip").and_then(Value::as_str);
        let address = format!("{protocol}://{}", host.unwrap_or(&config.name));
        settings.insert("ip".to_owned(), address.into());
    }
}

/// One control is one model.
fn servo(config: &mut PduConfig, settings: &mut Map<String, Value>) -> Result<(), HalError> {
    let control = match settings.remove("ctrls") {
        None => return Ok(()),
        Some(Value::Array(controls)) if controls.len() == 1 => text(&controls[0]),
        Some(other) => text(&other),
    };
    let model = match control.as_deref() {
        Some("cold_reset") => "SERVO",
        Some("warm_reset") => "SERVO-warm-reset",
        Some("power_state") => "SERVO-power-state",
        _ => {
            let what = "'ctrls' has to be one of cold_reset, warm_reset and power_state";
            return Err(config.invalid(what));
        }
    };
    model.clone_into(&mut config.model);
    Ok(())
}

fn snmp3(config: &PduConfig, settings: &mut Map<String, Value>) -> Result<(), HalError> {
    if let Some(auth) = settings.remove("auth_protocol") {
        settings.insert("auth".to_owned(), auth);
    }
    for key in ["auth", "privacy"] {
        let Some(value) = settings.get_mut(key) else {
            continue;
        };
        let ours = OF_PYSNMP
            .iter()
            .find(|(theirs, _)| value.as_str() == Some(theirs));
        let unknown = || config.invalid(&format!("{value} is not supported"));
        *value = ours.ok_or_else(unknown)?.1.into();
    }
    Ok(())
}

/// ssh refuses a host that it does not know, unless it is told not to look.
fn ubiquity(settings: &mut Map<String, Value>) {
    if settings
        .remove("verify_hostkey")
        .is_some_and(|value| !is_true(&value))
    {
        settings.insert("host_key_checking".to_owned(), "no".into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(driver: &str, settings: &Value) -> (String, Value) {
        let mut config = PduConfig {
            name: "rack1".to_owned(),
            model: driver.to_owned(),
            ..PduConfig::default()
        };
        let settings = settings.as_object().unwrap().clone();
        let settings = translate(&mut config, settings).unwrap();
        (config.model, settings.into())
    }

    #[test]
    fn settings_get_our_names() {
        for (driver, theirs, model, ours) in [
            (
                "bcu",
                json!({"bcu_exe": "/b", "reset_gpio_active_low": 0, "bootmode": "sd"}),
                "bcu-bootmode",
                json!({"program": "/b", "on": "0", "off": "1", "bootmode": "sd"}),
            ),
            (
                "bcu",
                json!({"reset_gpio_active_low": "1"}),
                "bcu",
                json!({}),
            ),
            (
                "servertechpro2",
                json!({"protocol": "https", "insecure": 1}),
                "servertechpro2",
                json!({"ip": "https://rack1", "insecure": true}),
            ),
            (
                "SERVO",
                json!({"ctrls": ["warm_reset"]}),
                "SERVO-warm-reset",
                json!({}),
            ),
            ("SERVO", json!({}), "SERVO", json!({})),
            (
                "snmpv3",
                json!({"auth_protocol": "usmHMACMD5AuthProtocol", "priv_protocol": "usmDESPrivProtocol"}),
                "snmpv3",
                json!({"auth": "md5", "privacy": "des"}),
            ),
            (
                "tasmota",
                json!({"port_count": "4"}),
                "tasmota",
                json!({"outlets": [1, 4]}),
            ),
            (
                "ubntmfi3port",
                json!({"verify_hostkey": false}),
                "ubntmfi3port",
                json!({"host_key_checking": "no"}),
            ),
            ("tplink", json!({"a": 1}), "tplink", json!({"a": 1})),
        ] {
            let got = translated(driver, &theirs);
            assert_eq!(got, (model.to_owned(), ours), "{driver} {theirs}");
        }
    }

    #[test]
    fn what_has_no_counterpart_is_refused() {
        for (driver, settings) in [
            ("SERVO", json!({"ctrls": ["cold_reset", "warm_reset"]})),
            ("snmpv3", json!({"auth_protocol": "usmNoAuthProtocol"})),
            ("tasmota", json!({"port_count": "many"})),
        ] {
            let mut config = PduConfig {
                model: driver.to_owned(),
                ..PduConfig::default()
            };
            let settings = settings.as_object().unwrap().clone();
            assert!(translate(&mut config, settings).is_err(), "{driver}");
        }
    }
}
