//! What the thread of a sink does.

use super::{OutputPlan, Source, Written, intake::Intake};
use crate::{
    archive::{ArchiveError, Compression},
    download::failure::Failure,
};
use std::{
    fs::File,
    io::{self, Read, Write},
    sync::{Arc, atomic::AtomicBool},
};

/// How much is moved at once.
const COPY_BUFFER: usize = 64 << 10;

/// One download's bytes, from where they come to where they go.
pub(super) struct Work {
    pub(super) source: Source,
    pub(super) output: File,
    pub(super) keep: Option<File>,
    pub(super) total: Option<u64>,
    pub(super) plan: OutputPlan,
    pub(super) canceled: Arc<AtomicBool>,
}

impl Work {
    pub(super) fn run(self) -> Result<Written, Failure> {
        let Self {
            source,
            mut output,
            keep,
            total,
            plan,
            canceled,
        } = self;
        let decode = plan.compression.filter(|&kind| kind != Compression::Zip);
        let failed = |error| Failure::write(&plan.destination, error, total);
        let (source, shared) = match decode {
            None => share_blocks(source, &output).map_err(failed)?,
            Some(_) => (source, false),
        };
        let mut intake = Intake::new(source, &plan, keep, canceled);
        let moved = match decode {
            None if shared => copy(&mut intake, &mut io::sink(), u64::MAX),
            None => copy(&mut intake, &mut output, u64::MAX),
            Some(kind) => decompress(
                kind,
                &mut intake,
                &mut output,
                plan.limits.decompressed_bytes,
            ),
        };
        let Err(error) = moved else {
            return Ok(intake.finish());
        };
        Err(intake.take_failure().unwrap_or_else(|| match error {
            Moved::Read(error) => Failure::Archive(ArchiveError::from_read(error, None)),
            Moved::TooLarge(limit) => Failure::Archive(ArchiveError::TooLarge { limit }),
            Moved::Write(error) => failed(error),
        }))
    }
}

/// Lets the output share the blocks of a local file where the file system can; then nothing has to
/// be copied, and what was made is read for its digest.
fn share_blocks(source: Source, output: &File) -> io::Result<(Source, bool)> {
    match source {
        Source::File {
            file,
            path,
            progress,
        } if rustix::fs::ioctl_ficlone(output, &file).is_ok() => Ok((
            Source::File {
                file: output.try_clone()?,
                path,
                progress,
            },
            true,
        )),
        source => Ok((source, false)),
    }
}

/// Why moving bytes ended early.
enum Moved {
    Read(io::Error),
    Write(io::Error),
    TooLarge(u64),
}

fn decompress(
    kind: Compression,
    intake: &mut Intake,
    output: &mut File,
    limit: u64,
) -> Result<(), Moved> {
    if let Some(mut decoder) = kind.decoder(&mut *intake).map_err(Moved::Read)? {
        copy(&mut decoder, output, limit)?;
    }
    // Whatever a decoder leaves unread belongs to the digest all the same.
    copy(intake, &mut io::sink(), u64::MAX)
}

fn copy(input: &mut impl Read, output: &mut impl Write, limit: u64) -> Result<(), Moved> {
    let mut buffer = vec![0; COPY_BUFFER];
    let mut moved = 0_u64;
    loop {
        let count = match input.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Moved::Read(error)),
        };
        moved += count as u64;
        if moved > limit {
            return Err(Moved::TooLarge(limit));
        }
        output.write_all(&buffer[..count]).map_err(Moved::Write)?;
    }
}
