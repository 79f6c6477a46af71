//! The suite: one binary, a module for each guarantee that crosses crates.

mod answers;
mod architecture;
mod captures;
mod cuts;
mod drive;
mod power;
mod simulation;
