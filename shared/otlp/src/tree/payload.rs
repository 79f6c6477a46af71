//! A whole export request as groups of items.

use std::borrow::Cow;

use spanlake_model::Signal;

use super::decode::text;
use super::encode::nested;
use super::{Node, Want};
use crate::schema::{self, Message, RESOURCE, SCOPE};
use crate::wire::{Reader, Value as Wire, WireError, put_nested};

/// How many bytes the length of a group of items, and of an item, mostly takes.
const CONTAINER_WIDTH: usize = 3;
const ITEM_WIDTH: usize = 2;

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
    /// Reads an export request, as far as it is wanted.
    ///
    /// # Errors
    /// Bytes that are no such message.
    pub fn decode(signal: Signal, bytes: &'a [u8], want: Want) -> Result<Self, WireError> {
        let mut payload = Self { signal, groups: Vec::new() };
        let mut origin = 0;
        for bytes in Container::read(bytes, 1)?.children {
            let outer = Container::read(bytes, 2)?;
            let mut scopes = Vec::with_capacity(outer.children.len());
            for bytes in &outer.children {
                let inner = Container::read(bytes, 2)?;
                let mut items = Vec::with_capacity(inner.children.len());
                for bytes in &inner.children {
                    let mut node = Node::new(schema::item(signal));
                    node.merge_some(bytes, want.item)?;
                    items.push(Entry { node, origin });
                    origin = origin.saturating_add(1);
                }
                let (scope, schema_url) = inner.head(&SCOPE, want.scope)?;
                scopes.push(ScopeGroup { scope, schema_url, items });
            }
            let (resource, schema_url) = outer.head(&RESOURCE, want.resource)?;
            payload.groups.push(ResourceGroup { resource, schema_url, scopes });
        }
        Ok(payload)
    }

    /// How many items.
    #[must_use]
    pub fn items(&self) -> usize {
        self.groups.iter().flat_map(|group| &group.scopes).map(|scope| scope.items.len()).sum()
    }

    /// See [`Node::dedupe`].
    pub fn dedupe(&mut self) {
        for group in &mut self.groups {
            group.resource.dedupe();
            for scope in &mut group.scopes {
                scope.scope.dedupe();
                scope.items.iter_mut().for_each(|item| item.node.dedupe());
            }
        }
    }

    /// Appends the request's bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let _all_fit = self.encode_within(usize::MAX, out);
    }

    /// Appends the request's bytes, as far as `out` does not become longer than this; the origins of the items that are left
    /// out come back.
    #[must_use]
    pub fn encode_within(&self, bytes_max: usize, out: &mut Vec<u8>) -> Vec<u32> {
        let mut left_out = Vec::new();
        for group in &self.groups {
            put_nested(CONTAINER_WIDTH, 1, out, |out| {
                nested(1, out, |out| group.resource.encode(out));
                for scope in &group.scopes {
                    put_nested(CONTAINER_WIDTH, 2, out, |out| {
                        nested(1, out, |out| scope.scope.encode(out));
                        for item in &scope.items {
                            let length = out.len();
                            put_nested(ITEM_WIDTH, 2, out, |out| item.node.encode(out));
                            if out.len() > bytes_max {
                                out.truncate(length);
                                left_out.push(item.origin);
                            }
                        }
                        put_text(3, &scope.schema_url, out);
                    });
                }
                put_text(3, &group.schema_url, out);
            });
        }
        left_out
    }
}

fn put_text(number: u32, text: &str, out: &mut Vec<u8>) {
    if !text.is_empty() {
        crate::wire::put_len(out, number, text.as_bytes());
    }
}

/// An export request, or one of its two levels below: they number their fields alike in all three signals.
struct Container<'a> {
    /// What its items have in common: `Resource` or `InstrumentationScope`, perhaps in pieces.
    heads: Vec<&'a [u8]>,
    children: Vec<&'a [u8]>,
    schema_url: &'a [u8],
}

impl<'a> Container<'a> {
    /// `child` is the number of the list of what is below.
    fn read(bytes: &'a [u8], child: u32) -> Result<Self, WireError> {
        let mut container = Self { heads: Vec::new(), children: Vec::new(), schema_url: &[] };
        let mut fields = Reader::new(bytes);
        while let Some(field) = fields.next()? {
            match (field.number, field.value) {
                (number, Wire::Len(message)) if number == child => container.children.push(message),
                (1, Wire::Len(head)) => container.heads.push(head),
                (3, Wire::Len(url)) => container.schema_url = url,
                _ => {}
            }
        }
        Ok(container)
    }

    fn head(&self, schema: &'static Message, want: u32) -> Result<(Node<'a>, Cow<'a, str>), WireError> {
        let mut node = Node::new(schema);
        for head in &self.heads {
            node.merge_some(head, want)?;
        }
        Ok((node, text(self.schema_url)))
    }
}
