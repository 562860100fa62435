//! The line protocol of older clients (`pduclient`): `HOSTNAME PORT COMMAND [DELAY]` on a
//! connection of its own, answered by `ack` or `nack` and a line feed.

use crate::{Action, Refusal, Request, Shared, Target, request::delay};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout_at},
};

/// The longest request.
const LONGEST: usize = 1024;

/// How long a client may take to send a request.
const WITHIN: Duration = Duration::from_secs(10);

/// How long to wait for more of a request that could be complete: clients do not end it by a line
/// feed, and the network may cut it.
const MORE_WITHIN: Duration = Duration::from_millis(100);

/// Serves one request.
pub(crate) async fn connection(mut stream: TcpStream, peer: SocketAddr, shared: Arc<Shared>) {
    let line = tokio::select! {
        line = read(&mut stream) => line,
        () = shared.stop.cancelled() => return,
    };
    let result = match line.as_deref().ok_or_else(not_a_request).and_then(parse) {
        Ok(request) => shared.control(peer, request).await,
        Err(refusal) => {
            let asked = line.unwrap_or_default();
            shared.refused(peer, &asked.escape_debug().to_string(), &refusal);
            Err(refusal)
        }
    };
    let answer: &[u8] = if result.is_ok() { b"ack\n" } else { b"nack\n" };
    // A client that left does not hear it.
    let _ = timeout_at(Instant::now() + WITHIN, stream.write_all(answer)).await;
}

/// Reads a request; `None` when none came.
async fn read(stream: &mut TcpStream) -> Option<String> {
    let mut line = Vec::with_capacity(LONGEST);
    let mut until = Instant::now() + WITHIN;
    let end = until;
    while line.len() < LONGEST && !line.contains(&b'\n') {
        let mut block = [0; LONGEST];
        match timeout_at(until, stream.read(&mut block[line.len()..])).await {
            Ok(Ok(length @ 1..)) => line.extend_from_slice(&block[line.len()..][..length]),
            Ok(Ok(0)) | Err(_) => break,
            Ok(Err(_)) => return None,
        }
        let words = line
            .split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty());
        until = if words.count() >= 3 {
            (Instant::now() + MORE_WITHIN).min(end)
        } else {
            end
        };
    }
    String::from_utf8(line).ok()
}

fn parse(line: &str) -> Result<Request, Refusal> {
    let line = line.strip_suffix('\n').unwrap_or(line);
    if line.contains('\n') {
        return Err(not_a_request());
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    let (pdu, outlet, word, wait) = match *words {
        [pdu, outlet, word] => (pdu, outlet, word, None),
        [pdu, outlet, word, wait] => (pdu, outlet, word, Some(delay(wait)?)),
        _ => return Err(not_a_request()),
    };
    let action =
        Action::parse(word).ok_or_else(|| Refusal::invalid("a command is on, off or reboot"))?;
    let target = Target::Outlet {
        pdu: pdu.to_owned(),
        outlet: outlet.to_owned(),
    };
    target.check()?;
    Ok(Request {
        target,
        action,
        delay: wait,
    })
}

fn not_a_request() -> Refusal {
    Refusal::invalid("a request is HOSTNAME PORT COMMAND [DELAY]")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_of_three_or_four_words() {
        let request = parse("rack1 3 reboot 7\n").unwrap();
        assert_eq!(request.to_string(), "reboot outlet 3 of rack1, delay 7s");
        assert_eq!(parse("rack1 3 off").unwrap().action, Action::Off);
        for bad in [
            "",
            "rack1",
            "rack1 3",
            "rack1 3 toggle",
            "a 1 on x",
            "a 1 on 1 1",
            "a 1 on\nb",
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn no_line_is_too_much(line in "\\PC{0,80}") {
            let _ = parse(&line);
        }
    }
}
