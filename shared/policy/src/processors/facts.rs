//! What `tail_sampling` needs to know of a span, taken from its tree.

use spanlake_otlp::tree::{Map, Node};

use crate::rules::Rules;
use crate::sampling::SpanFacts;

/// The facts of a span of this resource. Its size is not among them: that is the size of what is stored.
pub(super) fn span_facts(rules: &Rules, resource: &Node<'_>, span: &Node<'_>) -> SpanFacts {
    let status = span.node(15).map_or(0, |status| status.number(3));
    let code = 1_u8.checked_shl(u32::try_from(status).unwrap_or(u32::MAX)).unwrap_or(0);
    let met = rules.status_leaves.iter().filter(|(_, codes)| codes & code != 0);
    let mut bits = met.fold(0, |bits, (mask, _)| bits | mask);
    bits |= attribute_bits(rules, resource.map(1), true) | attribute_bits(rules, span.map(9), false);
    SpanFacts {
        bits,
        start_nanos: span.number(7),
        end_nanos: span.number(8),
        is_error: status == 2,
        is_root: span.bytes(4).iter().all(|byte| *byte == 0),
        kind: u8::try_from(span.number(6)).unwrap_or(0),
        ..SpanFacts::default()
    }
}

fn attribute_bits(rules: &Rules, attributes: Option<&Map<'_>>, on_resource: bool) -> u64 {
    let mut bits = 0;
    for (key, value) in attributes.iter().flat_map(|map| map.iter()) {
        let Some(text) = value.as_str() else { continue };
        let leaves = rules.string_leaves.iter().filter(|leaf| leaf.key == key && leaf.mask & !bits != 0);
        bits |= leaves.filter(|leaf| leaf.matches(text, on_resource)).fold(0, |bits, leaf| bits | leaf.mask);
    }
    bits
}
