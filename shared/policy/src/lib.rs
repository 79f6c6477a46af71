//! Rules: the Collector's configuration, sampling, redaction, explanations. Pure.

mod config;
mod finding;
mod lints;
mod logs;
mod overlay;
mod processors;
mod regex;
mod rewrite;
mod rules;
mod sampling;
#[doc(hidden)]
pub mod testing;

pub use config::{CONFIG_BYTES_MAX, DEFAULT_CONFIG, Loaded, load, render, render_with};
pub use finding::{Finding, Severity};
pub use lints::{explain, lints, lints_page};
pub use logs::LogRule;
pub use overlay::{KEEP_ALL, KEEP_ALL_NAME_BYTES_MAX, KEEP_ALL_SECONDS, KEEP_ALL_SERVICES_MAX, Overlay};
pub use processors::run::{BY_PROCESSOR, Lost, Processed};
pub use rewrite::{Context, ContextFacts, Detector, ItemOutcome, MaskedContext, Scratch, SpanHead};
pub use rules::Rules;
pub use sampling::{
    Admission, Admitted, Asked, AskedPart, AskedSub, Combined, Decision, Measures, Pairs, Priority, ProbabilisticSampler, Room,
    Sampled, Source, SpanFacts, TOO_LARGE, Test, TraceFacts, TraceSize, Verdict, Vote, Votes, explanation, explanations,
    span_weight,
};
