//! The suite: one binary, a module for each guarantee that crosses crates.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests fail as tests do")]

mod answers;
mod architecture;
mod captures;
mod cuts;
mod drive;
mod explained;
mod follow;
mod fuzz;
mod hostile;
mod keep_all;
mod leak;
mod lost;
mod power;
mod processing;
mod repair;
mod requests;
mod reshard;
mod rules;
mod sweep;
mod template;
mod weights;
