//! A message as a tree that can be read and changed, borrowed from its bytes until it is changed.
//!
//! Driven by the schema's tables, so that spans, logs and metrics are one mechanism. What has to look at one value
//! after the other stays on the wire; this is for whoever must see a whole item, or several, before it changes one.
//! Prost's types would do the same and take three times as long: they copy every text.

mod decode;
mod encode;
mod payload;
#[cfg(test)]
mod tests;
mod text;
mod value;

use std::borrow::Cow;

pub use payload::{Entry, Payload, ResourceGroup, ScopeGroup};
pub use text::float_text;
pub use value::{Map, Value};

use crate::schema::{EXEMPLAR, Kind, METRIC, METRIC_DATA, Message, NUMBER_DATA_POINT};

/// A message: its fields in the order in which they came, each number once.
#[derive(Debug, Clone)]
pub struct Node<'a> {
    schema: &'static Message,
    slots: Vec<(u32, Slot<'a>)>,
    /// Fields that nobody wanted to see, as they stand on the wire.
    raw: Vec<&'a [u8]>,
}

/// What a field holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Slot<'a> {
    /// A `string`.
    Text(Cow<'a, str>),
    /// `bytes`, ids among them.
    Bytes(Cow<'a, [u8]>),
    /// A number of any kind, as its bits on the wire: two's complement in 64 bits, `f64::to_bits`, or zigzag for `sint32`.
    Number(u64),
    /// A list of numbers, each as above.
    Numbers(Vec<u64>),
    /// A list of texts.
    Texts(Vec<Cow<'a, str>>),
    /// A message.
    Node(Node<'a>),
    /// A list of messages.
    Nodes(Vec<Node<'a>>),
    /// A list of `KeyValue`.
    Map(Map<'a>),
    /// An `AnyValue`.
    Value(Value<'a>),
}

/// Which fields are read: bit `n` stands for field `n`. The others stay as they are, and seem to be absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Want {
    /// Fields of the `Resource`.
    pub resource: u32,
    /// Fields of the `InstrumentationScope`.
    pub scope: u32,
    /// Fields of the item. What is within them is read whole.
    pub item: u32,
}

impl Want {
    /// Every field.
    pub const ALL: Self = Self { resource: u32::MAX, scope: u32::MAX, item: u32::MAX };

    /// What either wants.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self { resource: self.resource | other.resource, scope: self.scope | other.scope, item: self.item | other.item }
    }
}

impl PartialEq for Node<'_> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.schema, other.schema) && self.slots == other.slots && self.raw == other.raw
    }
}

impl<'a> Node<'a> {
    /// An empty message.
    #[must_use]
    pub const fn new(schema: &'static Message) -> Self {
        Self { schema, slots: Vec::new(), raw: Vec::new() }
    }

    /// The message's type.
    #[must_use]
    pub const fn schema(&self) -> &'static Message {
        self.schema
    }

    /// The fields that are there.
    pub fn slots(&self) -> impl Iterator<Item = (u32, &Slot<'a>)> {
        self.slots.iter().map(|(number, slot)| (*number, slot))
    }

    /// The fields that are there, to be changed.
    pub fn slots_mut(&mut self) -> impl Iterator<Item = (u32, &mut Slot<'a>)> {
        self.slots.iter_mut().map(|(number, slot)| (*number, slot))
    }

    /// A field, if it is there.
    #[must_use]
    #[inline]
    pub fn get(&self, number: u32) -> Option<&Slot<'a>> {
        self.slots.iter().find(|(known, _)| *known == number).map(|(_, slot)| slot)
    }

    /// A field, if it is there, to be changed.
    #[inline]
    pub fn get_mut(&mut self, number: u32) -> Option<&mut Slot<'a>> {
        self.slots.iter_mut().find(|(known, _)| *known == number).map(|(_, slot)| slot)
    }

    /// Sets a field. Of a `oneof` the other fields go. Nothing happens where the type has no such field.
    pub fn set(&mut self, number: u32, slot: Slot<'a>) {
        if self.schema.field(number).is_some() {
            self.put(number, slot);
        }
    }

    /// Sets a field that the type has.
    #[inline]
    fn put(&mut self, number: u32, slot: Slot<'a>) {
        let rivals = oneof(self.schema, number);
        if !rivals.is_empty() {
            self.slots.retain(|(known, _)| *known == number || !rivals.contains(known));
        }
        match self.get_mut(number) {
            Some(present) => *present = slot,
            None => self.slots.push((number, slot)),
        }
    }

    /// A list to which more of its elements are added: mostly they follow each other.
    #[inline]
    fn grown(&mut self, number: u32) -> Option<&mut Slot<'a>> {
        match self.slots.last() {
            Some((last, _)) if *last == number => self.slots.last_mut().map(|(_, slot)| slot),
            _ => self.get_mut(number),
        }
    }

    /// Takes a field away.
    pub fn remove(&mut self, number: u32) -> Option<Slot<'a>> {
        let place = self.slots.iter().position(|(known, _)| *known == number)?;
        Some(self.slots.remove(place).1)
    }

    /// A text; empty where it is absent.
    #[must_use]
    pub fn text(&self, number: u32) -> &str {
        match self.get(number) {
            Some(Slot::Text(text)) => text,
            _ => "",
        }
    }

    /// Bytes; empty where they are absent.
    #[must_use]
    pub fn bytes(&self, number: u32) -> &[u8] {
        match self.get(number) {
            Some(Slot::Bytes(bytes)) => bytes,
            _ => &[],
        }
    }

    /// A number's bits; 0 where it is absent.
    #[must_use]
    pub fn number(&self, number: u32) -> u64 {
        match self.get(number) {
            Some(Slot::Number(bits)) => *bits,
            _ => 0,
        }
    }

    /// Attributes, if there are any.
    #[must_use]
    pub fn map(&self, number: u32) -> Option<&Map<'a>> {
        match self.get(number) {
            Some(Slot::Map(map)) => Some(map),
            _ => None,
        }
    }

    /// Attributes to be changed; made where they are absent. `None` where the type has no attributes of this number.
    pub fn map_mut(&mut self, number: u32) -> Option<&mut Map<'a>> {
        if self.get(number).is_none() {
            let field = self.schema.field(number)?;
            let is_map = field.repeated && matches!(field.kind, Kind::Message(message) if message.name == "KeyValue");
            if !is_map {
                return None;
            }
            self.slots.push((number, Slot::Map(Map::default())));
        }
        match self.get_mut(number) {
            Some(Slot::Map(map)) => Some(map),
            _ => None,
        }
    }

    /// A message, if it is there.
    #[must_use]
    pub fn node(&self, number: u32) -> Option<&Node<'a>> {
        match self.get(number) {
            Some(Slot::Node(node)) => Some(node),
            _ => None,
        }
    }

    /// A message to be changed; made where it is absent. `None` where the type has no single message of this number.
    pub fn node_mut(&mut self, number: u32) -> Option<&mut Node<'a>> {
        if self.get(number).is_none() {
            let field = self.schema.field(number)?;
            let Kind::Message(message) = field.kind else { return None };
            if field.repeated {
                return None;
            }
            self.set(number, Slot::Node(Node::new(message)));
        }
        match self.get_mut(number) {
            Some(Slot::Node(node)) => Some(node),
            _ => None,
        }
    }

    /// A list of messages; empty where it is absent.
    #[must_use]
    pub fn nodes(&self, number: u32) -> &[Node<'a>] {
        match self.get(number) {
            Some(Slot::Nodes(nodes)) => nodes,
            _ => &[],
        }
    }

    /// A list of messages to be changed, if it is there.
    pub fn nodes_mut(&mut self, number: u32) -> Option<&mut Vec<Node<'a>>> {
        match self.get_mut(number) {
            Some(Slot::Nodes(nodes)) => Some(nodes),
            _ => None,
        }
    }

    /// An `AnyValue`; empty where it is absent.
    #[must_use]
    pub fn value(&self, number: u32) -> &Value<'a> {
        match self.get(number) {
            Some(Slot::Value(value)) => value,
            _ => &Value::Empty,
        }
    }
}

impl Node<'_> {
    /// Of several attributes of one key, at any depth, the last stays: the one that tables show.
    pub fn dedupe(&mut self) {
        for (_, slot) in self.slots_mut() {
            match slot {
                Slot::Node(node) => node.dedupe(),
                Slot::Nodes(nodes) => nodes.iter_mut().for_each(Node::dedupe),
                Slot::Map(map) => map.dedupe(),
                Slot::Value(value) => value.dedupe(),
                Slot::Text(_) | Slot::Bytes(_) | Slot::Number(_) | Slot::Numbers(_) | Slot::Texts(_) => {}
            }
        }
    }
}

/// The fields of the `oneof` that a field belongs to.
#[inline]
fn oneof(message: &'static Message, number: u32) -> &'static [u32] {
    let group: &[u32] = if std::ptr::eq(message, &raw const METRIC) {
        &METRIC_DATA
    } else if std::ptr::eq(message, &raw const NUMBER_DATA_POINT) {
        &[4, 6]
    } else if std::ptr::eq(message, &raw const EXEMPLAR) {
        &[3, 6]
    } else {
        &[]
    };
    if group.contains(&number) { group } else { &[] }
}
