//! U-Boot's legacy image header: 64 bytes before a kernel or a ramdisk, as `mkimage` writes them.
//!
//! Source of the layout: `include/image.h` of U-Boot, stable since 2000. All numbers are big
//! endian; the two checksums are CRC-32.

use crc32fast::Hasher;
use fs_err as fs;
use job::Fault;
use plan::step::netboot::ImageHeader;
use std::{
    io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write},
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

/// The length of a header.
const LENGTH: usize = 64;
const MAGIC: u32 = 0x2705_1956;
const OS_LINUX: u8 = 5;

/// What an image is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A kernel.
    Kernel,
    /// A ramdisk.
    Ramdisk,
}

/// mkimage's names of architectures, and their numbers in the header.
const ARCHITECTURES: [(&str, u8); 17] = [
    ("alpha", 1),
    ("arm", 2),
    ("x86", 3),
    ("ia64", 4),
    ("mips", 5),
    ("mips64", 6),
    ("powerpc", 7),
    ("ppc", 7),
    ("s390", 8),
    ("sh", 9),
    ("sparc", 10),
    ("sparc64", 11),
    ("m68k", 12),
    ("nios2", 15),
    ("arm64", 22),
    ("x86_64", 24),
    ("riscv", 26),
];

/// Writes `input` with a header to `output`.
///
/// # Errors
/// A fault of the configuration for an architecture that U-Boot does not have, of the
/// infrastructure when a file cannot be read or written.
pub fn write(header: &ImageHeader, kind: Kind, input: &Path, output: &Path) -> Result<(), Fault> {
    let known = ARCHITECTURES
        .iter()
        .find(|(name, _)| *name == header.architecture);
    let Some((_, architecture)) = known else {
        let known: Vec<_> = ARCHITECTURES.iter().map(|(name, _)| *name).collect();
        return Err(Fault::configuration(format!(
            "U-Boot has no architecture '{}' for its headers",
            header.architecture
        ))
        .with_hint(format!("`mkimage_arch` is one of: {}", known.join(", "))));
    };
    copy_behind(header, kind, *architecture, input, output)
        .map_err(|error| crate::run::fault::of_io(&error))
}

fn copy_behind(
    header: &ImageHeader,
    kind: Kind,
    architecture: u8,
    input: &Path,
    output: &Path,
) -> io::Result<()> {
    let mut input = BufReader::new(fs::File::open(input)?);
    let mut output = BufWriter::new(fs::File::create(output)?);
    output.write_all(&[0; LENGTH])?;
    let mut checksum = Hasher::new();
    let mut length = 0_u64;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = input.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        checksum.update(&buffer[..read]);
        output.write_all(&buffer[..read])?;
        length += read as u64;
    }
    let length = u32::try_from(length).map_err(|_| {
        io::Error::new(
            io::ErrorKind::FileTooLarge,
            "U-Boot's images have less than 4 GiB",
        )
    })?;
    let mut bytes = [0; LENGTH];
    let time = SystemTime::now().duration_since(UNIX_EPOCH);
    let time = time.map_or(0, |time| time.as_secs()) as u32;
    // A kernel that runs where it lies is entered behind the header.
    let behind = if header.in_place { LENGTH as u32 } else { 0 };
    let words = [
        MAGIC,
        0,
        time,
        length,
        header.address,
        header.address.wrapping_add(behind),
        checksum.finalize(),
    ];
    for (slot, word) in bytes.chunks_exact_mut(4).zip(words) {
        slot.copy_from_slice(&word.to_be_bytes());
    }
    let kind = match kind {
        Kind::Kernel => 2,
        Kind::Ramdisk => 3,
    };
    bytes[28..32].copy_from_slice(&[OS_LINUX, architecture, kind, 0]);
    let of_header = crc32fast::hash(&bytes);
    bytes[4..8].copy_from_slice(&of_header.to_be_bytes());
    output.seek(SeekFrom::Start(0))?;
    output.write_all(&bytes)?;
    output.flush()
}

/// Writes `input` without its header to `output`.
///
/// # Errors
/// A fault of the job when there is no header, of the infrastructure when a file cannot be read
/// or written.
pub fn strip(input: &Path, output: &Path) -> Result<(), Fault> {
    let failed = |error: io::Error| crate::run::fault::of_io(&error);
    let mut file = fs::File::open(input).map_err(failed)?;
    let mut header = [0; LENGTH];
    let read = file.read_exact(&mut header);
    if read.is_err() || header[..4] != MAGIC.to_be_bytes() {
        let shown = input.display();
        return Err(Fault::job(format!("{shown} has no header of U-Boot's"))
            .with_hint("leave `header: u-boot` out of the job's `ramdisk`"));
    }
    let mut output = fs::File::create(output).map_err(failed)?;
    io::copy(&mut file, &mut output).map_err(failed)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(architecture: &str) -> ImageHeader {
        ImageHeader {
            architecture: architecture.to_owned(),
            address: 0x4040_0000,
            in_place: false,
        }
    }

    #[test]
    fn a_header_is_written_and_taken_off() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("ramdisk"), vec![7; 100_000]).unwrap();
        write(
            &header("arm64"),
            Kind::Ramdisk,
            &path("ramdisk"),
            &path("image"),
        )
        .unwrap();
        let image = fs::read(path("image")).unwrap();
        assert_eq!(image.len(), 100_064);
        assert_eq!(image[28..32], [5, 22, 3, 0]);
        let mut unsigned = image[..64].to_vec();
        unsigned[4..8].fill(0);
        assert_eq!(image[4..8], crc32fast::hash(&unsigned).to_be_bytes());
        strip(&path("image"), &path("again")).unwrap();
        assert_eq!(fs::read(path("again")).unwrap(), vec![7; 100_000]);
        let fault = strip(&path("ramdisk"), &path("again")).unwrap_err();
        assert_eq!(fault.class, job::FaultClass::Job);
    }

    #[test]
    fn an_unknown_architecture_is_the_devices_mistake() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x");
        let fault = write(&header("arm65"), Kind::Kernel, &path, &path).unwrap_err();
        assert_eq!(fault.class, job::FaultClass::Configuration);
        assert!(fault.hint.unwrap().contains("arm64"));
    }
}
