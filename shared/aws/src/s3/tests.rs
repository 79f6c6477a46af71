//! The store's adapter and the real SDK client against an endpoint with faults.

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use spanlake_aws_twin::{S3Action, S3Fault, S3Faults, S3Twin};
use spanlake_testkit::object_store_contract;

use super::*;

async fn start() -> (S3Twin, S3Store) {
    let twin = S3Twin::start(&["state", "lake"], 1).await;
    twin.enable_versioning("state");
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(twin.url())
        .force_path_style(true)
        .build();
    let buckets = Buckets { state: "state".to_owned(), lake: "lake".to_owned() };
    (twin, S3Store::new(&Client::from_conf(config), buckets))
}

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

/// How many calls of a kind there were.
fn calls(twin: &S3Twin, action: S3Action) -> usize {
    twin.requests().iter().filter(|call| call.action == action).count()
}

#[tokio::test]
async fn it_is_a_store_as_the_contract_says() {
    let (_twin, store) = start().await;
    object_store_contract(&store).await;
}

#[tokio::test]
async fn it_is_one_over_many_pages() {
    let (twin, store) = start().await;
    twin.set_page_max(2);
    object_store_contract(&store).await;
}

#[tokio::test]
async fn the_lake_is_in_a_bucket_of_its_own() {
    let (twin, store) = start().await;
    store.put("lake/v1/spans/dt=2026-01-01/hour=00/a.parquet", bytes("x")).await.unwrap();
    store.put("lakes", bytes("y")).await.unwrap();
    assert_eq!((twin.objects("lake").len(), twin.objects("state").len()), (1, 1));
    let listed = store.list("lake/v1/", None, 10).await.unwrap();
    store.delete(&listed[..1]).await.unwrap();
    assert!(twin.objects("lake").is_empty());
}

#[tokio::test]
async fn only_the_version_that_was_listed_is_deleted() {
    let (twin, store) = start().await;
    store.put("staged/a", bytes("same")).await.unwrap();
    let listed = store.list("staged/", None, 10).await.unwrap();
    store.put("staged/a", bytes("same")).await.unwrap();
    store.delete(&listed[..1]).await.unwrap();
    assert_eq!(twin.versions("state", "staged/a").len(), 1);
    assert!(store.get("staged/a").await.unwrap().is_some());
}

#[tokio::test]
async fn an_object_goes_with_the_versions_behind_it_also_over_pages() {
    let (twin, store) = start().await;
    for _ in 0..5 {
        store.put("staged/a", bytes("same")).await.unwrap();
    }
    store.put("staged/b", bytes("other")).await.unwrap();
    for page in [1_000, 2] {
        twin.set_page_max(page);
        let first = store.list("staged/", None, 1).await.unwrap();
        assert_eq!(first[0].version.split(' ').count(), 5);
        assert_eq!(store.list("staged/", None, 10).await.unwrap().len(), 2);
    }
    let listed = store.list("staged/", None, 10).await.unwrap();
    store.delete(&listed[..1]).await.unwrap();
    assert!(twin.versions("state", "staged/a").is_empty() && store.get("staged/b").await.unwrap().is_some());
}

#[tokio::test]
async fn many_objects_go_in_one_call_and_one_that_stays_is_told() {
    let (twin, store) = start().await;
    for number in 0..1_001 {
        twin.put("state", &format!("staged/{number:04}"), bytes("x"));
    }
    let listed = store.list("staged/", None, 2_000).await.unwrap();
    store.delete(&listed).await.unwrap();
    assert!(twin.objects("state").is_empty());
    assert_eq!(calls(&twin, S3Action::DeleteObjects), 2);
    twin.put("state", "staged/a", bytes("x"));
    twin.put("state", "staged/b", bytes("x"));
    twin.deny_delete("state", "staged/b");
    let error = store.delete(&store.list("staged/", None, 10).await.unwrap()).await.unwrap_err().to_string();
    assert!(error.contains("deleting staged/b: AccessDenied"), "{error}");
    assert_eq!(twin.objects("state").into_keys().collect::<Vec<_>>(), ["staged/b"]);
}

#[tokio::test]
async fn manifests_are_listed_without_their_versions() {
    let (twin, store) = start().await;
    for text in ["1", "2", "3"] {
        store.put("manifest/shard.json", bytes(text)).await.unwrap();
    }
    assert_eq!(store.list("manifest/", None, 10).await.unwrap().len(), 1);
    assert_eq!((calls(&twin, S3Action::ListObjectsV2), calls(&twin, S3Action::ListObjectVersions)), (1, 0));
}

#[tokio::test]
async fn a_race_is_refused_and_an_unknown_outcome_is_an_error_that_was_tried_once() {
    let (twin, store) = start().await;
    twin.fault_next(S3Action::PutObject, S3Fault::Conflict);
    assert_eq!(store.put_new("plan/1", bytes("a")).await.unwrap(), Conditional::Refused);
    assert!(store.get("plan/1").await.unwrap().is_none());
    twin.fault_next(S3Action::PutObject, S3Fault::LostReply);
    assert!(store.put_new("plan/1", bytes("a")).await.is_err());
    assert_eq!(calls(&twin, S3Action::PutObject), 2, "a second try would have found its own first one");
    assert_eq!(store.get("plan/1").await.unwrap().unwrap().bytes, "a");
    assert_eq!(store.swap("plan/2", &ETag("\"0\"".to_owned()), bytes("a")).await.unwrap(), Conditional::Refused);
}

#[tokio::test]
async fn what_fixes_its_own_name_is_tried_again() {
    let faults = [S3Fault::LostRequest, S3Fault::LostReply, S3Fault::SlowDown, S3Fault::InternalError];
    for fault in faults {
        let (twin, store) = start().await;
        twin.fault_next(S3Action::PutObject, fault);
        store.put("staged/a", bytes("a")).await.unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        twin.fault_next(S3Action::GetObject, fault);
        assert_eq!(store.get("staged/a").await.unwrap().unwrap().bytes, "a", "{fault:?}");
    }
}

#[tokio::test]
async fn a_body_that_ends_early_is_read_again_and_never_taken_for_the_whole() {
    let (twin, store) = start().await;
    store.put("staged/a", Bytes::from(vec![7; 100_000])).await.unwrap();
    twin.fault_next(S3Action::GetObject, S3Fault::CutReply);
    assert_eq!(store.get("staged/a").await.unwrap().unwrap().bytes.len(), 100_000);
    assert_eq!(calls(&twin, S3Action::GetObject), 2);
    twin.set_faults(S3Faults { cut_reply: 100, ..S3Faults::default() });
    assert!(matches!(store.get("staged/a").await, Err(StoreError::Unavailable { .. })));
}
