//! The use cases of Spanlake: ingest, group, archive, sweep. They decide; ports do.
//!
//! No I/O of its own, no clock, no randomness: the same code runs on Lambda, on a laptop and in the simulator.

pub mod archive;
mod close;
mod codec;
mod decided;
pub mod envelope;
mod fetch;
pub mod figures;
mod forward;
pub mod group;
pub mod ingest;
pub mod inspect;
mod integrity;
pub mod keep_all;
pub mod keys;
pub mod ledger;
pub mod lineage;
pub mod manifest;
mod measures;
mod object;
pub mod payload;
pub mod ports;
mod red;
pub mod repair;
mod reshard;
pub mod rules;
mod sealed;
mod seen;
pub mod settings;
mod stage;
mod staged;
pub mod sweep;
pub mod verify;
mod world;

pub use codec::Damaged;
pub use decided::{Reason, Verdict};
pub use fetch::FetchError;
pub use red::OTHER;
pub use stage::{RulesBook, replay};
