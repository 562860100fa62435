//! Downloads against a web server of the tests' own, which breaks in every way a server can.
#![expect(clippy::unwrap_used, reason = "helpers of tests panic as tests do")]

mod archives;
mod caching;
mod faults;
mod lab;
mod server;
mod tls;
mod transfers;
