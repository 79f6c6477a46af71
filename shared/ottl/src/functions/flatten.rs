//! `flatten`: what is nested moves to the top of its map.

use std::borrow::Cow;
use std::collections::BTreeMap;

use spanlake_otlp::tree::{Map, Value};

use super::bounds::{BYTES_MAX, TOO_LARGE};
use super::keyed::Keyed;
use crate::error::DataError;
use crate::frame::Frame;
use crate::function::{Args, Argument, Function, Kind, Param};

/// The editor of this file.
pub(super) const ALL: &[Function] = &[Function::editor(
    "flatten",
    &[
        Param::new("target", Kind::Target),
        Param::optional("prefix", Kind::Text),
        Param::optional("depth", Kind::Int),
        Param::optional("resolve_conflicts", Kind::Bool),
    ],
    flatten,
)
.checked(check_flatten)];

fn check_flatten(arguments: &[Argument]) -> Result<(), String> {
    match arguments {
        [_, _, Argument::Int(depth), _] if *depth < 0 => Err("the depth is negative".to_owned()),
        _ => Ok(()),
    }
}

fn flatten<'a>(args: &mut Args<'a>, frame: &mut Frame<'_, 'a>) -> Result<(), DataError> {
    let mut flat = Flat {
        out: Keyed::default(),
        seen: BTreeMap::new(),
        resolves: args.bool(3).unwrap_or(false),
        depth_max: args.int(2).map_or(usize::MAX, |depth| usize::try_from(depth).unwrap_or(0)),
        bytes_left: BYTES_MAX,
    };
    let prefix = args.text(1).unwrap_or_default();
    args.target(0)?.edit_map(frame, |map| {
        let before = map.clone();
        flat.map(before, prefix, 0)?;
        *map = flat.out.into_map();
        Ok(())
    })
}

/// A map that is being flattened.
struct Flat<'a> {
    out: Keyed<'a>,
    /// With conflicts resolved: keys and the number that the next of the same name gets.
    seen: BTreeMap<String, usize>,
    resolves: bool,
    depth_max: usize,
    /// What keys may still take.
    bytes_left: usize,
}

impl<'a> Flat<'a> {
    fn map(&mut self, map: Map<'a>, prefix: &str, depth: usize) -> Result<(), DataError> {
        for (key, value) in map.0 {
            let key = if prefix.is_empty() { key } else { Cow::Owned(format!("{prefix}.{key}")) };
            match value {
                Value::Map(inner) if depth < self.depth_max => self.map(inner, &key, depth + 1)?,
                Value::List(items) if depth < self.depth_max => self.list(items, &key, ".", depth + 1)?,
                value => self.put(key, value)?,
            }
        }
        Ok(())
    }

    /// A list's elements by their indices, behind a dot. The Collector joins those of a list in a list without one.
    fn list(&mut self, items: Vec<Value<'a>>, prefix: &str, dot: &str, depth: usize) -> Result<(), DataError> {
        for (at, value) in items.into_iter().enumerate() {
            let key = format!("{prefix}{dot}{at}");
            match value {
                Value::Map(inner) if depth < self.depth_max => self.map(inner, &key, depth + 1)?,
                Value::List(inner) if depth < self.depth_max => self.list(inner, &key, "", depth + 1)?,
                value if self.resolves => self.put(Cow::Owned(prefix.to_owned()), value)?,
                value => self.put(Cow::Owned(key), value)?,
            }
        }
        Ok(())
    }

    fn put(&mut self, key: Cow<'a, str>, value: Value<'a>) -> Result<(), DataError> {
        self.bytes_left = self.bytes_left.checked_sub(key.len()).ok_or(TOO_LARGE)?;
        if !self.resolves {
            return self.out.set(key, value);
        }
        let key = if let Some(number) = self.seen.get_mut(key.as_ref()) {
            let numbered = format!("{key}.{number}");
            *number += 1;
            Cow::Owned(numbered)
        } else {
            self.seen.insert(key.clone().into_owned(), 0);
            key
        };
        self.out.set(key, value)
    }
}
