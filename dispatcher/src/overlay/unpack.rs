//! Test definitions that come as archives.

use super::files::{io_fault, read_fault};
use crate::archive::{ArchiveError, Compression, UnpackOptions, unpack_tar};
use job::Fault;
use plan::step::{DefinitionSource, ShellDefinition};
use std::{
    io::{self, Read},
    path::Path,
};

/// Unpacks the archive of a definition.
pub(super) fn definition(
    test: &ShellDefinition,
    path: &Path,
    directory: &Path,
) -> Result<(), Fault> {
    let DefinitionSource::Url {
        repository,
        compression,
        strip_components,
        ..
    } = &test.source
    else {
        return Err(Fault::bug("only definitions at a URL are archives"));
    };
    let unusable = |error: ArchiveError| error.into_fault(repository);
    let (mut file, _) = fs_err::File::open(path)
        .map_err(|error| io_fault(&error))?
        .into_parts();
    let mut start = Vec::new();
    file.by_ref()
        .take(6)
        .read_to_end(&mut start)
        .map_err(|error| read_fault(path, &error))?;
    let declared = || compression.as_deref()?.parse().ok();
    // What the archive itself says is believed.
    let compression: Option<Compression> = Compression::sniff(&start).or_else(declared);
    let options = UnpackOptions {
        strip_components: *strip_components,
        refuse_outward_links: true,
        ..UnpackOptions::default()
    };
    let input = io::Cursor::new(start).chain(file);
    let unpacked = match compression {
        None => unpack_tar(input, directory, &options),
        Some(compression) => {
            let decoder = compression
                .decoder(input)
                .map_err(|error| read_fault(path, &error))?
                .ok_or_else(|| {
                    Fault::job(format!("{repository} is a zip archive"))
                        .with_hint("test definitions are fetched as tar archives")
                })?;
            unpack_tar(decoder, directory, &options)
        }
    };
    unpacked.map(|_| ()).map_err(unusable)
}
