//! The rules of a configuration, ready to run.

use std::collections::BTreeSet;
use std::sync::Arc;

use regex::Regex;
use spanlake_model::{PerSignal, Signal, TraceId};

use crate::regex::Template;
use crate::rewrite::Masking;
use crate::sampling::{Decision, Sampler, SpanFacts, TraceFacts, Verdict, Votes};

/// The rules of one configuration. Immutable; the same text and environment give the same rules and [`Rules::version`].
#[derive(Debug)]
pub struct Rules {
    pub(crate) version: String,
    pub(crate) decision_wait_ms: u64,
    pub(crate) window_ms: u64,
    pub(crate) late_horizon_ms: u64,
    pub(crate) sampler: Option<Sampler>,
    /// For each `status_code` condition: its bit, and the accepted codes as bits 0 to 2.
    pub(crate) status_leaves: Vec<(u64, u8)>,
    pub(crate) string_leaves: Vec<StringLeaf>,
    pub(crate) plans: PerSignal<Arc<Plan>>,
    pub(crate) limits: Limits,
    /// Names of what masks, for counting: those of the built-in masking first.
    pub(crate) rule_names: Arc<[String]>,
    /// What is used, in order, a line each: for `check`.
    pub(crate) summary: Vec<String>,
}

impl Rules {
    /// The version: 16 hex digits over what the configuration says, variables expanded. It names the rules in the state, so that no later
    /// release gives the same text another one.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// How long after its first span a trace is due, in milliseconds.
    #[must_use]
    pub fn decision_wait_ms(&self) -> u64 {
        self.decision_wait_ms
    }

    /// The length of a decision window in milliseconds; it divides an hour.
    #[must_use]
    pub fn window_ms(&self) -> u64 {
        self.window_ms
    }

    /// For how long a decision is remembered for late spans, in milliseconds.
    #[must_use]
    pub fn late_horizon_ms(&self) -> u64 {
        self.late_horizon_ms
    }

    /// Names and types of the policies, in the order of the configuration: [`Decision::policy`] is an index into this.
    pub fn policies(&self) -> impl Iterator<Item = (&str, &str)> {
        self.sampler.iter().flat_map(|sampler| sampler.policies().iter().map(|policy| (policy.name.as_str(), policy.kind)))
    }

    /// The name of the policy at this place; empty for `None`.
    #[must_use]
    pub fn policy_name(&self, place: Option<u16>) -> &str {
        place.and_then(|place| self.policies().nth(usize::from(place))).map_or("", |(name, _)| name)
    }

    /// Decides a trace. Without a `tail_sampling` processor everything is kept with weight 1.
    #[must_use]
    pub fn decide(&self, id: &TraceId, facts: &TraceFacts) -> Decision {
        match &self.sampler {
            Some(sampler) => sampler.decide(id, facts),
            None => Decision { verdict: Verdict::Kept, policy: None, weight: 1.0, votes: Votes::default() },
        }
    }

    /// Each policy's name and vote (`sampled`, `not_sampled`, `dropped`), in the order of the configuration; policies
    /// that were not asked are left out.
    #[must_use]
    pub fn votes_text(&self, decision: &Decision) -> Vec<(&str, &'static str)> {
        let votes = decision.votes;
        self.policies().enumerate().filter_map(|(place, (name, _))| Some((name, votes.get(place)?.name()))).collect()
    }

    /// Whether a late span is kept by itself, with weight 1: a policy that does not depend on chance keeps it, and no
    /// drop vetoes it.
    #[must_use]
    pub fn keeps_late_span(&self, id: &TraceId, span: &SpanFacts) -> bool {
        self.sampler.as_ref().is_none_or(|sampler| sampler.keeps_alone(id, span))
    }

    pub(crate) fn plan(&self, signal: Signal) -> &Arc<Plan> {
        &self.plans[signal]
    }
}

/// A `string_attribute` condition.
#[derive(Debug)]
pub(crate) struct StringLeaf {
    pub(crate) mask: u64,
    pub(crate) key: String,
    pub(crate) matcher: Matcher,
}

/// How a `string_attribute` compares.
#[derive(Debug)]
pub(crate) enum Matcher {
    Exact(BTreeSet<String>),
    Regex(Vec<Regex>),
}

impl StringLeaf {
    /// As upstream: an exact list never holds the empty text, and a regex is not asked about a span's empty text.
    pub(crate) fn matches(&self, value: &str, on_resource: bool) -> bool {
        match &self.matcher {
            Matcher::Exact(values) => values.contains(value),
            Matcher::Regex(regexes) => (on_resource || !value.is_empty()) && regexes.iter().any(|regex| regex.is_match(value)),
        }
    }
}

/// What one signal's items pass through.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) stages: Vec<Stage>,
    /// The built-in masking runs at the end.
    pub(crate) builtin: bool,
    /// What it does.
    pub(crate) masking: Masking,
    /// Some `transform` statement rewrites a field.
    pub(crate) has_field_targets: bool,
}

impl Plan {
    /// Whether any stage looks into every text.
    pub(crate) fn scans_values(&self) -> bool {
        self.stages.iter().any(|stage| matches!(stage, Stage::Redact(redact) if redact.any_value.is_some()))
    }
}

/// A step of a pipeline.
#[derive(Debug, Clone)]
pub(crate) enum Stage {
    /// The place of `tail_sampling`: facts are taken from the texts as they are here.
    Sample,
    Transform(Vec<Statement>),
    Redact(Box<Redact>),
}

/// One `replace_pattern`.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    pub(crate) target: Target,
    pub(crate) regex: Regex,
    pub(crate) template: Template,
    /// Index into [`Rules::rule_names`].
    pub(crate) rule: usize,
}

/// What a statement rewrites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Attribute { owner: Owner, key: String },
    Field { owner: Owner, number: u32 },
}

/// The message that a text belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    Resource,
    Scope,
    Span,
    Event,
    Link,
    Status,
    Log,
    Metric,
    Point,
    Exemplar,
    Other,
}

/// A `redaction` processor.
#[derive(Debug, Clone)]
pub(crate) struct Redact {
    /// Index into [`Rules::rule_names`].
    pub(crate) rule: usize,
    /// `None` allows all.
    pub(crate) allowed_keys: Option<BTreeSet<String>>,
    pub(crate) ignored_keys: BTreeSet<String>,
    pub(crate) ignored_key_patterns: Vec<Regex>,
    pub(crate) allowed_values: Vec<Regex>,
    pub(crate) blocked_key_patterns: Vec<Regex>,
    pub(crate) blocked_values: Vec<Regex>,
    /// All of `blocked_values` as one pattern, to pass what none of them matches quickly.
    pub(crate) any_value: Option<Regex>,
}

/// Bounds on attributes, applied after masking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) attributes: usize,
    pub(crate) value_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { attributes: usize::MAX, value_bytes: usize::MAX }
    }
}
