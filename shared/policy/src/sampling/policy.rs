//! Policies as the configuration has them, and what one of them says about facts.

use super::axes::Axes;
use super::facts::TraceFacts;
use super::threshold::{NEVER, rejection};
use super::votes::Vote;

/// Bounds on a trace's duration, from its earliest start to its latest end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Latency {
    pub(crate) lower_ms: i64,
    pub(crate) upper_ms: Option<i64>,
    /// The lower bound itself counts: what the Collector did up to v0.156 (only without an upper bound).
    pub(crate) inclusive: bool,
}

impl Latency {
    fn holds(&self, facts: &TraceFacts) -> bool {
        // Whole milliseconds, cut towards zero, as upstream: 1000.9 ms is not above 1000 ms.
        let duration = facts.duration_nanos().unwrap_or(0) / 1_000_000;
        let lower = i128::from(self.lower_ms);
        match self.upper_ms {
            None if self.inclusive => duration >= lower,
            None => duration > lower,
            Some(upper) => duration > lower && duration <= i128::from(upper),
        }
    }
}

/// A share of all traces: of their ids by hash, or of their randomness.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Chance {
    /// Which of the sampler's salts.
    pub(crate) salt: u8,
    /// The state of the hash after the salt.
    pub(crate) salted: u64,
    /// The highest hash that is in.
    pub(crate) threshold: u64,
    /// The configured share, 0 to 1.
    pub(crate) ratio: f64,
}

/// What a policy asks of a trace.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Condition {
    Always,
    /// Some span has this bit; the other way round where `inverted`.
    Bit {
        mask: u64,
        inverted: bool,
    },
    /// A pair of bits: the condition was met, or failed first.
    Fallible {
        met: u64,
        failed: u64,
    },
    Latency(Latency),
    /// How many spans.
    Spans {
        min: i64,
        max: Option<i64>,
    },
    Chance(Chance),
    /// There is room in this bucket.
    Limit(usize),
}

/// A condition as it stands in a policy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Part {
    pub(crate) condition: Condition,
    /// Within `not`.
    pub(crate) negated: bool,
    /// The place of the sub-policy's name among the sampler's names; 0 for what is no sub-policy.
    pub(crate) name: u16,
}

impl Part {
    pub(crate) fn plain(condition: Condition) -> Self {
        Self { condition, negated: false, name: 0 }
    }

    fn vote(&self, seen: &Seen<'_>) -> Vote {
        let facts = seen.facts;
        let (holds, inverted) = match &self.condition {
            Condition::Always => (true, false),
            Condition::Bit { mask, inverted } => ((facts.bits & mask != 0) != *inverted, *inverted),
            Condition::Fallible { met, failed } if facts.bits & failed != 0 && facts.bits & met == 0 => return Vote::Error,
            Condition::Fallible { met, .. } => (facts.bits & met != 0, false),
            Condition::Latency(latency) => (latency.holds(facts), false),
            Condition::Spans { min, max } => {
                let spans = i64::try_from(facts.spans).unwrap_or(i64::MAX);
                (spans >= *min && max.is_none_or(|max| spans <= max), false)
            }
            Condition::Chance(chance) => (seen.axes.holds(chance), false),
            Condition::Limit(bucket) => (seen.admits(*bucket), false),
        };
        match (holds, inverted && seen.invert_votes) {
            (true, true) => Vote::InvertSampled,
            (false, true) => Vote::InvertNotSampled,
            (true, false) if !self.negated => Vote::Sampled,
            (false, false) if self.negated => Vote::Sampled,
            _ => Vote::NotSampled,
        }
    }

    /// Its 56-bit rejection threshold: 0 for what depends on neither chance nor a limit.
    fn threshold(&self, thresholds: &[u64]) -> u64 {
        match &self.condition {
            _ if self.negated => 0,
            Condition::Chance(chance) => rejection(chance.ratio),
            Condition::Limit(bucket) => thresholds.get(*bucket).copied().unwrap_or(NEVER),
            _ => 0,
        }
    }
}

/// A sub-policy of `composite`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sub {
    pub(crate) name: String,
    pub(crate) parts: Vec<Part>,
    /// The bucket of its allocation.
    pub(crate) bucket: usize,
}

/// What makes up a policy.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Body {
    /// One condition, which votes for itself.
    Single(Part),
    /// All must match.
    And(Vec<Part>),
    /// All must match, for a veto instead of a keep.
    Drop(Vec<Part>),
    /// The first sub-policy that matches, in `policy_order`, if there is room in its allocation and in the total.
    Composite {
        subs: Vec<Sub>,
        total: usize,
        /// The allocations come to more than the total: then it is asked as well.
        is_overbooked: bool,
        /// The bucket of what the allocations leave of the total, with `fill_remaining`.
        fill: Option<usize>,
    },
}

/// One policy of the configuration.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Policy {
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) body: Body,
}

/// What a policy is asked about.
#[derive(Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) facts: &'a TraceFacts,
    pub(super) axes: &'a Axes,
    /// The rank threshold of each bucket for this trace.
    pub(super) thresholds: &'a [u64],
    pub(super) invert_votes: bool,
}

impl Seen<'_> {
    fn admits(&self, bucket: usize) -> bool {
        self.threshold(bucket) <= self.axes.randomness
    }

    fn threshold(&self, bucket: usize) -> u64 {
        self.thresholds.get(bucket).copied().unwrap_or(NEVER)
    }
}

/// A vote, and what the trace was kept by.
#[derive(Clone, Copy)]
pub(super) struct Cast {
    pub(super) vote: Vote,
    /// The rejection threshold of what matched.
    pub(super) threshold: u64,
    /// The place of the sub-policy of `composite`.
    pub(super) sub: Option<u16>,
}

impl Policy {
    pub(crate) fn drops(&self) -> bool {
        matches!(self.body, Body::Drop(_))
    }

    /// Every condition in it.
    pub(super) fn parts(&self) -> Box<dyn Iterator<Item = &Part> + '_> {
        match &self.body {
            Body::Single(part) => Box::new(std::iter::once(part)),
            Body::And(parts) | Body::Drop(parts) => Box::new(parts.iter()),
            Body::Composite { subs, .. } => Box::new(subs.iter().flat_map(|sub| &sub.parts)),
        }
    }

    /// What it asks, all in all.
    pub(crate) fn conditions(&self) -> impl Iterator<Item = &Condition> {
        self.parts().map(|part| &part.condition)
    }

    pub(crate) fn is_limited(&self) -> bool {
        matches!(self.body, Body::Composite { .. }) || self.parts().any(|part| matches!(part.condition, Condition::Limit(_)))
    }

    /// Whether it says the same about the same facts, whatever the trace's id and the other traces.
    pub(crate) fn is_deterministic(&self) -> bool {
        !self.is_limited() && !self.parts().any(|part| matches!(part.condition, Condition::Chance(_)))
    }

    pub(super) fn cast(&self, seen: &Seen<'_>) -> Cast {
        let highest = |parts: &[Part]| parts.iter().map(|part| part.threshold(seen.thresholds)).max().unwrap_or(0);
        let (vote, threshold) = match &self.body {
            Body::Single(part) => (part.vote(seen), part.threshold(seen.thresholds)),
            Body::And(parts) => (all(parts, seen), highest(parts)),
            Body::Drop(parts) => match all(parts, seen) {
                Vote::Sampled => (Vote::Dropped, 0),
                other => (other, 0),
            },
            Body::Composite { subs, total, is_overbooked, fill } => {
                return composite(subs, is_overbooked.then_some(*total), *fill, seen);
            }
        };
        Cast { vote, threshold, sub: None }
    }
}

/// The first part that does not match ends the asking.
fn all(parts: &[Part], seen: &Seen<'_>) -> Vote {
    for part in parts {
        match part.vote(seen) {
            Vote::Error => return Vote::Error,
            vote if vote.is_match() => {}
            _ => return Vote::NotSampled,
        }
    }
    Vote::Sampled
}

fn composite(subs: &[Sub], total: Option<usize>, fill: Option<usize>, seen: &Seen<'_>) -> Cast {
    let none = Cast { vote: Vote::NotSampled, threshold: 0, sub: None };
    for (place, sub) in subs.iter().enumerate() {
        match all(&sub.parts, seen) {
            Vote::Error => return Cast { vote: Vote::Error, ..none },
            Vote::Sampled => {}
            _ => continue,
        }
        let parts = sub.parts.iter().map(|part| part.threshold(seen.thresholds)).max().unwrap_or(0);
        let own = seen.threshold(sub.bucket).max(total.map_or(0, |total| seen.threshold(total)));
        let threshold = fill.map_or(own, |fill| own.min(seen.threshold(fill)));
        if threshold <= seen.axes.randomness {
            return Cast { vote: Vote::Sampled, threshold: threshold.max(parts), sub: u16::try_from(place).ok() };
        }
        // What a limiter within it lets pass is no property of the trace: then the next one is asked.
        if !sub.parts.iter().any(|part| matches!(part.condition, Condition::Limit(_))) {
            return none;
        }
    }
    none
}
