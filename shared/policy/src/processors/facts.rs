//! What `tail_sampling` needs to know of a span, taken from its tree.

use spanlake_otlp::tree::{Map, Node, Payload, Slot, Value};
use spanlake_ottl::{Context, DataError, Frame, Spent};

use super::visit::{Fate, visit};
use crate::rules::{OttlLeaf, Rules, Scalar};
use crate::sampling::{SpanFacts, TraceState, has_value};

/// `Span.events`.
const EVENTS: u32 = 11;

/// Notes the facts of each span of a payload at its place of origin. A span's size is not among them: that is the size of what
/// is stored.
pub(super) fn take<'a>(rules: &'a Rules, payload: &mut Payload<'a>, now_nanos: i64, facts: &mut [Option<SpanFacts>]) {
    let mut origins = Vec::new();
    for group in &payload.groups {
        let inherited = attribute_bits(rules, group.resource.map(1), true);
        for item in group.scopes.iter().flat_map(|scope| &scope.items) {
            let mut found = span_facts(rules, &item.node);
            found.bits |= inherited;
            if let Some(facts) = facts.get_mut(item.origin as usize) {
                *facts = Some(found);
            }
            origins.push(item.origin as usize);
        }
    }
    if rules.leaves.ottl.is_empty() {
        return;
    }
    let (mut origins, mut spent) = (origins.into_iter(), Spent::default());
    // What fails is a fact: looking itself never does.
    let _infallible = visit(payload, Context::Span, (now_nanos, &mut spent), None, |frame| {
        let bits = rules.leaves.ottl.iter().fold(0, |bits, leaf| bits | leaf.bits(frame));
        if let Some(Some(facts)) = origins.next().and_then(|origin| facts.get_mut(origin)) {
            facts.bits |= bits;
        }
        Ok(Fate::Keep)
    });
}

impl OttlLeaf {
    /// The bits that a span sets: the first condition, or event, that is met or fails decides.
    fn bits<'a>(&'a self, frame: &mut Frame<'_, 'a>) -> u64 {
        let on_span = self.any(&self.span, frame);
        if on_span != 0 || self.spanevent.is_empty() {
            return on_span;
        }
        let Some(Slot::Nodes(mut events)) = frame.item.remove(EVENTS) else { return 0 };
        let mut bits = 0;
        for event in &mut events {
            std::mem::swap(frame.part, event);
            bits = self.any(&self.spanevent, frame);
            std::mem::swap(frame.part, event);
            if bits != 0 {
                break;
            }
        }
        frame.item.set(EVENTS, Slot::Nodes(events));
        bits
    }

    fn any<'a>(&'a self, conditions: &'a [spanlake_ottl::Condition], frame: &mut Frame<'_, 'a>) -> u64 {
        for condition in conditions {
            match condition.holds(frame) {
                Ok(true) => return self.met,
                Err(DataError(_)) if self.failed != 0 => return self.failed,
                Ok(false) | Err(_) => {}
            }
        }
        0
    }
}

/// The facts of a span alone.
fn span_facts(rules: &Rules, span: &Node<'_>) -> SpanFacts {
    let status = span.node(15).map_or(0, |status| status.number(3));
    let code = 1_u8.checked_shl(u32::try_from(status).unwrap_or(u32::MAX)).unwrap_or(0);
    let met = rules.leaves.status.iter().filter(|(_, codes)| codes & code != 0);
    let mut bits = met.fold(0, |bits, (mask, _)| bits | mask);
    bits |= attribute_bits(rules, span.map(9), false);
    if span.number(16) & 1 == 1 {
        bits |= rules.leaves.flags;
    }
    let state = span.text(3);
    bits = rules.leaves.states.iter().filter(|leaf| has_value(state, leaf)).fold(bits, |bits, leaf| bits | leaf.mask);
    let stated = TraceState::parse(state).filter(|_| state.contains("ot="));
    SpanFacts {
        bits,
        start_nanos: span.number(7),
        end_nanos: span.number(8),
        is_error: status == 2,
        is_root: span.bytes(4).iter().all(|byte| *byte == 0),
        kind: u8::try_from(span.number(6)).unwrap_or(0),
        randomness: stated.as_ref().and_then(|state| state.randomness),
        threshold: stated.as_ref().and_then(|state| state.threshold),
        ..SpanFacts::default()
    }
}

fn attribute_bits(rules: &Rules, attributes: Option<&Map<'_>>, on_resource: bool) -> u64 {
    let mut bits = 0;
    for (key, value) in attributes.iter().flat_map(|map| map.iter()) {
        let value = match value {
            Value::String(text) => Scalar::Text(text),
            Value::Int(number) => Scalar::Int(*number),
            Value::Double(number) => Scalar::Double(*number),
            Value::Bool(truth) => Scalar::Bool(*truth),
            _ => continue,
        };
        let leaves = rules.leaves.attributes.iter().filter(|leaf| leaf.key == key && leaf.mask & !bits != 0);
        bits |= leaves.filter(|leaf| leaf.matches(value, on_resource)).fold(0, |bits, leaf| bits | leaf.mask);
    }
    bits
}
