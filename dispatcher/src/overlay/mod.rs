//! Builds the overlay of helpers and tests, and puts it into images.
//!
//! The actions of a deploy talk to this module, one call per action: [`OverlayBuilder`] makes the
//! tree `<results directory>/{bin,tests,results,environment,secrets,<stage>}`, fetches the test
//! definitions into it and writes their scripts; [`archive::compress`] makes one archive of it;
//! [`inject::inject`] puts it into an initramfs or a tar archive, [`ext::image`] into an ext file
//! system, and [`ext::guest`] makes the drive that QEMU attaches.
//!
//! Nothing here runs as root, mounts anything or starts a virtual machine, and nothing follows a
//! symbolic link or a name out of the directories it was given: definitions, archives and images
//! are hostile input.

pub mod archive;
pub mod ext;
pub mod inject;

mod commands;
mod cpio;
mod definition;
mod files;
mod git;
mod helpers;
mod packing;
mod quote;
mod records;
mod script;
mod tree;
mod unpack;
mod yaml_text;

pub use commands::{CommandOutput, HostCommands, RunCommand};
pub use definition::{FetchedDefinition, Pattern};
pub use helpers::Multinode;
pub use records::Extra;
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
