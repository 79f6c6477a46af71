//! What the fuzzer checks, on stable Rust: inputs that once showed a fault, a few that reach deep, and random ones.

#[path = "../fuzz/src/lib.rs"]
#[expect(clippy::panic, reason = "a check fails as a test does")]
#[expect(unreachable_pub, reason = "a library of its own where it is fuzzed")]
#[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "any number will do where inputs are made up")]
mod checks;

use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/fuzz")
}

#[test]
fn inputs_that_once_showed_a_fault_do_so_no_more() {
    let mut replayed = 0;
    for (name, target) in checks::TARGETS {
        let Ok(inputs) = std::fs::read_dir(folder().join(name)) else { continue };
        for input in inputs {
            target(&std::fs::read(input.unwrap().path()).unwrap());
            replayed += 1;
        }
    }
    assert!(replayed > 0);
}

#[test]
fn every_folder_of_inputs_belongs_to_a_check() {
    for folder in std::fs::read_dir(folder()).unwrap() {
        let name = folder.unwrap().file_name().into_string().unwrap();
        assert!(checks::TARGETS.iter().any(|(known, _)| *known == name), "{name}");
    }
}

/// The same inputs in every run.
fn for_random_inputs(cases: u32, bytes_max: usize, name: &str) {
    let (_, target) = checks::TARGETS.iter().find(|(known, _)| *known == name).unwrap();
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config { cases, failure_persistence: None, ..Config::default() }, rng);
    runner
        .run(&proptest::collection::vec(any::<u8>(), 0..bytes_max), |input| {
            target(&input);
            Ok(())
        })
        .unwrap();
}

#[test]
fn no_random_input_shows_a_fault_in_any_decoder() {
    for (name, cases) in [
        ("walker", 3_000),
        ("json", 3_000),
        ("inflate", 500),
        ("envelope", 2_000),
        ("manifest", 500),
        ("plan", 500),
        ("staged", 1_000),
        ("sealed", 1_000),
        ("decisions", 1_000),
        ("rules", 200),
        ("rewrite", 1_000),
        ("tables", 500),
        ("log", 500),
    ] {
        for_random_inputs(cases, 400, name);
    }
}

/// The grammar behind the target `rules` makes calls that are read: of every function, of every component that has some.
#[test]
fn the_fuzzed_rules_call_every_function() {
    use spanlake_ottl::functions::{CONDITIONS, FILTER, TRANSFORM};
    let missing: std::collections::BTreeSet<&str> = [CONDITIONS, FILTER, TRANSFORM]
        .into_iter()
        .flatten()
        .flat_map(|list| list.iter())
        .map(|function| function.name)
        .collect();
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[8; 32]);
    let mut runner = TestRunner::new_with_rng(Config { cases: 20_000, failure_persistence: None, ..Config::default() }, rng);
    let (missing, well) = (std::cell::RefCell::new(missing), std::cell::Cell::new(0));
    runner
        .run(&proptest::collection::vec(any::<u8>(), 8..200), |input| {
            let (section, name, functions) = checks::ottl::processor(&mut checks::draw::Draw::new(&input));
            let text = format!("{section}{}", checks::rules::pipelines(name));
            if spanlake_policy::load(&text, &|_| None).rules.is_some() {
                well.set(well.get() + 1);
                missing.borrow_mut().retain(|known| !functions.contains(known));
            }
            Ok(())
        })
        .unwrap();
    assert!(missing.borrow().is_empty() && well.get() > 2_000, "{} were read, and none of them calls {missing:?}", well.get());
}
