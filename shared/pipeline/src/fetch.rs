//! Reading data objects. One that a manifest lists must exist: a missing or damaged one is a loud failure, never
//! skipped, since it holds acknowledged items.

use std::ops::Range;

use bytes::Bytes;
use spanlake_model::ErrorKind;
use thiserror::Error;

use crate::codec::Damaged;
use crate::ports::{Listed, ObjectStore, StoreError};

/// Entries of one listing (S3's most).
const LIST_MOST: usize = 1_000;

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

/// Every object whose key begins with `prefix`, in order.
pub(crate) async fn list_all<S: ObjectStore>(store: &S, prefix: &str) -> Result<Vec<Listed>, StoreError> {
    let mut all: Vec<Listed> = Vec::new();
    loop {
        let after = all.last().map(|listed| listed.key.clone());
        let page = store.list(prefix, after.as_deref(), LIST_MOST).await?;
        let is_last = page.len() < LIST_MOST;
        all.extend(page);
        if is_last {
            return Ok(all);
        }
    }
}
