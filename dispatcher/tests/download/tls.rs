//! Encrypted downloads, with an authority made for the test.

use crate::lab::{Lab, again, in_time, kernel, through};
use job::FaultClass;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::Arc,
};

/// Serves `kernel` to any number of requests, on a thread that ends with the process.
fn serve(certificate: &str, key: &str) -> u16 {
    let certificates = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut tls = rustls::StreamOwned::new(connection, stream.unwrap());
            let mut request = [0; 4096];
            // A client that does not trust this server hangs up here.
            if tls.read(&mut request).is_ok() {
                let answer =
                    "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nkernel";
                tls.write_all(answer.as_bytes()).unwrap();
                tls.conn.send_close_notify();
                tls.flush().unwrap();
            }
        }
    });
    port
}

/// Runs twice: trusting the authority, in a process of its own, and not.
#[tokio::test]
async fn servers_are_trusted_as_this_host_says() {
    let Some(pem) = through(
        "openssl",
        &[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-keyout",
            "-",
            "-out",
            "-",
        ],
        b"",
    ) else {
        eprintln!("SKIPPED: openssl is not installed");
        return;
    };
    let pem = String::from_utf8(pem).unwrap();
    let lab = Lab::new();
    let trusted = match std::env::var_os("PUMICE_TEST_PEM") {
        Some(path) => fs_err::read_to_string(std::path::PathBuf::from(path)).unwrap(),
        None => String::new(),
    };
    let used = if trusted.is_empty() { &pem } else { &trusted };
    let port = serve(used, used);
    let download = kernel(format!("https://localhost:{port}/k"));
    if !trusted.is_empty() {
        assert_eq!(lab.bytes(&download).await, b"kernel");
        assert!(
            lab.downloader()
                .preflight(&[&download], in_time())
                .await
                .is_empty()
        );
        return;
    }
    // Something is trusted here, but not that server.
    let path = lab.directory.path().join("pem");
    fs_err::write(&path, &pem).unwrap();
    let variables = [
        ("SSL_CERT_FILE", path.as_path()),
        ("PUMICE_TEST_PEM", path.as_path()),
    ];
    again(
        "tls::servers_are_trusted_as_this_host_says",
        &[],
        &variables,
    )
    .unwrap();
    let fault = lab.fault(&download, FaultClass::Infrastructure).await;
    assert!(fault.message.contains("certificate"), "{}", fault.message);
    assert!(fault.hint.unwrap().contains("SSL_CERT_FILE"));
}
