//! Builds the overlay of helpers and tests, and puts it into images.
//!
//! The actions of a deploy talk to this module, one call per action: [`OverlayBuilder`] makes the
//! tree `<results directory>/{bin,tests,results,environment,secrets,<stage>}`, fetches the test
//! definitions into it and writes their scripts; [`archive::compress`] makes one archive of it;
//! the rest puts it into images.
//!
//! Nothing here runs as root, mounts anything or starts a virtual machine, and nothing follows a
//! symbolic link or a name out of the directories it was given: definitions, archives and images
//! are hostile input.

pub mod archive;
pub mod definition;
pub mod ext;
pub mod helpers;
pub mod inject;
pub mod script;
pub mod tree;

mod cpio;
mod files;
mod git;
mod packing;
mod quote;
mod yaml_text;

pub use definition::{FetchedDefinition, Pattern};
pub use git::{CommandOutput, RunCommand};
pub use helpers::Multinode;
pub use tree::OverlayBuilder;

use wire::journal::LogLevel;

/// A line for the log of the job, collected while an action works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Its level.
    pub level: LogLevel,
    /// Its text.
    pub message: String,
}

impl Note {
    fn debug(message: impl Into<String>) -> Self {
        Self {
            level: LogLevel::Debug,
            message: message.into(),
        }
    }

    fn info(message: impl Into<String>) -> Self {
        Self {
            level: LogLevel::Info,
            message: message.into(),
        }
    }

    fn warning(message: impl Into<String>) -> Self {
        Self {
            level: LogLevel::Warning,
            message: message.into(),
        }
    }
}
