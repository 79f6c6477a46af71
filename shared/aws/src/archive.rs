//! The tasks of the archiver function: heartbeats, rules and the lake each minute, the sweep some times a day.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use spanlake_model::{ErrorKind, NANOS_PER_SECOND, Signal};
use spanlake_pipeline::archive::{ArchiveError, Archived, Archiver};
use spanlake_pipeline::figures::ServiceFigures;
use spanlake_pipeline::group::{CompileRules, GroupError, all_manifests};
use spanlake_pipeline::ledger::{Account, Ledger};
use spanlake_pipeline::lineage::{BeatError, Heartbeats};
use spanlake_pipeline::manifest::Manifest;
use spanlake_pipeline::ports::{Clock, ObjectStore};
use spanlake_pipeline::rules::{Activation, RulesError};
use spanlake_pipeline::sweep::{SweepError, sweep};
use spanlake_policy::DEFAULT_CONFIG;
use thiserror::Error;

use crate::metrics::{Metrics, Unit, count};
use crate::{KinesisStream, SystemClock};

/// Raw bytes of items in one set of lake files.
pub const FILE_BYTES: u64 = 64 << 20;

/// For how long one run begins further plans: the schedule calls again after a minute, and a run has fifteen.
const FILE_WITHIN: Duration = Duration::from_mins(5);

/// An orphan is this much older than the stream's retention before it is swept.
const ORPHAN_NANOS: i64 = 86_400 * NANOS_PER_SECOND;

/// What the schedule asks for.
#[derive(Debug, Deserialize)]
pub struct Task {
    task: Kind,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Archive,
    Sweep,
}

/// Why a task was not done. The next run goes on.
#[derive(Debug, Error)]
pub enum TaskError {
    /// The heartbeats were not all put.
    #[error(transparent)]
    Beat(#[from] BeatError),
    /// A shard's clock stands still until the next run, unless requests move it.
    #[error("not every shard took its heartbeat; the next run tries again")]
    Missed,
    /// It is not known which rules hold.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// Archiving stopped early.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The manifests cannot be read.
    #[error(transparent)]
    Manifests(#[from] GroupError),
    /// Sweeping stopped early.
    #[error(transparent)]
    Sweep(#[from] SweepError),
}

/// The archiver function.
pub struct Tasks<S> {
    store: Arc<S>,
    activation: Activation<S>,
    beats: Heartbeats<S, KinesisStream>,
    archiver: Archiver<S>,
    metrics: Metrics,
    services: Vec<String>,
    retention_nanos: i64,
}

impl<S: ObjectStore> Tasks<S> {
    /// Tasks on a store and a stream that keeps records for `retention_nanos`; figures of `services` become metrics.
    #[must_use]
    pub fn new(
        store: Arc<S>,
        stream: Arc<KinesisStream>,
        compile: Arc<CompileRules>,
        metrics: Metrics,
        services: Vec<String>,
        retention_nanos: i64,
    ) -> Self {
        let activation = Activation::new(Arc::clone(&store), compile, DEFAULT_CONFIG);
        let beats = Heartbeats::new(Arc::clone(&store), stream);
        let archiver = Archiver::new(Arc::clone(&store), FILE_BYTES);
        Self { store, activation, beats, archiver, metrics, services, retention_nanos }
    }

    /// Does what the schedule asks for.
    ///
    /// # Errors
    /// [`TaskError`]; what was done stays done.
    pub async fn run(&mut self, task: Task) -> Result<(), TaskError> {
        match task.task {
            // Boxed: they are too large to be part of who calls them.
            Kind::Archive => Box::pin(self.archive()).await,
            Kind::Sweep => Box::pin(self.sweep()).await,
        }
    }

    /// Heartbeats first: the clocks of quiet shards must not wait for files. One that fails does not stop the other.
    async fn archive(&mut self) -> Result<(), TaskError> {
        let beaten = self.beat().await;
        let (archived, ended) = self.file_all().await;
        let is_missing = ended.as_ref().is_err_and(|error| error.kind() == ErrorKind::BadData);
        self.metrics.write(SystemClock.now_nanos(), &[("MissingObjects", count(u64::from(is_missing)), Unit::Count)]);
        // The ledger and the lag are told whatever went wrong.
        self.count(&archived).await?;
        ended?;
        beaten
    }

    /// Plans one after the other, until nothing is left or it is time to let the next run go on. What was filed before an error
    /// is told with it.
    async fn file_all(&mut self) -> (Archived, Result<(), ArchiveError>) {
        let (begun, mut all) = (Instant::now(), Archived::default());
        loop {
            match self.archiver.run().await {
                Ok(more) => {
                    all.merge(&more);
                    if more.plans == 0 || begun.elapsed() >= FILE_WITHIN {
                        return (all, Ok(()));
                    }
                }
                Err(error) => return (all, Err(error)),
            }
        }
    }

    async fn beat(&mut self) -> Result<(), TaskError> {
        let active = self.activation.active(SystemClock.now_nanos()).await?;
        if let Some(reason) = &active.refused {
            tracing::error!(reason, version = active.version, "the wanted rules cannot be used; the rules of this version hold");
        }
        let refused = count(u64::from(active.refused.is_some()));
        self.metrics.write(SystemClock.now_nanos(), &[("RulesRefused", refused, Unit::Count)]);
        if self.beats.beat(&active.version).await? { Ok(()) } else { Err(TaskError::Missed) }
    }

    async fn sweep(&self) -> Result<(), TaskError> {
        let before = SystemClock.now_nanos().saturating_sub(self.retention_nanos).saturating_sub(ORPHAN_NANOS);
        let swept = sweep(self.store.as_ref(), before).await?;
        tracing::info!(objects = swept.objects, bytes = swept.bytes, "swept");
        Ok(())
    }

    async fn count(&self, archived: &Archived) -> Result<(), TaskError> {
        let manifests = all_manifests(self.store.as_ref()).await?;
        let now = SystemClock.now_nanos();
        let ledger = Ledger::of_shards(manifests.iter().map(|manifest| &manifest.ledger));
        let accounts = || Signal::ALL.iter().map(|signal| ledger.account(*signal));
        self.metrics.write(
            now,
            &[
                ("Committed", count(accounts().map(|account| account.committed).sum()), Unit::Count),
                ("Kept", count(accounts().map(|account| account.kept).sum()), Unit::Count),
                ("SampledOut", count(accounts().map(|account| account.sampled_out).sum()), Unit::Count),
                ("DroppedItems", count(accounts().map(Account::dropped_unasked).sum()), Unit::Count),
                ("PendingItems", count(accounts().map(|account| account.pending).sum()), Unit::Count),
                ("ArchiveLagSeconds", lag_seconds(&manifests, now), Unit::Seconds),
                ("FilesWritten", count(archived.files), Unit::Count),
                ("BytesWritten", count(archived.bytes), Unit::Bytes),
            ],
        );
        // Of the run, not of the spans' minutes: an alarm that looks at the last minutes would never see what comes late. One that
        // is silent is told too, or nothing could alarm.
        for service in &self.services {
            self.metrics.write_service(now, service, &of_service(&archived.figures.of(service)));
        }
        Ok(())
    }
}

/// How long the oldest sealed output waits for its files.
fn lag_seconds(manifests: &[Manifest], now: i64) -> f64 {
    let oldest = manifests.iter().flat_map(|manifest| &manifest.sealed).map(|output| output.window_start).min();
    count(oldest.map_or(0, |oldest| now.saturating_sub(oldest).max(0) / NANOS_PER_SECOND).unsigned_abs())
}

fn of_service(figures: &ServiceFigures) -> [(&'static str, f64, Unit); 6] {
    [
        ("Requests", count(figures.requests), Unit::Count),
        ("Errors", count(figures.errors), Unit::Count),
        ("ErrorPercent", figures.error_percent(), Unit::Percent),
        ("P50Ms", figures.percentile_ms(0.50), Unit::Milliseconds),
        ("P95Ms", figures.percentile_ms(0.95), Unit::Milliseconds),
        ("P99Ms", figures.percentile_ms(0.99), Unit::Milliseconds),
    ]
}
