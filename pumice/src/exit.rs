//! Exit codes. They are a promise: docs/exit-codes.md.

use job::FaultClass;
use std::process::ExitCode;

/// How `pumice` ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done; for a job: complete.
    Complete = 0,
    /// The job is complete, but a test failed and `--fail-on-test` was given.
    TestFailed = 1,
    /// The command line is wrong. Clap uses the same code.
    BadCommandLine = 2,
    /// The definition of the job or the device is bad, found before anything was touched.
    BadDefinition = 3,
    /// The job failed by its own fault.
    JobFault = 4,
    /// The job failed by the fault of the lab or of its configuration.
    InfrastructureFault = 5,
    /// The job failed by the fault of Pumice.
    Bug = 6,
    /// The hardware cannot tell what was asked.
    Unknown = 7,
    /// Somebody else holds the board.
    Held = 8,
    /// The job was canceled; 128 + SIGINT, as shells have it.
    Canceled = 130,
}

/// What ends a command early.
#[derive(Debug)]
pub(crate) struct Stop {
    /// The exit code.
    pub(crate) exit: Exit,
    /// What to tell the user, hints included.
    pub(crate) text: String,
}

impl Stop {
    /// Ends with a text.
    pub(crate) fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self {
            exit,
            text: text.into(),
        }
    }

    /// The command line asks for something that cannot be.
    pub(crate) fn bad_command_line(text: impl Into<String>) -> Self {
        Self::new(Exit::BadCommandLine, text)
    }

    /// The definition of the job or the device is bad.
    pub(crate) fn bad_definition(text: impl Into<String>) -> Self {
        Self::new(Exit::BadDefinition, text)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<FaultClass> for Exit {
    fn from(class: FaultClass) -> Self {
        match class {
            FaultClass::Job | FaultClass::Test => Self::JobFault,
            FaultClass::Infrastructure | FaultClass::Configuration => Self::InfrastructureFault,
            FaultClass::Canceled => Self::Canceled,
            FaultClass::Bug => Self::Bug,
        }
    }
}
