//! Plans a stream batch: drops what was taken before, redacts, takes facts, and lays out one staged object.
//!
//! A pure function of manifest, records and rules. Every record above the watermark moves the clock, whatever its
//! content; a record that cannot be read is noted by its coordinates and hash, never by its bytes (promise 4).

mod book;
mod head;
mod payloads;
pub mod replay;
mod source;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use spanlake_model::{Sequence, Signal, TraceId};
use spanlake_otlp::payload::{Context, Items as PayloadItems, item_count};
use spanlake_policy::{MaskedContext, Rules, SpanFacts};
use thiserror::Error;

use crate::codec::Damaged;
use crate::envelope::{Envelope, Items, Part};
use crate::forward::Misplaced;
use crate::keys;
use crate::manifest::{Manifest, Previous, Staged};
use crate::object::{Finished, content_hash};
use crate::ports::Record;
use crate::red::{RedName, RedTable};
use crate::seen::{Known, SeenRecord};
use crate::settings::GroupSettings;
use crate::staged::{Batch, Bodies, Key, Row, SpanPart, StagedContext, StagedRecord};

pub use book::RulesBook;
use book::previous_at;
pub(crate) use book::wait_nanos;
use head::ItemHead;
pub(crate) use payloads::{BATCH_BYTES_MAX, ITEM_BYTES, Workspace};
use payloads::{PAYLOADS_KEPT_BYTES, check_payload, payload_bytes};
use source::{Source, fate};

const NANOS_PER_MINUTE: i64 = 60 * spanlake_model::NANOS_PER_SECOND;

/// Why a batch could not be planned.
#[derive(Debug, Error)]
pub(crate) enum PlanError {
    #[error("rules of version {0:?} are not loaded")]
    UnknownRules(String),
    #[error(transparent)]
    Damaged(#[from] Damaged),
}

/// What a batch comes to.
pub(crate) struct BatchPlan {
    /// The manifest after it.
    pub(crate) manifest: Manifest,
    /// What to put before the swap, by key.
    pub(crate) puts: Vec<(String, Bytes)>,
    /// The ids in the staged object, for the cache of prefixes.
    pub(crate) seen: Option<(String, Vec<SeenRecord>)>,
    /// What of the records is other shards', to be put on the stream again before the swap.
    pub(crate) misplaced: Vec<Misplaced>,
}

/// What becomes of a part of a record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is staged.
    Taken,
    /// It was taken before.
    Seen,
    /// Another shard owns it.
    Elsewhere,
}

/// Records above the watermark, in order, once each.
pub(crate) fn fresh_records<'a>(manifest: &Manifest, records: &'a [Record]) -> Vec<&'a Record> {
    let mut fresh: Vec<&Record> = records.iter().filter(|record| record.sequence > manifest.watermark).collect();
    fresh.sort_by_key(|record| record.sequence);
    fresh.dedup_by_key(|record| record.sequence);
    fresh
}

/// Plans a batch. `known` must hold what is known of every batch id in `records`.
pub(crate) fn plan_batch(
    manifest: &Manifest,
    records: &[&Record],
    known: &Known,
    (book, settings): (&RulesBook, &GroupSettings),
    workspace: &mut Workspace,
) -> Result<BatchPlan, PlanError> {
    workspace.forget_counts();
    let mut stager = Stager::new(manifest.clone(), known.clone(), (book, settings), workspace);
    // Room that grows by doubling would take twice of it.
    let payload_bytes: usize = records.iter().map(|record| payload_bytes(record)).sum();
    stager.batch.bodies.payloads.reserve_exact(payload_bytes.min(BATCH_BYTES_MAX));
    for record in records {
        stager.record(record)?;
    }
    stager.finish()
}

struct Stager<'a> {
    manifest: Manifest,
    known: Known,
    book: &'a RulesBook,
    settings: &'a GroupSettings,
    batch: Batch,
    contexts: Contexts,
    workspace: &'a mut Workspace,
    quarantine: Vec<(String, Bytes)>,
    misplaced: Vec<Misplaced>,
    pending: u64,
}

/// Masked contexts of the batch by the hash of what came, so that each is masked once.
#[derive(Default)]
struct Contexts {
    by_hash: HashMap<[u8; 32], usize>,
    all: Vec<Ready>,
}

/// A masked context with what it means to the rules.
struct Ready {
    masked: MaskedContext,
    previous: Option<MaskedContext>,
    /// Values masked in it, by rule.
    counts: Vec<(String, u64)>,
}

/// An item on its way.
#[derive(Clone, Copy)]
struct Raw<'a> {
    bytes: &'a [u8],
    /// Where it is in [`Bodies::payloads`], if it is there.
    place: Option<usize>,
    /// Its place among the batch's contexts.
    context: usize,
    overflow: bool,
    /// In the ledger's unit.
    count: u64,
    facts: (Option<SpanFacts>, Option<SpanFacts>),
}

/// What a record's items are processed with.
#[derive(Clone)]
struct InForce {
    rules: Arc<Rules>,
    previous: Option<Arc<Rules>>,
    window: i64,
    minute: i64,
    record: u32,
}

impl InForce {
    /// Whether rules that may decide on these spans count bytes.
    fn needs_size(&self) -> bool {
        self.rules.needs_size() || self.previous.as_ref().is_some_and(|rules| rules.needs_size())
    }
}

impl<'a> Stager<'a> {
    fn new(
        manifest: Manifest,
        known: Known,
        (book, settings): (&'a RulesBook, &'a GroupSettings),
        workspace: &'a mut Workspace,
    ) -> Self {
        let batch = Batch {
            rules: Vec::new(),
            records: Vec::new(),
            contexts: Vec::new(),
            rows: Vec::new(),
            bodies: Bodies { payloads: std::mem::take(&mut workspace.payloads), changed: Vec::new() },
            red: RedTable::unlimited(),
            seen: Vec::new(),
        };
        let contexts = Contexts::default();
        let (quarantine, misplaced) = (Vec::new(), Vec::new());
        Self { manifest, known, book, settings, batch, contexts, workspace, quarantine, misplaced, pending: 0 }
    }

    fn record(&mut self, record: &Record) -> Result<(), PlanError> {
        self.manifest.clock = self.manifest.clock.max(record.arrival_nanos);
        if self.manifest.watermark == Sequence::ZERO && !self.manifest.parents.is_empty() {
            self.manifest.born = self.manifest.clock;
        }
        self.manifest.watermark = record.sequence;
        match Envelope::decode(&record.bytes) {
            Ok(Envelope::Heartbeat { rules }) => self.switch_rules(rules)?,
            Ok(Envelope::Items(items)) => self.items(record, &items)?,
            Err(Damaged(reason)) => self.quarantine(record, reason),
        }
        Ok(())
    }

    /// A heartbeat's rules hold from the next record on; a further switch waits while older traces are undecided.
    fn switch_rules(&mut self, version: &str) -> Result<(), PlanError> {
        let clock = self.manifest.clock;
        let rules = &mut self.manifest.rules;
        if version.is_empty() || version == rules.current || previous_at(rules, self.book, self.settings, clock)?.is_some() {
            return Ok(());
        }
        let older = std::mem::replace(&mut rules.current, version.to_owned());
        rules.since = clock;
        // Their lines would be taken for those of the newer rules.
        self.manifest.ledger.fold_failures();
        // Nothing is undecided where no span ever came: most shards get their first heartbeat before anything else.
        let is_new = self.manifest.parents.is_empty() && self.manifest.ledger.traces.committed == 0;
        rules.previous = (!is_new).then_some(Previous { version: older, until: clock });
        Ok(())
    }

    fn quarantine(&mut self, record: &Record, reason: &str) {
        self.manifest.ledger.quarantined_records += 1;
        let hash = content_hash(&record.bytes);
        let note = serde_json::json!({
            "shard": self.manifest.shard, "sequence": record.sequence.to_string(), "arrival_unix_nano": record.arrival_nanos,
            "bytes": record.bytes.len(), "blake3_128": hash.to_string(), "reason": reason,
        });
        self.quarantine.push((
            format!("{}{}-{:020}-{hash}.json", keys::QUARANTINE, self.manifest.shard, record.sequence),
            note.to_string().into(),
        ));
    }

    fn items(&mut self, record: &Record, items: &Items<'_>) -> Result<(), PlanError> {
        let arrival = self.manifest.clock;
        let own = self.manifest.buckets();
        self.misplaced.extend(Misplaced::of(record, items, own));
        let fate = |part: &Part| match items.is_for(part.bucket) && own.contains(part.bucket) {
            false => Fate::Elsewhere,
            true if self.known.has(&items.batch_id, *part, arrival) => Fate::Seen,
            true => Fate::Taken,
        };
        let fates: Vec<Fate> = items.parts.iter().map(fate).collect();
        if fates.iter().all(|fate| *fate == Fate::Elsewhere) {
            return Ok(());
        }
        let owned = |(part, fate): (&Part, &Fate)| (*fate != Fate::Elsewhere).then_some(*part);
        let parts = items.parts.iter().zip(&fates).filter_map(owned).collect();
        let noted = SeenRecord { batch_id: items.batch_id, until: self.known_until(arrival, items.only.is_some()), parts };
        self.known.note(&noted);
        self.batch.seen.push(noted);
        let rows_before = self.batch.rows.len();
        let before = [self.batch.bodies.payloads.len(), self.batch.bodies.changed.len()];
        if fates.iter().all(|fate| *fate == Fate::Seen) {
            self.manifest.ledger.account_mut(items.signal).duplicates += items.count;
            self.note_record(record);
            return Ok(());
        }
        let force = self.in_force(record)?;
        let ledger_before = self.manifest.ledger.clone();
        let mut payloads = std::mem::take(&mut self.batch.bodies.payloads);
        let staged = check_payload(items, &mut payloads).and_then(|()| {
            // A panic of a rule must not stop the shard: the record is counted as poison.
            catch_unwind(AssertUnwindSafe(|| self.payload(items, (&payloads, before[0]), &fates, &force)))
                .unwrap_or(Err(Damaged("a rule panicked")))
        });
        if staged.is_err() || force.rules.has_processors(items.signal) {
            payloads.truncate(before[0]);
        }
        self.batch.bodies.payloads = payloads;
        if let Err(Damaged(reason)) = staged {
            self.batch.rows.truncate(rows_before);
            self.batch.bodies.changed.truncate(before[1]);
            self.manifest.ledger = ledger_before;
            *self.workspace = Workspace::default();
            self.poison(items, &fates);
            self.quarantine(record, reason);
        }
        self.count_rows(rows_before);
        Ok(())
    }

    /// Counts a record whose payload cannot be taken: what of it is this shard's and new.
    fn poison(&mut self, items: &Items<'_>, fates: &[Fate]) {
        let is_taken = |part: &&u16| fates.get(usize::from(**part)) == Some(&Fate::Taken);
        // The header counts the whole record; a part of it is known by its messages only.
        let all = fates.iter().all(|fate| *fate == Fate::Taken);
        let count = if all { items.count } else { items.part_of_item.iter().filter(is_taken).count() as u64 };
        let account = self.manifest.ledger.account_mut(items.signal);
        account.committed += count;
        account.drop_items("poison", count);
    }

    /// Until when a part that arrives now is known. Around a split or merge, copies may be written to a wrong shard,
    /// and come from there very late.
    fn known_until(&self, arrival: i64, is_forwarded: bool) -> i64 {
        let born = self.manifest.born;
        let is_young = born > 0 && arrival < born.saturating_add(self.settings.stale_shards_nanos);
        let kept = if is_forwarded || is_young { self.settings.misplaced_nanos() } else { 0 };
        arrival.saturating_add(self.settings.seen_nanos.max(kept))
    }

    fn note_record(&mut self, record: &Record) {
        let (rules, previous_rules) = (0, 0);
        self.batch.records.push(StagedRecord { sequence: record.sequence, arrival: self.manifest.clock, rules, previous_rules });
        if self.batch.rules.is_empty() {
            self.batch.rules.push(self.manifest.rules.current.clone());
        }
    }

    fn in_force(&mut self, record: &Record) -> Result<InForce, PlanError> {
        let arrival = self.manifest.clock;
        let load = |version: &String| self.book.get(version).cloned().ok_or_else(|| PlanError::UnknownRules(version.clone()));
        let previous =
            previous_at(&self.manifest.rules, self.book, self.settings, arrival)?.map(|previous| previous.version.clone());
        let rules = load(&self.manifest.rules.current)?;
        let previous_loaded = previous.as_ref().map(load).transpose()?;
        self.note_record(record);
        let mut number = |version: &str| {
            let known = self.batch.rules.iter().position(|known| known == version);
            known.unwrap_or_else(|| {
                self.batch.rules.push(version.to_owned());
                self.batch.rules.len() - 1
            })
        };
        let current = number(&self.manifest.rules.current);
        let older = previous.as_ref().map_or(0, |version| number(version) + 1);
        let index = self.batch.records.len() - 1;
        if let Some(staged) = self.batch.records.last_mut() {
            staged.rules = u32::try_from(current).unwrap_or(u32::MAX);
            staged.previous_rules = u32::try_from(older).unwrap_or(u32::MAX);
        }
        Ok(InForce {
            rules,
            previous: previous_loaded,
            window: self.settings.window_start(arrival),
            minute: arrival.div_euclid(NANOS_PER_MINUTE) * NANOS_PER_MINUTE,
            record: u32::try_from(index).unwrap_or(u32::MAX),
        })
    }

    /// Stages the items whose parts were not seen before of the payload that begins at `from`.
    fn payload(
        &mut self,
        items: &Items<'_>,
        (payloads, from): (&[u8], usize),
        fates: &[Fate],
        force: &InForce,
    ) -> Result<(), Damaged> {
        let payload = payloads.get(from..).unwrap_or_default();
        let account = self.manifest.ledger.account_mut(items.signal);
        let scratches = (&mut self.workspace.scratch, &mut self.workspace.previous);
        let source = Source::new(items, payload, fates, (force, self.manifest.clock), account, scratches)?;
        let mut all = PayloadItems::new(&source.payload);
        let (mut context, mut place) = (None, 0);
        while let Some(item) = all.next().map_err(|_| Damaged("payload is not OTLP"))? {
            let origin = source.origin(place).ok_or(Damaged("more items than listed"))?;
            place += 1;
            let fate = fate(items, fates, origin)?;
            if fate == Fate::Elsewhere {
                continue;
            }
            let count = item_count(items.signal, item.bytes);
            if fate == Fate::Seen {
                let duplicates = if source.has_counted() { 0 } else { count };
                self.manifest.ledger.account_mut(items.signal).duplicates += duplicates;
                continue;
            }
            let index = match context {
                Some((number, index)) if number == item.context => index,
                _ => self.context(items.signal, all.context(), force),
            };
            context = Some((item.context, index));
            let part = items.part_of_item.get(origin).and_then(|part| items.parts.get(usize::from(*part)));
            let listed = part.ok_or(Damaged("item of an unknown part"))?;
            let key = Key { bucket: listed.bucket.number(), trace: TraceId::default() };
            let (overflow, facts) = (listed.overflow, source.facts(origin));
            let place = source.is_as_it_came().then_some(from + item.start);
            let raw = Raw { bytes: item.bytes, place, context: index, overflow, count, facts };
            self.item(items.signal, raw, key, force);
        }
        Ok(())
    }

    fn context(&mut self, signal: Signal, raw: Context<'_>, force: &InForce) -> usize {
        let mut hash = blake3::Hasher::new();
        hash.update(&[signal.code()]);
        hash.update(force.rules.version().as_bytes());
        hash.update(force.previous.as_ref().map_or("", |rules| rules.version()).as_bytes());
        for part in [raw.resource, raw.resource_schema_url, raw.scope, raw.scope_schema_url] {
            hash.update(&(part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let hash = *hash.finalize().as_bytes();
        let index = if let Some(index) = self.contexts.by_hash.get(&hash) {
            *index
        } else {
            // What the record's items have come to is no part of the context's count.
            self.note_counts();
            let masked = force.rules.context(signal, raw, &mut self.workspace.scratch);
            let counts = self.workspace.scratch.take_masked();
            let previous = force.previous.as_ref().map(|rules| rules.context(signal, raw, &mut self.workspace.previous));
            self.batch.contexts.push(StagedContext {
                resource: masked.resource.clone(),
                resource_schema_url: masked.resource_schema_url.clone(),
                scope: masked.scope.clone(),
                scope_schema_url: masked.scope_schema_url.clone(),
                service: masked.service_name.clone(),
                environment: masked.deployment_environment.clone(),
            });
            self.contexts.all.push(Ready { masked, previous, counts });
            self.contexts.by_hash.insert(hash, self.contexts.all.len() - 1);
            self.contexts.all.len() - 1
        };
        if let Some(ready) = self.contexts.all.get(index) {
            for (rule, values) in &ready.counts {
                *self.manifest.ledger.masked.entry(rule.clone()).or_default() += values;
            }
        }
        index
    }

    fn item(&mut self, signal: Signal, raw: Raw<'_>, mut key: Key, force: &InForce) {
        let Raw { bytes: raw, place, context, overflow, count, facts: (known, known_before) } = raw;
        let Some(ready) = self.contexts.all.get(context) else { return };
        let changed = &mut self.batch.bodies.changed;
        let start = changed.len();
        let outcome = force.rules.changed_item(signal, &ready.masked, raw, changed, &mut self.workspace.scratch);
        let account = self.manifest.ledger.account_mut(signal);
        account.committed += count;
        if let Some(reason) = outcome.dropped {
            changed.truncate(start);
            account.drop_items(reason, count);
            return;
        }
        let place = place.filter(|_| !outcome.is_changed);
        if place.is_none() && !outcome.is_changed {
            changed.extend_from_slice(raw);
        }
        let body = if place.is_some() { raw } else { changed.get(start..).unwrap_or_default() };
        let head = ItemHead::new(signal, &outcome, body);
        key.trace = head.trace;
        let in_trace = signal == Signal::Logs && head.trace != TraceId::default() && !overflow;
        let waits = in_trace && force.rules.logs().waits(head.severity, head.severity_text);
        let mut span = SpanPart::default();
        if signal == Signal::Traces {
            let facts = known.unwrap_or(outcome.facts);
            let before = || {
                force.previous.as_ref().zip(ready.previous.as_ref()).map_or(0, |(rules, context)| {
                    self.workspace.unused.clear();
                    rules.item(signal, context, raw, &mut self.workspace.unused, &mut self.workspace.previous).facts.bits
                })
            };
            let previous_bits = known_before.map_or_else(before, |facts| facts.bits);
            let (service, environment) = (ready.masked.service_name.as_str(), ready.masked.deployment_environment.as_str());
            let kept = |rules: &Rules| rules.keep_all_bit(service, self.manifest.clock);
            span = SpanPart {
                bits: facts.bits | kept(&force.rules),
                previous_bits: previous_bits | force.previous.as_deref().map_or(0, kept),
                start_nanos: facts.start_nanos,
                end_nanos: facts.end_nanos,
                kind: facts.kind,
                status: head.status,
                is_root: head.parent.is_zero(),
                span_id: head.span,
                parent_id: head.parent,
                size_bytes: if force.needs_size() { outcome.facts.size_bytes } else { 0 },
                randomness: facts.randomness,
                // No head sampler keeps what its own threshold rejects: such a word is nobody's weight.
                threshold: facts.threshold.filter(|threshold| randomness(&head.trace, &facts) >= *threshold),
            };
            let (window, minute) = (force.window, force.minute);
            let name =
                RedName { window, minute, service, environment, operation: head.name, kind: span.kind, status: span.status };
            let duration = span.end_nanos.saturating_sub(span.start_nanos);
            self.batch.red.cell(name).count(span.status == STATUS_ERROR, duration);
        }
        self.batch.rows.push(Row {
            key,
            signal,
            record: force.record,
            context: u32::try_from(context).unwrap_or(u32::MAX),
            count: u32::try_from(count).unwrap_or(u32::MAX),
            overflow,
            waits,
            body: (u32::try_from(place.unwrap_or(start)).unwrap_or(u32::MAX), u32::try_from(body.len()).unwrap_or(u32::MAX)),
            is_changed: place.is_none(),
            span,
        });
    }

    fn count_rows(&mut self, rows_before: usize) {
        for row in self.batch.rows.get(rows_before..).unwrap_or_default() {
            self.manifest.ledger.account_mut(row.signal).pending += u64::from(row.count);
            self.pending += u64::from(row.count);
        }
        self.note_counts();
    }

    fn note_counts(&mut self) {
        for (rule, values) in self.workspace.scratch.take_masked() {
            *self.manifest.ledger.masked.entry(rule).or_default() += values;
        }
        for (what, times) in self.workspace.scratch.take_failed() {
            self.manifest.ledger.fail(&what, times);
        }
    }

    fn finish(mut self) -> Result<BatchPlan, PlanError> {
        let mut puts = self.quarantine;
        let mut noted = None;
        if let (Some(first), Some(last)) = (self.batch.records.first().copied(), self.batch.records.last().copied()) {
            let seen = self.batch.seen.clone();
            let Finished { bytes, index_bytes, hash } = self.batch.finish()?;
            let key = keys::data(keys::STAGED, hash);
            self.manifest.staged.push(Staged {
                key: key.clone(),
                bytes: bytes.len() as u64,
                index_bytes,
                arrivals: [first.arrival, last.arrival],
                items: self.pending,
                inherited: None,
            });
            puts.push((key.clone(), bytes));
            noted = Some((key, seen));
        }
        let mut payloads = std::mem::take(&mut self.batch.bodies.payloads);
        payloads.clear();
        if payloads.capacity() <= PAYLOADS_KEPT_BYTES {
            self.workspace.payloads = payloads;
        }
        Ok(BatchPlan { manifest: self.manifest, puts, seen: noted, misplaced: self.misplaced })
    }
}

/// The 56 bits that consistent sampling looks at: what the tracestate states, or the end of the trace id.
fn randomness(trace: &TraceId, facts: &SpanFacts) -> u64 {
    let low = u128::from_be_bytes(trace.0) & ((1 << 56) - 1);
    facts.randomness.unwrap_or_else(|| u64::try_from(low).unwrap_or(0))
}

/// OTLP `STATUS_CODE_ERROR`.
pub(crate) const STATUS_ERROR: u8 = 2;
