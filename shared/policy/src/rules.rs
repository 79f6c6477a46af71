//! The rules of a configuration, ready to run.

use std::collections::BTreeSet;
use std::sync::Arc;

use regex::Regex;
use spanlake_model::{BucketRange, PerSignal, Signal, TraceId};
use spanlake_otlp::tree::Want;
use spanlake_ottl::{Condition, Context};

use crate::logs::LogRule;
use crate::overlay::{KEEP_ALL, Overlay};
use crate::rewrite::Masking;
use crate::sampling::{
    Admission, Admitted, Body, Decision, Pairs, Sampler, SpanFacts, StateLeaf, TraceFacts, TraceState, Verdict, Vote, Votes,
    Window, tells,
};

/// The rules of one configuration. Immutable; the same text and environment give the same rules and [`Rules::version`].
#[derive(Debug)]
pub struct Rules {
    pub(crate) version: String,
    pub(crate) decision_wait_ms: u64,
    pub(crate) root_wait_ms: Option<u64>,
    pub(crate) window_ms: u64,
    pub(crate) late_horizon_ms: u64,
    pub(crate) sampler: Option<Sampler>,
    /// What is kept whatever the policies say.
    pub(crate) overlay: Overlay,
    pub(crate) leaves: Leaves,
    pub(crate) plans: PerSignal<Arc<Plan>>,
    pub(crate) limits: Limits,
    pub(crate) logs: LogRule,
    /// Names of what masks, for counting: those of the built-in masking first.
    pub(crate) rule_names: Arc<[String]>,
    /// What is used, in order, a line each: for `check`.
    pub(crate) summary: Vec<String>,
}

impl Rules {
    /// The version: 16 hex digits over what the configuration says, variables expanded. It names the rules in the state, so that no later
    /// release gives the same text another one.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// How long after its first span a trace is due, in milliseconds.
    #[must_use]
    pub fn decision_wait_ms(&self) -> u64 {
        self.decision_wait_ms
    }

    /// The length of a decision window in milliseconds; it divides an hour.
    #[must_use]
    pub fn window_ms(&self) -> u64 {
        self.window_ms
    }

    /// For how long a decision is remembered for late spans, in milliseconds.
    #[must_use]
    pub fn late_horizon_ms(&self) -> u64 {
        self.late_horizon_ms
    }

    /// Names and types of the policies, in the order of the configuration: [`Decision::policy`] is an index into this.
    pub fn policies(&self) -> impl Iterator<Item = (&str, &str)> {
        self.sampler.iter().flat_map(|sampler| sampler.policies().iter().map(|policy| (policy.name.as_str(), policy.kind)))
    }

    /// The name of the policy at this place; empty for `None`.
    #[must_use]
    pub fn policy_name(&self, place: Option<u16>) -> &str {
        match place {
            Some(place) if self.is_keep_all(place) => KEEP_ALL,
            place => place.and_then(|place| self.policies().nth(usize::from(place))).map_or("", |(name, _)| name),
        }
    }

    /// Whether this is the place behind the last policy, where an overlay has its own.
    fn is_keep_all(&self, place: u16) -> bool {
        !self.overlay.is_empty() && usize::from(place) == self.policies().count()
    }

    /// What is kept whatever the policies say.
    #[must_use]
    pub fn overlay(&self) -> &Overlay {
        &self.overlay
    }

    /// The bit to add to the [`SpanFacts::bits`] of a span by its service's name, as it is stored, and its effective arrival: set
    /// where the [overlay](Rules::overlay) keeps its trace.
    #[must_use]
    pub fn keep_all_bit(&self, service: &str, arrival_nanos: i64) -> u64 {
        self.overlay.bit(service, arrival_nanos)
    }

    /// What the built-in masking makes of a service's name in spans; `None` where it is stored as it is. What processors make of it
    /// is not told.
    #[must_use]
    pub fn masked_service(&self, service: &str) -> Option<String> {
        let plan = self.plan(Signal::Traces);
        if plan.builtin { plan.masking.mask(service, &mut Vec::new(), |_| {}) } else { None }
    }

    /// The name of a `composite` policy's sub-policy that decided; empty where none did.
    #[must_use]
    pub fn sub_policy_name(&self, decision: &Decision) -> &str {
        let policies = self.sampler.as_ref().map(Sampler::policies).unwrap_or_default();
        let policy = decision.policy.and_then(|place| policies.get(usize::from(place)));
        match (policy.map(|policy| &policy.body), decision.sub_policy) {
            (Some(Body::Composite { subs, .. }), Some(place)) => subs.get(usize::from(place)).map_or("", |sub| sub.name.as_str()),
            _ => "",
        }
    }

    /// Whether traces are sampled at all: there is a `tail_sampling` processor.
    #[must_use]
    pub fn samples(&self) -> bool {
        self.sampler.is_some()
    }

    /// Decides a trace by the facts of all its spans, where nothing is limited: limiters admit nothing. Without a `tail_sampling`
    /// processor everything is kept with weight 1.
    #[must_use]
    pub fn decide(&self, id: &TraceId, facts: &TraceFacts) -> Decision {
        self.decide_in_window(id, std::slice::from_ref(facts), &Admitted::default())
    }

    /// Decides a trace in its window.
    ///
    /// `records` are the facts of all spans of the trace as one; where [`Rules::evaluates_records`] says so, one for each record
    /// that brought spans of it, in the order of the stream. `admitted` is what the window's [`Admission`] came to, to which
    /// the same was offered.
    #[must_use]
    pub fn decide_in_window(&self, id: &TraceId, records: &[TraceFacts], admitted: &Admitted) -> Decision {
        match &self.sampler {
            Some(sampler) => sampler.decide(id, records, admitted),
            None => Decision {
                verdict: Verdict::Kept,
                policy: None,
                sub_policy: None,
                weight: 1.0,
                threshold: Some(0),
                is_too_large: false,
                votes: Votes::default(),
            },
        }
    }

    /// How likely these rules keep a trace with these facts, 0 to 1, over everything that its id and its randomness might be: also
    /// of one that they do not keep. The arguments are those of [`Rules::decide_in_window`], whose weight is 1 over this.
    #[must_use]
    pub fn chance(&self, id: &TraceId, records: &[TraceFacts], admitted: &Admitted) -> f64 {
        self.sampler.as_ref().map_or(1.0, |sampler| sampler.chance(id, records, admitted))
    }

    /// Whether a window's traces compete for room, so that every trace that is due must be offered before any is decided.
    #[must_use]
    pub fn has_limits(&self) -> bool {
        self.sampler.as_ref().is_some_and(Sampler::has_limits)
    }

    /// Whether deciding needs [`TraceFacts::size`].
    #[must_use]
    pub fn needs_size(&self) -> bool {
        self.sampler.as_ref().is_some_and(Sampler::measures_bytes)
    }

    /// Whether records are evaluated one by one: `sampling_strategy: span-ingest`.
    #[must_use]
    pub fn evaluates_records(&self) -> bool {
        self.sampler.as_ref().is_some_and(|sampler| sampler.options().by_record)
    }

    /// Begins the close of a window. `window_end_ms` is its end since 1970; `shard` has the hash buckets whose traces are
    /// offered, and the same share of all room: over all shards the sum is the configured rate.
    #[must_use]
    pub fn admission(&self, window_end_ms: i64, window_ms: u64, shard: BucketRange) -> Admission<'_> {
        Admission::new(self.sampler.as_ref(), Window::new(window_end_ms, window_ms, shard))
    }

    /// Which bits belong to conditions that can fail, for [`TraceFacts::then`].
    #[must_use]
    pub fn pairs(&self) -> Pairs {
        Pairs(self.leaves.pairs)
    }

    /// How long after its root span a trace is due, in milliseconds, if that is sooner than [`Rules::decision_wait_ms`] after
    /// its first span.
    #[must_use]
    pub fn decision_wait_after_root_ms(&self) -> Option<u64> {
        self.root_wait_ms
    }

    /// The tracestate that a kept span goes on with; `None` where it stays as it came.
    ///
    /// `weight` and `threshold` are the decision's. It states the higher of the incoming threshold and that, and none where the
    /// decision's probability is not that of one threshold: nobody downstream may take a hash, or luck with a limit, for
    /// consistent sampling. With `probabilistic_mode: hash` a threshold is never added. What does not parse is left alone.
    #[must_use]
    pub fn outgoing_tracestate(&self, weight: f64, threshold: Option<u64>, incoming: &str) -> Option<String> {
        let options = self.sampler.as_ref().map(Sampler::options)?;
        let mut state = TraceState::parse(incoming)?;
        match threshold.filter(|threshold| tells(*threshold, 1.0 / weight)) {
            Some(threshold) if options.consistent || state.threshold.is_some() => {
                if state.threshold.is_none_or(|stated| stated < threshold) {
                    state.state_threshold(threshold);
                }
            }
            _ if state.threshold.is_none() => return None,
            _ => state.forget_threshold(),
        }
        state.text().filter(|text| text != incoming)
    }

    /// Whether [`Rules::outgoing_tracestate`] may add a threshold where a span states none.
    #[must_use]
    pub fn states_thresholds(&self) -> bool {
        self.sampler.as_ref().is_some_and(|sampler| sampler.options().consistent)
    }

    /// Each policy's name and [vote](crate::Vote::name), in the order of the configuration; policies
    /// that were not asked are left out. Where the overlay keeps a trace, none was.
    #[must_use]
    pub fn votes_text(&self, decision: &Decision) -> Vec<(&str, &'static str)> {
        if decision.policy.is_some_and(|place| self.is_keep_all(place)) {
            return vec![(KEEP_ALL, Vote::Sampled.name())];
        }
        let votes = decision.votes;
        self.policies().enumerate().filter_map(|(place, (name, _))| Some((name, votes.get(place)?.name()))).collect()
    }

    /// Whether a late span is kept by itself, with weight 1: a policy that does not depend on chance keeps it, and no
    /// drop vetoes it.
    #[must_use]
    pub fn keeps_late_span(&self, id: &TraceId, span: &SpanFacts) -> bool {
        self.sampler.as_ref().is_none_or(|sampler| sampler.keeps_alone(id, span))
    }

    /// Which log records wait for the verdict on their trace.
    #[must_use]
    pub fn logs(&self) -> LogRule {
        self.logs
    }

    pub(crate) fn plan(&self, signal: Signal) -> &Arc<Plan> {
        &self.plans[signal]
    }
}

/// The conditions on spans, each with its bit.
#[derive(Debug, Default)]
pub(crate) struct Leaves {
    /// For each `status_code` condition: its bit, and the accepted codes as bits 0 to 2.
    pub(crate) status: Vec<(u64, u8)>,
    pub(crate) attributes: Vec<AttributeLeaf>,
    pub(crate) states: Vec<StateLeaf>,
    /// The bits of `trace_flags`.
    pub(crate) flags: u64,
    pub(crate) ottl: Vec<OttlLeaf>,
    /// The lower bits of the pairs of conditions that can fail.
    pub(crate) pairs: u64,
}

impl Leaves {
    /// Every bit that is given out.
    pub(crate) fn bits(&self) -> u64 {
        let codes = self.status.iter().map(|(mask, _)| mask);
        let attributes = self.attributes.iter().map(|leaf| &leaf.mask);
        let states = self.states.iter().map(|leaf| &leaf.mask);
        let ottl = self.ottl.iter().flat_map(|leaf| [&leaf.met, &leaf.failed]);
        codes.chain(attributes).chain(states).chain(ottl).fold(self.flags, |bits, mask| bits | mask)
    }
}

/// An `ottl_condition`.
#[derive(Debug)]
pub(crate) struct OttlLeaf {
    /// The bit of a span that meets one of the conditions.
    pub(crate) met: u64,
    /// The bit of one on which a condition fails first; 0 where a failing condition counts as not met.
    pub(crate) failed: u64,
    /// The conditions as they are written, to be shown.
    pub(crate) text: String,
    pub(crate) span: Vec<Condition>,
    /// Conditions on one of its events.
    pub(crate) spanevent: Vec<Condition>,
}

/// A condition on an attribute.
#[derive(Debug)]
pub(crate) struct AttributeLeaf {
    pub(crate) mask: u64,
    pub(crate) key: String,
    pub(crate) matcher: Matcher,
}

/// How an attribute is compared: by its real type.
#[derive(Debug)]
pub(crate) enum Matcher {
    Exact(BTreeSet<String>),
    Regex(Vec<Regex>),
    Number { min: i64, max: i64 },
    Truth(bool),
}

/// An attribute's value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scalar<'a> {
    Text(&'a str),
    Int(i64),
    Double(f64),
    Bool(bool),
}

impl AttributeLeaf {
    /// As upstream: an exact list never holds the empty text, and a regex is not asked about a span's empty text.
    #[expect(clippy::cast_precision_loss, reason = "bounds beyond 2^53 are compared as doubles")]
    pub(crate) fn matches(&self, value: Scalar<'_>, on_resource: bool) -> bool {
        match (&self.matcher, value) {
            (Matcher::Exact(values), Scalar::Text(text)) => values.contains(text),
            (Matcher::Regex(regexes), Scalar::Text(text)) => {
                (on_resource || !text.is_empty()) && regexes.iter().any(|regex| regex.is_match(text))
            }
            (Matcher::Number { min, max }, Scalar::Int(number)) => (min..=max).contains(&&number),
            (Matcher::Number { min, max }, Scalar::Double(number)) => number >= *min as f64 && number <= *max as f64,
            (Matcher::Truth(wanted), Scalar::Bool(truth)) => *wanted == truth,
            _ => false,
        }
    }
}

/// What one signal's items pass through.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) stages: Vec<Stage>,
    /// The built-in masking runs at the end.
    pub(crate) builtin: bool,
    /// What it does.
    pub(crate) masking: Masking,
    /// Facts for sampling are taken while an item is walked: no processor comes before or behind, and no condition of OTTL.
    pub(crate) samples: bool,
}

impl Plan {
    /// The processors, in their order.
    pub(crate) fn steps(&self) -> impl Iterator<Item = &crate::processors::run::Step> {
        self.stages.iter().filter_map(|stage| match stage {
            Stage::Run(step) => Some(step),
            Stage::Sample => None,
        })
    }

    /// The fields that its processors look at, and the facts for sampling.
    pub(crate) fn wants(&self, signal: Signal) -> Want {
        // A metric's data is always read: its points are counted.
        let item = match signal {
            Signal::Traces => FACT_FIELDS,
            Signal::Logs => 0,
            Signal::Metrics => Context::DataPoint.wants().item,
        };
        let wants = self.steps().filter(|step| step.processor.runs(signal)).map(|step| step.processor.wants(signal));
        let facts = Want { resource: 1 << 1, scope: 0, item };
        wants.fold(facts, Want::and)
    }
}

/// The fields of a span that facts are taken from: `trace_state`, `parent_span_id`, `kind`, times, attributes, status, flags.
const FACT_FIELDS: u32 = 1 << 3 | 1 << 4 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 15 | 1 << 16;

/// A step of a pipeline.
#[derive(Debug, Clone)]
pub(crate) enum Stage {
    /// The place of `tail_sampling`: facts are taken from the texts as they are here.
    Sample,
    /// A processor that works on the tree.
    Run(crate::processors::run::Step),
}

/// The message that a text belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    Resource,
    Scope,
    Span,
    Event,
    Link,
    Status,
    Log,
    Metric,
    Point,
    Exemplar,
    Other,
}

/// Bounds on attributes, applied after masking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) attributes: usize,
    pub(crate) value_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { attributes: usize::MAX, value_bytes: usize::MAX }
    }
}
