//! Buckets with their keys and versions.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use spanlake_testkit::Rng;

use super::request::S3Error;

/// Entries of a page of a listing.
pub(super) const PAGE_MAX: usize = 1_000;

/// The version of what was written without versioning.
const NULL: &str = "null";

/// A version of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldVersion {
    /// Its id; `null` if it was written without versioning.
    pub version: String,
    /// Its entity tag, with its quotes: equal for equal bytes, as that of S3 is for what one call has put.
    pub etag: String,
    /// When it was written, Unix nanoseconds.
    pub modified_nanos: i64,
    /// Its bytes; none of a delete marker.
    pub bytes: Bytes,
    /// Whether it says that the object was deleted.
    pub is_marker: bool,
}

#[derive(Default)]
pub(super) struct Bucket {
    pub(super) is_versioned: bool,
    /// The versions of each key, oldest first; never none.
    pub(super) keys: BTreeMap<String, Vec<HeldVersion>>,
    /// Keys that a policy lets nobody delete.
    pub(super) undeletable: BTreeSet<String>,
}

impl Bucket {
    /// What a reader gets.
    pub(super) fn newest(&self, key: &str) -> Option<&HeldVersion> {
        self.keys.get(key)?.last()
    }

    /// The object as a reader sees it: not a delete marker.
    pub(super) fn object(&self, key: &str) -> Option<&HeldVersion> {
        self.newest(key).filter(|version| !version.is_marker)
    }

    fn write(&mut self, key: &str, version: HeldVersion) {
        let versions = self.keys.entry(key.to_owned()).or_default();
        versions.retain(|old| old.version != version.version);
        versions.push(version);
    }

    /// Takes a version away for good.
    pub(super) fn erase(&mut self, key: &str, version: &str) -> Option<HeldVersion> {
        let versions = self.keys.get_mut(key)?;
        let at = versions.iter().position(|held| held.version == version)?;
        let erased = versions.remove(at);
        if versions.is_empty() {
            self.keys.remove(key);
        }
        Some(erased)
    }
}

pub(super) struct Store {
    buckets: BTreeMap<String, Bucket>,
    pub(super) now_nanos: i64,
    pub(super) page_max: usize,
    ids: Rng,
}

impl Store {
    pub(super) fn new(buckets: &[&str], seed: u64, now_nanos: i64) -> Self {
        let buckets = buckets.iter().map(|name| ((*name).to_owned(), Bucket::default())).collect();
        Self { buckets, now_nanos, page_max: PAGE_MAX, ids: Rng::new(seed) }
    }

    pub(super) fn bucket(&mut self, name: &str) -> Result<&mut Bucket, S3Error> {
        let missing = || S3Error::new(404, "NoSuchBucket", "The specified bucket does not exist");
        self.buckets.get_mut(name).ok_or_else(missing)
    }

    pub(super) fn enable_versioning(&mut self, bucket: &str) {
        self.buckets.get_mut(bucket).into_iter().for_each(|bucket| bucket.is_versioned = true);
    }

    pub(super) fn objects(&self, bucket: &str) -> BTreeMap<String, Bytes> {
        let Some(bucket) = self.buckets.get(bucket) else { return BTreeMap::new() };
        let object = |key: &String| Some((key.clone(), bucket.object(key)?.bytes.clone()));
        bucket.keys.keys().filter_map(object).collect()
    }

    pub(super) fn versions(&self, bucket: &str, key: &str) -> Vec<HeldVersion> {
        let versions = self.buckets.get(bucket).and_then(|bucket| bucket.keys.get(key));
        versions.map(|versions| versions.iter().rev().cloned().collect()).unwrap_or_default()
    }

    pub(super) fn lose(&mut self, bucket: &str, key: &str) -> bool {
        self.buckets.get_mut(bucket).is_some_and(|bucket| bucket.keys.remove(key).is_some())
    }

    pub(super) fn deny_delete(&mut self, bucket: &str, key: &str) {
        self.buckets.get_mut(bucket).into_iter().for_each(|bucket| bucket.undeletable.extend([key.to_owned()]));
    }

    /// Writes an object; answers the version, if there is such a bucket.
    pub(super) fn put(&mut self, bucket: &str, key: &str, bytes: Bytes) -> Option<HeldVersion> {
        let hash = blake3::hash(&bytes).to_hex();
        let etag = format!("\"{}\"", hash.get(..32).unwrap_or_default());
        self.write(bucket, key, etag, bytes, false)
    }

    /// Says that an object is deleted.
    pub(super) fn mark(&mut self, bucket: &str, key: &str) -> Option<HeldVersion> {
        self.write(bucket, key, String::new(), Bytes::new(), true)
    }

    fn write(&mut self, bucket: &str, key: &str, etag: String, bytes: Bytes, is_marker: bool) -> Option<HeldVersion> {
        let bucket = self.buckets.get_mut(bucket)?;
        // Random, so that nobody can take their order for the order of the writes.
        let id = u128::from_le_bytes(self.ids.bytes());
        let version = if bucket.is_versioned { format!("{id:032x}") } else { NULL.to_owned() };
        let written = HeldVersion { version, etag, modified_nanos: self.now_nanos, bytes, is_marker };
        bucket.write(key, written.clone());
        Some(written)
    }
}
