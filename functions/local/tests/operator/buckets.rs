//! A deployment by its buckets, as the real SDK client sees them.

use spanlake_aws_twin::{S3Action, S3Fault, S3Faults};
use spanlake_pipeline::keys;

use crate::world::World;
use crate::{COMMANDS, run};

/// Lines of an output, but for those that tell only of one of the two.
fn common(out: &str) -> Vec<&str> {
    let own = ["Stream: ", "  stream ", "skipped "];
    out.lines().filter(|line| !own.iter().any(|own| line.starts_with(own))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shown_of_a_folder_is_shown_of_buckets_that_hold_the_same() {
    let world = World::new().await;
    let (folder, buckets) = (world.on_folder(&["status"]), world.on_buckets(&["status"]));
    assert_eq!((folder.code, buckets.code), (0, 0), "{}{}", folder.err, buckets.err);
    let data = format!("--data {}", world.folder.path().display());
    let both = "--bucket state --lake-bucket lake";
    assert_eq!(common(&folder.out.replace(&data, both)), common(&buckets.out));
    for told in
        ["spans                   3            2            0            0            1", "records in quarantine: 1", "100 h ago"]
    {
        assert!(buckets.out.contains(told), "{told}: {}", buckets.out);
    }
    assert!(buckets.out.contains("\nStream: on Kinesis, not looked at"), "{}", buckets.out);

    let folder = world.on_folder(&["verify", "--offline"]);
    let buckets = world.on_buckets(&["verify", "--lake-since", "30d"]);
    assert_eq!((folder.code, buckets.code), (0, 0), "{}{}", folder.err, buckets.err);
    assert_eq!(common(&folder.out), common(&buckets.out));
    assert_eq!(common(&buckets.out).len(), 6, "{}", buckets.out);
    let skipped: Vec<&str> = buckets.out.lines().filter_map(|line| line.strip_prefix("skipped ")?.split(": ").next()).collect();
    assert_eq!(skipped, ["marked items", "the stream", "lake files"]);

    let (folder, buckets) = (world.on_folder(&["quarantine"]), world.on_buckets(&["quarantine"]));
    assert_eq!((folder.code, buckets.code), (0, 0), "{}{}", folder.err, buckets.err);
    let line = |out: &str| out.lines().nth(1).unwrap().replace("gone   ", "Kinesis");
    assert_eq!(line(&folder.out), line(&buckets.out));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lake_is_looked_at_if_its_bucket_is_named_and_no_further_back_than_asked() {
    let world = World::new().await;
    let lists_the_lake = || world.s3.requests().iter().any(|call| call.bucket == "lake");
    let status = world.with(&["status", "--bucket", "state"]);
    assert!(status.code == 0 && status.out.contains("Lake: not counted. Name its bucket"), "{}{}", status.out, status.err);
    let verify = world.with(&["verify", "--bucket", "state"]);
    assert!(verify.code == 0 && verify.out.contains("skipped lake files: name their bucket"), "{}{}", verify.out, verify.err);
    assert!(!lists_the_lake());
    let verify = world.on_buckets(&["verify"]);
    assert!(verify.code == 0 && verify.out.contains("ok      lake files: 0 looked at"), "{}{}", verify.out, verify.err);
    assert!(!world.s3.requests().iter().any(|call| call.bucket == "lake" && call.action == S3Action::GetObject));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_batch_of_a_deployment_is_given_up_on_the_word_and_counted() {
    let world = World::new().await;
    let lost = world.waiting_batch();
    world.lose(&lost);
    let (folder, buckets) = (world.on_folder(&["verify", "--offline"]), world.on_buckets(&["verify", "--lake-since", "30d"]));
    assert_eq!((folder.code, buckets.code), (1, 1), "{}{}", folder.err, buckets.err);
    assert!(buckets.out.contains(&format!("{lost} is needed and missing")), "{}", buckets.out);
    assert!(buckets.out.contains(&format!("spanlake repair --bucket state --lake-bucket lake {lost}")), "{}", buckets.out);

    let before = world.s3.objects("state");
    let looked = world.on_buckets(&["repair", &lost]);
    assert_eq!((looked.code, world.s3.objects("state") == before), (1, true), "{}", looked.err);
    assert!(looked.out.contains("1 spans, 0 log records") && looked.out.contains("Nothing was changed"), "{}", looked.out);
    let words = ["repair", lost.as_str(), "--yes-count-as-lost"];
    let (folder, buckets) = (world.on_folder(&words), world.on_buckets(&words));
    assert_eq!((folder.code, buckets.code), (0, 0), "{}{}", folder.err, buckets.err);
    let shown = |out: &str| out.lines().filter(|line| !line.starts_with('`')).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(shown(&folder.out), shown(&buckets.out));
    assert!(buckets.out.starts_with("Given up:\n") && buckets.out.contains("Enable the event source mapping"), "{}", buckets.out);

    let status = world.on_buckets(&["status"]);
    assert!(status.out.contains("dropped by lost_object: 1"), "{}", status.out);
    assert_eq!(common(&world.on_folder(&["status"]).out.replace("--data", "")).len(), common(&status.out).len());
    assert_eq!(world.on_buckets(&["verify"]).code, 0);
    let again = world.on_buckets(&words);
    assert!(again.code == 0 && again.out.starts_with("Nothing needs"), "{}{}", again.out, again.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_output_of_a_plan_under_way_leaves_the_lake_of_a_deployment() {
    let world = World::new().await;
    // The archiver is killed when it has written the files, and before it says so.
    world.lose(&keys::plan_done(1));
    let lost = world.keys(keys::SEALED);
    for key in &lost {
        world.lose(key);
    }
    assert!(!world.s3.objects("lake").is_empty());
    let words: Vec<&str> =
        std::iter::once("repair").chain(lost.iter().map(String::as_str)).chain(["--yes-count-as-lost"]).collect();
    let given_up = world.on_buckets(&words);
    assert_eq!(given_up.code, 0, "{}{}", given_up.out, given_up.err);
    assert!(given_up.out.contains("an empty object stands in for"), "{}", given_up.out);
    assert!(world.s3.objects("lake").is_empty(), "what is given up is not shown");
    assert_eq!(world.keys(keys::SEALED), lost);
    let status = world.on_buckets(&["status"]);
    assert!(status.out.contains("dropped by lost_object: 2"), "{}", status.out);
    let verify = world.on_buckets(&["verify"]);
    assert!(verify.code == 0 && verify.out.contains("2 given up before"), "{}{}", verify.out, verify.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grouper_that_is_faster_is_waited_for_and_not_without_an_end() {
    let world = World::new().await;
    let lost = world.waiting_batch();
    world.lose(&lost);
    let words = ["repair", lost.as_str(), "--yes-count-as-lost"];
    world.s3.set_faults(S3Faults { conflict: 100, ..S3Faults::default() });
    let busy = world.on_buckets(&words);
    assert_eq!(busy.code, 2, "{}", busy.out);
    assert!(busy.err.contains("disable the event source mapping") && busy.err.contains("changes faster"), "{}", busy.err);
    world.s3.set_faults(S3Faults::default());
    for _ in 0..3 {
        world.s3.fault_next(S3Action::PutObject, S3Fault::Conflict);
    }
    let given_up = world.on_buckets(&words);
    assert!(given_up.code == 0 && given_up.out.contains("1 spans"), "{}{}", given_up.out, given_up.err);
    assert!(world.on_buckets(&["status"]).out.contains("dropped by lost_object: 1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn buckets_that_cannot_be_asked_are_told_with_the_next_step() {
    let world = World::new().await;
    for (words, code) in COMMANDS {
        let told = |buckets: &[&str], wanted: &[&str]| {
            let ran = world.with(&[words, buckets].concat());
            assert_eq!((ran.code, ran.out.as_str()), (code, ""), "{words:?} {buckets:?}: {}", ran.err);
            for wanted in wanted {
                assert!(ran.err.contains(wanted), "{words:?} {buckets:?}: {wanted}: {}", ran.err);
            }
            assert!(ran.err.len() < 500, "{words:?} {buckets:?}: {}", ran.err);
        };
        told(&["--bucket", "other"], &["there is no bucket other", "StateBucketName"]);
        told(&["--bucket", "state", "--lake-bucket", "other"], &["there is no bucket other", "LakeBucketName"]);
        told(&["--bucket", "state", "--lake-bucket", "state"], &["the lake is in a bucket of its own"]);
        told(&["--bucket", "empty"], &["bucket empty holds no state", "StateBucketName"]);
        world.s3.fault_next(S3Action::ListObjectsV2, S3Fault::Denied);
        told(&["--bucket", "state"], &["s3:ListBucket on bucket state is denied", "aws-operations.md"]);
        world.s3.fault_next(S3Action::ListObjectVersions, S3Fault::Denied);
        told(&["--bucket", "state"], &["s3:ListBucketVersions on bucket state is denied", "aws-operations.md"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_missing_within_a_bucket_is_named() {
    let world = World::new().await;
    for (words, code) in COMMANDS {
        world.s3.fault_next(S3Action::GetObject, S3Fault::Denied);
        let ran = world.on_buckets(words);
        assert_eq!(ran.code, code, "{words:?}: {}", ran.err);
        assert!(ran.err.contains("is denied to these credentials") && ran.err.contains("reading "), "{words:?}: {}", ran.err);
        assert!(ran.err.len() < 500, "{words:?}: {}", ran.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_credentials_the_next_step_is_told() {
    let world = World::new().await;
    let (url, home) = (world.s3.url(), world.folder.path().display().to_string());
    let environment = [
        ("AWS_ENDPOINT_URL", url.as_str()),
        ("AWS_REGION", "us-east-1"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("HOME", home.as_str()),
    ];
    let ran = tokio::task::block_in_place(|| run(&["status", "--bucket", "state"], &environment));
    assert_eq!(ran.code, 1, "{}", ran.out);
    assert!(ran.err.contains("aws s3 ls s3://state") && ran.err.contains("export-credentials"), "{}", ran.err);
    assert!(ran.err.len() < 800, "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_command_cannot_do_with_buckets_it_says() {
    let world = World::new().await;
    let unnamed = world.with(&["repair", "staged/00", "--bucket", "state"]);
    assert!(unnamed.code == 2 && unnamed.err.contains("--lake-bucket"), "{}{}", unnamed.out, unnamed.err);
    let list = world.on_buckets(&["quarantine"]).out;
    let record = list.lines().nth(1).unwrap().split_whitespace().next().unwrap();
    let out = world.folder.path().join("record.bin").display().to_string();
    let fetch = world.on_buckets(&["quarantine", "--fetch", record, "--out", &out]);
    assert_eq!(fetch.code, 1, "{}", fetch.out);
    let (shard, sequence) = record.rsplit_once(':').unwrap();
    for told in ["NO RULE HAS MASKED", &format!("--shard-id {shard}"), &format!("--starting-sequence-number {sequence}"), &out] {
        assert!(fetch.err.contains(told), "{told}: {}", fetch.err);
    }
}
