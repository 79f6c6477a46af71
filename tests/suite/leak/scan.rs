//! Looks for planted secrets in whatever is at rest, in every form in which it may lie there.

use std::io::Read;
use std::sync::LazyLock;

use bytes::Bytes;
use parquet::file::reader::{FileReader, SerializedFileReader};

use super::secrets::{CARD, MARK, base64_cores};

/// The magic number of a zstd frame.
const FRAME: &[u8] = b"\x28\xb5\x2f\xfd";

/// What small payloads of the stream are compressed with.
const DICTIONARY: &[u8] = include_bytes!("../../../shared/pipeline/dictionary/1.zdict");

/// Needles in the forms that a value may be shown in: base64 of the mark as it is written, and hexadecimal.
static FORMS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let written = "Lk9Zq0";
    let hex = written.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    base64_cores(written).into_iter().chain([hex.clone(), hex.to_uppercase()]).collect()
});

/// What a scan has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) frames: usize,
    pub(super) pages: usize,
    pub(super) rows: usize,
}

/// Looks for planted secrets in bytes as they lie there.
pub(super) fn plain(bytes: &[u8]) -> Option<String> {
    let at = marked(bytes).or_else(|| card(bytes))?;
    let from = at.saturating_sub(48);
    Some(String::from_utf8_lossy(&bytes[from..bytes.len().min(at + 48)]).into_owned())
}

fn marked(bytes: &[u8]) -> Option<usize> {
    let mark = MARK.as_bytes();
    let is_mark = |window: &[u8]| window.eq_ignore_ascii_case(mark);
    let found = bytes.iter().zip(0..).filter(|(byte, _)| **byte | 0x20 == mark[0]).map(|(_, at)| at);
    let found = found.into_iter().find(|at: &usize| bytes.get(*at..at + mark.len()).is_some_and(is_mark));
    found.or_else(|| FORMS.iter().find_map(|form| position(bytes, form.as_bytes())))
}

fn position(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let starts = bytes.iter().zip(0..).filter(|(byte, _)| **byte == first).map(|(_, at)| at);
    starts.into_iter().find(|at: &usize| bytes[*at..].starts_with(needle))
}

/// A digit in ASCII or in its full-width form, and its length.
fn digit(bytes: &[u8]) -> Option<(u8, usize)> {
    match bytes {
        [digit @ b'0'..=b'9', ..] => Some((*digit, 1)),
        [0xef, 0xbc, last @ 0x90..=0x99, ..] => Some((last - 0x90 + b'0', 3)),
        _ => None,
    }
}

/// A card's first digits, with anything short between them that is no digit.
fn card(bytes: &[u8]) -> Option<usize> {
    let starts = bytes.iter().zip(0..).filter(|(byte, _)| matches!(byte, b'4' | 0xef)).map(|(_, at)| at);
    starts.into_iter().find(|start: &usize| {
        let mut at = *start;
        CARD.bytes().all(|wanted| {
            let encoded = [b"%20".as_slice(), b"%2D"].iter().any(|gap| bytes[at..].starts_with(gap));
            let gap = if encoded { 3 } else { (0..4).find(|gap| bytes.get(at + gap..).and_then(digit).is_some()).unwrap_or(0) };
            let Some((found, length)) = bytes.get(at + gap..).and_then(digit) else { return false };
            at += gap + length;
            found == wanted
        })
    })
}

/// Looks into an object: as it lies there, and into everything in it that is compressed.
pub(super) fn object(key: &str, bytes: &Bytes, seen: &mut Seen) -> Option<String> {
    if let Some(found) = plain(key.as_bytes()) {
        return Some(format!("in the name {found}"));
    }
    if let Some(found) = plain(bytes) {
        return Some(format!("{key}: {found}"));
    }
    let within = if key.ends_with(".parquet") { table(bytes, seen) } else { frames(bytes, seen) };
    within.map(|found| format!("{key}: {found}"))
}

/// Looks into every zstd frame that begins anywhere.
fn frames(bytes: &[u8], seen: &mut Seen) -> Option<String> {
    let starts = bytes.windows(FRAME.len()).zip(0..).filter(|(window, _)| *window == FRAME).map(|(_, at)| at);
    starts.into_iter().find_map(|at: usize| {
        // Of one that is cut short, what there is of it.
        [&[], DICTIONARY].into_iter().find_map(|dictionary: &[u8]| {
            let mut inflated = Vec::new();
            let decoder = zstd::stream::read::Decoder::with_dictionary(&bytes[at..], dictionary).unwrap();
            seen.frames += usize::from(decoder.single_frame().read_to_end(&mut inflated).is_ok());
            plain(&inflated).or_else(|| frames(&inflated, seen))
        })
    })
}

/// Looks into every page of a Parquet file (dictionaries too), and at every value of every row. Statistics, bloom filters,
/// indexes and the footer are not compressed: they have been looked at as they lie there.
fn table(bytes: &Bytes, seen: &mut Seen) -> Option<String> {
    let file = SerializedFileReader::new(bytes.clone()).unwrap();
    let columns = file.metadata().file_metadata().schema_descr().num_columns();
    for group in 0..file.num_row_groups() {
        let group = file.get_row_group(group).unwrap();
        for column in 0..columns {
            let mut pages = group.get_column_page_reader(column).unwrap();
            while let Some(page) = pages.get_next_page().unwrap() {
                seen.pages += 1;
                if let Some(found) = plain(page.buffer()) {
                    return Some(found);
                }
            }
        }
    }
    file.get_row_iter(None).unwrap().find_map(|row| {
        seen.rows += 1;
        plain(row.unwrap().to_string().as_bytes())
    })
}
