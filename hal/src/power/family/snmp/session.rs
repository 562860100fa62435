//! One exchange with an agent over UDP: ask, wait, check that the answer is ours.

use super::{
    ber::Malformed,
    message::{Answer, Request, Value},
    usm::{Engine, Trouble, User},
};
use crate::{
    error::{self, ErrorKind, HalError},
    lab::Secret,
};
use std::{io, net::SocketAddr, time::Duration};
use tokio::{
    net::{UdpSocket, lookup_host},
    time::{Instant, timeout, timeout_at},
};

/// The largest answer that is understood. That of an outlet has a hundred bytes.
pub(super) const LARGEST_ANSWER: usize = 4096;
/// The port of agents (RFC 3417 §3.1).
const PORT: u16 = 161;
/// UDP may lose a datagram: a request that may be repeated is sent again after this.
const RESEND: Duration = Duration::from_secs(1);
/// How often a version 3 request is made anew, for another clock or another engine.
const ATTEMPTS: usize = 3;

/// Who we are to the agent.
pub(super) enum Credentials {
    /// Versions 1 (`number` 0) and 2c (1).
    Community {
        number: i64,
        read: Secret,
        write: Secret,
    },
    /// Version 3.
    User(User),
}

/// An agent, as we know it.
pub(super) struct Agent {
    pub(super) pdu: String,
    pub(super) address: String,
    pub(super) credentials: Credentials,
    pub(super) timeout: Duration,
    /// Its engine, once it is known.
    engine: Option<Engine>,
}

/// What was heard while we waited.
#[derive(Default)]
struct Heard {
    stale: bool,
}

/// What ends an exchange without an answer.
enum Failure {
    Io(io::Error),
    Trouble(Trouble),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

impl Agent {
    pub(super) fn new(
        pdu: &str,
        address: &str,
        credentials: Credentials,
        timeout: Duration,
    ) -> Self {
        Self {
            pdu: pdu.to_owned(),
            address: address.to_owned(),
            credentials,
            timeout,
            engine: None,
        }
    }

    /// Asks, and gives the value of the variable: of the only one that was asked for, in an
    /// answer to this very request, and after a request to set it the value that was asked for.
    ///
    /// `repeat` says that the request may be sent twice: setting "on" may, rebooting may not.
    pub(super) async fn ask(
        &mut self,
        request: &Request,
        repeat: bool,
        deadline: Instant,
    ) -> Result<Value, HalError> {
        let begun = Instant::now();
        let end = deadline.min(begun + self.timeout);
        let mut heard = Heard::default();
        match timeout_at(end, self.exchange(request, repeat, &mut heard)).await {
            Ok(Ok(answer)) => self.value(request, answer),
            Ok(Err(failure)) => Err(self.failed(failure)),
            Err(_) if heard.stale => Err(self.error(
                ErrorKind::Protocol,
                "answers, but to other requests than ours (the request's id differs)",
            )),
            Err(_) => Err(self.silent(begun.elapsed())),
        }
    }

    async fn exchange(
        &mut self,
        request: &Request,
        repeat: bool,
        heard: &mut Heard,
    ) -> Result<Answer, Failure> {
        let socket = connect(&self.address).await?;
        let user = match &self.credentials {
            Credentials::User(user) => user.clone(),
            Credentials::Community {
                number,
                read,
                write,
            } => {
                let id = random_id()?;
                let community = if request.set.is_some() { write } else { read };
                let message = request.message(*number, community.expose().as_bytes(), id);
                return converse(&socket, &message, repeat, heard, |bytes| {
                    let answer = Answer::of_message(bytes, *number)?;
                    if answer.id == i64::from(id) {
                        Ok(answer)
                    } else {
                        Err(Trouble::Stale)
                    }
                })
                .await;
            }
        };
        let mut attempt = 1;
        loop {
            // Taken out: an exchange that fails or is cancelled begins the next one afresh.
            let mut engine = match self.engine.take() {
                Some(engine) => engine,
                None => discover(&socket, &user, heard).await?,
            };
            let id = random_id()?;
            let message = engine.message(request, id);
            let answer = converse(&socket, &message, repeat, heard, |bytes| {
                engine.answer(bytes, id)
            })
            .await;
            match answer {
                Err(Failure::Trouble(Trouble::Engine)) if attempt < ATTEMPTS => {}
                Err(Failure::Trouble(Trouble::Clock)) if attempt < ATTEMPTS => {
                    self.engine = Some(engine);
                }
                Ok(answer) => {
                    self.engine = Some(engine);
                    return if answer.id == i64::from(id) {
                        Ok(answer)
                    } else {
                        Err(Trouble::Forged("it answers another request").into())
                    };
                }
                Err(failure) => return Err(failure),
            }
            attempt += 1;
        }
    }

    fn value(&self, request: &Request, answer: Answer) -> Result<Value, HalError> {
        if answer.error != 0 {
            return Err(self.refused(request, answer.error));
        }
        let [(oid, value)] = <[_; 1]>::try_from(answer.variables)
            .map_err(|_| self.error(ErrorKind::Protocol, "does not answer with one variable"))?;
        if oid != request.oid {
            let what = format!("answers about {oid}, and was asked about {}", request.oid);
            return Err(self.error(ErrorKind::Protocol, &what));
        }
        if value == Value::Missing {
            return Err(self.no_such(request));
        }
        if request.set.as_ref().is_some_and(|set| *set != value) {
            let what = format!("sets {oid} to another value than it was asked for");
            return Err(self.error(ErrorKind::Protocol, &what));
        }
        Ok(value)
    }

    /// The error that an agent's `error-status` stands for (RFC 3416 §3).
    fn refused(&self, request: &Request, status: i64) -> HalError {
        let kind = match status {
            2 | 11 | 18 => return self.no_such(request),
            4 | 6 | 16 | 17 => ErrorKind::PermissionDenied,
            3 | 7..=10 => ErrorKind::Protocol,
            _ => ErrorKind::CommandFailed,
        };
        let name = match status {
            1 => "tooBig",
            3 => "badValue",
            4 => "readOnly",
            5 => "genErr",
            6 => "noAccess",
            7 => "wrongType",
            8 => "wrongLength",
            9 => "wrongEncoding",
            10 => "wrongValue",
            12 => "inconsistentValue",
            13 => "resourceUnavailable",
            14 => "commitFailed",
            15 => "undoFailed",
            16 => "authorizationError",
            17 => "notWritable",
            _ => "an unknown error",
        };
        let error = self.error(kind, &format!("refuses {} with {name}", request.oid));
        match kind {
            ErrorKind::PermissionDenied => error.with_hint(
                "this community or user may not write: give the one that may as 'password', or \
                 allow it on the PDU",
            ),
            ErrorKind::Protocol => {
                error.with_hint("is it of another model than the lab file says?")
            }
            _ => error.with_hint("the PDU itself failed: is the outlet locked, or is it busy?"),
        }
    }

    fn no_such(&self, request: &Request) -> HalError {
        let what = format!("has no variable {}", request.oid);
        self.error(ErrorKind::InvalidInput, &what).with_hint(
            "the outlet does not exist, the PDU is of another model, or the community may not \
             see it (version 1 says the same when it may not be written)",
        )
    }

    fn failed(&self, failure: Failure) -> HalError {
        let trouble = match failure {
            Failure::Trouble(trouble) => trouble,
            Failure::Io(error) => {
                let (pdu, address) = (&self.pdu, &self.address);
                let message = format!(
                    "cannot reach PDU '{pdu}' at {address}: {}",
                    error::reason(&error)
                );
                let kind = error::kind_of(&error);
                let failed = HalError::new(kind, pdu, message).with_source(error);
                return match kind {
                    ErrorKind::Closed => {
                        failed.with_hint("no agent listens there: is SNMP enabled?")
                    }
                    _ => failed,
                };
            }
        };
        let (kind, what) = match trouble {
            Trouble::Malformed(Malformed(what)) => (
                ErrorKind::Protocol,
                format!("answers with what is no SNMP: {what}"),
            ),
            Trouble::Forged(what) => (
                ErrorKind::Protocol,
                format!("an answer is not its own: {what}"),
            ),
            Trouble::Refused(what) => {
                let error = self.error(
                    ErrorKind::PermissionDenied,
                    &format!("refuses the login: {what}"),
                );
                return error.with_hint(
                    "check 'username', 'password' and the options 'auth', 'privacy' and \
                     'privacy-password'",
                );
            }
            Trouble::Report(oid) => (ErrorKind::Protocol, format!("reports {oid}")),
            Trouble::Stale | Trouble::Clock | Trouble::Engine => (
                ErrorKind::Protocol,
                "changes its engine or clock with every request".to_owned(),
            ),
        };
        self.error(kind, &what)
    }

    fn silent(&self, waited: Duration) -> HalError {
        let what = format!("does not answer within {:.1} s", waited.as_secs_f64());
        self.error(ErrorKind::Timeout, &what).with_hint(match self.credentials {
            Credentials::Community { .. } => {
                "an agent keeps silent when the community is wrong: check it ('password' in the \
                 lab file), then the address, and that the PDU allows this version of SNMP"
            }
            Credentials::User(User { cipher: Some(_), .. }) => {
                "an agent may keep silent when the password for encryption or the cipher is \
                 wrong: check 'privacy' and 'privacy-password', then the address"
            }
            Credentials::User(_) => "check the address, and that the PDU has SNMP version 3 enabled",
        })
    }

    fn error(&self, kind: ErrorKind, what: &str) -> HalError {
        let (pdu, address) = (&self.pdu, &self.address);
        HalError::new(kind, pdu, format!("PDU '{pdu}' at {address}: {what}"))
    }
}

async fn discover(socket: &UdpSocket, user: &User, heard: &mut Heard) -> Result<Engine, Failure> {
    let id = random_id()?;
    let salt = random()?;
    converse(socket, &Engine::discovery(id), true, heard, |bytes| {
        Engine::discovered(user, bytes, id, salt)
    })
    .await
}

/// Sends `message` until `understand` made something of a datagram. Ends with the caller.
async fn converse<T>(
    socket: &UdpSocket,
    message: &[u8],
    repeat: bool,
    heard: &mut Heard,
    mut understand: impl FnMut(&[u8]) -> Result<T, Trouble>,
) -> Result<T, Failure> {
    let mut buffer = vec![0; LARGEST_ANSWER];
    loop {
        socket.send(message).await?;
        let resend = Instant::now() + RESEND;
        loop {
            let received = socket.recv(&mut buffer);
            let length = if repeat {
                let Ok(length) = timeout_at(resend, received).await else {
                    break;
                };
                length?
            } else {
                received.await?
            };
            match understand(&buffer[..length]) {
                Ok(answer) => return Ok(answer),
                Err(Trouble::Stale) => heard.stale = true,
                Err(trouble) => return Err(trouble.into()),
            }
        }
    }
}

/// A socket that hears this agent only.
async fn connect(address: &str) -> io::Result<UdpSocket> {
    let with_port = match address.parse::<std::net::IpAddr>() {
        Ok(address) => SocketAddr::new(address, PORT).to_string(),
        Err(_)
            if address
                .rsplit(':')
                .next()
                .is_some_and(|port| port.parse::<u16>().is_ok()) =>
        {
            address.to_owned()
        }
        Err(_) => format!("{address}:{PORT}"),
    };
    let unknown = || io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let mut found = match timeout(Duration::from_secs(5), lookup_host(&with_port)).await {
        Ok(found) => found.map_err(|error| io::Error::new(io::ErrorKind::NotFound, error))?,
        Err(_) => {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "no answer about its name",
            ));
        }
    };
    let target = found.next().ok_or_else(unknown)?;
    let any: SocketAddr = match target {
        SocketAddr::V4(_) => ([0; 4], 0).into(),
        SocketAddr::V6(_) => ([0; 16], 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(target).await?;
    Ok(socket)
}

/// A request's id: positive, always of four bytes, and not to be guessed by who cannot see it.
fn random_id() -> io::Result<i32> {
    Ok((random()? & 0x3fff_ffff) as i32 | 0x4000_0000)
}

fn random() -> io::Result<u64> {
    let mut bytes = [0; 8];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(u64::from_be_bytes(bytes))
}
