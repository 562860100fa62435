//! Tar archives as images: every member is copied as it is, then come the overlays.

use super::{
    Injection, Output,
    entry::{Contents, Entry, Kind},
    feed_all,
    names::{Names, from_bytes},
    note_overlays,
    sink::Sink,
};
use crate::overlay::{
    Note,
    files::{io_fault, read_fault, write_fault},
    packing::Packing,
};
use fs_err as fs;
use job::Fault;
use std::{
    io::{self, BufRead, BufReader, BufWriter, Read, Write},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};
use tokio_util::sync::CancellationToken;

/// The longest long name or set of pax records that is taken into memory.
const LONGEST_EXTENSION: u64 = 1 << 20;

/// Writes the image with its overlays to `output`, compressed as the image is.
pub(super) fn extend(
    injection: &Injection<'_>,
    output: &Output<'_>,
    cancel: &CancellationToken,
    notes: &mut Vec<Note>,
) -> Result<u64, Fault> {
    let failed = output.failed();
    let (file, _) = fs::File::open(injection.image)
        .map_err(|error| io_fault(&error))?
        .into_parts();
    let mut input = BufReader::with_capacity(1 << 16, file);
    let start = input
        .fill_buf()
        .map_err(|error| read_fault(injection.image, &error))?;
    let packing = Packing::sniff(start).unwrap_or(Packing::Plain);
    let mut decoder = packing
        .file_decoder(input)
        .map_err(|error| unusable(injection.image, &error))?;
    let writer = BufWriter::new(output.file.as_file());
    let mut encoder = packing.encoder(writer).map_err(&failed)?;

    notes.push(Note::debug(format!("* copying ({})", packing.name())));
    let mut copy = Copy {
        names: Names::default(),
        image: injection.image,
        output: injection.output,
        cancel,
    };
    copy.members(&mut decoder, &mut encoder)?;
    note_overlays(injection.overlays, notes);
    let mut sink = TarSink {
        builder: tar::Builder::new(encoder),
        path: injection.output.to_owned(),
    };
    let added = feed_all(injection.overlays, &mut copy.names, &mut sink, cancel)?;
    let encoder = sink.builder.into_inner().map_err(&failed)?;
    let mut writer = encoder.finish().map_err(&failed)?;
    writer.flush().map_err(&failed)?;
    Ok(added)
}

struct Copy<'a> {
    names: Names,
    image: &'a Path,
    output: &'a Path,
    cancel: &'a CancellationToken,
}

impl Copy<'_> {
    /// Copies all members, headers and all, up to the end mark.
    fn members(&mut self, input: &mut dyn Read, output: &mut impl Write) -> Result<(), Fault> {
        let image = self.image;
        let failed = |error: io::Error| unusable(image, &error);
        let mut archive = tar::Archive::new(input);
        let (mut long_name, mut long_target) = (None, None);
        let mut any = false;
        for member in archive.entries().map_err(failed)?.raw(true) {
            let mut member = member.map_err(failed)?;
            any = true;
            let header = member.header().clone();
            let kind = header.entry_type();
            let size = member.size();
            output
                .write_all(header.as_bytes())
                .map_err(|error| write_fault(self.output, &error))?;
            if kind.is_gnu_longname() || kind.is_gnu_longlink() || kind.is_pax_local_extensions() {
                let text = self.extension(&mut member, size, output)?;
                if kind.is_gnu_longname() {
                    long_name = Some(without_nul(text));
                } else if kind.is_gnu_longlink() {
                    long_target = Some(without_nul(text));
                } else {
                    for record in tar::PaxExtensions::new(&text).flatten() {
                        match record.key_bytes() {
                            b"path" => long_name = Some(record.value_bytes().to_vec()),
                            b"linkpath" => long_target = Some(record.value_bytes().to_vec()),
                            _ => {}
                        }
                    }
                }
                continue;
            }
            let mut contents = Contents {
                reader: &mut member,
                source: image,
                unreadable: unusable,
                cancel: self.cancel,
            };
            contents.copy(size, output, self.output)?;
            self.pad(size, output)?;
            let name = long_name
                .take()
                .unwrap_or_else(|| header.path_bytes().into_owned());
            let target = long_target.take().or_else(|| {
                let name = header.link_name_bytes()?;
                Some(name.into_owned())
            });
            self.note(kind, &name, target.as_deref().unwrap_or_default())?;
        }
        if !any {
            return Err(Fault::job(format!(
                "{} is no tar archive: there is no file in it",
                self.image.display()
            )));
        }
        Ok(())
    }

    fn extension(
        &self,
        member: &mut impl Read,
        size: u64,
        output: &mut impl Write,
    ) -> Result<Vec<u8>, Fault> {
        if size > LONGEST_EXTENSION {
            return Err(Fault::job(format!(
                "{} has a name of {size} bytes",
                self.image.display()
            )));
        }
        let mut text = Vec::new();
        member
            .read_to_end(&mut text)
            .map_err(|error| unusable(self.image, &error))?;
        output
            .write_all(&text)
            .map_err(|error| write_fault(self.output, &error))?;
        self.pad(size, output)?;
        Ok(text)
    }

    fn pad(&self, size: u64, output: &mut impl Write) -> Result<(), Fault> {
        let padding = (512 - size % 512) % 512;
        output
            .write_all(&[0; 512][..padding as usize])
            .map_err(|error| write_fault(self.output, &error))
    }

    fn note(&mut self, kind: tar::EntryType, name: &[u8], target: &[u8]) -> Result<(), Fault> {
        let path = from_bytes(name);
        if kind.is_dir() {
            self.names.add_directory(&path)
        } else if kind.is_symlink() {
            let target = std::ffi::OsStr::from_bytes(target);
            self.names.add_link(&path, Path::new(target))
        } else {
            self.names.remove(&path);
            Ok(())
        }
    }
}

/// Writes members of a tar archive.
struct TarSink<W: Write> {
    builder: tar::Builder<W>,
    path: PathBuf,
}

impl<W: Write> Sink for TarSink<W> {
    fn add(&mut self, entry: &Entry, contents: &mut Contents<'_>) -> Result<(), Fault> {
        use tar::EntryType as Type;
        let mut header = tar::Header::new_gnu();
        header.set_mode(entry.permissions);
        header.set_uid(entry.uid.into());
        header.set_gid(entry.gid.into());
        header.set_mtime(entry.modified.into());
        header.set_size(0);
        let mut link = None;
        let mut device = |kind: Type, (major, minor): (u32, u32)| {
            header.set_entry_type(kind);
            header
                .set_device_major(major)
                .and_then(|()| header.set_device_minor(minor))
        };
        let failed = |error: io::Error| write_fault(&self.path, &error);
        match &entry.kind {
            Kind::CharacterDevice { numbers } => device(Type::Char, *numbers).map_err(failed)?,
            Kind::BlockDevice { numbers } => device(Type::Block, *numbers).map_err(failed)?,
            Kind::Pipe => header.set_entry_type(Type::Fifo),
            Kind::Directory => header.set_entry_type(Type::Directory),
            Kind::SymbolicLink { target } => {
                header.set_entry_type(Type::Symlink);
                link = Some(target);
            }
            Kind::HardLink { target } => {
                header.set_entry_type(Type::Link);
                link = Some(target);
            }
            Kind::File { size, .. } => {
                header.set_size(*size);
                // The name and the header first, then the contents, so that errors of the two
                // sides are told apart.
                let mut checked = CheckedReader {
                    contents,
                    fault: None,
                    left: *size,
                };
                let result = self
                    .builder
                    .append_data(&mut header, &entry.path, &mut checked);
                if let Some(fault) = checked.fault {
                    return Err(fault);
                }
                return result.map_err(failed);
            }
        }
        let path = match entry.kind {
            // With a slash at its end, as tar(1) writes directories.
            Kind::Directory => entry.path.join(""),
            _ => entry.path.clone(),
        };
        match link {
            Some(target) => self.builder.append_link(&mut header, &path, target),
            None => self.builder.append_data(&mut header, &path, io::empty()),
        }
        .map_err(failed)
    }
}

/// Remembers faults of the reading side.
struct CheckedReader<'a, 'b> {
    contents: &'a mut Contents<'b>,
    fault: Option<Fault>,
    left: u64,
}

impl Read for CheckedReader<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let source = self.contents.source;
        let mut slice = &mut buffer[..length];
        match self.contents.copy(length as u64, &mut slice, source) {
            Ok(()) => {
                self.left -= length as u64;
                Ok(length)
            }
            Err(fault) => {
                self.fault = Some(fault);
                Err(io::ErrorKind::Other.into())
            }
        }
    }
}

fn without_nul(mut text: Vec<u8>) -> Vec<u8> {
    while text.last() == Some(&0) {
        text.pop();
    }
    text
}

/// An image that is no tar archive, or cannot be read.
fn unusable(image: &Path, error: &io::Error) -> Fault {
    if error.raw_os_error().is_some() {
        return read_fault(image, error);
    }
    Fault::job(format!(
        "{} is no usable tar archive: {error}",
        image.display()
    ))
    .with_hint(
        "'format: tar' is for tar archives, plain or compressed with gzip, bzip2, xz or zstd",
    )
}
