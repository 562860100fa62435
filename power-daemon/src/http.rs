//! The HTTP front: pdudaemon's requests, and two of our own.
//!
//! | request | answer |
//! |---|---|
//! | `GET /power/control/{on,off,reboot}?hostname=&port=&delay=` or `?alias=` | 200 `OK - accepted request` once it was done |
//! | `GET /power/status?hostname=&port=` or `?alias=` | JSON: what the PDU shows |
//! | `GET /healthz` | 200 `ok`, without a token |

use crate::{Action, Refusal, Request, Shared, Target, request::Query};
use hal::power::PowerState;
use http_body_util::Full;
use hyper::{
    Method, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use std::{convert::Infallible, net::SocketAddr, pin::pin, sync::Arc, time::Duration};
use tokio::net::TcpStream;

/// How long a client may take to send a request's head, and stay silent between two requests.
const HEAD_WITHIN: Duration = Duration::from_secs(10);

/// The longest head of a request; a URL is a part of it.
const LONGEST_HEAD: usize = 16 << 10;

/// The most header fields.
const MOST_FIELDS: usize = 64;

type Answer = Response<Full<Bytes>>;

/// Serves one connection until the client closes it or the daemon ends.
pub(crate) async fn connection(stream: TcpStream, peer: SocketAddr, shared: Arc<Shared>) {
    let stop = shared.stop.clone();
    let service = service_fn(|request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(answer(&request, peer, &shared).await) }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_WITHIN)
            .max_buf_size(LONGEST_HEAD)
            .max_headers(MOST_FIELDS)
            .serve_connection(TokioIo::new(stream), service)
    );
    // What a client does wrong ends its connection, and concerns nobody else.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

async fn answer(request: &hyper::Request<Incoming>, peer: SocketAddr, shared: &Shared) -> Answer {
    let path = request.uri().path();
    if path == "/healthz" && request.method() == Method::GET {
        return text(StatusCode::OK, "ok\n".to_owned());
    }
    let query = Query::parse(request.uri().query().unwrap_or_default());
    let result = match guard(request, &query, shared) {
        // Switching on HEAD, as pdudaemon does, would surprise who only looks.
        Ok(()) if request.method() != Method::GET => return not_allowed(),
        Ok(()) => dispatch(path, &query, peer, shared).await,
        Err(refusal) => Err(refusal),
    };
    match result {
        Ok(answer) => answer,
        Err(refusal) => {
            // Requests that were tried are in the log already.
            if !matches!(refusal, Refusal::Failed(_) | Refusal::TooMany(_)) {
                shared.refused(peer, &path.escape_debug().to_string(), &refusal);
            }
            refused(&refusal, path)
        }
    }
}

/// Whether this client may ask at all.
fn guard(
    request: &hyper::Request<Incoming>,
    query: &Query,
    shared: &Shared,
) -> Result<(), Refusal> {
    let headers = request.headers();
    // Browsers say who made them ask. A web page elsewhere must not switch boards by an image's
    // address; programs do not send this.
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    if site.is_some_and(|site| site != b"none" && site != b"same-origin") {
        return Err(Refusal::Forbidden);
    }
    let header = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let bearer = header.and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    if shared.tokens.allow(bearer.or(query.token.as_deref())) {
        Ok(())
    } else {
        Err(Refusal::Unauthorized)
    }
}

async fn dispatch(
    path: &str,
    query: &Query,
    peer: SocketAddr,
    shared: &Shared,
) -> Result<Answer, Refusal> {
    if path == "/power/status" {
        let target = Target::from_query(query)?;
        let state = shared.switchboard.status(&target).await?;
        return Ok(json_answer(StatusCode::OK, &status(&target, state)));
    }
    let word = path.strip_prefix("/power/control/");
    let Some(action) = word.and_then(Action::parse) else {
        let what =
            "404: Not Found. There are /power/control/{on,off,reboot}, /power/status, /healthz";
        return Err(Refusal::NotFound(what.to_owned()));
    };
    let request = Request {
        target: Target::from_query(query)?,
        action,
        delay: query.delay()?,
    };
    shared.control(peer, request).await?;
    Ok(text(StatusCode::OK, "OK - accepted request\n".to_owned()))
}

fn status(target: &Target, state: Option<PowerState>) -> Value {
    let state = state.map_or("unknown".to_owned(), |state| state.to_string());
    match target {
        Target::Outlet { pdu, outlet } => {
            json!({"hostname": pdu, "port": outlet, "state": state})
        }
        Target::Board(alias) => json!({"alias": alias, "state": state}),
    }
}

fn refused(refusal: &Refusal, path: &str) -> Answer {
    let status = StatusCode::from_u16(refusal.status());
    let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = if path == "/power/status" {
        let error = json!({"error": refusal.to_string(), "hint": refusal.hint()});
        json_answer(status, &error)
    } else {
        text(status, refusal.text())
    };
    if let Refusal::Unauthorized = refusal {
        let scheme = HeaderValue::from_static("Bearer");
        answer.headers_mut().insert(WWW_AUTHENTICATE, scheme);
    }
    answer
}

fn not_allowed() -> Answer {
    let what = "405: Method Not Allowed\n".to_owned();
    let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, what);
    answer
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static("GET"));
    answer
}

fn text(status: StatusCode, text: String) -> Answer {
    body(status, "text/plain; charset=utf-8", text)
}

fn json_answer(status: StatusCode, value: &Value) -> Answer {
    body(status, "application/json", format!("{value}\n"))
}

fn body(status: StatusCode, kind: &'static str, text: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(text)));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    // A proxy must not answer in our place: each request switches something.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
