//! The use cases of Spanlake: ingest, group, archive, sweep. They decide; ports do.
//!
//! No I/O of its own, no clock, no randomness: the same code runs on Lambda, on a laptop and in the simulator.

pub mod ports;
