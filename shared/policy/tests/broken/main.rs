//! Configurations that nobody meant: good ones with something broken, and those that are made to be dear. Each is read or
//! refused with lines, soon.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests fail as tests do")]
#![expect(clippy::format_collect, reason = "texts of tests are small")]
#![expect(clippy::disallowed_methods, reason = "sources are files; the crate itself touches none")]

mod dear;

use std::cell::Cell;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::sample::Index;
use spanlake_policy::{Loaded, Severity, load};

/// Far beyond what any file takes, so that a busy machine does not look like a fault.
const LOAD_TIME_MAX: Duration = Duration::from_secs(20);

fn environment(name: &str) -> Option<String> {
    (name.len() % 2 == 1).then(|| format!("\"{name}: 1"))
}

/// Reads a text, and checks what holds for every one.
fn read(text: &str) -> Loaded {
    let begun = Instant::now();
    let loaded = load(text, &environment);
    assert!(begun.elapsed() < LOAD_TIME_MAX, "{:?} for {} bytes", begun.elapsed(), text.len());
    let lines = u32::try_from(text.split(['\n', '\r']).count()).unwrap() + 1;
    let errors: Vec<_> = loaded.findings.iter().filter(|finding| finding.severity == Severity::Error).collect();
    assert!(errors.iter().all(|error| error.line.is_some()), "{errors:?}\n{text}");
    assert_eq!(loaded.rules.is_none(), !errors.is_empty(), "{errors:?}\n{text}");
    assert!(loaded.findings.iter().all(|finding| finding.line <= Some(lines)), "{:?}\n{text}", loaded.findings);
    loaded
}

/// A whole file around a processor's block.
fn configuration(id: &str, block: &str) -> String {
    let indented: String = block.lines().map(|line| format!("    {line}\n")).collect();
    let signal = |signal: &str| format!("    {signal}:\n      processors: [{id}]\n");
    let pipelines = ["traces", "logs", "metrics"].map(signal).concat();
    format!("processors:\n  {id}:\n{indented}service:\n  pipelines:\n{pipelines}")
}

/// The configurations of the vectors, of the examples and of the tests.
fn sources() -> Vec<String> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let file = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let mut all: Vec<String> = [
        "shared/policy/src/config/default.yaml",
        "functions/local/src/demo/rules.yaml",
        "tests/data/vectors/seed-collector-config.yaml",
        "tests/bench/everything.yaml",
        "tests/suite/leak/redacting.yaml",
        "tests/suite/processed.yaml",
        "tests/suite/sampled.yaml",
    ]
    .map(file)
    .into();
    for processor in ["transform", "filter", "redaction", "attributes", "resource"] {
        for line in file(&format!("tests/data/vectors/processors/{processor}.jsonl")).lines() {
            let row: serde_json::Value = serde_json::from_str(line).unwrap();
            all.push(configuration(processor, row["config"].as_str().unwrap()));
        }
    }
    for line in file("tests/data/vectors/tail-sampling/configs-accepted.jsonl").lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        all.push(format!(
            "processors:\n{}",
            row["config"].as_str().unwrap().lines().map(|line| format!("  {line}\n")).collect::<String>()
        ));
    }
    all
}

/// What stands where something else was meant.
const STRANGE: [&str; 40] = [
    "",
    " ",
    "~",
    "null",
    "[]",
    "{}",
    "[[[[",
    "}",
    "&a",
    "*a",
    "&a [*a]",
    "<<: *a",
    "!!str",
    "!!binary x",
    "---",
    "...",
    "|",
    ">-",
    "\t",
    "#",
    "\"",
    "'",
    "$",
    "$$",
    "${",
    "${X}",
    "${XY:-${X}}",
    "-0",
    "99999999999999999999999999999999999999999999",
    "1e999",
    ".nan",
    "-.inf",
    "0x7fffffffffffffffffff",
    "9223372036854775808h",
    "-1ns",
    "(",
    "\\pL{1000}",
    "\u{0}",
    "\u{feff}",
    "\u{2028}",
];

/// One thing that is done to a text.
#[derive(Debug, Clone)]
enum Break {
    DropLine(Index),
    RepeatLine(Index, u8),
    Indent(Index, u8),
    Cut(Index),
    Put(Index, Index),
    Value(Index, Index),
    Swap(Index, Index),
    Splice(Index, Index),
}

fn breaks() -> impl Strategy<Value = Break> {
    let two = || (any::<Index>(), any::<Index>());
    prop_oneof![
        any::<Index>().prop_map(Break::DropLine),
        (any::<Index>(), 0_u8..40).prop_map(|(at, times)| Break::RepeatLine(at, times)),
        (any::<Index>(), 0_u8..12).prop_map(|(at, by)| Break::Indent(at, by)),
        any::<Index>().prop_map(Break::Cut),
        two().prop_map(|(at, what)| Break::Put(at, what)),
        two().prop_map(|(at, what)| Break::Value(at, what)),
        two().prop_map(|(one, other)| Break::Swap(one, other)),
        two().prop_map(|(at, from)| Break::Splice(at, from)),
    ]
}

impl Break {
    fn apply(&self, text: &str, sources: &[String]) -> String {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        if lines.is_empty() {
            return text.to_owned();
        }
        let count = lines.len();
        match self {
            Self::DropLine(at) => drop(lines.remove(at.index(count))),
            Self::RepeatLine(at, times) => {
                let line = lines[at.index(count)].clone();
                lines.splice(at.index(count)..at.index(count), vec![line; usize::from(*times)]);
            }
            Self::Indent(at, by) => {
                let line = &mut lines[at.index(count)];
                *line = format!("{}{}", " ".repeat(usize::from(*by)), line.trim_start());
            }
            Self::Cut(at) => {
                let places: Vec<usize> = text.char_indices().map(|(place, _)| place).collect();
                return text[..places[at.index(places.len())]].to_owned();
            }
            Self::Put(at, what) => {
                let places: Vec<usize> = text.char_indices().map(|(place, _)| place).collect();
                let (before, behind) = text.split_at(places[at.index(places.len())]);
                return [before, STRANGE[what.index(STRANGE.len())], behind].concat();
            }
            Self::Value(at, what) => {
                let line = &mut lines[at.index(count)];
                let key = line.split_once(": ").map_or(line.as_str(), |(key, _)| key);
                *line = format!("{key}: {}", STRANGE[what.index(STRANGE.len())]);
            }
            Self::Swap(one, other) => lines.swap(one.index(count), other.index(count)),
            Self::Splice(at, from) => {
                let other: Vec<&str> = from.get(sources).lines().collect();
                let line = other[at.index(other.len())];
                lines.insert(at.index(count), line.to_owned());
            }
        }
        lines.join("\n")
    }
}

#[test]
fn a_good_configuration_with_something_broken_is_read_or_refused_with_lines() {
    let sources = sources();
    let config = ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new_with_rng(
        config,
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    let (well, ill) = (Cell::new(0), Cell::new(0));
    runner
        .run(&(any::<Index>(), proptest::collection::vec(breaks(), 1..4)), |(source, breaks)| {
            let text = breaks.iter().fold(source.get(&sources).clone(), |text, one| one.apply(&text, &sources));
            let count = if read(&text).rules.is_some() { &well } else { &ill };
            count.set(count.get() + 1);
            Ok(())
        })
        .unwrap();
    assert!(well.get() > 200 && ill.get() > 200, "{} read, {} refused: one of both is hardly tried", well.get(), ill.get());
}
