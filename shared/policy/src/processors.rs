//! The processors of a pipeline, on a whole payload that has been read into a tree.
//!
//! Each is a function of the payload alone. What is dropped is told from what is left: an item keeps its place of origin.

pub(crate) mod attributes;
mod chance;
mod facts;
pub(crate) mod filter;
pub(crate) mod maps;
pub(crate) mod matching;
pub(crate) mod patterns;
pub(crate) mod redaction;
pub(crate) mod run;
pub(crate) mod transform;
mod visit;

use std::collections::BTreeMap;
use std::fmt;

use spanlake_model::Signal;
use spanlake_otlp::schema::METRIC_DATA;
use spanlake_otlp::tree::{Node, Payload, Want};
use spanlake_ottl::{Condition, DataError, Spent};

/// What happens when a statement or condition can't be executed on an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum ErrorMode {
    /// The next one runs; `silent` is the same here: nothing is logged of either.
    #[default]
    Ignore,
    /// The payload is refused.
    Propagate,
}

/// What processors share while a payload passes through them, and what they count.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// What `Now()` is: the payload's arrival, in nanoseconds since 1970.
    pub(crate) now_nanos: i64,
    /// What statements have made so far, see `Frame::spend`.
    pub(crate) spent: Spent,
    /// How many values each rule has changed, by the rule's number.
    pub(crate) masked: Vec<u64>,
    /// How often statements and conditions of the processor at work could not be executed, by their line in the configuration
    /// and the reason.
    pub(crate) failed: BTreeMap<(u32, &'static str), u64>,
}

impl Tally {
    /// Counts a value that a rule has changed.
    pub(crate) fn mask(&mut self, rule: usize) {
        if self.masked.len() <= rule {
            self.masked.resize(rule + 1, 0);
        }
        if let Some(count) = self.masked.get_mut(rule) {
            *count = count.saturating_add(1);
        }
    }

    /// Counts a statement or condition that could not be executed.
    pub(crate) fn fail(&mut self, line: u32, DataError(reason): DataError) {
        let count = self.failed.entry((line, reason)).or_default();
        *count = count.saturating_add(1);
    }
}

/// A condition with its line in the configuration.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) line: u32,
    pub(crate) condition: Condition,
}

/// A processor as it is configured.
pub(crate) trait Process: fmt::Debug + Send + Sync {
    /// Changes the payload.
    ///
    /// # Errors
    /// `error_mode: propagate`: the payload is refused as a whole.
    fn process<'a>(&'a self, payload: &mut Payload<'a>, tally: &mut Tally) -> Result<(), DataError>;

    /// Whether it takes something of a signal away that must not be seen.
    fn redacts(&self, _signal: Signal) -> bool {
        false
    }

    /// Whether what a signal's items say when they come may be something else behind it.
    fn rewrites(&self, signal: Signal) -> bool {
        self.redacts(signal)
    }

    /// Which fields it looks at.
    fn wants(&self, _signal: Signal) -> Want {
        Want::ALL
    }

    /// Whether it has anything to do for a signal.
    fn runs(&self, _signal: Signal) -> bool {
        true
    }
}

/// What an item is in the ledger's unit: a metric's data points, else 1.
fn units(signal: Signal, item: &Node<'_>) -> u64 {
    if signal != Signal::Metrics {
        return 1;
    }
    let data = METRIC_DATA.into_iter().find_map(|number| item.node(number));
    data.map_or(0, |data| data.nodes(1).len() as u64)
}
