//! What stands on the stream: a versioned binary envelope around a compressed OTLP request, or a heartbeat.
//!
//! The list of (bucket, part) pairs says what the record holds; ownership and duplicates go by it, never by hashing
//! ids again. The payload is inflated by [`Items::inflate`] only after the duplicates are known.

use spanlake_model::{BatchId, Bucket, BucketRange, Signal};

use crate::codec::{Damaged, Put, Take};
use crate::payload::Dictionary;

/// The largest record that a shard takes (Kinesis: 1 MiB), less what a forwarded copy is longer than the first.
pub const RECORD_BYTES_MAX: usize = (1 << 20) - FORWARDED_BYTES;

/// How much longer a forwarded copy of a record is.
const FORWARDED_BYTES: usize = 4;

/// The largest payload of a record, inflated; what the cutting rule allows, with room for its contexts.
const PAYLOAD_BYTES_MAX: usize = 4 << 20;

const MAGIC: [u8; 2] = *b"SL";
const VERSION: u8 = 1;
const KIND_ITEMS: u8 = 0;
const KIND_HEARTBEAT: u8 = 1;
const KIND_FORWARDED: u8 = 2;
const CODEC_ZSTD: u8 = 1;
const FLAG_OVERFLOW: u8 = 1;

/// A part of a bucket's items within a request: the unit of deduplication.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Part {
    /// The bucket.
    pub bucket: Bucket,
    /// The part's number within the bucket and request.
    pub part: u16,
    /// Whether the part spilled out of its traces' home bucket: kept without a tail decision.
    pub overflow: bool,
}

/// The header of a record that holds items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Items<'a> {
    /// Of a forwarded copy: the buckets that the copy is for. Its other parts are somebody else's.
    pub only: Option<BucketRange>,
    /// The signal.
    pub signal: Signal,
    /// Reserved: one tenant per deployment.
    pub tenant: &'a str,
    /// The version of the cutting rule.
    pub cutting_rule: u8,
    /// What makes the request's retry recognisable.
    pub batch_id: BatchId,
    /// When ingest took the request, Unix nanoseconds.
    pub received_nanos: i64,
    /// Items in the ledger's unit: spans, log records, data points.
    pub count: u64,
    /// The parts that the record holds.
    pub parts: Vec<Part>,
    /// For each message of the payload, in order, the index of its part.
    pub part_of_item: Vec<u16>,
    /// The payload's length when inflated.
    pub payload_bytes: usize,
    /// What the payload is compressed with.
    pub dictionary: Dictionary,
    /// The compressed payload.
    pub payload: &'a [u8],
}

/// A record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Envelope<'a> {
    /// Items of one request.
    Items(Items<'a>),
    /// Moves the clock of a quiet shard, and carries the rules version that holds from the next record on.
    Heartbeat {
        /// The version, as [`spanlake_policy::Rules::version`] gives it; empty for none.
        rules: &'a str,
    },
}

impl Items<'_> {
    /// Whether this copy is for a bucket's owner.
    #[must_use]
    pub fn is_for(&self, bucket: Bucket) -> bool {
        self.only.is_none_or(|only| only.contains(bucket))
    }

    /// Appends the encoded record to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&MAGIC);
        match self.only {
            None => out.extend_from_slice(&[VERSION, KIND_ITEMS]),
            Some(range) => encode_forwarded(range, out),
        }
        out.extend_from_slice(&[self.signal.code(), self.cutting_rule, CODEC_ZSTD]);
        out.varint(self.dictionary.id());
        out.bytes(self.tenant.as_bytes());
        out.extend_from_slice(&self.batch_id.0);
        out.zigzag(self.received_nanos);
        out.varint(self.count);
        out.varint(self.parts.len() as u64);
        for part in &self.parts {
            out.varint(u64::from(part.bucket.number()));
            out.varint(u64::from(part.part));
            out.push(if part.overflow { FLAG_OVERFLOW } else { 0 });
        }
        out.varint(self.part_of_item.len() as u64);
        for part in &self.part_of_item {
            out.varint(u64::from(*part));
        }
        out.varint(self.payload_bytes as u64);
        out.extend_from_slice(self.payload);
    }

    /// Inflates the payload.
    ///
    /// # Errors
    /// [`Damaged`] if it is no zstd frame of the announced length.
    pub fn inflate(&self) -> Result<Vec<u8>, Damaged> {
        let mut payload = Vec::new();
        self.inflate_into(&mut payload)?;
        Ok(payload)
    }

    /// Appends the inflated payload.
    ///
    /// # Errors
    /// [`Damaged`] if it is no zstd frame of the announced length; then nothing is appended.
    pub(crate) fn inflate_into(&self, out: &mut Vec<u8>) -> Result<(), Damaged> {
        if self.payload_bytes > PAYLOAD_BYTES_MAX {
            return Err(Damaged("payload beyond the limit"));
        }
        self.dictionary.inflate(self.payload, self.payload_bytes, out)
    }
}

fn encode_forwarded(range: BucketRange, out: &mut Vec<u8>) {
    out.extend_from_slice(&[VERSION, KIND_FORWARDED]);
    out.extend_from_slice(&range.first.to_le_bytes());
    out.extend_from_slice(&range.last.to_le_bytes());
}

/// A copy of an encoded record for the owner of `range`, under the same identity: parts elsewhere are not its business.
///
/// # Errors
/// [`Damaged`] if the bytes are no record with items.
pub fn forwarded(record: &[u8], range: BucketRange) -> Result<Vec<u8>, Damaged> {
    let mut take = Take::new(record);
    let (magic, version, kind) = (take.array::<2>()?, take.byte()?, take.byte()?);
    if magic != MAGIC || version != VERSION || !matches!(kind, KIND_ITEMS | KIND_FORWARDED) {
        return Err(Damaged("not a record with items"));
    }
    if kind == KIND_FORWARDED {
        take.array::<FORWARDED_BYTES>()?;
    }
    let mut out = Vec::with_capacity(record.len() + FORWARDED_BYTES);
    out.extend_from_slice(&MAGIC);
    encode_forwarded(range, &mut out);
    out.extend_from_slice(take.rest());
    Ok(out)
}

/// An encoded heartbeat.
#[must_use]
pub fn heartbeat(rules: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(24);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[VERSION, KIND_HEARTBEAT]);
    out.bytes(rules.as_bytes());
    out
}

impl<'a> Envelope<'a> {
    /// Reads a record.
    ///
    /// # Errors
    /// [`Damaged`] for anything that this version did not write.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Damaged> {
        let mut take = Take::new(bytes);
        if take.array::<2>()? != MAGIC || take.byte()? != VERSION {
            return Err(Damaged("not a record of this version"));
        }
        match take.byte()? {
            KIND_HEARTBEAT => Ok(Self::Heartbeat { rules: take.str()? }),
            KIND_ITEMS => decode_items(take, None).map(Self::Items),
            KIND_FORWARDED => {
                let only = BucketRange { first: u16::from_le_bytes(take.array()?), last: u16::from_le_bytes(take.array()?) };
                decode_items(take, Some(only)).map(Self::Items)
            }
            _ => Err(Damaged("unknown kind of record")),
        }
    }
}

fn decode_items(mut take: Take<'_>, only: Option<BucketRange>) -> Result<Items<'_>, Damaged> {
    let signal = Signal::from_code(take.byte()?).ok_or(Damaged("unknown signal"))?;
    let cutting_rule = take.byte()?;
    if take.byte()? != CODEC_ZSTD {
        return Err(Damaged("unknown codec"));
    }
    let dictionary = Dictionary::from_id(take.varint()?).ok_or(Damaged("unknown dictionary"))?;
    let tenant = take.str()?;
    let batch_id = BatchId(take.array()?);
    let received_nanos = take.zigzag()?;
    let count = take.varint()?;
    let mut parts = Vec::with_capacity(take.clone().count(3)?);
    for _ in 0..take.count(3)? {
        let bucket = Bucket::new(take.u16()?).ok_or(Damaged("unknown bucket"))?;
        parts.push(Part { bucket, part: take.u16()?, overflow: take.byte()? & FLAG_OVERFLOW != 0 });
    }
    let mut part_of_item = Vec::with_capacity(take.clone().count(1)?);
    for _ in 0..take.count(1)? {
        let part = take.u16()?;
        if usize::from(part) >= parts.len() {
            return Err(Damaged("item of an unknown part"));
        }
        part_of_item.push(part);
    }
    let payload_bytes = usize::try_from(take.varint()?).map_err(|_| Damaged("number out of range"))?;
    let payload = take.rest();
    Ok(Items {
        only,
        signal,
        tenant,
        cutting_rule,
        batch_id,
        received_nanos,
        count,
        parts,
        part_of_item,
        payload_bytes,
        dictionary,
        payload,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded() -> Vec<u8> {
        let payload = zstd::bulk::compress(b"hello", 1).unwrap();
        let part = |bucket, part, overflow| Part { bucket: Bucket::new(bucket).unwrap(), part, overflow };
        let mut out = Vec::new();
        Items {
            only: None,
            signal: Signal::Logs,
            tenant: "default",
            cutting_rule: 1,
            batch_id: BatchId([3; 16]),
            received_nanos: -5,
            count: 7,
            parts: vec![part(1, 0, false), part(4095, 2, true)],
            part_of_item: vec![0, 1, 1, 0],
            payload_bytes: 5,
            dictionary: Dictionary::None,
            payload: &payload,
        }
        .encode(&mut out);
        out
    }

    #[test]
    fn a_record_is_read_back() {
        let bytes = encoded();
        let Ok(Envelope::Items(items)) = Envelope::decode(&bytes) else { panic!("not items") };
        assert_eq!((items.count, items.part_of_item.as_slice(), items.parts.len()), (7, &[0, 1, 1, 0][..], 2));
        assert_eq!(items.inflate().unwrap(), b"hello");
        assert_eq!(Envelope::decode(&heartbeat("v1")), Ok(Envelope::Heartbeat { rules: "v1" }));
    }

    #[test]
    fn a_forwarded_copy_differs_in_its_range_alone() {
        let bytes = encoded();
        let range = |first, last| BucketRange { first, last };
        let copy = forwarded(&forwarded(&bytes, range(0, 9)).unwrap(), range(7, 4095)).unwrap();
        assert_eq!(copy.len(), bytes.len() + FORWARDED_BYTES);
        let (Ok(Envelope::Items(items)), Ok(Envelope::Items(first))) = (Envelope::decode(&copy), Envelope::decode(&bytes)) else {
            panic!("not items")
        };
        assert_eq!(items, Items { only: Some(range(7, 4095)), ..first });
        assert!(forwarded(&heartbeat(""), range(0, 1)).is_err());
    }

    #[test]
    fn no_cut_or_flipped_byte_makes_the_reader_fail_other_than_by_an_error() {
        let bytes = encoded();
        for end in 0..bytes.len() {
            let _ = Envelope::decode(&bytes[..end])
                .map(|envelope| if let Envelope::Items(items) = envelope { items.inflate().is_err() } else { true });
        }
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                if let Ok(Envelope::Items(items)) = Envelope::decode(&flipped) {
                    drop(items.inflate());
                }
            }
        }
    }
}
