//! The `attributes` and `resource` processors: a list of actions on items' or resources' attributes, in their order.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use regex::Regex;
use sha2::{Digest as _, Sha256};
use spanlake_model::Signal;
use spanlake_otlp::tree::{Map, Node, Payload, Slot, Value};
use spanlake_ottl::DataError;

use super::maps::remove_places;
use super::matching::{Item, Selection};
use super::redaction::hex_text;
use super::{Process, Tally};

/// The one word of `from_context` that the reference always has something for: without a client, the empty text.
const CLIENT_ADDRESS: &str = "client.address";

/// An `attributes` or `resource` processor.
#[derive(Debug, Clone)]
pub(crate) struct Attributes {
    pub(crate) owner: Owner,
    pub(crate) actions: Vec<Action>,
    /// Which items it works on; all resources.
    pub(crate) selection: Selection,
}

/// Whose attributes are changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// Those of spans, logs and data points.
    Items,
    /// Those of resources.
    Resources,
}

/// One action.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    /// Writes a value.
    Set {
        key: String,
        when: When,
        source: Source,
        /// What is written where the source has nothing.
        default: Option<Value<'static>>,
    },
    /// Takes a key away, and those that match.
    Delete { key: Option<String>, pattern: Option<Regex> },
    /// Writes the SHA-256 of a value in its place, and of those whose keys match.
    Hash { key: Option<String>, pattern: Option<Regex> },
    /// Writes a pattern's groups under their names.
    Extract { key: String, pattern: Regex, groups: Vec<String> },
    /// Makes a value one of another type, where that can be done.
    Convert { key: String, to: Type },
}

/// When a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// `insert`.
    Absent,
    /// `update`.
    Present,
    /// `upsert`.
    Always,
}

/// Where a value comes from.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    Value(Value<'static>),
    Attribute(String),
    /// What a client sent along: there is none behind the stream.
    Context(String),
    /// Only the default.
    None,
}

/// What `convert` makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Int,
    Double,
    String,
}

impl Process for Attributes {
    fn rewrites(&self, _signal: Signal) -> bool {
        self.actions.iter().any(|action| !matches!(action, Action::Set { when: When::Absent, .. }))
    }

    fn redacts(&self, _signal: Signal) -> bool {
        self.actions.iter().any(|action| matches!(action, Action::Delete { .. } | Action::Hash { .. }))
    }

    fn process<'a>(&'a self, payload: &mut Payload<'a>, _tally: &mut Tally) -> Result<(), DataError> {
        let signal = payload.signal;
        for group in &mut payload.groups {
            if self.owner == Owner::Resources {
                self.change(&mut group.resource);
                continue;
            }
            for scope in &mut group.scopes {
                for item in &mut scope.items {
                    let place = Item { resource: &group.resource, scope: &scope.scope, node: &item.node };
                    if self.selection.selects(signal, place) {
                        self.change_item(signal, &mut item.node);
                    }
                }
            }
        }
        Ok(())
    }
}

impl Attributes {
    fn change_item<'a>(&'a self, signal: Signal, item: &mut Node<'a>) {
        if signal != Signal::Metrics {
            return self.change(item);
        }
        for (_, slot) in item.slots_mut() {
            let Slot::Node(data) = slot else { continue };
            for point in data.nodes_mut(1).into_iter().flatten() {
                self.change(point);
            }
        }
    }

    fn change<'a>(&'a self, node: &mut Node<'a>) {
        let number = node.schema().fields.iter().find(|field| field.name == "attributes").map_or(0, |field| field.number);
        let Some(map) = node.map_mut(number) else { return };
        for action in &self.actions {
            action.run(map);
        }
    }
}

impl Action {
    fn run<'a>(&'a self, map: &mut Map<'a>) {
        match self {
            Self::Set { key, when, source, default } => {
                let Some(value) = source.value(map).or_else(|| default.as_ref().map(borrowed)) else { return };
                match (map.get_mut(key), when) {
                    (Some(present), When::Present | When::Always) => *present = value,
                    (None, When::Absent | When::Always) => map.0.push((Cow::Borrowed(key), value)),
                    (Some(_), When::Absent) | (None, When::Present) => {}
                }
            }
            Self::Delete { key, pattern } => {
                if let Some(key) = key {
                    map.remove(key);
                }
                if let Some(pattern) = pattern {
                    let places = map.iter().enumerate().filter(|(_, (key, _))| pattern.is_match(key));
                    let mut places: Vec<usize> = places.map(|(place, _)| place).collect();
                    remove_places(map, &mut places);
                }
            }
            Self::Hash { key, pattern } => {
                if let Some(value) = key.as_ref().and_then(|key| map.get_mut(key)) {
                    hash(value);
                }
                for (key, value) in map.0.iter_mut().filter(|_| pattern.is_some()) {
                    if pattern.as_ref().is_some_and(|pattern| pattern.is_match(key)) {
                        hash(value);
                    }
                }
            }
            Self::Extract { key, pattern, groups } => extract(key, pattern, groups, map),
            Self::Convert { key, to } => {
                if let Some(value) = map.get_mut(key) {
                    convert(value, *to);
                }
            }
        }
    }
}

impl Source {
    fn value<'a>(&'a self, map: &Map<'a>) -> Option<Value<'a>> {
        match self {
            Self::Value(value) => Some(borrowed(value)),
            Self::Attribute(key) => map.get(key).cloned(),
            Self::Context(word) => (word == CLIENT_ADDRESS).then_some(Value::String(Cow::Borrowed(""))),
            Self::None => None,
        }
    }
}

/// A copy that shares its text.
fn borrowed<'a>(value: &'a Value<'static>) -> Value<'a> {
    match value {
        Value::String(text) => Value::String(Cow::Borrowed(text)),
        other => other.clone(),
    }
}

fn extract<'a>(key: &str, pattern: &Regex, groups: &'a [String], map: &mut Map<'a>) {
    let Some(Value::String(text)) = map.get(key) else { return };
    let text = text.clone();
    let Some(found) = pattern.captures(&text) else { return };
    for (number, group) in groups.iter().enumerate() {
        let part = found.get(number + 1).map_or("", |part| part.as_str());
        map.set(Cow::Borrowed(group), Value::String(Cow::Owned(part.to_owned())));
    }
}

/// Texts by their bytes, truth values as one byte, numbers as eight in little-endian order; of anything else nothing is
/// left, as in the reference.
fn hash(value: &mut Value<'_>) {
    let digest = match value {
        Value::String(text) => Sha256::digest(text.as_bytes()),
        Value::Bool(value) => Sha256::digest([u8::from(*value)]),
        Value::Int(number) => Sha256::digest(number.to_le_bytes()),
        Value::Double(number) => Sha256::digest(number.to_bits().to_le_bytes()),
        Value::Empty | Value::Bytes(_) | Value::List(_) | Value::Map(_) => {
            *value = Value::String(Cow::Borrowed(""));
            return;
        }
    };
    *value = Value::String(Cow::Owned(hex_text(&digest)));
}

#[expect(clippy::cast_possible_truncation, reason = "a fraction is cut off, and what is out of range is bent into it")]
#[expect(clippy::cast_precision_loss, reason = "that is what a double is")]
fn convert(value: &mut Value<'_>, to: Type) {
    let converted = match (to, &*value) {
        (Type::String, Value::String(_)) => None,
        (Type::String, other) => Some(Value::String(Cow::Owned(other.to_text().into_owned()))),
        (Type::Int, Value::Double(number)) => Some(Value::Int(*number as i64)),
        (Type::Int, Value::Bool(value)) => Some(Value::Int(i64::from(*value))),
        (Type::Int, Value::String(text)) => text.parse().ok().map(Value::Int),
        (Type::Double, Value::Int(number)) => Some(Value::Double(*number as f64)),
        (Type::Double, Value::Bool(value)) => Some(Value::Double(f64::from(u8::from(*value)))),
        (Type::Double, Value::String(text)) => double(text).map(Value::Double),
        (Type::Int | Type::Double, _) => None,
    };
    if let Some(converted) = converted {
        *value = converted;
    }
}

/// A number's text; one that is too large is none.
fn double(text: &str) -> Option<f64> {
    let number: f64 = text.parse().ok()?;
    (number.is_finite() || !text.contains(|letter: char| letter.is_ascii_digit())).then_some(number)
}
