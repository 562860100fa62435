//! Reads what matters off the head of an answer.

use crate::download::cache::Validator;
use reqwest::{
    Response,
    header::{CONTENT_RANGE, ETAG, HeaderMap, HeaderName, HeaderValue, LAST_MODIFIED},
};

/// The size of the whole file when an answer is the rest of it from `offset` on; `None` when it is
/// not, or comes from another version.
pub(super) fn continues(
    response: &Response,
    offset: u64,
    validator: &Validator,
) -> Option<Option<u64>> {
    let range = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    let (range, total) = range
        .trim()
        .strip_prefix("bytes")?
        .trim_start()
        .split_once('/')?;
    let (start, _) = range.split_once('-')?;
    let same_start = start.trim().parse() == Ok(offset);
    let now = validator_of(response);
    let same = |before: &Option<String>, now: &Option<String>| {
        before.is_none() || now.is_none() || before == now
    };
    let same_version =
        same(&validator.etag, &now.etag) && same(&validator.last_modified, &now.last_modified);
    let total = match total.trim() {
        "*" => None,
        total => Some(total.parse().ok()?),
    };
    (same_start && same_version).then_some(total)
}

pub(super) fn validator_of(response: &Response) -> Validator {
    let text = |name| {
        response
            .headers()
            .get(name)
            .and_then(|v| v.to_str().ok())
            .map(str::to_owned)
    };
    Validator {
        etag: text(ETAG),
        last_modified: text(LAST_MODIFIED),
    }
}

pub(super) fn put(headers: &mut HeaderMap, name: HeaderName, value: Option<&str>) {
    if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
        headers.insert(name, value);
    }
}

/// Whether a body ended before its announced length.
pub(super) fn ended_early(error: &reqwest::Error) -> bool {
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |e| e.source());
    causes
        .map(ToString::to_string)
        .any(|text| text.contains("before message length reached"))
}
