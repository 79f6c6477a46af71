//! A whole export request as groups of items.

use std::borrow::Cow;

use spanlake_model::Signal;

use super::{Node, Slot};
use crate::schema::{self, Kind, Message, RESOURCE, SCOPE};
use crate::wire::{Reader, Value as Wire, WireError};

/// An export request, or a record's payload, which has its form.
#[derive(Debug, Clone, PartialEq)]
pub struct Payload<'a> {
    /// What its items are.
    pub signal: Signal,
    /// `Resource*` messages, in their order.
    pub groups: Vec<ResourceGroup<'a>>,
}

/// A `ResourceSpans`, `ResourceLogs` or `ResourceMetrics`.
#[derive(Debug, Clone, PartialEq)]
pub struct ResourceGroup<'a> {
    /// The `Resource`.
    pub resource: Node<'a>,
    /// Its `schema_url`.
    pub schema_url: Cow<'a, str>,
    /// `Scope*` messages, in their order.
    pub scopes: Vec<ScopeGroup<'a>>,
}

/// A `ScopeSpans`, `ScopeLogs` or `ScopeMetrics`.
#[derive(Debug, Clone, PartialEq)]
pub struct ScopeGroup<'a> {
    /// The `InstrumentationScope`.
    pub scope: Node<'a>,
    /// Its `schema_url`.
    pub schema_url: Cow<'a, str>,
    /// The items, in their order.
    pub items: Vec<Entry<'a>>,
}

/// An item and where it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry<'a> {
    /// The `Span`, `LogRecord` or `Metric`.
    pub node: Node<'a>,
    /// Its place among all items that were read.
    pub origin: u32,
}

impl<'a> Payload<'a> {
    /// Reads an export request.
    ///
    /// # Errors
    /// Bytes that are no such message.
    pub fn decode(signal: Signal, bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut payload = Self { signal, groups: Vec::new() };
        let mut origin = 0;
        for bytes in messages(bytes, 1)? {
            let mut group = ResourceGroup { resource: Node::new(&RESOURCE), schema_url: Cow::Borrowed(""), scopes: Vec::new() };
            // The tables of all three signals number these fields alike.
            let holder = resource_message(signal);
            let mut fields = Node::new(holder);
            shallow(&mut fields, bytes)?;
            if let Some(Slot::Node(resource)) = fields.remove(1) {
                group.resource = resource;
            }
            if let Some(Slot::Text(url)) = fields.remove(3) {
                group.schema_url = url;
            }
            for bytes in messages(bytes, 2)? {
                group.scopes.push(scope_group(signal, bytes, &mut origin)?);
            }
            payload.groups.push(group);
        }
        Ok(payload)
    }

    /// How many items.
    #[must_use]
    pub fn items(&self) -> usize {
        self.groups.iter().flat_map(|group| &group.scopes).map(|scope| scope.items.len()).sum()
    }

    /// Appends the request's bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        for group in &self.groups {
            super::encode::nested(1, out, |out| {
                super::encode::nested(1, out, |out| group.resource.encode(out));
                for scope in &group.scopes {
                    super::encode::nested(2, out, |out| {
                        super::encode::nested(1, out, |out| scope.scope.encode(out));
                        for item in &scope.items {
                            super::encode::nested(2, out, |out| item.node.encode(out));
                        }
                        put_text(3, &scope.schema_url, out);
                    });
                }
                put_text(3, &group.schema_url, out);
            });
        }
    }
}

fn put_text(number: u32, text: &str, out: &mut Vec<u8>) {
    if !text.is_empty() {
        crate::wire::put_len(out, number, text.as_bytes());
    }
}

fn scope_group<'a>(signal: Signal, bytes: &'a [u8], origin: &mut u32) -> Result<ScopeGroup<'a>, WireError> {
    let mut group = ScopeGroup { scope: Node::new(&SCOPE), schema_url: Cow::Borrowed(""), items: Vec::new() };
    let mut fields = Node::new(scope_message(signal));
    shallow(&mut fields, bytes)?;
    if let Some(Slot::Node(scope)) = fields.remove(1) {
        group.scope = scope;
    }
    if let Some(Slot::Text(url)) = fields.remove(3) {
        group.schema_url = url;
    }
    for bytes in messages(bytes, 2)? {
        group.items.push(Entry { node: Node::decode(schema::item(signal), bytes)?, origin: *origin });
        *origin = origin.saturating_add(1);
    }
    Ok(group)
}

/// Reads everything of a message but its lists of messages.
fn shallow<'a>(node: &mut Node<'a>, bytes: &'a [u8]) -> Result<(), WireError> {
    let mut fields = Reader::new(bytes);
    while let Some(field) = fields.next()? {
        let known = node.schema().field(field.number);
        if let Some(known) = known.filter(|known| !(known.repeated && matches!(known.kind, Kind::Message(_)))) {
            node.take(known, field.value, 0)?;
        }
    }
    Ok(())
}

/// The payloads of all fields of this number.
fn messages(bytes: &[u8], number: u32) -> Result<Vec<&[u8]>, WireError> {
    let mut all = Vec::new();
    let mut fields = Reader::new(bytes);
    while let Some(field) = fields.next()? {
        if let (true, Wire::Len(message)) = (field.number == number, field.value) {
            all.push(message);
        }
    }
    Ok(all)
}

const fn resource_message(signal: Signal) -> &'static Message {
    match signal {
        Signal::Traces => &schema::RESOURCE_SPANS,
        Signal::Logs => &schema::RESOURCE_LOGS,
        Signal::Metrics => &schema::RESOURCE_METRICS,
    }
}

const fn scope_message(signal: Signal) -> &'static Message {
    match signal {
        Signal::Traces => &schema::SCOPE_SPANS,
        Signal::Logs => &schema::SCOPE_LOGS,
        Signal::Metrics => &schema::SCOPE_METRICS,
    }
}
