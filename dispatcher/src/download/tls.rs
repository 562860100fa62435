//! TLS for downloads: rustls with ring, trusting what this host trusts.

use super::failure::Failure;
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use std::sync::Arc;

/// A configuration that trusts the authorities of this host (`SSL_CERT_FILE`, `SSL_CERT_DIR`, else
/// the distribution's). Reads some hundred certificates, so it is made for the first https request
/// only.
///
/// # Errors
/// When this host has none.
pub(super) fn trusting_this_host() -> Result<ClientConfig, Failure> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let detail = found
            .errors
            .first()
            .map_or_else(|| "none found".into(), ToString::to_string);
        return Err(Failure::NoAuthorities { detail });
    }
    with_roots(roots)
}

/// A configuration that trusts nobody, for a client that only ever speaks plain HTTP.
pub(super) fn trusting_nobody() -> Result<ClientConfig, Failure> {
    with_roots(RootCertStore::empty())
}

fn with_roots(roots: RootCertStore) -> Result<ClientConfig, Failure> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::NoAuthorities {
            detail: error.to_string(),
        })?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
