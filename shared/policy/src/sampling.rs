//! Tail sampling: policies over merged facts, votes, and the weight that makes sums over the kept traces right.
//!
//! Semantics are those of the Collector's `tail_sampling` (votes combined as from v0.162: all drops first, then every
//! policy; any drop wins, else any keep; the recorded policy is the one with the lowest threshold). The weight is
//! computed from eligibility, not from votes: what was the probability, over all trace ids, that these facts are kept?

mod admission;
mod axes;
mod decide;
mod evaluate;
mod explain;
mod facts;
mod hash;
mod overlay;
mod policy;
mod probabilistic_sampler;
mod room;
#[cfg(test)]
mod tests;
mod threshold;
mod tracestate;
mod votes;
#[cfg(test)]
mod weights;

pub use admission::{Admission, Admitted};
pub(crate) use admission::{UNITS_MAX, Unit};
pub(crate) use axes::SALTS_MAX;
pub(crate) use decide::{CELLS_MAX, Options, Sampler, tells};
pub use decide::{Decision, span_weight};
pub use explain::{Asked, AskedPart, AskedSub, Combined, Measures, Room, TOO_LARGE, Test, explanation, explanations};
pub use facts::{Pairs, SpanFacts, TraceFacts, TraceSize};
pub(crate) use hash::{salted, threshold};
pub(crate) use policy::{Body, Chance, Condition, Latency, Part, Policy, Sub};
pub(crate) use probabilistic_sampler::Mode;
pub use probabilistic_sampler::{Priority, ProbabilisticSampler, Sampled, Source};
pub(crate) use room::{Bucket, Window};
pub(crate) use tracestate::{StateLeaf, TraceState, has_value};
pub(crate) use votes::POLICIES_MAX;
pub use votes::{Verdict, Vote, Votes};
