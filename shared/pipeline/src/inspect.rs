//! Looks at the state without changing it: the ledger, how far everything is, and what is known of one trace that the
//! lake does not show yet.

mod contents;

use std::collections::BTreeSet;

use spanlake_model::{Bucket, Signal, SpanId, TraceId};
use spanlake_otlp::wire::{Reader, Value};

use crate::archive::Plan;
use crate::close::staged_index;
use crate::codec::Damaged;
use crate::decided::{DecidedIndex, Explained, Reason};
use crate::fetch::{FetchError, LIST_MOST, get_range, get_tail, get_whole};
use crate::group::{GroupError, all_manifests};
use crate::keys;
use crate::ledger::Ledger;
use crate::manifest::{DecisionsRef, Manifest, Staged};
use crate::ports::{ObjectStore, StoreError};
use crate::sealed::Sealed;
use crate::staged::{Key, Row, StagedContext};

pub use crate::close::{StagedDecision, StagedPart, StagedTrace, Unread, deciding_versions, staged_traces};
pub use contents::{Contents, contents};

/// Where everything is.
#[derive(Clone, Debug, Default)]
pub struct Overview {
    /// All shards' ledgers together.
    pub ledger: Ledger,
    /// The manifests, one for each shard that has one, in order of their ids.
    pub manifests: Vec<Manifest>,
    /// The newest archive plan's number.
    pub plans: u64,
    /// Plans that are not carried out.
    pub plans_undone: u64,
    /// Notes about records that could not be read.
    pub quarantined: u64,
}

impl Overview {
    /// Whether everything that was committed is decided and archived.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let pending = Signal::ALL.into_iter().any(|signal| self.ledger.account(signal).pending > 0);
        let waiting = self.manifests.iter().any(|manifest| !manifest.sealed.is_empty());
        !pending && !waiting && self.plans_undone == 0
    }
}

/// Reads the overview.
///
/// # Errors
/// [`GroupError`] if a manifest cannot be read.
pub async fn overview<S: ObjectStore>(store: &S) -> Result<Overview, GroupError> {
    let mut overview = Overview { manifests: all_manifests(store).await?, ..Overview::default() };
    overview.ledger = Ledger::of_shards(overview.manifests.iter().map(|manifest| &manifest.ledger));
    overview.manifests.reverse();
    let (plans, done) = plan_numbers(store).await?;
    overview.plans = plans.last().copied().unwrap_or_default();
    overview.plans_undone = plans.iter().filter(|plan| !done.contains(plan)).count() as u64;
    overview.quarantined = store.list(keys::QUARANTINE, None, 10_000).await?.len() as u64;
    Ok(overview)
}

/// Objects whose keys begin with a prefix, and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// How many.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Counts the objects whose keys begin with a prefix.
///
/// # Errors
/// [`StoreError`] if they cannot be listed.
pub async fn usage<S: ObjectStore>(store: &S, prefix: &str) -> Result<Usage, StoreError> {
    let (mut usage, mut after) = (Usage::default(), None::<String>);
    loop {
        let page = store.list(prefix, after.as_deref(), LIST_MOST).await?;
        usage.objects += page.len() as u64;
        usage.bytes += page.iter().map(|listed| listed.bytes).sum::<u64>();
        match page.last() {
            Some(last) if page.len() == LIST_MOST => after = Some(last.key.clone()),
            _ => return Ok(usage),
        }
    }
}

async fn plan_numbers<S: ObjectStore>(store: &S) -> Result<(Vec<u64>, Vec<u64>), StoreError> {
    let (mut plans, mut done, mut after) = (Vec::new(), Vec::new(), None::<String>);
    loop {
        let page = store.list(keys::PLAN, after.as_deref(), LIST_MOST).await?;
        for listed in &page {
            let name = listed.key.strip_prefix(keys::PLAN).unwrap_or_default();
            let (stem, kind) = name.split_once('.').unwrap_or_default();
            if let Ok(number) = stem.parse() {
                if kind == "done" { done.push(number) } else { plans.push(number) }
            }
        }
        match page.last() {
            Some(last) if page.len() == LIST_MOST => after = Some(last.key.clone()),
            _ => return Ok((plans, done)),
        }
    }
}

/// A span that the lake does not show yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingSpan {
    /// The service's name, masked.
    pub service: String,
    /// The masked `Span` message.
    pub span: Vec<u8>,
    /// Effective arrival, Unix nanoseconds.
    pub arrival: i64,
    /// Whether its trace is decided: sealed, on its way to the lake.
    pub is_decided: bool,
}

impl PendingSpan {
    /// The span's own id.
    #[must_use]
    pub fn span_id(&self) -> SpanId {
        let mut reader = Reader::new(&self.span);
        let mut id = SpanId::default();
        while let Ok(Some(field)) = reader.next() {
            if let (2, Value::Len(bytes)) = (field.number, field.value) {
                id = SpanId::from_slice(bytes).unwrap_or_default();
            }
        }
        id
    }
}

/// A recorded decision on a trace.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedDecision {
    /// The end of the window at whose close it was made, Unix nanoseconds.
    pub decided_nanos: i64,
    /// Why.
    pub reason: Reason,
    /// Spans and errors that it was made on.
    pub spans: u32,
    /// Spans with an error status among them.
    pub errors: u32,
    /// From the first span's arrival to the decision.
    pub wait_ms: u32,
    /// Whether no cap was hit.
    pub is_complete: bool,
    /// The value that decided each vote, in words, by policy; none where an earlier release recorded the decision.
    pub explanations: Vec<(String, String)>,
}

/// What is known of a trace beside the lake.
#[derive(Clone, Debug, Default)]
pub struct TraceState {
    /// Spans staged or sealed and not yet in the lake, in order of arrival.
    pub spans: Vec<PendingSpan>,
    /// Decisions within the late horizon, oldest first.
    pub decisions: Vec<RecordedDecision>,
}

/// Looks for a trace among what is staged, decided and sealed.
///
/// # Errors
/// [`GroupError`] if something listed cannot be read.
pub async fn find_trace<S: ObjectStore>(store: &S, trace: TraceId) -> Result<TraceState, GroupError> {
    let key = Key { bucket: Bucket::of_trace(&trace).number(), trace };
    let mut state = TraceState::default();
    let manifests = all_manifests(store).await?;
    for manifest in manifests.iter().filter(|manifest| is_held(&manifests, manifest, key.bucket)) {
        for decisions in &manifest.decisions {
            state.decisions.extend(find_decision(store, decisions, key).await?);
        }
    }
    // What arrived before the decision is sealed or gone; the rest is late, or waits.
    let decided = state.decisions.iter().map(|decision| decision.decided_nanos).max();
    let mut sealed = BTreeSet::new();
    for manifest in &manifests {
        for staged in &manifest.staged {
            let is_held = |bucket| staged.holds(bucket) && is_held(&manifests, manifest, bucket);
            let spans = find_staged(store, staged, trace, is_held).await?;
            state.spans.extend(spans.into_iter().filter(|span| decided.is_none_or(|decided| span.arrival >= decided)));
        }
        sealed.extend(manifest.sealed.iter().map(|output| output.key.clone()));
    }
    let (plans, done) = plan_numbers(store).await?;
    for plan in plans.into_iter().filter(|plan| !done.contains(plan)) {
        let Ok(plan) = Plan::decode(&get_whole(store, &keys::plan(plan)).await?) else { continue };
        // Manifests list an output until its plan is done: it counts once.
        sealed.extend(plan.groups.into_iter().flat_map(|group| group.inputs).map(|input| input.key));
    }
    for key in &sealed {
        state.spans.extend(find_sealed(store, key, trace).await?);
    }
    state.spans.sort_by_key(|span| span.arrival);
    Ok(state)
}

/// Whether what a manifest lists of a bucket is its own: it owned the bucket, and no child has taken it over.
fn is_held(manifests: &[Manifest], manifest: &Manifest, bucket: u16) -> bool {
    let owns = |manifest: &Manifest| (manifest.range[0]..=manifest.range[1]).contains(&bucket);
    owns(manifest) && !manifests.iter().any(|child| child.parents.contains(&manifest.shard) && owns(child))
}

async fn find_decision<S: ObjectStore>(
    store: &S,
    decisions: &DecisionsRef,
    key: Key,
) -> Result<Option<RecordedDecision>, FetchError> {
    let damaged = |damaged: Damaged| damaged.of(&decisions.key);
    let tail = get_tail(store, &decisions.key, decisions.bytes, decisions.index_bytes).await?;
    let index = DecidedIndex::read(&tail).map_err(damaged)?;
    let segment = index.lasts.partition_point(|last| *last < key);
    if segment >= index.lasts.len() {
        return Ok(None);
    }
    let range = index.range(segment).map_err(damaged)?;
    let at = range.start;
    let bytes = get_range(store, &decisions.key, range).await?;
    let rows = index.rows(segment, &bytes, at).map_err(damaged)?;
    let found = rows.iter().enumerate().find(|(_, row)| row.key == key);
    let Some((place, row)) = found else { return Ok(None) };
    let reason = index.reasons.get(row.reason as usize).filter(|reason| reason.is_of_trace());
    let Some(reason) = reason else { return Ok(None) };
    let mut explained = Explained::default();
    if let Some([measures, conditions]) = index.explaining_ranges(segment).map_err(damaged)? {
        let at = [measures.start, conditions.start];
        let measures = get_range(store, &decisions.key, measures).await?;
        let conditions = get_range(store, &decisions.key, conditions).await?;
        let bytes = [(measures.as_ref(), at[0]), (conditions.as_ref(), at[1])];
        explained = index.explained(segment, rows.len(), bytes).map_err(damaged)?;
    }
    let explanations = explained.of(place, row, reason).into_iter().map(|(policy, text)| (policy.to_owned(), text));
    Ok(Some(RecordedDecision {
        decided_nanos: index.end,
        reason: reason.as_ref().clone(),
        spans: row.spans,
        errors: row.errors,
        wait_ms: row.wait_ms,
        is_complete: row.is_complete,
        explanations: explanations.collect(),
    }))
}

/// The spans of a trace in a staged batch, of the buckets that are held.
async fn find_staged<S: ObjectStore>(
    store: &S,
    staged: &Staged,
    trace: TraceId,
    is_held: impl Fn(u16) -> bool,
) -> Result<Vec<PendingSpan>, FetchError> {
    let is_wanted = |row: &&Row| row.key.trace == trace && row.signal == Signal::Traces && is_held(row.key.bucket);
    let damaged = |damaged: Damaged| damaged.of(&staged.key);
    let index = staged_index(store, staged).await?;
    let mut spans = Vec::new();
    let mut contexts: Option<Vec<StagedContext>> = None;
    for segment in 0..index.segments.len() {
        let facts = get_range(store, &staged.key, index.facts_range(segment).map_err(damaged)?).await?;
        let rows = index.rows(segment, &facts).map_err(damaged)?;
        if !rows.iter().any(|row| is_wanted(&row)) {
            continue;
        }
        let bodies = get_range(store, &staged.key, index.bodies_range(segment).map_err(damaged)?).await?;
        let bodies = index.bodies(segment, &bodies).map_err(damaged)?;
        if contexts.is_none() {
            let rest = get_range(store, &staged.key, index.rest_range().map_err(damaged)?).await?;
            contexts = Some(index.contexts(&rest).map_err(damaged)?);
        }
        for row in rows.iter().filter(is_wanted) {
            let start = row.body.0 as usize;
            let span = bodies.get(start..start + row.body.1 as usize).unwrap_or_default().to_vec();
            let context = contexts.as_ref().and_then(|contexts| contexts.get(row.context as usize));
            let service = context.map(|context| context.service.clone()).unwrap_or_default();
            let arrival = index.records.get(row.record as usize).map_or(0, |record| record.arrival);
            spans.push(PendingSpan { service, span, arrival, is_decided: false });
        }
    }
    Ok(spans)
}

async fn find_sealed<S: ObjectStore>(store: &S, key: &str, trace: TraceId) -> Result<Vec<PendingSpan>, FetchError> {
    // Carried out and swept since the plan was read: the lake has it.
    let Some(object) = store.get(key).await? else { return Ok(Vec::new()) };
    let sealed = Sealed::read(&object.bytes).map_err(|damaged| damaged.of(key))?;
    let mut spans = Vec::new();
    let each = |head: crate::sealed::GroupHead<'_>, items: Vec<crate::sealed::SealedItem<'_>>| {
        if head.trace == trace {
            for item in items {
                let service = sealed.contexts.get(item.context as usize).map(|context| context.service.clone());
                let service = service.unwrap_or_default();
                spans.push(PendingSpan { service, span: item.body.to_vec(), arrival: item.arrival, is_decided: true });
            }
        }
    };
    sealed.groups(Signal::Traces, each).map_err(|damaged| damaged.of(key))?;
    Ok(spans)
}

/// An item of a sealed output.
#[derive(Clone, Debug, PartialEq)]
pub struct SealedView {
    /// Its signal.
    pub signal: Signal,
    /// Its trace; zeros for none.
    pub trace: TraceId,
    /// Effective arrival, Unix nanoseconds.
    pub arrival: i64,
    /// The masked message.
    pub bytes: Vec<u8>,
    /// How many it stands for.
    pub weight: f64,
}

/// Every item of a sealed output, in sealed order by signal: what the archiver makes rows of.
///
/// # Errors
/// [`Damaged`] if the bytes are not a sealed output.
pub fn sealed_items(object: &[u8]) -> Result<Vec<SealedView>, Damaged> {
    let sealed = Sealed::read(object)?;
    let mut views = Vec::new();
    for signal in Signal::ALL {
        sealed.groups(signal, |head, items| {
            for item in items {
                let (trace, arrival, bytes, weight) = (head.trace, item.arrival, item.body.to_vec(), head.weight);
                views.push(SealedView { signal, trace, arrival, bytes, weight });
            }
        })?;
    }
    Ok(views)
}
