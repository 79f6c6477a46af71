//! Reading what a shard holds: only what the event source did not give, such as the rest of a parent.

use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::types::{Record as KinesisRecord, ShardIteratorType};
use spanlake_model::{NANOS_PER_MS, NANOS_PER_SECOND, Sequence};
use spanlake_pipeline::ports::{Record, Slice, StreamError};

use super::KinesisStream;
use super::put::said;

/// The most records that one `GetRecords` gives.
const CALL_RECORDS_MAX: i32 = 10_000;

/// Answers without a record that are taken before the rest waits for the next call: each stands for a piece of the shard
/// that is empty.
const EMPTY_MAX: usize = 100;

/// How many of them may say that nothing is behind them: a closed shard may do so once before it ends.
const AT_TIP_MAX: usize = 3;

impl KinesisStream {
    /// Records of a shard behind a sequence number.
    pub(super) async fn read_behind(
        &self,
        shard: &str,
        after: Sequence,
        records_max: usize,
        bytes_max: usize,
    ) -> Result<Slice, StreamError> {
        let failed = |what: String| StreamError { what: format!("reading {shard} of {}: {what}", self.name) };
        let Some(mut iterator) = self.iterator(shard, after).await.map_err(failed)? else {
            return Ok(Slice { records: Vec::new(), is_end: true });
        };
        let limit = i32::try_from(records_max).unwrap_or(CALL_RECORDS_MAX).clamp(1, CALL_RECORDS_MAX);
        let mut at_tip = 0;
        for _ in 0..EMPTY_MAX {
            let call = self.client.get_records().shard_iterator(iterator).limit(limit);
            let answer = call.send().await.map_err(|error| failed(said(&error)))?;
            let read: Option<Vec<Record>> = answer.records.into_iter().map(to_record).collect();
            let mut records = read.ok_or_else(|| failed("a record has no usable sequence number".to_owned()))?;
            records.retain(|record| record.sequence > after);
            let is_cut = cut(&mut records, bytes_max);
            match answer.next_shard_iterator {
                None => return Ok(Slice { records, is_end: !is_cut }),
                Some(next) if records.is_empty() && at_tip < AT_TIP_MAX => {
                    at_tip += usize::from(answer.millis_behind_latest.unwrap_or(0) == 0);
                    iterator = next;
                }
                Some(_) => return Ok(Slice { records, is_end: false }),
            }
        }
        Ok(Slice::default())
    }

    /// Where reading begins; `None` if the shard is gone.
    async fn iterator(&self, shard: &str, after: Sequence) -> Result<Option<String>, String> {
        let call = || self.client.get_shard_iterator().stream_name(&self.name).shard_id(shard);
        let begin = || call().shard_iterator_type(ShardIteratorType::TrimHorizon).send();
        let answer = if after == Sequence::ZERO {
            begin().await
        } else {
            let behind = call().shard_iterator_type(ShardIteratorType::AfterSequenceNumber);
            match behind.starting_sequence_number(after.to_string()).send().await {
                // Kinesis no longer knows the number. What comes again from the beginning is left out by its number.
                Err(error) if has_code(&error, "InvalidArgumentException") => begin().await,
                answer => answer,
            }
        };
        match answer {
            Ok(answer) => answer.shard_iterator.map(Some).ok_or_else(|| "there is no iterator".to_owned()),
            Err(error) if has_code(&error, "ResourceNotFoundException") => Ok(None),
            Err(error) => Err(said(&error)),
        }
    }
}

fn has_code<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>, code: &str) -> bool {
    error.as_service_error().and_then(ProvideErrorMetadata::code) == Some(code)
}

fn to_record(record: KinesisRecord) -> Option<Record> {
    let arrival = record.approximate_arrival_timestamp?;
    // The time travels as a fraction of seconds: what is finer than Kinesis' milliseconds is noise.
    let ms = (i64::from(arrival.subsec_nanos()) + NANOS_PER_MS / 2) / NANOS_PER_MS;
    let arrival_nanos = arrival.secs().saturating_mul(NANOS_PER_SECOND).saturating_add(ms * NANOS_PER_MS);
    Some(Record { sequence: record.sequence_number.parse().ok()?, arrival_nanos, bytes: record.data.into_inner().into() })
}

/// Leaves records beyond this many bytes for the next call, but for the first; returns whether there were any.
fn cut(records: &mut Vec<Record>, bytes_max: usize) -> bool {
    let before = records.len();
    let mut bytes = 0;
    let fits = records.iter().take_while(|record| {
        bytes += record.bytes.len();
        bytes <= bytes_max
    });
    let fits = fits.count().max(1);
    records.truncate(fits);
    records.len() < before
}
