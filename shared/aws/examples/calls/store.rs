//! Buckets in memory that count who asked them for what.

use std::collections::BTreeMap;
use std::ops::{Bound, Range};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde_json::{Value, json};
use spanlake_pipeline::ports::{Conditional, ETag, Listed, Object, ObjectStore, StoreError};

/// Who, what, under which prefix.
type Kind = (&'static str, &'static str, String);

/// Calls and bytes.
type Counts = BTreeMap<Kind, (u64, u64)>;

#[derive(Default)]
struct Held {
    objects: BTreeMap<String, (Bytes, u64)>,
    writes: u64,
    counts: Counts,
}

/// The buckets, as one function sees them.
#[derive(Clone)]
pub(crate) struct Counted {
    who: &'static str,
    held: Arc<Mutex<Held>>,
}

impl Counted {
    pub(crate) fn new(who: &'static str) -> Self {
        Self { who, held: Arc::default() }
    }

    /// The same buckets, seen by another.
    pub(crate) fn of(&self, who: &'static str) -> Self {
        Self { who, held: Arc::clone(&self.held) }
    }

    /// Forgets what was counted.
    pub(crate) fn reset(&self) {
        self.held().counts.clear();
    }

    pub(crate) fn counts(&self) -> Value {
        let counts = std::mem::take(&mut self.held().counts);
        let row = |(kind, (calls, bytes)): (Kind, (u64, u64))| {
            let (who, what, prefix) = kind;
            json!({ "who": who, "what": what, "prefix": prefix, "calls": calls, "bytes": bytes })
        };
        counts.into_iter().map(row).collect()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, what: &'static str, key: &str, bytes: usize) {
        // Of the lake, the table.
        let parts = if key.starts_with("lake/") { 3 } else { 1 };
        let prefix = key.split('/').take(parts).collect::<Vec<_>>().join("/");
        let mut held = self.held();
        let (calls, sum) = held.counts.entry((self.who, what, prefix)).or_default();
        *calls += 1;
        *sum += bytes as u64;
    }

    fn read(&self, key: &str) -> Option<(Bytes, u64)> {
        self.held().objects.get(key).cloned()
    }

    fn write(&self, key: &str, bytes: Bytes) -> Conditional {
        let mut held = self.held();
        held.writes += 1;
        let version = held.writes;
        held.objects.insert(key.to_owned(), (bytes, version));
        Conditional::Done(ETag(version.to_string()))
    }

    fn write_if(&self, what: [&'static str; 2], key: &str, bytes: Bytes, expected: Option<&str>) -> Conditional {
        let [done, refused] = what;
        let now = self.read(key).map(|(_, version)| version.to_string());
        let is_as_expected = now.as_deref() == expected;
        self.note(if is_as_expected { done } else { refused }, key, bytes.len());
        if is_as_expected { self.write(key, bytes) } else { Conditional::Refused }
    }
}

impl ObjectStore for Counted {
    async fn get(&self, key: &str) -> Result<Option<Object>, StoreError> {
        let found = self.read(key);
        self.note(
            if found.is_some() { "get" } else { "get, not there" },
            key,
            found.as_ref().map_or(0, |(bytes, _)| bytes.len()),
        );
        Ok(found.map(|(bytes, version)| Object { bytes, etag: ETag(version.to_string()) }))
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Option<Bytes>, StoreError> {
        let Some((bytes, _)) = self.read(key) else { return Ok(None) };
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
        let part = bytes.slice(place(range.start)..place(range.end.max(range.start)));
        self.note("get", key, part.len());
        Ok(Some(part))
    }

    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), StoreError> {
        self.note("put", key, bytes.len());
        self.write(key, bytes);
        Ok(())
    }

    async fn put_new(&self, key: &str, bytes: Bytes) -> Result<Conditional, StoreError> {
        Ok(self.write_if(["put", "put, refused"], key, bytes, None))
    }

    async fn swap(&self, key: &str, expected: &ETag, bytes: Bytes) -> Result<Conditional, StoreError> {
        Ok(self.write_if(["swap", "swap, refused"], key, bytes, Some(&expected.0)))
    }

    async fn list(&self, prefix: &str, after: Option<&str>, most: usize) -> Result<Vec<Listed>, StoreError> {
        self.note("list", prefix, 0);
        let from = after.filter(|after| *after >= prefix).map_or(Bound::Included(prefix), Bound::Excluded);
        let listed = |(key, (bytes, version)): (&String, &(Bytes, u64))| Listed {
            key: key.clone(),
            bytes: bytes.len() as u64,
            modified_nanos: 0,
            version: version.to_string(),
        };
        let held = self.held();
        let range = held.objects.range::<str, _>((from, Bound::Unbounded));
        Ok(range.take_while(|(key, _)| key.starts_with(prefix)).take(most).map(listed).collect())
    }

    async fn delete(&self, listed: &[Listed]) -> Result<(), StoreError> {
        for listed in listed {
            self.note("delete", &listed.key, 0);
            self.held().objects.remove(&listed.key);
        }
        Ok(())
    }
}
