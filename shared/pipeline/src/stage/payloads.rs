//! The room that a batch's payloads are inflated into, and what else is reused from batch to batch.

use spanlake_otlp::payload::Items as PayloadItems;
use spanlake_policy::Scratch;

use crate::codec::Damaged;
use crate::envelope::{Envelope, Items};
use crate::ports::Record;
use crate::staged::Row;

/// Memory that is reused from batch to batch. No plan depends on what is in it.
#[derive(Default)]
pub(crate) struct Workspace {
    pub(super) scratch: Scratch,
    /// For the rules before the newest: each set has a scratch of its own, since they remember much of their rules.
    pub(super) previous: Scratch,
    pub(super) unused: Vec<u8>,
    /// [`Bodies::payloads`], empty.
    pub(super) payloads: Vec<u8>,
}

impl Workspace {
    /// What an attempt that failed has counted is no part of the next one.
    pub(super) fn forget_counts(&mut self) {
        drop((self.scratch.take_masked(), self.scratch.take_failed(), self.previous.take_failed()));
    }
}

/// Bytes of payloads and rows that one batch takes at most, unless its first record alone has more.
pub(crate) const BATCH_BYTES_MAX: usize = 16 << 20;

/// What an item takes beside its bytes: its row, and its place while rows are sorted. Items may be no longer than an id.
pub(crate) const ITEM_BYTES: usize = size_of::<Row>() + 32;

/// How large the room for payloads is kept: a batch of the usual size fits, and its pages need not be asked of the kernel again.
pub(super) const PAYLOADS_KEPT_BYTES: usize = 8 << 20;

/// How much a record says that it holds.
pub(super) fn payload_bytes(record: &Record) -> usize {
    match Envelope::decode(&record.bytes) {
        Ok(Envelope::Items(items)) => items.payload_bytes,
        _ => 0,
    }
}

/// Appends the inflated payload and walks it once, so that nothing of a damaged one is staged or counted.
pub(super) fn check_payload(items: &Items<'_>, payloads: &mut Vec<u8>) -> Result<(), Damaged> {
    let from = payloads.len();
    items.inflate_into(payloads)?;
    let mut all = PayloadItems::new(payloads.get(from..).unwrap_or_default());
    let mut messages = 0;
    while all.next().map_err(|_| Damaged("payload is not OTLP"))?.is_some() {
        messages += 1;
    }
    if messages == items.part_of_item.len() { Ok(()) } else { Err(Damaged("another number of items than listed")) }
}
