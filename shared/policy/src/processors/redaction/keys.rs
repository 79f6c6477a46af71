//! What the rules say about a key, worked out once for each key of a payload.

use std::borrow::Cow;

use super::{Coverage, Redaction, Summary};

/// How many keys are remembered; a power of two.
const SLOTS: usize = 256;

/// What is done with an attribute because of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Its value is searched.
    Search,
    /// It passes.
    Ignore,
    /// Its value is masked whole.
    Mask,
    /// It goes.
    Delete,
    /// A count or list that an earlier pass wrote: the rules for keys do not hold.
    Summary,
    /// The same, of what is written anew with each pass: it goes, uncounted.
    Stale,
}

/// What is known of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KeyPlan {
    pub(super) action: Action,
    /// A pattern of `blocked_key_patterns` matches, whatever else is said about the key.
    pub(super) blocked: bool,
    /// The key's own text may hold something to mask.
    pub(super) dirty: bool,
}

/// What this processor writes, and adds to what an earlier pass has written.
const SUMMARY_ADDED: [&str; 8] = [
    "redaction.redacted.keys",
    "redaction.redacted.count",
    "redaction.masked.keys",
    "redaction.masked.count",
    "redaction.body.redacted.keys",
    "redaction.body.redacted.count",
    "redaction.body.masked.keys",
    "redaction.body.masked.count",
];
/// What it writes anew.
const SUMMARY_REPLACED: [&str; 6] = [
    "redaction.allowed.keys",
    "redaction.allowed.count",
    "redaction.ignored.count",
    "redaction.body.allowed.keys",
    "redaction.body.allowed.count",
    "redaction.body.ignored.count",
];

impl Redaction {
    fn plan(&self, key: &str) -> KeyPlan {
        let dirty = self.coverage == Coverage::Wide && self.blocked_values.match_any(key);
        let blocked = self.blocked_key_patterns.match_any(key);
        KeyPlan { action: self.action(key, blocked), blocked, dirty }
    }

    fn action(&self, key: &str, blocked: bool) -> Action {
        if self.summary != Summary::Silent && key.starts_with("redaction.") {
            if SUMMARY_ADDED.contains(&key) {
                return Action::Summary;
            }
            if SUMMARY_REPLACED.contains(&key) {
                return Action::Stale;
            }
        }
        if self.ignored_keys.contains(key) || self.ignored_key_patterns.match_any(key) {
            Action::Ignore
        } else if self.allowed_keys.as_ref().is_some_and(|allowed| !allowed.contains(key)) {
            Action::Delete
        } else if blocked {
            Action::Mask
        } else {
            Action::Search
        }
    }
}

/// The plans of recent keys: a table of fixed size, so that hostile keys cost time but no memory.
#[derive(Debug)]
pub(super) struct KeyCache<'a> {
    slots: Vec<Option<(&'a str, KeyPlan)>>,
}

impl<'a> KeyCache<'a> {
    pub(super) fn new() -> Self {
        Self { slots: vec![None; SLOTS] }
    }

    #[inline]
    #[expect(clippy::ptr_arg, reason = "only what is borrowed from the request can be remembered")]
    pub(super) fn get(&mut self, rules: &Redaction, key: &Cow<'a, str>) -> KeyPlan {
        // A key that a processor has made does not live as long as the table.
        let Cow::Borrowed(key) = *key else { return rules.plan(key) };
        let Some(slot) = self.slots.get_mut(slot_of(key.as_bytes())) else { return rules.plan(key) };
        if let Some((known, plan)) = slot
            && *known == key
        {
            return *plan;
        }
        let plan = rules.plan(key);
        *slot = Some((key, plan));
        plan
    }
}

/// A place in the table: from the length, the first and the last eight bytes, in which most keys differ.
#[inline]
fn slot_of(key: &[u8]) -> usize {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let word = |bytes: Option<&[u8; 8]>| {
        u64::from_le_bytes(bytes.copied().unwrap_or_else(|| std::array::from_fn(|at| key.get(at).copied().unwrap_or(0))))
    };
    let (first, last) = (word(key.first_chunk()), word(key.last_chunk()));
    let mixed = (first ^ key.len() as u64).wrapping_mul(FACTOR) ^ last;
    usize::try_from(mixed.wrapping_mul(FACTOR) >> 56).unwrap_or(0) % SLOTS
}
