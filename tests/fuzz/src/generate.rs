//! Export requests along the product's own description of OTLP, mostly well-formed, with faults that reach deep: wrong
//! wire types, wrong lengths, repeated and unknown fields, groups, numbers at the ends of their ranges.

use spanlake_model::Signal;
use spanlake_otlp::schema::{self, Field, Kind, Message};
use spanlake_otlp::wire::{put_fixed32, put_fixed64, put_len, put_varint, put_varint_field};

use super::draw::Draw;

/// Deeper than any limit of the product.
const DEPTH_MAX: u32 = 130;

/// The bytes of an export request.
pub fn request(draw: &mut Draw<'_>, signal: Signal) -> Vec<u8> {
    let mut out = Vec::new();
    message(draw, schema::request(signal), 0, &mut out);
    out
}

/// The bytes of a message.
pub fn message(draw: &mut Draw<'_>, of: &'static Message, depth: u32, out: &mut Vec<u8>) {
    let is = |known: *const Message| std::ptr::eq(of, known);
    if is(&raw const schema::SPAN) && !draw.one_in(8) {
        let ids = draw.byte();
        put_len(out, 1, &[ids & 3 | 1; 16]);
        put_len(out, 2, &[ids | 1; 8]);
    }
    let fields = 1 + draw.below(8);
    for _ in 0..fields {
        if draw.is_empty() {
            return;
        }
        match draw.byte() {
            choice @ 0..=229 => {
                let field = &of.fields[usize::from(choice) % of.fields.len()];
                value(draw, field, depth, out);
            }
            230..=237 => {
                let number = of.fields[draw.below(of.fields.len())].number;
                any_wire_type(draw, number, out);
            }
            238..=243 => {
                let number = 17 + u32::from(draw.byte());
                any_wire_type(draw, number, out);
            }
            244..=249 => out.extend_from_slice(draw.bytes(12)),
            250..=252 => nested_groups(draw, out),
            _ => deep_value(draw, out),
        }
    }
}

fn value(draw: &mut Draw<'_>, field: &'static Field, depth: u32, out: &mut Vec<u8>) {
    let number = field.number;
    match field.kind {
        Kind::Bool | Kind::Int32 | Kind::Uint32 | Kind::Sint32 | Kind::Int64 | Kind::Uint64 | Kind::Enum(_) => {
            if field.repeated && draw.below(2) == 0 {
                let mut packed = Vec::new();
                (0..draw.below(5)).for_each(|_| put_varint(&mut packed, draw.number()));
                put_len(out, number, &packed);
            } else {
                put_varint_field(out, number, draw.number());
            }
        }
        Kind::Fixed32 => put_fixed32(out, number, draw.number() as u32),
        Kind::Fixed64 | Kind::Sfixed64 | Kind::Double => {
            if field.repeated && draw.below(2) == 0 {
                let packed: Vec<u8> = (0..draw.below(5)).flat_map(|_| draw.number().to_le_bytes()).collect();
                put_len(out, number, &packed);
            } else {
                put_fixed64(out, number, draw.number());
            }
        }
        Kind::String | Kind::Bytes => put_len(out, number, draw.text()),
        Kind::Id => match draw.below(8) {
            0 => put_len(out, number, draw.bytes(20)),
            1 => put_len(out, number, &[0; 16]),
            choice => put_len(out, number, &[choice as u8; 16][..if number % 8 == 1 { 16 } else { 8 }]),
        },
        Kind::Message(inner) => {
            let mut bytes = Vec::new();
            if depth < DEPTH_MAX {
                message(draw, inner, depth + 1, &mut bytes);
            }
            if draw.one_in(64) {
                put_varint_field(out, number, draw.number());
                out.extend_from_slice(&bytes);
            } else {
                put_len(out, number, &bytes);
            }
        }
    }
}

/// A field of any wire type.
fn any_wire_type(draw: &mut Draw<'_>, number: u32, out: &mut Vec<u8>) {
    match draw.below(6) {
        0 => put_varint_field(out, number, draw.number()),
        1 => put_fixed64(out, number, draw.number()),
        2 => put_len(out, number, draw.bytes(9)),
        3 => put_fixed32(out, number, draw.number() as u32),
        4 => {
            put_varint(out, u64::from(number) << 3 | 3);
            put_varint(out, u64::from(number) << 3 | 4);
        }
        _ => put_varint(out, draw.number()),
    }
}

fn nested_groups(draw: &mut Draw<'_>, out: &mut Vec<u8>) {
    let depth = draw.below(105);
    (0..depth).for_each(|_| out.extend_from_slice(&[0xa3, 1]));
    out.extend_from_slice(draw.bytes(3));
    (0..depth).for_each(|_| out.extend_from_slice(&[0xa4, 1]));
}

/// Values in values, up to and beyond what is allowed. Only a list and an attribute give it a place.
fn deep_value(draw: &mut Draw<'_>, out: &mut Vec<u8>) {
    let (as_map, depth) = (draw.below(2) == 0, draw.below(60));
    let mut value = Vec::new();
    put_len(&mut value, 1, draw.text());
    for _ in 0..depth {
        let mut list = Vec::new();
        if as_map {
            let mut pair = Vec::new();
            put_len(&mut pair, 1, b"k");
            put_len(&mut pair, 2, &value);
            put_len(&mut list, 1, &pair);
        } else {
            put_len(&mut list, 1, &value);
        }
        value.clear();
        put_len(&mut value, if as_map { 6 } else { 5 }, &list);
    }
    let mut pair = Vec::new();
    put_len(&mut pair, 1, draw.text());
    put_len(&mut pair, 2, &value);
    // The number of the attributes of most messages that have any.
    put_len(out, draw.pick(&[1, 9, 3, 6, 7]), &pair);
}
