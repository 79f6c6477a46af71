//! Resources and scopes: read once, written with every row.

use std::collections::BTreeSet;

use spanlake_otlp::wire::{Reader, Value, WireError};

use crate::attributes::{self, Attribute};
use crate::columns::{Columns, MapCells};
use crate::items::Context;
use crate::promote::{Promoted, Promoter, RESOURCE};
use crate::schema::{Column, SPANS, position};
use crate::text::Arena;

/// Where the columns of a resource and a scope begin in a table of items; each group is in one order everywhere.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ContextColumns {
    service: usize,
    resource_attributes: usize,
    scope_attributes: usize,
    scope_name: usize,
    scope_version: usize,
}

impl ContextColumns {
    pub(crate) const fn of(columns: &[Column]) -> Self {
        Self {
            service: position(columns, "service_name"),
            resource_attributes: position(columns, "resource_attributes"),
            scope_attributes: position(columns, "scope_attributes"),
            scope_name: position(columns, "scope_name"),
            scope_version: position(columns, "scope_version"),
        }
    }
}

/// A resource and a scope, ready to be written.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    /// Column, counted from `service_name`, and text.
    promoted: Vec<(usize, String)>,
    resource: Vec<(String, Option<String>)>,
    scope: Vec<(String, Option<String>)>,
    scope_name: String,
    scope_version: String,
    /// The rank of its service among all services of the file.
    pub(crate) service_rank: usize,
    /// Tells resources and scopes apart in a series' hash.
    pub(crate) identity: Vec<u8>,
}

/// Prepares all contexts; `None` for one that is malformed, whose items are then bad.
pub(crate) fn prepare(contexts: &[Context<'_>]) -> Vec<Option<Prepared>> {
    let mut promoter = Promoter::new(RESOURCE, SPANS.columns);
    let mut all: Vec<_> = contexts.iter().map(|context| Prepared::read(context, &mut promoter).ok()).collect();
    let services: BTreeSet<String> = all.iter().flatten().map(|prepared| prepared.service().to_owned()).collect();
    let services: Vec<String> = services.into_iter().collect();
    for prepared in all.iter_mut().flatten() {
        let service = prepared.service();
        prepared.service_rank = services.partition_point(|other| other.as_str() < service);
    }
    all
}

impl Prepared {
    fn read(context: &Context<'_>, promoter: &mut Promoter) -> Result<Self, WireError> {
        const FIRST: usize = position(SPANS.columns, "service_name");
        let mut arena = Arena::default();
        let mut prepared = Self::default();
        let mut group = Vec::new();
        let mut reader = Reader::new(context.resource);
        while let Some(field) = reader.next()? {
            if let (1, Value::Len(bytes)) = (field.number, field.value) {
                group.push(attributes::read(bytes, &mut arena)?);
            }
        }
        attributes::sort(&mut group, &arena);
        promoter.promote(&mut group, &arena, false, |column, value| {
            if let Promoted::Text(text) = value {
                prepared.promoted.push((column.saturating_sub(FIRST), text.to_owned()));
            }
        });
        identify(&mut prepared.identity, &group, &arena);
        prepared.resource = owned(&group, &arena);

        group.clear();
        let mut reader = Reader::new(context.scope);
        while let Some(field) = reader.next()? {
            match (field.number, field.value) {
                (1, Value::Len(bytes)) => prepared.scope_name = String::from_utf8_lossy(bytes).into_owned(),
                (2, Value::Len(bytes)) => prepared.scope_version = String::from_utf8_lossy(bytes).into_owned(),
                (3, Value::Len(bytes)) => group.push(attributes::read(bytes, &mut arena)?),
                _ => {}
            }
        }
        attributes::sort(&mut group, &arena);
        put_text(&mut prepared.identity, &prepared.scope_name);
        put_text(&mut prepared.identity, &prepared.scope_version);
        identify(&mut prepared.identity, &group, &arena);
        prepared.scope = owned(&group, &arena);
        Ok(prepared)
    }

    fn service(&self) -> &str {
        self.promoted.iter().find(|(column, _)| *column == 0).map(|(_, text)| text.as_str()).unwrap_or_default()
    }

    /// Writes the columns of resource and scope.
    pub(crate) fn write(&self, columns: &mut Columns, at: ContextColumns) {
        for (column, text) in &self.promoted {
            columns.set_str(at.service + column, text);
        }
        write_map(&self.resource, columns.map(at.resource_attributes));
        write_map(&self.scope, columns.map(at.scope_attributes));
        columns.set_nonempty(at.scope_name, &self.scope_name);
        columns.set_nonempty(at.scope_version, &self.scope_version);
    }
}

fn owned(group: &[Attribute<'_>], arena: &Arena) -> Vec<(String, Option<String>)> {
    let rest = group.iter().filter(|attribute| !attribute.is_promoted);
    rest.map(|attribute| (arena.get(attribute.key).to_owned(), attribute.value.map(|value| arena.get(value).to_owned())))
        .collect()
}

fn write_map(pairs: &[(String, Option<String>)], map: Option<&mut MapCells>) {
    let Some(map) = map else { return };
    for (key, value) in pairs {
        map.entry(key, value.as_deref());
    }
}

/// Appends attributes to what a series' hash is made of.
pub(crate) fn identify(out: &mut Vec<u8>, group: &[Attribute<'_>], arena: &Arena) {
    out.extend_from_slice(&(group.len() as u64).to_le_bytes());
    for attribute in group {
        put_text(out, arena.get(attribute.key));
        put_text(out, attribute.value.map(|value| arena.get(value)).unwrap_or_default());
    }
}

/// Appends a text with its length, so that neighbours cannot run together.
pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as u64).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}
