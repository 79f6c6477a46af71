//! OTLP as bytes: reading and writing the protobuf wire format, cutting requests, inflating bodies, JSON, replies.
//!
//! Not for decisions. Nothing here does I/O, or panics on any input.

mod check;
pub mod cut;
pub mod inflate;
pub mod json;
pub mod limits;
pub mod payload;
pub mod reply;
pub mod schema;
pub mod tree;
pub mod wire;

#[cfg(test)]
mod arbitrary;
