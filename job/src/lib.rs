//! What a job, a device, a timeout, a result and a fault *is*, with the checks of their schemas.
//!
//! Everything here is data: this crate does no I/O and reads no clock. The formats are those of
//! LAVA 2026.07.
#![forbid(unsafe_code)]

pub mod definition;
pub mod device;
pub mod document;
pub mod fault;
pub mod id;
pub mod problem;
pub mod python;
pub mod result;
pub mod schema;
pub mod timeout;

pub use definition::Definition;
pub use device::Device;
pub use fault::{Fault, FaultClass};
pub use id::{JobId, Level, Namespace};
pub use problem::Problem;
pub use result::{CaseResult, TestResult};
