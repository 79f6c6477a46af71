//! The incident switch, on a folder that no process works on, and on buckets.

use spanlake_local::{DiskStore, Floor, LogOptions, RealDisk, SegmentLog};
use tempfile::TempDir;

use crate::{Ran, run};

/// A data folder of a process that was stopped.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    drop(SegmentLog::open(RealDisk, folder.path().join("stream"), LogOptions::new(1, Floor::default(), 0)).unwrap());
    drop(DiskStore::open(RealDisk, folder.path().to_owned()).unwrap());
    folder
}

fn on(folder: &TempDir, words: &[&str]) -> Ran {
    let data = folder.path().display().to_string();
    run(&[&["keep-all"], words, &["--data", &data]].concat(), &[])
}

#[test]
fn what_is_kept_is_told_with_its_end_its_price_and_how_to_stop_it() {
    let folder = folder();
    let ran = on(&folder, &["--service", "it's", "--for", "30m"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    for told in ["Every trace with a span of \"it's\" is kept until ", "30 min left", "from when", "cost", "drop included"] {
        assert!(ran.out.contains(told), "{told}: {}", ran.out);
    }
    let stop = format!("spanlake keep-all --stop --service 'it'\\''s' --data {}", folder.path().display());
    assert!(ran.out.contains(&stop), "{}", ran.out);
    assert!(ran.out.contains("after the next `spanlake up` on, if that is before "), "{}", ran.out);
    assert!(ran.out.contains("(no process works on this folder)") && ran.err.is_empty(), "{}{}", ran.out, ran.err);
    for words in [&["keep-all", "--list"][..], &["status"]] {
        let shown = run(&[words, &["--data", &folder.path().display().to_string()]].concat(), &[]);
        assert!(shown.out.contains("keep_all: \"it's\" until ") && shown.out.contains("left, not in force yet"), "{}", shown.out);
    }
    let left: Vec<_> = std::fs::read_dir(folder.path().join("tmp")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn asked_for_again_it_is_longer_and_never_shorter_and_several_go_side_by_side() {
    let folder = folder();
    let until = |ran: &Ran| ran.out.split("is kept until ").nth(1).map(|rest| rest.split(',').next().unwrap().to_owned());
    let long = on(&folder, &["--service", "a", "--for", "3h"]);
    let short = on(&folder, &["--service", "a", "--for", "5m"]);
    assert_eq!(until(&long), until(&short), "{}{}", long.out, short.out);
    assert!(short.out.contains("It was asked for until then before"), "{}", short.out);
    assert_eq!(on(&folder, &["--service", "b", "--for", "1m"]).code, 0);
    let listed = on(&folder, &["--list"]).out;
    assert_eq!(listed.lines().count(), 2, "{listed}");
    assert_eq!(on(&folder, &["--stop", "--service", "a"]).code, 0);
    let again = on(&folder, &["--stop", "--service", "a"]);
    assert!(again.code == 1 && again.err.contains("a is not kept as a whole; these are: b"), "{}", again.err);
    assert!(!on(&folder, &["--list"]).out.contains("keep_all: a"));
    on(&folder, &["--stop", "--service", "b"]);
    assert!(on(&folder, &["--list"]).out.contains("the rules decide"));
}

#[test]
fn what_cannot_be_asked_for_is_told_and_writes_nothing() {
    let folder = folder();
    let long = "x".repeat(257);
    for (words, told) in [
        (&["--service", "a", "--for", "59s"][..], "1 minute to 24 hours"),
        (&["--service", "a", "--for", "25h"], "1 minute to 24 hours"),
        (&["--service", "", "--for", "1h"], "1 to 256 bytes"),
        (&["--service", &long, "--for", "1h"], "1 to 256 bytes"),
        (&["--service", "a\nb", "--for", "1h"], "no control characters"),
        (&["--service", " ", "--for", "1h"], "neither begins nor ends with blanks"),
        (&["--service", "a ", "--for", "1h"], "neither begins nor ends with blanks"),
        (&["--service", "bob@example.com", "--for", "1h"], "--service '****'"),
    ] {
        let ran = on(&folder, words);
        assert!(ran.code == 1 && ran.err.contains(told), "{words:?}: {}{}", ran.out, ran.err);
    }
    for words in [&["--for", "1h"][..], &["--service", "a"], &["--stop"], &["--stop", "--service", "a", "--for", "1h"]] {
        assert_eq!(on(&folder, words).code, 2, "{words:?}");
    }
    assert!(!folder.path().join("rules").exists());
}

#[test]
fn a_damaged_note_is_named_by_its_file_wherever_it_is_read() {
    let folder = folder();
    let note = folder.path().join("rules/keep-all.yaml");
    std::fs::create_dir_all(note.parent().unwrap()).unwrap();
    std::fs::write(&note, "keep_all: 7\n").unwrap();
    let data = folder.path().display().to_string();
    for words in [&["keep-all", "--list"][..], &["keep-all", "--service", "a", "--for", "1h"], &["status"]] {
        let ran = run(&[words, &["--data", &data]].concat(), &[]);
        assert!(ran.err.contains(&format!("delete {}", note.display())), "{words:?}: {}", ran.err);
    }
}

#[test]
fn a_stored_text_with_an_overlay_is_nothing_to_start_with() {
    let folder = folder();
    let file = folder.path().join("stored.yaml");
    std::fs::write(&file, "processors: {}\n\n--- # spanlake keep-all\nkeep_all: []\n").unwrap();
    // Were it taken, the address would be refused.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, file) = (taken.local_addr().unwrap().to_string(), file.display().to_string());
    let data = folder.path().display().to_string();
    let ran = run(&["up", "--config", &file, "--listen", &address, "--data", &data], &[]);
    assert!(ran.code == 1 && ran.err.contains("take that out"), "{}", ran.err);
}

#[cfg(feature = "aws")]
mod buckets {
    use std::collections::BTreeMap;

    use bytes::Bytes;
    use spanlake_aws_twin::{S3Action, S3Fault};
    use spanlake_pipeline::keys;

    use crate::world::World;

    const RULES: &str = "processors: {}\n";

    /// The state, but for what an operator has asked to be kept.
    fn rest(world: &World) -> BTreeMap<String, Bytes> {
        let mut objects = world.s3.objects("state");
        objects.remove(keys::RULES_KEEP_ALL);
        objects
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_deployment_is_told_in_one_object_of_its_own() {
        let world = World::new().await;
        let before = world.s3.objects("state");
        let ran = world.on_buckets(&["keep-all", "--service", "checkout", "--for", "2h"]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert!(ran.out.contains("the archiver looks each minute") && ran.out.contains("some 120 s"), "{}", ran.out);
        assert_eq!(rest(&world), before);
        for words in [&["keep-all", "--list"][..], &["status"]] {
            let shown = world.on_buckets(words).out;
            assert!(shown.contains("keep_all: checkout until ") && shown.contains("min left"), "{shown}");
        }
        assert_eq!(world.on_buckets(&["keep-all", "--stop", "--service", "checkout"]).code, 0);
        assert!(world.on_buckets(&["keep-all", "--list"]).out.contains("the rules decide"));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn rules_are_shown_compared_and_pushed_without_what_is_kept_and_leave_it() {
        let world = World::new().await;
        let file = world.folder.path().join("rules.yaml");
        std::fs::write(&file, RULES).unwrap();
        let file = file.display().to_string();
        let rules = |words: &[&str]| world.with(&[&["rules"], words, &["--bucket", "state"]].concat());
        assert_eq!(world.on_buckets(&["keep-all", "--service", "checkout", "--for", "2h"]).code, 0);
        let kept = world.s3.objects("state").remove(keys::RULES_KEEP_ALL).unwrap();
        let pushed = rules(&["push", &file]);
        assert_eq!(pushed.code, 0, "{}", pushed.err);
        let objects = world.s3.objects("state");
        assert_eq!((&objects[keys::RULES_KEEP_ALL], objects[keys::RULES_CURRENT].as_ref()), (&kept, RULES.as_bytes()));
        let diff = rules(&["diff", &file]);
        assert!(diff.out.contains("nothing would change"), "{}", diff.out);
        let shown = rules(&["show"]);
        assert_eq!(shown.out, RULES);
        assert!(shown.err.contains("over them lies keep_all: checkout until "), "{}", shown.err);
        // Nothing of the kind is ever pushed as rules, or it would stay for good.
        std::fs::write(&file, format!("{RULES}\n--- # spanlake keep-all\nkeep_all: []\n")).unwrap();
        let baked = rules(&["push", &file]);
        assert!(baked.code == 1 && baked.err.contains("take that out"), "{}{}", baked.out, baked.err);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn of_two_operators_at_the_same_time_the_second_is_told() {
        let world = World::new().await;
        world.s3.fault_next(S3Action::PutObject, S3Fault::Conflict);
        let ran = world.on_buckets(&["keep-all", "--service", "checkout", "--for", "2h"]);
        assert!(ran.code == 1 && ran.err.contains("nothing has changed") && ran.err.contains("try again"), "{}", ran.err);
    }
}
