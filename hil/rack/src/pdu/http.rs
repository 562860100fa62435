//! `GET /power/control/on?hostname=rack&port=1`: pdudaemon's requests, as its README has them.
//! The answer comes when it is done. `GET /power/state?hostname=rack&port=1` is ours.

use super::{Outlets, Refused, Request};
use crate::http::{Handler, Request as Asked, Response};
use std::time::Duration;

/// How long a reboot leaves an outlet off when the request does not say: as pdudaemon.
const DELAY: Duration = Duration::from_secs(5);

/// A longer delay is refused.
const LONGEST_DELAY: u64 = 3600;

impl Handler for Outlets {
    async fn answer(&self, asked: Asked) -> Option<Response> {
        let done = match parse(&asked) {
            Err(response) => return Some(response),
            Ok((outlet, Some(request))) => self
                .switch(outlet, request)
                .await
                .map(|()| "OK - accepted request\n".to_owned()),
            Ok((outlet, None)) => self.state(outlet).await.map(|state| format!("{state}\n")),
        };
        match done {
            Ok(text) => Some(Response::text("200 OK", text)),
            Err(Refused::NoOutlet) => {
                Some(Response::text("400 Bad Request", "there is no such port\n"))
            }
            Err(Refused::Failed(why)) => Some(Response::text(
                "500 Internal Server Error",
                format!("{why}\n"),
            )),
            Err(Refused::Silence) => None,
        }
    }
}

/// The outlet, and what to do with it; nothing to ask for its state.
fn parse(asked: &Asked) -> Result<(u32, Option<Request>), Response> {
    let bad = |text: &str| Err(Response::text("400 Bad Request", text));
    let delay = match asked.parameter("delay").map(str::parse) {
        None => DELAY,
        Some(Ok(seconds @ 0..=LONGEST_DELAY)) => Duration::from_secs(seconds),
        Some(_) => return bad("the delay is no number of seconds\n"),
    };
    let request = match asked.path.as_str() {
        "/power/control/on" => Some(Request::On),
        "/power/control/off" => Some(Request::Off),
        "/power/control/reboot" => Some(Request::Reboot(delay)),
        "/power/state" => None,
        _ => return Err(Response::text("404 Not Found", "no such request\n")),
    };
    if asked.parameter("hostname").is_none_or(str::is_empty) {
        return bad("no hostname\n");
    }
    match asked.parameter("port").map(str::parse) {
        Some(Ok(outlet)) => Ok((outlet, request)),
        _ => bad("no port, or no number\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(path: &str, query: &str) -> Result<(u32, Option<Request>), &'static str> {
        let asked = Asked {
            path: path.to_owned(),
            query: query.to_owned(),
        };
        parse(&asked).map_err(|response| response.status)
    }

    #[test]
    fn requests_are_those_of_pdudaemon() {
        let ok = "hostname=rack&port=3";
        assert_eq!(parsed("/power/control/on", ok), Ok((3, Some(Request::On))));
        assert_eq!(
            parsed("/power/control/reboot", "hostname=rack&port=3&delay=1"),
            Ok((3, Some(Request::Reboot(Duration::from_secs(1)))))
        );
        assert_eq!(parsed("/power/state", ok), Ok((3, None)));
        for query in [
            "port=3",
            "hostname=rack",
            "hostname=rack&port=x",
            "hostname=r&port=1&delay=-1",
        ] {
            assert_eq!(
                parsed("/power/control/off", query),
                Err("400 Bad Request"),
                "{query}"
            );
        }
        assert_eq!(parsed("/power/control/dance", ok), Err("404 Not Found"));
    }
}
