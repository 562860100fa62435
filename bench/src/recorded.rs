//! LAVA 2026.07 as it was measured once: two virtual AMD EPYC cores, Debian 12, Python 3.11, the
//! same kind of board and job. Where no LAVA is installed these stand beside ours.

/// The minimal job, the median of ten runs.
pub(crate) mod minimal {
    /// Seconds.
    pub(crate) const WALL: f64 = 1.43;
    /// Seconds, user and system.
    pub(crate) const CPU: f64 = 0.31;
    /// MiB, both processes of a job that has a server.
    pub(crate) const RESIDENT: f64 = 84.0;
    /// Milliseconds.
    pub(crate) const FIRST_LINE: f64 = 234.0;
}

/// 200,000 lines while testing.
pub(crate) mod flood_test {
    /// Per second.
    pub(crate) const LINES: f64 = 44_000.0;
    /// Microseconds a line.
    pub(crate) const CPU: f64 = 23.0;
    /// MiB.
    pub(crate) const RESIDENT: f64 = 82.0;
}

/// 200,000 lines while booting.
pub(crate) mod flood_boot {
    /// Per second.
    pub(crate) const LINES: f64 = 41_000.0;
    /// Microseconds a line.
    pub(crate) const CPU: f64 = 24.0;
    /// MiB.
    pub(crate) const RESIDENT: f64 = 85.0;
}
