//! Times of entries as texts.

use std::fmt::Write;

/// Turns times since the start into wall clock texts, remembering the last one: the lines of one
/// chunk share it, and only its digits change within a second.
#[derive(Clone, Debug, Default)]
pub(super) struct Stamper {
    started_unix_micros: u64,
    text: String,
    micros: Option<u64>,
    second: Option<u64>,
}

/// Length of `2026-11-20T11:33:11`.
const SECOND: usize = 19;

impl Stamper {
    pub(super) fn new(started_unix_micros: u64) -> Self {
        Self {
            started_unix_micros,
            ..Self::default()
        }
    }

    /// `2026-11-20T11:33:11.314152+00:00`, in UTC as LAVA writes it.
    pub(super) fn iso(&mut self, at_micros: u64) -> &str {
        let micros = self.started_unix_micros.saturating_add(at_micros);
        if self.micros != Some(micros) {
            let (second, fraction) = (micros / 1_000_000, micros % 1_000_000);
            if self.second != Some(second) {
                self.text = second_text(second);
                self.second = Some(second);
            }
            self.text.truncate(SECOND);
            let _ = write!(self.text, ".{fraction:06}+00:00");
            self.micros = Some(micros);
        }
        &self.text
    }

    /// `2026-11-20 11:33:11.314152+00:00`, as Python prints it.
    pub(super) fn python(&mut self, at_micros: u64) -> String {
        self.iso(at_micros).replacen('T', " ", 1)
    }
}

/// A time beyond the year 9999 (only a damaged journal has one) becomes its last.
fn second_text(second: u64) -> String {
    let time = i64::try_from(second)
        .ok()
        .and_then(|second| jiff::Timestamp::from_second(second).ok())
        .unwrap_or(jiff::Timestamp::MAX);
    time.strftime("%Y-%m-%dT%H:%M:%S").to_string()
}

/// `00:03:00`: hours, minutes and whole seconds.
pub(super) fn clock(duration: std::time::Duration) -> String {
    let seconds = duration.as_secs();
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}", seconds % 60)
}

/// `0.30`: seconds with two places.
pub(super) fn seconds(duration: std::time::Duration) -> String {
    format!("{:.2}", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn stamps_follow_the_clock() {
        let mut stamper = Stamper::new(1_795_174_391_314_152);
        assert_eq!(stamper.iso(0), "2026-11-20T11:33:11.314152+00:00");
        assert_eq!(stamper.iso(0), "2026-11-20T11:33:11.314152+00:00");
        assert_eq!(stamper.iso(685_848), "2026-11-20T11:33:12.000000+00:00");
        assert_eq!(stamper.python(1), "2026-11-20 11:33:11.314153+00:00");
        assert_eq!(&stamper.iso(u64::MAX)[..4], "9999");
    }

    #[test]
    fn durations_look_like_those_of_lava() {
        assert_eq!(clock(Duration::from_millis(299_900)), "00:04:59");
        assert_eq!(clock(Duration::from_secs(100 * 3600)), "100:00:00");
        assert_eq!(seconds(Duration::from_millis(298)), "0.30");
    }
}
