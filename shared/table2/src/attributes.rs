//! The attributes of one resource, scope, item, event or link: read, sorted, each key once.

use spanlake_otlp::wire::WireError;

use crate::columns::MapCells;
use crate::text::{AnyValue, Arena, Text, key_value};

/// One attribute.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attribute<'a> {
    pub(crate) key: Text<'a>,
    /// Canonical text; `None` for the empty value.
    pub(crate) value: Option<Text<'a>>,
    /// The value, if it is an integer.
    pub(crate) int: Option<i64>,
    /// Whether it has a column of its own and stays out of the map.
    pub(crate) is_promoted: bool,
}

/// Reads a `KeyValue` message.
pub(crate) fn read<'a>(message: &'a [u8], arena: &mut Arena) -> Result<Attribute<'a>, WireError> {
    let (key, value) = key_value(message)?;
    let int = if let AnyValue::Int(value) = value { Some(value) } else { None };
    Ok(Attribute { key: arena.utf8(key), value: arena.value(value)?, int, is_promoted: false })
}

/// Sorts by key; of equal keys the last one stays.
pub(crate) fn sort(attributes: &mut Vec<Attribute<'_>>, arena: &Arena) {
    attributes.sort_by(|a, b| arena.get(a.key).cmp(arena.get(b.key)));
    attributes.dedup_by(|later, earlier| {
        let is_same = arena.get(later.key) == arena.get(earlier.key);
        if is_same {
            *earlier = *later;
        }
        is_same
    });
}

/// Writes those that have no column of their own.
pub(crate) fn write(attributes: &[Attribute<'_>], arena: &Arena, map: Option<&mut MapCells>) {
    let Some(map) = map else { return };
    for attribute in attributes.iter().filter(|attribute| !attribute.is_promoted) {
        map.entry(arena.get(attribute.key), attribute.value.map(|value| arena.get(value)));
    }
}
