//! Block maps: which blocks of an image hold data (the XML that `bmaptool create` writes, versions
//! 1.0 to 2.0).
//!
//! A block map comes from the same place as the image: its text is hostile input. It is bounded,
//! its ranges ascend inside the image, and its own checksum is checked.

use crate::error::{ErrorKind, HalError};
use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::path::Path;

/// The longest text of a block map: a million ranges.
const LONGEST: u64 = 128 << 20;

/// Ranges at most.
const MOST_RANGES: usize = 1 << 20;

/// The largest block; bmaptool makes blocks of the file system's size, 4096.
const LARGEST_BLOCK: u64 = 16 << 20;

/// A block map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bmap {
    /// The image's size in bytes.
    pub image_size: u64,
    /// The size of a block in bytes.
    pub block_size: u64,
    /// The blocks that hold data, ascending. All others may hold anything.
    pub ranges: Vec<BmapRange>,
}

/// Blocks of an image that hold data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BmapRange {
    /// Where they begin, in bytes.
    pub start: u64,
    /// Where they end (exclusive), in bytes.
    pub end: u64,
    pub(super) checksum: Option<Checksum>,
}

/// A checksum, as the block map has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Checksum {
    Sha1([u8; 20]),
    Sha256([u8; 32]),
}

/// A checksum on its way.
#[derive(Clone)]
pub(super) enum Summing {
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Checksum {
    pub(super) fn begin(&self) -> Summing {
        match self {
            Self::Sha1(_) => Summing::Sha1(Sha1::new()),
            Self::Sha256(_) => Summing::Sha256(Sha256::new()),
        }
    }

    fn parse(kind: Kind, text: &str) -> Option<Self> {
        Some(match kind {
            Kind::Sha1 => Self::Sha1(digits(text)?),
            Kind::Sha256 => Self::Sha256(digits(text)?),
        })
    }
}

impl Summing {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha1(sum) => sum.update(bytes),
            Self::Sha256(sum) => sum.update(bytes),
        }
    }

    pub(super) fn end(self) -> Checksum {
        match self {
            Self::Sha1(sum) => Checksum::Sha1(sum.finalize().into()),
            Self::Sha256(sum) => Checksum::Sha256(sum.finalize().into()),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Sha1,
    Sha256,
}

impl Bmap {
    /// Reads a block map from a file.
    ///
    /// # Errors
    /// When it cannot be read, or as [`Self::parse`].
    pub fn from_file(path: &Path) -> Result<Self, HalError> {
        let shown = path.display().to_string();
        let fail = |error| HalError::from_io("read", &shown, error);
        let size = fs_err::metadata(path).map_err(fail)?.len();
        if size > LONGEST {
            let message = format!("{shown} has {size} bytes: that is no block map");
            return Err(HalError::new(ErrorKind::InvalidInput, shown, message));
        }
        Self::parse(&fs_err::read(path).map_err(fail)?, &shown)
    }

    /// Reads the text of a block map; `origin` names it in messages.
    ///
    /// # Errors
    /// `InvalidInput` with `origin` and what is wrong: no XML, another version, ranges that overlap
    /// or leave the image, a checksum that is not that of the text.
    pub fn parse(text: &[u8], origin: &str) -> Result<Self, HalError> {
        let parsed = read_fields(text).and_then(|fields| {
            fields.check_own_sum(text)?;
            fields.into_bmap()
        });
        parsed.map_err(|what| {
            let message = format!("{origin} is no valid block map: {what}");
            HalError::new(ErrorKind::InvalidInput, origin, message)
        })
    }

    /// How many bytes hold data.
    pub fn mapped_size(&self) -> u64 {
        self.ranges
            .iter()
            .map(|range| range.end - range.start)
            .sum()
    }
}

/// The elements of the text, before they are put together.
#[derive(Default)]
struct Fields {
    version: String,
    image_size: Option<u64>,
    block_size: Option<u64>,
    blocks: Option<u64>,
    mapped: Option<u64>,
    kind: Option<Kind>,
    own_sum: Option<String>,
    ranges: Vec<(u64, u64, Option<String>)>,
}

fn read_fields(text: &[u8]) -> Result<Fields, String> {
    let text = std::str::from_utf8(text).map_err(|_| "it is not UTF-8")?;
    let mut reader = Reader::from_str(text);
    let mut fields = Fields::default();
    // The element whose text comes next, and its attribute with a checksum.
    let mut open: Vec<String> = Vec::new();
    let mut sum = None;
    let mut content = String::new();
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            Event::Start(element) => {
                let name = element.local_name().as_ref().to_owned();
                match (open.len(), name.as_str()) {
                    (0, "bmap") => {
                        fields.version = attribute(&element, &["version"])?.unwrap_or_default()
                    }
                    (0, other) => return Err(format!("its first element is '{other}'")),
                    (1..4, _) => {}
                    _ => return Err("its elements are nested too deeply".to_owned()),
                }
                sum = attribute(&element, &["chksum", "sha1"])?;
                content.clear();
                open.push(name);
            }
            Event::Text(piece) => {
                content.push_str(&piece);
            }
            Event::End(_) => {
                if let Some(name) = open.pop() {
                    fields.take(&name, content.trim(), sum.take())?;
                }
                content.clear();
            }
            Event::DocType(_) => return Err("it has a document type".to_owned()),
            Event::Eof if open.is_empty() => return Ok(fields),
            Event::Eof => return Err("it ends too early".to_owned()),
            _ => {}
        }
    }
}

fn attribute(element: &BytesStart<'_>, names: &[&str]) -> Result<Option<String>, String> {
    for attribute in element.attributes() {
        let attribute = attribute.map_err(|error| error.to_string())?;
        if names.iter().any(|name| attribute.key.as_ref() == *name) {
            return Ok(Some(attribute.value.into_owned()));
        }
    }
    Ok(None)
}

impl Fields {
    fn take(&mut self, name: &str, text: &str, sum: Option<String>) -> Result<(), String> {
        let number = || text.parse().map_err(|_| format!("'{name}' is no number"));
        match name {
            "ImageSize" => self.image_size = Some(number()?),
            "BlockSize" => self.block_size = Some(number()?),
            "BlocksCount" => self.blocks = Some(number()?),
            "MappedBlocksCount" => self.mapped = Some(number()?),
            "ChecksumType" => {
                self.kind = Some(match text {
                    "sha1" => Kind::Sha1,
                    "sha256" => Kind::Sha256,
                    _ => return Err(format!("checksums of type '{text}' are not known")),
                });
            }
            "BmapFileSHA1" => {
                self.kind = Some(Kind::Sha1);
                self.own_sum = Some(text.to_owned());
            }
            "BmapFileChecksum" => self.own_sum = Some(text.to_owned()),
            "Range" => {
                if self.ranges.len() == MOST_RANGES {
                    return Err(format!("it has more than {MOST_RANGES} ranges"));
                }
                let (first, last) = text.split_once('-').unwrap_or((text, text));
                let block = |text: &str| text.trim().parse::<u64>().ok();
                let (Some(first), Some(last)) = (block(first), block(last)) else {
                    return Err(format!("'{}' is no range", text.escape_debug()));
                };
                self.ranges.push((first, last, sum));
            }
            _ => {}
        }
        Ok(())
    }

    /// The checksum of the text is made with zeros in its own place.
    fn check_own_sum(&self, text: &[u8]) -> Result<(), String> {
        let (Some(own), Some(kind)) = (&self.own_sum, self.kind) else {
            return Ok(());
        };
        let wanted = Checksum::parse(kind, own).ok_or("its own checksum is malformed")?;
        let at = memmem(text, own.as_bytes()).ok_or("its own checksum is malformed")?;
        let mut sum = wanted.begin();
        sum.add(&text[..at]);
        sum.add("0".repeat(own.len()).as_bytes());
        sum.add(&text[at + own.len()..]);
        if sum.end() == wanted {
            Ok(())
        } else {
            Err("its own checksum is not that of its text: it was changed or cut".to_owned())
        }
    }

    fn into_bmap(self) -> Result<Bmap, String> {
        if !matches!(
            self.version.split_once('.'),
            Some(("1", _)) | Some(("2", "0"))
        ) {
            let version = self.version.escape_debug();
            return Err(format!("its version is '{version}'; 1.x and 2.0 are known"));
        }
        let image_size = self.image_size.ok_or("'ImageSize' is missing")?;
        let block_size = self.block_size.ok_or("'BlockSize' is missing")?;
        if !(1..=LARGEST_BLOCK).contains(&block_size) {
            return Err(format!("blocks of {block_size} bytes are not possible"));
        }
        let blocks = image_size.div_ceil(block_size);
        if self.blocks.is_some_and(|count| count != blocks) {
            return Err("'BlocksCount' is not that of 'ImageSize' and 'BlockSize'".to_owned());
        }
        let mut ranges = Vec::with_capacity(self.ranges.len());
        let (mut next, mut mapped) = (0, 0);
        for (first, last, sum) in self.ranges {
            if first < next || last < first || last >= blocks {
                return Err(format!(
                    "range {first}-{last} overlaps, or leaves the image"
                ));
            }
            next = last + 1;
            mapped += next - first;
            let sum = sum.map(|text| {
                let kind = self.kind.unwrap_or(Kind::Sha1);
                Checksum::parse(kind, text.trim())
                    .ok_or_else(|| format!("the checksum of range {first}-{last} is malformed"))
            });
            ranges.push(BmapRange {
                start: first * block_size,
                end: next.saturating_mul(block_size).min(image_size),
                checksum: sum.transpose()?,
            });
        }
        if self.mapped.is_some_and(|count| count != mapped) {
            return Err("'MappedBlocksCount' is not that of its ranges".to_owned());
        }
        Ok(Bmap {
            image_size,
            block_size,
            ranges,
        })
    }
}

fn memmem(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len().max(1))
        .position(|window| window == wanted)
}

/// Hexadecimal digits as bytes.
fn digits<const N: usize>(text: &str) -> Option<[u8; N]> {
    let text = text.as_bytes();
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = u8::try_from(high * 16 + low).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(version: &str, image: u64, ranges: &str) -> String {
        format!(
            "<?xml version=\"1.0\" ?>\n<!-- a comment -->\n<bmap version=\"{version}\">\n\
             <ImageSize> {image} </ImageSize>\n<BlockSize> 4096 </BlockSize>\n\
             <BlockMap>{ranges}</BlockMap>\n</bmap>\n"
        )
    }

    fn error(text: &str) -> String {
        Bmap::parse(text.as_bytes(), "x.bmap")
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn old_versions_without_checksums_are_read() {
        let ranges = "<Range> 0-1 </Range><Range>3</Range>";
        let bmap = Bmap::parse(text("1.2", 4096 * 3 + 5, ranges).as_bytes(), "x").unwrap();
        let spans: Vec<_> = bmap
            .ranges
            .iter()
            .map(|range| (range.start, range.end))
            .collect();
        assert_eq!(spans, [(0, 8192), (3 * 4096, 3 * 4096 + 5)]);
        assert_eq!(bmap.mapped_size(), 8197);
    }

    #[test]
    fn what_is_wrong_is_told() {
        let wrong = |ranges: &str| error(&text("2.0", 8192, ranges));
        assert_eq!(
            wrong("<Range>1-2</Range>"),
            "x.bmap is no valid block map: range 1-2 overlaps, or leaves the image"
        );
        assert!(wrong("<Range>1</Range><Range>0</Range>").contains("range 0-0 overlaps"));
        assert!(wrong("<Range>1-0</Range>").contains("range 1-0"));
        assert!(wrong("<Range>x</Range>").contains("'x' is no range"));
        assert!(wrong("<Range chksum=\"12\">0</Range>").contains("checksum of range 0-0"));
        assert!(error(&text("3.0", 1, "")).contains("its version is '3.0'"));
        assert!(error("<a></a>").contains("its first element is 'a'"));
        assert!(error("<bmap version='2.0'></bmap>").contains("'ImageSize' is missing"));
        let whole = text("2.0", 8192, "<Range>0</Range>");
        assert!(error(&whole[..whole.len() - 8]).contains("ends too early"));
        assert!(error("<!DOCTYPE bmap><bmap version='2.0'/>").contains("document type"));
        assert!(error("\u{0}").contains("no valid block map"));
        let huge = text("2.0", u64::MAX, &format!("<Range>0-{}</Range>", u64::MAX));
        assert!(error(&huge).contains("leaves the image"));
    }

    #[test]
    fn deep_nesting_is_refused() {
        assert!(error(&format!("<bmap>{}", "<a>".repeat(100))).contains("nested too deeply"));
    }

    proptest! {
        #[test]
        fn no_text_is_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Bmap::parse(&bytes, "x");
        }

        #[test]
        fn ranges_are_inside_the_image_and_ascend(
            image in 0..100_000_u64,
            blocks in proptest::collection::vec((0..30_u64, 0..30_u64), 0..5),
        ) {
            let ranges: String = blocks
                .iter()
                .map(|(first, last)| format!("<Range>{first}-{last}</Range>"))
                .collect();
            if let Ok(bmap) = Bmap::parse(text("2.0", image, &ranges).as_bytes(), "x") {
                let mut next = 0;
                for range in &bmap.ranges {
                    prop_assert!(range.start >= next && range.start < range.end);
                    next = range.end;
                }
                prop_assert!(next <= image);
            }
        }
    }
}
