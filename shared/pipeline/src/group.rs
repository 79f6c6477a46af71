//! Runs the grouper of one shard: commits a batch, then closes the windows that the clock has passed, each in a swap
//! of the manifest of its own, so that a slow or failing close never stops the intake.
//!
//! State lives in the store. What is in memory (the manifest as last read, prefixes of seen ids, compiled rules) is a
//! cache: a second instance, a zombie or a restart decides the same without it.

mod error;
mod parents;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use spanlake_model::{BatchId, Sequence};
use spanlake_policy::Rules;

use crate::close::{CloseError, ClosePart, close_part, close_shard, next_close, staged_index};
use crate::codec::Damaged;
use crate::envelope::Envelope;
use crate::fetch::{FetchError, get_range, get_whole, list_all};
use crate::forward::{Misplaced, covers_all};
use crate::keys;
use crate::manifest::Manifest;
use crate::ports::{Conditional, ETag, EventStream, ObjectStore, Record, Shard, StoreError};
use crate::seen::{Known, Prefixes, SeenRecord};
use crate::settings::GroupSettings;
use crate::stage::{BATCH_BYTES_MAX, BatchPlan, ITEM_BYTES, PlanError, RulesBook, Workspace, fresh_records, plan_batch};
use crate::staged::read_seen_object;
use crate::world::planned;
pub use error::GroupError;
pub use parents::find_shard;

/// How often a swap that another writer won is tried again within a call.
const SWAP_TRIES: u32 = 8;

/// What a call did.
#[derive(Debug)]
pub struct Handled {
    /// Every record up to here is in the state.
    pub watermark: Sequence,
    /// Closes, or parts of closes, that were committed.
    pub closes: u32,
    /// Why closing stopped early, if it did. The intake is not affected; the next call goes on.
    pub close_error: Option<GroupError>,
}

/// Compiles the stored configuration of a rules version, or says why not.
pub type CompileRules = dyn Fn(&str) -> Result<Arc<Rules>, String> + Send + Sync;

/// The grouper of one shard.
pub struct Grouper<S, E> {
    store: Arc<S>,
    stream: Arc<E>,
    shard: Shard,
    settings: GroupSettings,
    compile: Arc<CompileRules>,
    book: RulesBook,
    manifest: Option<(Manifest, ETag)>,
    prefixes: HashMap<String, Prefixes>,
    workspace: Box<Workspace>,
}

impl<S: ObjectStore, E: EventStream> Grouper<S, E> {
    /// The grouper of `shard`. `default_rules` hold until a heartbeat carries others.
    pub fn new(
        store: Arc<S>,
        stream: Arc<E>,
        shard: Shard,
        settings: GroupSettings,
        default_rules: Arc<Rules>,
        compile: Arc<CompileRules>,
    ) -> Self {
        let mut book = RulesBook::default();
        book.insert("", default_rules);
        Self::with_book(store, stream, shard, settings, compile, book)
    }

    /// A grouper that remembers nothing yet.
    fn with_book(
        store: Arc<S>,
        stream: Arc<E>,
        shard: Shard,
        settings: GroupSettings,
        compile: Arc<CompileRules>,
        book: RulesBook,
    ) -> Self {
        Self {
            store,
            stream,
            shard,
            settings,
            compile,
            book,
            manifest: None,
            prefixes: HashMap::new(),
            workspace: Box::default(),
        }
    }

    /// Takes a batch of the shard's records, in any cut and any repetition, and closes what is due.
    ///
    /// # Errors
    /// [`GroupError`] if the batch is not committed for certain: it must be given again.
    pub async fn handle(&mut self, records: &[Record]) -> Result<Handled, GroupError> {
        let watermark = self.take(records).await?;
        let mut closes = 0;
        let close_error = loop {
            match self.close_next().await {
                Ok(true) => closes += 1,
                Ok(false) => break None,
                Err(error) => break Some(error),
            }
        };
        Ok(Handled { watermark, closes, close_error })
    }

    /// Commits records, and returns the sequence number up to which all are in the state.
    async fn take(&mut self, records: &[Record]) -> Result<Sequence, GroupError> {
        let last = records.iter().map(|record| record.sequence).max().unwrap_or_default();
        let mut watermark = Sequence::ZERO;
        loop {
            let result = self.commit(records).await;
            if result.is_err() {
                // The swap may have taken effect all the same: what is known here would only be refused.
                self.manifest = None;
            }
            let before = std::mem::replace(&mut watermark, result?);
            if watermark >= last || watermark == before {
                return Ok(watermark);
            }
        }
    }

    /// The shard's manifest, read now or as last written by this instance. Begins the shard if it has none: a child
    /// ends its parents first.
    ///
    /// # Errors
    /// [`GroupError`] if it cannot be read, or a parent has not ended.
    pub async fn manifest(&mut self) -> Result<&Manifest, GroupError> {
        let loaded = match self.manifest.take() {
            Some(cached) => cached,
            None => self.load_or_begin().await?,
        };
        Ok(&self.manifest.insert(loaded).0)
    }

    async fn load_or_begin(&mut self) -> Result<(Manifest, ETag), GroupError> {
        for _ in 0..SWAP_TRIES {
            if let Some(found) = peek_manifest(self.store.as_ref(), &self.shard.id).await? {
                return Ok(found);
            }
            self.refuse_a_second_life().await?;
            let mut manifest = self.begin().await?;
            let bytes = stored(self.store.as_ref(), &mut manifest, self.settings.manifest_bytes_max).await?;
            if let Conditional::Done(etag) = self.store.put_new(&keys::manifest(&self.shard.id), bytes).await? {
                return Ok((manifest, etag));
            }
        }
        Err(self.contended())
    }

    /// A shard whose outputs were archived had a manifest. Begun anew, it would file everything on the stream twice.
    async fn refuse_a_second_life(&self) -> Result<(), GroupError> {
        let (store, shard) = (self.store.as_ref(), &self.shard.id);
        // Another instance may have begun the shard meanwhile.
        if planned(store, shard).await? == 0 || peek_manifest(store, shard).await?.is_some() {
            return Ok(());
        }
        Err(GroupError::ManifestLost { shard: shard.clone() })
    }

    async fn commit(&mut self, records: &[Record]) -> Result<Sequence, GroupError> {
        for _ in 0..SWAP_TRIES {
            let manifest = self.manifest().await?.clone();
            let mut fresh = fresh_records(&manifest, records);
            if manifest.closed {
                // All of it was read before it was closed.
                return Ok(Sequence::MAX);
            }
            fresh.truncate(prefix_len(manifest.clock, &fresh, &self.settings));
            if fresh.is_empty() {
                return Ok(manifest.watermark);
            }
            let known = match self.load_known(&manifest, &fresh).await {
                Err(GroupError::Fetch(FetchError::Missing { .. })) if self.has_moved().await? => continue,
                known => known?,
            };
            let BatchPlan { manifest: next, puts, seen, misplaced } =
                match plan_batch(&manifest, &fresh, &known, (&self.book, &self.settings), &mut self.workspace) {
                    Ok(plan) => plan,
                    Err(PlanError::UnknownRules(version)) => {
                        self.load_rules(&version).await?;
                        continue;
                    }
                    Err(PlanError::Damaged(damaged)) => return Err(GroupError::Encode(damaged)),
                };
            self.put_all(puts).await?;
            self.forward(&misplaced).await?;
            let watermark = next.watermark;
            if self.swap(next).await? {
                self.remember(seen);
                return Ok(watermark);
            }
        }
        Err(self.contended())
    }

    /// Closes the next window that is due, or a part of it; `false` if none is.
    async fn close_next(&mut self) -> Result<bool, GroupError> {
        self.close_with(async |grouper, manifest| {
            let Some(end) = next_close(manifest, &grouper.settings) else { return Ok(None) };
            close_part(grouper.store.as_ref(), manifest, end, &grouper.book, &grouper.settings).await.map(Some)
        })
        .await
    }

    /// Closes the shard: nothing of it changes any more.
    async fn close_for_good(&mut self) -> Result<bool, GroupError> {
        self.close_with(async |grouper, manifest| {
            if manifest.closed || next_close(manifest, &grouper.settings).is_some() {
                return Ok(None);
            }
            close_shard(grouper.store.as_ref(), manifest, &grouper.book, &grouper.settings).await.map(Some)
        })
        .await
    }

    /// Commits what `close` makes of the manifest; `false` if it makes nothing.
    async fn close_with(
        &mut self,
        close: impl AsyncFn(&Self, &Manifest) -> Result<Option<ClosePart>, CloseError>,
    ) -> Result<bool, GroupError> {
        let result = self.try_close(close).await;
        if result.is_err() {
            self.manifest = None;
        }
        result
    }

    async fn try_close(
        &mut self,
        close: impl AsyncFn(&Self, &Manifest) -> Result<Option<ClosePart>, CloseError>,
    ) -> Result<bool, GroupError> {
        for _ in 0..SWAP_TRIES {
            let manifest = self.manifest().await?.clone();
            let part = match close(self, &manifest).await {
                Ok(Some(part)) => part,
                Ok(None) => return Ok(false),
                Err(CloseError::UnknownRules(version)) => {
                    self.load_rules(&version).await?;
                    continue;
                }
                Err(CloseError::Fetch(FetchError::Missing { .. })) if self.has_moved().await? => continue,
                Err(error) => return Err(error.into()),
            };
            self.put_all(part.puts).await?;
            if self.swap(part.manifest).await? {
                self.remember(part.seen);
                return Ok(true);
            }
        }
        Err(self.contended())
    }

    /// Reads the manifest again, and answers whether another caller has moved it on: what it listed then may be consumed
    /// and swept.
    async fn has_moved(&mut self) -> Result<bool, GroupError> {
        let before = self.manifest.take().map(|(_, etag)| etag);
        self.manifest = peek_manifest(self.store.as_ref(), &self.shard.id).await?;
        Ok(self.manifest.as_ref().map(|(_, etag)| etag) != before.as_ref())
    }

    /// Puts misplaced parts on the stream for their owners: before the swap, so that none is lost.
    async fn forward(&self, misplaced: &[Misplaced]) -> Result<(), GroupError> {
        if misplaced.is_empty() {
            return Ok(());
        }
        let shards = self.stream.shards();
        if !covers_all(&shards) {
            return Err(GroupError::Gap);
        }
        let mut copies = Vec::new();
        for part in misplaced {
            copies.extend(part.copies(&shards).map_err(GroupError::Encode)?);
        }
        self.stream.append(copies).await.into_iter().collect::<Result<(), _>>().map_err(GroupError::Forward)
    }

    async fn put_all(&self, puts: Vec<(String, Bytes)>) -> Result<(), StoreError> {
        for (key, bytes) in puts {
            self.store.put(&key, bytes).await?;
        }
        Ok(())
    }

    /// Swaps the manifest; `false` if another writer was faster.
    async fn swap(&mut self, mut next: Manifest) -> Result<bool, GroupError> {
        let Some((_, etag)) = &self.manifest else { return Ok(false) };
        let bytes = stored(self.store.as_ref(), &mut next, self.settings.manifest_bytes_max).await?;
        let swapped = self.store.swap(&keys::manifest(&self.shard.id), etag, bytes).await?;
        self.manifest = match swapped {
            Conditional::Done(etag) => Some((next, etag)),
            Conditional::Refused => None,
        };
        Ok(self.manifest.is_some())
    }

    /// Compiles stored rules into the book.
    async fn load_rules(&mut self, version: &str) -> Result<(), GroupError> {
        let error = |reason: String| GroupError::Rules { version: version.to_owned(), reason };
        let text = get_whole(self.store.as_ref(), &keys::rules(version)).await?;
        let text = std::str::from_utf8(&text).map_err(|_| error("not UTF-8".to_owned()))?;
        let rules = (self.compile)(text).map_err(error)?;
        if rules.version() != version {
            return Err(error(format!("the file there has version {}", rules.version())));
        }
        self.book.insert(version, rules);
        Ok(())
    }

    /// What is known of the batch ids in these records, confirmed against the objects that list them.
    async fn load_known(&mut self, manifest: &Manifest, records: &[&Record]) -> Result<Known, GroupError> {
        let wanted: BTreeSet<BatchId> = records.iter().filter_map(|record| batch_id(record)).collect();
        let mut known = Known::default();
        let listed = manifest.staged.iter().map(|staged| &staged.key).chain(manifest.seen.iter().map(|seen| &seen.key));
        let listed: BTreeSet<String> = listed.cloned().collect();
        self.prefixes.retain(|key, _| listed.contains(key));
        for key in &listed {
            let fetched = if self.prefixes.contains_key(key) { None } else { Some(self.seen_of(manifest, key).await?) };
            if let Some(records) = &fetched {
                self.prefixes.insert(key.clone(), Prefixes::of(records));
            }
            let may = self.prefixes.get(key).is_some_and(|prefixes| wanted.iter().any(|id| prefixes.may_contain(id)));
            if may {
                let records = if let Some(records) = fetched { records } else { self.seen_of(manifest, key).await? };
                let at_least = at_least(manifest, key, &self.settings);
                for mut record in records.into_iter().filter(|record| wanted.contains(&record.batch_id)) {
                    record.until = record.until.max(at_least);
                    known.note(&record);
                }
            }
        }
        Ok(known)
    }

    /// The ids that a listed object holds.
    async fn seen_of(&self, manifest: &Manifest, key: &str) -> Result<Vec<SeenRecord>, FetchError> {
        let store = self.store.as_ref();
        let Some(staged) = manifest.staged.iter().find(|staged| staged.key == key) else {
            return read_seen_object(&get_whole(store, key).await?).map_err(|damaged| damaged.of(key));
        };
        let index = staged_index(store, staged).await?;
        let damaged = |damaged: Damaged| damaged.of(key);
        let rest = get_range(store, key, index.rest_range().map_err(damaged)?).await?;
        index.seen(&rest).map_err(damaged)
    }

    fn remember(&mut self, seen: Option<(String, Vec<SeenRecord>)>) {
        if let Some((key, records)) = seen {
            self.prefixes.insert(key, Prefixes::of(&records));
        }
    }

    fn contended(&self) -> GroupError {
        GroupError::Contended { shard: self.shard.id.clone() }
    }
}

/// How many of the records one staged batch may take: what it inflates is bounded, and its items lie in one window, so
/// that no batch stays listed longer than its own traces wait.
fn prefix_len(clock: i64, records: &[&Record], settings: &GroupSettings) -> usize {
    let (mut clock, mut bytes, mut window) = (clock, 0, None);
    let fits = |record: &&&Record| {
        clock = clock.max(record.arrival_nanos);
        let Ok(Envelope::Items(items)) = Envelope::decode(&record.bytes) else { return true };
        bytes += items.payload_bytes + items.part_of_item.len() * ITEM_BYTES;
        let own = settings.window_start(clock);
        bytes <= BATCH_BYTES_MAX && *window.get_or_insert(own) == own
    };
    records.iter().take_while(fits).count().max(1)
}

fn batch_id(record: &Record) -> Option<BatchId> {
    match Envelope::decode(&record.bytes) {
        Ok(Envelope::Items(items)) => Some(items.batch_id),
        _ => None,
    }
}

/// Until when the ids in a listed object are known at least.
fn at_least(manifest: &Manifest, key: &str, settings: &GroupSettings) -> i64 {
    let seen = manifest.seen.iter().find(|seen| seen.key == key).map_or(0, |seen| seen.at_least);
    let is_inherited = manifest.staged.iter().any(|staged| staged.key == key && staged.inherited.is_some());
    if is_inherited { seen.max(manifest.inherited_until(settings)) } else { seen }
}

/// What to write for a manifest, once the page that it may need is there.
pub(crate) async fn stored<S: ObjectStore>(store: &S, manifest: &mut Manifest, bytes_max: usize) -> Result<Bytes, GroupError> {
    let encoded = manifest.encode(bytes_max).map_err(|source| GroupError::Manifest { shard: manifest.shard.clone(), source })?;
    if let Some((key, bytes)) = encoded.page {
        store.put(&key, bytes).await?;
    }
    Ok(encoded.manifest)
}

/// A shard's manifest and its version, if it has one.
///
/// # Errors
/// [`GroupError`] if it cannot be read.
pub async fn peek_manifest<S: ObjectStore>(store: &S, shard: &str) -> Result<Option<(Manifest, ETag)>, GroupError> {
    let Some(object) = store.get(&keys::manifest(shard)).await? else { return Ok(None) };
    let decoded = Manifest::decode(&object.bytes).map_err(|source| GroupError::Manifest { shard: shard.to_owned(), source })?;
    Ok(Some((decoded.turn_page(store).await?, object.etag)))
}

/// Every shard's manifest, children before their parents: what a shard hands over is then counted once.
///
/// # Errors
/// [`GroupError`] if one cannot be read.
pub async fn all_manifests<S: ObjectStore>(store: &S) -> Result<Vec<Manifest>, GroupError> {
    let listed = list_all(store, keys::MANIFEST).await?;
    let mut manifests = Vec::with_capacity(listed.len());
    for listed in listed.iter().rev() {
        let shard = listed.key.strip_prefix(keys::MANIFEST).and_then(|name| name.strip_suffix(".json"));
        if let Some(shard) = shard
            && let Some((manifest, _)) = peek_manifest(store, shard).await?
        {
            manifests.push(manifest);
        }
    }
    Ok(manifests)
}

#[cfg(test)]
mod tests {
    use spanlake_model::Signal;

    use super::*;
    use crate::envelope::Items;
    use crate::payload::Dictionary;

    fn record(items: u16, payload_bytes: usize) -> Record {
        let mut bytes = Vec::new();
        Items {
            only: None,
            signal: Signal::Traces,
            tenant: "default",
            cutting_rule: 1,
            batch_id: BatchId([1; 16]),
            received_nanos: 0,
            count: u64::from(items),
            parts: vec![crate::envelope::Part { bucket: spanlake_model::Bucket::new(1).unwrap(), part: 0, overflow: false }],
            part_of_item: vec![0; usize::from(items)],
            payload_bytes,
            dictionary: Dictionary::None,
            payload: &[],
        }
        .encode(&mut bytes);
        Record { sequence: Sequence::from(1), arrival_nanos: 1, bytes: bytes.into() }
    }

    #[test]
    fn a_batch_is_bounded_by_what_its_items_take_however_short_they_are() {
        let taken = |record: &Record| prefix_len(0, &vec![record; 1000], &GroupSettings::default());
        assert_eq!(taken(&record(1, 4 << 20)), 3);
        let tiny = taken(&record(10_000, 10_000));
        assert!((2..=16).contains(&tiny), "{tiny}: rows of ten thousand spans take over a MiB");
        assert_eq!(taken(&record(1, 64 << 20)), 1, "a large record is taken by itself");
    }
}
