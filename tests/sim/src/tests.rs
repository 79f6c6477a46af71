//! The seeds of every test run. More: `cargo run -p spanlake-sim --profile sim -- --seeds A..B`.

use super::{Options, run_seed};

/// Seeds that ever failed run always, one a line.
const FAILED_ONCE: &str = include_str!("../failed_once.txt");

fn seeds() -> impl Iterator<Item = u64> {
    FAILED_ONCE.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok())
}

#[test]
fn no_fault_loses_doubles_or_tears_what_was_acknowledged() {
    let failed: Vec<String> = seeds()
        .chain(0..200)
        .filter_map(|seed| Some(format!("seed {seed}: {}", run_seed(seed, &Options::default()).violation?)))
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 1_000..1_010 {
        let (one, other) = (run_seed(seed, &Options::default()), run_seed(seed, &Options::default()));
        assert_eq!((one.hash, one.calls, one.violation), (other.hash, other.calls, other.violation), "seed {seed}");
    }
}
