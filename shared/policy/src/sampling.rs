//! Tail sampling: policies over merged facts, votes, and the weight that makes sums over the kept traces right.
//!
//! Semantics are those of the Collector's `tail_sampling` (votes combined as from v0.162: all drops first, then every
//! policy; any drop wins, else any keep; the recorded policy is the one with the lowest threshold). The weight is
//! computed from eligibility, not from votes: what was the probability, over all trace ids, that these facts are kept?

mod decide;
mod facts;
mod hash;
#[cfg(test)]
mod tests;

pub(crate) use decide::{Chance, Condition, Latency, POLICIES_MAX, Part, Policy, Sampler};
pub use decide::{Decision, Verdict, Vote, Votes};
pub use facts::{SpanFacts, TraceFacts};
pub(crate) use hash::{salted, threshold};
