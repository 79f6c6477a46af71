//! Putting records on the stream.

use std::time::Duration;

use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::config::timeout::TimeoutConfig;
use aws_sdk_kinesis::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::operation::put_records::PutRecordsOutput;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use spanlake_pipeline::ports::{AppendError, NewRecord};
use tokio::time::{Instant, sleep, timeout_at};

use super::KinesisStream;

/// Records of one call, as `PutRecords` allows.
const CALL_RECORDS_MAX: usize = 500;

/// Bytes of one call: half of what `PutRecords` allows.
const CALL_BYTES_MAX: usize = 5 << 20;

/// Bytes of an entry beside its record: the partition key.
const KEY_BYTES: usize = 8;

/// The longest wait between two tries.
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// When a client that was told to slow down has a chance: a shard counts its bytes by the second.
const RETRY_AFTER_MS: u64 = 1_000;

/// Why an entry was not taken. Kinesis' own text is not passed on: it names the account.
fn why(code: &str) -> AppendError {
    match code {
        "ProvisionedThroughputExceededException"
        | "LimitExceededException"
        | "ThrottlingException"
        | "KMSThrottlingException" => AppendError::Throttled { retry_after_ms: RETRY_AFTER_MS },
        code => AppendError::Unavailable { what: format!("Kinesis answered {code}") },
    }
}

/// What an error of the SDK says, with its causes.
pub(super) fn said<E, R>(error: &SdkError<E, R>) -> String
where
    SdkError<E, R>: std::error::Error,
{
    DisplayErrorContext(error).to_string()
}

/// Why a whole call failed.
fn call_failed<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> AppendError {
    let what = match error {
        SdkError::ServiceError(service) => return why(service.err().code().unwrap_or("an unknown error")),
        SdkError::TimeoutError(_) => "Kinesis did not answer in time",
        SdkError::DispatchFailure(_) => "Kinesis is out of reach",
        _ => "Kinesis' answer is unusable",
    };
    AppendError::Unavailable { what: what.to_owned() }
}

/// Records with their place among those that were given.
type Entries = Vec<(usize, PutRecordsRequestEntry)>;

impl KinesisStream {
    /// Puts records on the stream: one result for each, in order.
    pub(super) async fn put_all(&self, records: Vec<NewRecord>) -> Vec<Result<(), AppendError>> {
        let mut results = Vec::with_capacity(records.len());
        let mut entries = Vec::with_capacity(records.len());
        for (place, record) in records.into_iter().enumerate() {
            let entry = entry(&record);
            results.push(entry.as_ref().map(|_| ()).map_err(Clone::clone));
            entries.extend(entry.ok().map(|entry| (place, entry)));
        }
        let deadline = Instant::now() + self.settings.put_within;
        for (place, error) in self.put_within(entries, deadline).await {
            if let Some(result) = results.get_mut(place) {
                *result = Err(error);
            }
        }
        results
    }

    /// Tries until the deadline; returns what was not taken, and why not.
    async fn put_within(&self, mut left: Entries, deadline: Instant) -> Vec<(usize, AppendError)> {
        let mut wait = self.settings.backoff;
        loop {
            let mut failed = Vec::new();
            while !left.is_empty() {
                let rest = left.split_off(call_len(&left));
                failed.extend(self.put(left, deadline).await);
                left = rest;
            }
            // Anywhere up to the wait: many environments are throttled at the same time.
            let pause = wait.mul_f64(fastrand::f64());
            if failed.is_empty() || Instant::now() + pause >= deadline {
                if let Some((.., error)) = failed.first() {
                    tracing::warn!(records = failed.len(), %error, "records were not taken in time; the client is told to come again");
                }
                return failed.into_iter().map(|(place, _, error)| (place, error)).collect();
            }
            sleep(pause).await;
            wait = (wait * 2).min(BACKOFF_MAX);
            left = failed.into_iter().map(|(place, entry, _)| (place, entry)).collect();
        }
    }

    /// One call; returns what was not taken, or perhaps not.
    async fn put(&self, entries: Entries, deadline: Instant) -> Vec<(usize, PutRecordsRequestEntry, AppendError)> {
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(self.settings.call_within).build();
        let calls = aws_sdk_kinesis::config::Config::builder().retry_config(RetryConfig::disabled()).timeout_config(timeouts);
        let records = entries.iter().map(|(_, entry)| entry.clone()).collect();
        let call = self.client.put_records().stream_name(&self.name).set_records(Some(records));
        let answer = timeout_at(deadline, call.customize().config_override(calls).send()).await;
        let all = |error: AppendError| entries.iter().map(|(place, entry)| (*place, entry.clone(), error.clone())).collect();
        match answer {
            Ok(Ok(answer)) => self.refused(entries, &answer),
            Ok(Err(error)) => {
                tracing::debug!(error = %DisplayErrorContext(&error), "PutRecords failed");
                all(call_failed(&error))
            }
            Err(_) => all(AppendError::Unavailable { what: "Kinesis did not answer in time".to_owned() }),
        }
    }

    /// The entries that an answer refuses.
    fn refused(&self, entries: Entries, answer: &PutRecordsOutput) -> Vec<(usize, PutRecordsRequestEntry, AppendError)> {
        let mut refused = Vec::new();
        let mut results = answer.records.iter();
        for (place, entry) in entries {
            // An entry without a result may have been taken; sent again, it is recognised as a repeat.
            let Some(result) = results.next() else {
                refused.push((place, entry, AppendError::Unavailable { what: "Kinesis' answer is unusable".to_owned() }));
                continue;
            };
            match (&result.error_code, &result.shard_id) {
                (Some(code), _) => refused.push((place, entry, why(code))),
                (None, Some(shard)) => self.map().doubt(shard),
                (None, None) => {
                    refused.push((place, entry, AppendError::Unavailable { what: "Kinesis' answer is unusable".to_owned() }));
                }
            }
        }
        refused
    }
}

fn entry(record: &NewRecord) -> Result<PutRecordsRequestEntry, AppendError> {
    let builder = PutRecordsRequestEntry::builder()
        .data(Blob::new(record.bytes.to_vec()))
        .explicit_hash_key(record.bucket.hash_key().to_string())
        // Asked for, though the hash key decides.
        .partition_key(record.bucket.number().to_string());
    builder.build().map_err(|error| AppendError::Unavailable { what: error.to_string() })
}

/// How many of these go into one call.
fn call_len(entries: &Entries) -> usize {
    let mut bytes = 0;
    for (count, (_, entry)) in entries.iter().enumerate() {
        bytes += entry.data.as_ref().len() + KEY_BYTES;
        if count == CALL_RECORDS_MAX || (bytes > CALL_BYTES_MAX && count > 0) {
            return count;
        }
    }
    entries.len()
}

#[cfg(test)]
mod tests {
    use spanlake_model::Bucket;

    use super::*;

    fn entries(sizes: &[usize]) -> Entries {
        let record = |bytes: &usize| NewRecord { bucket: Bucket::default(), bytes: vec![0; *bytes].into() };
        sizes.iter().map(|bytes| (0, entry(&record(bytes)).unwrap())).collect()
    }

    #[test]
    fn a_call_stays_within_its_limits_and_always_takes_one() {
        assert_eq!(call_len(&entries(&[1; 3])), 3);
        assert_eq!(call_len(&entries(&[1; 501])), 500);
        assert_eq!(call_len(&entries(&[CALL_BYTES_MAX / 2; 3])), 1);
        assert_eq!(call_len(&entries(&[2 << 20, 2 << 20, 2 << 20])), 2);
        assert_eq!(call_len(&entries(&[CALL_BYTES_MAX + 1, 1])), 1);
    }
}
