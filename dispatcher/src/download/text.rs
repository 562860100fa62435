//! Lines that LAVA's users know from the log of a download.

use std::time::Duration;
use tokio::time::Instant;

/// A size as LAVA 2026.07 shows it: whole MiB after a narrow no-break space.
pub fn megabytes(bytes: u64) -> String {
    format!("{}\u{202f}MB", bytes >> 20)
}

/// `total size: 14186432 (13 MB)`.
pub fn total_size(bytes: u64) -> String {
    format!("total size: {bytes} ({})", megabytes(bytes))
}

/// `13 MB downloaded in 0.01 s (1061.72 MB/s)`.
pub fn finished(bytes: u64, duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    let rate = bytes as f64 / f64::from(1 << 20) / seconds.max(1e-6);
    format!(
        "{} downloaded in {seconds:.2}\u{202f}s ({rate:.2}\u{202f}MB/s)",
        megabytes(bytes)
    )
}

/// Chooses when a line about the progress of one download is due: every 5 %, or every 25 MB when
/// the size is unknown, and never twice within a second, so that quick downloads have none.
#[derive(Clone, Copy, Debug)]
pub struct ProgressLines {
    told_at: Instant,
    told: u64,
}

impl ProgressLines {
    /// For a download that begins now.
    pub fn new(now: Instant) -> Self {
        Self {
            told_at: now,
            told: 0,
        }
    }

    /// The line that is due at `done` of `total` bytes, if one is.
    pub fn line(&mut self, done: u64, total: Option<u64>, now: Instant) -> Option<String> {
        let step = total.map_or(25 << 20, |total| total / 20).max(1);
        if done < self.told.saturating_add(step)
            || now.duration_since(self.told_at) < Duration::from_secs(1)
        {
            return None;
        }
        self.told_at = now;
        self.told = done - done % step;
        Some(match total.filter(|&total| total > 0) {
            Some(total) => {
                let percent = u128::from(done) * 100 / u128::from(total);
                format!("progress {percent:3}\u{202f}% ({})", megabytes(done))
            }
            None => format!("progress {}", megabytes(done)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_rates_look_like_lavas() {
        assert_eq!(
            total_size(14_186_432),
            "total size: 14186432 (13\u{202f}MB)"
        );
        assert_eq!(total_size(1_031_749), "total size: 1031749 (0\u{202f}MB)");
        assert_eq!(
            finished(14_186_432, Duration::from_millis(100)),
            "13\u{202f}MB downloaded in 0.10\u{202f}s (135.29\u{202f}MB/s)"
        );
    }

    #[test]
    fn lines_come_each_twentieth_and_not_too_often() {
        let start = Instant::now();
        let mut lines = ProgressLines::new(start);
        let second = |n| start + Duration::from_secs(n);
        assert_eq!(lines.line(90, Some(100), start), None);
        assert_eq!(lines.line(4, Some(100), second(2)), None);
        assert_eq!(
            lines.line(7, Some(100), second(2)).unwrap(),
            "progress   7\u{202f}% (0\u{202f}MB)"
        );
        assert_eq!(lines.line(9, Some(100), second(4)), None);
        assert!(lines.line(10, Some(100), second(4)).is_some());
        assert_eq!(
            lines.line(30 << 20, None, second(6)).unwrap(),
            "progress 30\u{202f}MB"
        );
        assert!(lines.line(u64::MAX, Some(0), second(8)).is_some());
    }
}
