//! The stream with faults: the memory twin of the testkit behind a door where every call is a step. It notes whose records
//! were stored when, which is what the oracle knows of arrival.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use spanlake_model::{NANOS_PER_SECOND, Sequence};
use spanlake_pipeline::ports::{AppendError, Clock, EventStream, NewRecord, Shard, Slice, StreamError};
use spanlake_testkit::{SimStream, block_on};

use crate::journal::{Call, Fault, Journal};
use crate::store::LATE_NANOS;

/// How far stamps jump back, at most.
const JUMP_NANOS: u64 = 3_000_000_000;

/// A record that was stored: by whose call, and its stamp.
pub(crate) type Arrival = (u64, i64);

/// A caller, and what it is.
type Writer = (u64, &'static str);

#[derive(Default)]
struct Notes {
    arrivals: Vec<Arrival>,
    late: Vec<(i64, Writer, NewRecord)>,
    /// Who stored the record of a sequence number.
    writers: BTreeMap<Sequence, Writer>,
}

/// The stream.
pub(crate) struct Stream {
    pub(crate) inner: SimStream,
    journal: Arc<Journal>,
    jump_percent: u64,
    notes: Mutex<Notes>,
}

impl Stream {
    pub(crate) fn new(inner: SimStream, journal: Arc<Journal>, jump_percent: u64) -> Self {
        Self { inner, journal, jump_percent, notes: Mutex::default() }
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was stored since this was last asked.
    pub(crate) fn arrivals(&self) -> Vec<Arrival> {
        std::mem::take(&mut self.notes().arrivals)
    }

    /// Records that were to be stored later are.
    pub(crate) fn settle(&self, percent: u64) {
        let now = self.journal.now();
        let late = std::mem::take(&mut self.notes().late);
        for (until, writer, record) in late {
            if now >= until || self.journal.chance(percent) {
                self.journal.note(|| format!("late record of #{}", writer.0));
                self.store(writer, record);
            } else {
                self.notes().late.push((until, writer, record));
            }
        }
    }

    /// The retention of records ends up to a sequence number, read or not; returns the callers of ingest whose records
    /// were not, which are those behind `read`. It ends before a record of another role: nobody could say what is in it.
    pub(crate) fn expire(&self, shard: &str, read: Sequence, up_to: Sequence) -> Vec<u64> {
        let (mut callers, mut last) = (Vec::new(), read);
        let notes = self.notes();
        for record in self.inner.records(shard, read, usize::MAX).iter().take_while(|record| record.sequence <= up_to) {
            match notes.writers.get(&record.sequence) {
                Some((caller, "ingest")) => callers.push(*caller),
                Some((_, "heartbeats")) => {}
                _ => break,
            }
            last = record.sequence;
        }
        self.inner.trim(shard, last);
        callers
    }

    /// A record of nobody.
    pub(crate) fn push(&self, shard: usize, bytes: Vec<u8>) {
        self.inner.set_now(self.journal.now());
        self.inner.push(shard, bytes);
    }

    fn store(&self, writer: Writer, record: NewRecord) {
        let jump = if self.journal.chance(self.jump_percent) { self.journal.below(JUMP_NANOS).cast_signed() } else { 0 };
        let stamp = self.journal.now() - jump;
        self.inner.set_now(stamp);
        drop(block_on(self.inner.append(vec![record])));
        let mut notes = self.notes();
        notes.arrivals.push((writer.0, stamp));
        notes.writers.insert(self.inner.last_sequence(), writer);
    }

    async fn read_step(&self, name: &'static str) -> Result<(), StreamError> {
        match self.journal.step(Call::Read, name, "stream").await {
            None => Ok(()),
            Some(Fault::CrashBefore) => self.journal.crash().await,
            Some(fault) => Err(StreamError { what: format!("simulated: {fault:?}") }),
        }
    }
}

impl EventStream for Stream {
    fn shards(&self) -> Vec<Shard> {
        self.inner.shards()
    }

    async fn list(&self) -> Result<Vec<Shard>, StreamError> {
        self.read_step("list").await?;
        block_on(self.inner.list())
    }

    async fn append(&self, records: Vec<NewRecord>) -> Vec<Result<(), AppendError>> {
        let writer = (self.journal.caller(), self.journal.role());
        let fault = self.journal.step(Call::Write, "append", "stream").await;
        let lost = || Err(AppendError::Unavailable { what: format!("simulated: {fault:?}") });
        if fault == Some(Fault::CrashBefore) {
            return self.journal.crash().await;
        }
        let mut results = Vec::with_capacity(records.len());
        for record in records {
            let result = match fault {
                Some(Fault::Error500) => lost(),
                Some(Fault::Error503) if self.journal.chance(50) => Err(AppendError::Throttled { retry_after_ms: 1_000 }),
                Some(Fault::Zombie) => {
                    self.notes().late.push((self.journal.now() + LATE_NANOS, writer, record));
                    lost()
                }
                // Some of them may not even have come.
                Some(Fault::LostReply | Fault::CrashAfter) if self.journal.chance(25) => lost(),
                Some(Fault::LostReply) => {
                    self.store(writer, record);
                    lost()
                }
                _ => {
                    self.store(writer, record);
                    Ok(())
                }
            };
            results.push(result);
        }
        if fault == Some(Fault::CrashAfter) {
            return self.journal.crash().await;
        }
        results
    }

    async fn read(&self, shard: &str, after: Sequence, records_max: usize, bytes_max: usize) -> Result<Slice, StreamError> {
        self.read_step("read").await?;
        block_on(self.inner.read(shard, after, records_max, bytes_max))
    }
}

/// The wall clock of the run.
pub(crate) struct Wall(pub(crate) Arc<Journal>);

impl Clock for Wall {
    fn now_nanos(&self) -> i64 {
        self.0.now()
    }
}

/// Seconds as nanoseconds.
pub(crate) const fn seconds(number: i64) -> i64 {
    number * NANOS_PER_SECOND
}
