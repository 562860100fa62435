//! Renders device type, device dictionary and job context to a device, as LAVA's server does.
//!
//! The CLI, the worker and the server hand in a device file and a job's context and get the text
//! of the device back; they parse it themselves. The templates are those of any LAVA lab, so the
//! engine (minijinja) is made to behave like the Jinja2 of LAVA 2026.07 wherever a template can
//! tell; [`Renderer`] lists what is known to differ.
//!
//! This crate reads files of the directories it is given and no others. It never parses what it
//! renders, and never touches hardware.
#![forbid(unsafe_code)]

mod engine;
mod error;
mod filters;
mod loader;
mod python;
mod renderer;
mod source;
mod value;

pub use error::{Error, ErrorKind};
pub use loader::{LoadedTemplate, Origin};
pub use renderer::{Device, Rendered, Renderer, Scheduled};
