//! What the processors of some seeds' rules do, in the oracle's words: they drop items by what they hold, and change names and
//! status.

use crate::traffic::{Sent, Span};

/// The processors of those rules.
pub(crate) const PROCESSORS: &str = r#"processors:
  filter:
    error_mode: ignore
    traces:
      span: ['kind == SPAN_KIND_CLIENT and name == "work"']
    logs:
      log_record: ['IsMatch(body, "[4-7] end$$")']
    metrics:
      metric: ['IsMatch(name, "[4-7] end$$")']
  transform:
    error_mode: propagate
    trace_statements:
      - set(span.status.code, STATUS_CODE_UNSET) where span.name == "GET /cart"
      - set(span.name, "GET /basket") where span.name == "GET /cart"
"#;

/// Their pipelines beside that of traces.
pub(crate) const PIPELINES: &str = "    logs: {processors: [filter]}\n    metrics: {processors: [filter]}\n";

/// What becomes of a span.
fn span(span: &Span) -> Option<Span> {
    match (span.name, span.kind) {
        ("work", 3) => None,
        ("GET /cart", _) => Some(Span { name: "GET /basket", is_error: false, ..span.clone() }),
        _ => Some(span.clone()),
    }
}

/// Whether a log, or a point, is left.
fn is_left(text: &str) -> bool {
    !["4 end", "5 end", "6 end", "7 end"].iter().any(|end| text.ends_with(end))
}

/// What was sent, as a reader may see it.
pub(crate) fn all(sent: &[Sent]) -> Vec<Sent> {
    let left = |sent: &Sent| Sent {
        spans: sent.spans.iter().filter_map(span).collect(),
        texts: sent.texts.iter().filter(|text| is_left(text)).cloned().collect(),
        ..sent.clone()
    };
    sent.iter().map(left).collect()
}
