//! Requests and their answers.

use super::{
    body::{AnswerBody, FileBody, Transfer},
    path,
    range::{self, Wanted},
    stall::Stalling,
};
use crate::bootfiles::{
    NotServed, Root, connections,
    transfers::{Outcome, Protocol, Transfers},
};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{
        ACCEPT_RANGES, ALLOW, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderValue,
        IF_RANGE, RANGE,
    },
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};
use tokio::net::{TcpListener, TcpStream};

/// What the server allows its clients.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time; further ones wait to be accepted.
    pub connections: usize,
    /// How long a client may take to send a request's head, and stay silent between two requests.
    pub head_within: Duration,
    /// The longest head of a request, in bytes; at least 8 KiB.
    pub head_bytes: usize,
    /// The most header fields.
    pub fields: usize,
    /// A transfer ends when the client reads nothing of it for so long.
    pub patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            head_within: Duration::from_secs(10),
            head_bytes: 16 << 10,
            fields: 64,
            patience: Duration::from_secs(30),
        }
    }
}

/// An HTTP server that serves the files of one directory, reading only.
#[derive(Debug)]
pub struct HttpServer {
    listener: TcpListener,
    root: Arc<Root>,
    limits: Limits,
    transfers: Transfers,
}

impl HttpServer {
    /// Serves `root` on `address`; port 0 takes a free one. Each transfer is told to `transfers`.
    ///
    /// # Errors
    /// When the address cannot be used.
    pub async fn bind(
        address: SocketAddr,
        root: Arc<Root>,
        limits: Limits,
        transfers: Transfers,
    ) -> io::Result<Self> {
        Ok(Self {
            listener: TcpListener::bind(address).await?,
            root,
            limits,
            transfers,
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system cannot say.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until the future is dropped, which ends all transfers.
    ///
    /// # Errors
    /// None while it runs: what goes wrong with a connection ends that connection.
    pub async fn serve(self) -> io::Result<()> {
        let Self {
            listener,
            root,
            limits,
            transfers,
        } = self;
        connections::serve(listener, limits.connections, |stream, client| {
            let serving = Serving {
                client,
                root: root.clone(),
                transfers: transfers.clone(),
                stalled: Arc::default(),
            };
            connection(stream, serving, limits)
        })
        .await
    }
}

async fn connection(stream: TcpStream, serving: Serving, limits: Limits) {
    let stream = Stalling::new(stream, limits.patience, serving.stalled.clone());
    let service = service_fn(|request| {
        let answer = serving.answer(&request);
        async move { Ok::<_, Infallible>(answer) }
    });
    // What a client does wrong ends its connection, and concerns nobody else.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_within)
        .max_buf_size(limits.head_bytes)
        .max_headers(limits.fields)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// One connection.
struct Serving {
    client: SocketAddr,
    root: Arc<Root>,
    transfers: Transfers,
    stalled: Arc<AtomicBool>,
}

type Answer = Response<AnswerBody>;

impl Serving {
    fn answer(&self, request: &Request<Incoming>) -> Answer {
        let head_only = match *request.method() {
            Method::GET => false,
            Method::HEAD => true,
            _ => {
                let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD");
                let allowed = HeaderValue::from_static("GET, HEAD");
                answer.headers_mut().insert(ALLOW, allowed);
                return answer;
            }
        };
        let Some(path) = path::decode(request.uri().path()) else {
            return text(StatusCode::BAD_REQUEST, "the path makes no sense");
        };
        match self.root.open(&path) {
            Ok((file, size)) => self.file(&path, file, size, request.headers(), head_only),
            Err(refused) => self.refuse(&path, &refused),
        }
    }

    fn file(
        &self,
        path: &str,
        file: std::fs::File,
        size: u64,
        headers: &HeaderMap,
        head_only: bool,
    ) -> Answer {
        // A condition never holds: nothing here has a date or a tag, and the whole file does.
        let conditional = headers.contains_key(IF_RANGE);
        let wanted = headers.get(RANGE).filter(|_| !conditional && !head_only);
        let wanted = range::parse(wanted.and_then(|range| range.to_str().ok()), size);
        let (status, range, shown) = match wanted {
            Wanted::All => (StatusCode::OK, 0..size, None),
            Wanted::Part(range) => {
                let shown = format!("bytes {}-{}/{size}", range.start, range.end - 1);
                (StatusCode::PARTIAL_CONTENT, range, Some(shown))
            }
            Wanted::Unsatisfiable => {
                let mut answer = text(StatusCode::RANGE_NOT_SATISFIABLE, "no such bytes");
                content_range(&mut answer, format!("bytes */{size}"));
                return answer;
            }
        };
        let length = range.end - range.start;
        let body = if head_only {
            AnswerBody::Text(None)
        } else {
            let transfers = self.transfers.clone();
            let transfer = Transfer {
                progress: transfers.begin(Protocol::Http, self.client, path, length),
                transfers,
                stalled: self.stalled.clone(),
            };
            AnswerBody::File(FileBody::new(file, range, transfer))
        };
        let mut answer = Response::new(body);
        *answer.status_mut() = status;
        let headers = answer.headers_mut();
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        let kind = HeaderValue::from_static("application/octet-stream");
        headers.insert(CONTENT_TYPE, kind);
        if let Some(shown) = shown {
            content_range(&mut answer, shown);
        }
        answer
    }

    fn refuse(&self, path: &str, refused: &NotServed) -> Answer {
        let progress = self.transfers.begin(Protocol::Http, self.client, path, 0);
        let (status, reason) = match refused {
            NotServed::Missing => (StatusCode::NOT_FOUND, refused.to_string()),
            NotServed::Denied => (StatusCode::FORBIDDEN, refused.to_string()),
            NotServed::Host(error) => (
                StatusCode::INTERNAL_SERVER_ERROR,
                format!("{refused}: {error}"),
            ),
        };
        self.transfers.end(&progress, Outcome::Refused(reason));
        text(status, &refused.to_string())
    }
}

fn content_range(answer: &mut Answer, range: String) {
    if let Ok(range) = HeaderValue::try_from(range) {
        answer.headers_mut().insert(CONTENT_RANGE, range);
    }
}

fn text(status: StatusCode, text: &str) -> Answer {
    let body = Bytes::from(format!("{text}\n"));
    let mut answer = Response::new(AnswerBody::Text(Some(body)));
    *answer.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}
