//! What the rules say about an attribute's key, worked out once for each key.

use spanlake_model::Signal;

use super::builtin;
use crate::rules::Rules;

/// How many keys, and how many attributes, are remembered; a power of two.
pub(super) const SLOTS: usize = 1024;
/// Longer keys are worked out each time.
const KEY_BYTES_MAX: usize = 128;

/// What is known about a key within a signal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct KeyPlan {
    /// Bits of the conditions on this key.
    pub(crate) leaves: u64,
    /// The built-in masking masks its value whole.
    pub(crate) sensitive: bool,
    /// The key's own text holds something to mask.
    pub(crate) dirty: bool,
    /// None of the above: only the value's own text matters.
    pub(crate) plain: bool,
}

impl KeyPlan {
    /// Nothing is known of the key, or there is none.
    pub(crate) fn plain() -> Self {
        Self { plain: true, ..Self::default() }
    }

    pub(crate) fn new(rules: &Rules, signal: Signal, key: &str) -> Self {
        let plan = rules.plan(signal);
        let mut this = Self { sensitive: plan.builtin && builtin::is_secret_name(key), ..Self::default() };
        this.dirty = plan.builtin && builtin::suspect(key.as_bytes()) && plan.masking.finds(key);
        if plan.samples {
            let leaves = rules.leaves.attributes.iter().filter(|leaf| leaf.key == key);
            this.leaves = leaves.fold(0, |bits, leaf| bits | leaf.mask);
        }
        this.plain = this.leaves == 0 && !this.sensitive && !this.dirty;
        this
    }
}

/// Remembers the plans of recent keys: a table of fixed size, so that hostile keys cost time but no memory.
#[derive(Debug, Default)]
pub(crate) struct KeyCache {
    slots: Vec<Option<Known>>,
}

/// A key that was seen, of a signal.
type Known = (Signal, Box<[u8]>, KeyPlan);

impl KeyCache {
    pub(crate) fn get(&mut self, rules: &Rules, signal: Signal, key: &[u8]) -> KeyPlan {
        if self.slots.is_empty() {
            self.slots.resize(SLOTS, None);
        }
        let fresh = || {
            let plan = KeyPlan::new(rules, signal, &String::from_utf8_lossy(key));
            // A key that is no text is looked at once more, and masked there.
            let is_text = std::str::from_utf8(key).is_ok();
            if is_text { plan } else { KeyPlan { dirty: true, plain: false, ..plan } }
        };
        let Some(slot) = self.slots.get_mut(slot_of(signal, key)) else { return fresh() };
        if let Some((of, known, plan)) = slot
            && *of == signal
            && **known == *key
        {
            return *plan;
        }
        let plan = fresh();
        if key.len() <= KEY_BYTES_MAX {
            *slot = Some((signal, key.into(), plan));
        }
        plan
    }
}

/// The place of some bytes in a table of [`SLOTS`]: eight bytes at a time.
#[inline]
pub(crate) fn slot_of(signal: Signal, bytes: &[u8]) -> usize {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |hash: u64, word: [u8; 8]| {
        let mixed = (hash ^ u64::from_le_bytes(word)).wrapping_mul(FACTOR);
        mixed ^ (mixed >> 29)
    };
    let (words, rest) = bytes.as_chunks::<8>();
    // The last eight bytes again stand for the rest, so that it needs no loop of its own.
    let tail = match bytes.last_chunk::<8>() {
        Some(tail) => *tail,
        None => std::array::from_fn(|at| rest.get(at).copied().unwrap_or(0)),
    };
    let mut hash = (bytes.len() as u64) << 2 | u64::from(signal.code());
    for word in words {
        hash = mix(hash, *word);
    }
    usize::try_from(mix(hash, tail).wrapping_mul(FACTOR) >> 54).unwrap_or(0) % SLOTS
}
