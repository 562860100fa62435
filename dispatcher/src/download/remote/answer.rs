//! Reads what matters off the head of an answer.

use crate::download::cache::Validator;
use reqwest::header::{CONTENT_RANGE, ETAG, HeaderMap, HeaderName, HeaderValue, LAST_MODIFIED};

/// The size of the whole file when an answer is the rest of it from `offset` on; `None` when it is
/// not, or comes from another version.
pub(super) fn continues(
    headers: &HeaderMap,
    offset: u64,
    validator: &Validator,
) -> Option<Option<u64>> {
    let range = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    let (range, total) = range
        .trim()
        .strip_prefix("bytes")?
        .trim_start()
        .split_once('/')?;
    let (start, _) = range.split_once('-')?;
    let same_start = start.trim().parse() == Ok(offset);
    let now = validator_of(headers);
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

pub(super) fn validator_of(headers: &HeaderMap) -> Validator {
    let text = |name| {
        headers
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|&(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    fn known(etag: Option<&str>) -> Validator {
        Validator {
            etag: etag.map(str::to_owned),
            last_modified: None,
        }
    }

    #[test]
    fn a_rest_is_taken_when_it_begins_where_the_beginning_ended() {
        let continues =
            |range, offset| continues(&headers(&[("content-range", range)]), offset, &known(None));
        assert_eq!(continues("bytes 7-8/9", 7), Some(Some(9)));
        assert_eq!(continues("bytes 7-8/*", 7), Some(None));
        assert_eq!(continues("bytes 7-8/9", 6), None);
        for bad in [
            "bytes */9",
            "bytes 7/9",
            "items 7-8/9",
            "bytes 7-8",
            "",
            "bytes 7-8/x",
        ] {
            assert_eq!(continues(bad, 7), None, "{bad}");
        }
    }

    #[test]
    fn a_rest_of_another_version_is_not_taken() {
        let answer = headers(&[("content-range", "bytes 7-8/9"), ("etag", "\"2\"")]);
        assert!(continues(&answer, 7, &known(Some("\"2\""))).is_some());
        assert!(continues(&answer, 7, &known(None)).is_some());
        assert!(continues(&answer, 7, &known(Some("\"1\""))).is_none());
    }

    proptest! {
        #[test]
        fn no_range_panics(range in "(bytes)?[ 0-9*/-]{0,30}", offset: u64) {
            let _ = continues(&headers(&[("content-range", &range)]), offset, &known(None));
        }
    }
}
