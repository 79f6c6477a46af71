//! The lake's tables: OTLP bytes to Arrow to Parquet, and the SQL promise. Pure.
//!
//! Items stay wire bytes until their values lie in Arrow builders: there is no object per span. Same input, same bytes.
//! Of a file that is there it only says whether it can be read. Not for deciding what goes into a file or where it lies.

mod any;
mod attributes;
mod check;
mod columns;
mod context;
mod derived;
mod file;
mod logs;
mod metrics;
pub mod promote;
pub mod schema;
mod spans;
mod summary;
mod write;

pub use any::format_double;
pub use check::{CheckError, check_file};
pub use derived::{
    DecisionRow, EdgeRow, RED_BOUNDS_NANO, RED_BUCKETS, RedRow, TraceRow, write_decisions, write_edges, write_red, write_traces,
};
pub use file::{CREATED_BY, FileMeta, TableError, TableFile};
pub use metrics::temporality_name;
pub use spans::{kind_name, status_name};
pub use summary::{TraceFacts, service_name, trace_summary};
pub use write::{Context, Item, Sampling, Written, build_items, write_items};

#[cfg(test)]
mod tests;
