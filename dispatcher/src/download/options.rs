//! What the administrator of a lab can choose about downloads.

use crate::archive::Limits;
use regex::Regex;
use std::{path::PathBuf, time::Duration};

/// How files are fetched. [`Default`] is LAVA's behaviour with a local cache left out.
#[derive(Clone, Debug)]
pub struct DownloaderOptions {
    /// The local cache, `None` for none.
    pub cache: Option<CacheOptions>,
    /// A caching proxy that takes the URL as a part of its own, such as KissCache.
    pub remote_cache: Option<RemoteCache>,
    /// How much a download may be.
    pub limits: DownloadLimits,
    /// For connecting to a server, TLS included.
    pub connect_timeout: Duration,
    /// For the head of an answer. LAVA 2026.07 waits a minute.
    pub response_timeout: Duration,
    /// How long a transfer may stay without a byte before it is tried again.
    pub stall_timeout: Duration,
    /// Attempts of a transfer that bring nothing. LAVA 2026.07 makes 15.
    pub attempts: u32,
    /// Attempts of a check before the job. LAVA 2026.07 makes 9.
    pub preflight_attempts: u32,
    /// Pause before the second attempt; it doubles from there.
    pub first_pause: Duration,
    /// Longest pause between two attempts.
    pub longest_pause: Duration,
    /// Redirects followed at most.
    pub redirects: u32,
    /// Whether `http_proxy`, `https_proxy` and `no_proxy` of the environment hold.
    pub proxy_from_environment: bool,
}

impl Default for DownloaderOptions {
    fn default() -> Self {
        Self {
            cache: None,
            remote_cache: None,
            limits: DownloadLimits::default(),
            connect_timeout: Duration::from_secs(30),
            response_timeout: Duration::from_secs(60),
            stall_timeout: Duration::from_secs(60),
            attempts: 15,
            preflight_attempts: 9,
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(60),
            redirects: 10,
            proxy_from_environment: true,
        }
    }
}

/// The local cache of file contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheOptions {
    /// Where it lives; made when missing, private to its owner. Several processes may share it.
    pub directory: PathBuf,
    /// Bytes it may hold; what was not used for longest goes first.
    pub max_bytes: u64,
}

/// How much a download may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DownloadLimits {
    /// Bytes that are fetched.
    pub fetched_bytes: u64,
    /// Bytes that they may decompress to.
    pub decompressed_bytes: u64,
    /// What tar archives may unpack to.
    pub archive: Limits,
}

impl Default for DownloadLimits {
    /// 64 GiB each: more than any board is flashed with, less than a lab's disk.
    fn default() -> Self {
        Self {
            fetched_bytes: 64 << 30,
            decompressed_bytes: 64 << 30,
            archive: Limits::default(),
        }
    }
}

/// A caching proxy that takes the URL as a part of its own (`http_url_format_string` and its
/// companions in LAVA's `dispatcher.yaml`).
#[derive(Clone, Debug)]
pub struct RemoteCache {
    before: String,
    after: String,
    include: Vec<Regex>,
    exclude: Vec<Regex>,
    fallback: bool,
}

/// Why a remote cache cannot be configured so.
#[derive(Debug, thiserror::Error)]
pub enum RemoteCacheError {
    /// The format has no place for the URL.
    #[error("`{0}` has no `%s` where the URL belongs")]
    Format(String),
    /// A rule is no regular expression.
    #[error("`{rule}` is no regular expression")]
    Rule {
        /// The rule.
        rule: String,
        /// What is wrong with it.
        source: Box<regex::Error>,
    },
}

impl RemoteCache {
    /// A remote cache.
    ///
    /// `format` holds `%s` where the quoted URL belongs. With `include` rules, one of them has to be
    /// found in a URL; with `exclude` rules, none of them. `fallback` asks the origin when the cache
    /// fails.
    ///
    /// # Errors
    /// When the format has no place for the URL or a rule is no regular expression.
    pub fn new(
        format: &str,
        include: &[String],
        exclude: &[String],
        fallback: bool,
    ) -> Result<Self, RemoteCacheError> {
        let (before, after) = format
            .split_once("%s")
            .ok_or_else(|| RemoteCacheError::Format(format.to_owned()))?;
        let rules = |rules: &[String]| {
            rules
                .iter()
                .map(|rule| {
                    Regex::new(rule).map_err(|error| RemoteCacheError::Rule {
                        rule: rule.clone(),
                        source: Box::new(error),
                    })
                })
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            before: before.to_owned(),
            after: after.to_owned(),
            include: rules(include)?,
            exclude: rules(exclude)?,
            fallback,
        })
    }

    /// The URL to ask instead, `None` when a rule keeps this one from the cache.
    pub fn rewrite(&self, url: &str) -> Option<String> {
        let included =
            self.include.is_empty() || self.include.iter().any(|rule| rule.is_match(url));
        let excluded = self.exclude.iter().any(|rule| rule.is_match(url));
        (included && !excluded).then(|| format!("{}{}{}", self.before, quote_plus(url), self.after))
    }

    /// Whether the origin is asked when the cache fails.
    pub fn falls_back(&self) -> bool {
        self.fallback
    }
}

/// Quotes as a form does, which is what caches expect: a space is a `+`.
fn quote_plus(text: &str) -> String {
    use std::fmt::Write;
    let mut quoted = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                quoted.push(char::from(byte));
            }
            b' ' => quoted.push('+'),
            _ => {
                let _ = write!(quoted, "%{byte:02X}");
            }
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_is_quoted_into_the_format() {
        let cache = RemoteCache::new("http://cache/api/v1/fetch/?url=%s", &[], &[], false).unwrap();
        assert_eq!(
            cache.rewrite("http://host/a b/ü?x=1&y=~").unwrap(),
            "http://cache/api/v1/fetch/?url=http%3A%2F%2Fhost%2Fa+b%2F%C3%BC%3Fx%3D1%26y%3D~"
        );
    }

    #[test]
    fn rules_choose_what_goes_through_the_cache() {
        let rules = |rules: &[&str]| {
            rules
                .iter()
                .map(|&rule| rule.to_owned())
                .collect::<Vec<_>>()
        };
        let cache = RemoteCache::new(
            "c?%s",
            &rules(&["^https?://big"]),
            &rules(&["/tmp/", "\\.log$"]),
            true,
        )
        .unwrap();
        assert!(cache.falls_back());
        assert!(cache.rewrite("http://big/rootfs").is_some());
        assert!(cache.rewrite("http://other/rootfs").is_none());
        assert!(cache.rewrite("http://big/tmp/rootfs").is_none());
        assert!(cache.rewrite("http://big/x.log").is_none());
    }

    #[test]
    fn mistakes_are_named() {
        let error = RemoteCache::new("http://cache/", &[], &[], false).unwrap_err();
        assert!(error.to_string().contains("%s"));
        let error = RemoteCache::new("%s", &["(".to_owned()], &[], false).unwrap_err();
        assert!(error.to_string().contains('('));
    }
}
