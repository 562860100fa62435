//! The port of an image, and one task for each connection.

use super::{
    export::{Export, NAME},
    negotiation::{Ended, negotiate},
    request::{self, Command, Failure, MOST_BYTES, Request},
};
use crate::bootfiles::{
    connections,
    transfers::{Outcome, Progress, Protocol, Transfers},
};
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

/// What the server allows its clients.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time; further ones wait to be accepted.
    pub connections: usize,
    /// How long a client may take until it has the device.
    pub negotiation: Duration,
    /// How long a client may take over the rest of a request that it began, and to read an answer.
    /// It may be silent between two requests as long as it likes.
    pub patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 32,
            negotiation: Duration::from_secs(10),
            patience: Duration::from_secs(30),
        }
    }
}

/// Moved at a time: what connections hold of memory, whatever they ask for.
const CHUNK: usize = 256 * 1024;

/// A server of one image, for reading and writing.
#[derive(Debug)]
pub struct NbdServer {
    listener: TcpListener,
    export: Arc<Export>,
    limits: Limits,
    transfers: Transfers,
}

impl NbdServer {
    /// Serves `export` on `address`; port 0 takes a free one. Each connection that has the device
    /// is told to `transfers`, with the bytes that it read.
    ///
    /// # Errors
    /// When the address cannot be used.
    pub async fn bind(
        address: SocketAddr,
        export: Export,
        limits: Limits,
        transfers: Transfers,
    ) -> io::Result<Self> {
        Ok(Self {
            listener: TcpListener::bind(address).await?,
            export: Arc::new(export),
            limits,
            transfers,
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system cannot say.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until the future is dropped, which ends all connections.
    ///
    /// # Errors
    /// None while it runs: what goes wrong with a connection ends that connection.
    pub async fn serve(self) -> io::Result<()> {
        let Self {
            listener,
            export,
            limits,
            transfers,
        } = self;
        connections::serve(listener, limits.connections, |stream, client| {
            connection(stream, client, export.clone(), limits, transfers.clone())
        })
        .await
    }
}

async fn connection(
    mut stream: TcpStream,
    client: SocketAddr,
    export: Arc<Export>,
    limits: Limits,
    transfers: Transfers,
) {
    let negotiation = negotiate(&mut stream, export.size());
    let refused = match timeout(limits.negotiation, negotiation).await {
        Ok(Ok(Ended::Ready)) => None,
        // Scanners of ports, and tools that list: nobody has to know.
        Ok(Ok(Ended::Left)) => return,
        Ok(Err(error)) if error.kind() != io::ErrorKind::InvalidData => return,
        Ok(Ok(Ended::NoSuchExport)) => Some(format!("it asked for another export than {NAME}")),
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some("the client was silent".to_owned()),
    };
    let progress = transfers.begin(Protocol::Nbd, client, NAME, export.size());
    let outcome = match refused {
        Some(reason) => Outcome::Refused(reason),
        None => {
            let mut serving = Serving {
                stream: &mut stream,
                export: &export,
                progress: &progress,
                patience: limits.patience,
                buffer: Vec::new(),
                read: 0,
            };
            match serving.run().await {
                Ok(()) => Outcome::Done,
                Err(error) => Outcome::Failed(reason(&error)),
            }
        }
    };
    transfers.end(&progress, outcome);
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::BrokenPipe => "the client closed the connection".to_owned(),
        io::ErrorKind::TimedOut => "the client was silent".to_owned(),
        _ => error.to_string(),
    }
}

/// A client that has the device.
struct Serving<'a, S> {
    stream: &'a mut S,
    export: &'a Export,
    progress: &'a Progress,
    patience: Duration,
    buffer: Vec<u8>,
    /// Bytes that the client has read.
    read: u64,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Serving<'_, S> {
    /// Answers requests, one after the other, until the client says that it goes.
    async fn run(&mut self) -> io::Result<()> {
        loop {
            let mut head = [0; request::LENGTH];
            // A device may be idle for as long as it likes, in the middle of nothing.
            head[0] = self.stream.read_u8().await?;
            within(self.patience, self.stream.read_exact(&mut head[1..])).await?;
            let Some(request) = request::parse(&head) else {
                return Err(invalid("the client sent something else than a request"));
            };
            let done = match request.command {
                Command::Disconnect => return Ok(()),
                Command::Read => {
                    self.read(&request).await?;
                    continue;
                }
                Command::Write => self.write(&request).await?,
                // See `Export` for why there is nothing to wait for.
                Command::Flush => Ok(()),
                Command::Trim => self.change(&request, Export::trim),
                Command::WriteZeros => self.change(&request, Export::write_zeros),
                Command::Unknown => Err(Failure::Invalid),
            };
            self.reply(&request, done.err()).await?;
        }
    }

    async fn reply(&mut self, request: &Request, failure: Option<Failure>) -> io::Result<()> {
        let head = request::reply(request.cookie, failure);
        within(self.patience, self.stream.write_all(&head)).await
    }

    async fn read(&mut self, request: &Request) -> io::Result<()> {
        if let Err(failure) = self.check(request, Failure::Invalid) {
            return self.reply(request, Some(failure)).await;
        }
        let head = request::reply(request.cookie, None);
        let mut begin = head.len();
        let (mut offset, end) = (request.offset, request.offset + u64::from(request.length));
        self.buffer.resize(begin + CHUNK, 0);
        self.buffer[..begin].copy_from_slice(&head);
        loop {
            let length = usize::try_from(end - offset).map_or(CHUNK, |left| left.min(CHUNK));
            let filled = begin + length;
            if let Err(error) = self.export.read(&mut self.buffer[begin..filled], offset) {
                // Behind the head of a good answer there is no way to take it back.
                if offset > request.offset {
                    return Err(error);
                }
                return self.reply(request, Some(Failure::Io)).await;
            }
            within(self.patience, self.stream.write_all(&self.buffer[..filled])).await?;
            offset += length as u64;
            self.read += length as u64;
            self.progress.update(self.read, 0);
            if offset == end {
                return Ok(());
            }
            begin = 0;
        }
    }

    /// Takes the bytes that follow a request, also where they go nowhere.
    async fn write(&mut self, request: &Request) -> io::Result<Result<(), Failure>> {
        if request.length > MOST_BYTES {
            return Err(invalid("the client writes too much at once"));
        }
        let mut done = self.check(request, Failure::NoSpace);
        let mut left = usize::try_from(request.length).unwrap_or_default();
        let mut offset = request.offset;
        self.buffer.resize(left.min(CHUNK), 0);
        while left > 0 {
            let piece = &mut self.buffer[..left.min(CHUNK)];
            within(self.patience, self.stream.read_exact(piece)).await?;
            if done.is_ok() {
                done = self
                    .export
                    .write(piece, offset)
                    .map_err(|error| failure(&error));
            }
            left -= piece.len();
            offset = offset.saturating_add(piece.len() as u64);
        }
        Ok(done)
    }

    fn change(
        &self,
        request: &Request,
        change: fn(&Export, u64, u32) -> io::Result<()>,
    ) -> Result<(), Failure> {
        if !self.export.has(request.offset, request.length) {
            return Err(Failure::NoSpace);
        }
        change(self.export, request.offset, request.length).map_err(|error| failure(&error))
    }

    fn check(&self, request: &Request, beyond: Failure) -> Result<(), Failure> {
        if request.length > MOST_BYTES {
            return Err(Failure::TooLong);
        }
        if self.export.has(request.offset, request.length) {
            Ok(())
        } else {
            Err(beyond)
        }
    }
}

fn failure(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Failure::NoSpace,
        _ => Failure::Io,
    }
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

/// What a client has begun it finishes in time.
async fn within<T>(
    patience: Duration,
    work: impl Future<Output = io::Result<T>>,
) -> io::Result<()> {
    match timeout(patience, work).await {
        Ok(done) => done.map(|_| ()),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A request of a client's.
    fn asked(command: u16, offset: u64, length: u32) -> Vec<u8> {
        let mut bytes = 0x2560_9513_u32.to_be_bytes().to_vec();
        bytes.extend([0, 0]);
        bytes.extend(command.to_be_bytes());
        bytes.extend(*b"a cookie");
        bytes.extend(offset.to_be_bytes());
        bytes.extend(length.to_be_bytes());
        bytes
    }

    /// What a client gets back that sends `bytes` and hangs up, and what the image is then.
    fn conversation(image: &[u8], bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("image");
        fs_err::write(&path, image).unwrap();
        let export = Export::open(&path).unwrap();
        let transfers = Transfers::new(|_| ());
        let client = SocketAddr::from(([127, 0, 0, 1], 1));
        let progress = transfers.begin(Protocol::Nbd, client, NAME, export.size());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let answers = runtime.block_on(async {
            let (mut ours, theirs) = tokio::io::duplex(1 << 20);
            let (mut from_us, mut to_us) = tokio::io::split(theirs);
            let serve = async {
                let mut serving = Serving {
                    stream: &mut ours,
                    export: &export,
                    progress: &progress,
                    patience: Duration::from_secs(5),
                    buffer: Vec::new(),
                    read: 0,
                };
                let _ = serving.run().await;
                drop(ours);
            };
            let ask = async {
                to_us.write_all(bytes).await.ok();
                to_us.shutdown().await.ok();
            };
            let mut answers = Vec::new();
            let ((), (), _) = tokio::join!(serve, ask, from_us.read_to_end(&mut answers));
            answers
        });
        (answers, fs_err::read(&path).unwrap())
    }

    fn code(answers: &[u8]) -> u8 {
        answers[7]
    }

    #[test]
    fn an_image_is_read_and_written() {
        let mut bytes = asked(1, 2, 3);
        bytes.extend(b"new");
        bytes.extend(asked(0, 0, 10));
        bytes.extend(asked(6, 8, 2));
        bytes.extend(asked(3, 0, 0));
        bytes.extend(asked(2, 0, 0));
        let (answers, image) = conversation(b"0123456789", &bytes);
        assert_eq!(image, b"01new567\0\0");
        assert_eq!(answers.len(), 16 + 16 + 10 + 16 + 16);
        assert_eq!(answers[32..42], *b"01new56789");
    }

    #[test]
    fn requests_beyond_the_image_are_refused_and_others_go_on() {
        for (command, offset, length, expected) in [
            (0, 9, 2, 22),
            (0, u64::MAX, 2, 22),
            (0, 0, MOST_BYTES + 1, 75),
            (1, 9, 2, 28),
            (4, 10, 1, 28),
            (6, u64::MAX, 1, 28),
            (9, 0, 0, 22),
        ] {
            let mut bytes = asked(command, offset, length);
            if command == 1 {
                bytes.extend(b"ab");
            }
            bytes.extend(asked(0, 0, 1));
            let (answers, image) = conversation(b"0123456789", &bytes);
            assert_eq!(code(&answers), expected, "{command} {offset} {length}");
            assert_eq!(answers.len(), 16 + 17, "{command} {offset} {length}");
            assert_eq!(image, b"0123456789");
        }
    }

    #[test]
    fn who_writes_too_much_at_once_is_not_listened_to() {
        let (answers, image) = conversation(b"0123456789", &asked(1, 0, u32::MAX));
        assert_eq!((answers, image), (Vec::new(), b"0123456789".to_vec()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn whatever_is_sent_the_image_keeps_its_size(
            requests in prop::collection::vec(
                (0_u16..8, prop_oneof![0_u64..5000, any::<u64>()],
                 prop_oneof![0_u32..5000, any::<u32>()]), 0..8),
            garbage in prop::collection::vec(any::<u8>(), 0..2000)
        ) {
            let mut bytes = Vec::new();
            for (command, offset, length) in requests {
                bytes.extend(asked(command, offset, length));
                bytes.extend(&garbage);
            }
            let (_, image) = conversation(&[7; 4096], &bytes);
            prop_assert_eq!(image.len(), 4096);
        }
    }
}
