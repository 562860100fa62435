//! An SNMP agent (v1: RFC 1157, v2c: RFC 3416) with the outlets of an APC rack PDU
//! (PowerNet-MIB, `rPDUOutletControl` and `rPDUOutletStatus`): what `snmpget`, `snmpset` and
//! `snmpwalk` need.
//!
//! The community "public" reads, that of the configuration writes, and others get no answer.

use super::{
    OUTLETS, Outlets, Refused, Request,
    ber::{self, INTEGER, OCTETS, Oid, Reader},
};
use hal::power::PowerState;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::net::UdpSocket;

/// Who reads.
const READER: &[u8] = b"public";

/// An APC PDU's default for a reboot.
const REBOOT: Duration = Duration::from_secs(5);

/// The most variables of a request, and of the answer to one for many.
const VARIABLES: usize = 64;

/// The most bytes of a request.
const LARGEST: usize = 8 * 1024;

const SYSTEM_DESCRIPTION: [u32; 9] = [1, 3, 6, 1, 2, 1, 1, 1, 0];
const SYSTEM_NAME: [u32; 9] = [1, 3, 6, 1, 2, 1, 1, 5, 0];
/// `rPDUOutletControlOutletCommand`: 1 on, 2 off, 3 reboot. Reads 1 or 2.
const COMMAND: [u32; 14] = [1, 3, 6, 1, 4, 1, 318, 1, 1, 12, 3, 3, 1, 1];
/// `rPDUOutletStatusEntry`: column 2 is the name, 4 the state.
const STATUS: [u32; 14] = [1, 3, 6, 1, 4, 1, 318, 1, 1, 12, 3, 5, 1, 1];

/// The kinds of messages (RFC 3416 section 3).
const GET: u8 = 0xa0;
const GET_NEXT: u8 = 0xa1;
const RESPONSE: u8 = 0xa2;
const SET: u8 = 0xa3;
const GET_BULK: u8 = 0xa5;

/// Values of version 2c that are none.
const NO_SUCH_OBJECT: u8 = 0x80;
const END_OF_MIB: u8 = 0x82;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    V1,
    V2c,
}

/// What went wrong, by the numbers of RFC 3416.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    NoSuchName = 2,
    BadValue = 3,
    GeneralError = 5,
    NoAccess = 6,
    WrongValue = 10,
    NotWritable = 17,
}

impl Status {
    /// The number that this version knows (RFC 3584 section 4.4).
    fn number(self, version: Version) -> i64 {
        let known = match (version, self) {
            (Version::V1, Self::NoAccess | Self::NotWritable) => Self::NoSuchName,
            (Version::V1, Self::WrongValue) => Self::BadValue,
            _ => self,
        };
        known as i64
    }
}

/// A request, as it came.
#[derive(Debug)]
struct Message<'a> {
    version: Version,
    community: &'a [u8],
    kind: u8,
    id: i64,
    /// Error status and index; of [`GET_BULK`] how many variables are not repeated, and how often
    /// the others are.
    numbers: [i64; 2],
    variables: Vec<(Oid, u8, &'a [u8])>,
}

impl<'a> Message<'a> {
    fn parse(datagram: &'a [u8]) -> Option<Self> {
        let mut message = Reader(datagram).sequence()?;
        let version = match message.integer()? {
            0 => Version::V1,
            1 => Version::V2c,
            _ => return None,
        };
        let community = message.expect(OCTETS)?;
        let (kind, contents) = message.element()?;
        let mut contents = Reader(contents);
        let id = contents.integer()?;
        let numbers = [contents.integer()?, contents.integer()?];
        let mut list = contents.sequence()?;
        let mut variables = Vec::new();
        while !list.is_empty() {
            let mut variable = list.sequence()?;
            let name = variable.oid()?;
            let (tag, value) = variable.element()?;
            variables.push((name, tag, value));
            if variables.len() > VARIABLES {
                return None;
            }
        }
        Some(Self {
            version,
            community,
            kind,
            id,
            numbers,
            variables,
        })
    }

    /// The answer with these variables, or with the request's own and what is wrong with which
    /// of them, from 1.
    fn answer(&self, result: Result<Vec<Vec<u8>>, (Status, usize)>) -> Vec<u8> {
        let (status, index, variables) = match result {
            Ok(variables) => (0, 0, variables),
            Err((status, index)) => (
                status.number(self.version),
                index as i64,
                self.variables
                    .iter()
                    .map(|(name, tag, value)| variable(name, &ber::element(*tag, value)))
                    .collect(),
            ),
        };
        let contents = [
            ber::encode_integer(self.id),
            ber::encode_integer(status),
            ber::encode_integer(index),
            ber::sequence(&variables),
        ];
        ber::sequence(&[
            ber::encode_integer(if self.version == Version::V1 { 0 } else { 1 }),
            ber::element(OCTETS, self.community),
            ber::element(RESPONSE, &contents.concat()),
        ])
    }
}

fn variable(name: &[u32], value: &[u8]) -> Vec<u8> {
    ber::sequence(&[ber::encode_oid(name), value.to_vec()])
}

/// Serves until it is dropped: one request after the other.
pub(super) async fn serve(socket: UdpSocket, outlets: Arc<Outlets>, community: String) {
    let mut buffer = vec![0; LARGEST];
    // Switching may take longer than a manager waits before it asks again: the same request is
    // answered again, and not done again.
    let mut last: Option<(SocketAddr, Vec<u8>, Vec<u8>)> = None;
    loop {
        // It fails only for an answer to somebody who is gone.
        let Ok((length, peer)) = socket.recv_from(&mut buffer).await else {
            crate::pause().await;
            continue;
        };
        let datagram = &buffer[..length];
        let answer = match &last {
            Some((whose, request, answer)) if *whose == peer && request == datagram => {
                Some(answer.clone())
            }
            _ => answer(datagram, &outlets, community.as_bytes()).await,
        };
        if let Some(answer) = answer {
            let _ = socket.send_to(&answer, peer).await;
            last = Some((peer, datagram.to_vec(), answer));
        }
    }
}

/// The answer to a datagram, if it is worth one.
async fn answer(datagram: &[u8], outlets: &Outlets, community: &[u8]) -> Option<Vec<u8>> {
    let message = Message::parse(datagram)?;
    let may_write = message.community == community;
    if !may_write && message.community != READER {
        return None;
    }
    let result = match message.kind {
        GET => get(&message, outlets).await,
        GET_NEXT => next(&message, outlets, message.variables.len(), 1).await,
        GET_BULK if message.version == Version::V2c => {
            let [single, repeated] = message.numbers.map(|number| usize::try_from(number).ok());
            let single = single.unwrap_or(0).min(message.variables.len());
            next(&message, outlets, single, repeated.unwrap_or(0)).await
        }
        SET if may_write => set(&message, outlets).await,
        SET => Ok(Err((Status::NoAccess, 1))),
        _ => return None,
    };
    match result {
        Ok(result) => Some(message.answer(result)),
        Err(Silence) => None,
    }
}

/// There is to be no answer.
struct Silence;

type Answered = Result<Result<Vec<Vec<u8>>, (Status, usize)>, Silence>;

async fn get(message: &Message<'_>, outlets: &Outlets) -> Answered {
    let mut variables = Vec::new();
    for (index, (name, _, _)) in message.variables.iter().enumerate() {
        match value(name, outlets).await? {
            Some(value) => variables.push(variable(name, &value)),
            None if message.version == Version::V1 => {
                return Ok(Err((Status::NoSuchName, index + 1)));
            }
            None => variables.push(variable(name, &ber::element(NO_SUCH_OBJECT, &[]))),
        }
    }
    Ok(Ok(variables))
}

/// What follows the first `single` variables, and up to `repeated` of what follows each of the
/// others.
async fn next(
    message: &Message<'_>,
    outlets: &Outlets,
    single: usize,
    repeated: usize,
) -> Answered {
    let names = all_names();
    let mut variables = Vec::new();
    for (index, (asked, _, _)) in message.variables.iter().enumerate() {
        let times = if index < single { 1 } else { repeated };
        let mut after = asked.clone();
        for _ in 0..times.min(VARIABLES - variables.len().min(VARIABLES)) {
            let following = names.iter().find(|name| **name > after);
            let value = match following {
                Some(name) => value(name, outlets).await?,
                None => None,
            };
            match (following, value) {
                (Some(name), Some(value)) => {
                    variables.push(variable(name, &value));
                    after.clone_from(name);
                }
                _ if message.version == Version::V1 => {
                    return Ok(Err((Status::NoSuchName, index + 1)));
                }
                _ => {
                    variables.push(variable(&after, &ber::element(END_OF_MIB, &[])));
                    break;
                }
            }
        }
    }
    Ok(Ok(variables))
}

async fn set(message: &Message<'_>, outlets: &Outlets) -> Answered {
    // All are looked at before one is done (RFC 3416 section 4.2.5).
    let mut requests = Vec::new();
    for (index, (name, tag, value)) in message.variables.iter().enumerate() {
        let refused = |status| Ok(Err((status, index + 1)));
        let outlet = match name.strip_prefix(&COMMAND[..]) {
            Some(&[4, outlet @ 1..=OUTLETS]) => outlet,
            _ => return refused(Status::NotWritable),
        };
        let request = match (*tag, ber::integer(value)) {
            (INTEGER, Some(1)) => Request::On,
            (INTEGER, Some(2)) => Request::Off,
            (INTEGER, Some(3)) => Request::Reboot(REBOOT),
            _ => return refused(Status::WrongValue),
        };
        requests.push((outlet, request));
    }
    for (index, (outlet, request)) in requests.into_iter().enumerate() {
        match outlets.switch(outlet, request).await {
            Ok(()) => {}
            Err(Refused::Silence) => return Err(Silence),
            Err(Refused::NoOutlet | Refused::Failed(_)) => {
                return Ok(Err((Status::GeneralError, index + 1)));
            }
        }
    }
    let echo = |(name, tag, value): &(Oid, u8, &[u8])| variable(name, &ber::element(*tag, value));
    Ok(Ok(message.variables.iter().map(echo).collect()))
}

/// Every name there is, in order.
fn all_names() -> Vec<Oid> {
    let mut names = vec![SYSTEM_DESCRIPTION.to_vec(), SYSTEM_NAME.to_vec()];
    for (table, column) in [(COMMAND, 4), (STATUS, 2), (STATUS, 4)] {
        for outlet in 1..=OUTLETS {
            names.push([&table[..], &[column, outlet]].concat());
        }
    }
    names
}

/// The value of a name, encoded.
async fn value(name: &[u32], outlets: &Outlets) -> Result<Option<Vec<u8>>, Silence> {
    let text = |text: &str| Ok(Some(ber::element(OCTETS, text.as_bytes())));
    if name == SYSTEM_DESCRIPTION {
        return text("a virtual lab rack, as an APC rack PDU");
    }
    if name == SYSTEM_NAME {
        return text("rack");
    }
    let tables = [(&COMMAND, 4), (&STATUS, 2), (&STATUS, 4)];
    let found =
        tables
            .into_iter()
            .find_map(|(table, column)| match name.strip_prefix(&table[..])? {
                &[asked, outlet @ 1..=OUTLETS] if asked == column => Some((column, outlet)),
                _ => None,
            });
    match found {
        None => Ok(None),
        Some((2, outlet)) => match outlets.boards.get(&outlet) {
            Some(board) => text(board.name()),
            None => text(""),
        },
        Some((_, outlet)) => match outlets.state(outlet).await {
            Ok(PowerState::On) => Ok(Some(ber::encode_integer(1))),
            Ok(PowerState::Off) => Ok(Some(ber::encode_integer(2))),
            Err(Refused::Silence) => Err(Silence),
            Err(Refused::NoOutlet | Refused::Failed(_)) => Ok(None),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio::sync::watch;

    fn outlets(behaviour: super::super::PduBehaviour) -> Outlets {
        Outlets {
            boards: std::collections::BTreeMap::new(),
            behaviour: watch::channel(behaviour).1,
        }
    }

    fn request(version: i64, community: &str, kind: u8, name: &[u32], value: &[u8]) -> Vec<u8> {
        let contents = [
            ber::encode_integer(77),
            ber::encode_integer(0),
            ber::encode_integer(if kind == GET_BULK { 100 } else { 0 }),
            ber::sequence(&[variable(name, value)]),
        ];
        ber::sequence(&[
            ber::encode_integer(version),
            ber::element(OCTETS, community.as_bytes()),
            ber::element(kind, &contents.concat()),
        ])
    }

    async fn ask(datagram: &[u8]) -> Option<Vec<u8>> {
        answer(
            datagram,
            &outlets(super::super::PduBehaviour::Honest),
            b"private",
        )
        .await
    }

    /// Error status, and how many variables.
    fn told(answer: &[u8]) -> (i64, usize) {
        let message = Message::parse(answer).unwrap();
        assert_eq!((message.kind, message.id), (RESPONSE, 77));
        (message.numbers[0], message.variables.len())
    }

    fn null() -> Vec<u8> {
        ber::element(0x05, &[])
    }

    #[tokio::test]
    async fn each_version_has_its_own_errors() {
        let outlet = [&COMMAND[..], &[4, 1]].concat();
        let wrong = [&COMMAND[..], &[4, 99]].concat();
        for (version, missing, value, access) in [(0, 2, 3, 2), (1, 0, 10, 6)] {
            let get = request(version, "public", GET, &wrong, &null());
            assert_eq!(told(&ask(&get).await.unwrap()).0, missing);
            let set = request(version, "private", SET, &outlet, &ber::encode_integer(9));
            assert_eq!(told(&ask(&set).await.unwrap()).0, value);
            let set = request(version, "public", SET, &outlet, &ber::encode_integer(1));
            assert_eq!(told(&ask(&set).await.unwrap()).0, access);
            let set = request(version, "private", SET, &outlet, &ber::encode_integer(1));
            assert_eq!(told(&ask(&set).await.unwrap()), (0, 1));
        }
    }

    #[tokio::test]
    async fn strangers_and_other_versions_get_no_answer() {
        let outlet = [&COMMAND[..], &[4, 1]].concat();
        assert_eq!(ask(&request(1, "guess", GET, &outlet, &null())).await, None);
        assert_eq!(
            ask(&request(3, "public", GET, &outlet, &null())).await,
            None
        );
        assert_eq!(
            ask(&request(0, "public", GET_BULK, &outlet, &null())).await,
            None
        );
    }

    #[tokio::test]
    async fn many_at_once_are_bounded() {
        let answer = ask(&request(1, "public", GET_BULK, &[1, 3], &null()))
            .await
            .unwrap();
        assert_eq!(told(&answer), (0, VARIABLES));
    }

    #[tokio::test]
    async fn a_silent_pdu_does_not_answer() {
        let outlet = [&COMMAND[..], &[4, 1]].concat();
        let silent = outlets(super::super::PduBehaviour::Unreachable);
        for (kind, value) in [(GET, null()), (SET, ber::encode_integer(1))] {
            let datagram = request(1, "private", kind, &outlet, &value);
            assert_eq!(answer(&datagram, &silent, b"private").await, None);
        }
    }

    #[test]
    fn names_are_in_order() {
        assert!(all_names().is_sorted());
    }

    proptest! {
        #[test]
        fn no_datagram_panics(
            garbage in proptest::collection::vec(any::<u8>(), 0..60),
            at in 0_usize..60,
            byte: u8,
        ) {
            let _ = Message::parse(&garbage);
            let mut valid = request(1, "public", GET, &SYSTEM_NAME, &null());
            let at = at % valid.len();
            valid[at] = byte;
            let _ = Message::parse(&valid);
        }
    }
}
