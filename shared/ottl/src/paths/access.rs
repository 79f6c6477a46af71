//! Reading and writing a field in its form.

use std::borrow::Cow;

use spanlake_otlp::schema::{METRIC_DATA, SPAN_KINDS};
use spanlake_otlp::tree::{Map, Node, Slot, Value};

use super::{Field, Form, KeyValue, Place, Root, reach, step, trace_state};
use crate::error::DataError;
use crate::frame::Frame;
use crate::val::{Time, Val};

const KINDS: [&str; 6] = ["Unspecified", "Internal", "Server", "Client", "Producer", "Consumer"];

const WRONG_TYPE: DataError = DataError("a value of another type than the field's");

fn node<'x, 'a>(root: Root, frame: &'x Frame<'_, 'a>) -> &'x Node<'a> {
    match root {
        Root::Resource => frame.resource,
        Root::Scope => frame.scope,
        Root::Item | Root::Cache => frame.item,
        Root::Part => frame.part,
        Root::Exemplar => frame.exemplar,
    }
}

fn node_mut<'x, 'a>(root: Root, frame: &'x mut Frame<'_, 'a>) -> &'x mut Node<'a> {
    match root {
        Root::Resource => frame.resource,
        Root::Scope => frame.scope,
        Root::Item | Root::Cache => frame.item,
        Root::Part => frame.part,
        Root::Exemplar => frame.exemplar,
    }
}

/// The message that holds the field; `None` where it is absent.
fn holder<'x, 'a>(place: &Place, frame: &'x Frame<'_, 'a>) -> Option<&'x Node<'a>> {
    let node = node(place.root, frame);
    match place.access.via {
        None => Some(node),
        Some(outer) => node.node(outer.number(node)?),
    }
}

fn holder_mut<'x, 'a>(place: &Place, frame: &'x mut Frame<'_, 'a>) -> Option<&'x mut Node<'a>> {
    let node = node_mut(place.root, frame);
    match place.access.via {
        None => Some(node),
        Some(outer) => {
            let number = outer.number(node)?;
            node.node_mut(number)
        }
    }
}

/// The data of a metric, and its type's number.
fn metric_data<'x, 'a>(metric: &'x Node<'a>) -> Option<(usize, &'x Node<'a>)> {
    METRIC_DATA.iter().enumerate().find_map(|(place, number)| Some((place + 1, metric.node(*number)?)))
}

pub(super) fn get<'a>(place: &Place, frame: &Frame<'_, 'a>, keys: &[KeyValue<'_>]) -> Result<Val<'a>, DataError> {
    let Some(holder) = holder(place, frame) else { return Ok(absent(place.access.form)) };
    match place.access.form {
        Form::Cache => in_map(frame.cache, keys),
        Form::SchemaUrl => {
            let url = if place.root == Root::Resource { &*frame.resource_schema_url } else { &*frame.scope_schema_url };
            Ok(Val::text(url.clone()))
        }
        Form::MetricType => Ok(Val::int(metric_data(holder).map_or(0, |(kind, _)| i64::try_from(kind).unwrap_or(0)))),
        Form::Temporality | Form::Monotonic => Ok(metric_data(holder).map_or(Val::NIL, |(_, data)| data_field(place, data))),
        Form::EventIndex => Err(DataError("events have no index here")),
        form => {
            let Some(number) = place.access.field.number(holder) else { return Ok(Val::NIL) };
            if form == Form::Attributes {
                return match holder.map(number) {
                    Some(map) => in_map(map, keys),
                    None if keys.is_empty() => Ok(Val::map(Map::default())),
                    None => Ok(Val::NIL),
                };
            }
            if form == Form::Value {
                return Ok(Val::Value(step(holder.value(number), keys)?.clone()));
            }
            Ok(scalar(holder, number, form, keys))
        }
    }
}

/// What a field of an absent message reads as.
const fn absent(form: Form) -> Val<'static> {
    match form {
        Form::Int | Form::Zigzag => Val::int(0),
        Form::Text => Val::Value(Value::String(Cow::Borrowed(""))),
        _ => Val::NIL,
    }
}

fn in_map<'a>(map: &Map<'a>, keys: &[KeyValue<'_>]) -> Result<Val<'a>, DataError> {
    let Some((first, rest)) = keys.split_first() else { return Ok(Val::map(map.clone())) };
    let KeyValue::Text(key) = first else { return Err(DataError("a map is not indexed by number")) };
    Ok(match map.get(key) {
        Some(value) => Val::Value(step(value, rest)?.clone()),
        None => Val::NIL,
    })
}

fn scalar<'a>(holder: &Node<'a>, number: u32, form: Form, keys: &[KeyValue<'_>]) -> Val<'a> {
    let bits = holder.number(number);
    match form {
        Form::Text => Val::text(text(holder, number)),
        Form::Int => Val::int(bits.cast_signed()),
        Form::Zigzag => Val::int(unzigzag(bits)),
        Form::Double => Val::double(f64::from_bits(bits)),
        Form::Time => Val::Time(Time { nanos: bits.cast_signed(), offset_seconds: 0 }),
        Form::TraceId => Val::TraceId(id(holder.bytes(number))),
        Form::SpanId => Val::SpanId(id(holder.bytes(number))),
        Form::TraceIdText => Val::text(hex(&id::<16>(holder.bytes(number)))),
        Form::SpanIdText => Val::text(hex(&id::<8>(holder.bytes(number)))),
        Form::TraceState => match keys.first() {
            Some(KeyValue::Text(key)) => Val::text(trace_state::get(holder.text(number), key).to_owned()),
            _ => Val::text(text(holder, number)),
        },
        Form::KindText => Val::text(kind(&KINDS, bits)),
        Form::KindDeprecatedText => Val::text(kind(&SPAN_KINDS, bits)),
        Form::ValueText => Val::text(holder.value(number).clone().into_text()),
        Form::Ints => Val::list(numbers(holder, number).map(|bits| Value::Int(bits.cast_signed())).collect()),
        Form::Doubles => Val::list(numbers(holder, number).map(|bits| Value::Double(f64::from_bits(bits))).collect()),
        _ => Val::NIL,
    }
}

/// A text as it is held: borrowed ones stay borrowed.
fn text<'a>(holder: &Node<'a>, number: u32) -> Cow<'a, str> {
    match holder.get(number) {
        Some(Slot::Text(text)) => text.clone(),
        _ => Cow::Borrowed(""),
    }
}

fn numbers(holder: &Node<'_>, number: u32) -> impl Iterator<Item = u64> {
    let numbers = match holder.get(number) {
        Some(Slot::Numbers(numbers)) => numbers.as_slice(),
        _ => &[],
    };
    numbers.iter().copied()
}

fn kind(names: &[&'static str; 6], bits: u64) -> &'static str {
    usize::try_from(bits).ok().and_then(|place| names.get(place)).copied().unwrap_or("")
}

/// An id; zeros where it is absent or of another length.
fn id<const LENGTH: usize>(bytes: &[u8]) -> [u8; LENGTH] {
    bytes.try_into().unwrap_or([0; LENGTH])
}

/// Bytes in lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0'));
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Hex of this many bytes.
pub(crate) fn unhex<const LENGTH: usize>(text: &str) -> Option<[u8; LENGTH]> {
    let mut id = [0; LENGTH];
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != LENGTH || !rest.is_empty() {
        return None;
    }
    for (byte, [high, low]) in id.iter_mut().zip(pairs) {
        let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(id)
}

const fn unzigzag(bits: u64) -> i64 {
    (bits >> 1).cast_signed() ^ -((bits & 1).cast_signed())
}

const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

/// The field of a metric's data that a path of the metric stands for.
fn data_field(place: &Place, data: &Node<'_>) -> Val<'static> {
    let is_monotonic = place.access.form == Form::Monotonic;
    let name = if is_monotonic { "is_monotonic" } else { "aggregation_temporality" };
    match Field::Named(name).number(data) {
        Some(number) if is_monotonic => Val::bool(data.number(number) != 0),
        Some(number) => Val::int(data.number(number).cast_signed()),
        None => Val::NIL,
    }
}

/// The map that keys lead to; `None` where it is absent.
pub(super) fn map_mut<'x, 'a>(
    place: &Place,
    frame: &'x mut Frame<'_, 'a>,
    keys: &[KeyValue<'_>],
) -> Result<Option<&'x mut Map<'a>>, DataError> {
    let (map, keys) = match place.access.form {
        Form::Cache => (&mut *frame.cache, keys),
        Form::Attributes => {
            let Some(holder) = holder_mut(place, frame) else { return Ok(None) };
            let Some(number) = place.access.field.number(holder) else { return Ok(None) };
            let Some(map) = holder.map_mut(number) else { return Ok(None) };
            (map, keys)
        }
        Form::Value => {
            let Some(holder) = holder_mut(place, frame) else { return Ok(None) };
            let Some(number) = place.access.field.number(holder) else { return Ok(None) };
            let Some(Slot::Value(value)) = holder.get_mut(number) else { return Ok(None) };
            return below(value, keys);
        }
        _ => return Err(DataError("expected a map")),
    };
    let Some((first, rest)) = keys.split_first() else { return Ok(Some(map)) };
    let KeyValue::Text(key) = first else { return Err(DataError("a map is not indexed by number")) };
    match map.get_mut(key) {
        Some(value) => below(value, rest),
        None => Ok(None),
    }
}

fn below<'x, 'a>(value: &'x mut Value<'a>, keys: &[KeyValue<'_>]) -> Result<Option<&'x mut Map<'a>>, DataError> {
    let mut current = value;
    for key in keys {
        let next = match (current, key) {
            (Value::Map(map), KeyValue::Text(key)) => map.get_mut(key),
            (Value::List(items), KeyValue::Int(at)) => {
                let item = usize::try_from(*at).ok().and_then(|at| items.get_mut(at));
                Some(item.ok_or(DataError("index out of range"))?)
            }
            (Value::Empty, _) => None,
            _ => return Err(DataError("this type can't be indexed")),
        };
        let Some(next) = next else { return Ok(None) };
        current = next;
    }
    match current {
        Value::Map(map) => Ok(Some(map)),
        Value::Empty => Ok(None),
        _ => Err(DataError("expected a map")),
    }
}

pub(super) fn set<'a>(place: &Place, frame: &mut Frame<'_, 'a>, keys: &[KeyValue<'a>], value: Val<'a>) -> Result<(), DataError> {
    if let Val::Value(value @ (Value::List(_) | Value::Map(_))) = &value {
        frame.spend(weight(value)?)?;
    }
    match place.access.form {
        Form::Cache => return set_in_map(frame.cache, keys, value),
        Form::SchemaUrl => {
            let Val::Value(Value::String(url)) = value else { return Err(WRONG_TYPE) };
            let target =
                if place.root == Root::Resource { &mut *frame.resource_schema_url } else { &mut *frame.scope_schema_url };
            *target = url;
            return Ok(());
        }
        Form::EventIndex => return Err(DataError("events have no index here")),
        // The Collector's setter does nothing.
        Form::MetricType => return Ok(()),
        Form::Temporality | Form::Monotonic => return set_data_field(place, node_mut(place.root, frame), &value),
        _ => {}
    }
    let Some(holder) = holder_mut(place, frame) else { return Ok(()) };
    let Some(number) = place.access.field.number(holder) else { return Ok(()) };
    match place.access.form {
        Form::Attributes => match holder.map_mut(number) {
            Some(map) => set_in_map(map, keys, value),
            None => Ok(()),
        },
        Form::Value => {
            let mut whole = match holder.remove(number) {
                Some(Slot::Value(whole)) => whole,
                _ => Value::Empty,
            };
            let result = reach(&mut whole, keys).map(|target| *target = value.into_value());
            holder.set(number, Slot::Value(whole));
            result
        }
        form => set_scalar(holder, number, form, keys, value),
    }
}

fn set_in_map<'a>(map: &mut Map<'a>, keys: &[KeyValue<'a>], value: Val<'a>) -> Result<(), DataError> {
    let Some((first, rest)) = keys.split_first() else {
        let Val::Value(Value::Map(new)) = value else { return Err(DataError("expected a map")) };
        *map = new;
        return Ok(());
    };
    let KeyValue::Text(key) = first else { return Err(DataError("a map is not indexed by number")) };
    let is_new = map.get(key).is_none();
    if is_new && map.len() >= ATTRIBUTES_MAX {
        return Err(DataError("too many attributes"));
    }
    let entry = map.entry(key.clone());
    match reach(entry, rest) {
        Ok(target) => {
            *target = value.into_value();
            Ok(())
        }
        Err(error) => {
            if is_new {
                map.remove(key);
            }
            Err(error)
        }
    }
}

fn set_data_field(place: &Place, metric: &mut Node<'_>, value: &Val<'_>) -> Result<(), DataError> {
    let (name, bits) = match (place.access.form, value) {
        (Form::Monotonic, Val::Value(Value::Bool(value))) => ("is_monotonic", u64::from(*value)),
        (Form::Temporality, Val::Value(Value::Int(value))) => ("aggregation_temporality", value.cast_unsigned()),
        _ => return Err(WRONG_TYPE),
    };
    for number in METRIC_DATA {
        if let Some(Slot::Node(data)) = metric.get_mut(number)
            && let Some(field) = Field::Named(name).number(data)
        {
            data.set(field, Slot::Number(bits));
        }
    }
    Ok(())
}

fn set_scalar<'a>(
    holder: &mut Node<'a>,
    number: u32,
    form: Form,
    keys: &[KeyValue<'_>],
    value: Val<'a>,
) -> Result<(), DataError> {
    let slot = match (form, value) {
        (Form::TraceState, Val::Value(Value::String(text))) => match keys.first() {
            Some(KeyValue::Text(key)) => Slot::Text(trace_state::set(holder.text(number), key, &text).into()),
            _ => Slot::Text(text),
        },
        (Form::Text, Val::Value(Value::String(text))) => Slot::Text(text),
        (Form::ValueText, Val::Value(Value::String(text))) => Slot::Value(Value::String(text)),
        (Form::Int, Val::Value(Value::Int(value))) => Slot::Number(value.cast_unsigned()),
        (Form::Zigzag, Val::Value(Value::Int(value))) => Slot::Number(zigzag(value)),
        (Form::Double, Val::Value(Value::Double(value))) => Slot::Number(value.to_bits()),
        (Form::Time, Val::Time(time)) => Slot::Number(time.nanos.cast_unsigned()),
        (Form::TraceId, Val::TraceId(id)) => Slot::Bytes(Cow::Owned(id.to_vec())),
        (Form::SpanId, Val::SpanId(id)) => Slot::Bytes(Cow::Owned(id.to_vec())),
        (Form::TraceIdText, Val::Value(Value::String(text))) => {
            Slot::Bytes(Cow::Owned(unhex::<16>(&text).ok_or(DataError("not a trace id in hex"))?.to_vec()))
        }
        (Form::SpanIdText, Val::Value(Value::String(text))) => {
            Slot::Bytes(Cow::Owned(unhex::<8>(&text).ok_or(DataError("not a span id in hex"))?.to_vec()))
        }
        (Form::KindText, Val::Value(Value::String(text))) => Slot::Number(kind_of(&KINDS, &text)),
        (Form::KindDeprecatedText, Val::Value(Value::String(text))) => Slot::Number(kind_of(&SPAN_KINDS, &text)),
        (Form::Ints, Val::Value(Value::List(items))) => {
            let bits = |item: &Value<'_>| if let Value::Int(value) = item { Ok(value.cast_unsigned()) } else { Err(WRONG_TYPE) };
            Slot::Numbers(items.iter().map(bits).collect::<Result<_, _>>()?)
        }
        (Form::Doubles, Val::Value(Value::List(items))) => {
            let bits = |item: &Value<'_>| if let Value::Double(value) = item { Ok(value.to_bits()) } else { Err(WRONG_TYPE) };
            Slot::Numbers(items.iter().map(bits).collect::<Result<_, _>>()?)
        }
        (_, Val::Value(Value::Empty)) => return Err(DataError("this field can't be set to nothing")),
        _ => return Err(WRONG_TYPE),
    };
    holder.set(number, slot);
    Ok(())
}

fn kind_of(names: &[&str; 6], text: &str) -> u64 {
    names.iter().position(|name| *name == text).map_or(0, |place| place as u64)
}

/// To how many attributes statements may add one.
const ATTRIBUTES_MAX: usize = 10_000;
/// How deep a value may be that is set.
const DEPTH_MAX: u32 = 64;
/// How many values it may hold, and how many bytes of text beside them.
pub(super) const WEIGHT_MAX: usize = 1 << 20;

/// How much a value holds.
///
/// # Errors
/// It is nested too deep, or holds too much for one value.
pub(super) fn weight(value: &Value<'_>) -> Result<usize, DataError> {
    let mut weight = 0;
    weigh(value, 0, &mut weight)?;
    Ok(weight)
}

/// Refuses a value that statements have put into itself again and again.
fn weigh(value: &Value<'_>, depth: u32, weight: &mut usize) -> Result<(), DataError> {
    *weight = weight.saturating_add(1);
    match value {
        Value::String(text) => *weight = weight.saturating_add(text.len()),
        Value::Bytes(bytes) => *weight = weight.saturating_add(bytes.len()),
        Value::List(items) if depth < DEPTH_MAX => items.iter().try_for_each(|item| weigh(item, depth + 1, weight))?,
        Value::Map(map) if depth < DEPTH_MAX => map.iter().try_for_each(|(key, value)| {
            *weight = weight.saturating_add(key.len());
            weigh(value, depth + 1, weight)
        })?,
        Value::List(_) | Value::Map(_) => return Err(DataError("nested too deep")),
        _ => {}
    }
    if *weight > WEIGHT_MAX { Err(DataError("too large")) } else { Ok(()) }
}
