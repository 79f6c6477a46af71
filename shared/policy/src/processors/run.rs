//! A payload through the processors of its pipeline, and what became of each of its items.

use std::sync::Arc;

use spanlake_model::Signal;
use spanlake_otlp::payload::Items;
use spanlake_otlp::tree::{Payload, Want};
use spanlake_otlp::wire::WireError;
use spanlake_ottl::Condition;

use super::facts;
use super::{Process, Tally};
use crate::rewrite::Scratch;
use crate::rules::{Rules, Stage};
use crate::sampling::SpanFacts;

/// How the ledger's reasons begin for what a processor drops.
pub const BY_PROCESSOR: &str = "processor ";

/// The ledger's reason for items that statements have made too large.
const TOO_LARGE: &str = "too_large";
/// How much longer a payload may become than it came, and short ones beyond that.
const GROWTH_MAX: usize = 4;
const GROWN_BYTES_MAX: usize = 8 << 20;

/// A processor at its place in a pipeline.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// The ledger's reason for what it drops: `processor filter/health`.
    pub(crate) reason: Arc<str>,
    pub(crate) processor: Arc<dyn Process>,
}

/// Items that a processor took away, in the ledger's unit (spans, log records, data points).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// The item's place in the payload that came.
    pub origin: u32,
    /// The processor's id, as the ledger's reason.
    pub reason: Arc<str>,
    /// How many: one, or some of a metric's data points.
    pub count: u64,
}

/// A payload behind its processors.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Processed {
    /// The export request that is left.
    pub payload: Vec<u8>,
    /// For each item that is left, in their order, its place in the payload that came.
    pub origins: Vec<u32>,
    /// By place in the payload that came: what `tail_sampling` knows of the span. A span that was dropped before that has none.
    pub facts: Vec<Option<SpanFacts>>,
    /// What was dropped.
    pub lost: Vec<Lost>,
}

impl Rules {
    /// Whether payloads of this signal pass through processors before [`Rules::context`] and [`Rules::item`] see them.
    #[must_use]
    pub fn has_processors(&self, signal: Signal) -> bool {
        self.plan(signal).steps().any(|step| step.processor.runs(signal))
    }

    /// Whether what `tail_sampling` knows of a span is taken by [`Rules::facts`], not by [`Rules::item`].
    #[must_use]
    pub fn reads_facts_apart(&self) -> bool {
        self.has_processors(Signal::Traces) || !self.leaves.ottl.is_empty()
    }

    /// Sends an export request through the processors of its pipeline. `now_nanos` is its arrival, nanoseconds since 1970.
    ///
    /// # Errors
    /// Bytes that are no export request.
    pub fn process(&self, signal: Signal, bytes: &[u8], now_nanos: i64, scratch: &mut Scratch) -> Result<Processed, WireError> {
        let mut payload = Payload::decode(signal, bytes, self.wants(signal))?;
        // A rule looks at one of several, a table shows one: it must be the same.
        payload.dedupe();
        let mut run = Run::new(&payload, now_nanos);
        for stage in &self.plan(signal).stages {
            match stage {
                Stage::Sample => run.sample(self, &mut payload),
                Stage::Run(step) if step.processor.runs(signal) => run.step(step, &mut payload),
                Stage::Run(_) => {}
            }
        }
        scratch.add_masked(self, &run.tally.masked);
        scratch.add_failed(run.failed);
        let mut processed = run.processed;
        // What grows step by step is copied at each of them.
        processed.payload.reserve(bytes.len() + bytes.len() / 8);
        let bytes_max = bytes.len().saturating_mul(GROWTH_MAX).saturating_add(GROWN_BYTES_MAX);
        let mut left_out = payload.encode_within(bytes_max, &mut processed.payload).into_iter().peekable();
        for item in payload.groups.iter().flat_map(|group| &group.scopes).flat_map(|scope| &scope.items) {
            if left_out.next_if_eq(&item.origin).is_some() {
                let count = super::units(signal, &item.node);
                processed.lost.push(Lost { origin: item.origin, reason: Arc::from(TOO_LARGE), count });
            } else {
                processed.origins.push(item.origin);
            }
        }
        Ok(processed)
    }

    /// The fields that processors and conditions look at.
    fn wants(&self, signal: Signal) -> Want {
        let mut want = self.plan(signal).wants(signal);
        for leaf in self.leaves.ottl.iter().filter(|_| signal == Signal::Traces) {
            let conditions = leaf.span.iter().chain(&leaf.spanevent).map(Condition::wants);
            let events = if leaf.spanevent.is_empty() { Want::default() } else { spanlake_ottl::Context::SpanEvent.wants() };
            want = conditions.fold(want.and(events), Want::and);
        }
        want
    }

    /// What `tail_sampling` knows of each span of an export request.
    ///
    /// # Errors
    /// Bytes that are no export request.
    pub fn facts(&self, bytes: &[u8], now_nanos: i64, scratch: &mut Scratch) -> Result<Vec<Option<SpanFacts>>, WireError> {
        if self.reads_facts_apart() {
            return Ok(self.process(Signal::Traces, bytes, now_nanos, scratch)?.facts);
        }
        let mut facts = Vec::new();
        let mut items = Items::new(bytes);
        let (mut known, mut unused) = (None, Vec::new());
        while let Some(item) = items.next()? {
            let context = match known.take() {
                Some((number, context)) if number == item.context => context,
                _ => self.context(Signal::Traces, items.context(), scratch),
            };
            unused.clear();
            let outcome = self.item(Signal::Traces, &context, item.bytes, &mut unused, scratch);
            facts.push(outcome.dropped.is_none().then_some(outcome.facts));
            known = Some((item.context, context));
        }
        Ok(facts)
    }
}

struct Run {
    tally: Tally,
    /// By place of origin, in the ledger's unit.
    counts: Vec<u64>,
    /// What could not be executed, and how often.
    failed: Vec<(String, u64)>,
    processed: Processed,
}

impl Run {
    fn new(payload: &Payload<'_>, now_nanos: i64) -> Self {
        let counts = counts(payload, payload.items());
        let processed = Processed { facts: vec![None; payload.items()], ..Processed::default() };
        Self { tally: Tally { now_nanos, ..Tally::default() }, counts, failed: Vec::new(), processed }
    }

    fn sample<'a>(&mut self, rules: &'a Rules, payload: &mut Payload<'a>) {
        facts::take(rules, payload, self.tally.now_nanos, &mut self.processed.facts);
    }

    fn step<'a>(&mut self, step: &'a Step, payload: &mut Payload<'a>) {
        if step.processor.process(payload, &mut self.tally).is_err() {
            // Behind the stream there is no sender left who could be told.
            payload.groups.clear();
        }
        for ((line, reason), times) in std::mem::take(&mut self.tally.failed) {
            let processor = step.reason.strip_prefix(BY_PROCESSOR).unwrap_or(&step.reason);
            self.failed.push((format!("{processor}, line {line}: {reason}"), times));
        }
        let now = counts(payload, self.counts.len());
        for (origin, (before, after)) in self.counts.iter().zip(&now).enumerate() {
            let origin = u32::try_from(origin).unwrap_or(u32::MAX);
            if after < before {
                let (reason, count) = (Arc::clone(&step.reason), before - after);
                self.processed.lost.push(Lost { origin, reason, count });
            }
        }
        self.counts = now;
    }
}

/// What there is of each item that came, in the ledger's unit.
fn counts(payload: &Payload<'_>, items: usize) -> Vec<u64> {
    let mut counts = vec![0_u64; items];
    for item in payload.groups.iter().flat_map(|group| &group.scopes).flat_map(|scope| &scope.items) {
        if let Some(count) = counts.get_mut(item.origin as usize) {
            *count = count.saturating_add(super::units(payload.signal, &item.node));
        }
    }
    counts
}
