//! From a trace's facts to its verdict.

use spanlake_model::TraceId;

use super::facts::{SpanFacts, TraceFacts};
use super::hash::hash;

/// How many policies a configuration may have: two bits for each vote.
pub(crate) const POLICIES_MAX: usize = 64;

/// What is decided about a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It goes into the lake.
    Kept,
    /// No policy wanted it.
    SampledOut,
    /// A `drop` policy vetoed it.
    Dropped,
}

/// One policy's vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vote {
    /// Keep the trace.
    Sampled,
    /// No reason to keep it.
    NotSampled,
    /// Veto.
    Dropped,
}

impl Vote {
    /// The name in the `decisions` table, as in the Collector's metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sampled => "sampled",
            Self::NotSampled => "not_sampled",
            Self::Dropped => "dropped",
        }
    }
}

/// The votes of up to 64 policies, two bits each; policies that were not asked have none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Votes(pub u128);

impl Votes {
    fn set(&mut self, policy: usize, vote: Vote) {
        let code: u128 = match vote {
            Vote::Sampled => 1,
            Vote::NotSampled => 2,
            Vote::Dropped => 3,
        };
        self.0 |= code << (2 * policy % 128);
    }

    /// The vote of the policy at this place of the configuration; `None` if it was not asked.
    #[must_use]
    pub fn get(self, policy: usize) -> Option<Vote> {
        if policy >= POLICIES_MAX {
            return None;
        }
        match (self.0 >> (2 * policy)) & 3 {
            1 => Some(Vote::Sampled),
            2 => Some(Vote::NotSampled),
            3 => Some(Vote::Dropped),
            _ => None,
        }
    }
}

/// The decision on a trace and what explains it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decision {
    /// Kept or not.
    pub verdict: Verdict,
    /// The place of the deciding policy in the configuration; `None` without policies or if none voted for it.
    pub policy: Option<u16>,
    /// How many traces this one stands for: 1 / (probability that a trace with these facts is kept). 1 unless kept.
    pub weight: f64,
    /// Every policy's vote.
    pub votes: Votes,
}

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

/// A share of all trace ids, chosen by hash.
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
    Latency(Latency),
    Chance(Chance),
}

impl Condition {
    fn holds(&self, id: &TraceId, facts: &TraceFacts) -> bool {
        match self {
            Self::Always => true,
            Self::Bit { mask, inverted } => (facts.bits & mask != 0) != *inverted,
            Self::Latency(latency) => latency.holds(facts),
            Self::Chance(chance) => hash(chance.salted, id) <= chance.threshold,
        }
    }

    /// Upstream's 56-bit rejection threshold: 0 for what does not depend on chance.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the ratio is clamped to 0..=1")]
    fn rejection(&self) -> u64 {
        const ALL: f64 = 72_057_594_037_927_936.0;
        match self {
            Self::Chance(chance) => (1_u64 << 56) - (chance.ratio.clamp(0.0, 1.0) * ALL).round() as u64,
            _ => 0,
        }
    }
}

/// A condition as it stands in a policy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Part {
    pub(crate) condition: Condition,
    /// Within `not`.
    pub(crate) negated: bool,
}

/// One policy of the configuration: all its parts must hold.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Policy {
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    /// A veto instead of a keep.
    pub(crate) drops: bool,
    pub(crate) parts: Vec<Part>,
}

impl Policy {
    fn holds(&self, id: &TraceId, facts: &TraceFacts) -> bool {
        self.parts.iter().all(|part| part.condition.holds(id, facts) != part.negated)
    }

    /// Whether everything holds that does not depend on chance.
    fn is_eligible(&self, facts: &TraceFacts) -> bool {
        self.parts.iter().all(|part| match part.condition {
            Condition::Chance(_) => true,
            other => other.holds(&TraceId::default(), facts) != part.negated,
        })
    }

    fn rejection(&self) -> u64 {
        self.parts.iter().filter(|part| !part.negated).map(|part| part.condition.rejection()).max().unwrap_or(0)
    }

    fn is_deterministic(&self) -> bool {
        !self.parts.iter().any(|part| matches!(part.condition, Condition::Chance(_)))
    }

    /// The range of a salt's hashes, as shares from 0 to 1, in which the policy holds; `None` where it does not depend
    /// on this salt.
    fn range(&self, salt: u8) -> Option<(f64, f64)> {
        let mut range = None;
        for part in &self.parts {
            if let Condition::Chance(chance) = part.condition
                && chance.salt == salt
            {
                let (low, high) = range.unwrap_or((0.0, 1.0));
                let at = chance.ratio.clamp(0.0, 1.0);
                range = Some(if part.negated { (at.max(low), high) } else { (low, at.min(high)) });
            }
        }
        range
    }
}

/// The policies of a configuration.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sampler {
    policies: Vec<Policy>,
    /// Places of the drops, then of the others, in listed order.
    order: Vec<usize>,
    rejections: Vec<u64>,
    salts: u8,
    first_match: bool,
    chance_drops: bool,
}

impl Sampler {
    /// `salts` is the number of different salts; each policy depends on at most one (the configuration's reader refuses
    /// others), and its range begins at 0 or ends at 1.
    pub(crate) fn new(policies: Vec<Policy>, salts: u8, first_match: bool) -> Self {
        let places = |drops: bool| policies.iter().enumerate().filter(move |(_, p)| p.drops == drops).map(|(place, _)| place);
        let order = places(true).chain(places(false)).collect();
        let rejections = policies.iter().map(Policy::rejection).collect();
        let chance_drops = policies.iter().any(|policy| policy.drops && !policy.is_deterministic());
        Self { policies, order, rejections, salts, first_match, chance_drops }
    }

    pub(crate) fn policies(&self) -> &[Policy] {
        &self.policies
    }

    pub(crate) fn decide(&self, id: &TraceId, facts: &TraceFacts) -> Decision {
        let mut votes = Votes::default();
        let mut winner: Option<(u64, usize)> = None;
        for place in &self.order {
            let Some(policy) = self.policies.get(*place) else { continue };
            let holds = policy.holds(id, facts);
            if holds && policy.drops {
                votes.set(*place, Vote::Dropped);
                return Decision { verdict: Verdict::Dropped, policy: u16::try_from(*place).ok(), weight: 1.0, votes };
            }
            votes.set(*place, if holds { Vote::Sampled } else { Vote::NotSampled });
            if holds {
                let rejection = self.rejections.get(*place).copied().unwrap_or(0);
                if winner.is_none_or(|(lowest, _)| rejection < lowest) {
                    winner = Some((rejection, *place));
                }
                if self.first_match {
                    break;
                }
            }
        }
        match winner {
            Some((_, place)) => {
                Decision { verdict: Verdict::Kept, policy: u16::try_from(place).ok(), weight: self.weight(facts), votes }
            }
            None => Decision { verdict: Verdict::SampledOut, policy: None, weight: 1.0, votes },
        }
    }

    /// 1 / P(no eligible drop and some eligible keep) over a uniformly random trace id.
    fn weight(&self, facts: &TraceFacts) -> f64 {
        let eligible = |policy: &&Policy| policy.is_eligible(facts);
        let certain = self.policies.iter().any(|policy| !policy.drops && policy.is_deterministic() && eligible(&policy));
        if certain && !self.chance_drops {
            return 1.0;
        }
        let mut not_dropped = 1.0;
        let mut neither = 1.0;
        for salt in 0..self.salts {
            let (mut dropped, mut either) = (Cover::default(), Cover::default());
            for policy in self.policies.iter().filter(eligible) {
                let Some(range) = policy.range(salt) else { continue };
                either.add(range);
                if policy.drops {
                    dropped.add(range);
                }
            }
            not_dropped *= 1.0 - dropped.size();
            neither *= 1.0 - either.size();
        }
        let kept: f64 = if certain { not_dropped } else { not_dropped - neither };
        1.0 / kept.clamp(f64::EPSILON * f64::EPSILON, 1.0)
    }

    pub(crate) fn keeps_alone(&self, id: &TraceId, span: &SpanFacts) -> bool {
        let mut facts = TraceFacts::default();
        facts.add(span);
        !self.policies.iter().any(|policy| policy.drops && policy.holds(id, &facts))
            && self.policies.iter().any(|policy| !policy.drops && policy.is_deterministic() && policy.holds(id, &facts))
    }
}

/// A union of ranges that begin at 0 or end at 1.
#[derive(Clone, Copy)]
struct Cover {
    up_to: f64,
    from: f64,
}

impl Default for Cover {
    fn default() -> Self {
        Self { up_to: 0.0, from: 1.0 }
    }
}

impl Cover {
    fn add(&mut self, (low, high): (f64, f64)) {
        if low <= 0.0 {
            self.up_to = self.up_to.max(high);
        } else {
            self.from = self.from.min(low);
        }
    }

    fn size(self) -> f64 {
        (self.up_to + 1.0 - self.from).min(1.0)
    }
}
