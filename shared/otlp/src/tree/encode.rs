//! From a tree to bytes.

use super::value::{Map, Value};
use super::{Node, Slot};
use crate::schema::Kind;
use crate::wire::{len_field_len, put_fixed32, put_fixed64, put_len, put_len_head, put_nested, put_varint, put_varint_field};

impl Node<'_> {
    /// Appends the message's bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        for (number, slot) in self.slots() {
            let Some(field) = self.schema().field(number) else { continue };
            match slot {
                Slot::Text(text) => put_len(out, number, text.as_bytes()),
                Slot::Bytes(bytes) => put_len(out, number, bytes),
                Slot::Texts(texts) => texts.iter().for_each(|text| put_len(out, number, text.as_bytes())),
                Slot::Number(bits) => put_number(field.kind, number, *bits, out),
                Slot::Numbers(numbers) => put_packed(field.kind, number, numbers, out),
                Slot::Node(node) => nested(number, out, |out| node.encode(out)),
                Slot::Nodes(nodes) => nodes.iter().for_each(|node| nested(number, out, |out| node.encode(out))),
                Slot::Map(map) => map.encode(number, out),
                Slot::Value(value) => nested(number, out, |out| value.encode(out)),
            }
        }
        self.raw.iter().for_each(|raw| out.extend_from_slice(raw));
    }
}

impl Map<'_> {
    /// Appends the attributes as fields of this number.
    fn encode(&self, number: u32, out: &mut Vec<u8>) {
        for (key, value) in self.iter() {
            if let Some(text) = value.as_str() {
                put_text_pair(number, key, text, out);
                continue;
            }
            nested(number, out, |out| {
                put_len(out, 1, key.as_bytes());
                nested(2, out, |out| value.encode(out));
            });
        }
    }
}

impl Value<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Empty => {}
            Self::String(text) => put_len(out, 1, text.as_bytes()),
            Self::Bool(value) => put_varint_field(out, 2, u64::from(*value)),
            Self::Int(value) => put_varint_field(out, 3, value.cast_unsigned()),
            Self::Double(value) => put_fixed64(out, 4, value.to_bits()),
            Self::List(items) => nested(5, out, |out| items.iter().for_each(|item| nested(1, out, |out| item.encode(out)))),
            Self::Map(map) => nested(6, out, |out| map.encode(1, out)),
            Self::Bytes(bytes) => put_len(out, 7, bytes),
        }
    }
}

fn put_number(kind: Kind, number: u32, bits: u64, out: &mut Vec<u8>) {
    match kind.wire_type() {
        0 => put_varint_field(out, number, bits),
        1 => put_fixed64(out, number, bits),
        _ => put_fixed32(out, number, u32::try_from(bits).unwrap_or(u32::MAX)),
    }
}

fn put_packed(kind: Kind, number: u32, numbers: &[u64], out: &mut Vec<u8>) {
    nested(number, out, |out| {
        for bits in numbers {
            match kind.wire_type() {
                0 => put_varint(out, *bits),
                1 => out.extend_from_slice(&bits.to_le_bytes()),
                _ => out.extend_from_slice(&u32::try_from(*bits).unwrap_or(u32::MAX).to_le_bytes()),
            }
        }
    });
}

/// Appends a nested message that is mostly short.
pub(super) fn nested(number: u32, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    put_nested(1, number, out, write);
}

/// An attribute that is a text, as most are: its lengths are known before it is written.
fn put_text_pair(number: u32, key: &str, text: &str, out: &mut Vec<u8>) {
    let value_bytes = len_field_len(1, text.len());
    put_len_head(out, number, len_field_len(1, key.len()) + len_field_len(2, value_bytes));
    put_len(out, 1, key.as_bytes());
    put_len_head(out, 2, value_bytes);
    put_len(out, 1, text.as_bytes());
}
