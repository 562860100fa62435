//! As much of HTTP as a test needs: one request a connection, replies that end with it.

use std::{
    fmt::Write as _,
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

/// Longer than a server takes for any request here.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server's answer.
#[derive(Debug)]
pub(crate) struct Reply {
    /// 200 and so on.
    pub(crate) status: u16,
    /// What it sent.
    pub(crate) body: String,
}

impl Reply {
    /// The body of a reply that must be good.
    pub(crate) fn ok(self, request: &str) -> String {
        assert_eq!(self.status, 200, "{request}: {}", self.body);
        self.body
    }
}

/// Asks for a page. `header` is a header line without its end.
pub(crate) fn get(port: u16, path: &str, header: &str) -> Reply {
    exchange(port, &format!("GET {path}"), header, "")
}

/// Sends a form.
pub(crate) fn post(port: u16, path: &str, header: &str, form: &[(&str, &str)]) -> Reply {
    exchange(port, &format!("POST {path}"), header, &encode(form))
}

fn exchange(port: u16, request: &str, header: &str, form: &str) -> Reply {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    // Version 1.0: no chunks, and the connection's end is the body's.
    let mut text = format!("{request} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n{header}\r\n");
    if request.starts_with("POST") {
        text.push_str("Content-Type: application/x-www-form-urlencoded\r\n");
        write!(text, "Content-Length: {}\r\n", form.len()).unwrap();
    }
    stream
        .write_all(format!("{text}\r\n{form}").as_bytes())
        .unwrap();
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).expect(request);
    let reply = String::from_utf8(reply).expect("replies are UTF-8");
    let (head, body) = reply.split_once("\r\n\r\n").expect("a reply has a head");
    let status = head.split(' ').nth(1).expect("a reply has a status");
    Reply {
        status: status.parse().expect("a status is a number"),
        body: body.to_owned(),
    }
}

/// The fields as browsers send them.
pub(crate) fn encode(form: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in form {
        if !text.is_empty() {
            text.push('&');
        }
        push(&mut text, name);
        text.push('=');
        push(&mut text, value);
    }
    text
}

fn push(text: &mut String, value: &str) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in value.bytes() {
        match byte {
            b' ' => text.push('+'),
            b'-' | b'.' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                text.push(char::from(byte));
            }
            _ => {
                text.push('%');
                text.push(char::from(DIGITS[usize::from(byte >> 4)]));
                text.push(char::from(DIGITS[usize::from(byte & 15)]));
            }
        }
    }
}
