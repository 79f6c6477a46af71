//! Sealing kept spans: each with its own weight and tracestate, since head sampling has a part in both.

use spanlake_otlp::wire::{Reader, Value, put_len};
use spanlake_policy::{Rules, span_weight};

use super::{CloseError, Closer, Member};
use crate::decided::Reason;
use crate::ports::ObjectStore;
use crate::sealed::GroupHead;

/// `Span.trace_state`.
const TRACE_STATE: u32 = 3;

/// How likely it was that a trace is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Chances {
    /// 1 over the probability.
    pub(super) weight: f64,
    /// Of the trace's randomness, if one tells the probability, but for luck with a limit.
    pub(super) threshold: Option<u64>,
}

impl Chances {
    pub(super) fn of(reason: &Reason) -> Self {
        Self { weight: reason.weight, threshold: reason.threshold }
    }
}

impl<S: ObjectStore> Closer<'_, S> {
    /// Seals kept spans: those of one weight are one group, in their order.
    pub(super) fn seal_spans(&mut self, head: &GroupHead<'_>, chances: Chances, members: Vec<Member>) -> Result<(), CloseError> {
        let mut groups: Vec<(f64, Vec<Member>)> = Vec::with_capacity(1);
        for member in members {
            let incoming = member.row().and_then(|row| row.span.threshold);
            let weight = span_weight(chances.weight, chances.threshold, incoming);
            match groups.iter_mut().find(|(known, _)| known.to_bits() == weight.to_bits()) {
                Some((_, group)) => group.push(member),
                None => groups.push((weight, vec![member])),
            }
        }
        for (weight, group) in groups {
            self.seal(&GroupHead { weight, ..*head }, &group, Some(chances))?;
        }
        Ok(())
    }
}

/// A span with the tracestate that it goes on with; `None` where it stays.
pub(super) fn restated(rules: &Rules, chances: Chances, span: &[u8]) -> Option<Vec<u8>> {
    let mut incoming = "";
    let mut fields = Reader::new(span);
    while let Ok(Some(field)) = fields.next() {
        if let (TRACE_STATE, Value::Len(text)) = (field.number, field.value) {
            incoming = std::str::from_utf8(text).ok()?;
        }
    }
    let outgoing = rules.outgoing_tracestate(chances.weight, chances.threshold, incoming)?;
    let mut out = Vec::with_capacity(span.len() + outgoing.len() + 4);
    let mut fields = Reader::new(span);
    while let Ok(Some(field)) = fields.next() {
        if field.number != TRACE_STATE {
            out.extend_from_slice(field.raw);
        }
    }
    put_len(&mut out, TRACE_STATE, outgoing.as_bytes());
    Some(out)
}
