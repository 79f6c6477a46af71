//! Traces of which every span is in a staged batch still: those that wait for their decision, and for some minutes also those that
//! are decided, whatever became of them. For dry runs, which need the bodies of what was dropped. Nothing is changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use spanlake_model::{BucketRange, NANOS_PER_MS, Sequence, Signal, TraceId};
use spanlake_otlp::wire::put_len;
use spanlake_policy::TraceFacts;

use super::facts::facts_of;
use super::read::{DecidedReader, StagedReader};
use super::trace::State;
use super::{CloseError, Closer, Member, Recorded};
use crate::codec::Damaged;
use crate::decided::{Decided, DecidedIndex, Reason, Verdict};
use crate::fetch::{FetchError, get_range, get_tail, list_all};
use crate::group::{GroupError, all_manifests};
use crate::keys;
use crate::manifest::{Manifest, Staged, superseded};
use crate::object::{TAIL_BYTES, index_bytes};
use crate::ports::{Listed, ObjectStore};
use crate::settings::GroupSettings;
use crate::stage::RulesBook;
use crate::staged::{Key, StagedContext};

/// A trace all of whose spans are staged.
#[derive(Clone, Debug, PartialEq)]
pub struct StagedTrace {
    /// Its id.
    pub id: TraceId,
    /// Start and end of the window that decided it, or at whose close it is due; Unix nanoseconds.
    pub window: [i64; 2],
    /// What was decided, or what is to be decided by.
    pub decision: StagedDecision,
    /// Its spans in the order of the stream, as they were behind processors and masking. Those that came late only where the trace
    /// was kept and they are kept with it.
    pub parts: Vec<StagedPart>,
}

/// What is known of the decision on a staged trace.
#[derive(Clone, Debug, PartialEq)]
pub enum StagedDecision {
    /// It was made.
    Made(Arc<Reason>),
    /// It is still to be made.
    Waits {
        /// By the rules of this version.
        rules: String,
        /// What these rules know of it so far: of its spans as they came, before they were masked.
        facts: Vec<TraceFacts>,
    },
}

/// Spans of a trace that one service sent in one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagedPart {
    /// The service's name, masked.
    pub service: String,
    /// The record's place among those of the trace.
    pub record: u32,
    /// Its effective arrival, Unix nanoseconds.
    pub arrival_nanos: i64,
    /// Whether they came after the decision.
    pub is_late: bool,
    /// How many there are.
    pub spans: u64,
    /// Of their messages.
    pub span_bytes: u64,
    /// Them as an export request.
    pub request: Vec<u8>,
}

/// What is staged and cannot be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unread {
    /// Spans that wait for a decision: a batch of them was swept meanwhile, or their rules are not loaded.
    pub waiting_spans: u64,
}

/// Every version of rules that is in force on a shard, or that has decided anything within the late horizon.
///
/// # Errors
/// [`GroupError`] if a manifest or an object that it lists cannot be read.
pub async fn deciding_versions<S: ObjectStore>(store: &S) -> Result<BTreeSet<String>, GroupError> {
    let mut versions = BTreeSet::new();
    for manifest in all_manifests(store).await? {
        versions.extend(manifest.rules.previous.map(|previous| previous.version));
        versions.insert(manifest.rules.current);
        for decisions in &manifest.decisions {
            let tail = match get_tail(store, &decisions.key, decisions.bytes, decisions.index_bytes).await {
                Err(FetchError::Missing { .. }) => continue,
                tail => tail?,
            };
            let index = DecidedIndex::read(&tail).map_err(|damaged| damaged.of(&decisions.key))?;
            versions.extend(index.reasons.iter().map(|reason| reason.rules.clone()));
        }
    }
    Ok(versions)
}

/// Calls `each` with every trace of which all spans are staged, in order of bucket and id. The sweeper may work meanwhile: what it
/// takes away is not told.
///
/// # Errors
/// `each`'s; [`GroupError`] if something that a manifest lists is damaged or the store fails.
pub async fn staged_traces<S, E>(
    store: &S,
    book: &RulesBook,
    settings: &GroupSettings,
    mut each: impl FnMut(StagedTrace) -> Result<(), E>,
) -> Result<Unread, E>
where
    S: ObjectStore,
    E: From<GroupError>,
{
    // In this order: what is listed and not committed yet lies above every watermark that was read.
    let manifests = all_manifests(store).await?;
    let unlisted = list_all(store, keys::STAGED).await.map_err(GroupError::from)?;
    let mut walk = Walk::open(store, &manifests, &unlisted, book, settings).await.map_err(GroupError::from)?;
    let mut unread = Unread::default();
    while let Some(key) = walk.closer.next_key() {
        let (traces, missed) = walk.traces(key).await.map_err(GroupError::from)?;
        unread.waiting_spans += missed;
        traces.into_iter().try_for_each(&mut each)?;
    }
    Ok(unread)
}

/// A walk over all shards' batches at once.
struct Walk<'a, S> {
    closer: Closer<'a, S>,
    /// Up to which sequence number records are committed, by buckets.
    committed: Vec<(BucketRange, Sequence)>,
    /// Batches that a manifest lists: everything undecided is in these.
    listed: BTreeSet<String>,
    /// So many readers are of those; they stand in front.
    listed_readers: usize,
    /// One of those was swept, or decisions were.
    is_lost: bool,
}

/// A recorded decision with the start and the end of its window.
type Made = ([i64; 2], Decided, Arc<Reason>);

impl<'a, S: ObjectStore> Walk<'a, S> {
    async fn open(
        store: &'a S,
        manifests: &[Manifest],
        objects: &[Listed],
        book: &'a RulesBook,
        settings: &'a GroupSettings,
    ) -> Result<Self, CloseError> {
        let taken_over = superseded(manifests);
        let all = Manifest::new("all", BucketRange::ALL);
        let closer = Closer::open(store, all, i64::MAX, book, settings).await?;
        let committed = manifests.iter().map(|manifest| (manifest.buckets(), manifest.watermark)).collect();
        let mut walk = Self { closer, committed, listed: BTreeSet::new(), listed_readers: 0, is_lost: false };
        let live = || manifests.iter().filter(|manifest| !taken_over.contains(manifest.shard.as_str()));
        let listed: Vec<&Staged> = live().flat_map(|manifest| &manifest.staged).collect();
        walk.listed.extend(listed.iter().map(|staged| staged.key.clone()));
        let rest: Vec<&Listed> = objects.iter().filter(|object| !walk.listed.contains(&object.key)).collect();
        let open = listed.len() + rest.len();
        for staged in listed {
            walk.batch(staged, open, book).await?;
        }
        walk.listed_readers = walk.closer.readers.len();
        for object in rest {
            match retired(store, object).await {
                Ok(staged) => walk.batch(&staged, open, book).await?,
                Err(error) => tolerate(error)?,
            }
        }
        for decisions in live().flat_map(|manifest| &manifest.decisions) {
            match DecidedReader::open(store, decisions).await {
                Ok(reader) => walk.closer.decided.push(reader),
                Err(FetchError::Missing { .. }) => walk.is_lost = true,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(walk)
    }

    /// Opens a batch, if it is still there.
    async fn batch(&mut self, staged: &Staged, open: usize, book: &'a RulesBook) -> Result<(), CloseError> {
        let closer = &mut self.closer;
        match StagedReader::open(closer.store, (closer.readers.len(), open), staged, i64::MIN, None).await {
            Ok(mut reader) => {
                reader.versions = reader.all_rules().map(|name| closer.versions.number(name, book)).collect();
                closer.readers.push(reader);
            }
            Err(error) if self.listed.contains(&staged.key) => self.missing(error)?,
            Err(error) => tolerate(error)?,
        }
        Ok(())
    }

    /// Goes on without a batch that is not there any more.
    fn missing(&mut self, error: FetchError) -> Result<(), FetchError> {
        let FetchError::Missing { key } = &error else { return Err(error) };
        self.is_lost |= !key.starts_with(keys::STAGED) || self.listed.contains(key);
        Ok(())
    }

    /// The traces of a key: one for each decision, and what waits. How many spans wait and are not told.
    async fn traces(&mut self, key: Key) -> Result<(Vec<StagedTrace>, u64), CloseError> {
        let members = match self.closer.gather(key).await {
            Err(CloseError::Fetch(error)) => {
                self.missing(error)?;
                return Ok((Vec::new(), 0));
            }
            members => members?,
        };
        let members = self.committed(key, members);
        if members.is_empty() {
            return Ok((Vec::new(), 0));
        }
        let made = self.made(key).await?;
        let mut traces = Vec::new();
        for place in 0..made.len() {
            traces.extend(self.decided(key, &members, &made, place)?);
        }
        let recorded: Recorded = made.iter().map(|([_, end], _, reason)| (*end, Arc::clone(reason))).collect();
        let is_undecided = |member: &&Member| matches!(self.closer.state_of(member, &recorded), State::Undecided);
        let waiting: Vec<Member> = members.iter().filter(is_undecided).cloned().collect();
        // A batch is taken off the list once all of it is decided: the decision on such spans is forgotten by now.
        if waiting.is_empty() || waiting.iter().any(|member| member.reader >= self.listed_readers) {
            return Ok((traces, 0));
        }
        let spans = waiting.len() as u64;
        match self.waits(key, &waiting) {
            Ok(Some(trace)) if !self.is_lost => traces.push(trace),
            Ok(_) | Err(CloseError::UnknownRules(_)) => return Ok((traces, spans)),
            Err(error) => return Err(error),
        }
        Ok((traces, 0))
    }

    /// The spans of committed records, once each, in the order of the stream. A process that was killed may have left another cut
    /// of the same records.
    fn committed(&self, key: Key, members: Vec<Member>) -> Vec<Member> {
        let holds = |range: &BucketRange| (range.first..=range.last).contains(&key.bucket);
        let until = self.committed.iter().filter(|(range, _)| holds(range)).map(|(_, watermark)| *watermark).max();
        let sequence = |member: &Member| {
            let record = self.closer.readers.get(member.reader)?.record(member.row()?)?;
            let is_span = member.row().is_some_and(|row| row.signal == Signal::Traces && !row.overflow);
            (is_span && Some(record.sequence) <= until).then_some(record.sequence)
        };
        let mut known: Vec<(Sequence, Member)> =
            members.into_iter().filter_map(|member| Some((sequence(&member)?, member))).collect();
        known.sort_by_key(|(sequence, member)| (member.arrival, *sequence, member.reader));
        let mut of_record: BTreeMap<Sequence, usize> = BTreeMap::new();
        known.retain(|(sequence, member)| *of_record.entry(*sequence).or_insert(member.reader) == member.reader);
        known.into_iter().map(|(_, member)| member).collect()
    }

    /// The recorded decisions on a trace, oldest first.
    async fn made(&mut self, key: Key) -> Result<Vec<Made>, CloseError> {
        let (mut made, mut lost) = (Vec::new(), Vec::new());
        let closer = &mut self.closer;
        for reader in &mut closer.decided {
            let window = reader.window();
            match reader.find(closer.store, key).await {
                Ok(Some((decided, reason))) if reason.is_of_trace() => made.push((window, *decided, Arc::clone(reason))),
                Ok(_) => {}
                Err(error) => lost.push(error),
            }
        }
        lost.into_iter().try_for_each(|error| self.missing(error))?;
        made.sort_by_key(|([_, end], ..)| *end);
        Ok(made)
    }

    /// The trace of a decision, if all spans are there that it was made on, and no cap has cut it.
    fn decided(&self, key: Key, members: &[Member], made: &[Made], place: usize) -> Result<Option<StagedTrace>, CloseError> {
        let Some((window, decided, reason)) = made.get(place) else { return Ok(None) };
        let end = window[1];
        let spans = |(of, decided, _): &Made| of[1].saturating_sub((i64::from(decided.wait_ms) + 1).saturating_mul(NANOS_PER_MS));
        let (first, next) = (made.get(place).map_or(end, spans), made.get(place + 1).map_or(i64::MAX, spans));
        let own: Vec<&Member> = members.iter().filter(|member| member.arrival > first && member.arrival < end).collect();
        if own.len() as u64 != u64::from(decided.spans) || !decided.is_complete {
            return Ok(None);
        }
        let mut parts = self.parts(&own, false)?;
        if reason.verdict == Verdict::Kept {
            let is_late = |member: &&Member| {
                member.arrival >= end && member.arrival <= next && self.closer.is_within_horizon(end, member.arrival)
            };
            let late: Vec<&Member> = members.iter().filter(is_late).filter(|member| !self.stands_alone(key, member)).collect();
            parts.extend(self.parts(&late, true)?);
        }
        Ok(Some(StagedTrace { id: key.trace, window: *window, decision: StagedDecision::Made(Arc::clone(reason)), parts }))
    }

    /// Whether the rules of a late span keep it by itself, beside the decision on its trace.
    fn stands_alone(&self, key: Key, member: &Member) -> bool {
        let Some(row) = member.row() else { return false };
        self.closer.rules_of(member).is_ok_and(|(_, rules)| rules.keeps_late_span(&key.trace, &facts_of(row, row.span.bits)))
    }

    /// A trace that waits, as it stands.
    fn waits(&self, key: Key, members: &[Member]) -> Result<Option<StagedTrace>, CloseError> {
        let Some(due) = self.closer.due(members)? else { return Ok(None) };
        let settings = self.closer.settings;
        let start = settings.window_start(due.at.saturating_sub(1));
        let window = [start, start.saturating_add(settings.window_nanos)];
        let rules = self.closer.versions.name(due.version).to_owned();
        let decision = StagedDecision::Waits { rules, facts: due.records };
        Ok(Some(StagedTrace { id: key.trace, window, decision, parts: self.parts(&members.iter().collect::<Vec<_>>(), false)? }))
    }

    /// Spans by record and service.
    fn parts(&self, members: &[&Member], is_late: bool) -> Result<Vec<StagedPart>, CloseError> {
        let mut parts = Vec::new();
        let record_of = |member: &Member| (member.reader, member.row().map_or(0, |row| row.record));
        for (record, of_record) in (0..).zip(members.chunk_by(|one, next| record_of(one) == record_of(next))) {
            let mut services: Vec<(&str, Vec<Span<'_>>)> = Vec::new();
            for member in of_record {
                let span = self.span(member)?;
                let service = span.context.service.as_str();
                match services.iter_mut().find(|(known, _)| *known == service) {
                    Some((_, spans)) => spans.push(span),
                    None => services.push((service, vec![span])),
                }
            }
            let arrival_nanos = of_record.first().map_or(0, |member| member.arrival);
            parts.extend(services.into_iter().map(|(service, spans)| StagedPart {
                service: service.to_owned(),
                record,
                arrival_nanos,
                is_late,
                spans: spans.len() as u64,
                span_bytes: spans.iter().map(|span| span.body.len() as u64).sum(),
                request: request(&spans),
            }));
        }
        Ok(parts)
    }

    fn span<'m>(&'m self, member: &'m Member) -> Result<Span<'m>, CloseError> {
        let reader = self.closer.readers.get(member.reader).ok_or(Damaged("no such batch"))?;
        reader.load_bodies(&member.segment)?;
        let row = member.row().ok_or(Damaged("no such row"))?;
        let context = reader.contexts.get(row.context as usize).ok_or(Damaged("item of an unknown context"))?;
        Ok(Span { context, body: member.segment.body(row) })
    }
}

/// A staged span.
struct Span<'m> {
    context: &'m StagedContext,
    body: &'m [u8],
}

/// An export request of these spans, in their order.
fn request(spans: &[Span<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    for group in spans.chunk_by(|one, next| std::ptr::eq(one.context, next.context)) {
        let Some(Span { context, .. }) = group.first() else { continue };
        let put = |out: &mut Vec<u8>, number: u32, bytes: &[u8]| {
            if !bytes.is_empty() {
                put_len(out, number, bytes);
            }
        };
        let (mut resource, mut scope) = (Vec::new(), Vec::new());
        put(&mut scope, 1, &context.scope);
        put(&mut scope, 3, &context.scope_schema_url);
        for span in group {
            put_len(&mut scope, 2, span.body);
        }
        put(&mut resource, 1, &context.resource);
        put(&mut resource, 3, &context.resource_schema_url);
        put_len(&mut resource, 2, &scope);
        put_len(&mut out, 1, &resource);
    }
    out
}

/// What a manifest would say of a batch that none lists any more.
async fn retired<S: ObjectStore>(store: &S, object: &Listed) -> Result<Staged, FetchError> {
    let end = get_range(store, &object.key, object.bytes.saturating_sub(TAIL_BYTES as u64)..object.bytes).await?;
    let index_bytes = index_bytes(&end).map_err(|damaged| damaged.of(&object.key))?;
    Ok(Staged { key: object.key.clone(), bytes: object.bytes, index_bytes, arrivals: [0; 2], items: 0, inherited: None })
}

/// What nobody lists may be gone, or not whole.
fn tolerate(error: FetchError) -> Result<(), FetchError> {
    match error {
        FetchError::Missing { .. } | FetchError::Damaged { .. } => Ok(()),
        FetchError::Store(_) => Err(error),
    }
}
