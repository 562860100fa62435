//! A daemon on a free port of this host, PDUs that do what the test says, and a client that
//! sends bytes as they are.

use async_trait::async_trait;
use hal::{
    ErrorKind, HalError,
    lab::{BoardConfig, Lab, OutletConfig, PduConfig},
    power::{Outlet, Pdu, PowerState, models::Models},
};
use power_daemon::{Event, Fronts, Limits, Switchboard, Tokens, serve};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinHandle,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

/// How long a test waits for what has to come.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a PDU did, in order: `rack1 3 on`.
pub(crate) type Log = Arc<Mutex<Vec<String>>>;

/// How a PDU behaves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Does what it is told and shows it.
    Good,
    /// Does what it is told and cannot be asked.
    Blind,
    /// Says that it did, and does nothing.
    Lies,
    /// Cannot be reached.
    Gone,
}

struct TestPdu {
    name: &'static str,
    manner: Manner,
    log: Log,
    states: BTreeMap<Outlet, PowerState>,
    gate: Arc<Semaphore>,
}

#[async_trait]
impl Pdu for TestPdu {
    async fn switch(
        &mut self,
        outlet: &Outlet,
        to: PowerState,
        _: Instant,
    ) -> Result<(), HalError> {
        // Each exchange takes one permit that the test gives.
        self.gate.acquire().await.unwrap().forget();
        self.log
            .lock()
            .unwrap()
            .push(format!("{} {outlet} {to}", self.name));
        match self.manner {
            Manner::Gone => {
                let message = format!("PDU '{}' does not answer", self.name);
                return Err(HalError::new(ErrorKind::Closed, self.name, message)
                    .with_hint("is it switched on?"));
            }
            Manner::Lies => {}
            Manner::Good | Manner::Blind => {
                self.states.insert(outlet.clone(), to);
            }
        }
        Ok(())
    }

    async fn read(&mut self, outlet: &Outlet, _: Instant) -> Result<Option<PowerState>, HalError> {
        if self.manner == Manner::Blind {
            return Ok(None);
        }
        Ok(Some(
            self.states.get(outlet).copied().unwrap_or(PowerState::Off),
        ))
    }
}

/// A daemon and the lab behind it.
pub(crate) struct Daemon {
    pub(crate) http: SocketAddr,
    pub(crate) line: SocketAddr,
    pub(crate) log: Log,
    pub(crate) events: Arc<Mutex<Vec<String>>>,
    /// Exchanges that the PDUs may have; plenty unless the test takes them.
    pub(crate) gate: Arc<Semaphore>,
    stop: CancellationToken,
    served: JoinHandle<()>,
}

/// More exchanges than any test has.
pub(crate) const PLENTY: usize = 10_000;

impl Daemon {
    pub(crate) async fn start() -> Self {
        Self::with(Limits::default(), Tokens::default()).await
    }

    /// PDUs `good`, `blind`, `lies`, `gone`; board `board1` is outlet 3 of `good`.
    pub(crate) async fn with(limits: Limits, tokens: Tokens) -> Self {
        let (log, gate) = (Log::default(), Arc::new(Semaphore::new(PLENTY)));
        let mut lab = Lab::new("lab.toml", Models::default());
        for (name, manner) in [
            ("good", Manner::Good),
            ("blind", Manner::Blind),
            ("lies", Manner::Lies),
            ("gone", Manner::Gone),
        ] {
            let config = PduConfig {
                name: name.to_owned(),
                settle: Some(Duration::from_millis(200)),
                off_for: Some(Duration::from_millis(10)),
                ..PduConfig::default()
            };
            let driver = TestPdu {
                name,
                manner,
                log: log.clone(),
                states: BTreeMap::new(),
                gate: gate.clone(),
            };
            lab.add_driver(config, Box::new(driver));
        }
        let power = Some(OutletConfig {
            pdu: "good".to_owned(),
            outlet: "3".to_owned(),
            off_for: None,
            settle: None,
        });
        lab.add_board(
            "board1",
            BoardConfig {
                console: None,
                power,
            },
        )
        .unwrap();
        let switchboard = Switchboard::new(lab, limits)
            .with_unusable([("odd".to_owned(), "no such model".to_owned())].into());
        let [http, line] = [listener().await, listener().await];
        let (http_at, line_at) = (http.local_addr().unwrap(), line.local_addr().unwrap());
        let fronts = Fronts {
            http: Some(http),
            line: Some(line),
            tokens,
        };
        let events: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = events.clone();
        let hear = Arc::new(move |event: &Event<'_>| heard.lock().unwrap().push(event.to_string()));
        let stop = CancellationToken::new();
        let served = tokio::spawn(serve(fronts, Arc::new(switchboard), hear, stop.clone()));
        Self {
            http: http_at,
            line: line_at,
            log,
            events,
            gate,
            stop,
            served,
        }
    }

    /// What the PDUs did.
    pub(crate) fn done(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// The whole answer to a GET.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        self.get_with(path, "").await
    }

    /// As [`Self::get`], with more header lines.
    pub(crate) async fn get_with(&self, path: &str, headers: &str) -> (u16, String) {
        let head =
            format!("GET {path} HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n{headers}\r\n");
        let answer = talk(self.http, head.as_bytes()).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        (status.unwrap_or(0), body.to_owned())
    }

    /// Ends it as SIGTERM does.
    pub(crate) async fn end(self) {
        self.stop.cancel();
        timeout(PATIENCE, self.served).await.unwrap().unwrap();
    }

    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

/// Sends bytes and gives everything that comes back.
pub(crate) async fn talk(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The other side may refuse in the middle of it.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer))
        .await
        .unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// Waits until something is so.
pub(crate) async fn until(what: impl Fn() -> bool) {
    let waited = timeout(PATIENCE, async {
        while !what() {
            tokio::task::yield_now().await;
        }
    });
    waited.await.expect("it did not happen");
}
