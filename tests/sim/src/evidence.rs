//! What the oracle judges by: what clients sent and were told, what the product tells, and what a reader of the lake sees.

use std::collections::BTreeMap;

use spanlake_model::Signal;

use crate::lake::Visible;
use crate::traffic::{Sent, Span};

/// The four policies of a rules version.
#[derive(Clone, Debug)]
pub(crate) struct Policies {
    /// What the lake calls the version.
    pub(crate) versions: Vec<String>,
    pub(crate) wait_nanos: i64,
    pub(crate) slow_nanos: u64,
    pub(crate) percent: f64,
    pub(crate) services: &'static [&'static str],
    /// What stands in the place of chance.
    pub(crate) limit: Option<Limit>,
}

/// What a limit lets through.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    /// Spans in a second, of all shards together.
    pub(crate) rate: u64,
    /// Spans of the largest trace that is let in, and in any window at the least; 0 if nothing is said of them.
    pub(crate) burst: u64,
    /// Whether all traces compete for the same room.
    pub(crate) has_one_room: bool,
}

impl Policies {
    /// Whether the three policies without chance keep these spans as one trace.
    pub(crate) fn keep(&self, spans: &[&Span]) -> bool {
        let start = spans.iter().map(|span| span.start).min().unwrap_or_default();
        let end = spans.iter().map(|span| span.end).max().unwrap_or_default();
        end - start > self.slow_nanos || spans.iter().any(|span| span.is_error || self.services.contains(&span.service))
    }
}

/// A signal's account, as the product tells it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Account {
    pub(crate) committed: u64,
    pub(crate) kept: u64,
    pub(crate) sampled_out: u64,
    pub(crate) pending: u64,
    /// Given up with a lost object.
    pub(crate) lost: u64,
    /// Dropped by processors.
    pub(crate) filtered: u64,
    pub(crate) balances: bool,
}

/// What the oracle judges.
pub(crate) struct Evidence<'a> {
    /// What was sent.
    pub(crate) came: &'a [Sent],
    /// The same without what the rules' processors drop, and as they change it.
    pub(crate) sent: &'a [Sent],
    /// The versions of the rules, in the order in which they came into force.
    pub(crate) policies: &'a [Policies],
    /// When the second version was first put on the stream.
    pub(crate) switched_nanos: Option<i64>,
    /// Whether logs wait for the verdict on their trace.
    pub(crate) follows_logs: bool,
    /// How long a window is.
    pub(crate) window_nanos: i64,
    pub(crate) shards: u16,
    /// Spans of a trace that are kept, errors aside.
    pub(crate) trace_spans_max: usize,
    pub(crate) lake: &'a Visible,
    pub(crate) ledger: &'a BTreeMap<&'static str, Account>,
    /// Logs in records of which only the header can be read.
    pub(crate) poisoned_logs: u64,
    /// Whether figures of many names are told under one.
    pub(crate) is_capped: bool,
    /// Whether an object was lost and given up.
    pub(crate) is_lossy: bool,
    /// Records that cannot be read, put and counted.
    pub(crate) quarantined: (u64, u64),
}

/// Figures by what they count.
pub(crate) type Counts<K> = BTreeMap<K, u64>;

fn count(sent: &[Sent], signal: Signal, which: impl Fn(&Sent) -> bool) -> u64 {
    let of_signal = sent.iter().filter(|sent| sent.signal == signal && which(sent));
    of_signal.map(|sent| (sent.spans.len() + sent.texts.len()) as u64).sum()
}

/// A value of a row.
pub(crate) fn row(values: &[String], at: usize) -> &str {
    values.get(at).map_or("", String::as_str)
}

/// A value of a row, as a number.
pub(crate) fn number(values: &[String], at: usize) -> u64 {
    row(values, at).parse().unwrap_or(u64::MAX)
}

/// A violation, unless it holds.
pub(crate) fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

impl Evidence<'_> {
    pub(crate) fn rows(&self, table: &str) -> impl Iterator<Item = &[String]> {
        self.lake.get(table).into_iter().flatten().map(Vec::as_slice)
    }

    pub(crate) fn account(&self, signal: Signal) -> Account {
        self.ledger.get(signal.name()).cloned().unwrap_or_default()
    }

    pub(crate) fn visible(&self, signal: Signal) -> u64 {
        let table = match signal {
            Signal::Traces => "spans",
            Signal::Logs => "logs",
            Signal::Metrics => "metrics_number",
        };
        self.rows(table).count() as u64
    }

    pub(crate) fn spans(&self, which: impl Fn(&Sent) -> bool) -> impl Iterator<Item = &Span> {
        self.sent.iter().filter(move |sent| which(sent)).flat_map(|sent| &sent.spans)
    }

    pub(crate) fn items(&self, signal: Signal, which: impl Fn(&Sent) -> bool) -> u64 {
        count(self.came, signal, which)
    }

    /// Items that processors must drop.
    pub(crate) fn filtered(&self, signal: Signal, which: impl Fn(&Sent) -> bool) -> u64 {
        self.items(signal, &which) - count(self.sent, signal, &which)
    }

    /// Items that are counted and cannot be read.
    pub(crate) const fn poisoned(&self, signal: Signal) -> u64 {
        if matches!(signal, Signal::Logs) { self.poisoned_logs } else { 0 }
    }

    /// Spans as `red_1m` counts them.
    pub(crate) fn requests(&self, which: impl Fn(&Sent) -> bool) -> Counts<Vec<String>> {
        let mut counts = Counts::new();
        for span in self.spans(which) {
            let kind = if span.kind == 2 { "SERVER" } else { "CLIENT" };
            let status = if span.is_error { "ERROR" } else { "UNSET" };
            *counts.entry([span.service, span.name, kind, status].map(str::to_owned).to_vec()).or_default() += 1;
        }
        counts
    }

    /// Calls as `service_edges_1m` counts them.
    pub(crate) fn edges(&self, which: impl Fn(&Span) -> bool) -> Counts<Vec<String>> {
        let all: Vec<&Span> = self.spans(|_| true).filter(|span| which(span)).collect();
        let callers: BTreeMap<_, &str> =
            all.iter().filter(|span| span.kind == 3).map(|span| ((span.trace, span.id), span.service)).collect();
        let mut counts = Counts::new();
        for span in all.iter().filter(|span| span.kind == 2) {
            if let Some(caller) = callers.get(&(span.trace, span.parent)) {
                *counts.entry([caller, span.service, "SERVER"].map(str::to_owned).to_vec()).or_default() += 1;
            }
        }
        counts
    }

    /// Figures of a table lie between what must and what may be counted; its last column is the figure. Where many names
    /// are told under one, their sum does.
    pub(crate) fn within(&self, table: &str, least: &Counts<Vec<String>>, most: &Counts<Vec<String>>) -> Result<(), String> {
        let mut told: Counts<Vec<String>> = Counts::new();
        for values in self.rows(table) {
            let Some((_, key)) = values.split_last() else { continue };
            *told.entry(key.to_vec()).or_default() += number(values, key.len());
        }
        let sum = |counts: &Counts<Vec<String>>| Counts::from([(Vec::new(), counts.values().sum())]);
        let (told, least, most) = if self.is_capped { (sum(&told), &sum(least), &sum(most)) } else { (told, least, most) };
        let of = |counts: &Counts<Vec<String>>, key: &Vec<String>| counts.get(key).copied().unwrap_or_default();
        for key in told.keys().chain(least.keys()) {
            let (least, told, most) = (of(least, key), of(&told, key), of(most, key));
            ensure((least..=most).contains(&told), || format!("I13: {table} {key:?}: {told}, not {least} to {most}"))?;
        }
        Ok(())
    }
}
