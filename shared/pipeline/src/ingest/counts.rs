//! What ingest accepted and refused: counted beside the ledger, which begins at the stream.

use std::collections::BTreeMap;

use http::StatusCode;
use spanlake_model::Signal;
use spanlake_otlp::limits::Rejected;

/// Requests refused as a whole, by HTTP status.
pub type Refusals = BTreeMap<u16, u64>;

/// Counts since the start of the process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IngestCounts {
    /// Requests answered 200.
    pub requests: u64,
    /// Items accepted, by signal.
    pub accepted: [u64; 3],
    /// Items refused one by one (`partial_success`), by signal.
    pub rejected: [u64; 3],
    /// Requests refused as a whole.
    pub refusals: Refusals,
}

impl IngestCounts {
    pub(super) fn accept(&mut self, signal: Signal, accepted: u64, rejected: &Rejected) {
        self.requests += 1;
        let at = usize::from(signal.code());
        if let (Some(items), Some(refused)) = (self.accepted.get_mut(at), self.rejected.get_mut(at)) {
            *items += accepted;
            *refused += rejected.items();
        }
    }

    pub(super) fn refuse(&mut self, status: StatusCode) {
        *self.refusals.entry(status.as_u16()).or_default() += 1;
    }
}
