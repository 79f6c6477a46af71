//! All checks in one fuzzed binary, which is large: TARGET names the one to run.
#![no_main]

use std::sync::LazyLock;

use spanlake_fuzz::{TARGETS, Target};

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("TARGET").unwrap_or_default();
    let found = TARGETS.iter().find(|(known, _)| *known == name);
    found.unwrap_or_else(|| panic!("TARGET={name} names no check")).1
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| TARGET(data));
