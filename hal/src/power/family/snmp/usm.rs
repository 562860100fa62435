//! Version 3: messages that are signed and encrypted for a user (RFC 3412 §6, RFC 3414, RFC 3826,
//! RFC 7860).
//!
//! An agent is an *engine* with a name, a count of its boots and a clock. We ask for them without
//! signing, and everything else is signed for that engine and that second.

mod protection;

use super::{
    ber::{self, INTEGER, Malformed, OCTETS, Reader, SEQUENCE},
    message::{Answer, Request},
};
use crate::lab::Secret;
pub(super) use protection::{Cipher, Hash};
use std::fmt;
use tokio::time::Instant;

const VERSION: i64 = 3;
const USER_SECURITY: i64 = 3;
const SIGNED: u8 = 1;
const ENCRYPTED: u8 = 2;
const REPORTABLE: u8 = 4;
/// What an agent may send us at most: the size of our buffer.
const LARGEST: i64 = super::session::LARGEST_ANSWER as i64;
/// The longest name of an engine (RFC 3411 §5).
const LONGEST_ENGINE: usize = 32;
/// `usmStats`: what reports of this protocol are about (RFC 3414 §5).
const REPORTS: [u32; 9] = [1, 3, 6, 1, 6, 3, 15, 1, 1];

/// A user as the lab file has it.
#[derive(Clone, Debug)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) hash: Option<(Hash, Secret)>,
    pub(super) cipher: Option<(Cipher, Secret)>,
    pub(super) context: String,
}

/// What is wrong with a message of the agent, or what it says is wrong with ours.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It is no message.
    Malformed(Malformed),
    /// It answers another request.
    Stale,
    /// It is not signed by whom it should be.
    Forged(&'static str),
    /// Its clock is another: ask again with this one.
    Clock,
    /// It has no such engine any more: it was replaced, or its name was changed.
    Engine,
    /// It refuses this user.
    Refused(&'static str),
    /// It reports something that has no name here.
    Report(String),
}

impl From<Malformed> for Trouble {
    fn from(error: Malformed) -> Self {
        Self::Malformed(error)
    }
}

/// A user at an engine: keys, and the engine's clock.
pub(super) struct Engine {
    user: User,
    id: Vec<u8>,
    boots: u32,
    /// The engine's time when it was last heard, and when that was.
    time: (u32, Instant),
    signing: Vec<u8>,
    encrypting: Vec<u8>,
    salt: u64,
}

/// The parts of a message that its security is about.
struct Sealed<'a> {
    message_id: i64,
    flags: u8,
    engine: &'a [u8],
    boots: i64,
    time: i64,
    user: &'a [u8],
    signature: &'a [u8],
    /// Where the signature is in the message.
    signature_at: usize,
    salt: &'a [u8],
    rest: Reader<'a>,
}

/// Reads a message of version 3, for the fuzzer.
#[cfg(fuzzing)]
pub(super) fn read_any(message: &[u8]) {
    let _ = open(message);
}

impl Engine {
    /// The question for an engine's name and clock.
    pub(super) fn discovery(message_id: i32) -> Vec<u8> {
        let request = |out: &mut Vec<u8>| {
            ber::element(out, SEQUENCE, |out| {
                ber::bytes(out, OCTETS, &[]);
                ber::bytes(out, OCTETS, &[]);
                // A read of nothing.
                ber::element(out, 0xa0, |out| {
                    ber::integer(out, INTEGER, i64::from(message_id));
                    ber::integer(out, INTEGER, 0);
                    ber::integer(out, INTEGER, 0);
                    ber::bytes(out, SEQUENCE, &[]);
                });
            });
        };
        seal(message_id, REPORTABLE, (&[], 0, 0, &[], &[], &[]), request).0
    }

    /// Understands the answer to [`Self::discovery`] and makes the user's keys.
    pub(super) fn discovered(
        user: &User,
        message: &[u8],
        message_id: i32,
        salt: u64,
    ) -> Result<Self, Trouble> {
        let sealed = open(message)?;
        if sealed.message_id != i64::from(message_id) {
            return Err(Trouble::Stale);
        }
        if sealed.engine.is_empty() || sealed.engine.len() > LONGEST_ENGINE {
            return Err(Malformed("it does not name its engine").into());
        }
        let id = sealed.engine.to_vec();
        let key = |hash: Hash, password: &Secret| hash.key(password.expose().as_bytes(), &id);
        let hash = user.hash.as_ref();
        let signing = hash.map(|(hash, password)| key(*hash, password));
        let encrypting = match (hash, &user.cipher) {
            (Some((hash, _)), Some((_, password))) => Some(key(*hash, password)),
            _ => None,
        };
        Ok(Self {
            user: user.clone(),
            boots: clock(sealed.boots)?,
            time: (clock(sealed.time)?, Instant::now()),
            signing: signing.unwrap_or_default(),
            encrypting: encrypting.unwrap_or_default(),
            id,
            salt,
        })
    }

    fn now(&self) -> u32 {
        let (then, heard) = self.time;
        let elapsed = u32::try_from(heard.elapsed().as_secs()).unwrap_or(u32::MAX);
        then.saturating_add(elapsed).min(i32::MAX as u32)
    }

    /// A request, signed and encrypted as the user wants it.
    pub(super) fn message(&mut self, request: &Request, id: i32) -> Vec<u8> {
        let mut scoped = Vec::new();
        ber::element(&mut scoped, SEQUENCE, |out| {
            ber::bytes(out, OCTETS, &self.id);
            ber::bytes(out, OCTETS, self.user.context.as_bytes());
            request.write(id, out);
        });
        let (boots, time) = (self.boots, self.now());
        let mut flags = REPORTABLE;
        let mut salt = Vec::new();
        if let Some((cipher, _)) = &self.user.cipher {
            flags |= ENCRYPTED;
            self.salt = self.salt.wrapping_add(1);
            salt = cipher.salt(boots, self.salt);
            cipher.encrypt(&self.encrypting, (boots, time), &salt, &mut scoped);
        }
        let blank = match &self.user.hash {
            Some((hash, _)) => {
                flags |= SIGNED;
                vec![0; hash.signature_length()]
            }
            None => Vec::new(),
        };
        let security = (
            &*self.id,
            boots,
            time,
            self.user.name.as_bytes(),
            &*blank,
            &*salt,
        );
        let (mut message, signature_at) = seal(id, flags, security, |out| {
            if flags & ENCRYPTED == 0 {
                out.extend_from_slice(&scoped);
            } else {
                ber::bytes(out, OCTETS, &scoped);
            }
        });
        if let Some((hash, _)) = &self.user.hash {
            let signature = hash.sign(&self.signing, &message);
            message[signature_at..signature_at + signature.len()].copy_from_slice(&signature);
        }
        message
    }

    /// Reads the answer to the request `id`: signed by this engine and encrypted, if ours was.
    pub(super) fn answer(&mut self, message: &[u8], id: i32) -> Result<Answer, Trouble> {
        let sealed = open(message)?;
        if sealed.message_id != i64::from(id) {
            return Err(Trouble::Stale);
        }
        let signed = self.check_signature(message, &sealed)?;
        let mut plain;
        let mut rest = sealed.rest;
        if sealed.flags & ENCRYPTED != 0 {
            plain = rest.octets()?.to_vec();
            let clock = (clock(sealed.boots)?, clock(sealed.time)?);
            match &self.user.cipher {
                Some((cipher, _)) => {
                    cipher.decrypt(&self.encrypting, clock, sealed.salt, &mut plain)?;
                }
                None => return Err(Trouble::Forged("it is encrypted, and ours was not")),
            }
            rest = Reader::new(&plain);
        }
        let mut scoped = rest.expect(SEQUENCE)?;
        scoped.octets()?;
        scoped.octets()?;
        let answer = Answer::read(&mut scoped)?;
        if answer.report {
            return Err(self.report(&answer, &sealed, signed));
        }
        let wants = |wanted: bool, flag| wanted && sealed.flags & flag == 0;
        if wants(self.user.hash.is_some(), SIGNED) || wants(self.user.cipher.is_some(), ENCRYPTED) {
            return Err(Trouble::Forged("it is protected less than our request"));
        }
        Ok(answer)
    }

    /// Whether it is signed; a signature that is there has to be right.
    fn check_signature(&self, message: &[u8], sealed: &Sealed<'_>) -> Result<bool, Trouble> {
        if sealed.flags & SIGNED == 0 {
            return Ok(false);
        }
        let Some((hash, _)) = &self.user.hash else {
            return Err(Trouble::Forged("it is signed, and ours was not"));
        };
        if sealed.engine != self.id || sealed.user != self.user.name.as_bytes() {
            return Err(Trouble::Forged("it is of another engine or user"));
        }
        let mut blank = message.to_vec();
        let end = sealed.signature_at + sealed.signature.len();
        blank[sealed.signature_at..end].fill(0);
        let right = hash.sign(&self.signing, &blank);
        // Equal lengths and no early end: how long it takes tells nothing of the signature.
        let difference = right
            .iter()
            .zip(sealed.signature)
            .fold(0, |all, (a, b)| all | (a ^ b));
        if right.len() == sealed.signature.len() && difference == 0 {
            Ok(true)
        } else {
            Err(Trouble::Forged("its signature is wrong"))
        }
    }

    /// What a report says. Only a signed one changes our clock.
    fn report(&mut self, answer: &Answer, sealed: &Sealed<'_>, signed: bool) -> Trouble {
        let subject = answer.variables.first().map(|(oid, _)| oid);
        let is = |number: u32| {
            subject.is_some_and(|oid| oid.is_below(&[&REPORTS[..], &[number]].concat()))
        };
        if is(2) && (signed || self.user.hash.is_none()) {
            if let (Ok(boots), Ok(time)) = (clock(sealed.boots), clock(sealed.time)) {
                self.boots = boots;
                self.time = (time, Instant::now());
            }
            return Trouble::Clock;
        }
        match subject {
            _ if is(1) => {
                Trouble::Refused("it does not offer this kind of protection to this user")
            }
            _ if is(2) => Trouble::Forged("a correction of the clock is not signed"),
            _ if is(3) => Trouble::Refused("it knows no such user"),
            _ if is(4) => Trouble::Engine,
            _ if is(5) => Trouble::Refused("the password for signing is wrong"),
            _ if is(6) => Trouble::Refused("the password for encryption is wrong"),
            Some(oid) => Trouble::Report(oid.to_string()),
            None => Trouble::Malformed(Malformed("a report says nothing")),
        }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Keys are as good as passwords.
        f.debug_struct("Engine")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Boots and seconds count to 2^31 - 1.
fn clock(value: i64) -> Result<u32, Malformed> {
    u32::try_from(value)
        .ok()
        .filter(|value| *value <= i32::MAX as u32)
        .ok_or(Malformed("its clock is out of range"))
}

/// Engine, boots, time, user, signature and salt of a message.
type Security<'a> = (&'a [u8], u32, u32, &'a [u8], &'a [u8], &'a [u8]);

/// Builds a message of version 3. The second number says where its signature is.
fn seal(
    message_id: i32,
    flags: u8,
    (engine, boots, time, user, signature, salt): Security<'_>,
    content: impl Fn(&mut Vec<u8>),
) -> (Vec<u8>, usize) {
    let mut message = Vec::new();
    ber::element(&mut message, SEQUENCE, |out| {
        ber::integer(out, INTEGER, VERSION);
        ber::element(out, SEQUENCE, |out| {
            ber::integer(out, INTEGER, i64::from(message_id));
            ber::integer(out, INTEGER, LARGEST);
            ber::bytes(out, OCTETS, &[flags]);
            ber::integer(out, INTEGER, USER_SECURITY);
        });
        ber::element(out, OCTETS, |out| {
            ber::element(out, SEQUENCE, |out| {
                ber::bytes(out, OCTETS, engine);
                ber::integer(out, INTEGER, i64::from(boots));
                ber::integer(out, INTEGER, i64::from(time));
                ber::bytes(out, OCTETS, user);
                ber::bytes(out, OCTETS, signature);
                ber::bytes(out, OCTETS, salt);
            });
        });
        content(out);
    });
    let signature_at = open(&message).map_or(0, |sealed| sealed.signature_at);
    (message, signature_at)
}

/// Takes a message of version 3 apart.
fn open(message: &[u8]) -> Result<Sealed<'_>, Malformed> {
    let mut all = Reader::new(message);
    let mut message = all.expect(SEQUENCE)?;
    all.finish()?;
    if message.integer()? != VERSION {
        return Err(Malformed("it is of another version"));
    }
    let mut header = message.expect(SEQUENCE)?;
    let message_id = header.integer()?;
    header.integer()?;
    let [flags] = *header.octets()? else {
        return Err(Malformed("its flags are not one byte"));
    };
    if header.integer()? != USER_SECURITY {
        return Err(Malformed("it is protected in an unknown way"));
    }
    header.finish()?;
    let mut security = message.expect(OCTETS)?;
    let mut security = security.expect(SEQUENCE)?;
    let engine = security.octets()?;
    let (boots, time) = (security.integer()?, security.integer()?);
    let user = security.octets()?;
    let content = security.expect(OCTETS)?;
    let salt = security.octets()?;
    security.finish()?;
    Ok(Sealed {
        message_id,
        flags,
        engine,
        boots,
        time,
        user,
        signature: content.rest(),
        signature_at: content.position(),
        salt,
        rest: message,
    })
}

#[cfg(test)]
mod tests;
