//! A real broker, and a plug that is played.

use super::PASSWORD;
use hal::process::{Command, CommandLine, Running, find_program};
use std::{
    ffi::OsStr,
    net::{Ipv4Addr, TcpListener},
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
};

use super::support::{soon, wait_for};

/// mosquitto, with one user.
pub(crate) struct Broker {
    _running: Running,
    _directory: tempfile::TempDir,
    pub(crate) address: String,
}

impl Broker {
    /// Starts it, or says why not.
    pub(crate) async fn start() -> Option<Self> {
        for program in ["mosquitto", "mosquitto_passwd"] {
            if find_program(OsStr::new(program), None, None).is_err() {
                eprintln!("SKIPPED: {program} is not installed");
                return None;
            }
        }
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let line = CommandLine::new("mosquitto_passwd")
            .args(["-b", "-c"])
            .arg(path("passwords"))
            .args(["lab", PASSWORD]);
        let made = Command::new(line).output(soon()).await.unwrap();
        assert!(made.exit.success(), "{}", made.exit.describe());
        // It takes no port 0: a port that is free now is as good as it gets.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let configuration = format!(
            "listener {port} 127.0.0.1\nallow_anonymous false\npassword_file {}\n\
             user root\npersistence false\n",
            path("passwords").display()
        );
        fs_err::write(path("conf"), configuration).unwrap();
        let line = CommandLine::new("mosquitto").arg("-c").arg(path("conf"));
        let log = fs_err::File::create(path("log")).unwrap();
        let running = Command::new(line).spawn(Some(log.into())).unwrap();
        let address = format!("127.0.0.1:{port}");
        // Not by connecting: from this host, that can end at the client's own port.
        let log = path("log");
        wait_for(|| match fs_err::read_to_string(&log).unwrap() {
            said if said.contains(" running\n") => Ok(()),
            said => Err(said),
        })
        .await;
        Some(Self {
            _running: running,
            _directory: directory,
            address,
        })
    }
}

/// What a plug does with a command: the state it then tells, if it tells any.
pub(crate) type Habit = fn(&str, &mut bool) -> Option<&'static str>;

/// As Tasmota: sets the relay, or only tells it, and says what it is.
pub(crate) fn obeys(payload: &str, relay: &mut bool) -> Option<&'static str> {
    match payload {
        "ON" => *relay = true,
        "OFF" => *relay = false,
        _ => {}
    }
    told(*relay)
}

/// Answers every command, and never moves.
pub(crate) fn stuck(_: &str, relay: &mut bool) -> Option<&'static str> {
    told(*relay)
}

/// Hears all, and says nothing.
pub(crate) fn silent(_: &str, _: &mut bool) -> Option<&'static str> {
    None
}

fn told(relay: bool) -> Option<&'static str> {
    Some(if relay { "ON" } else { "OFF" })
}

/// A plug at the broker, with the topic `plug7`.
pub(crate) struct Plug {
    heard: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for Plug {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Plug {
    /// A plug that is at the broker when this returns. It tells its state on `stat/plug7/RELAY`.
    pub(crate) async fn start(broker: &Broker, relay: &'static str, habit: Habit) -> Self {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let mut wire = Wire::connect(broker).await;
        wire.send(0x82, &[&[0, 1], &text("cmnd/plug7/#")[..], &[0]].concat())
            .await;
        let log = heard.clone();
        // The answer to the subscription.
        wire.receive().await;
        let task = tokio::spawn(async move {
            let mut state = false;
            loop {
                let (kind, body) = wire.receive().await;
                assert_eq!(kind, 0x30, "{body:?}");
                let (topic, payload) = body[2..].split_at(body[1].into());
                let payload = String::from_utf8(payload.to_vec()).unwrap();
                let topic = String::from_utf8(topic.to_vec()).unwrap();
                let answer = habit(&payload, &mut state);
                log.lock().unwrap().push(format!("{topic} {payload}"));
                if let Some(answer) = answer {
                    wire.publish(&format!("stat/plug7/{relay}"), answer, false)
                        .await;
                }
            }
        });
        Self { heard, task }
    }

    pub(crate) fn heard(&self) -> Vec<String> {
        std::mem::take(&mut self.heard.lock().unwrap())
    }
}

/// Leaves a message at the broker that it keeps.
pub(crate) async fn keep(broker: &Broker, topic: &str, payload: &str) {
    let mut wire = Wire::connect(broker).await;
    wire.publish(topic, payload, true).await;
    wire.send(0xC0, &[]).await;
    assert_eq!(wire.receive().await.0, 0xD0);
}

/// A client of the tests. Its packets are shorter than 128 bytes.
struct Wire(TcpStream);

impl Wire {
    async fn connect(broker: &Broker) -> Self {
        let stream = TcpStream::connect(&broker.address).await.unwrap();
        let mut wire = Self(stream);
        let head = [&text("MQTT")[..], &[4, 0xC2, 0, 0], &text("")].concat();
        wire.send(0x10, &[head, text("lab"), text(PASSWORD)].concat())
            .await;
        assert_eq!(wire.receive().await, (0x20, vec![0, 0]));
        wire
    }

    async fn publish(&mut self, topic: &str, payload: &str, keep: bool) {
        let body = [text(topic), payload.as_bytes().to_vec()].concat();
        self.send(0x30 | u8::from(keep), &body).await;
    }

    async fn send(&mut self, first: u8, body: &[u8]) {
        let length = u8::try_from(body.len()).unwrap();
        assert!(length < 128);
        let packet = [&[first, length], body].concat();
        self.0.write_all(&packet).await.unwrap();
    }

    async fn receive(&mut self) -> (u8, Vec<u8>) {
        let mut head = [0; 2];
        self.0.read_exact(&mut head).await.unwrap();
        let mut body = vec![0; head[1].into()];
        self.0.read_exact(&mut body).await.unwrap();
        (head[0], body)
    }
}

fn text(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap();
    [&length.to_be_bytes()[..], text.as_bytes()].concat()
}
