//! Rules: the Collector's configuration, sampling, redaction, explanations. Pure.

mod config;
mod finding;
mod ottl;
mod processors;
mod regex;
mod rewrite;
mod rules;
mod sampling;
#[doc(hidden)]
pub mod testing;

pub use config::{DEFAULT_CONFIG, Loaded, load, render};
pub use finding::{Finding, Severity};
pub use rewrite::{Context, ContextFacts, ItemOutcome, MaskedContext, Scratch};
pub use rules::Rules;
pub use sampling::{Decision, SpanFacts, TraceFacts, Verdict, Vote, Votes};
