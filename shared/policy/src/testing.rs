//! For this crate's tests against the reference's vectors only: one processor on one request. No part of the interface.

use spanlake_model::Signal;
use spanlake_otlp::tree::{Payload, Want};

use crate::config::{self, Environment};
use crate::finding::Finding;
pub use crate::processors::redaction::Coverage;
use crate::processors::{Process, Tally};

/// What became of a request.
#[derive(Debug)]
pub enum End {
    /// The configuration is refused.
    Refused,
    /// The request is refused (`error_mode: propagate`), with the reason.
    Failed(&'static str),
    /// The request as it is sent on.
    Sent(Vec<u8>),
    /// Nothing is left to send.
    Nothing,
}

/// What a processor did.
#[derive(Debug)]
pub struct Outcome {
    /// What is said about its configuration.
    pub findings: Vec<Finding>,
    /// What became of the request.
    pub end: End,
}

/// Runs a processor on an export request (protobuf), looking at what the Collector's processor looks at. `config` is the
/// YAML text below the processor's id.
#[must_use]
pub fn run_processor(kind: &str, config: &str, signal: Signal, input: &[u8], env: Environment<'_>) -> Outcome {
    run(kind, config, Coverage::Core, signal, input, env)
}

/// [`run_processor`] looking at everything, as in production.
#[must_use]
pub fn run_processor_widely(kind: &str, config: &str, signal: Signal, input: &[u8], env: Environment<'_>) -> Outcome {
    run(kind, config, Coverage::Wide, signal, input, env)
}

fn run(kind: &str, config: &str, coverage: Coverage, signal: Signal, input: &[u8], env: Environment<'_>) -> Outcome {
    let (processor, findings) = config::read_processor(kind, config, coverage, signal, env);
    let end = processor.map_or(End::Refused, |processor| process(&*processor, signal, input));
    Outcome { findings, end }
}

fn process(processor: &dyn Process, signal: Signal, input: &[u8]) -> End {
    let Ok(mut payload) = Payload::decode(signal, input, Want::ALL) else { return End::Failed("no request") };
    if let Err(error) = processor.process(&mut payload, &mut Tally::default()) {
        return End::Failed(error.0);
    }
    if payload.groups.is_empty() {
        return End::Nothing;
    }
    let mut out = Vec::new();
    payload.encode(&mut out);
    End::Sent(out)
}
