//! What a statement runs on: an item with everything around it.

use std::borrow::Cow;
use std::sync::Arc;

use regex::Regex;
use spanlake_otlp::tree::{Map, Node, Want};

use crate::error::DataError;

/// What a statement is about: the lowest of the things that it can see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Context {
    /// A `Resource`.
    Resource,
    /// An `InstrumentationScope`.
    Scope,
    /// A `Span`.
    Span,
    /// A `Span.Event`.
    SpanEvent,
    /// A `LogRecord`.
    Log,
    /// A `Metric`.
    Metric,
    /// A data point of any type.
    DataPoint,
    /// An `Exemplar`.
    Exemplar,
}

impl Context {
    /// The name in configurations and paths.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Resource => "resource",
            Self::Scope => "scope",
            Self::Span => "span",
            Self::SpanEvent => "spanevent",
            Self::Log => "log",
            Self::Metric => "metric",
            Self::DataPoint => "datapoint",
            Self::Exemplar => "exemplar",
        }
    }

    /// The context above, whose fields are seen too.
    #[must_use]
    pub const fn parent(self) -> Option<Self> {
        match self {
            Self::Resource => None,
            Self::Scope => Some(Self::Resource),
            Self::Span | Self::Log | Self::Metric => Some(Self::Scope),
            Self::SpanEvent => Some(Self::Span),
            Self::DataPoint => Some(Self::Metric),
            Self::Exemplar => Some(Self::DataPoint),
        }
    }

    /// The fields that visiting everything of this context needs: the lists that lead to it.
    #[must_use]
    pub const fn wants(self) -> Want {
        match self {
            Self::SpanEvent => Want { resource: 0, scope: 0, item: 1 << 11 },
            Self::DataPoint | Self::Exemplar => {
                Want { resource: 0, scope: 0, item: 1 << 5 | 1 << 7 | 1 << 9 | 1 << 10 | 1 << 11 }
            }
            _ => Want { resource: 0, scope: 0, item: 0 },
        }
    }

    /// Whether this context's statements see the other's fields.
    #[must_use]
    pub fn sees(self, other: Self) -> bool {
        self == other || self.parent().is_some_and(|parent| parent.sees(other))
    }
}

/// The nodes that a statement reads and writes. Those below its context are empty.
#[derive(Debug)]
pub struct Frame<'x, 'a> {
    /// The `Resource`.
    pub resource: &'x mut Node<'a>,
    /// `schema_url` of the resource's message.
    pub resource_schema_url: &'x mut Cow<'a, str>,
    /// The `InstrumentationScope`.
    pub scope: &'x mut Node<'a>,
    /// `schema_url` of the scope's message.
    pub scope_schema_url: &'x mut Cow<'a, str>,
    /// The `Span`, `LogRecord` or `Metric`.
    pub item: &'x mut Node<'a>,
    /// The span's event or the metric's data point, taken out of its item, which has an empty message in its place.
    pub part: &'x mut Node<'a>,
    /// The exemplar, taken out of its data point.
    pub exemplar: &'x mut Node<'a>,
    /// The scratch map `cache`.
    pub cache: &'x mut Map<'a>,
    /// Metrics that a statement adds behind the last one of the scope. The Collector runs the statements on them too.
    pub added: &'x mut Vec<Node<'a>>,
    /// What statements have made of this payload so far, see [`Frame::spend`].
    pub spent: &'x mut Spent,
    /// What `Now()` returns: the batch's arrival, in nanoseconds since 1970.
    pub now_nanos: i64,
}

/// What the statements of one payload may make in all: values, and bytes of text beside them.
const SPENT_MAX: usize = 64 << 20;
/// The longest pattern that comes out of the data or is put together from it.
const COMPUTED_PATTERN_BYTES_MAX: usize = 256;
/// What compiling one costs a payload: some hundreds, then no more.
const COMPUTED_PATTERN_WEIGHT: usize = 100_000;
/// So many of them are kept: mostly it is the same few for all items.
const COMPUTED_PATTERNS: usize = 4;

/// What the statements of one payload have made so far.
#[derive(Debug, Default)]
pub struct Spent {
    weight: usize,
    /// The last patterns that were computed, the latest first.
    patterns: Vec<(String, Arc<Regex>)>,
}

impl Spent {
    fn spend(&mut self, weight: usize) -> Result<(), DataError> {
        self.weight = self.weight.saturating_add(weight);
        if self.weight > SPENT_MAX { Err(DataError("too much for one payload")) } else { Ok(()) }
    }

    fn pattern(&mut self, text: &str) -> Result<Arc<Regex>, DataError> {
        let known = self.patterns.iter().position(|(known, _)| known == text);
        let entry = if let Some(place) = known {
            self.patterns.remove(place)
        } else {
            if text.len() > COMPUTED_PATTERN_BYTES_MAX {
                return Err(DataError("a computed pattern is too long"));
            }
            self.spend(COMPUTED_PATTERN_WEIGHT)?;
            let pattern = crate::regex::compile(text).map_err(|_| DataError("not a regular expression"))?;
            self.patterns.truncate(COMPUTED_PATTERNS - 1);
            (text.to_owned(), Arc::new(pattern))
        };
        let pattern = Arc::clone(&entry.1);
        self.patterns.insert(0, entry);
        Ok(pattern)
    }
}

impl Frame<'_, '_> {
    /// Counts what a statement is about to copy or make: what is bounded for one value is not for all items of a payload.
    ///
    /// # Errors
    /// It is too much.
    pub fn spend(&mut self, weight: usize) -> Result<(), DataError> {
        self.spent.spend(weight)
    }

    /// A pattern that was computed; compiled, if it is none of the last ones.
    ///
    /// # Errors
    /// It is none, it is too long, or there were too many.
    pub(crate) fn pattern(&mut self, text: &str) -> Result<Arc<Regex>, DataError> {
        self.spent.pattern(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn computed_patterns_cost_once_while_they_are_the_same_few() {
        let mut spent = Spent::default();
        for round in 0..10_000 {
            assert!(spent.pattern(&format!("a{}", round % COMPUTED_PATTERNS)).unwrap().is_match("xa0a1a2a3"));
        }
        assert_eq!(spent.weight, COMPUTED_PATTERNS * COMPUTED_PATTERN_WEIGHT);
        let others = (0..10_000).take_while(|at| spent.pattern(&format!("b{at}")).is_ok()).count();
        assert_eq!(others, SPENT_MAX / COMPUTED_PATTERN_WEIGHT - COMPUTED_PATTERNS);
        assert_eq!(spent.patterns.len(), COMPUTED_PATTERNS);
    }
}
