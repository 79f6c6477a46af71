//! What is random about a trace: its id's hash under each salt, and its randomness. Where it lies on these axes decides, and
//! how much of them decides alike is the probability.

use spanlake_model::TraceId;

use super::facts::TraceFacts;
use super::hash::hash;
use super::policy::Chance;
use super::threshold::{NEVER, rejection, share};

/// How many different salts a configuration may have.
pub(crate) const SALTS_MAX: usize = 8;

/// Where a trace lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axes {
    /// The hash of its id under each salt.
    hashes: [u64; SALTS_MAX],
    /// 56 bits: what its spans state, or the low bits of its id.
    pub(super) randomness: u64,
    /// Chance is a matter of the randomness and not of the hashes.
    consistent: bool,
}

/// The cuts of each axis, sorted, each once.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Cuts {
    /// For each salt the highest hashes that are in.
    hashes: Vec<Vec<u64>>,
    /// The lowest randomness that is in.
    randomness: Vec<u64>,
    salted: Vec<u64>,
}

impl Cuts {
    /// The cuts of all chances.
    pub(super) fn new<'a>(chances: impl Iterator<Item = &'a Chance>) -> Self {
        let mut cuts = Self::default();
        for chance in chances {
            let place = usize::from(chance.salt);
            while cuts.hashes.len() <= place {
                cuts.hashes.push(Vec::new());
                cuts.salted.push(0);
            }
            if let (Some(hashes), Some(salted)) = (cuts.hashes.get_mut(place), cuts.salted.get_mut(place)) {
                *salted = chance.salted;
                hashes.push(chance.threshold);
            }
            cuts.randomness.push(rejection(chance.ratio));
        }
        for list in cuts.hashes.iter_mut().chain([&mut cuts.randomness]) {
            list.sort_unstable();
            list.dedup();
        }
        cuts
    }

    /// The most cells that any trace's axes are cut into, with so many buckets.
    pub(super) fn cells_max(&self, buckets: usize) -> usize {
        let hashed = self.hashes.iter().map(|cuts| cuts.len() + 1).fold(buckets + 1, usize::saturating_mul);
        hashed.max(self.randomness.len() + buckets + 1)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.randomness.is_empty()
    }
}

impl Axes {
    /// `consistent`: chance is a matter of this trace's randomness.
    pub(super) fn of(id: &TraceId, facts: &TraceFacts, consistent: bool, cuts: &Cuts) -> Self {
        let mut hashes = [0; SALTS_MAX];
        for (at, salted) in hashes.iter_mut().zip(&cuts.salted) {
            *at = hash(*salted, id);
        }
        let low = u128::from_be_bytes(id.0) & u128::from(NEVER - 1);
        let randomness = facts.randomness.unwrap_or_else(|| u64::try_from(low).unwrap_or(0));
        Self { hashes, randomness, consistent }
    }

    /// Whether chance is a matter of the randomness.
    pub(super) fn is_consistent(&self) -> bool {
        self.consistent
    }

    pub(super) fn holds(&self, chance: &Chance) -> bool {
        if self.consistent {
            return self.randomness >= rejection(chance.ratio);
        }
        self.hashes.get(usize::from(chance.salt)).is_some_and(|hash| *hash <= chance.threshold)
    }

    /// Calls `visit` for each cell into which the cuts and the rank thresholds divide all axes: with a place in it, and its
    /// share of the whole.
    pub(super) fn cells(&self, cuts: &Cuts, thresholds: &[u64], visit: &mut dyn FnMut(&Self, f64)) {
        let mut ranks: Vec<u64> = thresholds.iter().copied().filter(|rank| (1..NEVER).contains(rank)).collect();
        if self.consistent {
            ranks.extend(cuts.randomness.iter().filter(|rank| (1..NEVER).contains(*rank)));
        }
        ranks.sort_unstable();
        ranks.dedup();
        let salts = if self.consistent { 0 } else { cuts.hashes.len().min(SALTS_MAX) };
        let mut start = 0;
        for end in ranks.into_iter().chain([NEVER]) {
            let mut at = Self { randomness: start, ..*self };
            at.hashed(cuts.hashes.get(..salts).unwrap_or_default(), share(start) - share(end), visit);
            start = end;
        }
    }

    /// The cells of the last of these salts, and within each of them those of the others.
    fn hashed(&mut self, salts: &[Vec<u64>], volume: f64, visit: &mut dyn FnMut(&Self, f64)) {
        let Some((cuts, others)) = salts.split_last() else { return visit(self, volume) };
        let mut below = 0.0;
        for end in cuts.iter().copied().filter(|end| *end < u64::MAX).chain([u64::MAX]) {
            if let Some(at) = self.hashes.get_mut(others.len()) {
                *at = end;
            }
            let up_to = part_of_hashes(end);
            self.hashed(others, volume * (up_to - below), visit);
            below = up_to;
        }
    }
}

/// The share of the hashes that are at most this one.
#[expect(clippy::cast_precision_loss, reason = "a share needs no more than 53 bits")]
fn part_of_hashes(highest: u64) -> f64 {
    const HASHES: f64 = 18_446_744_073_709_551_616.0;
    (u128::from(highest) + 1) as f64 / HASHES
}
