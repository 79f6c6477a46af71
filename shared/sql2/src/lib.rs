//! The embedded SQL engine over a lake folder, saved queries, result formats.
//!
//! [`Lake`] answers one reading statement at a time over `<data>/lake/v1/<table>/dt=YYYY-MM-DD/hour=HH/*.parquet`, also
//! while another process writes there. [`saved`] holds the queries that on-call people ask for, each as one text for
//! this engine and for Athena. Not for writing the lake, and not for printing: [`ResultSet::render`] writes to the
//! caller's writer.

use spanlake_table2 as table;

mod error;
mod functions;
mod lake;
mod result;
pub mod saved;
mod schema;

pub use error::SqlError;
pub use lake::{Lake, Settings};
pub use result::{Format, Kind, ResultSet};

#[cfg(test)]
mod tests;
