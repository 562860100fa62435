//! Requests to web servers: one answer per call, redirects followed, errors sorted.
//!
//! Redirects are followed here rather than by the client, since the headers of a job, which often
//! carry a token, must not reach another server than the one they were meant for.

use super::{
    DownloaderOptions,
    failure::Failure,
    location::{masked, percent_decoded},
};
use hal::{
    causes::{find, innermost, whole},
    tls::{self, Trust},
};
use reqwest::{
    Client, Method, RequestBuilder, Response, StatusCode, Url,
    header::{HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER},
    redirect,
};
use std::{collections::BTreeMap, time::Duration};
use tokio::sync::OnceCell;

/// Idle connections kept for further requests to a server.
const IDLE_CONNECTIONS: usize = 4;

/// Makes requests. The clients are made when they are first needed: a job of local files pays for
/// none, one without https loads no certificates.
#[derive(Debug)]
pub(super) struct Http {
    plain: OnceCell<Client>,
    encrypted: OnceCell<Client>,
    connect_timeout: Duration,
    response_timeout: Duration,
    redirects: u32,
    proxy_from_environment: bool,
}

impl Http {
    pub(super) fn new(options: &DownloaderOptions) -> Self {
        Self {
            plain: OnceCell::new(),
            encrypted: OnceCell::new(),
            connect_timeout: options.connect_timeout,
            response_timeout: options.response_timeout,
            redirects: options.redirects,
            proxy_from_environment: options.proxy_from_environment,
        }
    }

    /// The head of an answer, of whatever status, after redirects.
    ///
    /// `job_headers` only go to the origin of `url`; `own_headers` everywhere.
    ///
    /// # Errors
    /// When there is no answer in time, or redirects lead nowhere.
    pub(super) async fn request(
        &self,
        method: &Method,
        url: &Url,
        job_headers: &HeaderMap,
        own_headers: &HeaderMap,
    ) -> Result<Response, Failure> {
        let mut target = url.clone();
        for _ in 0..=self.redirects {
            let client = self.client(&target).await?;
            let mut request = client.request(method.clone(), target.clone());
            if target.origin() == url.origin() {
                request = with_credentials(request, url).headers(job_headers.clone());
            }
            let sent = request.headers(own_headers.clone()).send();
            let response = match tokio::time::timeout(self.response_timeout, sent).await {
                Ok(response) => response.map_err(sort)?,
                Err(_) => {
                    let seconds = self.response_timeout.as_secs_f64();
                    let detail = format!("no answer within {seconds} s");
                    return Err(Failure::Unreachable {
                        detail,
                        unknown_host: false,
                    });
                }
            };
            match redirect_target(&target, &response)? {
                Some(next) => target = next,
                None => return Ok(response),
            }
        }
        Err(Failure::Redirects {
            limit: self.redirects,
        })
    }

    async fn client(&self, url: &Url) -> Result<&Client, Failure> {
        if url.scheme() == "https" {
            let load = || async {
                let loaded = tokio::task::spawn_blocking(|| configuration(&Trust::Host)).await;
                self.build(loaded.map_err(|_| Failure::Worker)??)
            };
            self.encrypted.get_or_try_init(load).await
        } else {
            self.plain
                .get_or_try_init(|| async { self.build(configuration(&Trust::Nobody)?) })
                .await
        }
    }

    fn build(&self, tls: rustls::ClientConfig) -> Result<Client, Failure> {
        let mut builder = Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(redirect::Policy::none())
            .referer(false)
            .connect_timeout(self.connect_timeout)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .user_agent(concat!("pumice/", env!("CARGO_PKG_VERSION")));
        if !self.proxy_from_environment {
            builder = builder.no_proxy();
        }
        builder.build().map_err(sort)
    }
}

/// Adds user and password of the job's URL, which a redirect to the same server leaves out.
fn with_credentials(request: RequestBuilder, url: &Url) -> RequestBuilder {
    let decoded = |text| percent_decoded(text).unwrap_or_else(|| text.to_owned());
    if url.username().is_empty() && url.password().is_none() {
        return request;
    }
    request.basic_auth(decoded(url.username()), url.password().map(decoded))
}

/// The headers of a job, ready to be sent.
///
/// # Errors
/// When a name or a value holds what a header cannot. The value is never shown.
pub(super) fn job_headers(headers: &BTreeMap<String, String>) -> Result<HeaderMap, Failure> {
    let mut map = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let bad = || Failure::Header {
            name: name.escape_debug().to_string(),
        };
        let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
        let mut value = HeaderValue::from_str(value).map_err(|_| bad())?;
        value.set_sensitive(true);
        map.append(parsed, value);
    }
    Ok(map)
}

/// The failure of an answer that is not the one asked for.
pub(super) fn refused(response: &Response) -> Failure {
    let retry_after = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.trim().parse().ok())
        .map(Duration::from_secs);
    Failure::Status {
        status: response.status().as_u16(),
        retry_after,
    }
}

fn redirect_target(from: &Url, response: &Response) -> Result<Option<Url>, Failure> {
    let redirects = matches!(
        response.status(),
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    );
    let Some(location) = response.headers().get(LOCATION).filter(|_| redirects) else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(location.as_bytes());
    match from.join(&text) {
        Ok(target) if matches!(target.scheme(), "http" | "https") => Ok(Some(target)),
        _ => Err(Failure::BadRedirect {
            target: masked(&text).escape_debug().to_string(),
        }),
    }
}

fn configuration(trust: &Trust) -> Result<rustls::ClientConfig, Failure> {
    tls::configuration(trust).map_err(|detail| Failure::NoAuthorities { detail })
}

/// Sorts an error of the client. Its own text is left out where it would show the URL.
pub(super) fn sort(error: reqwest::Error) -> Failure {
    let error = error.without_url();
    if let Some(tls) = find::<rustls::Error>(&error)
        && matches!(tls, rustls::Error::InvalidCertificate(_))
    {
        return Failure::Certificate {
            detail: tls.to_string(),
        };
    }
    let detail = innermost(&error);
    if error.is_builder() {
        return Failure::BadUrl { detail };
    }
    if error.is_connect() || error.is_timeout() {
        let whole = whole(&error);
        let lookup = whole.contains("dns error");
        let temporary = whole.contains("Temporary failure");
        return Failure::Unreachable {
            detail,
            unknown_host: lookup && !temporary,
        };
    }
    Failure::Broken { detail }
}
