//! Reading JSON into values: every number is one with a fraction, as in the Collector.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use spanlake_otlp::tree::Value;

use super::bounds::DEPTH_MAX;
use super::keyed::Keyed;

/// Reads a text that is a JSON object or array; `None` for anything else, and for what is nested too deep or too large.
pub(super) fn read(text: &str) -> Option<Value<'static>> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Seed { depth: 1 }.deserialize(&mut reader).ok()?;
    reader.end().ok()?;
    matches!(value, Value::List(_) | Value::Map(_)).then_some(value)
}

#[derive(Clone, Copy)]
struct Seed {
    depth: usize,
}

impl Seed {
    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        if self.depth < DEPTH_MAX { Ok(Self { depth: self.depth + 1 }) } else { Err(E::custom("nested too deep")) }
    }
}

impl<'de> DeserializeSeed<'de> for Seed {
    type Value = Value<'static>;

    fn deserialize<D: de::Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed {
    type Value = Value<'static>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Value::Bool(value))
    }

    #[expect(clippy::cast_precision_loss, reason = "what Go's conversion does too")]
    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Value::Double(value as f64))
    }

    #[expect(clippy::cast_precision_loss, reason = "what Go's conversion does too")]
    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Value::Double(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Value::Double(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Value::String(Cow::Owned(value.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Value::Empty)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let seed = self.deeper()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(seed)? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let seed = self.deeper()?;
        let mut map = Keyed::default();
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(seed)?;
            map.set(Cow::Owned(key), value).map_err(|_| de::Error::custom("too large"))?;
        }
        Ok(Value::Map(map.into_map()))
    }
}
