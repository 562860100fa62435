//! How the records of a [journal](crate::journal) lie in its file.
//!
//! A journal is a [prelude](PRELUDE_LEN) (magic, version, checksum) and then frames, one for each
//! entry, all numbers little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 4 | length of the payload |
//! | 1 | kind of the payload |
//! | 8 | [`Entry::at_micros`] |
//! | n | payload |
//! | 4 | CRC-32 (IEEE) of all of the above |
//!
//! What comes from the console is stored as the bytes that came (kinds 1 to 3), everything else as
//! compact JSON of the [`Record`] (kind 0). Nothing here does I/O: [`encode`] appends to a buffer
//! and [`decode`] takes one entry from the start of one. `decode` is total: any input gives an
//! entry, [`None`] when the frame is not complete (yet), or an error.

use super::{ConnectionId, Entry, Epoch, FORMAT, Record};

/// The first bytes of every journal.
pub const MAGIC: &[u8; 8] = b"PUMICE-J";

/// Length of what precedes the first frame: [`MAGIC`], the version, and the CRC-32 of both.
pub const PRELUDE_LEN: usize = 16;

/// The longest payload that is written or accepted, in bytes. It bounds the memory of a reader.
pub const MAX_PAYLOAD: usize = 16 << 20;

/// What a frame has beside its payload, in bytes.
pub const OVERHEAD: usize = HEAD + CHECKSUM;

/// How deeply values may nest; `serde_json` reads no more than 128 levels, records included.
const MAX_DEPTH: usize = 100;

const HEAD: usize = 13;
const CHECKSUM: usize = 4;

const KIND_JSON: u8 = 0;
const KIND_OUTPUT: u8 = 1;
const KIND_INPUT: u8 = 2;
const KIND_FLUSH_LINE: u8 = 3;

/// Why a record cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// It has more than [`MAX_PAYLOAD`] bytes.
    #[error("a record of {length} bytes is longer than the {MAX_PAYLOAD} a journal takes")]
    TooLong {
        /// Its length.
        length: usize,
    },
    /// It nests too deeply to be read again.
    #[error("a record nests more than {MAX_DEPTH} levels deep")]
    TooDeep,
    /// It has no JSON form: a path is not UTF-8.
    #[error("a record cannot be written: {0}")]
    Json(#[from] serde_json::Error),
}

/// Why bytes are not a journal, or not one of ours.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The magic is missing.
    #[error("not a journal: it does not begin with `PUMICE-J`")]
    NotAJournal,
    /// Somebody newer (or much older) wrote it.
    #[error(
        "the journal has format {found}, this program reads format {FORMAT}; use the version of \
         pumice that wrote it"
    )]
    UnknownVersion {
        /// What the journal says.
        found: u32,
    },
    /// The length of a frame cannot be right.
    #[error("a frame claims {length} bytes, more than the {MAX_PAYLOAD} a journal takes")]
    TooLong {
        /// The length it claims.
        length: usize,
    },
    /// The checksum does not fit the bytes.
    #[error("the checksum of a frame is wrong")]
    Checksum,
    /// The bytes are those that were written, but nobody knows this kind of record.
    #[error("a record has the unknown kind {0}")]
    UnknownKind(u8),
    /// The bytes are those that were written, but they are no record.
    #[error("a record is malformed: {0}")]
    Payload(String),
}

/// What every journal begins with.
pub fn prelude() -> [u8; PRELUDE_LEN] {
    let mut bytes = [0; PRELUDE_LEN];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    let checksum = crc32fast::hash(&bytes[..12]);
    bytes[12..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// Checks what a journal begins with; gives the number of bytes to skip, or `None` when there are
/// not enough of them yet.
///
/// # Errors
/// The bytes are not a journal, or one of an unknown version.
pub fn check_prelude(bytes: &[u8]) -> Result<Option<usize>, DecodeError> {
    let known = bytes.len().min(MAGIC.len());
    if bytes[..known] != MAGIC[..known] {
        return Err(DecodeError::NotAJournal);
    }
    if bytes.len() < PRELUDE_LEN {
        return Ok(None);
    }
    if read_u32(&bytes[12..]) != crc32fast::hash(&bytes[..12]) {
        return Err(DecodeError::Checksum);
    }
    let found = read_u32(&bytes[8..]);
    if found != FORMAT {
        return Err(DecodeError::UnknownVersion { found });
    }
    Ok(Some(PRELUDE_LEN))
}

/// Appends one entry to `out`; on an error `out` is as it was.
///
/// A measurement that is not a finite number is lost (JSON has none): it reads back as no
/// measurement, and views treat it so from the start.
///
/// # Errors
/// The record is too long, too deep, or has a path that is not UTF-8.
pub fn encode(at_micros: u64, record: &Record, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let start = out.len();
    let result = encode_frame(at_micros, record, out, start);
    if result.is_err() {
        out.truncate(start);
    }
    result
}

fn encode_frame(
    at_micros: u64,
    record: &Record,
    out: &mut Vec<u8>,
    start: usize,
) -> Result<(), EncodeError> {
    let kind = match record {
        Record::Output { .. } => KIND_OUTPUT,
        Record::Input { .. } => KIND_INPUT,
        Record::FlushLine { .. } => KIND_FLUSH_LINE,
        _ => KIND_JSON,
    };
    out.extend_from_slice(&[0; 4]);
    out.push(kind);
    out.extend_from_slice(&at_micros.to_le_bytes());
    match record {
        Record::Output {
            connection,
            epoch,
            bytes,
        } => {
            check_length(bytes.len() + 6)?;
            out.extend_from_slice(&connection.0.to_le_bytes());
            out.extend_from_slice(&epoch.0.to_le_bytes());
            out.extend_from_slice(bytes);
        }
        Record::Input { connection, bytes } => {
            check_length(bytes.len() + 2)?;
            out.extend_from_slice(&connection.0.to_le_bytes());
            out.extend_from_slice(bytes);
        }
        Record::FlushLine { connection } => out.extend_from_slice(&connection.0.to_le_bytes()),
        other => {
            if !values_are_shallow(other) {
                return Err(EncodeError::TooDeep);
            }
            serde_json::to_writer(&mut *out, other)?;
        }
    }
    let length = check_length(out.len() - start - HEAD)?;
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    let checksum = crc32fast::hash(&out[start..]);
    out.extend_from_slice(&checksum.to_le_bytes());
    Ok(())
}

fn check_length(length: usize) -> Result<u32, EncodeError> {
    u32::try_from(length)
        .ok()
        .filter(|_| length <= MAX_PAYLOAD)
        .ok_or(EncodeError::TooLong { length })
}

/// The values that come from a job's definition are the only ones without a fixed depth.
fn values_are_shallow(record: &Record) -> bool {
    match record {
        Record::Description(value) => is_shallow(value, MAX_DEPTH),
        Record::Result(result) => {
            let mut values = result.fields.iter().map(|(_, value)| value);
            let mut extra = result.extra.values();
            values.all(|value| is_shallow(value, MAX_DEPTH))
                && extra.all(|value| is_shallow(value, MAX_DEPTH))
        }
        _ => true,
    }
}

fn is_shallow(value: &serde_json::Value, allowed: usize) -> bool {
    match value {
        serde_json::Value::Array(items) => {
            allowed > 0 && items.iter().all(|item| is_shallow(item, allowed - 1))
        }
        serde_json::Value::Object(map) => {
            allowed > 0 && map.values().all(|item| is_shallow(item, allowed - 1))
        }
        _ => true,
    }
}

/// Takes the entry at the start of `bytes`: the entry and how many bytes it took, or `None` when
/// the frame is not complete: the file is still growing, or its tail was torn off.
///
/// # Errors
/// The bytes are not what was written, or a record that nobody knows.
pub fn decode(bytes: &[u8]) -> Result<Option<(Entry, usize)>, DecodeError> {
    if bytes.len() < 4 {
        return Ok(None);
    }
    let length = usize::try_from(read_u32(bytes)).unwrap_or(usize::MAX);
    if length > MAX_PAYLOAD {
        return Err(DecodeError::TooLong { length });
    }
    let end = HEAD + length;
    if bytes.len() < end + CHECKSUM {
        return Ok(None);
    }
    if read_u32(&bytes[end..]) != crc32fast::hash(&bytes[..end]) {
        return Err(DecodeError::Checksum);
    }
    let mut at_micros = [0; 8];
    at_micros.copy_from_slice(&bytes[5..HEAD]);
    let record = decode_payload(bytes[4], &bytes[HEAD..end])?;
    let entry = Entry {
        at_micros: u64::from_le_bytes(at_micros),
        record,
    };
    Ok(Some((entry, end + CHECKSUM)))
}

fn decode_payload(kind: u8, payload: &[u8]) -> Result<Record, DecodeError> {
    let short = || DecodeError::Payload("it is too short".into());
    let connection = || {
        let bytes = payload.first_chunk::<2>().ok_or_else(short)?;
        Ok(ConnectionId(u16::from_le_bytes(*bytes)))
    };
    match kind {
        KIND_JSON => {
            serde_json::from_slice(payload).map_err(|error| DecodeError::Payload(error.to_string()))
        }
        KIND_OUTPUT => Ok(Record::Output {
            connection: connection()?,
            epoch: Epoch(read_u32(payload.get(2..6).ok_or_else(short)?)),
            bytes: payload[6..].to_vec(),
        }),
        KIND_INPUT => Ok(Record::Input {
            connection: connection()?,
            bytes: payload[2..].to_vec(),
        }),
        KIND_FLUSH_LINE => Ok(Record::FlushLine {
            connection: connection()?,
        }),
        unknown => Err(DecodeError::UnknownKind(unknown)),
    }
}

/// The first four bytes as a number; the caller checked that they are there.
fn read_u32(bytes: &[u8]) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[..4]);
    u32::from_le_bytes(number)
}
