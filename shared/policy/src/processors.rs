//! The processors of a pipeline, on a whole payload that has been read into a tree.
//!
//! Each is a function of the payload alone. What is dropped is told from what is left: an item keeps its place of origin.

pub(crate) mod attributes;
pub(crate) mod maps;
pub(crate) mod matching;
pub(crate) mod patterns;
pub(crate) mod redaction;

use spanlake_otlp::tree::Payload;
use spanlake_ottl::DataError;

/// What processors share while a payload passes through them, and what they count.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// What `Now()` is: the payload's arrival, in nanoseconds since 1970.
    pub(crate) now_nanos: i64,
    /// How many values each rule has changed, by the rule's number.
    pub(crate) masked: Vec<u64>,
    /// How many statements and conditions failed on the data.
    pub(crate) errors: u64,
}

impl Tally {
    /// Counts a value that a rule has changed.
    pub(crate) fn mask(&mut self, rule: usize) {
        if self.masked.len() <= rule {
            self.masked.resize(rule + 1, 0);
        }
        if let Some(count) = self.masked.get_mut(rule) {
            *count = count.saturating_add(1);
        }
    }
}

/// A processor as it is configured.
pub(crate) trait Process {
    /// Changes the payload.
    ///
    /// # Errors
    /// `error_mode: propagate`: the payload is refused as a whole.
    fn process<'a>(&'a self, payload: &mut Payload<'a>, tally: &mut Tally) -> Result<(), DataError>;
}
