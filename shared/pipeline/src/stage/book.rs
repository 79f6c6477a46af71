//! Which rules a record is staged under.

use std::collections::BTreeMap;
use std::sync::Arc;

use spanlake_model::ms_to_nanos;
use spanlake_policy::Rules;

use super::PlanError;
use crate::manifest::{Previous, RulesInForce};
use crate::settings::GroupSettings;

/// Compiled rules by version. The empty version stands for the built-in default.
#[derive(Clone, Default)]
pub struct RulesBook(BTreeMap<String, Arc<Rules>>);

impl RulesBook {
    /// Adds rules under their version; an empty version makes them the ones before any heartbeat.
    pub fn insert(&mut self, version: &str, rules: Arc<Rules>) {
        self.0.insert(version.to_owned(), rules);
    }

    /// The rules under which a window's traces compete for room, by version.
    pub(crate) fn limited(&self) -> impl Iterator<Item = (&str, &Rules)> {
        let all = self.0.iter().map(|(version, rules)| (version.as_str(), rules.as_ref()));
        all.filter(|(_, rules)| rules.has_limits())
    }

    /// The rules of a version.
    #[must_use]
    pub fn get(&self, version: &str) -> Option<&Arc<Rules>> {
        self.0.get(version)
    }
}

/// The rules that still take facts beside the newest at this arrival: until every trace that began under them must be
/// decided. An error if they are not loaded: how long they wait must not depend on what this instance remembers.
pub(super) fn previous_at<'a>(
    rules: &'a RulesInForce,
    book: &RulesBook,
    settings: &GroupSettings,
    arrival: i64,
) -> Result<Option<&'a Previous>, PlanError> {
    let Some(previous) = &rules.previous else { return Ok(None) };
    let loaded = book.get(&previous.version).ok_or_else(|| PlanError::UnknownRules(previous.version.clone()))?;
    let due = previous.until.saturating_add(wait_nanos(loaded));
    Ok((settings.window_start(arrival) <= due).then_some(previous))
}

/// How long rules wait for a trace's spans, nanoseconds.
pub(crate) fn wait_nanos(rules: &Rules) -> i64 {
    ms_to_nanos(i64::try_from(rules.decision_wait_ms()).unwrap_or(i64::MAX))
}
