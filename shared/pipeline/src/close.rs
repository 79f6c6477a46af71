//! Closes a window: decides the traces that are due, seals what is kept, and records every decision.
//!
//! A streaming merge of the staged batches by (bucket, trace id). Everything follows from effective arrivals and the
//! window's end, never from how records were cut into batches or when the close runs. A close may stop after any
//! trace once it has sealed enough; the manifest says how far it came.

mod edges;
mod facts;
mod logs;
mod pending;
mod read;
mod room;
mod spans;
mod trace;
mod versions;
mod whole;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use spanlake_model::Signal;
use spanlake_policy::{Admitted, Decision};
use thiserror::Error;

use crate::codec::Damaged;
use crate::decided::{DecidedWriter, Reason};
use crate::fetch::FetchError;
use crate::keys;
use crate::manifest::{Closing, DecisionsRef, Manifest, SealedRef, SeenRef, Staged};
use crate::object::Finished;
use crate::ports::ObjectStore;
use crate::red::{RedCell, RedKey, RedTable};
use crate::sealed::{GroupHead, SealedItem, SealedWriter};
use crate::seen::SeenRecord;
use crate::settings::GroupSettings;
use crate::stage::{RulesBook, wait_nanos};
use crate::staged::{Key, Row, seen_object};

pub(crate) use facts::{Brought, as_asked, facts_of};
pub(crate) use pending::{PendingKey, pending_of, walk_pending};
pub(crate) use read::staged_index;
use read::{DecidedReader, LazySegment, StagedReader};
use spans::{Chances, restated};
pub(crate) use trace::verdict_of;
use versions::{Version, Versions};
pub use whole::{StagedDecision, StagedPart, StagedTrace, Unread, deciding_versions, staged_traces};

/// Why a window could not be closed.
#[derive(Debug, Error)]
pub(crate) enum CloseError {
    #[error("rules of version {0:?} are not loaded")]
    UnknownRules(String),
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    Encode(#[from] Damaged),
}

/// What a close, or a part of one, comes to.
pub(crate) struct ClosePart {
    /// The manifest after it.
    pub(crate) manifest: Manifest,
    /// What to put before the swap, by key.
    pub(crate) puts: Vec<(String, Bytes)>,
    /// The ids that moved to an object of their own, for the cache of prefixes.
    pub(crate) seen: Option<(String, Vec<SeenRecord>)>,
}

/// The end of the next window to close, if the clock has passed it.
///
/// Windows in which nothing is staged are skipped: closing them would change nothing but the mark.
pub(crate) fn next_close(manifest: &Manifest, settings: &GroupSettings) -> Option<i64> {
    if let Some(closing) = &manifest.closing {
        return Some(closing.end);
    }
    let first = manifest.staged.iter().map(|staged| staged.arrivals[0]).min()?;
    let end = settings.window_start(manifest.mark.max(first)).saturating_add(settings.window_nanos);
    (end <= manifest.clock).then_some(end)
}

/// Closes the window that ends at `end`, or the next part of it.
pub(crate) async fn close_part<S: ObjectStore>(
    store: &S,
    manifest: &Manifest,
    end: i64,
    book: &RulesBook,
    settings: &GroupSettings,
) -> Result<ClosePart, CloseError> {
    let admitted = room::share_out(store, manifest, end, (book, settings)).await?;
    let mut closer = Closer::open(store, manifest.clone(), end, book, settings).await?;
    closer.longest_wait = closer.longest_wait()?;
    closer.admitted = admitted;
    while let Some(key) = closer.next_key() {
        let members = closer.gather(key).await?;
        closer.group(key, members).await?;
        // By what was sealed alone: what else is staged depends on how the records were cut into batches.
        if closer.sealed.raw_bytes() >= settings.seal_bytes {
            return closer.finish_part(key);
        }
    }
    closer.finish_whole()
}

/// Closes a shard for good: nothing is due any more. What has no bucket, the figures of what is still open, is sealed
/// here; the rest is the children's.
pub(crate) async fn close_shard<S: ObjectStore>(
    store: &S,
    manifest: &Manifest,
    book: &RulesBook,
    settings: &GroupSettings,
) -> Result<ClosePart, CloseError> {
    let end = settings.window_start(manifest.clock).saturating_add(settings.window_nanos);
    let mut closer = Closer::open(store, manifest.clone(), end, book, settings).await?;
    let red = closer.red(i64::MAX)?;
    let puts = closer.write(&red)?;
    closer.manifest.closed = true;
    for signal in Signal::ALL {
        let account = closer.manifest.ledger.account_mut(signal);
        account.handed_over = std::mem::take(&mut account.pending);
    }
    Ok(ClosePart { manifest: closer.manifest, puts, seen: None })
}

/// The ids of retired batches, and the object that now holds them.
type Retired = (SeenRef, Vec<SeenRecord>, Bytes);

/// A staged row of the group at hand.
#[derive(Clone)]
struct Member {
    segment: Arc<LazySegment>,
    at: usize,
    /// Index into [`Closer::readers`].
    reader: usize,
    arrival: i64,
    /// Whether no earlier close has dealt with what needs no decision.
    is_fresh: bool,
}

impl Member {
    fn row(&self) -> Option<&Row> {
        self.segment.rows.get(self.at)
    }
}

/// What earlier closes have recorded of a trace, with the ends of their windows.
type Recorded = Vec<(i64, Arc<Reason>)>;

/// The last key that a close under way is done with.
fn done_key(closing: &Closing) -> Result<Key, Damaged> {
    let (bucket, trace) = &closing.done;
    Ok(Key { bucket: *bucket, trace: trace.parse().map_err(|_| Damaged("closing names no trace"))? })
}

struct Closer<'a, S> {
    store: &'a S,
    book: &'a RulesBook,
    settings: &'a GroupSettings,
    manifest: Manifest,
    end: i64,
    readers: Vec<StagedReader>,
    versions: Versions<'a>,
    decided: Vec<DecidedReader>,
    sealed: SealedWriter,
    /// Numbers that contexts of staged batches have in the sealed output, by batch and number there.
    sealed_contexts: HashMap<(usize, u32), u32>,
    decisions: DecidedWriter,
    reasons: Vec<(Version, Decision, Arc<Reason>, u32)>,
    edges: RedTable,
    /// What there is room for in the window, by version of rules.
    admitted: BTreeMap<String, Admitted>,
    /// For rules of which no trace was offered.
    no_room: Admitted,
    /// How long anything that is staged may stay undecided, nanoseconds.
    longest_wait: i64,
}

impl<'a, S: ObjectStore> Closer<'a, S> {
    async fn open(
        store: &'a S,
        manifest: Manifest,
        end: i64,
        book: &'a RulesBook,
        settings: &'a GroupSettings,
    ) -> Result<Self, CloseError> {
        let after = manifest.closing.as_ref().map(done_key).transpose()?;
        let listed = || manifest.staged.iter().enumerate().filter(|(_, staged)| staged.arrivals[0] < end);
        let (open, mut readers, mut versions) = (listed().count(), Vec::new(), Versions::default());
        for (object, staged) in listed() {
            let mut reader = StagedReader::open(store, (object, open), staged, manifest.mark_of(staged), after).await?;
            reader.versions = reader.all_rules().map(|name| versions.number(name, book)).collect();
            readers.push(reader);
        }
        let mut decided = Vec::new();
        for decisions in manifest.decisions.iter().filter(|decisions| decisions.end < end) {
            decided.push(DecidedReader::open(store, decisions).await?);
        }
        Ok(Self {
            store,
            book,
            settings,
            end,
            readers,
            versions,
            decided,
            sealed: SealedWriter::new(end - settings.window_nanos),
            sealed_contexts: HashMap::new(),
            decisions: DecidedWriter::default(),
            reasons: Vec::new(),
            edges: RedTable::new(settings.red_keys_max),
            admitted: BTreeMap::new(),
            no_room: Admitted::default(),
            longest_wait: 0,
            manifest,
        })
    }

    fn next_key(&self) -> Option<Key> {
        self.readers.iter().filter_map(StagedReader::peek).min()
    }

    /// All rows of a key that arrived before the window's end, in order of their records.
    async fn gather(&mut self, key: Key) -> Result<Vec<Member>, CloseError> {
        let mut members = Vec::new();
        let end = self.end;
        for (number, reader) in self.readers.iter_mut().enumerate() {
            while reader.peek() == Some(key) {
                let take = |reader: &StagedReader, segment: &Arc<LazySegment>, at: usize| {
                    let record = segment.rows.get(at).and_then(|row| reader.record(row));
                    let arrival = record.map_or(i64::MAX, |record| record.arrival);
                    if arrival < end {
                        let (segment, is_fresh) = (Arc::clone(segment), arrival >= reader.mark);
                        members.push(Member { segment, at, reader: number, arrival, is_fresh });
                    }
                };
                reader.step(self.store, key, take).await?;
            }
        }
        Ok(members)
    }

    async fn group(&mut self, key: Key, members: Vec<Member>) -> Result<(), CloseError> {
        // Most keys hold nothing but spans that wait for their verdict.
        let is_plain = |member: &Member| member.row().is_some_and(|row| row.signal == Signal::Traces && !row.overflow);
        if members.iter().all(is_plain) {
            let recorded = self.recorded(key).await?;
            return self.trace(key, members, &recorded).map(drop);
        }
        let follows = |member: &Member| member.row().is_some_and(|row| row.signal == Signal::Logs && row.waits);
        let (logs, members): (Vec<_>, Vec<_>) = members.into_iter().partition(follows);
        for signal in [Signal::Logs, Signal::Metrics] {
            let fresh = |member: &&Member| member.is_fresh && member.row().is_some_and(|row| row.signal == signal);
            let due: Vec<Member> = members.iter().filter(fresh).cloned().collect();
            let head = GroupHead { signal, trace: key.trace, policy: "", weight: 1.0, is_late: false, is_complete: true };
            self.seal(&head, &due, None)?;
        }
        let is_span = |member: &Member| member.row().is_some_and(|row| row.signal == Signal::Traces);
        let (overflow, spans): (Vec<_>, Vec<_>) =
            members.into_iter().filter(is_span).partition(|member| member.row().is_some_and(|row| row.overflow));
        let due: Vec<Member> = overflow.into_iter().filter(|member| member.is_fresh).collect();
        let head = GroupHead {
            signal: Signal::Traces,
            trace: key.trace,
            policy: "overflow",
            weight: 1.0,
            is_late: false,
            is_complete: false,
        };
        self.seal(&head, &due, None)?;
        if spans.is_empty() && logs.is_empty() {
            return Ok(());
        }
        let recorded = self.recorded(key).await?;
        let outcome = self.trace(key, spans, &recorded)?;
        self.logs(key, logs, &recorded, &outcome)
    }

    /// Seals members as one group, and counts them as kept. With `chances` they are spans that chance has kept, whose tracestate
    /// may have to say so.
    fn seal(&mut self, head: &GroupHead<'_>, members: &[Member], chances: Option<Chances>) -> Result<(), CloseError> {
        if members.is_empty() {
            return Ok(());
        }
        for member in members {
            let reader = self.readers.get(member.reader).ok_or(Damaged("no such batch"))?;
            reader.load_bodies(&member.segment)?;
        }
        let restated: Vec<Option<Vec<u8>>> = members.iter().map(|member| self.restated(member, chances?)).collect();
        let mut items = Vec::with_capacity(members.len());
        let mut kept = 0;
        for (member, restated) in members.iter().zip(&restated) {
            let Some(row) = member.row() else { continue };
            let context = self.context(member.reader, row.context)?;
            let body = restated.as_deref().unwrap_or_else(|| member.segment.body(row));
            items.push(SealedItem { context, arrival: member.arrival, count: row.count, body });
            kept += u64::from(row.count);
        }
        self.sealed.group(head, items.into_iter())?;
        let account = self.manifest.ledger.account_mut(head.signal);
        account.kept += kept;
        account.pending = account.pending.saturating_sub(kept);
        Ok(())
    }

    /// A kept span with another tracestate, if it gets one.
    fn restated(&self, member: &Member, chances: Chances) -> Option<Vec<u8>> {
        let row = member.row()?;
        let (_, rules) = self.rules_of(member).ok()?;
        let is_looked_at = row.span.threshold.is_some() || rules.states_thresholds();
        is_looked_at.then(|| restated(rules, chances, member.segment.body(row)))?
    }

    /// The number in the sealed output of a context of a staged batch.
    fn context(&mut self, reader: usize, number: u32) -> Result<u32, CloseError> {
        if let Some(known) = self.sealed_contexts.get(&(reader, number)) {
            return Ok(*known);
        }
        let context = self.readers.get(reader).and_then(|reader| reader.contexts.get(number as usize));
        let sealed = self.sealed.context(context.ok_or(Damaged("item of an unknown context"))?);
        self.sealed_contexts.insert((reader, number), sealed);
        Ok(sealed)
    }

    /// Ends a part behind `last`; the rest of the close is a later part's.
    fn finish_part(mut self, last: Key) -> Result<ClosePart, CloseError> {
        self.manifest.closing = Some(Closing { end: self.end, done: (last.bucket, last.trace.to_string()) });
        let puts = self.write(&RedTable::new(0))?;
        Ok(ClosePart { manifest: self.manifest, puts, seen: None })
    }

    /// Ends the close: figures, consumed batches, expired ids and decisions.
    fn finish_whole(mut self) -> Result<ClosePart, CloseError> {
        let red = self.red(self.end)?;
        let mut puts = self.write(&red)?;
        let mut seen = None;
        if let Some((reference, records, bytes)) = self.retire()? {
            puts.push((reference.key.clone(), bytes));
            seen = Some((reference.key.clone(), records));
            self.manifest.seen.push(reference);
        }
        self.settle();
        Ok(ClosePart { manifest: self.manifest, puts, seen })
    }

    /// The figures of all staged spans that arrived since the last close and before `end`. A parent's are its own.
    fn red(&self, end: i64) -> Result<RedTable, CloseError> {
        let mut red = RedTable::new(self.settings.red_keys_max);
        let due = |window: i64| window >= self.manifest.mark && window < end;
        for reader in self.readers.iter().filter(|reader| !reader.is_inherited()) {
            let rows: Vec<(RedKey, RedCell)> = reader.red()?;
            rows.iter().filter(|(key, _)| due(key.window)).for_each(|(key, cell)| red.merge(key, cell));
        }
        Ok(red)
    }

    /// Writes what was sealed and decided, and lists it.
    fn write(&mut self, red: &RedTable) -> Result<Vec<(String, Bytes)>, CloseError> {
        let mut puts = Vec::new();
        let mut decisions = None;
        if !self.decisions.is_empty() {
            let Finished { bytes, index_bytes, hash } = self.decisions.finish(self.end - self.settings.window_nanos, self.end)?;
            let key = keys::data(keys::DECISIONS, hash);
            self.manifest.decisions.push(DecisionsRef {
                key: key.clone(),
                bytes: bytes.len() as u64,
                index_bytes,
                end: self.end,
            });
            puts.push((key.clone(), bytes));
            decisions = Some(key);
        }
        let window_start = self.end - self.settings.window_nanos;
        let sealed = std::mem::replace(&mut self.sealed, SealedWriter::new(window_start));
        let (raw_bytes, items) = (sealed.raw_bytes(), Some(sealed.items()));
        let sealed = sealed.finish(red, &self.edges, decisions.as_deref())?;
        if let Some(Finished { bytes, hash, .. }) = sealed {
            let key = keys::data(keys::SEALED, hash);
            self.manifest.sealed_last += 1;
            let number = self.manifest.sealed_last;
            self.manifest.sealed.push(SealedRef {
                number,
                key: key.clone(),
                bytes: bytes.len() as u64,
                raw_bytes,
                items,
                window_start,
                decisions,
            });
            puts.push((key, bytes));
        }
        Ok(puts)
    }

    /// Takes batches off the list of which every trace is decided, and gathers the ids seen in them.
    fn retire(&mut self) -> Result<Option<Retired>, CloseError> {
        let (end, wait) = (self.end, self.longest_wait);
        let at_least = self.manifest.inherited_until(self.settings);
        let is_consumed = |last: i64| last < end && last.saturating_add(wait) <= end;
        let (mut records, mut noted) = (Vec::new(), 0);
        for reader in &self.readers {
            let staged = self.staged_of(reader)?;
            if is_consumed(staged.arrivals[1]) {
                noted = noted.max(staged.arrivals[1]);
                let mut seen = reader.seen()?;
                if reader.is_inherited() {
                    for seen in &mut seen {
                        seen.until = seen.until.max(at_least);
                    }
                }
                records.extend(seen.into_iter().filter(|seen| seen.until > end));
            }
        }
        self.manifest.staged.retain(|staged| !is_consumed(staged.arrivals[1]));
        let Some(until) = records.iter().map(|seen| seen.until).max() else { return Ok(None) };
        let Finished { bytes, index_bytes, hash } = seen_object(&records)?;
        let (key, bytes_len) = (keys::data(keys::SEEN, hash), bytes.len() as u64);
        let reference = SeenRef { key, bytes: bytes_len, index_bytes, until, at_least: 0, noted };
        Ok(Some((reference, records, bytes)))
    }

    fn staged_of(&self, reader: &StagedReader) -> Result<&Staged, CloseError> {
        self.manifest.staged.get(reader.object).ok_or_else(|| Damaged("no such batch").into())
    }

    /// How long anything that is staged may stay undecided; an error if rules that may decide it are not loaded. A log record that
    /// follows its trace waits for spans to come at all, and then for as long again, each by rules of its own.
    fn longest_wait(&self) -> Result<i64, CloseError> {
        let rules = &self.manifest.rules;
        let named = [Some(rules.current.as_str()), rules.previous.as_ref().map(|previous| previous.version.as_str())];
        let staged = self.readers.iter().flat_map(StagedReader::all_rules);
        let (mut longest, mut follows) = (0, false);
        for version in named.into_iter().flatten().chain(staged) {
            let rules = self.book.get(version).ok_or_else(|| CloseError::UnknownRules(version.to_owned()))?;
            longest = longest.max(wait_nanos(rules));
            follows |= rules.logs().follows_trace();
        }
        Ok(if follows { longest.saturating_add(self.settings.window_nanos).saturating_mul(2) } else { longest })
    }

    /// Moves the mark and lets go of what is out of date by it.
    fn settle(&mut self) {
        let (end, longest) = (self.end, self.longest_wait);
        let keep_decisions = self.settings.late_horizon_nanos.saturating_add(2 * self.settings.window_nanos);
        self.manifest.mark = end;
        self.manifest.closing = None;
        self.manifest.seen.retain(|seen| seen.until.max(seen.at_least) > end);
        self.manifest.decisions.retain(|decisions| decisions.end.saturating_add(keep_decisions).saturating_add(longest) > end);
        let undecided_before = end.saturating_sub(longest);
        if self.manifest.rules.previous.as_ref().is_some_and(|previous| previous.until <= undecided_before) {
            self.manifest.rules.previous = None;
        }
    }
}
