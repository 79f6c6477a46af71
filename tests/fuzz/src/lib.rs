//! What is checked of every decoder, for any bytes. The fuzzer calls these, and `cargo test` replays with them what the
//! fuzzer once found. See docs/fuzzing.md.

pub mod draw;
pub mod generate;
pub mod inflate;
pub mod json;
pub mod log;
pub mod ottl;
pub mod rewrite;
pub mod rules;
pub mod stored;
pub mod tables;
pub mod walker;

/// Keeps work whose result nobody looks at from being optimised away.
pub fn used<T>(value: T) {
    let _value = std::hint::black_box(value);
}

/// A check of one decoder: returns, or panics on a fault.
pub type Target = fn(&[u8]);

/// Every target with its name.
pub const TARGETS: &[(&str, Target)] = &[
    ("walker", walker::walker),
    ("json", json::json),
    ("inflate", inflate::inflate),
    ("envelope", stored::envelope),
    ("manifest", stored::manifest),
    ("plan", stored::plan),
    ("staged", stored::staged),
    ("sealed", stored::sealed),
    ("decisions", stored::decisions),
    ("rules", rules::rules),
    ("rewrite", rewrite::rewrite),
    ("tables", tables::tables),
    ("log", log::log),
];
