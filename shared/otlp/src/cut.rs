//! Cutting a request into stream records, one per shard, in one pass over its bytes.
//!
//! The cutting rule, version 1, is a function of the body alone: an item's home is the bucket of its trace id, or of the
//! request's batch id if it has none. Of one trace at most [`SPILL_BYTES`] go there; each further such chunk goes to a
//! salted bucket and is marked overflow. Within a bucket, home and overflow apart, items in request order are numbered
//! into parts by [`PART_BYTES`] and [`PART_WITH_CONTEXTS_BYTES`]. So (batch id, bucket, part) means the same items
//! under every shard map.

mod emit;
mod parts;
mod scan;

use spanlake_model::{BatchId, Bucket, BucketRange, ErrorKind, Signal, TraceId};
use thiserror::Error;

use crate::limits::{LimitPassed, Limits, Reason, Rejected};
use crate::wire::WireError;

/// The version of the cutting rule. A change comes with an overlap in which retries are still cut by the old one.
pub const CUTTING_RULE: u8 = 1;

/// How many bytes of one trace's items may go to its home bucket, and to each overflow bucket.
pub const SPILL_BYTES: u64 = 256 * 1024;

/// How many bytes the items of a part may have together. An item that is larger makes a part of its own.
pub const PART_BYTES: u64 = 256 * 1024;

/// How many bytes a part may have with the resources and scopes that its items need. Only requests whose contexts are
/// several times larger than their items come near it; without it, such a part would fit no record.
pub const PART_WITH_CONTEXTS_BYTES: u64 = 800 * 1024;

/// How large a record's payload may be before compression. No part is larger under the default [`Limits`].
pub const RECORD_BYTES: u64 = 900 * 1024;

/// The number of the first part of an overflow bucket: home and overflow parts of one bucket never share a number.
pub const OVERFLOW_PARTS: u16 = 1 << 15;

/// What is to be cut.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Which kind of export request the body is.
    pub signal: Signal,
    /// Whose request it is; from the token, never from the body.
    pub tenant: &'a str,
    /// The protobuf `Export*ServiceRequest`, inflated.
    pub body: &'a [u8],
}

/// The outcome of [`cut`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The same for the same tenant, signal and body.
    pub batch_id: BatchId,
    /// Ordered by shard.
    pub records: Vec<CutRecord>,
    /// Items in the records, in the ledger's units.
    pub accepted: u64,
    /// Items refused one by one.
    pub rejected: Rejected,
}

/// What goes into one record of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CutRecord {
    /// The index of the shard in the shard map.
    pub shard: usize,
    /// The parts that the record holds, ordered by bucket and part. At most 65,536.
    pub entries: Vec<Entry>,
    /// For each item, in payload order, the index of its entry.
    pub entry_of_item: Vec<u16>,
    /// A canonical `Export*ServiceRequest` of just these items, in request order: contexts before items, items byte for
    /// byte as they came.
    pub payload: Vec<u8>,
    /// Messages in the payload: spans, log records, metrics.
    pub items: u32,
    /// Items in the ledger's units: spans, log records, data points.
    pub count: u64,
}

/// A part of a bucket's items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The bucket.
    pub bucket: Bucket,
    /// The part's number within the bucket, from 0, or from [`OVERFLOW_PARTS`] for overflow.
    pub part: u16,
    /// Whether these are items of traces too large for their home bucket.
    pub overflow: bool,
    /// Messages in the part.
    pub items: u32,
}

/// Why a request cannot be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CutError {
    /// The body is no protobuf message of its kind (HTTP 400).
    #[error("malformed protobuf: {0}")]
    Invalid(#[from] WireError),
    /// The request passes a limit (HTTP 413).
    #[error(transparent)]
    TooLarge(#[from] LimitPassed),
    /// The shard map has a gap.
    #[error("no shard owns bucket {bucket}")]
    NoOwner {
        /// A bucket without an owner.
        bucket: u16,
    },
}

impl CutError {
    /// What a caller should do about it.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid(_) => ErrorKind::Invalid,
            Self::TooLarge(_) => ErrorKind::TooLarge,
            Self::NoOwner { .. } => ErrorKind::Unavailable,
        }
    }
}

/// Working memory, kept from request to request. Bounded by the limits on items and contexts, and by the body.
#[derive(Debug, Default)]
pub struct Scratch {
    resources: Vec<Part>,
    scopes: Vec<Scope>,
    items: Vec<Item>,
    /// Messages that came in several pieces, put together.
    joined: Vec<u8>,
    slots: parts::Slots,
    entries: Vec<parts::EntryState>,
    order: Vec<u32>,
    runs: Vec<emit::Run>,
}

impl Scratch {
    /// Scratch without memory yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn clear(&mut self) {
        self.resources.clear();
        self.scopes.clear();
        self.items.clear();
        self.joined.clear();
        self.entries.clear();
        self.order.clear();
        self.runs.clear();
        self.slots.clear();
    }

    /// Bytes of memory held.
    #[must_use]
    pub fn capacity_bytes(&self) -> usize {
        self.resources.capacity() * size_of::<Part>()
            + self.scopes.capacity() * size_of::<Scope>()
            + self.items.capacity() * size_of::<Item>()
            + self.joined.capacity()
            + self.entries.capacity() * size_of::<parts::EntryState>()
            + self.order.capacity() * size_of::<u32>()
            + self.runs.capacity() * size_of::<emit::Run>()
            + self.slots.capacity_bytes()
    }
}

/// Bytes of the body, or of [`Scratch::joined`].
#[derive(Debug, Clone, Copy, Default)]
struct Piece {
    start: u32,
    length: u32,
    joined: bool,
}

impl Piece {
    fn of<'a>(self, body: &'a [u8], joined: &'a [u8]) -> &'a [u8] {
        let from = if self.joined { joined } else { body };
        let start = self.start as usize;
        from.get(start..start + self.length as usize).unwrap_or_default()
    }
}

/// A resource or scope with its schema URL: one half of a context.
#[derive(Debug, Clone, Copy, Default)]
struct Part {
    message: Piece,
    schema_url: Piece,
    refused: bool,
    /// The record for which it was counted last, from 1.
    stamp: u32,
}

impl Part {
    /// How much its own fields take in a payload, and at most also the head of the message around them.
    const fn payload_bytes(&self) -> u64 {
        self.message.length as u64 + self.schema_url.length as u64 + HEADS_BYTES
    }
}

/// What the tags and lengths of a context's half take at most: three of them.
const HEADS_BYTES: u64 = 3 * ITEM_HEAD_BYTES;

/// What the tag and length of an item take at most.
const ITEM_HEAD_BYTES: u64 = 6;

#[derive(Debug, Clone, Copy)]
struct Scope {
    part: Part,
    resource: u32,
}

/// An accepted item; its bytes are in the body.
#[derive(Debug, Clone, Copy)]
struct Item {
    /// Zero if it has none.
    trace: TraceId,
    start: u32,
    length: u32,
    scope: u32,
    count: u32,
    slot: u16,
    entry: u32,
}

impl Item {
    const fn payload_bytes(&self) -> u64 {
        self.length as u64 + ITEM_HEAD_BYTES
    }
}

/// Checks a request and cuts it into records for these shards. Refuses what prost refuses, but for text that is not
/// UTF-8 and values nested too deep, which cost just their item; unknown fields of items are kept.
///
/// # Errors
/// [`CutError`]; nothing of the request has been taken then.
pub fn cut(request: &Request<'_>, limits: &Limits, shards: &[BucketRange], scratch: &mut Scratch) -> Result<Cut, CutError> {
    scratch.clear();
    let rejected = scan::scan(request, limits, scratch)?;
    let batch_id = batch_id(request);
    parts::number(&batch_id, scratch)?;
    let records = parts::group(shards, scratch)?;
    let records = emit::records(request.body, records, scratch);
    let accepted = records.iter().map(|record| record.count).sum();
    Ok(Cut { batch_id, records, accepted, rejected })
}

/// The first 16 bytes of blake3 over the tenant's length and name, the cutting rule, the signal's code and the body.
#[must_use]
pub fn batch_id(request: &Request<'_>) -> BatchId {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(request.tenant.len() as u64).to_le_bytes());
    hasher.update(request.tenant.as_bytes());
    hasher.update(&[CUTTING_RULE, request.signal.code()]);
    hasher.update(request.body);
    let mut id = BatchId::default();
    hasher.finalize_xof().fill(&mut id.0);
    id
}

#[cfg(test)]
mod tests;
