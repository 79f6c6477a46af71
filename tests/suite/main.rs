//! The suite: one binary, a module for each guarantee that crosses crates.

mod simulation;
