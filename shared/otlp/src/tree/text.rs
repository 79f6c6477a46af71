//! A value as text, as the Collector's `AsString` writes it.

use std::borrow::Cow;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::value::{Map, Value};

/// A number as Go's JSON writes it: the shortest digits that read back, with an exponent below 1e-6 and from 1e21 on.
#[must_use]
pub fn float_text(number: f64) -> String {
    let size = number.abs();
    if size == 0.0 || (1e-6..1e21).contains(&size) {
        return number.to_string();
    }
    let text = format!("{number:e}");
    match text.split_once('e') {
        Some((digits, exponent)) if !exponent.starts_with('-') => format!("{digits}e+{exponent}"),
        _ => text,
    }
}

impl<'a> Value<'a> {
    /// The value as text: texts as they are, bytes in base64, lists and maps as JSON with sorted keys, nothing as "".
    #[must_use]
    pub fn to_text(&self) -> Cow<'_, str> {
        match self {
            Self::Empty => Cow::Borrowed(""),
            Self::String(text) => Cow::Borrowed(text),
            Self::Bool(value) => Cow::Borrowed(if *value { "true" } else { "false" }),
            Self::Int(value) => Cow::Owned(value.to_string()),
            Self::Double(value) => Cow::Owned(float_text(*value)),
            Self::Bytes(bytes) => Cow::Owned(STANDARD.encode(bytes)),
            Self::List(_) | Self::Map(_) => {
                let mut out = String::new();
                self.write_json(&mut out);
                Cow::Owned(out)
            }
        }
    }

    /// [`Value::to_text`] by value: a text keeps its bytes.
    #[must_use]
    pub fn into_text(self) -> Cow<'a, str> {
        match self {
            Self::String(text) => text,
            other => Cow::Owned(other.to_text().into_owned()),
        }
    }

    /// Appends the value as JSON, as Go's `encoding/json` writes it.
    pub fn write_json(&self, out: &mut String) {
        match self {
            Self::Empty => out.push_str("null"),
            Self::String(text) => quote(text, out),
            Self::List(items) => {
                out.push('[');
                for (place, item) in items.iter().enumerate() {
                    out.push_str(if place > 0 { "," } else { "" });
                    item.write_json(out);
                }
                out.push(']');
            }
            Self::Map(map) => map.write_json(out),
            Self::Bytes(bytes) => quote(&STANDARD.encode(bytes), out),
            other => out.push_str(&other.to_text()),
        }
    }
}

impl Map<'_> {
    /// Appends the map as JSON with sorted keys.
    pub fn write_json(&self, out: &mut String) {
        let mut entries: Vec<_> = self.iter().collect();
        entries.sort_by_key(|(key, _)| *key);
        out.push('{');
        for (place, (key, value)) in entries.into_iter().enumerate() {
            out.push_str(if place > 0 { "," } else { "" });
            quote(key, out);
            out.push(':');
            value.write_json(out);
        }
        out.push('}');
    }
}

/// A JSON string with Go's escapes: those that HTML needs are among them.
fn quote(text: &str, out: &mut String) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..'\u{20}' => {
                let _infallible = write!(out, "\\u{:04x}", u32::from(letter));
            }
            _ => out.push(letter),
        }
    }
    out.push('"');
}
