//! Converters that the `transform` processor has for log records.

use std::borrow::Cow;
use std::sync::LazyLock;

use ::regex::Regex;
use spanlake_otlp::tree::{Map, Value};

use super::bounds;
use crate::error::DataError;
use crate::frame::Context;
use crate::function::{Args, Argument, Function, Kind, Param};
use crate::regex;
use crate::val::Val;

/// The converters of this file.
pub(super) const ALL: &[Function] =
    &[Function::converter("ParseCLF", &[Param::new("target", Kind::Str), Param::optional("format", Kind::Text)], parse_clf)
        .checked(check_clf)
        .only_in(&[Context::Log])];

/// A line of the Common Log Format, and what the combined format adds.
static LINE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let quoted = r#""((?:[^"\\]|\\.)*)""#;
    regex::compile(&format!(r"^(\S+) (\S+) (\S+) \[([^\]]+)\] {quoted} (\S+) (\S+)(?: {quoted} {quoted})?$")).ok()
});

fn check_clf(arguments: &[Argument]) -> Result<(), String> {
    match arguments {
        [_, Argument::Text(format)] if format != "clf" && format != "combined" => {
            Err(format!("`{format}` is neither `clf` nor `combined`"))
        }
        _ => Ok(()),
    }
}

fn parse_clf<'a>(args: &mut Args<'a>) -> Result<Val<'a>, DataError> {
    let wrong = DataError("not a line of this log format");
    let is_combined = args.text(1) == Some("combined");
    let line = LINE.as_ref().ok_or(wrong)?;
    let captures = line.captures(args.string(0)?.trim()).ok_or(wrong)?;
    let group = |at: usize| captures.get(at).map_or("", |group| group.as_str());
    if captures.get(8).is_some() != is_combined {
        return Err(wrong);
    }
    let mut map = Map::default();
    let mut put = |key: &'static str, value: Value<'a>| map.0.push((Cow::Borrowed(key), value));
    let text = |text: &str| Value::String(Cow::Owned(text.to_owned()));
    put("clf.remote_host", text(group(1)));
    put("clf.rfc931", text(group(2)));
    put("clf.auth_user", text(group(3)));
    put("clf.timestamp", text(group(4)));
    let request = unescaped(group(5));
    put("clf.request", text(&request));
    if let [method, uri, protocol] = request.splitn(3, ' ').collect::<Vec<_>>().as_slice() {
        put("clf.method", text(method));
        put("clf.request_uri", text(uri));
        put("clf.protocol", text(protocol));
    }
    put("clf.status", Value::Int(group(6).parse().map_err(|_| wrong)?));
    if group(7) != "-" {
        put("clf.bytes", Value::Int(group(7).parse().map_err(|_| wrong)?));
    }
    if is_combined {
        put("clf.referer", text(&unescaped(group(8))));
        put("clf.user_agent", text(&unescaped(group(9))));
    }
    Ok(Val::map(map))
}

/// A quoted field without Apache's escapes; what is none stays as it is.
fn unescaped(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match bytes.next() {
            None => out.push(b'\\'),
            Some(byte @ (b'\\' | b'"')) => out.push(byte),
            Some(b'n') => out.push(b'\n'),
            Some(b't') => out.push(b'\t'),
            Some(b'r') => out.push(b'\r'),
            Some(b'b') => out.push(8),
            Some(b'f') => out.push(12),
            Some(b'v') => out.push(11),
            Some(b'x') => {
                let mut ahead = bytes.clone();
                let mut digit = || char::from(ahead.next()?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                match (digit(), digit()) {
                    (Some(high), Some(low)) => {
                        out.push(high << 4 | low);
                        bytes = ahead;
                    }
                    _ => out.extend(b"\\x"),
                }
            }
            Some(byte) => out.extend([b'\\', byte]),
        }
    }
    bounds::lossy(out)
}
