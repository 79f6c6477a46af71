//! What policies ask, apart from the rules: small enough to be stored beside votes, and with a trace's measures enough to say
//! in words, long after, why each policy voted as it did.
//!
//! Values from telemetry are never in it: of an attribute it is known that a span had what was asked for, and not what it had.
//! That a configured value was met tells the value, though. So what looks like a secret is masked, and where processors redact,
//! configured values are left out: nobody knows which of them are redacted. The same where variables are in the configuration.

mod words;

use spanlake_model::{Signal, TraceId};

use super::admission::Admitted;
use super::axes::Axes;
use super::decide::Sampler;
use super::evaluate::Evaluated;
use super::facts::TraceFacts;
use super::policy::{Body, Condition, Part, Sub};
use crate::overlay::{KEEP_ALL, KEEP_ALL_BIT};
use crate::rewrite::{MASK, Masking, is_secret_name};
use crate::rules::{AttributeLeaf, Leaves, Matcher, Rules};

pub use words::{explanation, explanations};

/// The name under which a trace is dropped that is larger than `maximum_trace_size_bytes`: no policy's.
pub const TOO_LARGE: &str = "maximum_trace_size_bytes";

/// Characters of a configured text that are shown.
const TEXT_MAX: usize = 160;
/// Listed values that are shown.
const VALUES_MAX: usize = 5;

/// What the votes on a trace refer to. Numbers alone, small ones where they can be: one of these is stored for each decision.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Measures {
    /// Which conditions some span meets; see [`Test::Span`].
    pub bits: u64,
    /// From the earliest start to the latest end, in whole milliseconds, cut towards zero; `None` while either is unset.
    pub duration_ms: Option<i64>,
    /// Spans.
    pub spans: u64,
    /// Spans with status `ERROR`.
    pub errors: u64,
    /// What `bytes_limiting` counts; 0 where nothing asks for it.
    pub whole_bytes: u64,
    /// What `maximum_trace_size_bytes` bounds; 0 where nothing asks for it.
    pub groups_bytes: u64,
    /// The randomness that its spans state, 56 bits, if they do; else it is the end of the trace id.
    pub randomness: Option<u64>,
    /// Whether chance went by the randomness, and not by the hash of the trace id.
    pub by_randomness: bool,
}

/// A policy of the configuration, or what else decides under a name.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// Its name.
    pub policy: String,
    /// How its parts come to a vote.
    pub combined: Combined,
    /// The sub-policies of a `composite` in the order in which they are tried; of every other policy one, without a name.
    pub subs: Vec<AskedSub>,
}

/// How parts come to a vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Combined {
    /// The only part votes.
    Single,
    /// All parts must match: `and`, and `drop`.
    All,
    /// The first sub-policy that matches, if there is room: `composite`.
    First,
}

/// Parts that must all match.
#[derive(Debug, Clone, PartialEq)]
pub struct AskedSub {
    /// The name of a sub-policy of `composite`; else empty.
    pub name: String,
    /// What is asked.
    pub parts: Vec<AskedPart>,
    /// Where `composite` needs room for it: its own allocation and the total.
    pub rooms: Vec<Room>,
}

/// One condition.
#[derive(Debug, Clone, PartialEq)]
pub struct AskedPart {
    /// The sub-policy's name; empty for a policy's only condition.
    pub name: String,
    /// Within `not`.
    pub negated: bool,
    /// What is asked.
    pub test: Test,
}

/// What is asked of a trace.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// Nothing.
    Always,
    /// Whether some span sets one of the bits `met`.
    Span {
        /// In [`Measures::bits`].
        met: u64,
        /// The bits of a condition that failed first; 0 where none can.
        failed: u64,
        /// `invert_match`.
        inverted: bool,
        /// Whether [`Measures::errors`] tells how many spans do.
        counts_errors: bool,
        /// A verb and its object, of a span.
        what: String,
    },
    /// Bounds on the duration.
    Latency {
        /// Milliseconds.
        lower_ms: i64,
        /// Milliseconds.
        upper_ms: Option<i64>,
        /// Whether the lower bound counts.
        inclusive: bool,
    },
    /// Bounds on the number of spans.
    Spans {
        /// At least.
        min: i64,
        /// At most.
        max: Option<i64>,
    },
    /// A share of all traces.
    Chance {
        /// The state of the hash after the salt.
        salted: u64,
        /// The highest hash that is in.
        threshold: u64,
        /// The share, 0 to 1.
        ratio: f64,
    },
    /// Room in the window.
    Room(Room),
    /// A bound on the size.
    Size {
        /// Bytes.
        most: u64,
    },
}

/// A limit, and what there was room for in the window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Room {
    /// Spans or bytes a second.
    pub rate: u64,
    /// Whether it is bytes.
    pub counts_bytes: bool,
    /// What the window has room for, at this shard, rounded up.
    pub allowance: u64,
    /// The largest trace that this window lets in, at this shard.
    pub size_max: u64,
    /// Traces of less randomness were rejected; 0 where none was.
    pub closed: u64,
}

impl Rules {
    /// What the policies ask, in the order of the configuration, with what a window has room for.
    #[must_use]
    pub fn asked(&self, admitted: &Admitted) -> Vec<Asked> {
        let Some(sampler) = &self.sampler else { return Vec::new() };
        let rewrites = self.plan(Signal::Traces).steps().any(|step| step.processor.rewrites(Signal::Traces));
        let shows_values = !rewrites && !sampler.has_variables;
        let describer = Describer { sampler, leaves: &self.leaves, admitted, shows_values };
        let policies = sampler.policies.iter().map(|policy| describer.policy(&policy.name, &policy.body));
        let size = sampler.options.size_bytes_max.map(|most| {
            let parts = vec![AskedPart { name: String::new(), negated: false, test: Test::Size { most } }];
            single(TOO_LARGE, Combined::Single, parts)
        });
        policies.chain(size).chain(self.asked_by_overlay()).collect()
    }

    fn asked_by_overlay(&self) -> Option<Asked> {
        let services: Vec<String> = self.overlay.services().map(|(service, _)| format!("`{}`", shown(service))).collect();
        let what = format!("is of {}, kept as a whole", services.join(" or "));
        let test = Test::Span { met: KEEP_ALL_BIT, failed: 0, inverted: false, counts_errors: false, what };
        let part = AskedPart { name: String::new(), negated: false, test };
        (!services.is_empty()).then(|| single(KEEP_ALL, Combined::Single, vec![part]))
    }

    /// What the votes on a trace refer to; `records` are what [`Rules::decide_in_window`] was given.
    #[must_use]
    pub fn measures(&self, id: &TraceId, records: &[TraceFacts], admitted: &Admitted) -> Measures {
        let Some(sampler) = &self.sampler else { return Measures::default() };
        let (axes, whole) = sampler.axes(id, records);
        let facts = match records {
            [only] => *only,
            _ => sampler.last_evaluated(id, records, admitted),
        };
        let ms = |nanos: i128| i64::try_from(nanos / 1_000_000).unwrap_or(i64::MAX);
        Measures {
            bits: facts.bits,
            duration_ms: facts.duration_nanos().map(ms),
            spans: facts.spans,
            errors: facts.errors,
            whole_bytes: whole.size.whole_bytes,
            groups_bytes: whole.size.groups_bytes,
            randomness: whole.randomness,
            by_randomness: axes.is_consistent(),
        }
    }
}

impl Sampler {
    /// The facts that the last votes were cast on.
    fn last_evaluated(&self, id: &TraceId, records: &[TraceFacts], admitted: &Admitted) -> TraceFacts {
        let (axes, whole): (Axes, _) = self.axes(id, records);
        let thresholds = if self.has_limits() { admitted.thresholds(self, id, records, (&axes, &whole)) } else { Vec::new() };
        let Evaluated { facts, .. } = self.evaluated(records, &axes, &thresholds);
        facts
    }
}

/// A policy whose parts stand under no sub-policy.
fn single(policy: &str, combined: Combined, parts: Vec<AskedPart>) -> Asked {
    let sub = AskedSub { name: String::new(), parts, rooms: Vec::new() };
    Asked { policy: policy.to_owned(), combined, subs: vec![sub] }
}

/// Describes policies.
struct Describer<'r> {
    sampler: &'r Sampler,
    leaves: &'r Leaves,
    admitted: &'r Admitted,
    /// Configured values may be told.
    shows_values: bool,
}

impl Describer<'_> {
    fn policy(&self, name: &str, body: &Body) -> Asked {
        match body {
            Body::Single(part) => single(name, Combined::Single, vec![self.part(part)]),
            Body::And(parts) | Body::Drop(parts) => single(name, Combined::All, self.parts(parts)),
            Body::Composite { subs, total, .. } => {
                let sub = |sub: &Sub| {
                    let mut parts = self.parts(&sub.parts);
                    // Said once.
                    parts.iter_mut().filter(|part| part.name == sub.name).for_each(|part| part.name.clear());
                    AskedSub { name: sub.name.clone(), parts, rooms: vec![self.room(sub.bucket), self.room(*total)] }
                };
                Asked { policy: name.to_owned(), combined: Combined::First, subs: subs.iter().map(sub).collect() }
            }
        }
    }

    fn parts(&self, parts: &[Part]) -> Vec<AskedPart> {
        parts.iter().map(|part| self.part(part)).collect()
    }

    fn part(&self, part: &Part) -> AskedPart {
        let name = self.sampler.names.get(usize::from(part.name)).cloned().unwrap_or_default();
        AskedPart { name, negated: part.negated, test: self.test(&part.condition) }
    }

    fn test(&self, condition: &Condition) -> Test {
        match *condition {
            Condition::Always => Test::Always,
            Condition::Bit { mask, inverted } => {
                let counts_errors = self.leaves.status.contains(&(mask, 1 << 2));
                Test::Span { met: mask, failed: 0, inverted, counts_errors, what: self.what(mask) }
            }
            Condition::Fallible { met, failed } => {
                Test::Span { met, failed, inverted: false, counts_errors: false, what: self.what(met) }
            }
            Condition::Latency(latency) => {
                Test::Latency { lower_ms: latency.lower_ms, upper_ms: latency.upper_ms, inclusive: latency.inclusive }
            }
            Condition::Spans { min, max } => Test::Spans { min, max },
            Condition::Chance(chance) => Test::Chance { salted: chance.salted, threshold: chance.threshold, ratio: chance.ratio },
            Condition::Limit(bucket) => Test::Room(self.room(bucket)),
        }
    }

    fn room(&self, bucket: usize) -> Room {
        let limit = self.sampler.buckets.get(bucket).copied().unwrap_or_default();
        let (allowance, size_max, closed) = self.admitted.room(bucket);
        Room { rate: limit.rate, counts_bytes: limit.counts_bytes, allowance, size_max, closed }
    }

    /// What a span does that sets a bit.
    fn what(&self, mask: u64) -> String {
        let leaves = self.leaves;
        if let Some((_, codes)) = leaves.status.iter().find(|(of, _)| *of == mask) {
            let names = ["UNSET", "OK", "ERROR"].into_iter().enumerate();
            let listed: Vec<_> = names.filter(|(place, _)| codes >> place & 1 == 1).map(|(_, name)| name).collect();
            return format!("has status {}", listed.join(" or "));
        }
        if let Some(leaf) = leaves.attributes.iter().find(|leaf| leaf.mask == mask) {
            return format!("has {}, on itself or its resource", self.attribute(leaf));
        }
        if let Some(leaf) = leaves.states.iter().find(|leaf| leaf.mask == mask) {
            let state = self.listed(&leaf.key, leaf.values.iter().map(String::as_str));
            return format!("has a tracestate with {state}");
        }
        if let Some(leaf) = leaves.ottl.iter().find(|leaf| leaf.met == mask) {
            let hides = !self.shows_values || names_a_secret(&leaf.text);
            let text = if hides { shown(&words::without_literals(&leaf.text)) } else { shown(&leaf.text) };
            return format!("meets {text}");
        }
        "has the trace flag `sampled`".to_owned()
    }

    fn attribute(&self, leaf: &AttributeLeaf) -> String {
        let key = shown(&leaf.key);
        let hides = !self.shows_values || is_secret_name(&leaf.key);
        match &leaf.matcher {
            Matcher::Exact(values) => self.listed(&leaf.key, values.iter().map(String::as_str)),
            Matcher::Regex(_) if !self.shows_values => format!("`{key}` that matches a configured pattern"),
            Matcher::Regex(patterns) => {
                let patterns = patterns.iter().map(regex::Regex::as_str);
                format!("`{key}` that matches {}", values(&leaf.key, patterns))
            }
            Matcher::Number { .. } if hides => format!("`{key}` within the configured bounds"),
            Matcher::Truth(_) if hides => format!("`{key}` = the configured value"),
            Matcher::Number { min: i64::MIN, max } => format!("`{key}` of at most {max}"),
            Matcher::Number { min, max: i64::MAX } => format!("`{key}` of at least {min}"),
            Matcher::Number { min, max } => format!("`{key}` from {min} to {max}"),
            Matcher::Truth(wanted) => format!("`{key}` = {wanted}"),
        }
    }

    fn listed<'v>(&self, key: &str, texts: impl Iterator<Item = &'v str>) -> String {
        if self.shows_values {
            return format!("`{}` = {}", shown(key), values(key, texts));
        }
        let which = if texts.count() == 1 { "the configured value" } else { "a configured value" };
        format!("`{}` = {which}", shown(key))
    }
}

/// Whether a condition asks for an attribute whose values are secrets.
fn names_a_secret(condition: &str) -> bool {
    condition.split("[\"").skip(1).filter_map(|rest| rest.split('"').next()).any(is_secret_name)
}

/// Configured values of an attribute, in quotes.
fn values<'v>(key: &str, texts: impl Iterator<Item = &'v str>) -> String {
    let texts: Vec<&str> = texts.collect();
    let quoted = |text: &&str| if is_secret_name(key) { format!("\"{MASK}\"") } else { format!("\"{}\"", shown(text)) };
    let mut quoted: Vec<String> = texts.iter().take(VALUES_MAX).map(quoted).collect();
    match texts.len().saturating_sub(VALUES_MAX) {
        0 if texts.is_empty() => quoted.push("any of no values".to_owned()),
        0 => {}
        more => quoted.push(format!("{more} more")),
    }
    quoted.join(" or ")
}

/// A configured text as it may be shown: without what looks like a secret, and cut.
fn shown(text: &str) -> String {
    let masked = Masking::default().mask(text, &mut Vec::new(), |_| ());
    words::cut(masked.as_deref().unwrap_or(text), TEXT_MAX)
}
