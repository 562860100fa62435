//! One file from a web server: through the caches, with retries, resumed where it broke.

mod answer;
mod state;

use super::{
    Downloader, OnProgress, Progress,
    cache::{Cache, Entry, Partial},
    checksum::normalised,
    failure::Failure,
    http::{job_headers, refused, sort},
    local,
    retry::{Retries, pause},
    sink::{Brought, OutputPlan, Written},
};
use answer::{continues, ended_early, put, validator_of};
use plan::step::Download;
use reqwest::{
    Method, Response, StatusCode, Url,
    header::{
        ACCEPT_ENCODING, HeaderMap, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, RANGE,
    },
};
use state::State;
use tempfile::TempPath;
use tokio::time::Instant;

/// Attempts at a remote cache when the origin can be asked instead.
const REMOTE_CACHE_ATTEMPTS: u32 = 2;

impl Downloader {
    /// The content of the local cache that a declared digest names.
    pub(super) fn cached(&self, download: &Download) -> Option<String> {
        let cache = self.cache.as_ref().filter(|_| download.use_cache)?;
        let declared = &download.checksums;
        normalised(declared.sha256.as_deref(), 64)
            .or_else(|| cache.by_sha512(&normalised(declared.sha512.as_deref(), 128)?))
            .filter(|sha256| cache.has(sha256))
    }

    /// The URLs to ask, in turn.
    pub(super) fn candidates(&self, url: &Url, download: &Download) -> Result<Vec<Url>, Failure> {
        let remote = self
            .options
            .remote_cache
            .as_ref()
            .filter(|_| download.use_cache);
        let Some((remote, rewritten)) =
            remote.and_then(|remote| Some((remote, remote.rewrite(download.url.trim())?)))
        else {
            return Ok(vec![url.clone()]);
        };
        let cached = Url::parse(&rewritten).map_err(|error| Failure::BadUrl {
            detail: format!("with the remote cache it is no URL any more: {error}"),
        })?;
        Ok(if remote.falls_back() {
            vec![cached, url.clone()]
        } else {
            vec![cached]
        })
    }

    pub(super) fn attempts(&self, last_candidate: bool, attempts: u32) -> Retries {
        let attempts = if last_candidate {
            attempts
        } else {
            attempts.min(REMOTE_CACHE_ATTEMPTS)
        };
        Retries::new(
            attempts,
            self.options.first_pause,
            self.options.longest_pause,
        )
    }
}

/// The download of one file.
pub(super) struct Transfer<'a> {
    downloader: &'a Downloader,
    cache: Option<&'a Cache>,
    url: &'a Url,
    download: &'a Download,
    plan: &'a OutputPlan,
    deadline: Instant,
}

/// What the server said.
enum Answer {
    /// All of it, or the rest of it.
    Body(Response),
    /// The cache has it.
    NotModified,
}

impl<'a> Transfer<'a> {
    pub(super) fn new(
        downloader: &'a Downloader,
        url: &'a Url,
        download: &'a Download,
        plan: &'a OutputPlan,
        deadline: Instant,
    ) -> Self {
        let cache = downloader.cache.as_ref().filter(|_| download.use_cache);
        Self {
            downloader,
            cache,
            url,
            download,
            plan,
            deadline,
        }
    }

    pub(super) async fn run(&self, progress: &mut OnProgress<'_>) -> Result<Brought, Failure> {
        if let Some(sha256) = self.downloader.cached(self.download)
            && let Some(brought) = self.take_cached(&sha256, progress).await?
        {
            return Ok(brought);
        }
        let headers = job_headers(&self.download.headers)?;
        let candidates = self.downloader.candidates(self.url, self.download)?;
        let mut last = None;
        for (index, candidate) in candidates.iter().enumerate() {
            let is_last = index + 1 == candidates.len();
            if let Some(failure) = last.take() {
                progress(Progress::Note(format!(
                    "the remote cache failed: {failure}; asking the origin"
                )));
            }
            match self
                .transfer_from(candidate, &headers, is_last, progress)
                .await
            {
                Err(failure) if !is_last && failure.is_the_servers() => last = Some(failure),
                result => return result,
            }
        }
        Err(last.unwrap_or(Failure::Worker))
    }

    /// Takes a content out of the cache. `None` when it is not there or damaged, in which case it
    /// is dropped.
    async fn take_cached(
        &self,
        sha256: &str,
        progress: &mut OnProgress<'_>,
    ) -> Result<Option<Brought>, Failure> {
        let Some(cache) = self.cache else {
            return Ok(None);
        };
        let Some((file, path)) = cache.content(sha256) else {
            return Ok(None);
        };
        let written = local::write(file, &path, self.plan, progress).await;
        match written {
            Ok((written, output)) if written.digests.sha256 == sha256 => {
                self.plan.publish(&written, output).await?;
                Ok(Some(Brought {
                    digests: written.digests,
                    size: written.size,
                    from_cache: true,
                }))
            }
            // The same bytes would fail to be read or decompressed again; writing is another matter.
            Ok(_) | Err(Failure::Archive(_) | Failure::Read { .. }) => {
                cache.forget(sha256);
                progress(Progress::Note(
                    "the cached copy is unusable and was dropped".into(),
                ));
                Ok(None)
            }
            Err(failure) => Err(failure),
        }
    }

    async fn transfer_from(
        &self,
        url: &Url,
        headers: &HeaderMap,
        is_last: bool,
        progress: &mut OnProgress<'_>,
    ) -> Result<Brought, Failure> {
        let key = Cache::key(self.download);
        let mut state = State {
            partial: self.partial(&key, progress).await,
            ..State::default()
        };
        let mut known = self
            .cache
            .filter(|_| state.partial.is_some())
            .and_then(|c| c.entry(&key));
        let mut retries = self
            .downloader
            .attempts(is_last, self.downloader.options.attempts);
        loop {
            let before = state.received;
            let failure = match self
                .attempt(url, headers, &mut state, known.as_ref(), progress)
                .await
            {
                Ok(None) => {
                    let entry = known.take().map(|entry| entry.sha256).unwrap_or_default();
                    match self.take_cached(&entry, progress).await? {
                        Some(brought) => return Ok(brought),
                        None => continue,
                    }
                }
                Ok(Some((written, output))) => match self.plan.publish(&written, output).await {
                    Ok(()) => return Ok(self.keep(&key, state, written, progress).await),
                    Err(failure) => failure,
                },
                Err(failure) => failure,
            };
            if failure.doubts_the_bytes() {
                let continued = state.continued;
                state.restart().await;
                if continued {
                    // Perhaps the beginning is another file's. From the start, that is settled.
                    progress(Progress::Note(format!(
                        "{failure}; it was resumed, so once more in full"
                    )));
                    continue;
                }
                return Err(failure);
            }
            let (wait, failure) = retries.after(failure, state.received > before)?;
            progress(Progress::Retrying {
                reason: failure.to_string(),
                wait,
            });
            pause(wait, self.deadline, failure).await?;
        }
    }

    /// The partial file of the cache. Without it, the download goes on without the cache.
    async fn partial(&self, key: &str, progress: &mut OnProgress<'_>) -> Option<Partial> {
        let waiting = || {
            progress(Progress::Note(
                "waiting for another download of the same file".into(),
            ));
        };
        match self.cache?.partial(key, waiting).await {
            Ok(partial) => Some(partial),
            Err(error) => {
                progress(Progress::Note(format!(
                    "not using the download cache: {error}"
                )));
                None
            }
        }
    }

    /// Stores what came in the cache.
    async fn keep(
        &self,
        key: &str,
        state: State,
        written: Written,
        progress: &mut OnProgress<'_>,
    ) -> Brought {
        let State {
            partial, validator, ..
        } = state;
        if let (Some(cache), Some(partial)) = (self.cache, partial) {
            let entry = Entry {
                sha256: written.digests.sha256.clone(),
                validator,
            };
            let stored = if written.kept {
                cache.store(partial, key, &entry, written.digests.sha512.as_deref())
            } else {
                partial.remove();
                Err(std::io::Error::other("it could not be written"))
            };
            if let Err(error) = stored {
                progress(Progress::Note(format!(
                    "not kept in the download cache: {error}"
                )));
            }
        }
        Brought {
            digests: written.digests,
            size: written.size,
            from_cache: false,
        }
    }

    /// One request and what it brings: the whole file, or `None` when the cache has it.
    async fn attempt(
        &self,
        url: &Url,
        headers: &HeaderMap,
        state: &mut State,
        known: Option<&Entry>,
        progress: &mut OnProgress<'_>,
    ) -> Result<Option<(Written, TempPath)>, Failure> {
        match self.ask(url, headers, state, known, progress).await? {
            Answer::NotModified => Ok(None),
            Answer::Body(response) => {
                self.receive(response, state, progress).await?;
                state.finish().await.map(Some)
            }
        }
    }

    async fn ask(
        &self,
        url: &Url,
        headers: &HeaderMap,
        state: &mut State,
        known: Option<&Entry>,
        progress: &mut OnProgress<'_>,
    ) -> Result<Answer, Failure> {
        let offset = state.offset(!self.has_declared_digest());
        let mut own = HeaderMap::new();
        own.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some((offset, validator)) = &offset {
            put(&mut own, RANGE, Some(&format!("bytes={offset}-")));
            put(&mut own, IF_RANGE, validator.strong());
        } else if let Some(entry) = known {
            put(&mut own, IF_NONE_MATCH, entry.validator.etag.as_deref());
            put(
                &mut own,
                IF_MODIFIED_SINCE,
                entry.validator.last_modified.as_deref(),
            );
        }
        let response = self
            .downloader
            .http
            .request(&Method::GET, url, headers, &own)
            .await?;
        match (response.status(), offset) {
            (StatusCode::OK, _) => {
                state.restart().await;
                let validator = validator_of(response.headers());
                state.begin(self.plan, 0, validator, response.content_length(), progress)?;
                Ok(Answer::Body(response))
            }
            (StatusCode::PARTIAL_CONTENT, Some((offset, validator))) => {
                let Some(total) = continues(response.headers(), offset, &validator) else {
                    state.restart().await;
                    return Err(Failure::Changed);
                };
                state.continued = true;
                if state.sink.is_none() {
                    state.begin(self.plan, offset, validator, total, progress)?;
                }
                Ok(Answer::Body(response))
            }
            (StatusCode::RANGE_NOT_SATISFIABLE, Some(_)) => {
                state.restart().await;
                Err(Failure::Changed)
            }
            (StatusCode::NOT_MODIFIED, None) if known.is_some() => Ok(Answer::NotModified),
            _ => Err(refused(&response)),
        }
    }

    async fn receive(
        &self,
        mut response: Response,
        state: &mut State,
        progress: &mut OnProgress<'_>,
    ) -> Result<(), Failure> {
        let stall = self.downloader.options.stall_timeout;
        let total = state.total;
        loop {
            let chunk = match tokio::time::timeout(stall, response.chunk()).await {
                Ok(Ok(Some(chunk))) => chunk,
                Ok(Ok(None)) => break,
                Ok(Err(error)) => {
                    return Err(match total {
                        Some(total) if ended_early(&error) => Failure::Incomplete {
                            received: state.received,
                            total,
                        },
                        _ => match sort(error) {
                            Failure::Unreachable { detail, .. } => Failure::Broken { detail },
                            other => other,
                        },
                    });
                }
                Err(_) => return Err(Failure::Stalled { after: stall }),
            };
            let length = chunk.len() as u64;
            state.feed(chunk).await?;
            state.received += length;
            progress(Progress::Advanced {
                done: state.received,
                total,
            });
        }
        match total {
            Some(total) if state.received != total => Err(Failure::Incomplete {
                received: state.received,
                total,
            }),
            _ => Ok(()),
        }
    }

    fn has_declared_digest(&self) -> bool {
        self.download.checksums != plan::step::Checksums::default()
    }
}
