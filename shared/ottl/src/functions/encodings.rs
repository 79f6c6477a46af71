//! Base64 and character sets.

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use spanlake_otlp::tree::Value;

use super::bounds;
use crate::error::DataError;
use crate::expression::Expression;
use crate::function::{Args, Argument, Function, Kind, Param};
use crate::val::Val;

/// The converters of this file.
pub(super) const ALL: &[Function] = &[
    Function::converter("Base64Decode", &[Param::new("target", Kind::Str)], |args| {
        decoded_base64("base64", args.string(0)?.as_bytes()).map(Val::text)
    }),
    Function::converter("Base64Encode", &[Param::new("target", Kind::Str), Param::optional("variant", Kind::Str)], encode)
        .checked(check_encode),
    Function::converter("Decode", &[Param::new("target", Kind::Any), Param::new("encoding", Kind::Str)], decode)
        .checked(check_decode),
];

/// What Go's decoder takes: bits at the end that stand for nothing are no fault.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);
const RAW: GeneralPurposeConfig = LENIENT.with_encode_padding(false).with_decode_padding_mode(DecodePaddingMode::RequireNone);

/// The variant of base64 that a name stands for.
fn base64_engine(name: &str) -> Option<GeneralPurpose> {
    Some(match name {
        "base64" => GeneralPurpose::new(&STANDARD, LENIENT),
        "base64-raw" => GeneralPurpose::new(&STANDARD, RAW),
        "base64-url" => GeneralPurpose::new(&URL_SAFE, LENIENT),
        "base64-raw-url" => GeneralPurpose::new(&URL_SAFE, RAW),
        _ => return None,
    })
}

/// A character set.
#[derive(Clone, Copy)]
enum Charset {
    Utf8,
    Latin1,
    /// UTF-16, and whether the low byte comes first.
    Utf16(bool),
}

fn charset(name: &str) -> Option<Charset> {
    Some(match name.to_ascii_lowercase().as_str() {
        "utf-8" | "utf8" | "us-ascii" | "ascii" | "nop" => Charset::Utf8,
        "iso-8859-1" | "iso_8859-1" | "latin1" | "l1" => Charset::Latin1,
        "utf-16" | "utf16" | "utf-16be" => Charset::Utf16(false),
        "utf-16le" => Charset::Utf16(true),
        _ => return None,
    })
}

fn check_encode(arguments: &[Argument]) -> Result<(), String> {
    match arguments {
        [_, Argument::Value(Expression::Text(name), _)] if base64_engine(name).is_none() => {
            Err(format!("`{name}` is no variant of base64"))
        }
        _ => Ok(()),
    }
}

fn encode<'a>(args: &mut Args<'a>) -> Result<Val<'a>, DataError> {
    let engine = base64_engine(args.text(1).unwrap_or("base64")).ok_or(DataError("no variant of base64"))?;
    bounds::text(engine.encode(args.string(0)?)).map(Val::text)
}

fn check_decode(arguments: &[Argument]) -> Result<(), String> {
    match arguments {
        [_, Argument::Value(Expression::Text(name), _)] if base64_engine(name).is_none() && charset(name).is_none() => {
            Err(format!("the encoding `{name}` is not supported here: only base64, UTF-8, UTF-16, US-ASCII and ISO-8859-1 are"))
        }
        _ => Ok(()),
    }
}

fn decode<'a>(args: &mut Args<'a>) -> Result<Val<'a>, DataError> {
    let value = args.take(0);
    let bytes = match &value {
        Val::Value(Value::String(text)) => text.as_bytes(),
        Val::Value(Value::Bytes(bytes)) => bytes,
        _ => return Err(DataError("only texts and bytes can be decoded")),
    };
    let name = args.string(1)?;
    let text = match charset(name) {
        Some(charset) => in_charset(charset, bytes),
        None => decoded_base64(name, bytes)?,
    };
    bounds::text(text).map(Val::text)
}

fn decoded_base64(name: &str, bytes: &[u8]) -> Result<String, DataError> {
    let engine = base64_engine(name).ok_or(DataError("no such encoding"))?;
    // Go's decoder passes over ends of lines.
    let letters: Vec<u8> = bytes.trim_ascii().iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    engine.decode(letters).map(bounds::lossy).map_err(|_| DataError("not base64"))
}

fn in_charset(charset: Charset, bytes: &[u8]) -> String {
    match charset {
        Charset::Utf8 => String::from_utf8_lossy(bytes).into_owned(),
        Charset::Latin1 => bytes.iter().copied().map(char::from).collect(),
        Charset::Utf16(low_first) => {
            let unit = |pair: &[u8; 2]| if low_first { u16::from_le_bytes(*pair) } else { u16::from_be_bytes(*pair) };
            let (pairs, rest) = bytes.as_chunks::<2>();
            let mut text: String =
                char::decode_utf16(pairs.iter().map(unit)).map(|letter| letter.unwrap_or('\u{fffd}')).collect();
            if !rest.is_empty() {
                text.push('\u{fffd}');
            }
            text
        }
    }
}
