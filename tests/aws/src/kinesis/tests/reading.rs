//! Iterators and records.

use aws_sdk_kinesis::operation::get_records::GetRecordsOutput;
use aws_sdk_kinesis::types::ShardIteratorType;

use super::*;

async fn iterator(client: &Client, shard: &str, kind: ShardIteratorType, sequence: Option<&str>) -> Option<String> {
    let call = client.get_shard_iterator().stream_name("spans").shard_id(shard).shard_iterator_type(kind);
    call.set_starting_sequence_number(sequence.map(str::to_owned)).send().await.unwrap().shard_iterator
}

async fn read(client: &Client, iterator: Option<String>, limit: i32) -> GetRecordsOutput {
    client.get_records().set_shard_iterator(iterator).limit(limit).send().await.unwrap()
}

fn texts(output: &GetRecordsOutput) -> Vec<&str> {
    output.records().iter().map(|record| str::from_utf8(record.data().as_ref()).unwrap()).collect()
}

#[tokio::test]
async fn each_kind_of_iterator_begins_where_it_says() {
    let (twin, client) = start(1).await;
    put(&client, ["a", "b", "c"].map(|text| entry(0, text.as_bytes())).to_vec()).await.unwrap();
    let second = twin.records(SHARD_0)[1].sequence.clone();
    let from = async |kind, sequence| {
        let iterator = iterator(&client, SHARD_0, kind, sequence).await;
        texts(&read(&client, iterator, 100).await).concat()
    };
    assert_eq!(from(ShardIteratorType::TrimHorizon, None).await, "abc");
    assert_eq!(from(ShardIteratorType::AtSequenceNumber, Some(&second)).await, "bc");
    assert_eq!(from(ShardIteratorType::AfterSequenceNumber, Some(&second)).await, "c");
    assert_eq!(from(ShardIteratorType::Latest, None).await, "");
    twin.trim(SHARD_0, &second);
    assert_eq!(from(ShardIteratorType::TrimHorizon, None).await, "c");
    assert_eq!(from(ShardIteratorType::AtSequenceNumber, Some(&second)).await, "c");
}

#[tokio::test]
async fn what_names_no_place_of_the_shard_is_refused() {
    let (twin, client) = start(1).await;
    let ask = |shard: &str, sequence: Option<&str>| {
        let call = client.get_shard_iterator().stream_name("spans").shard_id(shard);
        call.shard_iterator_type(ShardIteratorType::AfterSequenceNumber)
            .set_starting_sequence_number(sequence.map(str::to_owned))
            .send()
    };
    assert_eq!(code(ask(SHARD_0, None).await), "InvalidArgumentException");
    assert_eq!(code(ask(SHARD_0, Some("17")).await), "InvalidArgumentException");
    assert_eq!(code(ask(SHARD_1, None).await), "ResourceNotFoundException");
    assert_eq!(code(client.get_records().shard_iterator("nonsense").send().await), "InvalidArgumentException");
    let iterator = iterator(&client, SHARD_0, ShardIteratorType::Latest, None).await;
    for limit in [0, 10_001] {
        let call = client.get_records().set_shard_iterator(iterator.clone()).limit(limit);
        assert_eq!(code(call.send().await), "ValidationException");
    }
    twin.split(SHARD_0, 1).unwrap();
    twin.trim(SHARD_0, &"9".repeat(56));
    twin.trim(SHARD_0, &client_sees_last(&client).await);
    let gone = client.get_records().set_shard_iterator(iterator).send().await;
    assert_eq!(code(gone), "ResourceNotFoundException", "a closed shard without records is gone");
}

/// The last sequence number of the first shard.
async fn client_sees_last(client: &Client) -> String {
    let output = client.list_shards().stream_name("spans").send().await.unwrap();
    output.shards()[0].sequence_number_range().unwrap().ending_sequence_number().unwrap().to_owned()
}

#[tokio::test]
async fn records_come_in_order_up_to_the_limit_with_their_arrival() {
    let (twin, client) = start(1).await;
    twin.set_now(1_785_542_400_123_987_000);
    put(&client, vec![entry(5, b"a"), entry(5, b"b")]).await.unwrap();
    twin.set_now(1_785_542_400_000_000_000);
    put(&client, vec![entry(5, b"c")]).await.unwrap();
    twin.set_now(1_785_542_401_000_000_000);
    let first = iterator(&client, SHARD_0, ShardIteratorType::TrimHorizon, None).await;
    let page = read(&client, first, 2).await;
    assert_eq!(texts(&page), ["a", "b"]);
    assert_eq!(page.millis_behind_latest(), Some(1_000), "by the first record that was not read");
    let arrival = page.records()[0].approximate_arrival_timestamp().unwrap();
    // It travels as a float of seconds: a reader must round, not cut.
    assert_eq!((arrival.as_nanos() + 500_000) / 1_000_000, 1_785_542_400_123);
    assert_eq!(page.records()[0].partition_key(), Some("k"));
    assert_eq!(page.records()[0].sequence_number(), twin.records(SHARD_0)[0].sequence);
    let page = read(&client, page.next_shard_iterator, 2).await;
    assert_eq!((texts(&page), page.millis_behind_latest()), (vec!["c"], Some(0)));
    let page = read(&client, page.next_shard_iterator, 2).await;
    assert!(page.records().is_empty() && page.next_shard_iterator().is_some(), "an open shard has no end");
    put(&client, vec![entry(5, b"d")]).await.unwrap();
    assert_eq!(texts(&read(&client, page.next_shard_iterator, 2).await), ["d"]);
}

#[tokio::test]
async fn an_answer_has_at_most_ten_mebibytes() {
    let (twin, client) = start(1).await;
    for _ in 0..12 {
        twin.push(0, vec![0; 1 << 20].into());
    }
    let first = iterator(&client, SHARD_0, ShardIteratorType::TrimHorizon, None).await;
    let page = read(&client, first, 10_000).await;
    assert_eq!(page.records().len(), 10);
    assert_eq!(read(&client, page.next_shard_iterator, 10_000).await.records().len(), 2);
}

#[tokio::test]
async fn a_closed_shard_ends_with_its_children_and_without_an_iterator() {
    let (twin, client) = start(2).await;
    put(&client, vec![entry(0, b"a"), entry(0, b"b")]).await.unwrap();
    let first = iterator(&client, SHARD_0, ShardIteratorType::TrimHorizon, None).await;
    let child = twin.merge(SHARD_0, SHARD_1).unwrap();
    let page = read(&client, first, 1).await;
    assert!(page.next_shard_iterator().is_some() && page.child_shards().is_empty());
    let page = read(&client, page.next_shard_iterator, 1).await;
    assert_eq!((texts(&page), page.next_shard_iterator()), (vec!["b"], None));
    let children = page.child_shards();
    assert_eq!((children[0].shard_id(), children[0].parent_shards().join(" ")), (child.as_str(), format!("{SHARD_0} {SHARD_1}")));
    let last = twin.records(SHARD_0)[1].sequence.clone();
    let behind = iterator(&client, SHARD_0, ShardIteratorType::AfterSequenceNumber, Some(&last)).await;
    let page = read(&client, behind, 1).await;
    assert!(page.records().is_empty() && page.next_shard_iterator().is_none());
}

#[tokio::test]
async fn an_iterator_may_be_expired_and_a_read_empty_without_being_the_end() {
    let (twin, client) = start(1).await;
    put(&client, vec![entry(0, b"a")]).await.unwrap();
    twin.split(SHARD_0, 1).unwrap();
    let first = iterator(&client, SHARD_0, ShardIteratorType::TrimHorizon, None).await;
    twin.fault_next(KinesisAction::GetRecords, KinesisFault::ExpiredIterator);
    twin.fault_next(KinesisAction::GetRecords, KinesisFault::EmptyRead);
    let expired = client.get_records().set_shard_iterator(first.clone()).send().await;
    assert_eq!(code(expired), "ExpiredIteratorException");
    let page = read(&client, first, 10).await;
    assert!(page.records().is_empty() && page.next_shard_iterator().is_some());
    assert_eq!(texts(&read(&client, page.next_shard_iterator, 10).await), ["a"]);
}
