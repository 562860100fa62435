//! TLS for HTTP clients: rustls with ring, trusting whom this host trusts, one certificate by its
//! fingerprint, or everybody.
//!
//! Used by the PDUs that speak https and by the dispatcher's downloads.

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
pub enum Trust {
    /// The authorities of this host: `SSL_CERT_FILE`, `SSL_CERT_DIR`, else the distribution's.
    Host,
    /// The certificate with this SHA-256, whoever signed it.
    Fingerprint([u8; 32]),
    /// Anybody who has the key of the certificate that he shows.
    Anybody,
    /// Nobody: for requests without TLS, which a client wants a configuration for all the same.
    Nobody,
}

/// A configuration for `trust`. Reads some hundred certificates for [`Trust::Host`], and blocks
/// meanwhile; nothing for the others.
///
/// # Errors
/// Why this host trusts no authority, for a message.
pub fn configuration(trust: &Trust) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let roots = match trust {
        Trust::Host => authorities()?,
        Trust::Nobody => RootCertStore::empty(),
        Trust::Fingerprint(_) | Trust::Anybody => {
            let fingerprint = match trust {
                Trust::Fingerprint(fingerprint) => Some(*fingerprint),
                _ => None,
            };
            let verifier = Arc::new(Pinned {
                fingerprint,
                provider,
            });
            return Ok(builder
                .dangerous()
                .with_custom_certificate_verifier(verifier)
                .with_no_client_auth());
        }
    };
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// The authorities of this host.
fn authorities() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if !roots.is_empty() {
        return Ok(roots);
    }
    let why = found.errors.first();
    Err(why.map_or_else(|| "none found".to_owned(), ToString::to_string))
}

/// Reads "ab:cd:…" or "abcd…".
pub fn fingerprint(text: &str) -> Option<[u8; 32]> {
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
