//! The cookies of one login. Forgotten with it, and kept by name and value alone: they never leave
//! the device they came from.

use reqwest::{Response, header};

/// How many cookies of a login are kept.
const MOST_COOKIES: usize = 16;

/// What belongs to one login: cookies.
#[derive(Default)]
pub(super) struct Session {
    cookies: Vec<(String, String)>,
}

impl Session {
    /// Keeps the cookies of an answer.
    pub(super) fn keep(&mut self, response: &Response) {
        for cookie in response.headers().get_all(header::SET_COOKIE) {
            let text = String::from_utf8_lossy(cookie.as_bytes());
            let pair = text.split(';').next().and_then(|pair| pair.split_once('='));
            let Some((name, value)) = pair else {
                continue;
            };
            self.cookies.retain(|(known, _)| known != name.trim());
            if self.cookies.len() < MOST_COOKIES {
                self.cookies
                    .push((name.trim().to_owned(), value.trim().to_owned()));
            }
        }
    }

    /// What to send of them.
    pub(super) fn header(&self) -> Option<String> {
        let pairs: Vec<_> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }
}
