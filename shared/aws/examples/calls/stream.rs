//! What ingest puts its records on: they lie there until somebody takes them.

use std::sync::{Mutex, PoisonError};

use spanlake_model::Sequence;
use spanlake_pipeline::ports::{AppendError, EventStream, NewRecord, Shard, Slice, StreamError};

/// A stream that nobody reads through the port.
pub(crate) struct Shelf {
    shards: Vec<Shard>,
    records: Mutex<Vec<NewRecord>>,
}

impl Shelf {
    pub(crate) const fn new(shards: Vec<Shard>) -> Self {
        Self { shards, records: Mutex::new(Vec::new()) }
    }

    /// What was put there since the last time.
    pub(crate) fn take(&self) -> Vec<NewRecord> {
        std::mem::take(&mut *self.records.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl EventStream for Shelf {
    fn shards(&self) -> Vec<Shard> {
        self.shards.clone()
    }

    async fn list(&self) -> Result<Vec<Shard>, StreamError> {
        Ok(self.shards())
    }

    async fn append(&self, records: Vec<NewRecord>) -> Vec<Result<(), AppendError>> {
        let results = records.iter().map(|_| Ok(())).collect();
        self.records.lock().unwrap_or_else(PoisonError::into_inner).extend(records);
        results
    }

    async fn read(&self, _: &str, _: Sequence, _: usize, _: usize) -> Result<Slice, StreamError> {
        Err(StreamError { what: "nobody reads here".to_owned() })
    }
}
