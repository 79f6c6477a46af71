//! Versions of rules by number: traces are many, and would compare names again and again.

use spanlake_policy::Rules;

use super::CloseError;
use crate::stage::RulesBook;

/// The place of a version in [`Versions`].
pub(super) type Version = usize;

/// Every version that a record was taken under, with its rules if they are loaded.
#[derive(Default)]
pub(super) struct Versions<'a> {
    known: Vec<(String, Option<&'a Rules>)>,
}

impl<'a> Versions<'a> {
    /// The number of a version.
    pub(super) fn number(&mut self, name: &str, book: &'a RulesBook) -> Version {
        let known = self.known.iter().position(|(known, _)| known == name);
        known.unwrap_or_else(|| {
            self.known.push((name.to_owned(), book.get(name).map(AsRef::as_ref)));
            self.known.len() - 1
        })
    }

    pub(super) fn name(&self, version: Version) -> &str {
        self.known.get(version).map_or("", |(name, _)| name)
    }

    /// Its rules; an error if they are not loaded.
    pub(super) fn rules(&self, version: Version) -> Result<&'a Rules, CloseError> {
        let loaded = self.known.get(version).and_then(|(_, rules)| *rules);
        loaded.ok_or_else(|| CloseError::UnknownRules(self.name(version).to_owned()))
    }
}
