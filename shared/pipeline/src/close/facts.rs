//! What the rules are told of a trace, out of its staged rows.

use spanlake_policy::{Pairs, Rules, SpanFacts, TraceFacts, TraceSize};

use super::versions::Version;
use super::{Closer, Member};
use crate::ports::ObjectStore;
use crate::stage::STATUS_ERROR;
use crate::staged::Row;

/// The facts of a span.
pub(crate) fn facts_of(row: &Row, bits: u64) -> SpanFacts {
    SpanFacts {
        bits,
        start_nanos: row.span.start_nanos,
        end_nanos: row.span.end_nanos,
        is_error: row.span.status == STATUS_ERROR,
        is_root: row.span.is_root,
        kind: row.span.kind,
        bytes: row.body.1,
        size_bytes: row.span.size_bytes,
        randomness: row.span.randomness,
        threshold: row.span.threshold,
    }
}

/// What one record brought of a trace.
#[derive(Default)]
pub(crate) struct Brought<'c> {
    facts: TraceFacts,
    /// By resource, then by scope: the length of the scope's message, and of its spans.
    groups: Vec<(&'c [u8], Scopes<'c>)>,
}

/// Scopes, each with the length of its spans.
type Scopes<'c> = Vec<(&'c [u8], u64)>;

impl<'c> Brought<'c> {
    /// Takes a span in, whose spans before it came earlier. The messages of its resource and scope, where sizes are needed.
    pub(crate) fn span(&mut self, span: &SpanFacts, pairs: Pairs, context: Option<(&'c [u8], &'c [u8])>) {
        self.facts.then(&TraceFacts::of(span), pairs);
        if let Some(context) = context {
            self.measure(context, TraceSize::span_bytes(span));
        }
    }

    /// Counts a span in the group of its resource and scope.
    fn measure(&mut self, (resource, scope): (&'c [u8], &'c [u8]), bytes: u64) {
        if !self.groups.iter().any(|(known, _)| *known == resource) {
            self.groups.push((resource, Vec::new()));
        }
        let Some((_, scopes)) = self.groups.iter_mut().find(|(known, _)| *known == resource) else { return };
        match scopes.iter_mut().find(|(known, _)| *known == scope) {
            Some((_, sum)) => *sum = sum.saturating_add(bytes),
            None => scopes.push((scope, bytes)),
        }
    }

    pub(crate) fn facts(&self) -> TraceFacts {
        let mut size = TraceSize::default();
        for (resource, scopes) in &self.groups {
            let scopes: Vec<(u64, u64)> = scopes.iter().map(|(scope, sum)| (scope.len() as u64, *sum)).collect();
            size.add(resource.len() as u64, &scopes);
        }
        TraceFacts { size, ..self.facts }
    }
}

impl<S: ObjectStore> Closer<'_, S> {
    /// The facts of a trace's spans under the rules that decide it, in the order of the stream: as one, or one for each
    /// record where the rules evaluate those.
    pub(super) fn facts(&self, members: &[Member], version: Version, rules: &Rules) -> Vec<TraceFacts> {
        let (pairs, needs_size) = (rules.pairs(), rules.needs_size());
        let mut records: Vec<TraceFacts> = Vec::new();
        let mut brought = Brought::default();
        let mut record = None;
        for member in members {
            let Some(row) = member.row() else { continue };
            let from = Some((member.reader, row.record));
            if from != record && (needs_size || rules.evaluates_records()) {
                if record.is_some() {
                    records.push(std::mem::take(&mut brought).facts());
                }
                record = from;
            }
            let span = facts_of(row, self.bits_under(member, row, version));
            let context = self.readers.get(member.reader).and_then(|reader| reader.contexts.get(row.context as usize));
            let context = context.filter(|_| needs_size).map(|context| (context.resource.as_slice(), context.scope.as_slice()));
            brought.span(&span, pairs, context);
        }
        records.push(brought.facts());
        as_asked(records, rules)
    }
}

/// What each record brought, in the form in which the rules ask for it: as one, or record by record.
pub(crate) fn as_asked(records: Vec<TraceFacts>, rules: &Rules) -> Vec<TraceFacts> {
    if rules.evaluates_records() {
        return records;
    }
    let mut whole = TraceFacts::default();
    for record in &records {
        whole.then(record, rules.pairs());
    }
    vec![whole]
}
