//! Log records and data points of the lake under the new rules: processors and masking. A log record that follows its trace under
//! these goes where the trace goes, so all traces come before.

use std::sync::Arc;

use spanlake_model::Signal;
use spanlake_pipeline::replay::{Replay, StoredPayload};
use spanlake_policy::Rules;

use super::rebuild::{READINGS, Row};
use super::request::{Request, Table};
use super::tally::{Counts, Tally};

/// Rows of one service that go through the rules together.
const BATCH: u64 = 256;

/// Rows of one table, one after the other.
pub(super) struct Items<'t> {
    table: Table,
    new: Replay,
    /// The rules in force, if they are there.
    old: Option<Replay>,
    service: String,
    arrival_nanos: i64,
    rows: u64,
    payloads: [Request; READINGS.len()],
    tally: &'t mut Tally,
}

impl<'t> Items<'t> {
    pub(super) fn new(table: Table, new: Arc<Rules>, old: Option<Arc<Rules>>, tally: &'t mut Tally) -> Self {
        let (service, payloads) = (String::new(), Default::default());
        Self { table, new: Replay::new(new), old: old.map(Replay::new), service, arrival_nanos: 0, rows: 0, payloads, tally }
    }

    /// Takes the next row: data points by their arrival, since points that came apart are no part of one metric.
    pub(super) fn row(&mut self, row: Row<'_>) -> anyhow::Result<()> {
        let (service, arrival_nanos) = (row.text("service_name"), row.int("arrival").saturating_mul(1_000));
        let is_apart = self.table.signal() == Signal::Metrics && self.arrival_nanos != arrival_nanos;
        if self.rows >= BATCH || self.service != service || is_apart {
            self.end_batch()?;
            service.clone_into(&mut self.service);
        }
        self.arrival_nanos = arrival_nanos;
        self.rows += 1;
        for (payload, reading) in self.payloads.iter_mut().zip(READINGS) {
            payload.push(self.table, row, reading);
        }
        Ok(())
    }

    /// Ends the last batch.
    pub(super) fn finish(mut self) -> anyhow::Result<()> {
        self.end_batch()
    }

    fn end_batch(&mut self) -> anyhow::Result<()> {
        let rows = std::mem::take(&mut self.rows);
        if rows == 0 {
            return Ok(());
        }
        let signal = self.table.signal();
        for (number, payload) in std::mem::take(&mut self.payloads).into_iter().enumerate() {
            let (bytes, item_bytes) = payload.finish();
            let payload = StoredPayload { bytes: &bytes, arrival_nanos: self.arrival_nanos };
            let before = self.old.as_mut().map(|old| old.stage(signal, payload)).transpose()?;
            let staged = self.new.stage(signal, payload)?;
            let count = |staged| {
                let mut counts = Counts::default();
                counts.add(signal, &self.service, staged);
                counts
            };
            self.tally.counts(number, before.as_ref().map(count).as_ref(), &count(&staged));
            if number == 0 {
                let (mut kept, mut kept_bytes) = (0, 0);
                for left in &staged.left {
                    let follows = left.follows.zip(self.tally.followed.as_mut());
                    if follows.is_none_or(|(trace, followed)| followed.keeps(&trace)) {
                        kept += u64::from(left.count);
                        kept_bytes += u64::from(left.bytes);
                    }
                }
                self.tally.records(signal, &self.service, [rows, kept], [item_bytes, kept_bytes]);
            }
        }
        Ok(())
    }
}
