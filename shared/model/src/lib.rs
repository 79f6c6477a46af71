//! The words that every other crate speaks: signals, ids, buckets and error kinds.
//!
//! Not for behaviour: no I/O, no clock, no randomness, no async, and no panic on any input.

mod bucket;
mod id;
mod kind;
mod sequence;
mod signal;
mod time;

pub use bucket::{BUCKETS, Bucket, BucketRange};
pub use id::{BatchId, ContentHash, SpanId, TraceId};
pub use kind::ErrorKind;
pub use sequence::{Sequence, SequenceError};
pub use signal::{PerSignal, Signal};
pub use time::{NANOS_PER_MS, NANOS_PER_SECOND, ms_to_nanos};
