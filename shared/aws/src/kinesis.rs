//! The stream on Kinesis.
//!
//! One `PutRecords` for all records of a request; what of it failed, and only that, is sent again with jitter until a
//! deadline below the exporters' own. The SDK's retries are off for it: a call of theirs would send everything again.

mod list;
mod put;
mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use aws_sdk_kinesis::Client;
use spanlake_model::Sequence;
use spanlake_pipeline::ports::{AppendError, EventStream, NewRecord, Shard, Slice, StreamError};

/// Limits on time and size of calls.
#[derive(Clone, Copy, Debug)]
pub struct StreamSettings {
    /// How long records are tried before a client is told to come again. Exporters wait 10 s for an answer.
    pub put_within: Duration,
    /// How long one call may take.
    pub call_within: Duration,
    /// The longest wait before the first retry; it doubles with each.
    pub backoff: Duration,
    /// How old the list of shards may become.
    pub map_age_max: Duration,
}

impl Default for StreamSettings {
    fn default() -> Self {
        Self {
            put_within: Duration::from_secs(7),
            call_within: Duration::from_secs(3),
            backoff: Duration::from_millis(50),
            map_age_max: Duration::from_mins(1),
        }
    }
}

/// A stream.
#[derive(Debug)]
pub struct KinesisStream {
    client: Client,
    name: String,
    settings: StreamSettings,
    map: Mutex<Map>,
}

/// The open shards as they were when they were last listed.
#[derive(Debug, Default)]
struct Map {
    shards: Vec<Shard>,
    /// Ids of all that were listed, those that own no bucket too.
    known: BTreeSet<String>,
    /// By the wall clock: a clock that stands still while the environment is frozen would call an old list new.
    listed: Option<SystemTime>,
}

impl KinesisStream {
    /// The stream of this name.
    #[must_use]
    pub fn new(client: Client, name: String, settings: StreamSettings) -> Self {
        Self { client, name, settings, map: Mutex::default() }
    }

    /// Lists the shards again if the list at hand is too old, or an answer named a shard that is not on it. Whoever calls
    /// [`EventStream::shards`] calls this first.
    ///
    /// # Errors
    /// [`StreamError`] if there is no list that is young enough.
    pub async fn freshen(&self) -> Result<(), StreamError> {
        if self.is_fresh() {
            return Ok(());
        }
        let shards = self.list_shards(list::Which::Open).await?;
        self.map().note(shards);
        Ok(())
    }

    fn map(&self) -> MutexGuard<'_, Map> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_fresh(&self) -> bool {
        let now = SystemTime::now();
        // A clock that was set back makes the list old, not young.
        let age = self.map().listed.and_then(|listed| now.duration_since(listed).ok());
        age.is_some_and(|age| age < self.settings.map_age_max)
    }
}

impl Map {
    fn note(&mut self, listed: Vec<list::ListedShard>) {
        self.known = listed.iter().map(|shard| shard.id.clone()).collect();
        self.shards = listed.into_iter().filter_map(list::ListedShard::into_shard).collect();
        self.shards.sort_by_key(|shard| shard.range.first);
        self.listed = Some(SystemTime::now());
    }

    /// A record came to a shard that the list does not name: there was a split or a merge.
    fn doubt(&mut self, shard: &str) {
        if !self.known.contains(shard) {
            self.listed = None;
        }
    }
}

impl EventStream for KinesisStream {
    fn shards(&self) -> Vec<Shard> {
        self.map().shards.clone()
    }

    async fn list(&self) -> Result<Vec<Shard>, StreamError> {
        self.freshen().await?;
        let listed = self.list_shards(list::Which::All).await?;
        let mut shards: Vec<Shard> = listed.into_iter().filter_map(list::ListedShard::into_shard).collect();
        shards.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(shards)
    }

    async fn append(&self, records: Vec<NewRecord>) -> Vec<Result<(), AppendError>> {
        self.put_all(records).await
    }

    async fn read(&self, shard: &str, after: Sequence, records_max: usize, bytes_max: usize) -> Result<Slice, StreamError> {
        self.read_behind(shard, after, records_max, bytes_max).await
    }
}
