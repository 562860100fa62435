//! Requests to one device: one at a time, bounded in time and size, and never to another host.

use super::{
    cookies::Session,
    digest::Challenge,
    encoding::decoded,
    failure::{Failure, sort},
    judge::excerpt,
    row::{Auth, Request, Row},
    template::{self, Escape, Values},
};
use crate::{
    causes::innermost,
    error::{ErrorKind, HalError},
    lab::{PduConfig, Secret},
    tls::{self, Trust},
};
use reqwest::{
    Client, Method, Proxy, Response, StatusCode, Url,
    header::{self, HeaderMap, HeaderName, HeaderValue},
    redirect,
};
use std::io;

/// The longest answer that is read.
const LARGEST_ANSWER: usize = 256 * 1024;
/// How many redirects within the device are followed.
const REDIRECTS: usize = 3;

/// A device and the login to it.
pub(super) struct Device {
    pub(super) pdu: String,
    scheme: &'static str,
    authority: String,
    /// What the address has before each path; may have placeholders.
    prefix: String,
    username: String,
    password: Secret,
    client: Option<Client>,
}

/// A request with everything filled in.
struct Ready {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Option<String>,
}

const LOGIN_HINT: &str = "set 'username' and 'password' in the lab file, or correct them";

impl Device {
    /// The device at the address of `config`.
    pub(super) fn new(row: &Row, config: &PduConfig) -> Result<Self, HalError> {
        let address = config.address()?;
        let (scheme, rest) = match address.split_once("://") {
            Some(("http", rest)) => ("http", rest),
            Some(("https", rest)) => ("https", rest),
            Some(_) => return Err(config.invalid("its address is neither http nor https")),
            None => ("http", address),
        };
        let (authority, prefix) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        if authority.contains('@') {
            let what = "its address has a login in it: use 'username' and 'password'";
            return Err(config.invalid(what));
        }
        let bracketed = authority
            .parse::<std::net::Ipv6Addr>()
            .map(|host| format!("[{host}]"));
        let mut authority = bracketed.unwrap_or_else(|_| authority.to_owned());
        let has_port = authority
            .rsplit_once(':')
            .is_some_and(|(_, port)| !port.ends_with(']'));
        if let (Some(port), false) = (row.port, has_port) {
            authority.push_str(&format!(":{port}"));
        }
        if Url::parse(&format!("{scheme}://{authority}/")).is_err() {
            return Err(config.invalid(&format!("'{address}' is no address")));
        }
        let username = config.username.clone().or_else(|| row.username.clone());
        let password = config.password.clone().or_else(|| row.password.clone());
        Ok(Self {
            pdu: config.name.clone(),
            scheme,
            authority,
            prefix: prefix.trim_end_matches('/').to_owned(),
            username: username.unwrap_or_default(),
            password: password.unwrap_or_else(|| Secret::new("")),
            client: None,
        })
    }

    /// What the placeholders of a request stand for.
    pub(super) fn values<'a>(&'a self, outlet: &'a str, request: &'a Request) -> Values<'a> {
        Values {
            outlet,
            value: &request.value,
            username: &self.username,
            password: &self.password,
        }
    }

    fn has_login(&self) -> bool {
        !self.username.is_empty() || !self.password.expose().is_empty()
    }

    /// Makes the client where there is none yet: reading this host's certificates takes time, and
    /// most devices need none.
    pub(super) async fn prepare(&mut self, row: &Row) -> Result<(), Failure> {
        if self.client.is_some() {
            return Ok(());
        }
        let unusable = |what: String| Failure::new(ErrorKind::Unsupported, what);
        let untrusting = |why| {
            unusable(format!("this host trusts no authority: {why}"))
                .hint("install the package ca-certificates, or give the option 'fingerprint'")
        };
        let tls = if self.scheme == "https" {
            let trust = row.trust().map_err(unusable)?;
            let load = tokio::task::spawn_blocking(move || tls::configuration(&trust)).await;
            load.map_err(|error| unusable(error.to_string()))?
        } else {
            tls::configuration(&Trust::Nobody)
        };
        let mut builder = Client::builder()
            .tls_backend_preconfigured(tls.map_err(untrusting)?)
            .redirect(redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .pool_max_idle_per_host(0)
            // Some devices look for "Host:" and "Authorization:" letter by letter.
            .http1_title_case_headers()
            .user_agent(concat!("pumice/", env!("CARGO_PKG_VERSION")));
        if let Some(proxy) = &row.proxy {
            builder = builder.proxy(
                Proxy::all(proxy)
                    .map_err(|_| unusable("the option 'proxy' is no URL".to_owned()))?,
            );
        }
        self.client = Some(
            builder
                .build()
                .map_err(|error| unusable(innermost(&error)))?,
        );
        Ok(())
    }

    /// Makes a request, and gives the text of an answer that agrees.
    pub(super) async fn ask(
        &self,
        row: &Row,
        session: &mut Session,
        outlet: &str,
        request: &Request,
    ) -> Result<String, Failure> {
        let mut ready = self.ready(row, session, outlet, request)?;
        let mut response = self.send(row, &ready).await?;
        for _ in 0..REDIRECTS {
            let Some(target) = self.redirect(&ready, &response, request)? else {
                break;
            };
            session.keep(&response);
            ready.url = target;
            response = self.send(row, &ready).await?;
        }
        session.keep(&response);
        let status = response.status();
        let body = read(response).await?;
        if row
            .denied
            .as_ref()
            .is_some_and(|denied| body.contains(denied))
        {
            return Err(
                Failure::new(ErrorKind::PermissionDenied, "it refuses the login").hint(LOGIN_HINT),
            );
        }
        self.check_status(request, status, &body)?;
        if let Some(expect) = &request.expect {
            expect
                .judge(&body, self.values(outlet, request))
                .map_err(Failure::answer)?;
        }
        Ok(body)
    }

    fn ready(
        &self,
        row: &Row,
        session: &Session,
        outlet: &str,
        request: &Request,
    ) -> Result<Ready, Failure> {
        let values = self.values(outlet, request);
        let wrong = |what: String| Failure::new(ErrorKind::InvalidInput, what);
        let path = format!("{}{}", self.prefix, request.path);
        let mut path = template::fill(&path, values, Escape::Percent).map_err(wrong)?;
        if request.value.is_empty() && self.prefix.ends_with("/{value}") {
            // As labgrid has it: without a value there is no slash before it either.
            path.truncate(path.trim_end_matches('/').len());
        }
        if let Some(query) = row.login_query.as_ref().filter(|_| self.has_login()) {
            path.push(if path.contains('?') { '&' } else { '?' });
            path.push_str(&template::fill(query, values, Escape::Percent).map_err(wrong)?);
        }
        let url = format!("{}://{}{path}", self.scheme, self.authority);
        let url = Url::parse(&url).map_err(|_| wrong("its address makes no URL".to_owned()))?;
        let mut headers = HeaderMap::new();
        for (name, value) in row.headers.iter().chain(&request.headers) {
            let value = template::fill(value, values, Escape::None).map_err(wrong)?;
            insert(&mut headers, name, &value)?;
        }
        if let Some(cookies) = session.header() {
            insert(&mut headers, "Cookie", &cookies)?;
        }
        let body = match request.body.filled(values).map_err(wrong)? {
            Some((text, content_type)) => {
                insert(&mut headers, "Content-Type", &content_type)?;
                Some(text)
            }
            None => None,
        };
        Ok(Ready {
            method: request.method.clone(),
            url,
            headers,
            body,
        })
    }

    /// Sends, with the login as the row has it; answers a challenge once.
    async fn send(&self, row: &Row, ready: &Ready) -> Result<Response, Failure> {
        let login = row.auth != Auth::None && self.has_login();
        let first = match row.auth {
            Auth::Basic if login => Some(self.basic()),
            Auth::Bearer if login => Some(format!("Bearer {}", self.password.expose())),
            _ => None,
        };
        let response = self.transmit(ready, first.as_deref()).await?;
        if response.status() != StatusCode::UNAUTHORIZED || !login || row.auth == Auth::Bearer {
            return Ok(response);
        }
        let challenges = response.headers().get_all(header::WWW_AUTHENTICATE);
        let challenges: Vec<&str> = challenges
            .iter()
            .filter_map(|value| value.to_str().ok())
            .collect();
        let basic = challenges
            .iter()
            .any(|value| value.to_ascii_lowercase().contains("basic"));
        let digest = Challenge::best(challenges.into_iter());
        let answer = match digest {
            Some(challenge) => {
                let target = match ready.url.query() {
                    Some(query) => format!("{}?{query}", ready.url.path()),
                    None => ready.url.path().to_owned(),
                };
                let login = (self.username.as_str(), &self.password);
                challenge.answer(login, ready.method.as_str(), &target, &nonce()?)
            }
            // Digest is asked for by the row, and this device has only the other.
            None if basic && first.is_none() => self.basic(),
            None => return Ok(response),
        };
        self.transmit(ready, Some(&answer)).await
    }

    fn basic(&self) -> String {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let login = format!("{}:{}", self.username, self.password.expose());
        format!("Basic {}", STANDARD.encode(login))
    }

    async fn transmit(&self, ready: &Ready, login: Option<&str>) -> Result<Response, Failure> {
        let Some(client) = &self.client else {
            return Err(Failure::new(ErrorKind::Other, "it was not prepared"));
        };
        let mut request = client
            .request(ready.method.clone(), ready.url.clone())
            .headers(ready.headers.clone());
        if let Some(login) = login {
            let mut value = HeaderValue::from_str(login)
                .map_err(|_| Failure::new(ErrorKind::InvalidInput, "its login has line breaks"))?;
            value.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, value);
        }
        if let Some(body) = &ready.body {
            request = request.body(body.clone());
        }
        request
            .send()
            .await
            .map_err(|error| sort(&error.without_url()))
    }

    /// Where a redirect of a reading request leads, within the device.
    fn redirect(
        &self,
        ready: &Ready,
        response: &Response,
        request: &Request,
    ) -> Result<Option<Url>, Failure> {
        let status = response.status();
        let location = response.headers().get(header::LOCATION);
        let (true, Some(location)) = (status.is_redirection(), location) else {
            return Ok(None);
        };
        if request.status.contains(&status.as_u16()) {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(location.as_bytes());
        let target = ready.url.join(&text).ok();
        match target {
            Some(target)
                if target.origin() == ready.url.origin() && ready.method == Method::GET =>
            {
                Ok(Some(target))
            }
            target => {
                let target = target.map_or_else(
                    || "nowhere".to_owned(),
                    // Without its query, which may hold a login.
                    |url| format!("{}{}", url.origin().ascii_serialization(), url.path()),
                );
                let what = format!("it redirects to {}", excerpt(&target));
                Err(Failure::new(ErrorKind::Protocol, what)
                    .hint("give the address it redirects to, or the login it wants"))
            }
        }
    }

    fn check_status(
        &self,
        request: &Request,
        status: StatusCode,
        body: &str,
    ) -> Result<(), Failure> {
        let code = status.as_u16();
        let good = match request.status.is_empty() {
            true => status.is_success(),
            false => request.status.contains(&code),
        };
        if good {
            return Ok(());
        }
        let (kind, hint) = match code {
            401 if !self.has_login() => (
                ErrorKind::PermissionDenied,
                "it needs a login: set 'username' and 'password' in the lab file",
            ),
            401 | 403 => (ErrorKind::PermissionDenied, LOGIN_HINT),
            404 => (
                ErrorKind::InvalidInput,
                "it has no such outlet, or is of another model than the lab file says",
            ),
            429 | 503 => (ErrorKind::Busy, "does something else ask it all the time?"),
            500.. => (
                ErrorKind::CommandFailed,
                "the PDU itself failed: look at its own log",
            ),
            _ => (
                ErrorKind::Protocol,
                "is it of another model than the lab file says?",
            ),
        };
        Err(Failure::new(kind, format!("it answers {code}: {}", excerpt(body.trim()))).hint(hint))
    }

    /// The error to report. What it quotes of the device is searched for the password.
    pub(super) fn error(&self, failure: Failure) -> HalError {
        let mut what = failure.what;
        let secret = self.password.expose();
        if !secret.is_empty() {
            what = what
                .replace(secret, "…")
                .replace(&template::percent(secret), "…");
        }
        let pdu = &self.pdu;
        let message = format!("PDU '{pdu}' at {}: {what}", self.authority);
        let mut error = HalError::new(failure.kind, pdu, message);
        if let Some(hint) = failure.hint {
            error = error.with_hint(hint);
        }
        match failure.source {
            Some(source) => error.with_source(source),
            None => error,
        }
    }
}

fn insert(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), Failure> {
    let wrong = || {
        Failure::new(
            ErrorKind::InvalidInput,
            format!("'{name}' cannot be a header like that"),
        )
    };
    let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
    headers.insert(parsed, HeaderValue::from_str(value).map_err(|_| wrong())?);
    Ok(())
}

/// Reads an answer to its end, within bounds.
async fn read(mut response: Response) -> Result<String, Failure> {
    let encoding = response.headers().get(header::CONTENT_ENCODING);
    let encoding =
        encoding.map(|encoding| String::from_utf8_lossy(encoding.as_bytes()).into_owned());
    let mut body = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| sort(&error.without_url()))?
    {
        if body.len() + chunk.len() > LARGEST_ANSWER {
            let limit = LARGEST_ANSWER / 1024;
            let what = format!("its answer is longer than {limit} KiB");
            return Err(Failure::new(ErrorKind::Protocol, what)
                .hint("is there another device at this address?"));
        }
        body.extend_from_slice(&chunk);
    }
    let body = decoded(body, &encoding.unwrap_or_default(), LARGEST_ANSWER)?;
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// A number used once, for digest authentication.
fn nonce() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(|error| Failure::new(ErrorKind::Other, io::Error::from(error).to_string()))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
