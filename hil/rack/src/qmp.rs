//! QEMU's monitor: JSON objects, one a line (QEMU's "Machine Protocol Specification").

use hal::{ErrorKind, HalError};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::UnixStream,
    time::{Instant, timeout_at},
};

/// Longer answers are a mistake.
const LONGEST_LINE: u64 = 256 * 1024;

/// A monitor that is ready for commands.
#[derive(Debug)]
pub(crate) struct Qmp {
    stream: BufReader<UnixStream>,
    board: String,
    /// A command whose answer was not awaited: the next answer would be taken for another's.
    broken: bool,
}

impl Qmp {
    /// Greets QEMU, which connected.
    pub(crate) async fn greet(
        stream: UnixStream,
        board: &str,
        deadline: Instant,
    ) -> Result<Self, HalError> {
        let mut qmp = Self {
            stream: BufReader::new(stream),
            board: board.to_owned(),
            broken: false,
        };
        let greeting = timeout_at(deadline, qmp.line())
            .await
            .unwrap_or_else(|_| Err(qmp.error(ErrorKind::Timeout, "does not greet")))?;
        if greeting.get("QMP").is_none() {
            return Err(qmp.error(ErrorKind::Protocol, "speaks something else than QMP"));
        }
        qmp.execute("qmp_capabilities", &json!({}), deadline)
            .await?;
        Ok(qmp)
    }

    /// Executes a command and gives what it returns. When cancelled, the monitor is of no use
    /// any more.
    pub(crate) async fn execute(
        &mut self,
        command: &str,
        arguments: &Value,
        deadline: Instant,
    ) -> Result<Value, HalError> {
        if std::mem::replace(&mut self.broken, true) {
            return Err(self.error(ErrorKind::Closed, "was left in the middle of a command"));
        }
        let exchange = self.exchange(command, arguments);
        let returned = match timeout_at(deadline, exchange).await {
            Ok(returned) => returned,
            Err(_) => return Err(self.error(ErrorKind::Timeout, "does not answer")),
        };
        self.broken = false;
        returned
    }

    async fn exchange(&mut self, command: &str, arguments: &Value) -> Result<Value, HalError> {
        let request = format!(
            "{}\n",
            json!({ "execute": command, "arguments": arguments })
        );
        let sent = self.stream.write_all(request.as_bytes()).await;
        sent.map_err(|error| self.error(ErrorKind::Closed, &format!("is gone: {error}")))?;
        loop {
            let mut answer = self.line().await?;
            if let Some(returned) = answer.get_mut("return") {
                return Ok(returned.take());
            }
            if let Some(error) = answer.get("error") {
                let description = error["desc"].as_str().unwrap_or("no reason given");
                let what = format!("refuses '{command}': {description}");
                return Err(self.error(ErrorKind::CommandFailed, &what));
            }
            // All else are events.
        }
    }

    async fn line(&mut self) -> Result<Value, HalError> {
        let mut line = Vec::new();
        let mut limited = (&mut self.stream).take(LONGEST_LINE);
        let read = limited.read_until(b'\n', &mut line).await;
        if !matches!(read, Ok(1..)) || line.last() != Some(&b'\n') {
            return Err(self.error(ErrorKind::Closed, "is gone"));
        }
        serde_json::from_slice(&line)
            .map_err(|error| self.error(ErrorKind::Protocol, &format!("makes no sense: {error}")))
    }

    fn error(&self, kind: ErrorKind, what: &str) -> HalError {
        let board = &self.board;
        HalError::new(
            kind,
            board,
            format!("the monitor of board '{board}' {what}"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    /// What comes of `greet` and one command when QEMU says `script`.
    async fn against(script: &str) -> Result<Value, HalError> {
        let (ours, mut qemu) = UnixStream::pair().unwrap();
        qemu.write_all(script.as_bytes()).await.unwrap();
        let mut requests = String::new();
        let told = async {
            let mut qmp = Qmp::greet(ours, "arm64", soon()).await?;
            qmp.execute("stop", &json!({}), soon()).await
        }
        .await;
        qemu.shutdown().await.unwrap();
        qemu.read_to_string(&mut requests).await.unwrap();
        if told.is_ok() {
            let last: Value = serde_json::from_str(requests.lines().last().unwrap()).unwrap();
            assert_eq!(last, json!({ "execute": "stop", "arguments": {} }));
        }
        told
    }

    #[tokio::test]
    async fn events_between_answers_are_skipped() {
        let script =
            "{\"QMP\":{}}\n{\"return\":{}}\n{\"event\":\"STOP\"}\n{\"return\":{\"x\":1}}\n";
        assert_eq!(against(script).await.unwrap(), json!({ "x": 1 }));
    }

    #[tokio::test]
    async fn a_refusal_and_nonsense_name_the_board() {
        for (script, kind) in [
            (
                "{\"QMP\":{}}\n{\"return\":{}}\n{\"error\":{\"desc\":\"no\"}}\n",
                ErrorKind::CommandFailed,
            ),
            ("hello\n", ErrorKind::Protocol),
            ("{}\n", ErrorKind::Protocol),
        ] {
            let error = against(script).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains("'arm64'"), "{error}");
        }
    }
}
