//! TLS to PDUs: whom this host trusts, or one certificate by its fingerprint.

use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Whom to trust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// The authorities of this host.
    Host,
    /// The certificate with this SHA-256, whoever signed it.
    Fingerprint([u8; 32]),
    /// Anybody.
    Anybody,
}

/// A configuration for `trust`. Reads this host's certificates where they count.
///
/// # Errors
/// When this host has none.
pub(super) fn configuration(trust: &Trust) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let fingerprint = match trust {
        Trust::Host => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err("this host trusts no authority: install ca-certificates".to_owned());
            }
            return Ok(builder.with_root_certificates(roots).with_no_client_auth());
        }
        Trust::Fingerprint(fingerprint) => Some(*fingerprint),
        Trust::Anybody => None,
    };
    let verifier = Arc::new(Pinned {
        fingerprint,
        provider,
    });
    Ok(builder
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth())
}

/// A configuration for requests without TLS: it trusts nobody and reads nothing.
///
/// # Errors
/// Never, in practice.
pub(super) fn unused() -> Result<ClientConfig, String> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(builder
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth())
}

/// Reads "ab:cd:…" or "abcd…".
pub(super) fn fingerprint(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b':').collect();
    let bytes: Option<Vec<u8>> = digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    bytes?.try_into().ok()
}

/// Accepts one certificate, or any; that the server has its key is checked in any case.
#[derive(Debug)]
struct Pinned {
    fingerprint: Option<[u8; 32]>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let own: [u8; 32] = Sha256::digest(certificate).into();
        match self.fingerprint {
            Some(expected) if expected != own => {
                let shown: String = own.iter().map(|byte| format!("{byte:02x}")).collect();
                Err(rustls::Error::General(format!(
                    "its certificate has the fingerprint {shown}"
                )))
            }
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
