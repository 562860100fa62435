//! What goes wrong with a request, in words for those who keep the lab.
//!
//! A failure may quote the device, and so what was sent to it: only [`Device::error`] makes an
//! error of it, without the password.
//!
//! [`Device::error`]: super::client::Device::error

use crate::{
    causes::{find, innermost, whole},
    error::{self, ErrorKind},
};
use std::io;

/// What went wrong, with a text that may quote the device.
pub(super) struct Failure {
    pub(super) kind: ErrorKind,
    pub(super) what: String,
    pub(super) hint: Option<&'static str>,
    pub(super) source: Option<io::Error>,
}

impl Failure {
    pub(super) fn new(kind: ErrorKind, what: impl Into<String>) -> Self {
        Self {
            kind,
            what: what.into(),
            hint: None,
            source: None,
        }
    }

    pub(super) fn hint(mut self, hint: &'static str) -> Self {
        self.hint = Some(hint);
        self
    }

    /// What the answer should have said.
    pub(super) fn answer(what: impl AsRef<str>) -> Self {
        Self::new(
            ErrorKind::Protocol,
            format!("its answer is not as expected: {}", what.as_ref()),
        )
        .hint("is it of another model than the lab file says, or does it need a login?")
    }
}

/// Sorts an error of the client. Its own words are of no use; those of its cause are.
pub(super) fn sort(error: &reqwest::Error) -> Failure {
    if let Some(tls) = find::<rustls::Error>(error) {
        let what = format!("the encryption fails: {tls}");
        let hint = match tls {
            rustls::Error::InvalidCertificate(_) | rustls::Error::General(_) => {
                "if the certificate is its own, give its SHA-256 as the option 'fingerprint' \
                 (or accept every one with 'insecure = true')"
            }
            _ => "does it speak https there, and TLS 1.2 or newer?",
        };
        return Failure::new(ErrorKind::Protocol, what).hint(hint);
    }
    let detail = innermost(error);
    if whole(error).contains("dns error") {
        return Failure::new(
            ErrorKind::NotFound,
            format!("its name has no address: {detail}"),
        )
        .hint("check the address in the lab file");
    }
    if let Some(cause) = find::<io::Error>(error) {
        let kind = error::kind_of(cause);
        let what = format!("it cannot be reached: {}", error::reason(cause));
        return Failure {
            source: Some(io::Error::new(cause.kind(), cause.to_string())),
            ..Failure::new(kind, what)
        };
    }
    if error.is_timeout() {
        return Failure::new(ErrorKind::Timeout, "it does not answer in time");
    }
    if detail.contains("connection closed") {
        return Failure::new(
            ErrorKind::Closed,
            "it closes the connection without an answer",
        );
    }
    Failure::new(
        ErrorKind::Protocol,
        format!("it does not answer with HTTP: {detail}"),
    )
    .hint("is there another device at this address?")
}
