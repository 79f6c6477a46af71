//! Walking a message along its table, to every string position.

use std::sync::Arc;

use spanlake_model::{Signal, SpanId, TraceId};
use spanlake_otlp::schema::{
    ANY_VALUE, EVENT, EXEMPLAR, EXPONENTIAL_HISTOGRAM_DATA_POINT, Field, HISTOGRAM_DATA_POINT, KEY_VALUE, Kind, LINK, Message,
    NUMBER_DATA_POINT, STATUS, SUMMARY_DATA_POINT,
};
use spanlake_otlp::wire::{Reader, Value, WireError, put_varint_field};

use super::SpanHead;
use super::scratch::Scratch;
use super::values::Place;
use crate::rules::{Owner, Plan, Rules, Scalar};
use crate::sampling::{SpanFacts, TraceState, has_value};

/// As deep as prost decodes.
pub(super) const DEPTH_MAX: u32 = 100;

/// The number of `Span.trace_state`.
const TRACE_STATE: u32 = 3;

/// The number of `Span.name`.
const NAME: u32 = 5;

/// The message can't be walked: not well-formed, or nested too deep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

impl From<WireError> for Malformed {
    fn from(_: WireError) -> Self {
        Self
    }
}

/// One pass over a message, or over several with one set of facts.
pub(super) struct Walk<'a> {
    pub(super) rules: &'a Rules,
    pub(super) plan: &'a Arc<Plan>,
    pub(super) signal: Signal,
    pub(super) scratch: &'a mut Scratch,
    /// Bits of the conditions that have been met.
    pub(super) bits: u64,
    /// How many attributes of the present message were taken away or cut.
    pub(super) bounded: u64,
    /// The value at hand, if it is no text and a condition is on its key.
    pub(super) scalar: Option<Scalar<'static>>,
    facts: SpanFacts,
    head: SpanHead,
    status: u64,
    /// Whether the fields that the Collector always writes were there: the parent's id, the status.
    has_parent: bool,
    has_status: bool,
}

impl<'a> Walk<'a> {
    pub(super) fn new(rules: &'a Rules, signal: Signal, scratch: &'a mut Scratch) -> Self {
        scratch.bind(rules);
        let plan = rules.plan(signal);
        let facts = SpanFacts { is_root: true, ..SpanFacts::default() };
        Self {
            rules,
            plan,
            signal,
            scratch,
            bits: 0,
            bounded: 0,
            scalar: None,
            facts,
            head: SpanHead::default(),
            status: 0,
            has_parent: false,
            has_status: false,
        }
    }

    pub(super) fn bits(&self) -> u64 {
        self.bits
    }

    /// What the span that was walked is known by.
    pub(super) fn head(&self) -> SpanHead {
        SpanHead { status: u8::try_from(self.status).unwrap_or(u8::MAX), ..self.head }
    }

    /// The facts of the span that was walked, whose message was so long.
    pub(super) fn facts(&self, length: usize) -> SpanFacts {
        let code = 1_u8.checked_shl(u32::try_from(self.status).unwrap_or(u32::MAX)).unwrap_or(0);
        let status = self.rules.leaves.status.iter().filter(|(_, codes)| codes & code != 0);
        let bits = status.fold(self.bits, |bits, (mask, _)| bits | mask);
        let absent = 2 * (u32::from(!self.has_parent) + u32::from(!self.has_status));
        let bytes = u32::try_from(length).unwrap_or(u32::MAX);
        SpanFacts { bits, is_error: self.status == 2, bytes, size_bytes: bytes.saturating_add(absent), ..self.facts }
    }

    /// Appends the message with everything masked to `out`.
    pub(super) fn message(
        &mut self,
        schema: &'static Message,
        owner: Owner,
        message: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Malformed> {
        if !self.changed(schema, owner, message, out)? {
            out.extend_from_slice(message);
        }
        Ok(())
    }

    /// As [`Walk::message`], but appends nothing if nothing is masked; answers whether something is.
    pub(super) fn changed(
        &mut self,
        schema: &'static Message,
        owner: Owner,
        message: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<bool, Malformed> {
        self.scratch.edits.clear();
        self.walk(schema, owner, message, 0, 0)?;
        let is_changed = !self.scratch.edits.is_empty();
        if is_changed {
            self.scratch.edits.write(schema, message, out)?;
        }
        Ok(is_changed)
    }

    /// Appends a text that belongs to no message of its own (a schema URL) to `out`, masked.
    pub(super) fn plain_text(&mut self, text: &[u8], out: &mut Vec<u8>) {
        match self.text(text, &Place::plain()) {
            Some(masked) => out.extend_from_slice(masked.as_bytes()),
            None => out.extend_from_slice(text),
        }
    }

    /// Notes the edits of a message whose content begins at `base`.
    pub(super) fn walk(
        &mut self,
        schema: &'static Message,
        owner: Owner,
        message: &[u8],
        base: usize,
        depth: u32,
    ) -> Result<(), Malformed> {
        if depth > DEPTH_MAX {
            return Err(Malformed);
        }
        self.has_status |= owner == Owner::Status;
        let outer_bounded = std::mem::take(&mut self.bounded);
        let (mut attributes, mut dropped_count) = (0, 0);
        let mut fields = Reader::with_base(message, base);
        while let Some(field) = fields.next()? {
            let end = base + fields.position();
            let raw = end - field.raw.len();
            let Some(known) = schema
                .field(field.number)
                .filter(|known| fits(known.kind, known.repeated, field.value) && is_id(known, field.value))
            else {
                self.scratch.edits.remove(raw, end);
                continue;
            };
            match (known.kind, field.value) {
                (Kind::Message(inner), Value::Len(payload)) => {
                    let start = end - payload.len();
                    if std::ptr::eq(inner, &raw const KEY_VALUE) {
                        attributes += 1;
                        self.attribute(owner, payload, (raw, start, end), attributes, depth + 1)?;
                    } else if std::ptr::eq(inner, &raw const ANY_VALUE) {
                        self.body(payload, start, depth + 1)?;
                    } else {
                        self.walk(inner, owner_of(inner), payload, start, depth + 1)?;
                    }
                }
                (Kind::String, Value::Len(text)) => {
                    match (owner, known.number) {
                        (Owner::Span, TRACE_STATE) if !text.is_empty() => self.trace_state(text),
                        (Owner::Span, NAME) => self.head.name = (end - text.len(), end),
                        _ => {}
                    }
                    if let Some(masked) = self.text(text, &Place::plain()) {
                        self.scratch.edits.payload(end - text.len(), end, |out| out.extend_from_slice(masked.as_bytes()));
                    }
                }
                (_, value) => {
                    if Some(known.number) == dropped_count_field(owner) {
                        dropped_count = value.varint().unwrap_or(0);
                    }
                    self.scalar(owner, known.number, value);
                }
            }
        }
        let bounded = std::mem::replace(&mut self.bounded, outer_bounded);
        if let Some(number) = dropped_count_field(owner).filter(|_| bounded > 0) {
            let count = dropped_count.saturating_add(bounded).min(u64::from(u32::MAX));
            // The last one counts, as for every field that is not a list.
            self.scratch.edits.append(base, base + message.len(), |out| put_varint_field(out, number, count));
        }
        Ok(())
    }

    #[inline]
    fn scalar(&mut self, owner: Owner, number: u32, value: Value<'_>) {
        match (owner, number, value) {
            (Owner::Span, 1, Value::Len(trace)) => self.head.trace = TraceId::from_slice(trace).unwrap_or_default(),
            (Owner::Span, 2, Value::Len(span)) => self.head.span = SpanId::from_slice(span).unwrap_or_default(),
            (Owner::Span, 4, Value::Len(parent)) => {
                self.has_parent = true;
                self.head.parent = SpanId::from_slice(parent).unwrap_or_default();
                self.facts.is_root = parent.iter().all(|byte| *byte == 0);
            }
            (Owner::Span, 6, Value::Varint(kind)) => self.facts.kind = u8::try_from(kind).unwrap_or(0),
            (Owner::Span, 7, Value::Fixed64(start)) => self.facts.start_nanos = start,
            (Owner::Span, 8, Value::Fixed64(end)) => self.facts.end_nanos = end,
            (Owner::Span, 16, Value::Fixed32(flags)) if flags & 1 == 1 => self.bits |= self.rules.leaves.flags,
            (Owner::Status, 3, Value::Varint(code)) => self.status = code,
            _ => {}
        }
    }

    /// What a span's tracestate says, as it came: rules that mask it don't change how a trace was sampled.
    #[cold]
    fn trace_state(&mut self, text: &[u8]) {
        let Ok(text) = std::str::from_utf8(text) else { return };
        let leaves = self.rules.leaves.states.iter().filter(|leaf| has_value(text, leaf));
        self.bits = leaves.fold(self.bits, |bits, leaf| bits | leaf.mask);
        if let Some(state) = TraceState::parse(text).filter(|_| text.contains("ot=")) {
            (self.facts.randomness, self.facts.threshold) = (state.randomness, state.threshold);
        }
    }
}

/// Whether a value of this wire type can be of this kind; prost refuses what does not fit, except packed lists.
#[inline]
pub(super) fn fits(kind: Kind, repeated: bool, value: Value<'_>) -> bool {
    let wire_type = match value {
        Value::Varint(_) => 0,
        Value::Fixed64(_) => 1,
        Value::Len(_) => 2,
        Value::Fixed32(_) => 5,
        Value::Group => return false,
    };
    wire_type == kind.wire_type() || (repeated && wire_type == 2)
}

/// Whether a value may be an id, if it stands where one does: bytes of another length may be any text, and no table
/// could show them.
#[inline]
fn is_id(known: &Field, value: Value<'_>) -> bool {
    let (Kind::Id, Value::Len(id)) = (known.kind, value) else { return true };
    id.is_empty() || id.len() == if known.name == "trace_id" { TraceId::BYTES } else { SpanId::BYTES }
}

/// Whose texts a message's fields are.
fn owner_of(message: &'static Message) -> Owner {
    let is = |known: *const Message| std::ptr::eq(message, known);
    if is(&raw const STATUS) {
        Owner::Status
    } else if is(&raw const EVENT) {
        Owner::Event
    } else if is(&raw const LINK) {
        Owner::Link
    } else if is(&raw const NUMBER_DATA_POINT)
        || is(&raw const HISTOGRAM_DATA_POINT)
        || is(&raw const EXPONENTIAL_HISTOGRAM_DATA_POINT)
        || is(&raw const SUMMARY_DATA_POINT)
    {
        Owner::Point
    } else if is(&raw const EXEMPLAR) {
        Owner::Exemplar
    } else {
        Owner::Other
    }
}

/// The number of the message's `dropped_attributes_count`.
const fn dropped_count_field(owner: Owner) -> Option<u32> {
    match owner {
        Owner::Resource => Some(2),
        Owner::Scope | Owner::Event => Some(4),
        Owner::Link => Some(5),
        Owner::Log => Some(7),
        Owner::Span => Some(10),
        _ => None,
    }
}
