//! A batch of the event source mapping: the grouper of its shard takes it, and Lambda is told what it must give again.

use std::sync::Arc;

use spanlake_model::NANOS_PER_SECOND;
use spanlake_pipeline::group::{CompileRules, GroupError, Grouper, find_shard};
use spanlake_pipeline::manifest::Manifest;
use spanlake_pipeline::ports::{Clock, ObjectStore, StreamError};
use spanlake_pipeline::settings::GroupSettings;
use spanlake_policy::{DEFAULT_CONFIG, Rules};
use thiserror::Error;

use crate::event::{BatchResponse, EventBatch, EventError, KinesisEvent};
use crate::metrics::{Metrics, Unit, count};
use crate::{KinesisStream, SystemClock};

/// Shards whose caches one environment keeps: it is mostly given batches of the same one.
const SHARDS_KEPT: usize = 4;

/// Why a batch is given again, whole.
#[derive(Debug, Error)]
pub enum BatchError {
    /// It is no batch.
    #[error(transparent)]
    Event(#[from] EventError),
    /// It is not in the state for certain.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// The open shards are not known.
    #[error(transparent)]
    Stream(#[from] StreamError),
}

/// The grouper function.
pub struct Groupers<S> {
    store: Arc<S>,
    stream: Arc<KinesisStream>,
    settings: GroupSettings,
    default_rules: Arc<Rules>,
    compile: Arc<CompileRules>,
    metrics: Metrics,
    /// The one used last is the last.
    warm: Vec<(String, Grouper<S, KinesisStream>)>,
}

impl<S: ObjectStore> Groupers<S> {
    /// Groupers of any shard.
    ///
    /// # Errors
    /// If the built-in configuration does not load: a fault of this program.
    pub fn new(
        store: Arc<S>,
        stream: Arc<KinesisStream>,
        settings: GroupSettings,
        compile: Arc<CompileRules>,
        metrics: Metrics,
    ) -> Result<Self, String> {
        let default_rules = compile(DEFAULT_CONFIG)?;
        Ok(Self { store, stream, settings, default_rules, compile, metrics, warm: Vec::new() })
    }

    /// Takes a batch.
    ///
    /// # Errors
    /// [`BatchError`]: Lambda gives the batch again, for as long as the stream keeps it.
    pub async fn handle(&mut self, event: KinesisEvent) -> Result<BatchResponse, BatchError> {
        match event.batch()? {
            // Boxed: it is too large to be part of who calls it.
            Some(batch) => Box::pin(self.take(batch)).await,
            None => Ok(BatchResponse::default()),
        }
    }

    async fn take(&mut self, batch: EventBatch) -> Result<BatchResponse, BatchError> {
        // Copies for other shards, if there are any, go by a list that is young enough.
        self.stream.freshen().await?;
        let mut grouper = self.grouper(&batch.shard).await?;
        let before = figures(grouper.manifest().await?);
        let handled = grouper.handle(&batch.records).await?;
        if let Some(error) = &handled.close_error {
            let error = error as &dyn std::error::Error;
            tracing::error!(shard = batch.shard, error, "a window could not be closed; the next batch tries again");
        }
        let manifest = grouper.manifest().await?;
        self.count(batch.records.len(), before, manifest, handled.close_error.is_some());
        self.warm.push((batch.shard.clone(), grouper));
        Ok(batch.response(handled.watermark))
    }

    /// The shard's grouper, with what it remembers if it was here before. It is not kept if the batch fails.
    async fn grouper(&mut self, shard: &str) -> Result<Grouper<S, KinesisStream>, GroupError> {
        if let Some(at) = self.warm.iter().position(|(id, _)| id == shard) {
            return Ok(self.warm.remove(at).1);
        }
        if self.warm.len() >= SHARDS_KEPT {
            self.warm.remove(0);
        }
        let found = find_shard(self.store.as_ref(), self.stream.as_ref(), shard).await?;
        let (store, stream) = (Arc::clone(&self.store), Arc::clone(&self.stream));
        let (rules, compile) = (Arc::clone(&self.default_rules), Arc::clone(&self.compile));
        Ok(Grouper::new(store, stream, found, self.settings.clone(), rules, compile))
    }

    fn count(&self, records: usize, before: Figures, manifest: &Manifest, is_close_failed: bool) {
        let (now, after) = (SystemClock.now_nanos(), figures(manifest));
        let ahead = manifest.clock.saturating_sub(now).max(0) / NANOS_PER_SECOND;
        self.metrics.write(
            now,
            &[
                ("Records", count(records as u64), Unit::Count),
                ("QuarantinedRecords", count(after.quarantined.saturating_sub(before.quarantined)), Unit::Count),
                ("DuplicateItems", count(after.duplicates.saturating_sub(before.duplicates)), Unit::Count),
                ("CloseFailures", count(u64::from(is_close_failed)), Unit::Count),
                ("ClockAheadSeconds", count(ahead.unsigned_abs()), Unit::Seconds),
            ],
        );
    }
}

/// What is counted of a batch: what the ledger has grown by.
#[derive(Clone, Copy)]
struct Figures {
    quarantined: u64,
    duplicates: u64,
}

fn figures(manifest: &Manifest) -> Figures {
    let duplicates = spanlake_model::Signal::ALL.iter().map(|signal| manifest.ledger.account(*signal).duplicates).sum();
    Figures { quarantined: manifest.ledger.quarantined_records, duplicates }
}
