//! Who called whom in a trace, from the facts alone: a SERVER or CONSUMER span whose parent is a CLIENT or PRODUCER
//! span is one request along the edge between their services. Counted for kept and dropped traces alike.

use spanlake_model::SpanId;

use crate::red::{RedName, RedTable};
use crate::stage::STATUS_ERROR;
use crate::staged::SpanPart;

/// OTLP `SpanKind` values.
const SERVER: u8 = 2;
const CLIENT: u8 = 3;
const PRODUCER: u8 = 4;
const CONSUMER: u8 = 5;

/// Counts a trace's edges. `minute` and `window` say when the trace was decided.
pub(super) fn count_edges(spans: &[(&SpanPart, &str)], window: i64, minute: i64, edges: &mut RedTable) {
    let mut callers: Vec<(SpanId, &str)> = spans
        .iter()
        .filter(|(span, _)| matches!(span.kind, CLIENT | PRODUCER))
        .map(|(span, service)| (span.span_id, *service))
        .collect();
    callers.sort_unstable();
    for (span, callee) in spans.iter().filter(|(span, _)| matches!(span.kind, SERVER | CONSUMER) && !span.is_root) {
        let at = callers.partition_point(|(id, _)| *id < span.parent_id);
        let Some((_, caller)) = callers.get(at).filter(|(id, _)| *id == span.parent_id) else { continue };
        let name = RedName { window, minute, service: caller, environment: "", operation: callee, kind: span.kind, status: 0 };
        edges.cell(name).count(span.status == STATUS_ERROR, span.end_nanos.saturating_sub(span.start_nanos));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(id: u8, parent: u8, kind: u8, status: u8) -> SpanPart {
        let (span_id, parent_id) = (SpanId([id; 8]), SpanId([parent; 8]));
        SpanPart { kind, status, span_id, parent_id, is_root: parent == 0, start_nanos: 5, end_nanos: 9, ..SpanPart::default() }
    }

    #[test]
    fn only_a_call_from_span_to_span_is_an_edge() {
        let spans =
            [span(1, 0, SERVER, 0), span(2, 1, CLIENT, 0), span(3, 2, SERVER, 2), span(4, 3, 1, 0), span(5, 9, SERVER, 0)];
        let services = ["web", "web", "cart", "cart", "lost"];
        let all: Vec<_> = spans.iter().zip(services).collect();
        let mut edges = RedTable::new(10);
        count_edges(&all, 0, 0, &mut edges);
        let rows = edges.rows();
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].0.service.as_str(), rows[0].0.operation.as_str()), ("web", "cart"));
        assert_eq!((rows[0].1.requests, rows[0].1.errors, rows[0].1.duration_sum), (1, 1, 4));
    }
}
