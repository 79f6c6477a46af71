//! Spanlake in one process.
fn main() {}
