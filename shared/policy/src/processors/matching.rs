//! Which items a processor works on: the Collector's `include` and `exclude` blocks.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use regex::Regex;
use spanlake_model::Signal;
use spanlake_otlp::schema::SPAN_KINDS;
use spanlake_otlp::tree::{Map, Node, Value};

use super::patterns::Patterns;

/// What the reference reads where a resource has no `service.name`.
const NO_SERVICE: &str = "<nil-service-name>";

/// `Resource.attributes`.
const RESOURCE_ATTRIBUTES: u32 = 1;

/// An item and where it stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Item<'x, 'a> {
    pub(crate) resource: &'x Node<'a>,
    pub(crate) scope: &'x Node<'a>,
    /// The `Span`, `LogRecord` or `Metric`.
    pub(crate) node: &'x Node<'a>,
}

/// An `include` and an `exclude` block: what both leave is worked on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selection {
    pub(crate) include: Option<Properties>,
    pub(crate) exclude: Option<Properties>,
}

impl Selection {
    /// Whether an item is included and not excluded.
    #[inline]
    pub(crate) fn selects(&self, signal: Signal, item: Item<'_, '_>) -> bool {
        self.include.as_ref().is_none_or(|include| include.includes(signal, item))
            && !self.exclude.as_ref().is_some_and(|exclude| exclude.excludes(signal, item))
    }
}

/// A block's properties. All that are given must hold.
#[derive(Debug, Clone, Default)]
pub(crate) struct Properties {
    pub(crate) services: Option<Texts>,
    pub(crate) span_names: Option<Texts>,
    /// `SPAN_KIND_SERVER` and so on.
    pub(crate) span_kinds: Option<Texts>,
    pub(crate) log_bodies: Option<Texts>,
    pub(crate) log_severity_texts: Option<Texts>,
    pub(crate) log_severity: Option<SeverityMin>,
    pub(crate) metric_names: Option<Texts>,
    pub(crate) attributes: Vec<AttributeTest>,
    pub(crate) resources: Vec<AttributeTest>,
    pub(crate) libraries: Vec<Library>,
}

/// Texts of which one must be met.
#[derive(Debug, Clone)]
pub(crate) enum Texts {
    /// `match_type: strict`.
    Strict(BTreeSet<String>),
    /// `match_type: regexp`; unanchored.
    Regexp(Patterns),
}

impl Texts {
    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Strict(texts) => texts.contains(text),
            Self::Regexp(patterns) => patterns.match_any(text),
        }
    }
}

/// The lowest severity that is met, and whether an undefined one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SeverityMin {
    pub(crate) number: i64,
    pub(crate) match_undefined: bool,
}

/// An attribute that must be there.
#[derive(Debug, Clone)]
pub(crate) struct AttributeTest {
    pub(crate) key: String,
    pub(crate) wanted: Wanted,
}

/// What its value must be.
#[derive(Debug, Clone)]
pub(crate) enum Wanted {
    /// Anything.
    Any,
    /// This, of this type.
    Exactly(Value<'static>),
    /// A text, number or truth value whose text matches.
    Matching(Regex),
}

/// An instrumentation scope.
#[derive(Debug, Clone)]
pub(crate) struct Library {
    pub(crate) name: Texts,
    /// `None` takes any.
    pub(crate) version: Option<Texts>,
}

/// Whether a given list holds; `None` where it is not given.
fn holds(texts: Option<&Texts>, text: &str) -> bool {
    texts.is_none_or(|texts| texts.matches(text))
}

impl Properties {
    fn includes(&self, signal: Signal, item: Item<'_, '_>) -> bool {
        match signal {
            Signal::Traces => self.matches_span(item),
            Signal::Logs => self.matches_log(item),
            Signal::Metrics => {
                holds(self.metric_names.as_ref(), item.node.text(1))
                    && all_hold(&self.resources, item.resource.map(RESOURCE_ATTRIBUTES))
            }
        }
    }

    /// Of metrics it is enough that the name or the resource is met; of the rest everything must be.
    fn excludes(&self, signal: Signal, item: Item<'_, '_>) -> bool {
        if signal != Signal::Metrics {
            return self.includes(signal, item);
        }
        let by_name = self.metric_names.as_ref().is_some_and(|names| names.matches(item.node.text(1)));
        by_name || (!self.resources.is_empty() && all_hold(&self.resources, item.resource.map(RESOURCE_ATTRIBUTES)))
    }

    fn matches_span(&self, item: Item<'_, '_>) -> bool {
        let service = || {
            let name = item.resource.map(RESOURCE_ATTRIBUTES).and_then(|map| map.get("service.name"));
            name.map_or_else(|| NO_SERVICE.into(), Value::to_text)
        };
        self.services.as_ref().is_none_or(|services| services.matches(&service()))
            && holds(self.span_names.as_ref(), item.node.text(5))
            && holds(self.span_kinds.as_ref(), kind_name(item.node.number(6)))
            && self.matches_rest(item, item.node.map(9))
    }

    fn matches_log(&self, item: Item<'_, '_>) -> bool {
        self.log_bodies.as_ref().is_none_or(|bodies| bodies.matches(&item.node.value(5).to_text()))
            && holds(self.log_severity_texts.as_ref(), item.node.text(3))
            && self.log_severity.is_none_or(|severity| match item.node.number(2).cast_signed() {
                0 => severity.match_undefined,
                number => number >= severity.number,
            })
            && self.matches_rest(item, item.node.map(6))
    }

    fn matches_rest(&self, item: Item<'_, '_>, attributes: Option<&Map<'_>>) -> bool {
        self.libraries
            .iter()
            .all(|library| library.name.matches(item.scope.text(1)) && holds(library.version.as_ref(), item.scope.text(2)))
            && all_hold(&self.resources, item.resource.map(RESOURCE_ATTRIBUTES))
            && all_hold(&self.attributes, attributes)
    }
}

fn all_hold(tests: &[AttributeTest], map: Option<&Map<'_>>) -> bool {
    tests.iter().all(|test| {
        let Some(value) = map.and_then(|map| map.get(&test.key)) else { return false };
        match &test.wanted {
            Wanted::Any => true,
            Wanted::Exactly(wanted) => wanted.same(value),
            Wanted::Matching(pattern) => match value {
                Value::String(_) | Value::Bool(_) | Value::Int(_) => pattern.is_match(&value.to_text()),
                // Go's `'f'` form: no exponent, whatever the size.
                Value::Double(number) => pattern.is_match(&number.to_string()),
                Value::Empty | Value::Bytes(_) | Value::List(_) | Value::Map(_) => false,
            },
        }
    })
}

fn kind_name(number: u64) -> &'static str {
    usize::try_from(number).ok().and_then(|number| SPAN_KINDS.get(number)).copied().unwrap_or_default()
}
