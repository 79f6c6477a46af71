//! Verdicts and votes.

/// How many policies a configuration may have: a bit in each of the planes of [`Votes`].
pub(crate) const POLICIES_MAX: usize = 64;

/// What is decided about a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It goes into the lake.
    Kept,
    /// No policy wanted it, or it is larger than `maximum_trace_size_bytes`.
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
    /// Its condition failed: no vote.
    Error,
    /// Keep it unless another policy does not; only with `spanlake.compat.invert_decisions`.
    InvertSampled,
    /// Don't keep it whatever others say; only with `spanlake.compat.invert_decisions`.
    InvertNotSampled,
}

impl Vote {
    /// The name in the `decisions` table, as in the Collector's metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sampled => "sampled",
            Self::NotSampled => "not_sampled",
            Self::Dropped => "dropped",
            Self::Error => "error",
            Self::InvertSampled => "invert_sampled",
            Self::InvertNotSampled => "invert_not_sampled",
        }
    }

    /// Whether `and`, `drop` and `composite` take it for a match.
    pub(super) fn is_match(self) -> bool {
        matches!(self, Self::Sampled | Self::InvertSampled)
    }
}

/// The votes of up to 64 policies, three bits each, in three planes; policies that were not asked have none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Votes([u64; 3]);

impl Votes {
    pub(super) fn set(&mut self, policy: usize, vote: Vote) {
        let code: u64 = match vote {
            Vote::Sampled => 1,
            Vote::NotSampled => 2,
            Vote::Dropped => 3,
            Vote::Error => 4,
            Vote::InvertSampled => 5,
            Vote::InvertNotSampled => 6,
        };
        let place = policy % POLICIES_MAX;
        for (number, plane) in self.0.iter_mut().enumerate() {
            *plane = *plane & !(1 << place) | (code >> number & 1) << place;
        }
    }

    /// The vote of the policy at this place of the configuration; `None` if it was not asked.
    #[must_use]
    pub fn get(self, policy: usize) -> Option<Vote> {
        if policy >= POLICIES_MAX {
            return None;
        }
        let [low, middle, high] = self.0.map(|plane| plane >> policy & 1);
        match low | middle << 1 | high << 2 {
            1 => Some(Vote::Sampled),
            2 => Some(Vote::NotSampled),
            3 => Some(Vote::Dropped),
            4 => Some(Vote::Error),
            5 => Some(Vote::InvertSampled),
            6 => Some(Vote::InvertNotSampled),
            _ => None,
        }
    }

    /// How many policies' conditions failed.
    #[must_use]
    pub fn errors(self) -> u32 {
        let [low, middle, high] = self.0;
        (high & !middle & !low).count_ones()
    }

    /// Whether some policy voted so.
    pub(super) fn has(self, vote: Vote) -> bool {
        (0..POLICIES_MAX).any(|policy| self.get(policy) == Some(vote))
    }
}
