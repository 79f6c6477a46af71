//! Attributes that no rule changes, remembered byte by byte: services say the same few things in nearly every span.

use spanlake_model::Signal;

use super::keys::{SLOTS, slot_of};

/// Longer ones are looked at each time: they rarely come again.
const PAIR_BYTES_MAX: usize = 94;

/// An attribute as it stands in its message. `kind` is 0 where nothing is remembered.
#[derive(Debug, Clone, Copy)]
struct Slot {
    kind: u8,
    length: u8,
    bytes: [u8; PAIR_BYTES_MAX],
}

const EMPTY: Slot = Slot { kind: 0, length: 0, bytes: [0; PAIR_BYTES_MAX] };

/// A table of fixed size, so that hostile attributes cost time but no memory.
#[derive(Debug, Default)]
pub(crate) struct CleanPairs {
    slots: Vec<Slot>,
}

impl CleanPairs {
    /// Whether this `KeyValue` is known to stay as it is.
    #[inline]
    pub(crate) fn contains(&self, signal: Signal, pair: &[u8]) -> bool {
        let Some(slot) = self.slots.get(slot_of(signal, pair)) else { return false };
        let known = slot.bytes.get(..usize::from(slot.length)).unwrap_or_default();
        slot.kind == kind(signal) && known == pair
    }

    /// Remembers a `KeyValue` that stays as it is, whatever message it belongs to.
    pub(crate) fn remember(&mut self, signal: Signal, pair: &[u8]) {
        if self.slots.is_empty() {
            self.slots.resize(SLOTS, EMPTY);
        }
        let Ok(length) = u8::try_from(pair.len()) else { return };
        let Some(slot) = self.slots.get_mut(slot_of(signal, pair)) else { return };
        if let Some(bytes) = slot.bytes.get_mut(..pair.len()) {
            bytes.copy_from_slice(pair);
            (slot.kind, slot.length) = (kind(signal), length);
        }
    }
}

fn kind(signal: Signal) -> u8 {
    signal.code().saturating_add(1)
}
