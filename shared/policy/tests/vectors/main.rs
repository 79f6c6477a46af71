//! What the reference implementation decided and masked, against what these rules do.

mod configs;
mod harness;
mod ottl;
mod processors;
mod rewriting;
mod sampling;
