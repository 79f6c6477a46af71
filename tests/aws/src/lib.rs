//! In-process stand-ins for two services of AWS: endpoints on the loopback interface that speak enough of Kinesis Data
//! Streams and of S3 for the unmodified SDK clients, with faults on demand.
//!
//! For tests of adapters only. A fault is either told ([`KinesisTwin::fault_next`], [`S3Twin::fault_next`]) or drawn from
//! a seed: the same seed and the same order of calls give the same faults. Nothing here waits for time to pass; clocks
//! stand still until a test moves them.
//!
//! What is not supported is refused with an error, never answered as if it were. Signatures (Signature Version 4),
//! credentials, permissions and throughput are not looked at, and there is no TLS.

mod fault;
mod kinesis;
mod log;
mod s3;
mod wire;

pub use kinesis::{
    EntryFault, HeldRecord, KinesisAction, KinesisCall, KinesisFault, KinesisFaults, KinesisTwin, SentEntry, TwinShard,
};
pub use s3::{HeldVersion, S3Action, S3Call, S3Fault, S3Faults, S3Twin};
