//! Asks for all files of a job before anything is touched.

use super::{
    Downloader,
    failure::Failure,
    http::{job_headers, refused},
    local,
    location::{Location, masked},
    retry::{Retries, pause},
};
use futures_util::StreamExt;
use job::Fault;
use plan::step::Download;
use reqwest::{
    Method, StatusCode, Url,
    header::{ACCEPT_ENCODING, CONTENT_LENGTH, HeaderMap, HeaderValue},
};
use tokio::time::{Instant, timeout_at};

/// Requests at the same time.
const PARALLEL: usize = 8;

/// A file that cannot be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key of the job that names it.
    pub label: String,
    /// Its URL, secrets masked.
    pub url: String,
    /// What is wrong.
    pub fault: Fault,
}

impl Downloader {
    /// Asks for all files of a job, in parallel, and returns what is wrong, in the job's order.
    ///
    /// A web server is asked with HEAD, and with GET when it does not like that, with the headers of
    /// the job; a file has to be readable. What the cache holds under a declared digest is not asked
    /// for. LAVA 2026.07 makes the same requests, one after the other.
    ///
    /// Cancellation safe: it changes nothing.
    pub async fn preflight(&self, downloads: &[&Download], deadline: Instant) -> Vec<Problem> {
        let started = Instant::now();
        futures_util::stream::iter(downloads)
            .map(|download| async move {
                let check = Box::pin(self.check(download, deadline));
                let result = match timeout_at(deadline, check).await {
                    Ok(result) => result,
                    Err(_) => Err(Failure::Deadline {
                        allowed: deadline - started,
                    }),
                };
                result.err().map(|failure| Problem {
                    label: download.label.clone(),
                    url: masked(&download.url),
                    fault: failure.into_fault(download),
                })
            })
            .buffered(PARALLEL)
            .filter_map(|problem| async { problem })
            .collect()
            .await
    }

    async fn check(&self, download: &Download, deadline: Instant) -> Result<(), Failure> {
        let location = Location::of(download)?;
        location.destination(download, std::path::Path::new("/"))?;
        match location {
            Location::File(path) => local::open(&path).map(drop),
            Location::Http(_) if self.cached(download).is_some() => Ok(()),
            Location::Http(url) => {
                let headers = job_headers(&download.headers)?;
                let candidates = self.candidates(&url, download)?;
                let mut result = Ok(());
                for (index, candidate) in candidates.iter().enumerate() {
                    let is_last = index + 1 == candidates.len();
                    let retries = self.attempts(is_last, self.options.preflight_attempts);
                    result = self.ask(candidate, &headers, retries, deadline).await;
                    if result.is_ok() {
                        break;
                    }
                }
                result
            }
        }
    }

    async fn ask(
        &self,
        url: &Url,
        headers: &HeaderMap,
        mut retries: Retries,
        deadline: Instant,
    ) -> Result<(), Failure> {
        loop {
            let mut result = self.ask_once(&Method::HEAD, url, headers).await;
            if matches!(result, Err(Failure::Status { .. })) {
                result = self.ask_once(&Method::GET, url, headers).await;
            }
            match result {
                Ok(()) => return Ok(()),
                Err(failure) => {
                    let (wait, failure) = retries.after(failure, false)?;
                    pause(wait, deadline, failure).await?;
                }
            }
        }
    }

    async fn ask_once(
        &self,
        method: &Method,
        url: &Url,
        headers: &HeaderMap,
    ) -> Result<(), Failure> {
        let own = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("identity"))]);
        let response = self.http.request(method, url, headers, &own).await?;
        if response.status() != StatusCode::OK {
            return Err(refused(&response));
        }
        let limit = self.options.limits.fetched_bytes;
        let length = response.headers().get(CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if length.is_some_and(|length| length > limit) {
            return Err(Failure::TooLarge { limit });
        }
        Ok(())
    }
}
