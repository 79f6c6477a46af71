//! Fields of the telemetry by their OTTL names: reading and writing them.
//!
//! Source: `pkg/ottl/contexts` (contrib v0.161). A path is a row of a table: which message, which field, and how its bits
//! are to be read.

mod access;
mod tables;
mod trace_state;

use spanlake_otlp::tree::{Map, Node, Value, Want};

use crate::error::DataError;
use crate::expression::Expression;
use crate::frame::{Context, Frame};
use crate::val::Val;

pub(crate) use access::{hex as access_hex, unhex as access_unhex};
pub(crate) use tables::find;

/// The longest list that is made by writing behind its end.
const MADE_LIST_MAX: usize = 1000;

/// The message that a path begins at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Root {
    Resource,
    Scope,
    Item,
    Part,
    Exemplar,
    Cache,
}

/// A field, by number; a data point's by name, since the types number theirs differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Number(u32),
    Named(&'static str),
}

impl Field {
    pub(crate) fn number(self, node: &Node<'_>) -> Option<u32> {
        match self {
            Self::Number(number) => Some(number),
            Self::Named(name) => node.schema().fields.iter().find(|field| field.name == name).map(|field| field.number),
        }
    }
}

/// How a field's content is read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    /// A whole number of any kind; `Sint32` apart.
    Int,
    Zigzag,
    Double,
    Time,
    TraceId,
    TraceIdText,
    SpanId,
    SpanIdText,
    TraceState,
    /// A span's kind as `Server`, or as `SPAN_KIND_SERVER`.
    KindText,
    KindDeprecatedText,
    Attributes,
    Value,
    /// A body as text.
    ValueText,
    Ints,
    Doubles,
    MetricType,
    /// Fields of a metric's data, whichever it is.
    Temporality,
    Monotonic,
    SchemaUrl,
    Cache,
    /// It parses, and has no value in any component that Spanlake has.
    EventIndex,
}

impl Form {
    /// Whether it holds something that keys lead into.
    pub(crate) const fn is_indexed(self) -> bool {
        matches!(self, Self::Attributes | Self::Value | Self::Cache | Self::TraceState | Self::Ints | Self::Doubles)
    }
}

/// A row of the tables.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Access {
    /// The message within the root's that holds the field.
    pub(crate) via: Option<Field>,
    pub(crate) field: Field,
    pub(crate) form: Form,
}

/// A path that is ready to be read and written.
#[derive(Debug)]
pub struct Place {
    pub(crate) context: Context,
    pub(crate) root: Root,
    pub(crate) access: Access,
    pub(crate) keys: Vec<PlaceKey>,
}

/// A key in brackets.
#[derive(Debug)]
pub(crate) enum PlaceKey {
    Text(String),
    Int(i64),
    Computed(Expression),
}

/// A key's value.
#[derive(Debug, Clone)]
pub(crate) enum KeyValue<'a> {
    Text(std::borrow::Cow<'a, str>),
    Int(i64),
}

impl PlaceKey {
    pub(crate) fn wants(&self, want: &mut Want) {
        if let Self::Computed(expression) = self {
            expression.wants(want);
        }
    }
}

impl Place {
    /// Adds the fields that it looks at.
    pub(crate) fn wants(&self, want: &mut Want) {
        let number = match self.access.via.unwrap_or(self.access.field) {
            Field::Number(number @ 1..32) => 1 << number,
            Field::Number(_) | Field::Named(_) => u32::MAX,
        };
        match self.root {
            Root::Resource => want.resource |= number,
            Root::Scope => want.scope |= number,
            Root::Item => want.item |= number,
            // What is within an item is read whole, and the context says that it is wanted.
            Root::Part | Root::Exemplar | Root::Cache => {}
        }
        self.keys.iter().for_each(|key| key.wants(want));
    }

    /// The context whose field it is.
    #[must_use]
    pub const fn context(&self) -> Context {
        self.context
    }

    /// Reads the value.
    ///
    /// # Errors
    /// A list read out of range, something read as a list or map that is none.
    pub fn get<'a>(&'a self, frame: &mut Frame<'_, 'a>) -> Result<Val<'a>, DataError> {
        let keys = self.keys(frame)?;
        let value = access::get(self, frame, &keys)?;
        if let Val::Value(copy @ (Value::List(_) | Value::Map(_))) = &value {
            frame.spend(access::weight(copy).unwrap_or(access::WEIGHT_MAX))?;
        }
        Ok(value)
    }

    /// Writes the value.
    ///
    /// # Errors
    /// A value of another type than the field's, nothing where the field can't be empty, a place below a scalar.
    pub fn set<'a>(&'a self, frame: &mut Frame<'_, 'a>, value: Val<'a>) -> Result<(), DataError> {
        let keys = self.keys(frame)?;
        if let Val::Value(Value::String(std::borrow::Cow::Owned(text))) = &value {
            frame.spend(text.len())?;
        }
        access::set(self, frame, &keys, value)
    }

    /// Puts a mask in the place of every text, number and byte that is there; nothing where nothing is.
    ///
    /// # Errors
    /// A field that can't hold a text.
    pub fn mask<'a>(&'a self, frame: &mut Frame<'_, 'a>, mask: &'static str) -> Result<(), DataError> {
        match self.get(frame)? {
            Val::Value(Value::Empty) => Ok(()),
            Val::Value(mut value) => {
                mask_value(&mut value, mask);
                self.set(frame, Val::Value(value))
            }
            _ => Err(DataError("this field can't hold a mask")),
        }
    }

    /// Takes everything out of the map that is there: its keys may be what is to be hidden.
    ///
    /// # Errors
    /// Something else than a map.
    pub fn clear<'a>(&'a self, frame: &mut Frame<'_, 'a>) -> Result<(), DataError> {
        let keys = self.keys(frame)?;
        if let Some(map) = access::map_mut(self, frame, &keys)? {
            map.0.clear();
        }
        Ok(())
    }

    /// Changes the map that is there.
    ///
    /// # Errors
    /// Nothing, or something else than a map.
    pub fn edit_map<'a, T>(
        &'a self,
        frame: &mut Frame<'_, 'a>,
        edit: impl FnOnce(&mut Map<'a>) -> Result<T, DataError>,
    ) -> Result<T, DataError> {
        let keys = self.keys(frame)?;
        match access::map_mut(self, frame, &keys)? {
            Some(map) => edit(map),
            None => Err(DataError("expected a map")),
        }
    }

    fn keys<'a>(&'a self, frame: &mut Frame<'_, 'a>) -> Result<Vec<KeyValue<'a>>, DataError> {
        computed(&self.keys, frame)
    }
}

/// Masks everything in a value, whatever its depth.
fn mask_value(value: &mut Value<'_>, mask: &'static str) {
    match value {
        Value::Empty => {}
        Value::Map(map) => map.0.iter_mut().for_each(|(_, value)| mask_value(value, mask)),
        Value::List(items) => items.iter_mut().for_each(|item| mask_value(item, mask)),
        other => *other = Value::String(mask.into()),
    }
}

/// What keys lead to; nothing below what is absent.
pub(crate) fn step<'v, 'a>(value: &'v Value<'a>, keys: &[KeyValue<'_>]) -> Result<&'v Value<'a>, DataError> {
    let mut current = value;
    for key in keys {
        current = match (current, key) {
            (Value::Map(map), KeyValue::Text(key)) => match map.get(key) {
                Some(value) => value,
                None => return Ok(&Value::Empty),
            },
            (Value::List(items), KeyValue::Int(at)) => {
                usize::try_from(*at).ok().and_then(|at| items.get(at)).ok_or(DataError("index out of range"))?
            }
            (Value::Empty, _) => return Ok(&Value::Empty),
            (Value::Map(_), _) => return Err(DataError("a map is not indexed by number")),
            (Value::List(_), _) => return Err(DataError("a list is not indexed by text")),
            _ => return Err(DataError("this type can't be indexed")),
        };
    }
    Ok(current)
}

/// The place that keys lead to, made where it is absent.
pub(crate) fn reach<'v, 'a>(value: &'v mut Value<'a>, keys: &[KeyValue<'a>]) -> Result<&'v mut Value<'a>, DataError> {
    let mut current = value;
    for key in keys {
        if matches!(current, Value::Empty) {
            *current = match key {
                KeyValue::Text(_) => Value::Map(Map::default()),
                KeyValue::Int(at) => {
                    let length = usize::try_from(*at).ok().filter(|at| *at < MADE_LIST_MAX);
                    let length = length.ok_or(DataError("a list of this length is not made"))? + 1;
                    Value::List(vec![Value::Empty; length])
                }
            };
        }
        current = match (current, key) {
            (Value::Map(map), KeyValue::Text(key)) => map.entry(key.clone()),
            (Value::List(items), KeyValue::Int(at)) => {
                usize::try_from(*at).ok().and_then(|at| items.get_mut(at)).ok_or(DataError("index out of range"))?
            }
            _ => return Err(DataError("nothing can be set below this type")),
        };
    }
    Ok(current)
}

/// What keys take out of a computed value.
pub(crate) fn step_keys<'a>(value: Val<'a>, keys: &'a [PlaceKey], frame: &mut Frame<'_, 'a>) -> Result<Val<'a>, DataError> {
    let keys = computed(keys, frame)?;
    match value {
        Val::Value(value) => Ok(Val::Value(step(&value, &keys)?.clone())),
        _ => Err(DataError("this type can't be indexed")),
    }
}

fn computed<'a>(keys: &'a [PlaceKey], frame: &mut Frame<'_, 'a>) -> Result<Vec<KeyValue<'a>>, DataError> {
    let mut values = Vec::with_capacity(keys.len());
    for key in keys {
        values.push(match key {
            PlaceKey::Text(text) => KeyValue::Text(text.as_str().into()),
            PlaceKey::Int(number) => KeyValue::Int(*number),
            PlaceKey::Computed(expression) => match expression.eval(frame)? {
                Val::Value(Value::String(text)) => KeyValue::Text(text),
                Val::Value(Value::Int(number)) => KeyValue::Int(number),
                _ => return Err(DataError("a key is neither a text nor a whole number")),
            },
        });
    }
    Ok(values)
}
