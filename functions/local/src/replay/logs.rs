//! Log records of the lake under the new rules: processors and masking. Whether they would follow their trace is not worked out.

use std::sync::Arc;

use spanlake_model::Signal;
use spanlake_pipeline::replay::{Replay, StoredPayload};
use spanlake_policy::Rules;

use super::rebuild::{LogsOf, READINGS, Row};
use super::tally::{Counts, Tally};

/// Records of one service that go through the rules together.
const BATCH: u64 = 256;

/// Log records, one after the other.
pub(super) struct Logs<'t> {
    new: Replay,
    /// The rules in force, if they are there.
    old: Option<Replay>,
    service: String,
    arrival_nanos: i64,
    records: u64,
    payloads: [LogsOf; READINGS.len()],
    tally: &'t mut Tally,
}

impl<'t> Logs<'t> {
    pub(super) fn new(new: Arc<Rules>, old: Option<Arc<Rules>>, tally: &'t mut Tally) -> Self {
        let (service, payloads) = (String::new(), Default::default());
        Self { new: Replay::new(new), old: old.map(Replay::new), service, arrival_nanos: 0, records: 0, payloads, tally }
    }

    /// Takes the next record.
    pub(super) fn row(&mut self, row: Row<'_>) -> anyhow::Result<()> {
        let service = row.text("service_name");
        if self.records >= BATCH || self.service != service {
            self.end_batch()?;
            service.clone_into(&mut self.service);
        }
        self.arrival_nanos = row.int("arrival").saturating_mul(1_000);
        self.records += 1;
        for (number, (payload, reading)) in self.payloads.iter_mut().zip(READINGS).enumerate() {
            let bytes = payload.push(row, reading);
            self.tally.log_bytes += if number == 0 { bytes } else { 0 };
        }
        Ok(())
    }

    /// Ends the last batch.
    pub(super) fn finish(mut self) -> anyhow::Result<()> {
        self.end_batch()
    }

    fn end_batch(&mut self) -> anyhow::Result<()> {
        let records = std::mem::take(&mut self.records);
        if records == 0 {
            return Ok(());
        }
        let known = self.tally.services.entry(self.service.clone()).or_default();
        known.logs += records;
        for (number, payload) in std::mem::take(&mut self.payloads).into_iter().enumerate() {
            let bytes = payload.finish();
            let payload = StoredPayload { bytes: &bytes, arrival_nanos: self.arrival_nanos };
            let before = self.old.as_mut().map(|old| old.stage(Signal::Logs, payload)).transpose()?;
            let staged = self.new.stage(Signal::Logs, payload)?;
            let count = |staged| {
                let mut counts = Counts::default();
                counts.add(&self.service, staged);
                counts
            };
            if number == 0 {
                self.tally.services.entry(self.service.clone()).or_default().new_logs += staged.left.len() as u64;
                self.tally.new_log_bytes += staged.left.iter().map(|left| u64::from(left.bytes)).sum::<u64>();
            }
            self.tally.counts(number, before.as_ref().map(count).as_ref(), &count(&staged));
        }
        Ok(())
    }
}
