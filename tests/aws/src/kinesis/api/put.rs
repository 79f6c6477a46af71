//! `PutRecords`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

use super::{ApiError, check_stream, text};
use crate::kinesis::faults::EntryFault;
use crate::kinesis::stream::Stream;

const ENTRIES_MAX: usize = 500;
/// Of a call: data and partition keys.
const CALL_BYTES_MAX: usize = 10 << 20;
/// Of a record: data and partition key, with the default of a stream's `MaxRecordSizeInKiB`.
const RECORD_BYTES_MAX: usize = 1 << 20;
const PARTITION_KEY_CHARS_MAX: usize = 256;

/// An entry of a `PutRecords` call, as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentEntry {
    /// Its partition key.
    pub partition_key: String,
    /// Its explicit hash key.
    pub hash_key: u128,
    /// Its bytes.
    pub bytes: Bytes,
}

/// The entries of a call.
pub(in crate::kinesis) fn check_entries(stream: &Stream, input: &Value) -> Result<Vec<SentEntry>, ApiError> {
    check_stream(stream, input, true)?;
    let entries = input.get("Records").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if entries.is_empty() || entries.len() > ENTRIES_MAX {
        return Err(ApiError::validation(&format!("Records must have between 1 and {ENTRIES_MAX} entries")));
    }
    let entries = entries.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
    let call_bytes: usize = entries.iter().map(size).sum();
    if call_bytes > CALL_BYTES_MAX {
        return Err(ApiError::argument(format!("Records exceed {CALL_BYTES_MAX} bytes: {call_bytes}")));
    }
    Ok(entries)
}

const fn size(entry: &SentEntry) -> usize {
    entry.bytes.len() + entry.partition_key.len()
}

fn entry(entry: &Value) -> Result<SentEntry, ApiError> {
    let data = text(entry, "Data").and_then(|data| STANDARD.decode(data).ok());
    let bytes: Bytes = data.ok_or_else(|| ApiError::new(400, "SerializationException", "Data is no base64"))?.into();
    let partition_key = text(entry, "PartitionKey").unwrap_or_default().to_owned();
    if !(1..=PARTITION_KEY_CHARS_MAX).contains(&partition_key.chars().count()) {
        return Err(ApiError::validation(&format!("PartitionKey must have 1 to {PARTITION_KEY_CHARS_MAX} characters")));
    }
    let hash_key = text(entry, "ExplicitHashKey")
        .ok_or_else(|| ApiError::argument("this endpoint does not hash partition keys: give an ExplicitHashKey"))?;
    let is_decimal = hash_key == "0" || !hash_key.starts_with(['0', '+']);
    let hash_key = hash_key.parse().ok().filter(|_| is_decimal);
    let hash_key = hash_key.ok_or_else(|| ApiError::argument("ExplicitHashKey must be a decimal number below 2^128"))?;
    let entry = SentEntry { partition_key, hash_key, bytes };
    if size(&entry) > RECORD_BYTES_MAX {
        return Err(ApiError::argument(format!("a record exceeds {RECORD_BYTES_MAX} bytes: {}", size(&entry))));
    }
    Ok(entry)
}

/// Stores all entries but the failed ones, in this order of their places.
pub(in crate::kinesis) fn put_records(
    stream: &mut Stream,
    entries: &[SentEntry],
    failed: &[(usize, EntryFault)],
    order: &[usize],
) -> Value {
    let fault = |at: usize| failed.iter().find(|(place, _)| *place == at).map(|(_, fault)| *fault);
    let mut results = vec![Value::Null; entries.len()];
    let mut failures = 0;
    for at in order {
        let (Some(entry), Some(result)) = (entries.get(*at), results.get_mut(*at)) else { continue };
        let stored = match fault(*at) {
            None => stream.push(entry.hash_key, entry.partition_key.clone(), entry.bytes.clone()),
            Some(_) => None,
        };
        *result = if let Some((shard, sequence)) = stored {
            json!({"ShardId": shard, "SequenceNumber": sequence.to_string()})
        } else {
            failures += 1;
            let code = fault(*at).unwrap_or(EntryFault::InternalFailure).code();
            json!({"ErrorCode": code, "ErrorMessage": "told by a test"})
        };
    }
    json!({"FailedRecordCount": failures, "EncryptionType": "NONE", "Records": results})
}
