//! What `PutRecords` takes and refuses.

use super::*;

#[tokio::test]
async fn a_record_is_stored_in_the_shard_of_its_hash_key_and_told_so() {
    let (twin, client) = start(2).await;
    let half = 1 << 127;
    let entries = vec![entry(0, b"a"), entry(half, b"b"), entry(half - 1, b"c"), entry(u128::MAX, b"d")];
    let output = put(&client, entries).await.unwrap();
    assert_eq!(output.failed_record_count(), Some(0));
    let shards: Vec<_> = output.records().iter().filter_map(|record| record.shard_id()).collect();
    assert_eq!(shards, [SHARD_0, SHARD_1, SHARD_0, SHARD_1]);
    assert_eq!(bytes_of(&twin.records(SHARD_0)), [b"a", b"c"]);
    assert_eq!(bytes_of(&twin.records(SHARD_1)), [b"b", b"d"]);
    let told: Vec<_> = output.records().iter().filter_map(|record| record.sequence_number()).collect();
    assert_eq!(told[0], twin.records(SHARD_0)[0].sequence);
    assert!(
        told.is_sorted() && told.iter().all(|sequence| sequence.len() == 56 && sequence.parse::<u128>().is_err()),
        "{told:?}"
    );
}

#[tokio::test]
async fn the_limits_of_a_call_and_of_a_record_are_those_of_the_service() {
    let (twin, client) = start(1).await;
    let entries = |count, bytes| (0..count).map(|_| entry(7, &vec![b'x'; bytes])).collect::<Vec<_>>();
    put(&client, entries(500, 1)).await.unwrap();
    assert_eq!(code(put(&client, entries(501, 1)).await), "ValidationException");
    assert_eq!(code(put(&client, entries(0, 1)).await), "ValidationException");
    // The partition key counts: one byte here.
    put(&client, entries(1, (1 << 20) - 1)).await.unwrap();
    assert_eq!(code(put(&client, entries(1, 1 << 20)).await), "InvalidArgumentException");
    put(&client, entries(10, (1 << 20) - 1)).await.unwrap();
    let mut over = entries(10, (1 << 20) - 1);
    over.push(entry(7, b""));
    assert_eq!(code(put(&client, over).await), "InvalidArgumentException");
    assert_eq!(twin.records(SHARD_0).len(), 511, "a refused call stores nothing");
}

#[tokio::test]
async fn a_hash_key_must_be_there_and_be_a_decimal_number_of_128_bits() {
    let (twin, client) = start(1).await;
    let with = |key: Option<&str>| {
        let entry = PutRecordsRequestEntry::builder().data(Blob::new(b"x")).partition_key("k");
        vec![entry.set_explicit_hash_key(key.map(str::to_owned)).build().unwrap()]
    };
    for key in [None, Some(""), Some("-1"), Some("+1"), Some("01"), Some("0x1"), Some("340282366920938463463374607431768211456")]
    {
        assert_eq!(code(put(&client, with(key)).await), "InvalidArgumentException", "{key:?}");
    }
    put(&client, with(Some("340282366920938463463374607431768211455"))).await.unwrap();
    put(&client, with(Some("0"))).await.unwrap();
    assert_eq!(twin.records(SHARD_0).len(), 2);
}

#[tokio::test]
async fn a_stream_that_is_not_there_and_an_action_that_is_not_supported_are_refused() {
    let (twin, client) = start(1).await;
    let other = client.put_records().stream_name("other").records(entry(0, b"x")).send().await;
    assert_eq!(code(other), "ResourceNotFoundException");
    assert_eq!(code(client.list_streams().send().await), "UnknownOperationException");
    let arn = "arn:aws:kinesis:us-east-1:000000000000:stream/spans";
    client.put_records().stream_arn(arn).records(entry(0, b"x")).send().await.unwrap();
    assert_eq!(twin.records(SHARD_0).len(), 1);
}
