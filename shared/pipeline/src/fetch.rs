//! Reading data objects. One that a manifest lists must exist: a missing or damaged one is a loud failure, never
//! skipped, since it holds acknowledged items.

use std::ops::Range;

use bytes::Bytes;
use spanlake_model::ErrorKind;
use thiserror::Error;

use crate::codec::Damaged;
use crate::ports::{Listed, ObjectStore, StoreError};

/// Entries of one listing (S3's most).
pub(crate) const LIST_MOST: usize = 1_000;

/// Why a listed object could not be read.
#[derive(Debug, Error)]
pub enum FetchError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The object is not there, though a manifest or plan lists it.
    #[error("object {key} is listed but missing")]
    Missing {
        /// Its key.
        key: String,
    },
    /// The object is not what was written.
    #[error("object {key} is damaged: {reason}")]
    Damaged {
        /// Its key.
        key: String,
        /// What does not fit.
        reason: &'static str,
    },
}

impl FetchError {
    /// What to do about it.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Store(error) => error.kind(),
            Self::Missing { .. } | Self::Damaged { .. } => ErrorKind::BadData,
        }
    }
}

impl Damaged {
    /// The error that names the object.
    pub(crate) fn of(self, key: &str) -> FetchError {
        FetchError::Damaged { key: key.to_owned(), reason: self.0 }
    }
}

/// A whole object.
pub(crate) async fn get_whole<S: ObjectStore>(store: &S, key: &str) -> Result<Bytes, FetchError> {
    let object = store.get(key).await?.ok_or_else(|| FetchError::Missing { key: key.to_owned() })?;
    Ok(object.bytes)
}

/// A range of an object.
pub(crate) async fn get_range<S: ObjectStore>(store: &S, key: &str, range: Range<u64>) -> Result<Bytes, FetchError> {
    store.get_range(key, range).await?.ok_or_else(|| FetchError::Missing { key: key.to_owned() })
}

/// The last `tail_bytes` of an object of `bytes`.
pub(crate) async fn get_tail<S: ObjectStore>(store: &S, key: &str, bytes: u64, tail_bytes: u64) -> Result<Bytes, FetchError> {
    get_range(store, key, bytes.saturating_sub(tail_bytes)..bytes).await
}

/// Reads ranges of an object that mostly follow each other. A request to a store costs as much as a few hundred KiB that are
/// read with it, so more is asked for than is needed at once, and held until something else is read.
pub(crate) struct Ahead {
    key: String,
    /// The object's size.
    bytes: u64,
    /// How much is asked for at a time, at least.
    step_bytes: u64,
    /// Where `held` begins within the object.
    start: u64,
    held: Bytes,
}

impl Ahead {
    /// Begins with the end of an object of `bytes`: answers its last `tail_bytes`, or the whole object if it is no larger than
    /// what is read at a time.
    pub(crate) async fn open<S: ObjectStore>(
        store: &S,
        key: &str,
        (bytes, tail_bytes): (u64, u64),
        step_bytes: u64,
    ) -> Result<(Self, Bytes), FetchError> {
        let start = if bytes <= step_bytes { 0 } else { bytes.saturating_sub(tail_bytes) };
        let held = get_range(store, key, start..bytes).await?;
        let tail = held.clone();
        Ok((Self { key: key.to_owned(), bytes, step_bytes, start, held }, tail))
    }

    /// Holds nothing until something is read again.
    pub(crate) fn release(&mut self) {
        self.held = Bytes::new();
    }

    /// The object's key.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// The bytes of a range; fewer where the object ends before it does.
    pub(crate) async fn get<S: ObjectStore>(&mut self, store: &S, range: Range<u64>) -> Result<Bytes, FetchError> {
        let is_held = range.start >= self.start && range.end <= self.start + self.held.len() as u64;
        if !is_held {
            let end = range.start.saturating_add(self.step_bytes).min(self.bytes).max(range.end);
            self.held = get_range(store, &self.key, range.start..end).await?;
            self.start = range.start;
        }
        let place = |at: u64| usize::try_from(at.saturating_sub(self.start)).unwrap_or(usize::MAX).min(self.held.len());
        Ok(self.held.slice(place(range.start)..place(range.end.max(range.start))))
    }
}

/// Every object whose key begins with `prefix`, in order.
pub(crate) async fn list_all<S: ObjectStore>(store: &S, prefix: &str) -> Result<Vec<Listed>, StoreError> {
    list_behind(store, prefix, None).await
}

/// Every object whose key begins with `prefix` and is greater than `after`, in order.
pub(crate) async fn list_behind<S: ObjectStore>(
    store: &S,
    prefix: &str,
    mut after: Option<String>,
) -> Result<Vec<Listed>, StoreError> {
    let mut all: Vec<Listed> = Vec::new();
    loop {
        let page = store.list(prefix, after.as_deref(), LIST_MOST).await?;
        let is_last = page.len() < LIST_MOST;
        after = page.last().map(|listed| listed.key.clone());
        all.extend(page);
        if is_last {
            return Ok(all);
        }
    }
}
