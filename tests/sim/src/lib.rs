//! The seeded simulation: ingest, groupers, archivers, heartbeats, sweeper and lifecycle as they are, over ports that fail in
//! every way that the real ones may, on one thread, under one seed. An oracle that knows nothing of the implementation
//! judges what a reader sees, at random moments and at rest.

mod again;
mod evidence;
mod journal;
mod lake;
mod mix;
mod oracle;
mod processed;
mod run;
mod scan;
mod scheduler;
mod store;
mod stream;
#[cfg(test)]
mod tests;
mod traffic;
mod world;

/// Counts what is allocated, for I6. A fifth of a run is allocating many small objects.
#[global_allocator]
static HEAP: cap::Cap<mimalloc::MiMalloc> = cap::Cap::new(mimalloc::MiMalloc, usize::MAX);

pub use journal::{Fault, Matrix};
pub use mix::{Event, Options};
pub use run::{Outcome, run_seed};
