//! The three ports. Use cases see the world through these traits and through nothing else; AWS, the local disk and the
//! simulator are adapters of them.
//!
//! Contract of every store: reads see the newest write; a `put` that returned an error may still have taken effect, or
//! may take effect later.

use std::future::Future;
use std::ops::Range;

use bytes::Bytes;
use spanlake_model::{Bucket, BucketRange, ErrorKind, Sequence};
use thiserror::Error;

/// The version of an object, opaque: what a swap compares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ETag(pub String);

/// An object that was read.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its bytes.
    pub bytes: Bytes,
    /// Its version.
    pub etag: ETag,
}

/// An entry of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The object's key.
    pub key: String,
    /// Its size.
    pub bytes: u64,
    /// When it was last written, Unix nanoseconds, by the store's clock.
    pub modified_nanos: i64,
    /// Which write it is of: a later one of the same bytes is another (S3: the version id).
    pub version: String,
}

/// What a conditional write came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conditional {
    /// It took effect; the object now has this version.
    Done(ETag),
    /// The condition did not hold (S3: 412), or another writer was faster (409). Read again.
    Refused,
}

/// A store that did not do what it was asked, or does not say whether it did.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Out of reach, throttled, full or timed out: the same call is worth a retry.
    #[error("object store unavailable: {what}")]
    Unavailable {
        /// What failed, without any stored value.
        what: String,
    },
    /// The stored bytes are not what was written.
    #[error("object {key} is damaged: {what}")]
    Damaged {
        /// The object's key.
        key: String,
        /// What does not fit.
        what: String,
    },
}

impl StoreError {
    /// What to do about it.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Unavailable { .. } => ErrorKind::Unavailable,
            Self::Damaged { .. } => ErrorKind::BadData,
        }
    }
}

/// Objects by key. Keys are `/`-separated paths of `[a-zA-Z0-9._=-]` without empty, `.` or `..` parts.
pub trait ObjectStore: Send + Sync {
    /// The whole object, or `None`.
    fn get(&self, key: &str) -> impl Future<Output = Result<Option<Object>, StoreError>> + Send;

    /// Bytes `range` of an object, cut to its length; `None` if there is no such object.
    fn get_range(&self, key: &str, range: Range<u64>) -> impl Future<Output = Result<Option<Bytes>, StoreError>> + Send;

    /// Writes the object, whatever was there. For names that fix the content only.
    fn put(&self, key: &str, bytes: Bytes) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Writes the object if there is none (S3: `If-None-Match: *`).
    fn put_new(&self, key: &str, bytes: Bytes) -> impl Future<Output = Result<Conditional, StoreError>> + Send;

    /// Overwrites the object if it still has this version (S3: `If-Match`).
    fn swap(&self, key: &str, expected: &ETag, bytes: Bytes) -> impl Future<Output = Result<Conditional, StoreError>> + Send;

    /// Up to `most` objects whose keys begin with `prefix` and are greater than `after`, in order of their keys.
    fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        most: usize,
    ) -> impl Future<Output = Result<Vec<Listed>, StoreError>> + Send;

    /// Deletes objects as they were listed, in no particular order: one that was written again since stays, and one that is not
    /// there is no error. After an error some may be gone.
    fn delete(&self, listed: &[Listed]) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Refuses what is no key, as the port's contract says.
///
/// # Errors
/// [`StoreError::Damaged`].
pub fn check_key(key: &str) -> Result<(), StoreError> {
    let in_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._=-".contains(&byte);
    let part = |part: &str| !matches!(part, "" | "." | "..") && part.bytes().all(in_name);
    if key.split('/').all(part) {
        return Ok(());
    }
    Err(StoreError::Damaged { key: key.escape_default().to_string(), what: "this is no key".to_owned() })
}

/// A record for the stream.
#[derive(Clone, Debug)]
pub struct NewRecord {
    /// Where it goes: to the shard that owns this bucket when the record is stored.
    pub bucket: Bucket,
    /// The encoded envelope, at most 1 MiB.
    pub bytes: Bytes,
}

/// A shard of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Its id: `shard-000000000000` and so on. A shard made later has a greater id.
    pub id: String,
    /// The buckets that it owns.
    pub range: BucketRange,
    /// The shards that it was split or merged from; none if it is one of the first.
    pub parents: Vec<String>,
}

/// Why a record was not, or perhaps not, put on the stream.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AppendError {
    /// The shard takes no more for now.
    #[error("the stream is throttled, try again in {retry_after_ms} ms")]
    Throttled {
        /// When a retry has a chance.
        retry_after_ms: u64,
    },
    /// Out of reach, full, or without an answer: it may have been stored all the same.
    #[error("the stream is unavailable: {what}")]
    Unavailable {
        /// What failed, without any stored value.
        what: String,
    },
}

/// Why records could not be read from the stream.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the stream cannot be read: {what}")]
pub struct StreamError {
    /// What failed, without any stored value.
    pub what: String,
}

/// A record as it comes from the stream.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its sequence number.
    pub sequence: Sequence,
    /// Its approximate arrival, Unix nanoseconds, by the stream's clock.
    pub arrival_nanos: i64,
    /// The encoded envelope.
    pub bytes: Bytes,
}

/// What a shard has behind a sequence number.
#[derive(Clone, Debug, Default)]
pub struct Slice {
    /// Records, in order.
    pub records: Vec<Record>,
    /// Whether the shard is closed, or gone, and has nothing behind these.
    pub is_end: bool,
}

/// The stream that records are put on. Each shard keeps its records in order of their sequence numbers and stamps each
/// with an approximate arrival time. A shard may be split, or merged with its neighbour: it is closed then, and what it
/// holds can be read until the stream's retention ends.
pub trait EventStream: Send + Sync {
    /// The open shards as this caller knows them, in order of their ranges: at most 60 s old.
    fn shards(&self) -> Vec<Shard>;

    /// Every shard that the stream lists now, in order of their ids: closed ones too, for as long as they can be read.
    fn list(&self) -> impl Future<Output = Result<Vec<Shard>, StreamError>> + Send;

    /// Puts records on the stream; returns one result for each, in order, when those that succeeded are durable.
    fn append(&self, records: Vec<NewRecord>) -> impl Future<Output = Vec<Result<(), AppendError>>> + Send;

    /// Records of a shard behind a sequence number: at most `records_max`, and about `bytes_max` bytes.
    fn read(
        &self,
        shard: &str,
        after: Sequence,
        records_max: usize,
        bytes_max: usize,
    ) -> impl Future<Output = Result<Slice, StreamError>> + Send;
}

/// The wall clock, for what is no decision: ages of orphans, receive times, lifecycle.
pub trait Clock: Send + Sync {
    /// Now, Unix nanoseconds.
    fn now_nanos(&self) -> i64;
}
