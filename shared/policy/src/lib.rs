//! Rules: the Collector's configuration, sampling, redaction, explanations. Pure.

mod config;
mod finding;
mod ottl;
mod regex;
mod rewrite;
mod rules;
mod sampling;

pub use config::{DEFAULT_CONFIG, Loaded, load, render};
pub use finding::{Finding, Severity};
pub use rewrite::{Context, ContextFacts, Detector, ItemOutcome, MaskedContext, Scratch};
pub use rules::Rules;
pub use sampling::{Decision, SpanFacts, TraceFacts, Verdict, Vote, Votes};
