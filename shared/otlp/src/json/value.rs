//! Scalars of OTLP/JSON, written as the protobuf fields that they stand for. `None` where a value does not fit.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::schema::{Field, Kind};
use crate::wire::{put_fixed32, put_fixed64, put_len, put_len_head, put_varint_field};

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent).with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// The field with its type's default.
pub(super) fn put_default(field: &Field, out: &mut Vec<u8>) {
    match field.kind.wire_type() {
        0 => put_varint_field(out, field.number, 0),
        1 => put_fixed64(out, field.number, 0),
        2 => put_len(out, field.number, &[]),
        _ => put_fixed32(out, field.number, 0),
    }
}

pub(super) fn put_bool(field: &Field, flag: bool, out: &mut Vec<u8>) -> Option<()> {
    let Kind::Bool = field.kind else { return None };
    put_varint_field(out, field.number, u64::from(flag));
    Some(())
}

/// A whole number, if it is in the range of the field.
#[expect(clippy::cast_sign_loss, reason = "protobuf writes negative integers in two's complement")]
#[expect(clippy::cast_precision_loss, reason = "a double written as an integer is read as the nearest double")]
pub(super) fn put_integer(field: &Field, number: i128, out: &mut Vec<u8>) -> Option<()> {
    let n = field.number;
    match field.kind {
        Kind::Int32 | Kind::Enum(_) => put_varint_field(out, n, i64::from(i32::try_from(number).ok()?) as u64),
        Kind::Uint32 => put_varint_field(out, n, u64::from(u32::try_from(number).ok()?)),
        Kind::Sint32 => {
            let number = i32::try_from(number).ok()?;
            put_varint_field(out, n, u64::from(((number << 1) ^ (number >> 31)) as u32));
        }
        Kind::Int64 => put_varint_field(out, n, i64::try_from(number).ok()? as u64),
        Kind::Uint64 => put_varint_field(out, n, u64::try_from(number).ok()?),
        Kind::Fixed32 => put_fixed32(out, n, u32::try_from(number).ok()?),
        Kind::Fixed64 => put_fixed64(out, n, u64::try_from(number).ok()?),
        Kind::Sfixed64 => put_fixed64(out, n, i64::try_from(number).ok()? as u64),
        Kind::Double => put_fixed64(out, n, (number as f64).to_bits()),
        Kind::Bool | Kind::String | Kind::Bytes | Kind::Id | Kind::Message(_) => return None,
    }
    Some(())
}

/// A number with a fraction or exponent: a double, or an integer if nothing is lost.
#[expect(clippy::cast_possible_truncation, reason = "without a fraction; what is out of range saturates and is refused")]
#[expect(clippy::float_cmp, reason = "exactly: a fraction that is nearly zero is still a fraction")]
pub(super) fn put_float(field: &Field, number: f64, out: &mut Vec<u8>) -> Option<()> {
    if matches!(field.kind, Kind::Double) {
        put_fixed64(out, field.number, number.to_bits());
        return Some(());
    }
    if number.trunc() == number { put_integer(field, number as i128, out) } else { None }
}

pub(super) fn put_text(field: &Field, text: &str, out: &mut Vec<u8>) -> Option<()> {
    match field.kind {
        Kind::String => put_len(out, field.number, text.as_bytes()),
        Kind::Bytes => {
            let url_safe = text.contains(['-', '_']);
            let decoded = if url_safe { URL_SAFE.decode(text) } else { STANDARD.decode(text) };
            put_len(out, field.number, &decoded.ok()?);
        }
        Kind::Id => return put_hex(field.number, text, out),
        Kind::Double => put_fixed64(out, field.number, text.parse::<f64>().ok()?.to_bits()),
        Kind::Enum(names) => match names.iter().find(|(name, _)| *name == text) {
            Some((_, value)) => return put_integer(field, i128::from(*value), out),
            None => return put_integer(field, text.parse().ok()?, out),
        },
        Kind::Bool | Kind::Message(_) => return None,
        _ => match text.parse::<i128>() {
            Ok(number) => return put_integer(field, number, out),
            Err(_) => return put_float(field, text.parse().ok()?, out),
        },
    }
    Some(())
}

fn put_hex(number: u32, text: &str, out: &mut Vec<u8>) -> Option<()> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    put_len_head(out, number, pairs.len());
    for [high, low] in pairs {
        out.push(hex_digit(*high)? << 4 | hex_digit(*low)?);
    }
    Some(())
}

const fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}
