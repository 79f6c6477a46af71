//! The event of a Kinesis event source mapping, and its answer.
//!
//! Read tolerantly: a record whose data is no base64 is handed on without bytes, for quarantine, since an error would stop its
//! shard until the record expires.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use spanlake_model::Sequence;
use spanlake_pipeline::ports::Record;
use thiserror::Error;

/// What Lambda gives the grouper: records of one shard, in order.
#[derive(Debug, Default, Deserialize)]
pub struct KinesisEvent {
    #[serde(rename = "Records", default)]
    records: Option<Vec<EventRecord>>,
}

#[derive(Debug, Deserialize)]
struct EventRecord {
    /// `shardId-000000000006:4959...`.
    #[serde(rename = "eventID", default)]
    event_id: String,
    kinesis: Kinesis,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kinesis {
    sequence_number: String,
    /// Seconds since 1970.
    #[serde(default)]
    approximate_arrival_timestamp: f64,
    #[serde(default)]
    data: String,
}

/// An event that no batch can be made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum EventError {
    /// The shard cannot be told.
    #[error("the event names no shard, or several: is it of a Kinesis event source mapping?")]
    Shard,
    /// A record cannot be told from its neighbours.
    #[error("a record of the event has no sequence number")]
    Sequence,
}

/// The records of an event.
#[derive(Debug)]
pub struct EventBatch {
    /// The shard that they are of.
    pub shard: String,
    /// The records.
    pub records: Vec<Record>,
    /// Each record's sequence number, as Lambda wants it back.
    numbers: Vec<(Sequence, String)>,
}

/// What is said to Lambda: from which record on it gives the batch again.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchResponse {
    batch_item_failures: Vec<ItemFailure>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ItemFailure {
    item_identifier: String,
}

impl KinesisEvent {
    /// The batch in the event; `None` if there is no record in it.
    ///
    /// # Errors
    /// [`EventError`] if it is no event of a stream.
    pub fn batch(self) -> Result<Option<EventBatch>, EventError> {
        let events = self.records.unwrap_or_default();
        let Some(first) = events.first() else { return Ok(None) };
        let shard = shard_of(&first.event_id).ok_or(EventError::Shard)?.to_owned();
        let mut batch =
            EventBatch { shard, records: Vec::with_capacity(events.len()), numbers: Vec::with_capacity(events.len()) };
        for event in events {
            if shard_of(&event.event_id) != Some(batch.shard.as_str()) {
                return Err(EventError::Shard);
            }
            let sequence = event.kinesis.sequence_number.parse().map_err(|_| EventError::Sequence)?;
            let bytes = STANDARD.decode(&event.kinesis.data).map_or_else(|_| Bytes::new(), Bytes::from);
            let arrival_nanos = nanos(event.kinesis.approximate_arrival_timestamp);
            batch.records.push(Record { sequence, arrival_nanos, bytes });
            batch.numbers.push((sequence, event.kinesis.sequence_number));
        }
        Ok(Some(batch))
    }
}

impl EventBatch {
    /// The answer when every record up to `watermark` is in the state.
    #[must_use]
    pub fn response(&self, watermark: Sequence) -> BatchResponse {
        let first = self.numbers.iter().filter(|(sequence, _)| *sequence > watermark).min_by_key(|(sequence, _)| *sequence);
        let failure = first.map(|(_, number)| ItemFailure { item_identifier: number.clone() });
        BatchResponse { batch_item_failures: failure.into_iter().collect() }
    }
}

fn shard_of(event_id: &str) -> Option<&str> {
    event_id.split_once(':').map(|(shard, _)| shard).filter(|shard| !shard.is_empty())
}

/// Lambda gives milliseconds as a fraction of seconds: what is finer is noise of the conversion.
fn nanos(seconds: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "saturates, and a hostile clock is no error")]
    let ms = (seconds * 1e3).round() as i64;
    ms.saturating_mul(1_000_000).max(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(records: &[(&str, &str, &str)]) -> KinesisEvent {
        let record = |(id, number, data): &(&str, &str, &str)| {
            serde_json::json!({ "eventID": id, "eventSource": "aws:kinesis", "kinesis": { "sequenceNumber": number, "data": data,
                "partitionKey": "7", "kinesisSchemaVersion": "1.0", "approximateArrivalTimestamp": 1_760_000_000.123 } })
        };
        let records: Vec<_> = records.iter().map(record).collect();
        serde_json::from_value(serde_json::json!({ "Records": records, "window": null })).unwrap()
    }

    #[test]
    fn a_batch_has_the_shard_the_bytes_and_the_time_of_the_event() {
        let batch = event(&[(
            "shardId-000000000006:49590338271490256608559692538361571095921575989136588898",
            "49590338271490256608559692538361571095921575989136588898",
            "SGVsbG8=",
        )])
        .batch()
        .unwrap()
        .unwrap();
        assert_eq!(batch.shard, "shardId-000000000006");
        assert_eq!((batch.records[0].bytes.as_ref(), batch.records[0].arrival_nanos), (&b"Hello"[..], 1_760_000_000_123_000_000));
    }

    #[test]
    fn the_answer_names_the_first_record_that_is_not_covered_in_lambdas_own_words() {
        let batch = event(&[("s:0007", "0007", ""), ("s:0009", "0009", ""), ("s:0008", "0008", "")]).batch().unwrap().unwrap();
        let said = |watermark: u64| serde_json::to_string(&batch.response(watermark.into())).unwrap();
        assert_eq!(said(9), r#"{"batchItemFailures":[]}"#);
        assert_eq!(said(7), r#"{"batchItemFailures":[{"itemIdentifier":"0008"}]}"#);
        assert_eq!(said(6), r#"{"batchItemFailures":[{"itemIdentifier":"0007"}]}"#);
    }

    #[test]
    fn data_that_is_no_base64_is_a_record_without_bytes_and_no_error() {
        let batch = event(&[("s:1", "1", "***"), ("s:2", "2", "SGk=")]).batch().unwrap().unwrap();
        assert_eq!((batch.records[0].bytes.len(), batch.records[1].bytes.len()), (0, 2));
    }

    #[test]
    fn events_without_records_are_nothing_to_do_and_strangers_are_errors() {
        for nothing in ["{}", r#"{"Records":null}"#, r#"{"Records":[]}"#] {
            assert!(serde_json::from_str::<KinesisEvent>(nothing).unwrap().batch().unwrap().is_none(), "{nothing}");
        }
        assert_eq!(event(&[("s:1", "1", ""), ("t:2", "2", "")]).batch().unwrap_err(), EventError::Shard);
        assert_eq!(event(&[("nothing", "1", "")]).batch().unwrap_err(), EventError::Shard);
        assert_eq!(event(&[("s:1", "one", "")]).batch().unwrap_err(), EventError::Sequence);
    }
}
