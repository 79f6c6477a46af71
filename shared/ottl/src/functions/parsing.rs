//! Converters that take a text apart.

use std::borrow::Cow;

use spanlake_otlp::tree::Value;

use super::keyed::Keyed;
use super::{bounds, csv, json};
use crate::error::DataError;
use crate::function::{Args, Argument, Function, Kind, Param};
use crate::val::Val;

const TARGET: Param = Param::new("target", Kind::Str);

/// The converters of this file.
pub(super) const ALL: &[Function] = &[
    Function::converter("ExtractPatterns", &[TARGET, Param::new("pattern", Kind::Pattern)], extract_patterns)
        .checked(check_patterns),
    Function::converter("IsValidLuhn", &[Param::new("target", Kind::StrLike)], is_valid_luhn),
    Function::converter(
        "ParseCSV",
        &[
            TARGET,
            Param::new("header", Kind::Str),
            Param::optional("delimiter", Kind::Text),
            Param::optional("header_delimiter", Kind::Text),
            Param::optional("mode", Kind::Text),
        ],
        parse_csv,
    )
    .checked(check_csv),
    Function::converter("ParseJSON", &[TARGET], parse_json),
    Function::converter(
        "ParseKeyValue",
        &[TARGET, Param::optional("delimiter", Kind::Text), Param::optional("pair_delimiter", Kind::Text)],
        parse_key_value,
    )
    .checked(check_key_value),
    Function::converter("ParseSeverity", &[Param::new("target", Kind::Any), Param::new("mapping", Kind::Map)], parse_severity),
];

fn check_patterns(arguments: &[Argument]) -> Result<(), String> {
    match arguments {
        [_, Argument::Pattern(pattern)] if pattern.capture_names().flatten().next().is_none() => {
            Err("the pattern has no named group".to_owned())
        }
        _ => Ok(()),
    }
}

/// A group that takes part in no match is an empty text; without a match the map is empty.
fn extract_patterns<'a>(args: &mut Args<'a>) -> Result<Val<'a>, DataError> {
    let pattern = args.pattern(1)?;
    let mut map = Keyed::default();
    if let Some(captures) = pattern.captures(args.string(0)?) {
        for name in pattern.capture_names().flatten() {
            let text = captures.name(name).map_or("", |group| group.as_str()).to_owned();
            map.set(Cow::Owned(name.to_owned()), Value::String(Cow::Owned(text)))?;
        }
    }
    Ok(Val::map(map.into_map()))
}

/// Blanks are passed over.
fn is_valid_luhn<'a>(args: &mut Args<'a>) -> Result<Val<'a>, DataError> {
    let mut sum = 0_u64;
    let digits = args.string(0)?.bytes().rev().filter(|byte| *byte != b' ');
    for (place, byte) in digits.enumerate() {
        if !byte.is_ascii_digit() {
            return Err(DataError("not a number of digits"));
        }
        let digit = u64::from(byte - b'0') * if place % 2 == 0 { 1 } else { 2 };
        sum += if digit > 9 { digit - 9 } else { digit };
    }
    Ok(Val::bool(sum.is_multiple_of(10)))
}

fn check_csv(arguments: &[Argument]) -> Result<(), String> {
    let [_, _, delimiter, header_delimiter, mode] = arguments else { return Ok(()) };
    for (name, delimiter) in [("delimiter", delimiter), ("header_delimiter", header_delimiter)] {
        if let Argument::Text(text) = delimiter
            && text.chars().count() != 1
        {
            return Err(format!("`{name}` must be one character"));
        }
    }
    match mode {
        Argument::Text(mode) if !["strict", "lazyQuotes", "ignoreQuotes"].contains(&mode.as_str()) => {
            Err(format!("`{mode}` is none of `strict`, `lazyQuotes` and `ignoreQuotes`"))
        }
        _ => Ok(()),
    }
}

fn parse_csv<'a>(args: &mut Args<'a>) -> Result<Val<'a>, DataError> {
    let (row, header) = (args.string(0)?, args.string(1)?);
    let letter = |at: usize, default: char| args.text(at).and_then(|text| text.chars().next()).unwrap_or(default);
    let delimiter = letter(2, ',');
    let header_delimiter = letter(3, delimiter);
    if header.is_empty() {
        return Err(DataError("the header is empty"));
    }
    let fields = match args.text(4) {
        Some("ignoreQuotes") => row.split(delimiter).map(str::to_owned).collect(),
        mode => csv::fields(row, delimiter, mode == Some("lazyQuotes")).ok_or(DataError("not a row of CSV"))?,
    };
    let headers: Vec<&str> = header.split(header_delimiter).collect();
    if headers.len() != fields.len() {
        return Err(DataError("the header has another number of fields"));
    }
    let mut map = Keyed::default();
    for (key, field) in headers.into_iter().zip(fields) {
        map.set(Cow::Owned(key.to_owned()), Value::String(Cow::Owned(field)))?;
    }
    Ok(Val::map(map.into_map()))
}

/// Objects and arrays only.
fn parse_json<'a>(args: &mut Args<'a>) -> Result<Val<'a>, DataError> {
    let value = json::read(args.string(0)?).ok_or(DataError("not a JSON object or array"))?;
    bounds::value(&value, 0)?;
    Ok(Val::Value(value))
}

fn check_key_value(arguments: &[Argument]) -> Result<(), String> {
    let text = |argument: Option<&Argument>, default: &'static str| match argument {
        Some(Argument::Text(text)) if !text.is_empty() => text.clone(),
        _ => default.to_owned(),
    };
    let is_same = text(arguments.get(1), "=") == text(arguments.get(2), " ");
    if is_same { Err("both delimiters are the same".to_owned()) } else { Ok(()) }
}

fn parse_key_value<'a>(args: &mut Args<'a>) -> Result<Val<'a>, DataError> {
    let text = args.string(0)?;
    let delimiter = |at: usize, default| args.text(at).filter(|text| !text.is_empty()).unwrap_or(default);
    if text.is_empty() {
        return Err(DataError("nothing to take apart"));
    }
    let mut map = Keyed::default();
    for pair in unquoted_parts(text, delimiter(2, " "))? {
        let (key, value) = pair.split_once(delimiter(1, "=")).ok_or(DataError("a pair without its delimiter"))?;
        map.set(Cow::Owned(key.trim().to_owned()), Value::String(Cow::Owned(value.trim().to_owned())))?;
    }
    Ok(Val::map(map.into_map()))
}

/// Splits at a delimiter that is not in quotes. The quotes go, and so do empty parts.
fn unquoted_parts(text: &str, delimiter: &str) -> Result<Vec<String>, DataError> {
    let mut parts = Vec::new();
    let mut part = String::new();
    let mut quote = None;
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        if quote.is_none()
            && let Some(behind) = rest.strip_prefix(delimiter)
        {
            if !part.is_empty() {
                parts.push(std::mem::take(&mut part));
            }
            rest = behind;
            continue;
        }
        match quote {
            None if letter == '"' || letter == '\'' => quote = Some(letter),
            Some(open) if open == letter => quote = None,
            _ => part.push(letter),
        }
        rest = rest.get(letter.len_utf8()..).unwrap_or_default();
    }
    if quote.is_some() {
        return Err(DataError("a quote is not closed"));
    }
    if !part.is_empty() {
        parts.push(part);
    }
    Ok(parts)
}

/// The first level, by name, that one of its conditions names: `{"equals": ["inf"]}`, `{"range": {"min": 1, "max": 5}}` or
/// `{"range": "2xx"}`.
fn parse_severity<'a>(args: &mut Args<'a>) -> Result<Val<'a>, DataError> {
    let wrong = DataError("not a mapping of severities");
    let target = args.take(0);
    let mapping = args.take_map(1);
    let mut levels: Vec<_> = mapping.0.into_iter().collect();
    levels.sort_by(|(left, _), (right, _)| left.cmp(right));
    let mut found = None;
    for (level, conditions) in levels {
        let Value::List(conditions) = conditions else { return Err(wrong) };
        for condition in &conditions {
            let Value::Map(condition) = condition else { return Err(wrong) };
            if matches_severity(condition, &target).ok_or(wrong)? && found.is_none() {
                found = Some(level.clone());
            }
        }
    }
    match (found, target) {
        (_, Val::Value(Value::Empty)) => Err(DataError("expected a text or a whole number")),
        (Some(level), _) => Ok(Val::text(level)),
        (None, _) => Err(DataError("no severity of this value")),
    }
}

/// Whether a condition holds; `None` where it is none.
fn matches_severity(condition: &spanlake_otlp::tree::Map<'_>, target: &Val<'_>) -> Option<bool> {
    let mut holds = false;
    for (key, wanted) in condition.iter() {
        holds |= match (key, wanted) {
            ("equals", Value::List(texts)) => matches!(target, Val::Value(text @ Value::String(_)) if texts.contains(text)),
            ("range", range) => {
                let (low, high) = match range {
                    Value::Map(range) => match (range.get("min")?, range.get("max")?) {
                        (Value::Int(low), Value::Int(high)) => (*low, *high),
                        _ => return None,
                    },
                    Value::String(text) => {
                        let hundred = text.strip_suffix("xx").and_then(|digit| digit.parse::<i64>().ok());
                        let low = hundred.filter(|hundred| (2..=5).contains(hundred))? * 100;
                        (low, low + 99)
                    }
                    _ => return None,
                };
                matches!(target, Val::Value(Value::Int(value)) if (low..=high).contains(value))
            }
            _ => return None,
        };
    }
    Some(holds)
}
