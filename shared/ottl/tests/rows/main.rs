//! Statements against what the reference made of them, and against arbitrary texts and values.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests fail as tests do")]

mod common;
mod golden;
mod properties;
