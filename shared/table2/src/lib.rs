//! The lake's tables: OTLP bytes to Arrow to Parquet, and the SQL schema that users are promised.
//!
//! Rows are written straight from the protobuf wire format; nothing is decoded into message objects. Nothing here does
//! I/O, reads a clock or panics on any input, and the same input gives the same bytes.

mod attributes;
mod columns;
mod context;
pub mod ddl;
mod derived;
pub mod docs;
mod file;
mod items;
mod logs;
mod metrics;
pub mod promote;
pub mod schema;
mod spans;
mod text;

#[cfg(test)]
mod tests;

pub use derived::{DecisionRow, EdgeRow, RedRow, TraceRow, trace_row, write_decisions, write_edges, write_red, write_traces};
pub use file::{FileMeta, TableError, TableFile};
pub use items::{Context, Item, Sampling, write_items};

/// Upper bounds of the duration buckets of `red_1m` and `service_edges_1m`, in ns, each inclusive: 1 ms to 60 s.
pub const RED_BOUNDS_NANO: [i64; 15] = [
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
    200_000_000,
    500_000_000,
    1_000_000_000,
    2_000_000_000,
    5_000_000_000,
    10_000_000_000,
    30_000_000_000,
    60_000_000_000,
];

/// How many duration buckets there are: one for each of [`RED_BOUNDS_NANO`], and one above.
pub const RED_BUCKETS: usize = RED_BOUNDS_NANO.len() + 1;
