//! What is reused from item to item, and the counts of what was masked and of what could not be executed.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::clean::CleanPairs;
use super::edits::Edits;
use super::keys::KeyCache;
use crate::rules::Rules;

/// Memory that is reused from item to item, and counts of masked values by rule. One for each worker; it serves any
/// rules, one after the other.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(super) edits: Edits,
    pub(super) keys: KeyCache,
    pub(super) clean: CleanPairs,
    pub(super) hits: Vec<super::builtin::Hit>,
    names: Option<Arc<[String]>>,
    counts: Vec<u64>,
    failed: BTreeMap<String, u64>,
    /// How often something was counted.
    pub(super) counted: u64,
}

impl Scratch {
    /// Empty memory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many values each rule has masked since the last [`Scratch::take_masked`]; rules without any are left out.
    pub fn masked(&self) -> impl Iterator<Item = (&str, u64)> {
        let names = self.names.iter().flat_map(|names| names.iter().map(String::as_str));
        names.zip(self.counts.iter().copied()).filter(|(_, count)| *count > 0)
    }

    /// The counts of [`Scratch::masked`], which begin at zero again.
    pub fn take_masked(&mut self) -> Vec<(String, u64)> {
        let taken = self.masked().map(|(name, count)| (name.to_owned(), count)).collect();
        self.counts.fill(0);
        taken
    }

    /// How often each statement and condition of a processor could not be executed since this was last asked:
    /// `transform/x, line 14: expected a text`.
    pub fn take_failed(&mut self) -> BTreeMap<String, u64> {
        std::mem::take(&mut self.failed)
    }

    /// Adds what could not be executed.
    pub(crate) fn add_failed(&mut self, failed: Vec<(String, u64)>) {
        for (what, times) in failed {
            let known = self.failed.entry(what).or_default();
            *known = known.saturating_add(times);
        }
    }

    /// Adds counts by rule.
    pub(crate) fn add_masked(&mut self, rules: &Rules, counts: &[u64]) {
        self.bind(rules);
        for (known, count) in self.counts.iter_mut().zip(counts) {
            *known = known.saturating_add(*count);
        }
    }

    pub(super) fn count(&mut self, rule: usize) {
        if let Some(count) = self.counts.get_mut(rule) {
            *count = count.saturating_add(1);
        }
        self.counted = self.counted.wrapping_add(1);
    }

    /// Makes the memory serve `rules`. Counts of other rules' names are dropped with them: take them before a switch.
    pub(super) fn bind(&mut self, rules: &Rules) {
        if self.names.as_ref().is_some_and(|names| Arc::ptr_eq(names, &rules.rule_names)) {
            return;
        }
        self.names = Some(Arc::clone(&rules.rule_names));
        self.counts = vec![0; rules.rule_names.len()];
        self.keys = KeyCache::default();
        self.clean = CleanPairs::default();
    }
}
