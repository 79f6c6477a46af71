//! What a request may hold, and the account of what was refused item by item.

use std::fmt::Write;

use spanlake_model::Signal;
use thiserror::Error;

/// Limits on a request's structure. Those on the request refuse it whole (HTTP 413); those on an item or on its context
/// refuse just that item (partial success).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Spans, log records or metrics in a request, refused ones included.
    pub items: u32,
    /// Resources and scopes in a request, together.
    pub contexts: u32,
    /// Bytes of one item.
    pub item_bytes: u32,
    /// Bytes of an item's resource and scope together, with their schema URLs.
    pub context_bytes: u32,
    /// Attributes of an item in all its lists (events, links, points, nested maps) together; of a resource; of a scope.
    pub attributes: u32,
    /// Sub-messages of any kind and packed numbers in an item, in a resource, in a scope.
    pub elements: u32,
    /// How deep values may nest: 1 is a plain value, each list or map adds one.
    pub depth: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            items: 65_536,
            contexts: 4_096,
            item_bytes: 512 * 1024,
            context_bytes: 256 * 1024,
            attributes: 16_384,
            elements: 65_536,
            depth: 32,
        }
    }
}

/// A request passes a limit; smaller requests would be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("more than {limit} {what} in a request")]
pub struct LimitPassed {
    /// What there is too much of.
    pub what: &'static str,
    /// How much is allowed.
    pub limit: u64,
}

/// Why an item is refused while its neighbours are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The trace id is not 16 bytes, or a span's is zero or missing.
    TraceId,
    /// The span id is not 8 bytes, or a span's is zero or missing.
    SpanId,
    /// A span's parent id is neither absent nor 8 bytes.
    ParentSpanId,
    /// A string in the item is not UTF-8.
    Text,
    /// The item is beyond [`Limits::item_bytes`].
    Bytes,
    /// The item is beyond [`Limits::attributes`].
    Attributes,
    /// The item is beyond [`Limits::elements`].
    Elements,
    /// A value is beyond [`Limits::depth`].
    Depth,
    /// Its resource or scope is one for which an item would be refused.
    Context,
    /// A JSON value does not fit its field: wrong type, out of range, not hexadecimal, not base64, a lone surrogate.
    Json,
}

impl Reason {
    const ALL: [Self; 10] = [
        Self::TraceId,
        Self::SpanId,
        Self::ParentSpanId,
        Self::Text,
        Self::Bytes,
        Self::Attributes,
        Self::Elements,
        Self::Depth,
        Self::Context,
        Self::Json,
    ];

    const fn text(self) -> &'static str {
        match self {
            Self::TraceId => "with an invalid trace_id",
            Self::SpanId => "with an invalid span_id",
            Self::ParentSpanId => "with an invalid parent_span_id",
            Self::Text => "with text that is not UTF-8",
            Self::Bytes => "with too many bytes",
            Self::Attributes => "with too many attributes",
            Self::Elements => "with too many elements",
            Self::Depth => "with values nested too deep",
            Self::Context => "with an invalid or oversized resource or scope",
            Self::Json => "with a JSON value that does not fit its field",
        }
    }
}

/// How many items of a request were refused one by one, in the ledger's units, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rejected {
    counts: [u64; Reason::ALL.len()],
}

impl Rejected {
    /// Counts `items` more for this reason.
    pub fn add(&mut self, reason: Reason, items: u64) {
        for (count, _) in self.counts.iter_mut().zip(Reason::ALL).filter(|(_, each)| *each == reason) {
            *count = count.saturating_add(items);
        }
    }

    /// Adds what another pass over the same request refused.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count = count.saturating_add(more);
        }
    }

    /// How many items were refused: spans, log records or data points.
    #[must_use]
    pub fn items(&self) -> u64 {
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// How many of them for this reason.
    #[must_use]
    pub fn of(&self, reason: Reason) -> u64 {
        Reason::ALL.into_iter().zip(self.counts).find(|(each, _)| *each == reason).map_or(0, |(_, count)| count)
    }

    /// The reasons in words, in a fixed order: `3 spans with an invalid trace_id; 1 span with text that is not UTF-8`.
    /// Empty if nothing was refused. Holds no data of the request.
    #[must_use]
    pub fn reasons(&self, signal: Signal) -> String {
        let mut text = String::new();
        for (reason, count) in Reason::ALL.into_iter().zip(self.counts).filter(|(_, count)| *count > 0) {
            let plural = signal.items();
            let items = if count == 1 { plural.strip_suffix('s').unwrap_or(plural) } else { plural };
            let separator = if text.is_empty() { "" } else { "; " };
            // Writing to a string cannot fail.
            let _infallible = write!(text, "{separator}{count} {items} {}", reason.text());
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_told_in_one_order_whatever_the_order_of_refusals() {
        let mut rejected = Rejected::default();
        assert_eq!(rejected.reasons(Signal::Traces), "");
        rejected.add(Reason::Text, 1);
        rejected.add(Reason::TraceId, 2);
        let mut more = Rejected::default();
        more.add(Reason::TraceId, 1);
        rejected.merge(&more);
        assert_eq!(rejected.items(), 4);
        assert_eq!(rejected.of(Reason::TraceId), 3);
        assert_eq!(rejected.reasons(Signal::Traces), "3 spans with an invalid trace_id; 1 span with text that is not UTF-8");
        assert_eq!(
            rejected.reasons(Signal::Logs),
            "3 log records with an invalid trace_id; 1 log record with text that is not UTF-8"
        );
    }

    #[test]
    fn every_reason_has_an_account_of_its_own() {
        for reason in Reason::ALL {
            let mut rejected = Rejected::default();
            rejected.add(reason, 7);
            assert_eq!(rejected.of(reason), 7);
            assert_eq!(rejected.items(), 7);
            assert!(rejected.reasons(Signal::Metrics).starts_with("7 data points with "));
        }
    }
}
