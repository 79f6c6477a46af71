//! A value of the file as an attribute's value.

use std::borrow::Cow;

use spanlake_otlp::tree::{Map, Value};

use super::reader::{Findings, Number, as_bool, as_number};
use super::yaml::{Node, Scalar, Tree};

/// The value that the Collector makes of it: plain scalars take the type of their text. A date is refused, as there: an
/// unquoted one is a time, which no attribute can hold.
pub(super) fn value(tree: &Tree, path: &str, findings: &mut Findings) -> Value<'static> {
    match &tree.node {
        _ if tree.is_null() => Value::Empty,
        Node::Scalar(Scalar { text, plain: false, .. }) => text_value(text),
        Node::Scalar(Scalar { text, .. }) => {
            if is_date(text) {
                findings.error(tree.line, path, format!("{text} is a time, which no attribute can hold: put it in quotes"));
            }
            scalar(text)
        }
        Node::List(items) => Value::List(items.iter().map(|item| value(item, path, findings)).collect()),
        Node::Map(entries) => {
            let pairs = entries.iter().map(|entry| (Cow::Owned(entry.key.clone()), value(&entry.value, path, findings)));
            Value::Map(Map(pairs.collect()))
        }
    }
}

fn text_value(text: &str) -> Value<'static> {
    Value::String(Cow::Owned(text.to_owned()))
}

#[expect(clippy::cast_possible_truncation, reason = "as in the Collector, what needs 64 bits without a sign wraps")]
#[expect(clippy::cast_precision_loss, reason = "what needs more is a double there too")]
fn scalar(text: &str) -> Value<'static> {
    if let Some(value) = as_bool(text) {
        return Value::Bool(value);
    }
    let starts_a_number = text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first));
    match as_number(&text.replace('_', "")).filter(|_| starts_a_number) {
        Some(Number::Int(value)) if (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&value) => Value::Int(value as i64),
        Some(Number::Int(value)) => Value::Double(value as f64),
        Some(Number::Float(value)) => Value::Double(value),
        None => text_value(text),
    }
}

/// Whether YAML takes a plain scalar for a time: `2026-01-02`, alone or with a time of day.
fn is_date(text: &str) -> bool {
    let (date, time) = text.split_once(['T', 't', ' ']).map_or((text, None), |(date, time)| (date, Some(time)));
    let parts: Vec<&str> = date.split('-').collect();
    let [year, month, day] = parts.as_slice() else { return false };
    let within = |part: &str, range: std::ops::RangeInclusive<u8>| {
        part.bytes().all(|byte| byte.is_ascii_digit()) && part.parse().is_ok_and(|number| range.contains(&number))
    };
    year.len() == 4
        && year.bytes().all(|byte| byte.is_ascii_digit())
        && within(month, 1..=12)
        && within(day, 1..=31)
        && time.is_none_or(|time| time.starts_with(|first: char| first.is_ascii_digit()) && time.contains(':'))
}
