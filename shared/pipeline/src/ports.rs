//! The three ports. Use cases see the world through these traits and through nothing else; AWS, the local disk and the
//! simulator are adapters of them.
//!
//! Contract of every store: reads see the newest write; a `put` that returned an error may still have taken effect, or
//! may take effect later.

use std::future::Future;
use std::ops::Range;

use bytes::Bytes;
use spanlake_model::{BucketRange, ErrorKind};
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

    /// Deletes the object; one that is not there is no error.
    fn delete(&self, key: &str) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// A record for the stream.
#[derive(Clone, Debug)]
pub struct NewRecord {
    /// Which shard, by its index in [`EventStream::shards`].
    pub shard: usize,
    /// The encoded envelope, at most 1 MiB.
    pub bytes: Bytes,
}

/// A shard of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Its id: `shard-000000000000` and so on.
    pub id: String,
    /// The buckets that it owns.
    pub range: BucketRange,
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

/// The stream that records are put on. Each shard keeps its records in order of their sequence numbers and stamps each
/// with an approximate arrival time.
pub trait EventStream: Send + Sync {
    /// The open shards, in order of their ranges.
    fn shards(&self) -> Vec<Shard>;

    /// Puts records on the stream; returns one result for each, in order, when those that succeeded are durable.
    fn append(&self, records: Vec<NewRecord>) -> impl Future<Output = Vec<Result<(), AppendError>>> + Send;
}

/// A record as it comes from the stream.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its sequence number: grows along the shard, gaps are normal.
    pub sequence: u64,
    /// Its approximate arrival, Unix nanoseconds, by the stream's clock.
    pub arrival_nanos: i64,
    /// The encoded envelope.
    pub bytes: Bytes,
}

/// The wall clock, for what is no decision: ages of orphans, receive times, lifecycle.
pub trait Clock: Send + Sync {
    /// Now, Unix nanoseconds.
    fn now_nanos(&self) -> i64;
}
