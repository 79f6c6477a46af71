//! Every kind of finding has configurations in which it must be found, at its line, and others in which it must not.
//!
//! `cases/*.txt`: `== KIND [SIGNAL]` begins a case, and what follows is a file. Where a line ends in `#!` the kind must be
//! found there; `#! file` at the end of the first line means the file as a whole. Without a mark it must not be found. A text
//! that begins with `- ` is a list of policies; one without sections is a list of processors, all in one pipeline in
//! their order, of traces unless the case names a signal.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]
#![expect(clippy::disallowed_methods, reason = "cases are files; the crate itself touches none")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use spanlake_policy::{DEFAULT_CONFIG, Finding, Severity, explain, lints, lints_page, load, render};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

struct Case {
    kind: String,
    text: String,
    /// Where it must be found; 0 for the whole file.
    lines: BTreeSet<u32>,
}

const SECTIONS: [&str; 7] = ["receivers:", "processors:", "exporters:", "extensions:", "service:", "spanlake:", "file:"];

/// The whole file around a case's text.
fn whole(text: &str, signal: &str) -> String {
    let top = |line: &&str| !line.starts_with([' ', '#', '-', '}']) && line.contains(':');
    let keys: Vec<&str> = text.lines().filter(top).filter_map(|line| line.split_once(':')).map(|(key, _)| key).collect();
    let is_whole = text.trim().is_empty() || text.lines().any(|line| SECTIONS.iter().any(|section| line.starts_with(section)));
    if is_whole {
        return text.strip_prefix("file:\n").unwrap_or(text).to_owned();
    }
    let indented = |by: &str| text.lines().map(|line| [by, line, "\n"].concat()).collect::<Vec<_>>().concat();
    if text.starts_with("- ") {
        let head = "processors:\n  tail_sampling:\n    decision_wait: 10s\n    policies:\n";
        return format!("{head}{}service: {{pipelines: {{traces: {{processors: [tail_sampling]}}}}}}\n", indented("      "));
    }
    let list = keys.join(", ");
    format!("processors:\n{}service: {{pipelines: {{{signal}: {{processors: [{list}]}}}}}}\n", indented("  "))
}

fn cases() -> Vec<Case> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/lints/cases");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut cases = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(file).unwrap();
        for part in text.split("\n== ").map(|part| part.strip_prefix("== ").unwrap_or(part)) {
            let (head, body) = part.split_once('\n').unwrap_or((part, ""));
            let (kind, signal) = head.split_once(' ').unwrap_or((head, "traces"));
            let text = whole(&format!("{}\n", body.trim_end()), signal.trim());
            let marks = (1_u32..).zip(text.lines());
            let lines = marks.filter_map(
                |(line, text)| if text.ends_with("#! file") { Some(0) } else { text.ends_with("#!").then_some(line) },
            );
            cases.push(Case { kind: kind.to_owned(), lines: lines.collect(), text: text.clone() });
        }
    }
    cases
}

fn variable(name: &str) -> Option<String> {
    (name == "SET").then(|| "0123456789abcdef0123456789abcdef".to_owned())
}

fn found(kind: &str, text: &str) -> (BTreeSet<u32>, String) {
    let loaded = load(text, &variable);
    let of_kind = loaded.findings.iter().filter(|finding| finding.kind == kind);
    (of_kind.map(|finding| finding.line.unwrap_or(0)).collect(), render(&loaded, "case"))
}

#[test]
fn every_kind_is_found_where_it_must_be_and_nowhere_else() {
    let mut wrong = String::new();
    for case in cases() {
        let (lines, report) = found(&case.kind, &case.text);
        if lines != case.lines {
            writeln!(wrong, "--- {}: found at {lines:?}, must be {:?}\n{}{report}", case.kind, case.lines, case.text).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_kind_has_a_case_that_fires_and_one_that_does_not() {
    let known: BTreeSet<&str> = lints().map(|(kind, _)| kind).collect();
    let mut seen: BTreeMap<String, (bool, bool)> = BTreeMap::new();
    for case in cases() {
        assert!(known.contains(case.kind.as_str()), "{} is no kind", case.kind);
        let seen = seen.entry(case.kind).or_default();
        if case.lines.is_empty() { seen.1 = true } else { seen.0 = true }
    }
    let lacking: Vec<_> = known.iter().filter(|kind| seen.get(**kind) != Some(&(true, true))).collect();
    assert!(lacking.is_empty(), "kinds without a case that fires, or without one that does not: {lacking:?}");
}

/// The files of the repository that are shown to others, and YAML in its documents that is a whole file.
fn examples() -> Vec<(String, String)> {
    let mut all = vec![("the built-in default".to_owned(), DEFAULT_CONFIG.to_owned())];
    for name in ["functions/local/src/demo/rules.yaml", "tests/suite/sampled.yaml"] {
        all.push((name.to_owned(), std::fs::read_to_string(root().join(name)).unwrap()));
    }
    for name in ["docs/guides/configuration.md", "docs/guides/sampling.md"] {
        let text = std::fs::read_to_string(root().join(name)).unwrap();
        let blocks = text.split("\n\n").filter(|block| block.starts_with("    ") && block.contains("processors:"));
        let outdented = |block: &str| {
            block
                .lines()
                .map(|line| {
                    [
                        line.strip_prefix("    ").unwrap_or(line),
                        "
",
                    ]
                    .concat()
                })
                .collect::<Vec<_>>()
                .concat()
        };
        all.extend(blocks.map(|block| (name.to_owned(), outdented(block))));
    }
    all
}

#[test]
fn what_this_repository_shows_to_others_has_no_warnings() {
    let examples = examples();
    assert!(examples.len() >= 4, "{}", examples.len());
    for (name, text) in examples {
        let loaded = load(&text, &variable);
        let report = render(&loaded, &name);
        assert!(loaded.findings.iter().all(|finding| finding.severity == Severity::Note), "{report}\n{text}");
    }
}

#[test]
fn every_finding_has_a_kind_of_the_table_a_reason_and_a_remedy() {
    let known: BTreeMap<&str, Severity> = lints().collect();
    let complete = |finding: &Finding| {
        known.get(finding.kind) == Some(&finding.severity) && !finding.message.is_empty() && !finding.remedy.is_empty()
    };
    for case in cases() {
        let loaded = load(&case.text, &variable);
        assert!(loaded.findings.iter().all(complete), "{:?}", loaded.findings);
        assert!(explain(&case.kind).is_some_and(|text| text.starts_with(&case.kind) && text.contains("What to do: ")));
    }
    assert_eq!(explain("no-such-kind"), None);
}

#[test]
fn the_page_says_what_the_table_says() {
    let path = root().join("docs/lints.md");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, lints_page()).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(stored == lints_page(), "{} is not what the code says; run with UPDATE_GOLDEN=1", path.display());
}
