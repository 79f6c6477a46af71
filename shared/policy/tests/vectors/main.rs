//! What the reference implementation decided and masked, against what these rules do.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::format_collect,
    reason = "helpers of tests fail as tests do"
)]
#![expect(clippy::disallowed_methods, reason = "vectors are files; the crate itself touches none")]

mod configs;
mod harness;
mod processors;
mod rewriting;
mod sampling;
mod windows;
