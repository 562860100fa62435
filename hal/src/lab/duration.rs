//! Durations as a lab file has them: "500ms", "2s", "1m", or a number of seconds.

use serde::{Deserialize, Deserializer, de::Error};
use std::time::Duration;

/// The longest duration a lab file may ask for.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// For `#[serde(with)]` on an optional field.
pub(super) mod optional {
    use super::*;

    pub(in crate::lab) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let duration = match toml::Value::deserialize(deserializer)? {
            toml::Value::String(text) => parse(&text),
            toml::Value::Integer(seconds) => u64::try_from(seconds).ok().map(Duration::from_secs),
            toml::Value::Float(seconds) => Duration::try_from_secs_f64(seconds).ok(),
            _ => None,
        };
        let duration = duration.filter(|duration| *duration <= LONGEST);
        let expected = "a duration is \"500ms\", \"2s\", \"1m\" or seconds, at most a day";
        duration.map(Some).ok_or_else(|| D::Error::custom(expected))
    }
}

/// A duration as people write it: a number and `ms`, `s`, `m`, `min` or `h`.
pub fn parse(text: &str) -> Option<Duration> {
    let unit = text.find(|c: char| c.is_ascii_alphabetic())?;
    let seconds = match text[unit..].trim() {
        "ms" => 0.001,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    let value: f64 = text[..unit].trim().parse().ok()?;
    Duration::try_from_secs_f64(value * seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units() {
        assert_eq!(parse("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(parse("1.5 s"), Some(Duration::from_millis(1500)));
        assert_eq!(parse("2m"), Some(Duration::from_secs(120)));
        for bad in ["", "5", "s", "-1s", "1 fortnight", "nans"] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }
}
