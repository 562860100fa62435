//! A server that answers as a test tells it to, one request for each connection.

use hal::lab::{PduConfig, Secret};
use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};

/// It needs escaping wherever it goes.
pub(crate) const PASSWORD: &str = "p&s/1 %";

/// A server that keeps every request and answers with what `answer` makes of it: the bytes of an
/// answer, or nothing and an open connection for ever.
pub(crate) struct Stub {
    pub(crate) address: String,
    requests: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Stub {
    pub(crate) async fn start(
        answer: impl Fn(&str) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let heard = requests.clone();
        let answer = Arc::new(answer);
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (heard, answer) = (heard.clone(), answer.clone());
                tokio::spawn(async move {
                    let Some(request) = read_request(&mut stream).await else {
                        return;
                    };
                    heard.lock().unwrap().push(request.clone());
                    match answer(&request) {
                        Some(bytes) => {
                            let _ = stream.write_all(&bytes).await;
                            let _ = stream.shutdown().await;
                        }
                        None => std::future::pending().await,
                    }
                });
            }
        });
        Self {
            address,
            requests,
            task,
        }
    }

    pub(crate) fn taken(&self) -> Vec<String> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }

    pub(crate) fn config(&self, model: &str) -> PduConfig {
        PduConfig {
            name: "rack1".to_owned(),
            model: model.to_owned(),
            address: Some(format!("http://{}", self.address)),
            username: Some("me".to_owned()),
            password: Some(Secret::new(PASSWORD)),
            timeout: Some(Duration::from_secs(20)),
            ..PduConfig::default()
        }
    }
}

async fn read_request(stream: &mut tokio::net::TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("Content-Length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return Some(text);
            }
        }
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer).await {
            Ok(length @ 1..) => bytes.extend_from_slice(&buffer[..length]),
            _ => return None,
        }
    }
}

pub(crate) fn ok(body: &str) -> Option<Vec<u8>> {
    answer("200 OK", "", body)
}

pub(crate) fn answer(status: &str, headers: &str, body: &str) -> Option<Vec<u8>> {
    let length = body.len();
    Some(
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{headers}\r\n{body}")
            .into_bytes(),
    )
}
