//! Dry runs, on a folder that no process works on: nothing of it is swept.

use serde_json::Value;
use spanlake_local::{Floor, LogOptions, RealDisk, SegmentLog};
use spanlake_policy::DEFAULT_CONFIG;
use tempfile::TempDir;

use crate::{Ran, run, run_on, state};

const DROPS: &str = "processors: {tail_sampling: {policies: [{name: none, type: drop, drop: {drop_sub_policy: [{name: all, type: \
                     always_sample}]}}]}}\nservice: {pipelines: {traces: {processors: [tail_sampling]}}}\n";

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    drop(SegmentLog::open(RealDisk, folder.path().join("stream"), LogOptions::new(1, Floor::default(), 0)).unwrap());
    for (key, bytes) in state::objects() {
        let path = folder.path().join(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    folder
}

/// Runs rules on a folder, which come by standard input.
fn dry_run(rules: &str, folder: &TempDir, words: &[&str]) -> Ran {
    let data = folder.path().display().to_string();
    run_on(rules.as_bytes(), &[&["replay", "--config", "-", "--since", "10d", "--data", &data], words].concat(), &[])
}

#[test]
fn what_is_kept_and_what_waits_is_judged_by_staged_spans_and_told_as_text_and_json() {
    let folder = folder();
    let ran = dry_run(DROPS, &folder, &[]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    for told in [
        "Dry run of <stdin> (version ",
        "Judged: 3 traces (3 spans).",
        "         2 traces,          2 spans  are kept, and were read from their staged bodies",
        "         1 traces,          1 spans  wait for their decision",
        "         3 traces,          3 spans  would not: a policy drops them",
        "  kept by errors -> dropped by none: 3 traces (3 spans)",
    ] {
        assert!(ran.out.contains(told), "{told}: {}", ran.out);
    }
    let ran = dry_run(DEFAULT_CONFIG, &folder, &["--format", "json"]);
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.code, &report["config"], &report["changes"]), (0, &"<stdin>".into(), &Value::Array(Vec::new())));
    let judged = |basis: &str| report["judged"][basis]["traces"].as_u64();
    assert_eq!(["lake", "staged_kept", "staged_not_kept", "staged_waiting"].map(judged), [0, 2, 0, 1].map(Some));
    assert_eq!(report["now"], report["new"]);
}

#[test]
fn what_is_swept_is_read_from_the_lake() {
    let folder = folder();
    std::fs::remove_dir_all(folder.path().join("staged")).unwrap();
    let ran = dry_run(DROPS, &folder, &[]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains("Judged: 2 traces (2 spans).") && ran.out.contains("read from rows of the lake"), "{}", ran.out);
}

#[test]
fn a_dry_run_of_rules_that_are_refused_prints_what_is_wrong_and_ends_with_1() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.yaml");
    std::fs::write(&file, "processors: {tail_sampling: {policies: [{name: a, type: nothing_of_the_kind}]}}\n").unwrap();
    let (file, data) = (file.display().to_string(), folder.path().display().to_string());
    let ran = run(&["replay", "--config", &file, "--data", &data], &[]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{}", ran.err);
    assert!(ran.err.contains("nothing_of_the_kind") && ran.err.contains("can't be used"), "{}", ran.err);
    std::fs::write(&file, DEFAULT_CONFIG).unwrap();
    let ran = run(&["replay", "--config", &file, "--data", &data], &[]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{}", ran.err);
    assert!(ran.err.contains("is no data folder"), "{}", ran.err);
    let ran = run_on(b"processors: {tail_sampling: {polices: []}}\n", &["replay", "--config", "-", "--data", &data], &[]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{}", ran.err);
    assert!(ran.err.contains("<stdin>:1: error") && ran.err.contains("did you mean `policies`?"), "{}", ran.err);
}
