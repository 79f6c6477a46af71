//! Plays the event source: gives each shard's grouper its records in batches, again if they failed, puts heartbeats on
//! every shard, wakes the archiver, the sweeper and the lifecycle. Decides nothing.

mod trouble;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use spanlake_model::{NANOS_PER_SECOND, Sequence, Signal};
use spanlake_pipeline::archive::{Archived, Archiver};
use spanlake_pipeline::group::Grouper;
use spanlake_pipeline::lineage::Heartbeats;
use spanlake_pipeline::manifest::Manifest;
use spanlake_pipeline::ports::{Clock, EventStream, ObjectStore};
use spanlake_pipeline::rules::{Activation, Active, RulesError};
use spanlake_pipeline::sweep::{expire, sweep};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tracing::{debug, error, info, warn};

use crate::disk::Disk;
use crate::log::SegmentLog;
use trouble::Trouble;

/// How the event source is played.
#[derive(Clone, Debug)]
pub struct DriverSettings {
    /// How long a batch waits for more records after its first.
    pub batch_window: Duration,
    /// Records in a batch.
    pub batch_records_max: usize,
    /// Bytes of records in a batch, as they are on the stream.
    pub batch_bytes_max: usize,
    /// How long a stop reads on, at most.
    pub drain_max: Duration,
    /// Between two heartbeats of a shard.
    pub heartbeat: Duration,
    /// Between two runs of the archiver.
    pub archive_interval: Duration,
    /// Between two runs of the sweeper.
    pub sweep_interval: Duration,
    /// How old an object must be before the sweeper may delete it, if nothing refers to it.
    pub orphan_age: Duration,
    /// The lake's files are deleted after this many days.
    pub delete_after_days: u32,
}

impl Default for DriverSettings {
    fn default() -> Self {
        Self {
            batch_window: Duration::from_millis(500),
            batch_records_max: 10_000,
            batch_bytes_max: 2 << 20,
            drain_max: Duration::from_secs(5),
            heartbeat: Duration::from_secs(1),
            archive_interval: Duration::from_secs(5),
            sweep_interval: Duration::from_mins(1),
            orphan_age: Duration::from_mins(2),
            delete_after_days: 30,
        }
    }
}

/// What the driver last saw, for status lines.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// The manifests as last written, by shard.
    pub manifests: Vec<Option<Manifest>>,
    /// What the archiver did since the start.
    pub archived: Archived,
    /// Failures since the start that were or will be tried again.
    pub retries: u64,
}

/// Shared by the tasks of one process.
pub struct Driver<S, D: Disk> {
    store: Arc<S>,
    log: Arc<SegmentLog<D>>,
    settings: DriverSettings,
    rules_version: String,
    progress: Mutex<Progress>,
    /// A permit for each batch in hand.
    turns: Semaphore,
}

/// What may fail in feeding a shard.
struct Troubles {
    grouping: Trouble,
    trimming: Trouble,
}

/// How many batches are in hand at once, of all shards: more would take memory, and little less time, since all shards are grouped
/// by one thread.
const BATCHES_AT_ONCE: usize = 1;

/// Between two tries of what failed.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

impl<S: ObjectStore + 'static, D: Disk> Driver<S, D> {
    /// A driver for the shards of `log`. Heartbeats carry `rules_version` until they look for themselves.
    pub fn new(store: Arc<S>, log: Arc<SegmentLog<D>>, settings: DriverSettings, rules_version: String) -> Self {
        let manifests = vec![None; log.shards().len()];
        let progress = Mutex::new(Progress { manifests, ..Progress::default() });
        Self { store, log, settings, rules_version, progress, turns: Semaphore::new(BATCHES_AT_ONCE) }
    }

    /// What was last seen.
    pub fn progress(&self) -> Progress {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.progress.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Puts one heartbeat on every shard; returns whether all were taken.
    pub async fn beat(&self) -> bool {
        let mut heartbeats = Heartbeats::new(Arc::clone(&self.store), Arc::clone(&self.log));
        heartbeats.beat(&self.rules_version).await.unwrap_or(false)
    }

    /// Puts heartbeats on every shard until `stop`, each with the rules that hold then.
    pub async fn heartbeats(&self, mut activation: Activation<S>, clock: impl Clock, mut stop: watch::Receiver<bool>) {
        let mut heartbeats = Heartbeats::new(Arc::clone(&self.store), Arc::clone(&self.log));
        let (mut version, mut trouble) = (self.rules_version.clone(), Trouble::new(None));
        let mut ticks = interval(self.settings.heartbeat);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while is_on(&mut stop, ticks.tick()).await {
            look_at_rules(&mut activation, clock.now_nanos(), &mut version, &mut trouble).await;
            match heartbeats.beat(&version).await {
                Ok(true) => {}
                Ok(false) => debug!("the stream took no heartbeat; the next one follows"),
                Err(error) => debug!(error = &error as &dyn std::error::Error, "no heartbeat was put; the next one follows"),
            }
        }
    }

    /// Feeds one shard's records to its grouper until `stop`, and then, within a few seconds, what is there still: what is
    /// read needs not lie on the disk, unmasked, until the next start.
    pub async fn group(&self, shard: usize, mut grouper: Grouper<S, SegmentLog<D>>, mut stop: watch::Receiver<bool>) {
        let mut watermark = match grouper.manifest().await {
            Ok(manifest) => {
                let manifest = manifest.clone();
                let watermark = manifest.watermark;
                self.note_manifest(shard, manifest);
                watermark
            }
            Err(error) => {
                error!(shard, error = &error as &dyn std::error::Error, "the shard's manifest cannot be read");
                Sequence::ZERO
            }
        };
        let mut troubles = Troubles { grouping: Trouble::new(Some(shard)), trimming: Trouble::new(Some(shard)) };
        while is_on(&mut stop, self.log.wait(shard, watermark)).await {
            // A batch that is full already need not wait for more.
            if self.log.lag(shard, watermark).bytes < self.settings.batch_bytes_max as u64 {
                sleep(self.settings.batch_window).await;
            }
            watermark = self.batch(shard, &mut grouper, watermark, &mut troubles).await;
        }
        let stopped = Instant::now();
        while self.log.lag(shard, watermark).records > 0 && stopped.elapsed() < self.settings.drain_max {
            let before = watermark;
            watermark = self.batch(shard, &mut grouper, watermark, &mut troubles).await;
            if watermark == before {
                break;
            }
        }
    }

    /// Gives the grouper the next records; answers the watermark after them, which has not moved if they failed.
    async fn batch(
        &self,
        shard: usize,
        grouper: &mut Grouper<S, SegmentLog<D>>,
        watermark: Sequence,
        troubles: &mut Troubles,
    ) -> Sequence {
        let trouble = &mut troubles.grouping;
        let turn = self.turns.acquire().await.ok();
        let records =
            match self.log.read_blocking(shard, watermark, self.settings.batch_records_max, self.settings.batch_bytes_max) {
                Ok(records) => records,
                Err(error) => {
                    drop(turn);
                    self.retry(trouble, &error, "the stream cannot be read; trying again").await;
                    return watermark;
                }
            };
        let handled = grouper.handle(&records).await;
        drop((records, turn));
        match handled {
            Ok(handled) => {
                match handled.close_error {
                    None => trouble.end(),
                    Some(error) => {
                        let what = "a window could not be closed; the intake goes on, closing is tried again";
                        self.retry(trouble, &error, what).await;
                    }
                }
                self.after_batch(shard, grouper, &mut troubles.trimming).await;
                handled.watermark
            }
            Err(error) => {
                self.retry(trouble, &error, "a batch was not committed; it is given again").await;
                watermark
            }
        }
    }

    /// Removes what of the stream is read, also what was just written. For the end, when every role has stopped.
    pub fn trim_all(&self) {
        if let Err(error) = self.log.trim_all(&self.watermarks()) {
            warn!(error = &error as &dyn std::error::Error, "consumed stream segments stay on the disk until the next start");
        }
    }

    fn watermarks(&self) -> Vec<Sequence> {
        let progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress
            .manifests
            .iter()
            .map(|manifest| manifest.as_ref().map_or(Sequence::ZERO, |manifest| manifest.watermark))
            .collect()
    }

    async fn after_batch(&self, shard: usize, grouper: &mut Grouper<S, SegmentLog<D>>, trimming: &mut Trouble) {
        if let Ok(manifest) = grouper.manifest().await {
            if !manifest.ledger.balances() {
                error!(shard, ledger = ?manifest.ledger, "the ledger does not balance: please report this");
            }
            let manifest = manifest.clone();
            self.note_manifest(shard, manifest);
        }
        match self.log.trim(&self.watermarks()) {
            Ok(_) => trimming.end(),
            Err(error) => trimming.begin(&error, "consumed stream segments could not be removed; trying again"),
        }
    }

    fn note_manifest(&self, shard: usize, manifest: Manifest) {
        self.note(|progress| {
            if let Some(slot) = progress.manifests.get_mut(shard) {
                *slot = Some(manifest);
            }
        });
    }

    async fn retry(&self, trouble: &mut Trouble, error: &(dyn std::error::Error + 'static), what: &'static str) {
        trouble.begin(error, what);
        self.note(|progress| progress.retries += 1);
        sleep(RETRY_PAUSE).await;
    }

    /// Archives at every interval until `stop`.
    pub async fn archive(&self, mut archiver: Archiver<S>, mut stop: watch::Receiver<bool>) {
        let mut ticks = interval(self.settings.archive_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut trouble = Trouble::new(None);
        while is_on(&mut stop, ticks.tick()).await {
            match archiver.run().await {
                Ok(done) => {
                    trouble.end();
                    if done.poisoned > 0 {
                        error!(rows = done.poisoned, "rows could not be written and were left out: please report this");
                    }
                    self.note(|progress| {
                        progress.archived.plans += done.plans;
                        progress.archived.files += done.files;
                        progress.archived.bytes += done.bytes;
                    });
                }
                Err(error) => self.retry(&mut trouble, &error, "archiving stopped early; it goes on with the next run").await,
            }
        }
    }

    /// Sweeps and expires at every interval until `stop`.
    pub async fn housekeep(&self, clock: impl Clock, mut stop: watch::Receiver<bool>) {
        let mut ticks = interval(self.settings.sweep_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut sweeping, mut expiring) = (Trouble::new(None), Trouble::new(None));
        while is_on(&mut stop, ticks.tick()).await {
            let now = clock.now_nanos();
            let age = i64::try_from(self.settings.orphan_age.as_nanos()).unwrap_or(i64::MAX);
            match sweep(self.store.as_ref(), now.saturating_sub(age)).await {
                Ok(swept) => {
                    sweeping.end();
                    debug!(objects = swept.objects, bytes = swept.bytes, "swept");
                }
                Err(error) => self.retry(&mut sweeping, &error, "sweeping stopped early; it goes on with the next run").await,
            }
            let days = i64::from(self.settings.delete_after_days);
            match expire(self.store.as_ref(), now.saturating_sub(days * 86_400 * NANOS_PER_SECOND)).await {
                Ok(expired) => {
                    expiring.end();
                    if expired.objects > 0 {
                        info!(files = expired.objects, bytes = expired.bytes, days, "deleted lake files past their retention");
                    }
                }
                Err(error) => {
                    let what = "deleting old files stopped early; it goes on with the next run";
                    self.retry(&mut expiring, &error, what).await;
                }
            }
        }
    }
}

impl Progress {
    /// Items of a signal committed and kept, over all shards, as last seen.
    #[must_use]
    pub fn totals(&self, signal: Signal) -> (u64, u64) {
        let accounts = self.manifests.iter().flatten().map(|manifest| manifest.ledger.account(signal));
        accounts.fold((0, 0), |(committed, kept), account| (committed + account.committed, kept + account.kept))
    }
}

/// Which version heartbeats carry from now on: where that cannot be told, the one before.
async fn look_at_rules<S: ObjectStore>(
    activation: &mut Activation<S>,
    now_nanos: i64,
    version: &mut String,
    trouble: &mut Trouble,
) {
    match activation.active(now_nanos).await {
        Ok(Active { version: active, refused }) => {
            match refused {
                None => trouble.end(),
                Some(reason) => trouble.begin(&RulesError::Refused(reason), "what `spanlake keep-all` asks for is not in force"),
            }
            if *version != active {
                info!(before = *version, now = active, "other rules hold for traces that begin from now on");
                *version = active;
            }
        }
        Err(error) => trouble.begin(&error, "it cannot be told what is to be kept; the rules before hold"),
    }
}

/// Waits for `event`, unless it is time to stop.
async fn is_on<T>(stop: &mut watch::Receiver<bool>, event: impl Future<Output = T>) -> bool {
    if *stop.borrow() {
        return false;
    }
    tokio::select! {
        biased;
        _ = stop.changed() => false,
        _ = event => true,
    }
}
