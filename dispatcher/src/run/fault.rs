//! The one table that turns errors of the layers below into faults of the job.

use hal::{ErrorKind, HalError};
use job::{Fault, FaultClass};
use std::io;

/// The fault of a hardware error: the lab's, except where a command is not there at all.
pub fn of_hal(error: &HalError) -> Fault {
    let class = match error.kind() {
        ErrorKind::Unsupported => FaultClass::Configuration,
        _ => FaultClass::Infrastructure,
    };
    let mut fault = Fault::new(class, error.to_string());
    fault.hint = error.hint().map(str::to_owned);
    fault
}

/// The fault of an I/O error on this host. `fs_err` has put the path into its text.
pub fn of_io(error: &io::Error) -> Fault {
    let fault = Fault::infrastructure(error.to_string());
    match error.kind() {
        io::ErrorKind::StorageFull => fault.with_hint("free space on that file system"),
        io::ErrorKind::PermissionDenied => {
            fault.with_hint("check who owns that path and who runs pumice")
        }
        _ => fault,
    }
}
