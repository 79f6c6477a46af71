//! The ledger: what became of every acknowledged item, per signal, cumulative. At any moment
//! `committed = kept + sampled_out + dropped + pending`; duplicates and quarantined records are counted beside it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use spanlake_model::Signal;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// How the reasons begin for which a `drop` policy drops.
pub const BY_POLICY: &str = "policy ";

/// How the reasons begin for which a processor drops.
pub use spanlake_policy::BY_PROCESSOR;

/// One signal's account, in the ledger's unit (spans, log records, data points).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Taken from the stream, duplicates not counted.
    pub committed: u64,
    /// Sealed for the lake.
    pub kept: u64,
    /// Not kept by the sampling policies.
    pub sampled_out: u64,
    /// Dropped, by reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dropped: BTreeMap<String, u64>,
    /// Staged, not yet decided or sealed.
    pub pending: u64,
    /// Pending when the shard was closed: its children's now.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub handed_over: u64,
    /// Pending in the parents when the shard took over from them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub inherited: u64,
    /// Items recognised as repeated: a client's retry.
    #[serde(default)]
    pub duplicates: u64,
}

impl Account {
    /// All that was dropped.
    #[must_use]
    pub fn dropped_total(&self) -> u64 {
        self.dropped.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// What was dropped although no rule asked for it.
    #[must_use]
    pub fn dropped_unasked(&self) -> u64 {
        let asked = |reason: &str| reason.starts_with(BY_POLICY) || reason.starts_with(BY_PROCESSOR);
        let unasked = self.dropped.iter().filter(|(reason, _)| !asked(reason));
        unasked.fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// Whether every committed item is accounted for exactly once.
    #[must_use]
    pub fn balances(&self) -> bool {
        let sum = |counts: &[u64]| counts.iter().map(|count| u128::from(*count)).sum::<u128>();
        let dropped = self.dropped.values().map(|count| u128::from(*count)).sum::<u128>();
        let ended = sum(&[self.kept, self.sampled_out, self.pending, self.handed_over]) + dropped;
        sum(&[self.committed, self.inherited]) == ended
    }

    /// Of the sum of all shards' accounts: what a closed shard handed over is pending until the child that takes it
    /// exists.
    fn settle_handover(&mut self) {
        self.pending = self.pending.saturating_add(self.handed_over).saturating_sub(self.inherited);
        (self.handed_over, self.inherited) = (0, 0);
    }

    /// Counts dropped items.
    pub fn drop_items(&mut self, reason: &str, items: u64) {
        if items > 0 {
            let dropped = self.dropped.entry(reason.to_owned()).or_default();
            *dropped = dropped.saturating_add(items);
        }
    }

    /// Adds another shard's account.
    pub fn add(&mut self, other: &Self) {
        let Self { committed, kept, sampled_out, pending, handed_over, inherited, duplicates, .. } = self;
        for (sum, count) in [
            (committed, other.committed),
            (kept, other.kept),
            (sampled_out, other.sampled_out),
            (pending, other.pending),
            (handed_over, other.handed_over),
            (inherited, other.inherited),
            (duplicates, other.duplicates),
        ] {
            *sum = sum.saturating_add(count);
        }
        for (reason, items) in &other.dropped {
            self.drop_items(reason, *items);
        }
    }
}

/// The accounts of all signals.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Spans.
    pub traces: Account,
    /// Log records.
    pub logs: Account,
    /// Data points.
    pub metrics: Account,
    /// Records that could not be read at all; their items are unknown.
    #[serde(default)]
    pub quarantined_records: u64,
    /// Values masked, by rule.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub masked: BTreeMap<String, u64>,
    /// How often statements and conditions of processors could not be executed: `transform/x, line 14: expected a text`; those of rules
    /// before are one number.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub failed: BTreeMap<String, u64>,
}

/// How many different failures are told apart.
const FAILURES_MAX: usize = 200;
/// Where the others are counted.
const OTHER_FAILURES: &str = "other places";
/// Where those are counted that happened under rules before.
const EARLIER_FAILURES: &str = "rules before";

impl Ledger {
    /// The account of a signal.
    #[must_use]
    pub const fn account(&self, signal: Signal) -> &Account {
        match signal {
            Signal::Traces => &self.traces,
            Signal::Logs => &self.logs,
            Signal::Metrics => &self.metrics,
        }
    }

    /// The account of a signal, to change.
    pub const fn account_mut(&mut self, signal: Signal) -> &mut Account {
        match signal {
            Signal::Traces => &mut self.traces,
            Signal::Logs => &mut self.logs,
            Signal::Metrics => &mut self.metrics,
        }
    }

    /// Adds another shard's ledger.
    pub fn add(&mut self, other: &Self) {
        for signal in Signal::ALL {
            self.account_mut(signal).add(other.account(signal));
        }
        self.quarantined_records = self.quarantined_records.saturating_add(other.quarantined_records);
        for (rule, values) in &other.masked {
            let masked = self.masked.entry(rule.clone()).or_default();
            *masked = masked.saturating_add(*values);
        }
        for (what, times) in &other.failed {
            self.fail(what, *times);
        }
    }

    /// Counts what could not be executed so far as of rules before.
    pub fn fold_failures(&mut self) {
        let times = self.failed.values().fold(0_u64, |sum, times| sum.saturating_add(*times));
        self.failed.clear();
        if times > 0 {
            self.failed.insert(EARLIER_FAILURES.to_owned(), times);
        }
    }

    /// Counts what could not be executed.
    pub fn fail(&mut self, what: &str, times: u64) {
        let told_apart = self.failed.keys().filter(|known| ![OTHER_FAILURES, EARLIER_FAILURES].contains(&known.as_str())).count();
        let is_told = self.failed.contains_key(what) || told_apart < FAILURES_MAX;
        let known = self.failed.entry(if is_told { what } else { OTHER_FAILURES }.to_owned()).or_default();
        *known = known.saturating_add(times);
    }

    /// The ledger of a whole stream, of its shards' ledgers. A child's must have been read before its parents'.
    #[must_use]
    pub fn of_shards<'a>(ledgers: impl Iterator<Item = &'a Self>) -> Self {
        let mut sum = Self::default();
        ledgers.for_each(|ledger| sum.add(ledger));
        for signal in Signal::ALL {
            sum.account_mut(signal).settle_handover();
        }
        sum
    }

    /// Whether every account balances.
    #[must_use]
    pub fn balances(&self) -> bool {
        Signal::ALL.into_iter().all(|signal| self.account(signal).balances())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_at_the_end_of_their_range_add_up_and_do_not_balance_by_overflow() {
        let dropped = BTreeMap::from([("a".to_owned(), u64::MAX)]);
        let account = Account { committed: u64::MAX, kept: u64::MAX, dropped, handed_over: u64::MAX, ..Account::default() };
        assert!(!account.balances());
        assert!(Account { committed: u64::MAX, kept: u64::MAX, ..Account::default() }.balances());
        let ledger = Ledger { traces: account, quarantined_records: u64::MAX, ..Ledger::default() };
        let sum = Ledger::of_shards([&ledger, &ledger].into_iter());
        assert_eq!((sum.traces.kept, sum.traces.pending, sum.quarantined_records), (u64::MAX, u64::MAX, u64::MAX));
        assert_eq!(sum.traces.dropped_total(), u64::MAX);
    }

    #[test]
    fn ever_new_failures_do_not_make_a_ledger_grow_and_none_is_lost() {
        let mut ledger = Ledger::default();
        for line in 0..1_000 {
            ledger.fail(&format!("transform, line {line}: not a text"), 2);
        }
        let sum = Ledger::of_shards([&ledger, &ledger].into_iter());
        assert_eq!(sum.failed.len(), FAILURES_MAX + 1);
        assert_eq!((sum.failed["transform, line 7: not a text"], sum.failed.values().sum::<u64>()), (4, 4_000));
        ledger.fold_failures();
        ledger.fail("transform, line 9: not a text", 1);
        assert_eq!(ledger.failed.values().copied().collect::<Vec<_>>(), [2_000, 1]);
    }
}
