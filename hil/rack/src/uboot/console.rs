//! A board's console that is read all the time, so that the board never waits for a reader.

use hal::{
    ErrorKind, HalError,
    console::{ConsoleExt, PtyConsole},
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::{
    sync::{Notify, mpsc},
    task::JoinHandle,
    time::{Instant, timeout_at},
};

/// How much of what a board said is kept while nobody waits for it.
const KEPT: usize = 64 * 1024;

/// The console, and what came from it that nobody waited for yet.
#[derive(Debug)]
pub(super) struct Watched {
    said: Arc<Said>,
    keyboard: mpsc::Sender<String>,
    reader: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Said {
    text: Mutex<String>,
    more: Notify,
}

impl Said {
    fn text(&self) -> MutexGuard<'_, String> {
        self.text.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, bytes: &[u8]) {
        let mut text = self.text();
        text.push_str(&String::from_utf8_lossy(bytes));
        if text.len() > KEPT {
            let cut = text.floor_char_boundary(text.len() - KEPT / 2);
            text.drain(..cut);
        }
        self.more.notify_one();
    }
}

impl Watched {
    /// Reads `console` from now on. Must be called inside a tokio runtime.
    pub(super) fn new(mut console: PtyConsole) -> Self {
        let said = Arc::<Said>::default();
        let (keyboard, mut typed) = mpsc::channel::<String>(4);
        let heard = said.clone();
        let reader = tokio::spawn(async move {
            let mut buffer = [0; 4096];
            loop {
                tokio::select! {
                    read = console.read(&mut buffer) => match read {
                        Ok(chunk) if !chunk.is_end() => heard.add(&buffer[..chunk.length]),
                        Ok(_) => return heard.add(b"[the board ended]"),
                        Err(error) => return heard.add(format!("[{error}]").as_bytes()),
                    },
                    Some(text) = typed.recv() => {
                        let soon = Instant::now() + std::time::Duration::from_secs(10);
                        if let Err(error) = console.write_all(text.as_bytes(), soon).await {
                            return heard.add(format!("[{error}]").as_bytes());
                        }
                    }
                }
            }
        });
        Self {
            said,
            keyboard,
            reader,
        }
    }

    /// Waits until `text` came; what is after it is left for the next call.
    pub(super) async fn wait_for(&self, text: &str, deadline: Instant) -> Result<(), HalError> {
        loop {
            {
                let mut said = self.said.text();
                if let Some(start) = said.find(text) {
                    said.drain(..start + text.len());
                    return Ok(());
                }
            }
            let more = timeout_at(deadline, self.said.more.notified()).await;
            if more.is_err() {
                let said = self.said.text().clone();
                let message = format!("U-Boot did not say '{text}'; it said: {said}");
                return Err(HalError::new(ErrorKind::Timeout, "U-Boot", message));
            }
        }
    }

    pub(super) async fn type_in(&self, text: &str) -> Result<(), HalError> {
        let sent = self.keyboard.send(text.to_owned()).await;
        sent.map_err(|_| {
            let said = self.said.text().clone();
            let message = format!("U-Boot's console is closed; it said: {said}");
            HalError::new(ErrorKind::Closed, "U-Boot", message)
        })
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.reader.abort();
    }
}
