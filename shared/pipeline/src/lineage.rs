//! Lineage: each shard's range and parents, saved for longer than the stream lists the shard, so that a child finds
//! ancestors that were never read. Whoever puts heartbeats on the shards saves it.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use spanlake_model::{Bucket, BucketRange};
use thiserror::Error;

use crate::envelope::heartbeat;
use crate::fetch::FetchError;
use crate::keys;
use crate::ports::{Conditional, EventStream, NewRecord, ObjectStore, Shard, StoreError, StreamError};

/// The format's number; a reader of another number stops.
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Stored {
    format: u32,
    range: [u16; 2],
    parents: Vec<String>,
}

/// What is saved of a shard, if anything is.
pub(crate) async fn saved<S: ObjectStore>(store: &S, id: &str) -> Result<Option<Shard>, FetchError> {
    let key = keys::lineage(id);
    let Some(object) = store.get(&key).await? else { return Ok(None) };
    let damaged = |reason| FetchError::Damaged { key: key.clone(), reason };
    let stored: Stored = serde_json::from_slice(&object.bytes).map_err(|_| damaged("not a shard's lineage"))?;
    if stored.format != FORMAT {
        return Err(damaged("written by another version of the program"));
    }
    let [first, last] = stored.range;
    Ok(Some(Shard { id: id.to_owned(), range: BucketRange { first, last }, parents: stored.parents }))
}

/// Why a round of heartbeats was not complete. The next round makes up for it.
#[derive(Debug, Error)]
pub enum BeatError {
    /// The shards could not be listed.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// A shard's lineage could not be saved.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Saves the lineage of shards and moves their clocks.
pub struct Heartbeats<S, E> {
    store: Arc<S>,
    stream: Arc<E>,
    /// What is known to be saved: a cache.
    saved: BTreeSet<String>,
}

impl<S: ObjectStore, E: EventStream> Heartbeats<S, E> {
    /// Heartbeats for the shards of `stream`.
    pub const fn new(store: Arc<S>, stream: Arc<E>) -> Self {
        Self { store, stream, saved: BTreeSet::new() }
    }

    /// Saves what the stream lists, then puts a heartbeat with this rules version on every open shard; returns whether all
    /// is saved and was taken.
    ///
    /// # Errors
    /// [`BeatError`] if the lineage is not saved: then no heartbeat is put either.
    pub async fn beat(&mut self, rules: &str) -> Result<bool, BeatError> {
        let mut all_taken = true;
        for shard in self.stream.list().await? {
            all_taken &= self.save(&shard).await?;
        }
        let bucket = |shard: &Shard| Bucket::new(shard.range.first);
        let buckets: Vec<Bucket> = self.stream.shards().iter().filter_map(bucket).collect();
        for bucket in buckets {
            // Alone, so that a shard that takes no more does not cost the others their heartbeats.
            let record = NewRecord { bucket, bytes: heartbeat(rules).into() };
            all_taken &= self.stream.append(vec![record]).await.into_iter().all(|result| result.is_ok());
        }
        Ok(all_taken)
    }

    /// Whether the shard's lineage is saved.
    async fn save(&mut self, shard: &Shard) -> Result<bool, StoreError> {
        if self.saved.contains(&shard.id) {
            return Ok(true);
        }
        let range = [shard.range.first, shard.range.last];
        let stored = Stored { format: FORMAT, range, parents: shard.parents.clone() };
        let bytes = serde_json::to_vec(&stored).unwrap_or_default();
        let key = keys::lineage(&shard.id);
        // Refused may also mean that another call is under way, which may yet fail: only what is there is saved.
        let is_saved = match self.store.put_new(&key, bytes.into()).await? {
            Conditional::Done(_) => true,
            Conditional::Refused => self.store.get(&key).await?.is_some(),
        };
        if is_saved {
            self.saved.insert(shard.id.clone());
        }
        Ok(is_saved)
    }
}
