//! Spans as they arrive, with the facts that a grouper would stage.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use spanlake_model::{Signal, TraceId};
use spanlake_policy::{Context, Rules, Scratch, SpanFacts, TraceFacts, TraceSize};

use crate::harness::{fields, one, protobuf};

/// A span that has arrived.
pub(crate) struct Arrival {
    pub(crate) id: TraceId,
    pub(crate) at_ms: u64,
    /// The number of the record that brought it.
    pub(crate) record: usize,
    pub(crate) facts: SpanFacts,
    pub(crate) tracestate: String,
    /// With the first span of a trace under a resource in a record: the size of all of them.
    pub(crate) group: Option<TraceSize>,
}

/// The spans of a request, in its order.
pub(crate) fn arrivals(rules: &Rules, request: &Json, record: usize, at_ms: u64) -> Vec<Arrival> {
    let mut scratch = Scratch::new();
    let mut all: Vec<Arrival> = Vec::new();
    let request = protobuf(Signal::Traces, request);
    // Conditions of OTTL look at the whole request, and leave the sizes to who walks the spans.
    let mut known = rules.facts(&request, 0, &mut scratch).unwrap().into_iter();
    for (_, group) in fields(&request) {
        let group = fields(group);
        let resource = one(&group, 1);
        let mut sizes: BTreeMap<TraceId, Vec<(u64, u64)>> = BTreeMap::new();
        let begun = all.len();
        for (_, scope) in group.iter().filter(|(number, _)| *number == 2) {
            let scope = fields(scope);
            let context = Context { resource, scope: one(&scope, 1), ..Context::default() };
            let masked = rules.context(Signal::Traces, context, &mut scratch);
            let mut spans: BTreeMap<TraceId, u64> = BTreeMap::new();
            for (_, item) in scope.iter().filter(|(number, _)| *number == 2) {
                let known = known.next().unwrap().unwrap();
                // Ingest refuses a span without a trace id.
                let Some(id) = TraceId::from_slice(one(&fields(item), 1)).filter(|id| *id != TraceId::default()) else {
                    continue;
                };
                let outcome = rules.item(Signal::Traces, &masked, item, &mut Vec::new(), &mut scratch);
                assert_eq!(outcome.dropped, None);
                let tracestate = String::from_utf8(one(&fields(item), 3).to_vec()).unwrap();
                *spans.entry(id).or_default() += TraceSize::span_bytes(&outcome.facts);
                let facts = SpanFacts { bytes: outcome.facts.bytes, size_bytes: outcome.facts.size_bytes, ..known };
                all.push(Arrival { id, at_ms, record, facts, tracestate, group: None });
            }
            for (id, bytes) in spans {
                sizes.entry(id).or_default().push((one(&scope, 1).len() as u64, bytes));
            }
        }
        for (id, scopes) in sizes {
            let mut size = TraceSize::default();
            size.add(resource.len() as u64, &scopes);
            all[begun..].iter_mut().find(|span| span.id == id).unwrap().group = Some(size);
        }
    }
    all
}

/// The facts of a trace's spans as its rules want them: one after the other, by record or as one.
pub(crate) fn records(rules: &Rules, spans: &[(usize, Arrival)]) -> Vec<TraceFacts> {
    let mut records: Vec<(usize, TraceFacts)> = Vec::new();
    for (_, span) in spans {
        if records.last().is_none_or(|(record, _)| *record != span.record) {
            records.push((span.record, TraceFacts::default()));
        }
        let facts = &mut records.last_mut().unwrap().1;
        facts.then(&TraceFacts::of(&span.facts), rules.pairs());
        if let Some(size) = span.group {
            facts.size.merge(&size);
        }
    }
    let records: Vec<TraceFacts> = records.into_iter().map(|(_, facts)| facts).collect();
    if rules.evaluates_records() {
        return records;
    }
    let mut whole = TraceFacts::default();
    for facts in &records {
        whole.then(facts, rules.pairs());
    }
    vec![whole]
}
