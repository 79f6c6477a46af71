//! `GetShardIterator` and `GetRecords`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{ApiError, check_stream, hash_range, number, open_token, text, token};
use crate::kinesis::sequence::Sequence;
use crate::kinesis::stream::{HeldRecord, Shard, Stream};

const RECORDS_MAX: u64 = 10_000;
/// Of an answer: data alone.
const ANSWER_BYTES_MAX: usize = 10 << 20;
const NANOS_PER_MS: i64 = 1_000_000;

fn iterator(shard: &str, after: Sequence) -> Value {
    token(&json!({"shard": shard, "after": after.to_string()})).into()
}

fn shard<'a>(stream: &'a Stream, id: &str) -> Result<&'a Shard, ApiError> {
    let missing = || ApiError::not_found(format!("Shard {id} in stream {} does not exist", stream.name));
    stream.shard(id).ok_or_else(missing)
}

/// `GetShardIterator`. A sequence number that was trimmed is the beginning of what is left.
pub(in crate::kinesis) fn get_shard_iterator(stream: &Stream, input: &Value) -> Result<Value, ApiError> {
    check_stream(stream, input, true)?;
    let shard = shard(stream, text(input, "ShardId").unwrap_or_default())?;
    let number = || {
        let number = text(input, "StartingSequenceNumber");
        let number = number.ok_or_else(|| ApiError::argument("this iterator needs a StartingSequenceNumber"))?;
        Sequence::parse(number).ok_or_else(|| {
            let what = format!("StartingSequenceNumber {number} used in GetShardIterator on shard {}", shard.id);
            ApiError::argument(format!("{what} is invalid because it did not come from this stream."))
        })
    };
    let after = match text(input, "ShardIteratorType").unwrap_or_default() {
        "TRIM_HORIZON" => Sequence::ZERO,
        "LATEST" => stream.newest(),
        "AFTER_SEQUENCE_NUMBER" => number()?,
        "AT_SEQUENCE_NUMBER" => number()?.before(),
        other => return Err(ApiError::argument(format!("the iterator type {other:?} is not supported here"))),
    };
    Ok(json!({"ShardIterator": iterator(&shard.id, after)}))
}

/// `GetRecords`. At the end of a closed shard there is no next iterator, and its children are named. An empty read has
/// no records although there may be some.
pub(in crate::kinesis) fn get_records(stream: &Stream, input: &Value, is_empty_read: bool) -> Result<Value, ApiError> {
    check_stream(stream, input, false)?;
    let most = number(input, "Limit", 1..=RECORDS_MAX)?.unwrap_or(10_000);
    let position = text(input, "ShardIterator").and_then(open_token);
    let position = position.and_then(|token| Some((text(&token, "shard")?.to_owned(), Sequence::parse(text(&token, "after")?)?)));
    let (id, after) = position.ok_or_else(|| ApiError::argument("Invalid ShardIterator."))?;
    let shard = shard(stream, &id)?;

    let mut rest = shard.records.iter().filter(|(sequence, _)| *sequence > after).peekable();
    let (mut shown, mut bytes, mut last) = (Vec::new(), 0, after);
    while !is_empty_read && shown.len() < most {
        let Some((sequence, record)) = rest.next_if(|(_, record)| bytes + record.bytes.len() <= ANSWER_BYTES_MAX) else { break };
        bytes += record.bytes.len();
        last = *sequence;
        shown.push(show(record));
    }
    let unread = rest.next().map(|(_, record)| record);
    let behind = unread.map_or(0, |unread| (stream.now_nanos - unread.arrival_nanos).max(0) / NANOS_PER_MS);
    Ok(if unread.is_none() && !shard.is_open() {
        json!({"Records": shown, "MillisBehindLatest": behind, "ChildShards": children(stream, &id)})
    } else {
        json!({"Records": shown, "MillisBehindLatest": behind, "NextShardIterator": iterator(&id, last)})
    })
}

fn show(record: &HeldRecord) -> Value {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 have fewer than 53 bits")]
    let arrival_seconds = record.arrival_nanos.div_euclid(NANOS_PER_MS) as f64 / 1_000.0;
    json!({
        "SequenceNumber": record.sequence,
        "ApproximateArrivalTimestamp": arrival_seconds,
        "Data": STANDARD.encode(&record.bytes),
        "PartitionKey": record.partition_key,
        "EncryptionType": "NONE",
    })
}

fn children(stream: &Stream, parent: &str) -> Vec<Value> {
    let is_child = |shard: &&Shard| shard.parents.iter().any(|id| id == parent);
    let show = |shard: &Shard| json!({"ShardId": shard.id, "ParentShards": shard.parents, "HashKeyRange": hash_range(shard)});
    stream.shards.iter().filter(is_child).map(show).collect()
}
