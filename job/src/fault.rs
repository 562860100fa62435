//! Why something went wrong, classified once, where it is known.

use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};

/// Whose fault it is. LAVA's `error_type`, with its time-out types folded in: see [`Fault::error_type`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FaultClass {
    /// The lab: hardware, host, network, or a command of the admin's.
    Infrastructure,
    /// The job's definition asks for something that cannot work, or what it booted did not.
    Job,
    /// The tests of the job.
    Test,
    /// The device's or the dispatcher's configuration.
    Configuration,
    /// Somebody canceled the job.
    Canceled,
    /// Pumice itself.
    Bug,
}

/// A fault: what was being done, what went wrong, what was waited for, and what to try.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Whose fault it is.
    pub class: FaultClass,
    /// One sentence, without the class and without a final full stop.
    pub message: String,
    /// What to do about it, when that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The prompt, pattern or event that was waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waited_for: Option<String>,
    /// How long the action that failed was allowed, when it failed because that time was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timed_out_after: Option<Duration>,
    /// The command of the host that failed, as typed, secrets masked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Where a boot went wrong, in one sentence, when the console or the network shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diagnosis: Option<String>,
    /// The lines of the console that show the diagnosis, or else the last before the fault.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub console: Vec<String>,
}

impl FaultClass {
    /// LAVA's name of the class: the `error_type` of the final record.
    pub fn error_type(self) -> &'static str {
        match self {
            Self::Infrastructure => "Infrastructure",
            Self::Job => "Job",
            Self::Test => "Test",
            Self::Configuration => "Configuration",
            Self::Canceled => "Canceled",
            Self::Bug => "Bug",
        }
    }

    /// Whether an action that is to be retried is retried after such a fault.
    ///
    /// LAVA 2026.07 retries after infrastructure, job and test errors only.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Infrastructure | Self::Job | Self::Test)
    }
}

impl Fault {
    /// A fault of the given class.
    pub fn new(class: FaultClass, message: impl Into<String>) -> Self {
        Self {
            class,
            message: message.into(),
            hint: None,
            waited_for: None,
            timed_out_after: None,
            command: None,
            diagnosis: None,
            console: Vec::new(),
        }
    }

    /// A fault of the lab.
    pub fn infrastructure(message: impl Into<String>) -> Self {
        Self::new(FaultClass::Infrastructure, message)
    }

    /// A fault of the job.
    pub fn job(message: impl Into<String>) -> Self {
        Self::new(FaultClass::Job, message)
    }

    /// A fault of the tests.
    pub fn test(message: impl Into<String>) -> Self {
        Self::new(FaultClass::Test, message)
    }

    /// A fault of the configuration.
    pub fn configuration(message: impl Into<String>) -> Self {
        Self::new(FaultClass::Configuration, message)
    }

    /// Somebody canceled the job.
    pub fn canceled(message: impl Into<String>) -> Self {
        Self::new(FaultClass::Canceled, message)
    }

    /// A fault of Pumice.
    pub fn bug(message: impl Into<String>) -> Self {
        Self::new(FaultClass::Bug, message)
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds what was waited for.
    #[must_use]
    pub fn with_waited_for(mut self, what: impl Into<String>) -> Self {
        self.waited_for = Some(what.into());
        self
    }

    /// Adds the command of the host that failed. The caller masks secrets.
    #[must_use]
    pub fn with_command(mut self, command: impl Into<String>) -> Self {
        self.command = Some(command.into());
        self
    }

    /// Says that the allowed time was over.
    #[must_use]
    pub fn with_timeout(mut self, allowed: Duration) -> Self {
        self.timed_out_after = Some(allowed);
        self
    }

    /// LAVA's name of the fault: the `error_type` of the final record.
    pub fn error_type(&self) -> &'static str {
        self.class.error_type()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}
