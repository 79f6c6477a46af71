//! The target `rewrite`, see docs/fuzzing.md.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| spanlake_fuzz::rewrite::rewrite(data));
