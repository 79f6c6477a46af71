//! The ledger: what became of every acknowledged item, per signal, cumulative. At any moment
//! `committed = kept + sampled_out + dropped + pending`; duplicates and quarantined records are counted beside it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use spanlake_model::Signal;

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
    /// Items recognised as repeated: a client's retry.
    #[serde(default)]
    pub duplicates: u64,
}

impl Account {
    /// All that was dropped.
    #[must_use]
    pub fn dropped_total(&self) -> u64 {
        self.dropped.values().sum()
    }

    /// Whether every committed item is accounted for exactly once.
    #[must_use]
    pub fn balances(&self) -> bool {
        self.committed == self.kept + self.sampled_out + self.dropped_total() + self.pending
    }

    /// Counts dropped items.
    pub fn drop_items(&mut self, reason: &str, items: u64) {
        if items > 0 {
            *self.dropped.entry(reason.to_owned()).or_default() += items;
        }
    }

    /// Adds another shard's account.
    pub fn add(&mut self, other: &Self) {
        self.committed += other.committed;
        self.kept += other.kept;
        self.sampled_out += other.sampled_out;
        self.pending += other.pending;
        self.duplicates += other.duplicates;
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
}

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
        self.quarantined_records += other.quarantined_records;
        for (rule, values) in &other.masked {
            *self.masked.entry(rule.clone()).or_default() += values;
        }
    }

    /// Whether every account balances.
    #[must_use]
    pub fn balances(&self) -> bool {
        Signal::ALL.into_iter().all(|signal| self.account(signal).balances())
    }
}
