//! From bytes to a tree.

use std::borrow::Cow;

use super::value::{Map, Value};
use super::{Node, Slot};
use crate::payload::plain_pair;
use crate::schema::{ANY_VALUE, Field, KEY_VALUE, Kind, Message};
use crate::wire::{Reader, Value as Wire, WireError, split_varint};

/// As deep as prost decodes.
const DEPTH_MAX: u32 = 100;

/// `AnyValue.string_value_strindex`, which stands for no value here: there is no table of strings.
const STRINDEX: u32 = 8;

/// What a text is that is no UTF-8: nothing of it is shown.
const NO_TEXT: &str = "\u{fffd}";

/// For how many fields there is room at first, at most.
const FIELDS: usize = 12;

/// How long a field is at least, mostly: short messages may be many, and get no room that they don't need.
const FIELD_BYTES: usize = 8;

/// For how many attributes there is room at first, at most, and how long one mostly is.
const ATTRIBUTES: usize = 16;
const ATTRIBUTE_BYTES: usize = 48;

impl<'a> Node<'a> {
    /// Reads a message. Unknown fields, and values of another wire type than their field's, are left out.
    ///
    /// # Errors
    /// Bytes that are no message, or are nested deeper than prost decodes.
    pub fn decode(schema: &'static Message, bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut node = Self::new(schema);
        node.merge(bytes, 0)?;
        Ok(node)
    }

    /// Reads some fields of a message into this one: those whose bit is set in `want`. See [`super::Want`].
    pub(super) fn merge_some(&mut self, bytes: &'a [u8], want: u32) -> Result<(), WireError> {
        if want == u32::MAX {
            return self.merge(bytes, 0);
        }
        self.slots.reserve(FIELDS.min(bytes.len() / FIELD_BYTES));
        // Neighbours that nobody wants are one piece.
        let (mut fields, mut from) = (Reader::new(bytes), 0);
        while let Some(field) = fields.next()? {
            if field.number < 32 && want >> field.number & 1 == 1 {
                self.put_raw(bytes, from, fields.position() - field.raw.len());
                from = fields.position();
                if let Some(known) = self.schema().field(field.number) {
                    self.take(known, field.value, bytes.len() - from, 0)?;
                }
            }
        }
        self.put_raw(bytes, from, bytes.len());
        Ok(())
    }

    fn put_raw(&mut self, bytes: &'a [u8], from: usize, to: usize) {
        if let Some(raw @ [_, ..]) = bytes.get(from..to) {
            self.raw.push(raw);
        }
    }

    /// Reads a message into this one: of a field that is there already the later value counts, and lists grow.
    fn merge(&mut self, bytes: &'a [u8], depth: u32) -> Result<(), WireError> {
        if depth > DEPTH_MAX {
            return Err(WireError { offset: 0, what: "nested too deep" });
        }
        self.slots.reserve(FIELDS.min(self.schema().fields.len()).min(bytes.len() / FIELD_BYTES));
        let mut fields = Reader::new(bytes);
        while let Some(field) = fields.next()? {
            if let Some(known) = self.schema().field(field.number) {
                self.take(known, field.value, bytes.len() - fields.position(), depth)?;
            }
        }
        Ok(())
    }

    /// Takes a field, behind which so many bytes of the message are left.
    fn take(&mut self, field: &'static Field, wire: Wire<'a>, left: usize, depth: u32) -> Result<(), WireError> {
        let number = field.number;
        match (field.kind, wire) {
            (Kind::Message(inner), Wire::Len(bytes)) if std::ptr::eq(inner, &raw const KEY_VALUE) => {
                let pair = key_value(bytes, depth + 1)?;
                if let Some(Slot::Map(map)) = self.grown(number) {
                    map.0.push(pair);
                } else {
                    let mut pairs = Vec::with_capacity(1 + ATTRIBUTES.min(left / ATTRIBUTE_BYTES));
                    pairs.push(pair);
                    self.slots.push((number, Slot::Map(Map(pairs))));
                }
            }
            (Kind::Message(inner), Wire::Len(bytes)) if std::ptr::eq(inner, &raw const ANY_VALUE) => {
                self.put(number, Slot::Value(any_value(bytes, depth + 1)?));
            }
            (Kind::Message(inner), Wire::Len(bytes)) if field.repeated => {
                let mut node = Node::new(inner);
                node.merge(bytes, depth + 1)?;
                match self.grown(number) {
                    Some(Slot::Nodes(nodes)) => nodes.push(node),
                    _ => self.slots.push((number, Slot::Nodes(vec![node]))),
                }
            }
            (Kind::Message(_), Wire::Len(bytes)) => {
                if let Some(node) = self.node_mut(number) {
                    node.merge(bytes, depth + 1)?;
                }
            }
            (Kind::String, Wire::Len(bytes)) if field.repeated => match self.grown(number) {
                Some(Slot::Texts(texts)) => texts.push(text(bytes)),
                _ => self.slots.push((number, Slot::Texts(vec![text(bytes)]))),
            },
            (Kind::String, Wire::Len(bytes)) => self.put(number, Slot::Text(text(bytes))),
            (Kind::Bytes | Kind::Id, Wire::Len(bytes)) => self.put(number, Slot::Bytes(Cow::Borrowed(bytes))),
            (Kind::String | Kind::Bytes | Kind::Id | Kind::Message(_), _) => {}
            (kind, wire) if field.repeated => {
                let numbers = numbers(kind, wire)?;
                match self.grown(number) {
                    Some(Slot::Numbers(known)) => known.extend(numbers),
                    _ => self.slots.push((number, Slot::Numbers(numbers))),
                }
            }
            (kind, wire) => {
                if let Some(bits) = scalar(kind, wire) {
                    self.put(number, Slot::Number(bits));
                }
            }
        }
        Ok(())
    }
}

pub(super) fn text(bytes: &[u8]) -> Cow<'_, str> {
    Cow::Borrowed(simdutf8::basic::from_utf8(bytes).unwrap_or(NO_TEXT))
}

/// A number's bits; 32-bit whole numbers with a sign are widened by the writer already.
fn scalar(kind: Kind, wire: Wire<'_>) -> Option<u64> {
    match (kind.wire_type(), wire) {
        (0, Wire::Varint(bits)) | (1, Wire::Fixed64(bits)) => Some(bits),
        (5, Wire::Fixed32(bits)) => Some(u64::from(bits)),
        _ => None,
    }
}

/// A list's numbers: one, or packed.
fn numbers(kind: Kind, wire: Wire<'_>) -> Result<Vec<u64>, WireError> {
    let Wire::Len(bytes) = wire else { return Ok(scalar(kind, wire).into_iter().collect()) };
    let damaged = WireError { offset: 0, what: "a packed list of another length" };
    match kind.wire_type() {
        0 => {
            let (mut rest, mut all) = (bytes, Vec::with_capacity(bytes.len()));
            while !rest.is_empty() {
                let (bits, after) = split_varint(rest).ok_or(damaged)?;
                all.push(bits);
                rest = after;
            }
            Ok(all)
        }
        1 => match bytes.as_chunks::<8>() {
            (chunks, []) => Ok(chunks.iter().map(|chunk| u64::from_le_bytes(*chunk)).collect()),
            _ => Err(damaged),
        },
        _ => match bytes.as_chunks::<4>() {
            (chunks, []) => Ok(chunks.iter().map(|chunk| u64::from(u32::from_le_bytes(*chunk))).collect()),
            _ => Err(damaged),
        },
    }
}

fn key_value(bytes: &[u8], depth: u32) -> Result<(Cow<'_, str>, Value<'_>), WireError> {
    if let Some((key, value)) = plain_pair(bytes) {
        return Ok((text(key), Value::String(text(value))));
    }
    let (mut key, mut value) = (Cow::Borrowed(""), Value::Empty);
    let mut fields = Reader::new(bytes);
    while let Some(field) = fields.next()? {
        match (field.number, field.value) {
            (1, Wire::Len(bytes)) => key = text(bytes),
            (2, Wire::Len(bytes)) => value = any_value(bytes, depth + 1)?,
            _ => {}
        }
    }
    Ok((key, value))
}

/// An `AnyValue`: of several kinds the last counts.
fn any_value(bytes: &[u8], depth: u32) -> Result<Value<'_>, WireError> {
    if depth > DEPTH_MAX {
        return Err(WireError { offset: 0, what: "nested too deep" });
    }
    let mut value = Value::Empty;
    let mut fields = Reader::new(bytes);
    while let Some(field) = fields.next()? {
        value = match (field.number, field.value) {
            (1, Wire::Len(bytes)) => Value::String(text(bytes)),
            (2, Wire::Varint(bits)) => Value::Bool(bits != 0),
            (3, Wire::Varint(bits)) => Value::Int(bits.cast_signed()),
            (4, Wire::Fixed64(bits)) => Value::Double(f64::from_bits(bits)),
            (5, Wire::Len(bytes)) => {
                let mut items = if let Value::List(items) = value { items } else { Vec::new() };
                let mut fields = Reader::new(bytes);
                while let Some(field) = fields.next()? {
                    if let (1, Wire::Len(bytes)) = (field.number, field.value) {
                        items.push(any_value(bytes, depth + 2)?);
                    }
                }
                Value::List(items)
            }
            (6, Wire::Len(bytes)) => {
                let mut map = if let Value::Map(map) = value { map } else { Map::default() };
                let mut fields = Reader::new(bytes);
                while let Some(field) = fields.next()? {
                    if let (1, Wire::Len(bytes)) = (field.number, field.value) {
                        map.0.push(key_value(bytes, depth + 2)?);
                    }
                }
                Value::Map(map)
            }
            (7, Wire::Len(bytes)) => Value::Bytes(Cow::Borrowed(bytes)),
            (STRINDEX, _) => Value::Empty,
            _ => value,
        };
    }
    Ok(value)
}
