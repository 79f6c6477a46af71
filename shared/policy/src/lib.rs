//! Rules: the Collector's configuration, sampling, redaction, explanations. Pure.

mod config;
mod finding;
mod lints;
mod processors;
mod regex;
mod rewrite;
mod rules;
mod sampling;
#[doc(hidden)]
pub mod testing;

pub use config::{DEFAULT_CONFIG, Loaded, load, render};
pub use finding::{Finding, Severity};
pub use lints::{explain, lints, lints_page};
pub use processors::run::{BY_PROCESSOR, Lost, Processed};
pub use rewrite::{Context, ContextFacts, Detector, ItemOutcome, MaskedContext, Scratch};
pub use rules::Rules;
pub use sampling::{
    Admission, Admitted, Decision, Pairs, Priority, ProbabilisticSampler, Sampled, Source, SpanFacts, TraceFacts, TraceSize,
    Verdict, Vote, Votes, span_weight,
};
