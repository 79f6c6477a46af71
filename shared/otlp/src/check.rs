//! The validating walk over one message: framing, wire types, UTF-8, nesting and counts, without building anything.
//!
//! Malformed framing is an error of the whole request, as in prost; everything else is a [`Reason`] against the item, and
//! the walk goes on, so that what prost refuses is refused wherever it stands.

use crate::limits::{Limits, Reason};
use crate::schema::{self, Field, Kind, Message};
use crate::wire::{self, Reader, Value, WireError};

/// The ids at the top of an item, as they stand there; of a repeated field the last one.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ids<'a> {
    pub(crate) trace: &'a [u8],
    pub(crate) span: &'a [u8],
    pub(crate) parent: &'a [u8],
}

/// The state of the walk over one message.
pub(crate) struct Checker<'l> {
    limits: &'l Limits,
    attributes: u32,
    elements: u32,
    problem: Option<Reason>,
}

impl<'l> Checker<'l> {
    pub(crate) const fn new(limits: &'l Limits) -> Self {
        Self { limits, attributes: 0, elements: 0, problem: None }
    }

    /// Walks a resource or scope that lies `base` bytes into the body; answers what is wrong with it.
    pub(crate) fn context(mut self, message: &Message, bytes: &[u8], base: usize) -> Result<Option<Reason>, WireError> {
        self.message(message, bytes, base, 0)?;
        Ok(self.verdict())
    }

    /// Walks a span, log record or metric that lies `base` bytes into the body; answers its ids and what is wrong with
    /// the rest of it.
    pub(crate) fn item<'a>(
        mut self,
        message: &Message,
        bytes: &'a [u8],
        base: usize,
    ) -> Result<(Ids<'a>, Option<Reason>), WireError> {
        let mut ids = Ids::default();
        let mut reader = Reader::with_base(bytes, base);
        while let Some(field) = reader.next()? {
            let Some(known) = message.field(field.number) else { continue };
            if let (Kind::Id, Value::Len(id)) = (known.kind, field.value) {
                match field.number {
                    1 | 9 => ids.trace = id,
                    2 | 10 => ids.span = id,
                    _ => ids.parent = id,
                }
                continue;
            }
            self.value(known, field.value, base + reader.position(), 0)?;
        }
        if bytes.len() > self.limits.item_bytes as usize {
            self.problem.get_or_insert(Reason::Bytes);
        }
        Ok((ids, self.verdict()))
    }

    fn verdict(self) -> Option<Reason> {
        let counts = [
            (self.attributes > self.limits.attributes, Reason::Attributes),
            (self.elements > self.limits.elements, Reason::Elements),
        ];
        self.problem.or_else(|| counts.into_iter().find(|(passed, _)| *passed).map(|(_, reason)| reason))
    }

    fn message(&mut self, message: &Message, bytes: &[u8], base: usize, depth: u32) -> Result<(), WireError> {
        let mut reader = Reader::with_base(bytes, base);
        while let Some(field) = reader.next()? {
            if let Some(known) = message.field(field.number) {
                self.value(known, field.value, base + reader.position(), depth)?;
            }
        }
        Ok(())
    }

    /// `end` is where the value ends in the body.
    #[inline]
    fn value(&mut self, known: &'static Field, value: Value<'_>, end: usize, depth: u32) -> Result<(), WireError> {
        match (known.kind, value) {
            (Kind::Message(message), Value::Len(bytes)) => self.sub_message(message, bytes, end - bytes.len(), depth),
            (Kind::String, Value::Len(bytes)) => {
                self.text(bytes);
                Ok(())
            }
            (kind, value) if kind.wire_type() == value.wire_type() => {
                self.elements = self.elements.saturating_add(u32::from(known.repeated));
                Ok(())
            }
            (kind, Value::Len(bytes)) if known.repeated => self.packed(kind, bytes, end - bytes.len()),
            _ => Err(WireError { offset: end, what: "wrong wire type of a known field, which ends" }),
        }
    }

    #[inline]
    fn sub_message(&mut self, message: &'static Message, bytes: &[u8], base: usize, depth: u32) -> Result<(), WireError> {
        self.elements = self.elements.saturating_add(1);
        if std::ptr::eq(message, &raw const schema::KEY_VALUE) {
            self.attributes = self.attributes.saturating_add(1);
            if depth < self.limits.depth && is_plain_key_value(bytes) {
                self.elements = self.elements.saturating_add(1);
                return Ok(());
            }
        }
        let value = std::ptr::eq(message, &raw const schema::ANY_VALUE);
        if value && depth >= self.limits.depth {
            self.problem.get_or_insert(Reason::Depth);
            return Ok(());
        }
        self.message(message, bytes, base, depth + u32::from(value))
    }

    #[inline]
    fn text(&mut self, bytes: &[u8]) {
        if simdutf8::basic::from_utf8(bytes).is_err() {
            self.problem.get_or_insert(Reason::Text);
        }
    }

    /// The numbers of a packed list, each of which counts as an element.
    fn packed(&mut self, kind: Kind, bytes: &[u8], base: usize) -> Result<(), WireError> {
        let width = match kind.wire_type() {
            0 => return self.packed_varints(bytes, base),
            1 => 8,
            5 => 4,
            _ => return Err(WireError { offset: base, what: "wrong wire type of a known field" }),
        };
        if !bytes.len().is_multiple_of(width) {
            return Err(WireError { offset: base, what: "truncated packed value" });
        }
        self.elements = self.elements.saturating_add(u32::try_from(bytes.len() / width).unwrap_or(u32::MAX));
        Ok(())
    }

    fn packed_varints(&mut self, bytes: &[u8], base: usize) -> Result<(), WireError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let Some((_, after)) = wire::split_varint(rest) else {
                return Err(WireError { offset: base + bytes.len() - rest.len(), what: "malformed packed varint" });
            };
            self.elements = self.elements.saturating_add(1);
            rest = after;
        }
        Ok(())
    }
}

/// Whether these bytes are a `KeyValue` as every SDK writes it: a short ASCII key, then a value that is a short ASCII
/// string or a plain scalar. Nothing more needs to be looked at in such a one, and nearly all are.
#[inline]
fn is_plain_key_value(bytes: &[u8]) -> bool {
    let [0x0a, key_length, rest @ ..] = bytes else { return false };
    let Some((key, [0x12, value_length, value @ ..])) = rest.split_at_checked(usize::from(*key_length)) else {
        return false;
    };
    // With lengths of one byte each, nothing here is longer than 127 bytes.
    if *key_length >= 0x80 || *value_length >= 0x80 || value.len() != usize::from(*value_length) {
        return false;
    }
    match value {
        // Tags and lengths are below 0x80, so one look covers key and text.
        [0x0a, length, text @ ..] => usize::from(*length) == text.len() && bytes.is_ascii(),
        [0x10, flag] => *flag < 0x80 && key.is_ascii(),
        [0x18, more @ .., last] => *last < 0x80 && more.len() < 9 && more.iter().all(|byte| *byte >= 0x80) && key.is_ascii(),
        [0x21, double @ ..] => double.len() == 8 && key.is_ascii(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::KeyValue;
    use prost::Message as _;

    use super::*;

    fn is_faultless(bytes: &[u8]) -> bool {
        let limits = Limits::default();
        let mut checker = Checker::new(&limits);
        checker.message(&schema::KEY_VALUE, bytes, 0, 0).is_ok() && checker.verdict().is_none()
    }

    #[test]
    fn an_attribute_is_called_plain_only_if_the_whole_walk_and_prost_find_no_fault() {
        let mut plain = 0;
        let long = [&b"\x0a\x7f"[..], &[b'k'; 127], b"\x12\x02\x10\x01"].concat();
        for value in [
            &b"\x0a\x01k\x12\x04\x0a\x02vw"[..],
            b"\x0a\x01k\x12\x02\x10\x01",
            b"\x0a\x01k\x12\x02\x18\x05",
            b"\x0a\x01k\x12\x0b\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x0a\x01k\x12\x0c\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x0a\x01k\x12\x09\x21\x01\x02\x03\x04\x05\x06\x07\x08",
            b"\x0a\x01k\x12\x0a\x21\x01\x02\x03\x04\x05\x06\x07\x08\x09",
            b"\x0a\x01k\x12\x00",
            &long,
        ] {
            for at in 0..value.len() {
                for byte in 0..=u8::MAX {
                    let mut damaged = value.to_vec();
                    damaged[at] = byte;
                    for length in [damaged.len(), damaged.len() - 1] {
                        let damaged = &damaged[..length];
                        if is_plain_key_value(damaged) {
                            plain += 1;
                            assert!(is_faultless(damaged) && KeyValue::decode(damaged).is_ok(), "{damaged:02x?}");
                        }
                    }
                }
            }
        }
        assert!(plain > 1000);
    }
}
