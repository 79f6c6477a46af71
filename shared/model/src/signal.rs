//! The three signals, as a value: code that handles one handles all three.

use std::ops::{Index, IndexMut};

/// An OTLP signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signal {
    /// Spans; the ledger counts spans.
    Traces,
    /// Log records; the ledger counts log records.
    Logs,
    /// Metrics; the ledger counts data points.
    Metrics,
}

impl Signal {
    /// All signals, in the order of their codes.
    pub const ALL: [Self; 3] = [Self::Traces, Self::Logs, Self::Metrics];

    /// The code in stored formats: 0, 1 or 2.
    #[must_use]
    #[inline]
    pub const fn code(self) -> u8 {
        match self {
            Self::Traces => 0,
            Self::Logs => 1,
            Self::Metrics => 2,
        }
    }

    /// The signal of a stored code.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|signal| signal.code() == code)
    }

    /// The lower-case name, as in the Collector's pipelines: `traces`, `logs`, `metrics`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Logs => "logs",
            Self::Metrics => "metrics",
        }
    }

    /// What the ledger counts: `spans`, `log records`, `data points`.
    #[must_use]
    pub const fn items(self) -> &'static str {
        match self {
            Self::Traces => "spans",
            Self::Logs => "log records",
            Self::Metrics => "data points",
        }
    }
}

/// One value for each signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerSignal<T>(pub [T; 3]);

impl<T> Index<Signal> for PerSignal<T> {
    type Output = T;

    fn index(&self, signal: Signal) -> &T {
        let [traces, logs, metrics] = &self.0;
        match signal {
            Signal::Traces => traces,
            Signal::Logs => logs,
            Signal::Metrics => metrics,
        }
    }
}

impl<T> IndexMut<Signal> for PerSignal<T> {
    fn index_mut(&mut self, signal: Signal) -> &mut T {
        let [traces, logs, metrics] = &mut self.0;
        match signal {
            Signal::Traces => traces,
            Signal::Logs => logs,
            Signal::Metrics => metrics,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_names_its_signal_and_no_other_code_does() {
        for signal in Signal::ALL {
            assert_eq!(Signal::from_code(signal.code()), Some(signal));
        }
        assert_eq!(Signal::from_code(3), None);
    }
}
