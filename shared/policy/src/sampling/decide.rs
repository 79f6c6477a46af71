//! From a trace's facts to its verdict and its weight.

use spanlake_model::TraceId;

use super::admission::{Admitted, Unit};
use super::axes::{Axes, Cuts};
use super::evaluate::Evaluation;
use super::facts::{SpanFacts, TraceFacts};
use super::policy::{Condition, Policy, Seen};
use super::room::{Bucket, Coins};
use super::threshold::{NEVER, share};
use super::votes::{Verdict, Vote, Votes};

/// The most cells of the axes that a weight may be summed over.
pub(crate) const CELLS_MAX: usize = 4096;

/// The decision on a trace and what explains it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decision {
    /// Kept or not.
    pub verdict: Verdict,
    /// The place of the deciding policy in the configuration, that of an [overlay](crate::Overlay) being behind the last; `None`
    /// without policies or if none voted for it.
    pub policy: Option<u16>,
    /// The place of the deciding sub-policy in the `policy_order` of a `composite`, see [`crate::Rules::sub_policy_name`].
    pub sub_policy: Option<u16>,
    /// How many traces this one stands for: 1 / (probability that a trace with these facts is kept). 1 unless kept.
    pub weight: f64,
    /// The rejection threshold, 56 bits, if the trace is kept at whatever randomness reaches it; with `probabilistic_mode:
    /// consistent` also where the hash stands for that. `None` where no one threshold tells. Where it also took luck with a limit
    /// that is smaller than the trace, the weight is more than 1 over the threshold's share.
    pub threshold: Option<u64>,
    /// Whether it is larger than `maximum_trace_size_bytes`; then no policy was asked.
    pub is_too_large: bool,
    /// Every policy's vote; where records are evaluated one by one, those of the last one that was.
    pub votes: Votes,
}

/// The weight of one span of a kept trace: `weight` and `threshold` are the decision's, `incoming` is the threshold that its
/// tracestate stated as it came ([`SpanFacts::threshold`]): head sampling counts too.
///
/// Both are about the same randomness where the decision has a threshold, but for luck with a limit; else they are taken for
/// independent (of a trace that both a hash and a limit might have kept, that is a little too much).
#[must_use]
pub fn span_weight(weight: f64, threshold: Option<u64>, incoming: Option<u64>) -> f64 {
    match (incoming.filter(|threshold| (1..NEVER).contains(threshold)), threshold) {
        (Some(incoming), Some(threshold)) if incoming > threshold => weight * share(threshold) / share(incoming),
        (None, _) | (_, Some(_)) => weight,
        (Some(incoming), None) => weight / share(incoming),
    }
}

/// Whether a threshold tells a probability, and may be stated for it: as upstream does after it has hashed.
pub(crate) fn tells(threshold: u64, probability: f64) -> bool {
    /// More than the rounding of any share.
    const CLOSE: f64 = 1e-9;
    (share(threshold) - probability).abs() <= CLOSE * probability
}

/// What the configuration says beside the policies.
#[expect(clippy::struct_excessive_bools, reason = "independent switches")]
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Options {
    /// `sample_on_first_match`.
    pub(crate) first_match: bool,
    /// `sampling_strategy: span-ingest`.
    pub(crate) by_record: bool,
    /// `spanlake.compat.invert_decisions`.
    pub(crate) invert_votes: bool,
    /// `spanlake.sampling.probabilistic_mode: consistent`.
    pub(crate) consistent: bool,
    /// `spanlake.sampling.probabilistic_mode: usetracestate`: of consistent sampling all but the choice among traces that state
    /// nothing.
    pub(crate) hashes_unstated: bool,
    /// `maximum_trace_size_bytes`.
    pub(crate) size_bytes_max: Option<u64>,
}

/// The policies of a configuration.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Sampler {
    pub(super) policies: Vec<Policy>,
    /// Places of the drops, then of the others, in listed order.
    pub(super) order: Vec<usize>,
    pub(super) options: Options,
    pub(super) buckets: Vec<Bucket>,
    /// What a trace is admitted by, in the order in which that is tried.
    pub(super) units: Vec<Unit>,
    pub(super) cuts: Cuts,
    /// For each policy, whether it alone decides that a trace is kept, whatever chance says.
    pub(super) certain: Vec<bool>,
    /// An overlay keeps what has its bit.
    pub(super) keeps_all: bool,
    /// Names of sub-policies, for explanations; the first is empty.
    pub(crate) names: Vec<String>,
    /// Some of what is configured came out of variables, which are stored nowhere: explanations don't tell it.
    pub(crate) has_variables: bool,
}

impl Sampler {
    pub(crate) fn new(policies: Vec<Policy>, buckets: Vec<Bucket>, units: Vec<Unit>, options: Options) -> Self {
        let places = |drops: bool| policies.iter().enumerate().filter(move |(_, p)| p.drops() == drops).map(|(place, _)| place);
        let order = places(true).chain(places(false)).collect();
        let chances = policies.iter().flat_map(Policy::parts).filter_map(|part| match &part.condition {
            Condition::Chance(chance) => Some(chance),
            _ => None,
        });
        let cuts = Cuts::new(chances);
        let chance_drops = policies.iter().any(|policy| policy.drops() && !policy.is_deterministic());
        let is_certain = |policy: &Policy| policy.is_deterministic() && !chance_drops && !options.invert_votes;
        let certain = policies.iter().map(is_certain).collect();
        let (keeps_all, names, has_variables) = (false, Vec::new(), false);
        Self { policies, order, options, buckets, units, cuts, certain, keeps_all, names, has_variables }
    }

    pub(crate) fn policies(&self) -> &[Policy] {
        &self.policies
    }

    pub(crate) fn options(&self) -> Options {
        self.options
    }

    pub(crate) fn has_limits(&self) -> bool {
        !self.buckets.is_empty()
    }

    pub(crate) fn measures_bytes(&self) -> bool {
        self.options.size_bytes_max.is_some() || self.buckets.iter().any(|bucket| bucket.counts_bytes)
    }

    /// Into how many cells a trace's axes are cut at the most.
    pub(crate) fn cells_max(&self) -> usize {
        self.cuts.cells_max(self.buckets.len())
    }

    pub(super) fn axes(&self, id: &TraceId, records: &[TraceFacts]) -> (Axes, TraceFacts) {
        let mut whole = TraceFacts::default();
        for record in records {
            whole.merge(record);
        }
        let is_hashed = self.options.hashes_unstated && !whole.states_sampling();
        (Axes::of(id, &whole, self.options.consistent && !is_hashed, &self.cuts), whole)
    }

    pub(crate) fn decide(&self, id: &TraceId, records: &[TraceFacts], admitted: &Admitted) -> Decision {
        let (axes, whole) = self.axes(id, records);
        let thresholds = if self.has_limits() { admitted.thresholds(self, id, records, (&axes, &whole)) } else { Vec::new() };
        let evaluation = self.evaluate(records, &axes, &thresholds);
        let is_kept = evaluation.verdict == Verdict::Kept;
        let (kept, by_rank) = if is_kept { self.probability(records, &axes, &thresholds, &evaluation) } else { (1.0, false) };
        let luck = if is_kept { self.luck(records, &axes, &admitted.coins(&whole)) } else { 1.0 };
        let is_too_large = self.options.size_bytes_max.is_some_and(|most| whole.size.groups_bytes > most) && !is_kept;
        Decision {
            verdict: evaluation.verdict,
            policy: evaluation.winner.and_then(|place| u16::try_from(place).ok()),
            sub_policy: evaluation.sub,
            weight: 1.0 / (kept * luck),
            threshold: (by_rank || (self.options.consistent && tells(evaluation.threshold, kept)))
                .then_some(evaluation.threshold)
                .filter(|_| is_kept),
            is_too_large: is_too_large && evaluation.verdict != Verdict::Dropped,
            votes: evaluation.votes,
        }
    }

    /// How likely it is that a trace with these facts is kept, over uniformly random axes: 0 where no axes would do.
    pub(crate) fn chance(&self, id: &TraceId, records: &[TraceFacts], admitted: &Admitted) -> f64 {
        let (axes, whole) = self.axes(id, records);
        let thresholds = if self.has_limits() { admitted.thresholds(self, id, records, (&axes, &whole)) } else { Vec::new() };
        let (mut kept, mut all) = (0.0, 0.0);
        axes.cells(&self.cuts, &thresholds, &mut |at, volume| {
            all += volume;
            kept += if self.evaluate(records, at, &thresholds).verdict == Verdict::Kept { volume } else { 0.0 };
        });
        let chance = if all > 0.0 { (kept / all).clamp(0.0, 1.0) } else { 0.0 };
        if kept > 0.0 { chance * self.luck(records, &axes, &admitted.coins(&whole)) } else { chance }
    }

    /// How likely a window's coin is one with which these facts may be kept at all. `coins` are for each bucket those with which
    /// it might let them in.
    ///
    /// Given the coin the probability is that over the axes. Where that is 0 nothing would stand for the trace. So what is kept
    /// with other coins stands for these too.
    fn luck(&self, records: &[TraceFacts], axes: &Axes, coins: &[Coins]) -> f64 {
        let mut ends: Vec<u64> = coins.iter().flat_map(|coins| [coins.before(), coins.last()]).flatten().collect();
        if ends.is_empty() {
            return 1.0;
        }
        ends.push(NEVER);
        ends.sort_unstable();
        let (mut start, mut lucky) = (0, 0);
        for end in ends {
            let open: Vec<u64> = coins.iter().map(|coins| if coins.contain(end) { 0 } else { NEVER }).collect();
            let mut may_be_kept = false;
            axes.cells(&self.cuts, &open, &mut |at, _| {
                may_be_kept = may_be_kept || self.evaluate(records, at, &open).verdict == Verdict::Kept;
            });
            lucky += if may_be_kept { end - start } else { 0 };
            start = end;
        }
        share(NEVER - lucky.max(1))
    }

    /// The probability that these facts are kept, over uniformly random axes; and whether that is so just where the randomness
    /// reaches the winner's threshold.
    fn probability(&self, records: &[TraceFacts], axes: &Axes, thresholds: &[u64], evaluation: &Evaluation) -> (f64, bool) {
        let is_certain = evaluation.winner.and_then(|place| self.certain.get(place)).copied().unwrap_or(false);
        if is_certain || (self.cuts.is_empty() && thresholds.iter().all(|threshold| *threshold == 0)) {
            return (1.0, evaluation.threshold == 0);
        }
        let (mut kept, mut rejected, mut by_rank) = (0.0, false, true);
        axes.cells(&self.cuts, thresholds, &mut |at, volume| {
            let is_kept = self.evaluate(records, at, thresholds).verdict == Verdict::Kept;
            by_rank &= is_kept == (at.randomness >= evaluation.threshold);
            rejected |= !is_kept;
            kept += if is_kept { volume } else { 0.0 };
        });
        (if rejected { kept.clamp(f64::MIN_POSITIVE.sqrt(), 1.0) } else { 1.0 }, by_rank)
    }

    pub(crate) fn keeps_alone(&self, id: &TraceId, span: &SpanFacts) -> bool {
        if self.overlay_keeps(span.bits) {
            return true;
        }
        let facts = [TraceFacts::of(span)];
        let (axes, _) = self.axes(id, &facts);
        let seen = Seen { facts: &facts[0], axes: &axes, thresholds: &[], invert_votes: self.options.invert_votes };
        let vetoed = |policy: &Policy| {
            let vote = policy.cast(&seen).vote;
            matches!(vote, Vote::Dropped | Vote::InvertNotSampled) || (policy.drops() && self.options.by_record)
        };
        !self.policies.iter().any(vetoed)
            && self.policies.iter().any(|policy| policy.is_deterministic() && policy.cast(&seen).vote == Vote::Sampled)
    }
}
