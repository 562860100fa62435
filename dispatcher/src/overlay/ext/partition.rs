//! Where the partitions of a disk image are.

use crate::overlay::files::{io_fault, read_fault};
use fs_err as fs;
use job::Fault;
use std::{
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

const SECTOR: u64 = 512;

/// Offset in bytes of the partition number `index`, counted from 0 as LAVA does, among those
/// that are in use. Reads GPT (UEFI specification, chapter 5) and the four entries of an MBR.
pub(super) fn offset(image: &Path, index: u32) -> Result<u64, Fault> {
    let (mut file, _) = fs::File::open(image)
        .map_err(|error| io_fault(&error))?
        .into_parts();
    let partitions = partitions(&mut file).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => Fault::job(format!(
            "{} has no partition table that can be read",
            image.display()
        ))
        .with_hint("leave out 'partition' when the image is a file system itself"),
        _ => read_fault(image, &error),
    })?;
    partitions.get(index as usize).copied().ok_or_else(|| {
        Fault::job(format!(
            "{} has {} partitions, the job asks for number {index}",
            image.display(),
            partitions.len()
        ))
        .with_hint("partitions are counted from 0")
    })
}

fn partitions(file: &mut (impl Read + Seek)) -> io::Result<Vec<u64>> {
    let mut mbr = [0; SECTOR as usize];
    file.read_exact(&mut mbr)?;
    if mbr[510..] != [0x55, 0xaa] {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let entries: Vec<&[u8]> = mbr[446..510].chunks_exact(16).collect();
    /// The one entry that protects a GPT from tools that know none.
    const PROTECTIVE: u8 = 0xee;
    if entries.iter().any(|entry| entry[4] == PROTECTIVE) {
        return gpt(file);
    }
    Ok(entries
        .iter()
        .filter(|entry| entry[4] != 0)
        .map(|entry| u64::from(number32(&entry[8..])) * SECTOR)
        .collect())
}

fn gpt(file: &mut (impl Read + Seek)) -> io::Result<Vec<u64>> {
    /// More is never seen: 128 is usual.
    const MOST: u32 = 1024;
    let mut header = [0; 92];
    file.seek(SeekFrom::Start(SECTOR))?;
    file.read_exact(&mut header)?;
    let (count, size) = (number32(&header[80..]), number32(&header[84..]));
    if &header[..8] != b"EFI PART" || count > MOST || !(128..=4096).contains(&size) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let table = number64(&header[72..])
        .checked_mul(SECTOR)
        .ok_or(io::ErrorKind::InvalidData)?;
    file.seek(SeekFrom::Start(table))?;
    let mut found = Vec::new();
    let mut entry = vec![0; size as usize];
    for _ in 0..count {
        file.read_exact(&mut entry)?;
        if entry[..16] != [0; 16] {
            let start = number64(&entry[32..]).checked_mul(SECTOR);
            found.push(start.ok_or(io::ErrorKind::InvalidData)?);
        }
    }
    Ok(found)
}

fn number32(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

fn number64(bytes: &[u8]) -> u64 {
    u64::from(number32(bytes)) | u64::from(number32(&bytes[4..])) << 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mbr(types: &[(u8, u32)]) -> Vec<u8> {
        let mut sector = vec![0; 512];
        for (index, (kind, start)) in types.iter().enumerate() {
            let at = 446 + index * 16;
            sector[at + 4] = *kind;
            sector[at + 8..at + 12].copy_from_slice(&start.to_le_bytes());
        }
        sector[510..].copy_from_slice(&[0x55, 0xaa]);
        sector
    }

    #[test]
    fn entries_in_use_are_counted() {
        let sector = mbr(&[(0x0c, 2048), (0, 0), (0x83, 4096)]);
        let found = partitions(&mut io::Cursor::new(sector)).unwrap();
        assert_eq!(found, [2048 * 512, 4096 * 512]);
    }

    #[test]
    fn a_gpt_is_read_behind_its_protection() {
        let mut disk = mbr(&[(0xee, 1)]);
        disk.resize(512 * 34, 0);
        disk[512..520].copy_from_slice(b"EFI PART");
        disk[512 + 72] = 2;
        disk[512 + 80] = 4;
        disk[512 + 84] = 128;
        for (index, start) in [(0_usize, 2048_u64), (2, 8192)] {
            let at = 1024 + index * 128;
            disk[at] = 1;
            disk[at + 32..at + 40].copy_from_slice(&start.to_le_bytes());
        }
        let found = partitions(&mut io::Cursor::new(disk)).unwrap();
        assert_eq!(found, [2048 * 512, 8192 * 512]);
    }

    proptest! {
        #[test]
        fn any_disk_is_read_or_refused(mut disk in proptest::collection::vec(any::<u8>(), 512..4096)) {
            disk[510..512].copy_from_slice(&[0x55, 0xaa]);
            disk[450] = 0xee;
            if disk.len() > 700 {
                disk[512..520].copy_from_slice(b"EFI PART");
            }
            let _ = partitions(&mut io::Cursor::new(disk));
        }
    }
}
