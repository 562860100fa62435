//! The error of every driver: what kind it is, which device or command it concerns, what to try.
//!
//! Callers act on [`HalError::kind`]; the dispatcher maps kinds to fault classes in one table.

use std::{error::Error, fmt, io};

/// What went wrong, as far as generic code can act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The device, file or program does not exist.
    NotFound,
    /// It exists, and this user may not use it.
    PermissionDenied,
    /// Somebody else is using it.
    Busy,
    /// The caller's deadline passed.
    Timeout,
    /// The other side answered something that its protocol does not allow.
    Protocol,
    /// This driver or this configuration cannot do that.
    Unsupported,
    /// The connection is closed, or the process behind it ended.
    Closed,
    /// A limit was reached: memory, processes, disk, or a bound the caller set.
    Exhausted,
    /// What the caller or the configuration asked for cannot be: a malformed command line, say.
    InvalidInput,
    /// A command ran to its end and reported failure.
    CommandFailed,
    /// The hardware accepted a request and did not follow it.
    Unconfirmed,
    /// None of the above.
    Other,
}

/// An error of a driver or a process.
///
/// `Display` is one sentence that names the device or command, without a final full stop.
pub struct HalError(Box<Details>);

#[derive(Debug)]
struct Details {
    kind: ErrorKind,
    subject: String,
    message: String,
    hint: Option<String>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl HalError {
    /// An error about `subject` (a device's or a command's name). `message` is one sentence that
    /// names the subject.
    pub fn new(kind: ErrorKind, subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self(Box::new(Details {
            kind,
            subject: subject.into(),
            message: message.into(),
            hint: None,
            source: None,
        }))
    }

    /// What the operating system reported while `doing` something with `subject`: the message
    /// reads "cannot `doing` `subject`: reason".
    pub fn from_io(doing: &str, subject: impl Into<String>, error: io::Error) -> Self {
        let subject = subject.into();
        let message = format!("cannot {doing} {subject}: {}", reason(&error));
        Self::new(kind_of(&error), subject, message).with_source(error)
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Adds the error that caused this one.
    #[must_use]
    pub fn with_source(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.0.source = Some(Box::new(source));
        self
    }

    /// What kind of error this is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The device or command concerned.
    pub fn subject(&self) -> &str {
        &self.0.subject
    }

    /// What to do about it, when that is known.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }
}

impl fmt::Display for HalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for HalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for HalError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let source = self.0.source.as_deref()?;
        Some(source)
    }
}

/// The kind of an error of the operating system.
pub(crate) fn kind_of(error: &io::Error) -> ErrorKind {
    use rustix::io::Errno;
    match error.kind() {
        io::ErrorKind::NotFound => return ErrorKind::NotFound,
        io::ErrorKind::PermissionDenied => return ErrorKind::PermissionDenied,
        io::ErrorKind::TimedOut => return ErrorKind::Timeout,
        io::ErrorKind::InvalidInput => return ErrorKind::InvalidInput,
        io::ErrorKind::Unsupported => return ErrorKind::Unsupported,
        io::ErrorKind::OutOfMemory | io::ErrorKind::StorageFull => return ErrorKind::Exhausted,
        io::ErrorKind::BrokenPipe
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::ConnectionRefused
        | io::ErrorKind::NotConnected
        | io::ErrorKind::UnexpectedEof => return ErrorKind::Closed,
        _ => {}
    }
    match Errno::from_io_error(error) {
        Some(Errno::BUSY | Errno::TXTBSY) => ErrorKind::Busy,
        Some(Errno::NODEV | Errno::NXIO) => ErrorKind::NotFound,
        Some(Errno::IO | Errno::HOSTDOWN) => ErrorKind::Closed,
        Some(Errno::MFILE | Errno::NFILE | Errno::AGAIN | Errno::NOMEM | Errno::DQUOT) => {
            ErrorKind::Exhausted
        }
        Some(Errno::TOOBIG) => ErrorKind::InvalidInput,
        _ => ErrorKind::Other,
    }
}

/// The system's words for an error, without Rust's "(os error N)".
pub(crate) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_names_subject_and_reason() {
        let error = HalError::from_io("open", "/dev/ttyUSB9", io::Error::from_raw_os_error(2));
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(
            error.to_string(),
            "cannot open /dev/ttyUSB9: No such file or directory"
        );
        assert!(error.source().is_some());
    }

    #[test]
    fn kinds_of_errors_without_a_standard_name() {
        let kind = |errno: rustix::io::Errno| kind_of(&errno.into());
        assert_eq!(kind(rustix::io::Errno::BUSY), ErrorKind::Busy);
        assert_eq!(kind(rustix::io::Errno::MFILE), ErrorKind::Exhausted);
        assert_eq!(kind(rustix::io::Errno::NXIO), ErrorKind::NotFound);
        assert_eq!(kind(rustix::io::Errno::IO), ErrorKind::Closed);
    }
}
