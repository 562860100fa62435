//! A web server that does what a test tells it to, byte by byte.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// What follows the head of an answer.
#[derive(Clone, Debug)]
pub(crate) enum Then {
    /// Says no more and closes.
    Close,
    /// Says no more and stays.
    Hang,
    /// Sends it in parts with pauses.
    Drip {
        bytes: Vec<u8>,
        part: usize,
        every: Duration,
    },
    /// Never ends.
    Endless,
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) then: Then,
}

impl Reply {
    pub(crate) fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            then: Then::Close,
        }
        .with("Content-Length", "0")
    }

    /// A body of known length.
    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let length = body.len().to_string();
        Self {
            status: 200,
            headers: Vec::new(),
            body,
            then: Then::Close,
        }
        .with("Content-Length", &length)
    }

    /// Not even a head: what is sent of one announces that another follows (RFC 9110 §15.2).
    pub(crate) fn silent() -> Self {
        Self {
            status: 100,
            headers: Vec::new(),
            body: Vec::new(),
            then: Then::Hang,
        }
    }

    /// What a well-behaved server answers for a file: ranges, validators, HEAD.
    pub(crate) fn file(request: &Request, body: &[u8], etag: &str) -> Self {
        if request.header("if-none-match") == Some(etag) {
            return Self {
                headers: Vec::new(),
                ..Self::status(304)
            }
            .with("ETag", etag);
        }
        let start = request
            .header("range")
            .filter(|_| {
                request
                    .header("if-range")
                    .is_none_or(|validator| validator == etag)
            })
            .and_then(|range| {
                range
                    .strip_prefix("bytes=")?
                    .strip_suffix('-')?
                    .parse()
                    .ok()
            });
        let reply = match start {
            Some(start) if start >= body.len() => Self::status(416),
            Some(start) => {
                let range = format!("bytes {start}-{}/{}", body.len() - 1, body.len());
                Self {
                    status: 206,
                    ..Self::ok(&body[start..])
                }
                .with("Content-Range", &range)
            }
            None => Self::ok(body),
        };
        reply.with("ETag", etag)
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn then(mut self, then: Then) -> Self {
        self.then = then;
        self
    }

    /// Announces everything and sends only so much of the body.
    pub(crate) fn cut(mut self, length: usize) -> Self {
        self.body.truncate(length);
        self
    }
}

/// The server. It ends with this value.
pub(crate) struct Server {
    port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Answers with what `answer` says to a request and its number, from 0.
    pub(crate) async fn start(
        answer: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let answer = Arc::new(answer);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                connections.spawn(async move {
                    // A client that hangs up is a part of many tests.
                    let _ = serve(stream, &seen, &*answer).await;
                });
            }
        });
        Self {
            port,
            requests,
            task,
        }
    }

    /// Always serves this file, well-behaved.
    pub(crate) async fn file(body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        Self::start(move |request, _| Reply::file(request, &body, "\"1\"")).await
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    seen: &Mutex<Vec<Request>>,
    answer: &(dyn Fn(&Request, usize) -> Reply + Send + Sync),
) -> std::io::Result<()> {
    let request = read_request(&mut stream).await?;
    let number = {
        let mut seen = seen.lock().unwrap();
        seen.push(request.clone());
        seen.len() - 1
    };
    let reply = answer(&request, number);
    let mut head = format!(
        "HTTP/1.1 {} Scripted\r\nConnection: close\r\n",
        reply.status
    );
    for (name, value) in &reply.headers {
        write!(head, "{name}: {value}\r\n").unwrap();
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).await?;
    if request.method != "HEAD" || reply.status == 100 {
        stream.write_all(&reply.body).await?;
        match reply.then {
            Then::Close => {}
            Then::Hang => std::future::pending().await,
            Then::Drip { bytes, part, every } => {
                let mut interval = tokio::time::interval(every);
                for part in bytes.chunks(part) {
                    interval.tick().await;
                    stream.write_all(part).await?;
                }
            }
            Then::Endless => loop {
                stream.write_all(&[0; 16 << 10]).await?;
            },
        }
    }
    stream.shutdown().await
}

async fn read_request(stream: &mut TcpStream) -> std::io::Result<Request> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.lines();
    let mut words = lines.next().unwrap().split(' ');
    let mut word = || words.next().unwrap().to_owned();
    let (method, path) = (word(), word());
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    Ok(Request {
        method,
        path,
        headers,
    })
}
