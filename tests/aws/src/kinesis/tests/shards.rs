//! Lists of shards, and what splits and merges do to them.

use aws_sdk_kinesis::types::{Shard, ShardFilter, ShardFilterType};

use super::*;

fn open_only() -> ShardFilter {
    ShardFilter::builder().r#type(ShardFilterType::AtLatest).build().unwrap()
}

async fn list(client: &Client, filter: Option<ShardFilter>) -> Vec<Shard> {
    let first = client.list_shards().stream_name("spans").set_shard_filter(filter).send().await.unwrap();
    let (mut shards, mut next) = (first.shards().to_vec(), first.next_token);
    while let Some(token) = next {
        let page = client.list_shards().next_token(token).send().await.unwrap();
        shards.extend_from_slice(page.shards());
        next = page.next_token;
    }
    shards
}

fn ids(shards: &[Shard]) -> Vec<&str> {
    shards.iter().map(|shard| shard.shard_id().strip_prefix("shardId-00000000000").unwrap()).collect()
}

fn range(shard: &Shard) -> (u128, u128) {
    let range = shard.hash_key_range().unwrap();
    (range.starting_hash_key().parse().unwrap(), range.ending_hash_key().parse().unwrap())
}

#[tokio::test]
async fn the_ranges_of_the_shards_cover_every_hash_key_once() {
    for count in [1, 2, 3, 7, 256] {
        let (_twin, client) = start(count).await;
        let ranges: Vec<_> = list(&client, None).await.iter().map(range).collect();
        assert_eq!(ranges.len(), usize::from(count));
        assert_eq!((ranges[0].0, ranges[ranges.len() - 1].1), (0, u128::MAX));
        assert!(ranges.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0));
        let width = |range: &(u128, u128)| range.1 - range.0;
        assert!(ranges.iter().all(|range| width(range).abs_diff(width(&ranges[0])) <= u128::from(count)));
    }
}

#[tokio::test]
async fn a_list_comes_in_pages_and_a_token_names_the_stream_alone() {
    let (twin, client) = start(7).await;
    twin.set_page_max(3);
    assert_eq!(ids(&list(&client, None).await), ["0", "1", "2", "3", "4", "5", "6"]);
    assert_eq!(twin.requests().len(), 3);
    let page = client.list_shards().stream_name("spans").max_results(2).send().await.unwrap();
    assert_eq!(ids(page.shards()), ["0", "1"]);
    let token = page.next_token().unwrap();
    let both = client.list_shards().stream_name("spans").next_token(token).send().await;
    assert_eq!(code(both), "InvalidArgumentException");
    let filtered = client.list_shards().next_token(token).shard_filter(open_only()).send().await;
    assert_eq!(code(filtered), "InvalidArgumentException");
    let garbled = client.list_shards().next_token("nonsense").send().await;
    assert_eq!(code(garbled), "InvalidArgumentException");
    let rest = client.list_shards().stream_name("spans").exclusive_start_shard_id("shardId-000000000005").send().await.unwrap();
    assert_eq!(ids(rest.shards()), ["6"]);
}

#[tokio::test]
async fn a_split_closes_the_parent_and_opens_two_children() {
    let (twin, client) = start(1).await;
    put(&client, vec![entry(1, b"before")]).await.unwrap();
    assert_eq!(twin.split(SHARD_0, 0), None, "a child would be empty");
    let [lower, upper] = twin.split(SHARD_0, 100).unwrap();
    assert_eq!(twin.split(SHARD_0, 50), None, "it is closed");

    let all = list(&client, None).await;
    assert_eq!(ids(&all), ["0", "1", "2"]);
    assert_eq!((range(&all[1]), range(&all[2])), ((0, 99), (100, u128::MAX)));
    let ends = |shard: &Shard| shard.sequence_number_range().unwrap().ending_sequence_number().map(str::to_owned);
    assert!(ends(&all[0]).is_some() && ends(&all[1]).is_none());
    assert_eq!((all[0].parent_shard_id(), all[1].parent_shard_id()), (None, Some(SHARD_0)));
    assert_eq!(ids(&list(&client, Some(open_only())).await), ["1", "2"]);

    let output = put(&client, vec![entry(1, b"low"), entry(100, b"high")]).await.unwrap();
    assert_eq!(output.records()[0].shard_id(), Some(lower.as_str()));
    assert_eq!(output.records()[1].shard_id(), Some(upper.as_str()));
    assert!(output.records()[0].sequence_number() > Some(twin.records(SHARD_0)[0].sequence.as_str()));
}

#[tokio::test]
async fn a_merge_closes_both_parents_and_names_them() {
    let (twin, client) = start(3).await;
    assert_eq!(twin.merge(SHARD_0, "shardId-000000000002"), None, "they are no neighbours");
    let child = twin.merge(SHARD_1, SHARD_0).unwrap();
    let open = list(&client, Some(open_only())).await;
    assert_eq!(ids(&open), ["2", "3"]);
    assert_eq!((open[1].parent_shard_id(), open[1].adjacent_parent_shard_id()), (Some(SHARD_1), Some(SHARD_0)));
    let output = put(&client, vec![entry(0, b"x")]).await.unwrap();
    assert_eq!(output.records()[0].shard_id(), Some(child.as_str()));
    assert_eq!(twin.shards()[3].parents, [SHARD_1, SHARD_0]);
}

#[tokio::test]
async fn a_closed_shard_is_listed_until_its_records_are_trimmed() {
    let (twin, client) = start(1).await;
    put(&client, vec![entry(0, b"a"), entry(0, b"b")]).await.unwrap();
    twin.split(SHARD_0, 1 << 127).unwrap();
    let held = twin.records(SHARD_0);
    twin.trim(SHARD_0, &held[0].sequence);
    assert_eq!(bytes_of(&twin.records(SHARD_0)), [b"b"]);
    assert_eq!(ids(&list(&client, None).await), ["0", "1", "2"]);
    twin.trim(SHARD_0, &held[1].sequence);
    assert_eq!(ids(&list(&client, None).await), ["1", "2"]);
    assert_eq!(twin.shards().len(), 3);
}

#[tokio::test]
async fn a_stale_list_is_that_before_the_last_reshards_on_all_its_pages() {
    let (twin, client) = start(2).await;
    twin.split(SHARD_0, 5).unwrap();
    twin.merge("shardId-000000000003", SHARD_1).unwrap();
    twin.set_page_max(1);
    for (reshards, expected) in [(0, vec!["2", "4"]), (1, vec!["1", "2", "3"]), (2, vec!["0", "1"]), (9, vec!["0", "1"])] {
        twin.fault_next(KinesisAction::ListShards, KinesisFault::StaleMap { reshards });
        assert_eq!(ids(&list(&client, Some(open_only())).await), expected, "{reshards}");
    }
    twin.fault_next(KinesisAction::ListShards, KinesisFault::StaleMap { reshards: 2 });
    let all = list(&client, None).await;
    assert_eq!(ids(&all), ["0", "1"]);
    assert!(all.iter().all(|shard| shard.sequence_number_range().unwrap().ending_sequence_number().is_none()));
}

#[tokio::test]
async fn the_summary_counts_open_shards() {
    let (twin, client) = start(3).await;
    twin.split(SHARD_0, 5).unwrap();
    let output = client.describe_stream_summary().stream_name("spans").send().await.unwrap();
    let summary = output.stream_description_summary().unwrap();
    assert_eq!((summary.stream_name(), summary.open_shard_count()), ("spans", 4));
}
