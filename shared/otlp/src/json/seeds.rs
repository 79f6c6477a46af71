//! How serde walks a request: one seed per place, each knowing the field that it reads.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{LimitPassed, Reason, State, value};
use crate::schema::{self, Field, Kind, Message};

/// What an error says is never shown: it could quote the request.
const REFUSED: &str = "refused";

/// The request itself.
pub(super) struct Request<'s, 'l>(pub(super) &'s mut State<'l>);

impl<'de> DeserializeSeed<'de> for Request<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let message = schema::request(self.0.signal);
        Object { state: self.0, message, depth: 0 }.deserialize(deserializer)
    }
}

/// The content of a message, from an object; `null` is an empty message.
pub(super) struct Object<'s, 'l> {
    pub(super) state: &'s mut State<'l>,
    pub(super) message: &'static Message,
    /// How many values are around it.
    pub(super) depth: u32,
}

impl<'de> DeserializeSeed<'de> for Object<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Object<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { state, message, depth } = self;
        let mut written = Written::default();
        while let Some(key) = map.next_key_seed(Key(message))? {
            let Some(field) = key else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let start = state.out.len();
            map.next_value_seed(FieldValue { state: &mut *state, field, depth })?;
            written.note(field.number, start, state.out.len());
        }
        written.keep_the_last(&mut state.out);
        Ok(())
    }
}

/// Where each field of an object was written, so that a key that comes again replaces what it wrote first.
#[derive(Default)]
struct Written {
    last: [(usize, usize); 17],
    replaced: Vec<(usize, usize)>,
}

impl Written {
    fn note(&mut self, number: u32, start: usize, end: usize) {
        let Some(last) = self.last.get_mut(number as usize) else { return };
        if last.0 < last.1 {
            self.replaced.push(*last);
        }
        *last = (start, end);
    }

    fn keep_the_last(mut self, out: &mut Vec<u8>) {
        self.replaced.sort_unstable();
        let Some((first, _)) = self.replaced.first() else { return };
        let mut to = *first;
        let starts = self.replaced.iter().map(|(start, _)| *start).skip(1).chain([out.len()]);
        for (from, until) in self.replaced.iter().map(|(_, end)| *end).zip(starts) {
            out.copy_within(from..until, to);
            to += until - from;
        }
        out.truncate(to);
    }
}

/// A key: the field that it names, if any.
struct Key(&'static Message);

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Option<&'static Field>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key {
    type Value = Option<&'static Field>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.field_by_json(name))
    }
}

/// What stands at a field's key: a list, a value, or `null` for its absence.
struct FieldValue<'s, 'l> {
    state: &'s mut State<'l>,
    field: &'static Field,
    depth: u32,
}

impl<'de> DeserializeSeed<'de> for FieldValue<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let Self { state, field, depth } = self;
        if field.repeated {
            deserializer.deserialize_any(List { state, field, depth })
        } else {
            One { state, field, depth, element: false }.deserialize(deserializer)
        }
    }
}

struct List<'s, 'l> {
    state: &'s mut State<'l>,
    field: &'static Field,
    depth: u32,
}

impl<'de> Visitor<'de> for List<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self { state, field, depth } = self;
        if matches!(field.kind, Kind::Message(message) if std::ptr::eq(message, schema::item(state.signal))) {
            while let Some(raw) = list.next_element::<&RawValue>()? {
                state.item(field.number, raw).map_err(|_| A::Error::custom(REFUSED))?;
            }
            return Ok(());
        }
        while list.next_element_seed(One { state: &mut *state, field, depth, element: true })?.is_some() {}
        Ok(())
    }
}

/// A single value: a field's, or an element of a list (for which `null` is the default).
struct One<'s, 'l> {
    state: &'s mut State<'l>,
    field: &'static Field,
    depth: u32,
    element: bool,
}

impl<'de> DeserializeSeed<'de> for One<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl One<'_, '_> {
    /// Counts what is about to be written against the limits.
    fn count(&mut self) -> Result<(), ()> {
        let state = &mut *self.state;
        let limits = state.limits;
        let Kind::Message(message) = self.field.kind else {
            state.elements += u32::from(self.field.repeated);
            return if state.elements > limits.elements { state.refuse(Reason::Elements) } else { Ok(()) };
        };
        let is = |other: &'static Message| std::ptr::eq(message, other);
        if state.groups.iter().flatten().any(|group| is(group)) {
            state.contexts += 1;
            if state.contexts > limits.contexts {
                state.passed = Some(LimitPassed { what: "resources and scopes", limit: u64::from(limits.contexts) });
                return Err(());
            }
            return Ok(());
        }
        if is(&schema::RESOURCE) || is(&schema::SCOPE) {
            (state.attributes, state.elements) = (0, 0);
        }
        state.elements += 1;
        state.attributes += u32::from(is(&schema::KEY_VALUE));
        if state.elements > limits.elements {
            state.refuse(Reason::Elements)
        } else if state.attributes > limits.attributes {
            state.refuse(Reason::Attributes)
        } else if is(&schema::ANY_VALUE) && self.depth >= limits.depth {
            state.refuse(Reason::Depth)
        } else {
            Ok(())
        }
    }

    fn put<E: Error>(mut self, put: impl FnOnce(&'static Field, &mut Vec<u8>) -> Option<()>) -> Result<(), E> {
        self.count().map_err(|()| E::custom(REFUSED))?;
        put(self.field, &mut self.state.out).ok_or_else(|| E::custom(REFUSED))
    }
}

impl State<'_> {
    /// Refuses the item that is being read, or the request if it is a resource or scope.
    fn refuse(&mut self, reason: Reason) -> Result<(), ()> {
        if self.in_item {
            self.problem = Some(reason);
            return Err(());
        }
        let (what, limit) = match reason {
            Reason::Attributes => ("attributes of a resource or scope", self.limits.attributes),
            Reason::Depth => ("levels of values in a resource or scope", self.limits.depth),
            _ => ("elements of a resource or scope", self.limits.elements),
        };
        self.passed = Some(LimitPassed { what, limit: u64::from(limit) });
        Err(())
    }
}

impl<'de> Visitor<'de> for One<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that fits the field")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        if !self.element {
            return Ok(());
        }
        self.put(|field, out| {
            value::put_default(field, out);
            Some(())
        })
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<(), E> {
        self.put(|field, out| value::put_bool(field, flag, out))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.put(|field, out| value::put_integer(field, i128::from(number), out))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.put(|field, out| value::put_integer(field, i128::from(number), out))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.put(|field, out| value::put_float(field, number, out))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.put(|field, out| value::put_text(field, text, out))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, map: A) -> Result<(), A::Error> {
        let Kind::Message(message) = self.field.kind else { return Err(A::Error::custom(REFUSED)) };
        self.count().map_err(|()| A::Error::custom(REFUSED))?;
        let depth = self.depth + u32::from(std::ptr::eq(message, &raw const schema::ANY_VALUE));
        let mark = self.state.begin(self.field.number);
        Object { state: &mut *self.state, message, depth }.visit_map(map)?;
        self.state.end(mark);
        Ok(())
    }
}
