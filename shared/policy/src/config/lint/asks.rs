//! What policies ask, and whether what meets one meets another.

use std::collections::BTreeSet;

use super::super::yaml::Tree;
use super::{child, integer, line_of, number, text, texts, truth};
use crate::regex::PatternCache;

/// What a basic policy asks of a trace.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Ask {
    Always,
    Latency {
        lower: i64,
        upper: Option<i64>,
    },
    Chance {
        salt: String,
        percent: f64,
    },
    Status(BTreeSet<String>),
    Text {
        key: String,
        values: Vec<String>,
        regex: bool,
    },
    Number {
        key: String,
        min: i64,
        max: i64,
    },
    Truth {
        key: String,
        value: bool,
    },
    Spans {
        min: i64,
        max: Option<i64>,
    },
    State {
        key: String,
        values: BTreeSet<String>,
    },
    Flags,
    Ottl {
        conditions: BTreeSet<(bool, String)>,
        propagates: bool,
    },
    Limit {
        rate: i64,
    },
    /// Of a type that is an error, or that is not compared.
    Other,
}

/// A basic policy within a policy.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) ask: Ask,
    pub(super) negated: bool,
    /// `invert_match`.
    pub(super) inverted: bool,
    pub(super) line: u32,
    /// The block of its type is missing.
    pub(super) is_bare: bool,
}

impl Part {
    /// Reads a basic policy; `inverts` says whether `invert_match` is a plain negation.
    pub(super) fn read(tree: &Tree, negated: bool, inverts: bool) -> Self {
        let kind = text(tree, "type").unwrap_or_default();
        let null = Tree::null(tree.line);
        let block = child(tree, kind).unwrap_or(&null);
        let inverted = truth(block, "invert_match") == Some(true);
        let ask = if inverted && !inverts { Ask::Other } else { Ask::read(kind, block) };
        let needs = !matches!(kind, "always_sample" | "trace_flags") && ask != Ask::Other;
        let is_bare = needs && child(tree, kind).is_none();
        let line = if is_bare { tree.line } else { line_of(tree, kind) };
        Self { ask, negated: negated != inverted, inverted, line, is_bare }
    }

    /// Every trace meets it.
    pub(super) fn is_certain(&self) -> bool {
        if self.negated { self.ask.is_impossible() } else { self.ask.is_certain() }
    }

    /// No trace meets it.
    pub(super) fn is_impossible(&self) -> bool {
        if self.negated { self.ask.is_certain() } else { self.ask.is_impossible() }
    }

    /// Whether every trace that meets this meets the other.
    pub(super) fn implies(&self, other: &Self, patterns: &PatternCache) -> bool {
        match (self.negated, other.negated) {
            _ if other.is_certain() => true,
            (false, false) => self.ask.implies(&other.ask, patterns),
            (true, true) => other.ask.implies(&self.ask, patterns),
            (false, true) => self.ask.excludes(&other.ask),
            (true, false) => false,
        }
    }

    /// Whether no trace meets both.
    pub(super) fn excludes(&self, other: &Self, patterns: &PatternCache) -> bool {
        match (self.negated, other.negated) {
            (false, false) => self.ask.excludes(&other.ask),
            (true, false) => other.ask.implies(&self.ask, patterns),
            (false, true) => self.ask.implies(&other.ask, patterns),
            (true, true) => false,
        }
    }

    /// It is asked of single spans: two of the kind may be met by two spans.
    pub(super) fn is_of_a_span(&self) -> bool {
        let of_a_span =
            matches!(self.ask, Ask::Text { .. } | Ask::Number { .. } | Ask::Truth { .. } | Ask::Status(_) | Ask::Ottl { .. });
        of_a_span && !self.negated
    }
}

impl Ask {
    fn read(kind: &str, block: &Tree) -> Self {
        let set = |list: Vec<(u32, &str)>| list.into_iter().map(|(_, text)| text.to_owned()).collect();
        let key = || text(block, "key").unwrap_or_default().to_owned();
        let whole = |key: &str| integer(block, key).unwrap_or(0);
        let some = |value: i64| (value != 0).then_some(value);
        match kind {
            "always_sample" => Self::Always,
            "latency" => Self::Latency { lower: whole("threshold_ms"), upper: some(whole("upper_threshold_ms")) },
            "probabilistic" => Self::Chance {
                salt: text(block, "hash_salt").unwrap_or_default().to_owned(),
                percent: number(block, "sampling_percentage").unwrap_or(0.0),
            },
            "status_code" => Self::Status(set(texts(block, "status_codes"))),
            "string_attribute" => {
                let values = texts(block, "values").into_iter().map(|(_, value)| value.to_owned());
                let regex = truth(block, "enabled_regex_matching") == Some(true);
                Self::Text { key: key(), values: values.filter(|value| regex || !value.is_empty()).collect(), regex }
            }
            "numeric_attribute" => Self::Number {
                key: key(),
                min: some(whole("min_value")).unwrap_or(i64::MIN),
                max: some(whole("max_value")).unwrap_or(i64::MAX),
            },
            "boolean_attribute" => Self::Truth { key: key(), value: truth(block, "value").unwrap_or(false) },
            "span_count" => Self::Spans { min: whole("min_spans"), max: some(whole("max_spans")) },
            "trace_state" => Self::State {
                key: key(),
                values: set(texts(block, "values")).into_iter().filter(|value: &String| !value.is_empty()).collect(),
            },
            "trace_flags" => Self::Flags,
            "rate_limiting" => Self::Limit { rate: whole("spans_per_second") },
            "bytes_limiting" => Self::Limit { rate: whole("bytes_per_second") },
            "ottl_condition" => {
                let list =
                    |key: &str, of_event: bool| texts(block, key).into_iter().map(move |(_, text)| (of_event, text.to_owned()));
                let conditions = list("span", false).chain(list("spanevent", true)).collect();
                Self::Ottl { conditions, propagates: text(block, "error_mode") == Some("propagate") }
            }
            _ => Self::Other,
        }
    }

    fn is_certain(&self) -> bool {
        match self {
            Self::Always => true,
            Self::Latency { lower, upper } => *lower <= 0 && upper.is_none(),
            Self::Chance { percent, .. } => *percent >= 100.0,
            Self::Status(codes) => codes.len() >= 3,
            Self::Spans { min, max } => *min <= 1 && max.is_none(),
            _ => false,
        }
    }

    fn is_impossible(&self) -> bool {
        match self {
            Self::Latency { lower, upper } => upper.is_some_and(|upper| upper <= *lower || upper < 0),
            Self::Chance { percent, .. } => *percent <= 0.0,
            Self::Text { values, .. } => values.is_empty(),
            Self::Number { min, max, .. } => min > max,
            Self::Spans { min, max } => max.is_some_and(|max| max < *min || max < 1),
            Self::State { values, .. } => values.is_empty(),
            Self::Limit { rate } => *rate <= 0,
            _ => false,
        }
    }

    fn implies(&self, other: &Self, patterns: &PatternCache) -> bool {
        match (self, other) {
            (_, Self::Always) => true,
            (Self::Latency { lower, upper }, Self::Latency { lower: least, upper: most }) => {
                lower >= least && most.is_none_or(|most| upper.is_some_and(|upper| upper <= most))
            }
            (Self::Chance { salt, percent }, Self::Chance { salt: other, percent: more }) => salt == other && percent <= more,
            (Self::Status(codes), Self::Status(more)) => codes.is_subset(more),
            (Self::Text { key, values, regex }, Self::Text { key: other, values: more, regex: by_pattern }) => {
                key == other && among(values, *regex, more, *by_pattern, patterns)
            }
            (Self::Number { key, min, max }, Self::Number { key: other, min: least, max: most }) => {
                key == other && min >= least && max <= most
            }
            (Self::Spans { min, max }, Self::Spans { min: least, max: most }) => {
                min >= least && most.is_none_or(|most| max.is_some_and(|max| max <= most))
            }
            (Self::State { key, values }, Self::State { key: other, values: more }) => key == other && values.is_subset(more),
            (Self::Ottl { conditions, .. }, Self::Ottl { conditions: more, propagates: false }) => conditions.is_subset(more),
            (Self::Limit { .. } | Self::Other, _) => false,
            (one, other) => one == other,
        }
    }

    fn excludes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Latency { lower, upper }, Self::Latency { lower: least, upper: most }) => {
                upper.is_some_and(|upper| upper <= *least) || most.is_some_and(|most| most <= *lower)
            }
            (Self::Spans { min, max }, Self::Spans { min: least, max: most }) => {
                max.is_some_and(|max| max < *least) || most.is_some_and(|most| most < *min)
            }
            _ => false,
        }
    }
}

/// Whether what equals one of `values`, or matches one of them, does so of `more` too.
fn among(values: &[String], regex: bool, more: &[String], by_pattern: bool, patterns: &PatternCache) -> bool {
    if regex == by_pattern {
        return values.iter().all(|value| more.contains(value));
    }
    let wanted: Vec<_> = more.iter().filter(|_| by_pattern).filter_map(|pattern| patterns.compile(pattern).ok()).collect();
    by_pattern && values.iter().all(|value| wanted.iter().any(|pattern| pattern.is_match(value)))
}
