//! The processor `probabilistic_sampler`: each span or log record is decided alone, bit for bit as the Collector does.

use spanlake_model::TraceId;

use super::threshold::{NEVER, rejection_at};
use super::tracestate::TraceState;

/// `hash_seed` cuts all items into so many buckets.
const BUCKETS: u32 = 1 << 14;

/// How items are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    HashSeed,
    Proportional,
    Equalizing,
}

/// Where a log record's randomness comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Its trace id.
    TraceId,
    /// The value of this attribute, `from_attribute`.
    Record(String),
}

/// A `probabilistic_sampler`, ready to run. Pure: the same item is always decided alike.
#[derive(Debug, Clone, PartialEq)]
pub struct ProbabilisticSampler {
    pub(crate) mode: Mode,
    /// Percent, in the precision that the Collector reads it with.
    pub(crate) percentage: f32,
    pub(crate) seed: u32,
    /// Hex digits of a threshold.
    pub(crate) precision: u32,
    pub(crate) fail_closed: bool,
    pub(crate) source: Source,
    /// The attribute of a log record that holds its own percentage.
    pub(crate) priority: String,
}

/// What `sampling.priority` says of a span, or the attribute `sampling_priority` of a log record.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Priority<'a> {
    /// Not there, or of a type that has no say.
    None,
    /// A number.
    Number(f64),
    /// A text, which counts if it is a number.
    Text(&'a str),
}

impl Priority<'_> {
    fn number(self) -> Option<f64> {
        match self {
            Self::None => None,
            Self::Number(number) => Some(number),
            Self::Text(text) => text.parse().ok(),
        }
    }
}

/// What becomes of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sampled {
    /// Whether it goes on.
    pub is_kept: bool,
    /// Its tracestate from here on (for a log record: what it would be); `None` where it stays as it came.
    pub tracestate: Option<String>,
}

/// What an item says of itself.
struct Carrier {
    state: Option<TraceState>,
    randomness: u64,
    /// Its word can't be taken: an error, which `fail_closed` decides.
    is_wrong: bool,
}

impl ProbabilisticSampler {
    /// Where a log record's randomness comes from.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The attribute of a log record that holds its own percentage; empty for none.
    #[must_use]
    pub fn priority_attribute(&self) -> &str {
        &self.priority
    }

    /// Decides a span. `tracestate` is the text as it came, empty for none.
    #[must_use]
    pub fn span(&self, id: &TraceId, tracestate: &str, priority: Priority<'_>) -> Sampled {
        let mut carrier = self.carrier(&id.0, tracestate);
        let threshold = match priority.number() {
            Some(number) if number > 0.0 => 0,
            Some(0.0) => NEVER,
            _ if carrier.is_wrong && self.fail_closed => NEVER,
            _ if carrier.is_wrong => 0,
            _ => self.threshold(carrier.state.as_ref(), self.percentage),
        };
        Self::decide(&mut carrier, threshold)
    }

    /// Decides a log record by the bytes of its source: its trace id, or the value of an attribute, empty where there is none.
    #[must_use]
    pub fn record(&self, source: &[u8], priority: Priority<'_>) -> Sampled {
        let mut carrier = self.carrier(source, "");
        carrier.is_wrong |= source.is_empty();
        #[expect(clippy::cast_possible_truncation, reason = "the precision that the Collector has for percentages")]
        let percentage = priority.number().map_or(self.percentage, |number| number as f32);
        let threshold = match (carrier.is_wrong, self.fail_closed) {
            (true, true) => NEVER,
            (true, false) => 0,
            _ => self.threshold(carrier.state.as_ref(), percentage),
        };
        Self::decide(&mut carrier, threshold)
    }

    fn carrier(&self, source: &[u8], tracestate: &str) -> Carrier {
        let low = source.iter().rev().take(7).rev().fold(0, |bits, byte| bits << 8 | u64::from(*byte));
        let hashes = self.mode == Mode::HashSeed && self.percentage > 0.0;
        let mut carrier = Carrier { state: TraceState::parse(tracestate), randomness: low, is_wrong: false };
        if hashes {
            carrier.randomness = hashed(source, self.seed);
        }
        let Some(state) = &mut carrier.state else { return Carrier { is_wrong: true, ..carrier } };
        if hashes {
            if state.randomness.is_some() || state.threshold.is_some() {
                // Somebody else's word on sampling is not to be touched.
                return Carrier { state: None, is_wrong: true, ..carrier };
            }
            state.state_randomness(carrier.randomness);
            return carrier;
        }
        carrier.randomness = state.randomness.unwrap_or(low);
        if state.threshold.is_some_and(|threshold| carrier.randomness < threshold) {
            state.forget_threshold();
            carrier.is_wrong = true;
        }
        carrier
    }

    /// What this stage rejects below, of items that say nothing wrong.
    fn threshold(&self, state: Option<&TraceState>, percentage: f32) -> u64 {
        let ratio = f64::from(percentage) / 100.0;
        let stated = state.and_then(|state| state.threshold);
        if percentage <= 0.0 {
            return NEVER;
        }
        match self.mode {
            Mode::HashSeed => {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "upstream cuts off too")]
                let accepted = (percentage * 163.84_f32) as u32;
                u64::from(BUCKETS.saturating_sub(accepted)) << 42
            }
            Mode::Proportional => {
                let arriving = stated.map_or(1.0, super::threshold::share);
                rejection_at((arriving * ratio).min(1.0), self.precision).unwrap_or(NEVER)
            }
            Mode::Equalizing => {
                let own = rejection_at(ratio.min(1.0), self.precision).unwrap_or(NEVER);
                stated.map_or(own, |stated| stated.max(own))
            }
        }
    }

    fn decide(carrier: &mut Carrier, threshold: u64) -> Sampled {
        if threshold >= NEVER || carrier.randomness < threshold {
            return Sampled { is_kept: false, tracestate: None };
        }
        let Some(state) = &mut carrier.state else { return Sampled { is_kept: true, tracestate: None } };
        // No stage lowers a threshold: it would claim items that never came here.
        if state.threshold.is_none_or(|stated| stated <= threshold) {
            state.state_threshold(threshold);
        }
        Sampled { is_kept: true, tracestate: state.text() }
    }
}

/// The randomness that `hash_seed` gives an item: 14 bits of its bucket, and more of the hash to fill 56.
fn hashed(source: &[u8], seed: u32) -> u64 {
    let bytes = seed.to_le_bytes();
    let mut hash = 0x811c_9dc5_u32;
    for byte in bytes.iter().chain(source) {
        hash = (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    }
    let bucket = u64::from(hash & (BUCKETS - 1));
    let rest = u64::from(hash >> 18);
    let mixed = rest ^ rest << 10;
    (u64::from(BUCKETS - 1) - bucket) << 42 | mixed << 14 | bucket
}
