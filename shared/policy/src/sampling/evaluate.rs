//! The one evaluator: what the policies say about a trace at one place on its axes.

use super::axes::Axes;
use super::decide::Sampler;
use super::facts::TraceFacts;
use super::policy::Seen;
use super::threshold::NEVER;
use super::votes::{Verdict, Vote, Votes};

/// What the policies come to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Evaluation {
    pub(super) verdict: Verdict,
    pub(super) votes: Votes,
    /// The place of the deciding policy.
    pub(super) winner: Option<usize>,
    /// The place of the deciding policy's sub-policy, of a `composite`.
    pub(super) sub: Option<u16>,
    /// The winner's rejection threshold.
    pub(super) threshold: u64,
}

/// An evaluation, and the facts that its votes were cast on.
pub(super) struct Evaluated {
    pub(super) evaluation: Evaluation,
    pub(super) facts: TraceFacts,
}

impl Evaluation {
    fn of(verdict: Verdict, votes: Votes) -> Self {
        Self { verdict, votes, winner: None, sub: None, threshold: NEVER }
    }
}

/// The best policy so far that voted for keeping.
#[derive(Clone, Copy)]
struct Best {
    threshold: u64,
    place: usize,
    sub: Option<u16>,
}

impl Sampler {
    /// Evaluates the facts of a trace at one place. `records` are the facts by record where arriving batches are evaluated one
    /// by one, else those of the whole trace alone. `thresholds` are the rank thresholds of the buckets.
    pub(super) fn evaluate(&self, records: &[TraceFacts], axes: &Axes, thresholds: &[u64]) -> Evaluation {
        self.evaluated(records, axes, thresholds).evaluation
    }

    /// As [`Sampler::evaluate`], with the facts of the record that was evaluated last.
    pub(super) fn evaluated(&self, records: &[TraceFacts], axes: &Axes, thresholds: &[u64]) -> Evaluated {
        if let Some(kept) = self.by_overlay(records) {
            return kept;
        }
        let mut last = Evaluation::of(Verdict::SampledOut, Votes::default());
        let mut facts = TraceFacts::default();
        let (mut spans, mut errors, mut bytes) = (0_u64, 0_u64, 0_u64);
        for record in records {
            spans = spans.saturating_add(record.spans);
            errors = errors.saturating_add(record.errors);
            bytes = bytes.saturating_add(record.size.groups_bytes);
            if self.options.size_bytes_max.is_some_and(|most| bytes > most) {
                last = Evaluation::of(Verdict::SampledOut, Votes::default());
                facts = TraceFacts { spans, errors, ..*record };
                break;
            }
            facts = TraceFacts { spans, errors, ..*record };
            let seen = Seen { facts: &facts, axes, thresholds, invert_votes: self.options.invert_votes };
            last = self.round(&seen);
            if last.verdict != Verdict::SampledOut {
                break;
            }
        }
        Evaluated { evaluation: last, facts }
    }

    /// All drops first, then the others, in listed order.
    fn round(&self, seen: &Seen<'_>) -> Evaluation {
        let mut votes = Votes::default();
        let mut best: [Option<Best>; 2] = [None; 2];
        for place in &self.order {
            let Some(policy) = self.policies.get(*place) else { continue };
            let cast = policy.cast(seen);
            votes.set(*place, cast.vote);
            if cast.vote == Vote::Dropped {
                return Evaluation { winner: Some(*place), ..Evaluation::of(Verdict::Dropped, votes) };
            }
            if policy.drops() && self.options.by_record {
                // A later span could still be dropped: upstream decides nothing then.
                return Evaluation::of(Verdict::SampledOut, votes);
            }
            let inverted = match cast.vote {
                Vote::Sampled => 0,
                Vote::InvertSampled => 1,
                _ => continue,
            };
            if let Some(slot) = best.get_mut(inverted)
                && slot.is_none_or(|known| cast.threshold < known.threshold)
            {
                *slot = Some(Best { threshold: cast.threshold, place: *place, sub: cast.sub });
            }
            if cast.vote == Vote::Sampled && (self.options.first_match || self.options.by_record) {
                break;
            }
        }
        self.combine(votes, best)
    }

    fn combine(&self, votes: Votes, [sampled, inverted]: [Option<Best>; 2]) -> Evaluation {
        let invert = self.options.invert_votes;
        let kept = if invert && votes.has(Vote::InvertNotSampled) {
            None
        } else {
            sampled.or_else(|| inverted.filter(|_| !votes.has(Vote::NotSampled)))
        };
        match kept {
            Some(best) => {
                Evaluation { verdict: Verdict::Kept, votes, winner: Some(best.place), sub: best.sub, threshold: best.threshold }
            }
            None => Evaluation::of(Verdict::SampledOut, votes),
        }
    }
}
