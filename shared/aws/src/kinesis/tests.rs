//! The stream's adapter and the real SDK client against an endpoint with faults.

use std::sync::Arc;

use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region};
use spanlake_aws_twin::{EntryFault, KinesisAction, KinesisFault, KinesisFaults, KinesisTwin};
use spanlake_model::{BUCKETS, Bucket, BucketRange};

use super::*;

const SHARD_0: &str = "shardId-000000000000";
const SHARD_1: &str = "shardId-000000000001";

/// Quick enough for faults on purpose, and for no other.
const SETTINGS: StreamSettings = StreamSettings {
    put_within: Duration::from_secs(20),
    call_within: Duration::from_secs(10),
    backoff: Duration::from_millis(1),
    map_age_max: Duration::from_mins(1),
};

async fn start(shards: u16, settings: StreamSettings) -> (KinesisTwin, KinesisStream) {
    let twin = KinesisTwin::start("spans", shards, 1).await;
    let config = aws_sdk_kinesis::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(twin.url())
        .build();
    let stream = KinesisStream::new(Client::from_conf(config), "spans".to_owned(), settings);
    stream.freshen().await.unwrap();
    (twin, stream)
}

fn bucket(number: u16) -> Bucket {
    Bucket::new(number).unwrap()
}

fn record(number: u16, text: &str) -> NewRecord {
    NewRecord { bucket: bucket(number), bytes: text.to_owned().into() }
}

/// One for each of two shards.
fn two() -> Vec<NewRecord> {
    vec![record(0, "low"), record(BUCKETS - 1, "high")]
}

fn texts(twin: &KinesisTwin, shard: &str) -> Vec<String> {
    twin.records(shard).iter().map(|held| String::from_utf8(held.bytes.to_vec()).unwrap()).collect()
}

/// How many entries each `PutRecords` had.
fn puts(twin: &KinesisTwin) -> Vec<usize> {
    let calls = twin.requests().into_iter().filter(|call| call.action == KinesisAction::PutRecords);
    calls.map(|call| call.entries.len()).collect()
}

fn lists(twin: &KinesisTwin) -> usize {
    twin.requests().iter().filter(|call| call.action == KinesisAction::ListShards).count()
}

#[tokio::test]
async fn it_is_a_stream_as_the_contract_says() {
    for shards in [1, 3] {
        spanlake_testkit::event_stream_contract(&start(shards, SETTINGS).await.1).await;
    }
}

#[tokio::test]
async fn all_records_of_a_request_go_in_one_call_to_the_shards_that_own_them() {
    let (twin, stream) = start(2, SETTINGS).await;
    for _ in 0..5 {
        assert!(stream.append(two()).await.iter().all(Result::is_ok));
    }
    assert_eq!(puts(&twin), [2; 5]);
    assert_eq!((texts(&twin, SHARD_0), texts(&twin, SHARD_1)), (vec!["low".to_owned(); 5], vec!["high".to_owned(); 5]));
    assert_eq!(twin.connections(), 1, "a connection is used again");
}

#[tokio::test]
async fn only_what_failed_is_sent_again() {
    let (twin, stream) = start(2, SETTINGS).await;
    twin.fault_next(KinesisAction::PutRecords, KinesisFault::Entries(vec![(1, EntryFault::Throttled)]));
    twin.fault_next(KinesisAction::PutRecords, KinesisFault::Entries(vec![(0, EntryFault::InternalFailure)]));
    assert!(stream.append(two()).await.iter().all(Result::is_ok));
    assert_eq!(puts(&twin), [2, 1, 1]);
    assert_eq!((texts(&twin, SHARD_0).len(), texts(&twin, SHARD_1).len()), (1, 1));
}

#[tokio::test]
async fn a_call_without_a_usable_answer_is_sent_again_whole() {
    let faults = [
        KinesisFault::LostRequest,
        KinesisFault::LostReply,
        KinesisFault::Garbage,
        KinesisFault::CutReply,
        KinesisFault::InternalFailure,
        KinesisFault::Unavailable,
        KinesisFault::Throttled,
    ];
    for fault in faults {
        let (twin, stream) = start(2, SETTINGS).await;
        twin.fault_next(KinesisAction::PutRecords, fault.clone());
        assert!(stream.append(two()).await.iter().all(Result::is_ok), "{fault:?}");
        assert_eq!(puts(&twin), [2, 2], "{fault:?}");
    }
}

#[tokio::test]
async fn beyond_the_deadline_each_record_says_whether_it_is_worth_a_slower_retry() {
    // The wait behind a failure is beyond the deadline, so that one call decides, however slow the machine is.
    let (twin, stream) = start(2, StreamSettings { backoff: Duration::from_hours(20), ..SETTINGS }).await;
    let throttled = KinesisFaults { entry_throttled: 100, ..KinesisFaults::default() };
    twin.set_faults(throttled);
    assert!(stream.append(two()).await.iter().all(|result| matches!(result, Err(AppendError::Throttled { .. }))));
    twin.set_faults(KinesisFaults { internal_failure: 100, ..KinesisFaults::default() });
    let results = stream.append(two()).await;
    let is_out_of_reach = |result: &Result<(), AppendError>| matches!(result, Err(AppendError::Unavailable { .. }));
    assert!(results.iter().all(is_out_of_reach), "{results:?}");
    twin.set_faults(KinesisFaults::default());
    assert!(stream.append(two()).await.iter().all(Result::is_ok));
}

#[tokio::test]
async fn a_call_that_never_ends_is_ended_by_the_deadline() {
    let (twin, stream) = start(2, StreamSettings { put_within: Duration::from_millis(200), ..SETTINGS }).await;
    twin.set_faults(KinesisFaults { no_answer: 100, ..KinesisFaults::default() });
    let results = stream.append(two()).await;
    assert!(results.iter().all(|result| matches!(result, Err(AppendError::Unavailable { .. }))), "{results:?}");
}

#[tokio::test]
async fn under_every_fault_what_is_said_to_be_stored_is_stored() {
    let (twin, stream) = start(4, StreamSettings { put_within: Duration::from_secs(5), ..SETTINGS }).await;
    twin.set_faults(KinesisFaults {
        throttled: 5,
        internal_failure: 5,
        lost_request: 5,
        lost_reply: 5,
        garbage: 5,
        entry_throttled: 20,
        entry_internal_failure: 10,
        reordered: 20,
        ..KinesisFaults::default()
    });
    for round in 0..40 {
        let records = (0..4).map(|part| record(part * 1024 + 5, &format!("{round}.{part}")));
        let results = stream.append(records.collect()).await;
        for (part, result) in results.iter().enumerate() {
            let stored = texts(&twin, &format!("shardId-{part:012}"));
            assert!(result.is_err() || stored.contains(&format!("{round}.{part}")), "{round}.{part}");
        }
    }
}

#[tokio::test]
async fn large_requests_go_in_several_calls() {
    let (twin, stream) = start(1, SETTINGS).await;
    let large = vec![NewRecord { bucket: bucket(0), bytes: vec![7; 1_000_000].into() }; 12];
    assert!(stream.append(large).await.iter().all(Result::is_ok));
    assert_eq!(puts(&twin), [5, 5, 2]);
    assert!(stream.append(vec![record(0, "x"); 501]).await.iter().all(Result::is_ok));
    assert_eq!(puts(&twin)[3..], [500, 1]);
}

#[tokio::test]
async fn shards_are_listed_once_a_minute_and_again_when_an_answer_names_another() {
    let (twin, stream) = start(2, SETTINGS).await;
    stream.freshen().await.unwrap();
    assert_eq!(lists(&twin), 1);
    twin.split(SHARD_1, bucket(3_000).hash_key()).unwrap();
    assert_eq!(stream.shards().len(), 2, "nobody knows yet");
    assert!(stream.append(two()).await.iter().all(Result::is_ok));
    stream.freshen().await.unwrap();
    let ranges: Vec<(u16, u16)> = stream.shards().iter().map(|shard| (shard.range.first, shard.range.last)).collect();
    assert_eq!((ranges, lists(&twin)), (vec![(0, 2_047), (2_048, 2_999), (3_000, 4_095)], 2));

    let (twin, stream) = start(1, StreamSettings { map_age_max: Duration::ZERO, ..SETTINGS }).await;
    stream.freshen().await.unwrap();
    assert_eq!(lists(&twin), 2, "an old list is not used");
}

#[tokio::test]
async fn without_a_list_that_is_young_enough_nothing_is_cut() {
    let (twin, stream) = start(1, StreamSettings { map_age_max: Duration::ZERO, ..SETTINGS }).await;
    twin.set_faults(KinesisFaults { throttled: 100, ..KinesisFaults::default() });
    assert!(stream.freshen().await.is_err());
    assert!(stream.list().await.is_err());
    twin.set_faults(KinesisFaults::default());
    stream.freshen().await.unwrap();
}

#[tokio::test]
async fn closed_shards_are_listed_with_their_children_over_pages_and_left_out_of_the_open_ones() {
    let (twin, stream) = start(3, SETTINGS).await;
    twin.push(bucket(0).hash_key(), "old".into());
    twin.set_page_max(2);
    let [low, high] = twin.split(SHARD_0, bucket(100).hash_key()).unwrap();
    let merged = twin.merge(&high, SHARD_1).unwrap();
    let all = stream.list().await.unwrap();
    let parents = |id: &str| all.iter().find(|shard| shard.id == id).map(|shard| shard.parents.clone()).unwrap_or_default();
    assert!(all.iter().any(|shard| shard.id == SHARD_0), "what it holds can be read");
    assert_eq!((parents(&low), parents(&merged)), (vec![SHARD_0.to_owned()], vec![high, SHARD_1.to_owned()]));
    assert!(all.is_sorted_by(|one, next| one.id < next.id));
    let open = || stream.shards().iter().map(|shard| shard.range).collect::<Vec<BucketRange>>();
    stream.map().listed = None;
    stream.freshen().await.unwrap();
    let (first, last) = (open().first().copied().unwrap(), open().last().copied().unwrap());
    assert_eq!((open().len(), first.first, first.last, last.last), (3, 0, 99, BUCKETS - 1));
}

/// Reads a shard to its end, or to where there is nothing more.
async fn read_all(stream: &KinesisStream, shard: &str, bytes_max: usize) -> (Vec<String>, bool) {
    let (mut texts, mut after) = (Vec::new(), Sequence::ZERO);
    loop {
        let slice = stream.read(shard, after, 3, bytes_max).await.unwrap();
        texts.extend(slice.records.iter().map(|record| String::from_utf8(record.bytes.to_vec()).unwrap()));
        match slice.records.last() {
            Some(last) if !slice.is_end => after = last.sequence,
            _ => return (texts, slice.is_end),
        }
    }
}

#[tokio::test]
async fn a_shard_is_read_in_order_to_its_end_and_not_beyond_what_is_asked_for() {
    let (twin, stream) = start(1, SETTINGS).await;
    let all: Vec<String> = (0..10).map(|number| format!("record {number}")).collect();
    for text in &all {
        twin.push(0, text.clone().into());
    }
    assert_eq!(read_all(&stream, SHARD_0, 1 << 20).await, (all.clone(), false), "an open shard has no end");
    twin.fault_next(KinesisAction::GetRecords, KinesisFault::EmptyRead);
    twin.split(SHARD_0, 1 << 127).unwrap();
    assert_eq!(read_all(&stream, SHARD_0, 1 << 20).await, (all.clone(), true));
    assert_eq!(read_all(&stream, SHARD_0, 1).await, (all.clone(), true), "one record at least");
    let third = twin.records(SHARD_0)[2].sequence.clone();
    twin.trim(SHARD_0, &third);
    assert_eq!(read_all(&stream, SHARD_0, 1 << 20).await, (all[3..].to_vec(), true));
    let slice = stream.read(SHARD_0, third.parse().unwrap(), 2, 1 << 20).await.unwrap();
    assert_eq!((slice.records.len(), slice.is_end), (2, false));
}

#[tokio::test]
async fn a_shard_that_is_gone_has_ended() {
    let (twin, stream) = start(2, SETTINGS).await;
    twin.split(SHARD_0, 1).unwrap();
    for (shard, after) in [(SHARD_0, Sequence::ZERO), (SHARD_0, 77.into()), ("shardId-000000000099", Sequence::ZERO)] {
        let slice = stream.read(shard, after, 10, 1 << 20).await.unwrap();
        assert!(slice.is_end && slice.records.is_empty(), "{shard}");
    }
}

#[tokio::test]
async fn records_have_the_streams_time_and_numbers() {
    let (twin, stream) = start(1, SETTINGS).await;
    twin.set_now(1_790_000_000_123_000_000);
    let twin = Arc::new(twin);
    twin.push(0, "x".into());
    let read = stream.read(SHARD_0, Sequence::ZERO, 1, 1).await.unwrap().records.remove(0);
    assert_eq!(
        (read.arrival_nanos, read.sequence.to_string()),
        (1_790_000_000_123_000_000, twin.records(SHARD_0)[0].sequence.clone())
    );
}

#[test]
fn a_list_is_doubted_only_when_an_answer_names_a_shard_that_is_not_on_it() {
    let listed = |id: &str| list::ListedShard { id: id.to_owned(), hashes: (0, u128::MAX), parents: Vec::new() };
    let mut map = Map::default();
    map.note(vec![listed("a")]);
    map.doubt("a");
    assert!(map.listed.is_some());
    map.doubt("b");
    assert!(map.listed.is_none());
}
