//! A web server on this host whose every answer the test decides.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

/// What the server does when a path is asked for.
#[derive(Clone)]
pub enum Answer {
    /// Sends the file, whole or the range that is asked for.
    File(Vec<u8>),
    /// Says how long the file is, sends this many bytes of it, and breaks the connection off.
    BreakOff(Vec<u8>, usize),
    /// Answers with this status.
    Status(u16),
    /// Says how long the file is, and sends nothing until the other side goes away.
    Stall(usize),
}

/// A running server; it ends with the test's process.
pub struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Serves these paths; all others are not found.
    pub fn start(answers: impl IntoIterator<Item = (&'static str, Answer)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let answers: Arc<BTreeMap<&str, Answer>> = Arc::new(answers.into_iter().collect());
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answers, seen) = (Arc::clone(&answers), Arc::clone(&seen));
                // What goes wrong with a connection is what the program under test has to notice.
                std::thread::spawn(move || drop(serve(&stream, &answers, &seen)));
            }
        });
        Self { address, asked }
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The requests so far: method and path.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no server thread panics").clone()
    }
}

fn serve(
    mut stream: &TcpStream,
    answers: &BTreeMap<&str, Answer>,
    seen: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut request, mut from) = (String::new(), 0);
    reader.read_line(&mut request)?;
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? <= 2 {
            break;
        }
        let header = header.to_ascii_lowercase();
        if let Some(range) = header.strip_prefix("range: bytes=") {
            from = range.trim_end().trim_end_matches('-').parse().unwrap_or(0);
        }
    }
    let mut words = request.split_whitespace();
    let (method, path) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    if let Ok(mut seen) = seen.lock() {
        seen.push(format!("{method} {path}"));
    }
    let answer = answers.get(path).cloned().unwrap_or(Answer::Status(404));
    let body = match &answer {
        Answer::File(content) => content.get(from..).unwrap_or_default(),
        Answer::BreakOff(content, length) => &content[..*length],
        Answer::Status(_) | Answer::Stall(_) => &[],
    };
    stream.write_all(head(&answer, from).as_bytes())?;
    if method != "HEAD" {
        stream.write_all(body)?;
        if let Answer::Stall(_) = answer {
            // Ends when the other side closes the connection.
            reader.read_to_end(&mut Vec::new())?;
        }
    }
    Ok(())
}

fn head(answer: &Answer, from: usize) -> String {
    let (status, length) = match answer {
        Answer::File(content) if from > 0 => {
            let (last, all) = (content.len().saturating_sub(1), content.len());
            let range = format!("Content-Range: bytes {from}-{last}/{all}\r\n");
            let length = all.saturating_sub(from);
            return format!(
                "HTTP/1.1 206 Partial Content\r\n{range}Content-Length: {length}\r\n\
                 Connection: close\r\n\r\n"
            );
        }
        Answer::File(content) | Answer::BreakOff(content, _) => (200, content.len()),
        Answer::Status(status) => (*status, 0),
        Answer::Stall(length) => (200, *length),
    };
    format!("HTTP/1.1 {status} Status\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")
}
