//! A map that is being made, with an index of its keys: a large one is not searched from its start for every key.

use std::borrow::Cow;
use std::collections::BTreeMap;

use spanlake_otlp::tree::{Map, Value};

use super::bounds;
use crate::error::DataError;

/// A map and where its keys are.
#[derive(Default)]
pub(super) struct Keyed<'a> {
    map: Map<'a>,
    places: BTreeMap<Cow<'a, str>, usize>,
}

impl<'a> Keyed<'a> {
    /// A map that is there already; of several values of one key the first counts.
    pub(super) fn new(map: Map<'a>) -> Self {
        let mut places = BTreeMap::new();
        for (place, (key, _)) in map.0.iter().enumerate() {
            places.entry(key.clone()).or_insert(place);
        }
        Self { map, places }
    }

    /// Whether a key is there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.places.contains_key(key)
    }

    /// Sets a value: a new key goes to the end.
    ///
    /// # Errors
    /// More keys than a function makes.
    pub(super) fn set(&mut self, key: Cow<'a, str>, value: Value<'a>) -> Result<(), DataError> {
        if let Some(place) = self.places.get(&key) {
            if let Some((_, present)) = self.map.0.get_mut(*place) {
                *present = value;
            }
            return Ok(());
        }
        bounds::items(self.map.len() + 1)?;
        self.places.insert(key.clone(), self.map.len());
        self.map.0.push((key, value));
        Ok(())
    }

    /// The map.
    pub(super) fn into_map(self) -> Map<'a> {
        self.map
    }
}
