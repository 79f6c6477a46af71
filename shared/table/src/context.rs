//! Resource and scope of items, read once for all of them.

use spanlake_otlp::wire::{Reader, Value, WireError};

use crate::any::{Any, Attribute, lossy, sort_distinct};
use crate::attributes::Attributes;
use crate::columns::Row;
use crate::promote::{Promotions, RESOURCE_RULES};
use crate::write::Context;

/// A parsed [`Context`].
#[derive(Default)]
pub(crate) struct Parsed {
    /// One text for each of [`RESOURCE_RULES`].
    place: Vec<Option<String>>,
    resource: Vec<(String, Option<String>)>,
    scope: Vec<(String, Option<String>)>,
    scope_name: String,
    scope_version: String,
    /// Every attribute of the resource and the scope, for the series' hash.
    pub(crate) series: Vec<u8>,
    /// Bytes that a row of this context holds beside its item's own.
    pub(crate) bytes: usize,
}

impl Parsed {
    pub(crate) fn read(context: &Context<'_>, promotions: &Promotions) -> Result<Self, WireError> {
        let mut parsed = Self::default();
        let mut resource = Attributes::new();
        let mut reader = Reader::new(context.resource);
        while let Some(field) = reader.next()? {
            if let (1, Value::Len(attribute)) = (field.number, field.value) {
                resource.push(attribute)?;
            }
        }
        resource.promote(promotions, 0);
        hash_attributes(&mut parsed.series, resource.all());
        parsed.place = (0..RESOURCE_RULES.len()).map(|rule| resource.promoted_text(rule).map(Into::into)).collect();
        parsed.resource = owned(resource.take_chosen());

        let mut scope = Vec::new();
        let mut reader = Reader::new(context.scope);
        while let Some(field) = reader.next()? {
            match (field.number, field.value) {
                (1, Value::Len(name)) => parsed.scope_name = lossy(name).into(),
                (2, Value::Len(version)) => parsed.scope_version = lossy(version).into(),
                (3, Value::Len(attribute)) => scope.push(Attribute::read(attribute)?),
                _ => {}
            }
        }
        sort_distinct(&mut scope);
        hash_text(&mut parsed.series, &parsed.scope_name);
        hash_text(&mut parsed.series, &parsed.scope_version);
        hash_attributes(&mut parsed.series, &scope);
        parsed.scope = owned(&scope);
        parsed.bytes = context.resource.len() + context.scope.len();
        Ok(parsed)
    }

    pub(crate) fn service(&self) -> Option<&str> {
        self.place.first().and_then(Option::as_deref)
    }

    pub(crate) fn write_place(&self, row: &mut Row<'_>) {
        for rule in 0..RESOURCE_RULES.len() {
            row.text(self.place.get(rule).and_then(Option::as_deref));
        }
    }

    /// The columns after the item's own attributes.
    pub(crate) fn write_rest(&self, row: &mut Row<'_>) {
        row.pairs(&self.resource);
        row.pairs(&self.scope);
        row.text_or_null(&self.scope_name);
        row.text_or_null(&self.scope_version);
    }
}

fn owned(attributes: &[Attribute<'_>]) -> Vec<(String, Option<String>)> {
    attributes
        .iter()
        .map(|attribute| {
            let value = (attribute.value != Any::Empty).then(|| attribute.value.text().into());
            (attribute.key.clone().into(), value)
        })
        .collect()
}

/// Lengths keep neighbouring texts apart.
pub(crate) fn hash_text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as u64).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

pub(crate) fn hash_attributes(out: &mut Vec<u8>, attributes: &[Attribute<'_>]) {
    out.extend_from_slice(&(attributes.len() as u64).to_le_bytes());
    for attribute in attributes {
        hash_text(out, &attribute.key);
        hash_text(out, attribute.value.type_name().unwrap_or_default());
        hash_text(out, &attribute.value.text());
    }
}
