//! As much of an HTTP server as a PDU and a network boot need: GET and HEAD, one request a
//! connection.

use std::{
    io,
    path::{Component, Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};

/// A longer request is refused.
const LONGEST_HEAD: usize = 8 * 1024;

/// How long a client may take to ask.
const ASK_WITHIN: Duration = Duration::from_secs(10);

/// How many clients there may be at once; others wait to be accepted.
const CLIENTS: usize = 64;

/// What a client asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) path: String,
    /// After the question mark, as it came.
    pub(crate) query: String,
}

impl Request {
    /// The value of a parameter of the query. Values need no decoding: what we allow in them has
    /// no special characters.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .split('&')
            .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }
}

/// The answer.
pub(crate) struct Response {
    pub(crate) status: &'static str,
    pub(crate) body: Body,
}

pub(crate) enum Body {
    Text(String),
    File(File, u64),
}

impl Response {
    pub(crate) fn text(status: &'static str, text: impl Into<String>) -> Self {
        let body = Body::Text(text.into());
        Self { status, body }
    }
}

/// Answers requests; `None` leaves the client without an answer.
pub(crate) trait Handler: Send + Sync + 'static {
    fn answer(&self, request: Request) -> impl Future<Output = Option<Response>> + Send;
}

/// Serves until it is dropped.
pub(crate) async fn serve<H: Handler>(listener: TcpListener, handler: Arc<H>) {
    let mut clients = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if clients.len() < CLIENTS => {
                // It fails only for a client that is gone, or lack of descriptors.
                if let Ok((client, _)) = accepted {
                    let handler = Arc::clone(&handler);
                    clients.spawn(async move { converse(client, &*handler).await });
                } else {
                    crate::pause().await;
                }
            }
            Some(_) = clients.join_next() => {}
        }
    }
}

async fn converse<H: Handler>(mut client: TcpStream, handler: &H) -> io::Result<()> {
    let head = match timeout(ASK_WITHIN, head(&mut client)).await {
        Ok(head) => head?,
        Err(_) => return Ok(()),
    };
    let (request, wants_body) = match parse(&head) {
        Some(parsed) => parsed,
        None => {
            let refusal = Response::text("400 Bad Request", "only GET and HEAD\n");
            return send(&mut client, refusal, true).await;
        }
    };
    match handler.answer(request).await {
        Some(response) => send(&mut client, response, wants_body).await,
        None => {
            // No answer ever: wait until the client gives up.
            client.read(&mut [0; 1]).await.map(drop)
        }
    }
}

async fn head(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < LONGEST_HEAD {
        match client.read(&mut buffer).await? {
            0 => break,
            length => head.extend_from_slice(&buffer[..length]),
        }
    }
    Ok(head)
}

/// The request, and whether its answer has a body.
fn parse(head: &[u8]) -> Option<(Request, bool)> {
    let end = head.windows(4).position(|end| end == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&head[..end]).ok()?;
    let mut words = head.lines().next()?.split(' ');
    let wants_body = match words.next()? {
        "GET" => true,
        "HEAD" => false,
        _ => return None,
    };
    let target = words.next()?;
    words.next()?.strip_prefix("HTTP/1.")?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let request = Request {
        path: path.to_owned(),
        query: query.to_owned(),
    };
    Some((request, wants_body))
}

async fn send(client: &mut TcpStream, response: Response, wants_body: bool) -> io::Result<()> {
    let length = match &response.body {
        Body::Text(text) => text.len() as u64,
        Body::File(_, length) => *length,
    };
    let status = response.status;
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    client.write_all(head.as_bytes()).await?;
    match response.body {
        _ if !wants_body => {}
        Body::Text(text) => client.write_all(text.as_bytes()).await?,
        Body::File(file, length) => {
            tokio::io::copy(&mut file.take(length), client).await?;
        }
    }
    client.shutdown().await
}

/// The files below a directory.
pub(crate) struct Files(PathBuf);

impl Files {
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self(directory)
    }

    async fn open(&self, path: &str) -> io::Result<(File, u64)> {
        let path = Path::new(path.trim_start_matches('/'));
        let within = path
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        if !within {
            return Err(io::ErrorKind::NotFound.into());
        }
        let file = File::open(self.0.join(path)).await?;
        let metadata = file.metadata().await?;
        match metadata.is_file() {
            true => Ok((file, metadata.len())),
            false => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

impl Handler for Files {
    async fn answer(&self, request: Request) -> Option<Response> {
        Some(match self.open(&request.path).await {
            Ok((file, length)) => Response {
                status: "200 OK",
                body: Body::File(file, length),
            },
            Err(_) => Response::text("404 Not Found", "no such file\n"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn requests_are_understood() {
        let text = b"GET /power/state?hostname=rack&port=3 HTTP/1.1\r\nHost: x\r\n\r\n";
        let (request, wants_body) = parse(text).unwrap();
        assert!(wants_body);
        assert_eq!(request.path, "/power/state");
        assert_eq!(request.parameter("port"), Some("3"));
        assert_eq!(request.parameter("ort"), None);
        for bad in [
            "POST / HTTP/1.1\r\n\r\n",
            "GET /\r\n\r\n",
            "GET / HTTP/1.1\r\n",
        ] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn no_request_panics(head in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&[&head[..], b"\r\n\r\n"].concat());
        }
    }

    async fn get(files: &Path, path: &str) -> String {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, Arc::new(Files::new(files.to_owned()))));
        let mut client = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\n\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn files_are_served_from_their_directory_only() {
        let directory = tempfile::tempdir().unwrap();
        let files = directory.path().join("boot");
        fs_err::create_dir(&files).unwrap();
        fs_err::write(files.join("boot.ipxe"), "#!ipxe\n").unwrap();
        fs_err::write(directory.path().join("secret"), "secret").unwrap();
        let answer = get(&files, "/boot.ipxe").await;
        assert!(
            answer.starts_with("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n"),
            "{answer}"
        );
        assert!(answer.ends_with("\r\n\r\n#!ipxe\n"), "{answer}");
        for path in ["/../secret", "//etc/passwd/..", "/", "/none"] {
            assert!(
                get(&files, path).await.starts_with("HTTP/1.1 404"),
                "{path}"
            );
        }
    }
}
