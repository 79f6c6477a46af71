//! OTLP as bytes: reading and writing the protobuf wire format, cutting requests, inflating bodies, JSON, replies.
//!
//! Not for decisions. Nothing here decodes protobuf into objects, does I/O, or panics on any input.

pub mod wire;
