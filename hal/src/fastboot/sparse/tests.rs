//! Sparse images: what is split is whole again, and nothing a file says can hurt.

use super::*;
use proptest::prelude::*;
use std::io::Read;

/// A block of a raw image.
#[derive(Clone, Copy, Debug)]
enum Block {
    Zeros,
    Repeated([u8; 4]),
    Noise(u64),
}

/// A raw image whose last block may be short: its blocks, and how much of the last is missing.
#[derive(Clone, Debug)]
struct Raw(Vec<Block>, usize);

impl Raw {
    fn bytes(&self) -> Vec<u8> {
        let bytes = |block: &Block| match *block {
            Block::Zeros => vec![0; BLOCK as usize],
            Block::Repeated(word) => word.repeat(BLOCK as usize / 4),
            Block::Noise(seed) => noise(seed),
        };
        let mut image: Vec<u8> = self.0.iter().flat_map(bytes).collect();
        image.truncate(image.len().saturating_sub(self.1));
        image
    }
}

fn raw_image() -> impl Strategy<Value = Raw> {
    let block = prop_oneof![
        Just(Block::Zeros),
        any::<[u8; 4]>().prop_map(Block::Repeated),
        any::<u64>().prop_map(Block::Noise),
    ];
    (proptest::collection::vec(block, 0..40), 0..BLOCK as usize)
        .prop_map(|(blocks, cut)| Raw(blocks, cut))
}

/// A block that repeats nothing.
fn noise(seed: u64) -> Vec<u8> {
    let step = |state: &mut u64| {
        *state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        Some((*state >> 56) as u8)
    };
    std::iter::successors(Some(seed | 1), |_| None)
        .flat_map(|seed| std::iter::repeat(()).scan(seed, move |state, ()| step(state)))
        .take(BLOCK as usize)
        .collect()
}

fn read_all(part: &Part, source: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    part.reader(Arc::new(source.to_vec()))
        .read_to_end(&mut bytes)
        .unwrap();
    bytes
}

/// Writes an image over `flash`.
fn apply(image: &Vec<u8>, flash: &mut [u8]) -> Result<(), SparseError> {
    Layout::of_sparse(image)?.expand(image, |offset, bytes| {
        let start = offset as usize;
        flash[start..start + bytes.len()].copy_from_slice(bytes);
        Ok(())
    })
}

fn padded(image: &[u8]) -> Vec<u8> {
    let mut image = image.to_vec();
    image.resize(image.len().next_multiple_of(BLOCK as usize), 0);
    image
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn parts_of_a_raw_image_make_it_again(raw in raw_image(), limit in 5000_u64..100_000) {
        let image = raw.bytes();
        let layout = Layout::of_raw(&image).unwrap();
        let mut flash = vec![0xA5; padded(&image).len()];
        for part in layout.split(limit).unwrap() {
            let bytes = read_all(&part, &image);
            prop_assert_eq!(bytes.len() as u64, part.size());
            prop_assert!(part.size() <= limit);
            apply(&bytes, &mut flash).unwrap();
        }
        prop_assert_eq!(flash, padded(&image));
    }

    #[test]
    fn parts_of_a_sparse_image_make_it_again(raw in raw_image(), limit in 5000_u64..100_000) {
        let image = raw.bytes();
        let layout = Layout::of_raw(&image).unwrap();
        let whole = read_all(&layout.split(u64::MAX).unwrap()[0], &image);
        let again = Layout::of_sparse(&whole).unwrap();
        let mut flash = vec![0xA5; padded(&image).len()];
        for part in again.split(limit).unwrap() {
            prop_assert!(part.size() <= limit);
            apply(&read_all(&part, &whole), &mut flash).unwrap();
        }
        prop_assert_eq!(flash, padded(&image));
    }

    #[test]
    fn damaged_images_are_refused_or_read(
        raw in raw_image(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let image = raw.bytes();
        let layout = Layout::of_raw(&image).unwrap();
        let mut sparse = read_all(&layout.split(u64::MAX).unwrap()[0], &image);
        for (at, byte) in damage {
            // Mostly the headers: data may be anything.
            let at = at.index(sparse.len().min(200));
            sparse[at] = byte;
        }
        sparse.truncate(cut.index(sparse.len() + 1));
        if let Ok(layout) = Layout::of_sparse(&sparse) {
            prop_assert!(layout.pieces().len() <= sparse.len() / CHUNK_HEADER);
            let _ = layout.split(1 << 16);
        }
    }

    #[test]
    fn any_bytes_are_refused_or_read(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Layout::of_sparse(&bytes);
        bytes.splice(0..0, format::MAGIC.to_le_bytes().into_iter().chain([1, 0, 0, 0, 28, 0, 12, 0]));
        let _ = Layout::of_sparse(&bytes);
    }
}

#[test]
fn limits_that_hold_no_block() {
    let image = noise(3);
    let layout = Layout::of_raw(&image).unwrap();
    assert!(matches!(
        layout.split(100),
        Err(SparseError::LimitTooSmall(100))
    ));
    // Header, chunk, block, and room for the header of a hole after it.
    let least = (FILE_HEADER + 2 * CHUNK_HEADER) as u64 + u64::from(BLOCK);
    assert!(layout.split(least - 1).is_err());
    assert_eq!(layout.split(least).unwrap().len(), 1);
}

#[test]
fn an_empty_image_is_one_part_of_nothing() {
    let image = Vec::new();
    let parts = Layout::of_raw(&image).unwrap().split(5000).unwrap();
    assert_eq!(parts.len(), 1);
    assert_eq!(parts[0].size(), FILE_HEADER as u64);
}

#[test]
fn checksums_are_verified() {
    let with_checksum = |sum: u32| {
        let header = FileHeader {
            header_length: FILE_HEADER as u16,
            chunk_header_length: CHUNK_HEADER as u16,
            block_size: BLOCK,
            blocks: 2,
            chunks: 3,
        };
        let chunk = |kind, blocks, length| {
            ChunkHeader {
                kind,
                blocks,
                length,
            }
            .to_bytes()
        };
        let mut image = header.to_bytes().to_vec();
        image.extend(chunk(ChunkKind::Fill, 1, 16));
        image.extend([7; 4]);
        image.extend(chunk(ChunkKind::DontCare, 1, 12));
        image.extend(chunk(ChunkKind::Crc32, 0, 16));
        image.extend(sum.to_le_bytes());
        image
    };
    let mut flash = vec![0; 2 * BLOCK as usize];
    flash[..BLOCK as usize].fill(7);
    let sum = crc32fast::hash(&flash);
    let mut written = vec![0; flash.len()];
    apply(&with_checksum(sum), &mut written).unwrap();
    assert_eq!(written, flash);
    let wrong = apply(&with_checksum(sum ^ 1), &mut written);
    assert!(matches!(wrong, Err(SparseError::Checksum { found, .. }) if found == sum));
}
