//! The simulator's world: memory twins of the ports with faults, a scheduler that picks the next step by a seed, and
//! builders of OTLP requests.
//!
//! One thread, one seed: the same seed gives the same run. Every port call is a step that may fail before or after it
//! takes effect, may take effect later, or may be the last of its caller.

mod contract;
mod otlp;
mod rng;
mod scheduler;
mod store;
mod stream;

pub use contract::{event_stream_contract, object_store_contract};
pub use otlp::{SpanSpec, logs_request, trace_request};
pub use rng::Rng;
pub use scheduler::{Scheduler, block_on};
pub use store::{Faults, SimStore, StepCounts};
pub use stream::{SimClock, SimStream};
