//! The actions, as the API reference of Kinesis Data Streams describes them: JSON in, JSON out.

use std::ops::RangeInclusive;

use serde_json::{Map, Value, json};

use super::KinesisAction;
use super::stream::{Shard, Stream};

mod put;
mod read;

pub use put::SentEntry;
pub(super) use put::{check_entries, put_records};
pub(super) use read::{get_records, get_shard_iterator};

/// An error answer.
#[derive(Debug)]
pub(super) struct ApiError {
    pub(super) status: u16,
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl ApiError {
    pub(super) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    fn argument(message: impl Into<String>) -> Self {
        Self::new(400, "InvalidArgumentException", message)
    }

    fn validation(what: &str) -> Self {
        Self::new(400, "ValidationException", format!("1 validation error detected: {what}"))
    }

    fn not_found(message: impl Into<String>) -> Self {
        Self::new(400, "ResourceNotFoundException", message)
    }
}

fn text<'a>(input: &'a Value, name: &str) -> Option<&'a str> {
    input.get(name).and_then(Value::as_str)
}

/// A number of the input, held to the range that the API reference gives.
fn number(input: &Value, name: &str, allowed: RangeInclusive<u64>) -> Result<Option<usize>, ApiError> {
    let Some(value) = input.get(name).filter(|value| !value.is_null()) else { return Ok(None) };
    let value = value.as_u64().filter(|value| allowed.contains(value));
    let value = value.and_then(|value| usize::try_from(value).ok());
    value.map(Some).ok_or_else(|| ApiError::validation(&format!("{name} must be within {allowed:?}")))
}

/// Refuses a call that is for another stream, or, where one must be named, for none.
fn check_stream(stream: &Stream, input: &Value, must_name: bool) -> Result<(), ApiError> {
    let by_arn = text(input, "StreamARN").map(|arn| arn.rsplit_once(":stream/").map_or(arn, |(_, name)| name));
    match text(input, "StreamName").or(by_arn) {
        Some(name) if name == stream.name => Ok(()),
        Some(name) => Err(ApiError::not_found(format!("Stream {name} not found."))),
        None if must_name => Err(ApiError::argument("Either StreamName or StreamARN must be given.")),
        None => Ok(()),
    }
}

/// An opaque token of what a later call needs.
fn token(content: &Value) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(content.to_string())
}

fn open_token(token: &str) -> Option<Value> {
    use base64::Engine as _;
    serde_json::from_slice(&base64::engine::general_purpose::STANDARD.decode(token).ok()?).ok()
}

fn hash_range(shard: &Shard) -> Value {
    json!({"StartingHashKey": shard.first.to_string(), "EndingHashKey": shard.last.to_string()})
}

/// `DescribeStreamSummary`.
pub(super) fn describe(stream: &Stream, input: &Value) -> Result<Value, ApiError> {
    check_stream(stream, input, true)?;
    let open = stream.shards.iter().filter(|shard| shard.is_open()).count();
    Ok(json!({"StreamDescriptionSummary": {
        "StreamName": stream.name,
        "StreamARN": format!("arn:aws:kinesis:us-east-1:000000000000:stream/{}", stream.name),
        "StreamStatus": "ACTIVE",
        "StreamModeDetails": {"StreamMode": "PROVISIONED"},
        "StreamCreationTimestamp": 1_700_000_000,
        "RetentionPeriodHours": 48,
        "EnhancedMonitoring": [{"ShardLevelMetrics": []}],
        "EncryptionType": "NONE",
        "OpenShardCount": open,
        "ConsumerCount": 0,
    }}))
}

/// A list of shards that is being read page by page.
struct Listing {
    /// After so many reshards.
    reshards: u64,
    is_open_only: bool,
    after: String,
}

impl Listing {
    fn begin(stream: &Stream, input: &Value, stale_by: u64) -> Result<Self, ApiError> {
        check_stream(stream, input, true)?;
        let is_open_only = match input.get("ShardFilter").and_then(|filter| text(filter, "Type")) {
            Some("AT_LATEST") => true,
            None | Some("FROM_TRIM_HORIZON") => false,
            Some(other) => return Err(ApiError::argument(format!("the shard filter {other} is not supported here"))),
        };
        let after = text(input, "ExclusiveStartShardId").unwrap_or_default().to_owned();
        Ok(Self { reshards: stream.reshards.saturating_sub(stale_by), is_open_only, after })
    }

    fn resume(input: &Value, next: &str) -> Result<Self, ApiError> {
        let excluded = ["StreamName", "StreamARN", "StreamCreationTimestamp", "ExclusiveStartShardId", "ShardFilter"];
        if let Some(both) = excluded.into_iter().find(|name| input.get(name).is_some_and(|value| !value.is_null())) {
            return Err(ApiError::argument(format!("NextToken and {both} cannot be provided together.")));
        }
        let read = || {
            let content = open_token(next)?;
            let reshards = content.get("reshards")?.as_u64()?;
            let is_open_only = content.get("open")?.as_bool()?;
            Some(Self { reshards, is_open_only, after: text(&content, "after")?.to_owned() })
        };
        read().ok_or_else(|| ApiError::argument("NextToken is invalid."))
    }

    fn next_token(&self, after: &str) -> String {
        token(&json!({"reshards": self.reshards, "open": self.is_open_only, "after": after}))
    }

    fn shard(&self, shard: &Shard) -> Value {
        let mut sequences = Map::new();
        sequences.insert("StartingSequenceNumber".to_owned(), shard.starting.to_string().into());
        if let Some(ending) = shard.ending.filter(|_| !shard.was_open(self.reshards)) {
            sequences.insert("EndingSequenceNumber".to_owned(), ending.to_string().into());
        }
        let mut shown = json!({"ShardId": shard.id, "HashKeyRange": hash_range(shard), "SequenceNumberRange": sequences});
        if let Some(shown) = shown.as_object_mut() {
            let names = ["ParentShardId", "AdjacentParentShardId"];
            shown.extend(names.into_iter().zip(&shard.parents).map(|(name, id)| (name.to_owned(), id.clone().into())));
        }
        shown
    }
}

/// `ListShards`: of the newest list, or of one that is older by some reshards. A page has at most `page_max` shards.
pub(super) fn list_shards(stream: &Stream, input: &Value, stale_by: u64, page_max: usize) -> Result<Value, ApiError> {
    let listing = match text(input, "NextToken") {
        Some(next) => Listing::resume(input, next)?,
        None => Listing::begin(stream, input, stale_by)?,
    };
    let most = number(input, "MaxResults", 1..=10_000)?.unwrap_or(1_000).min(page_max);
    let is_shown = |shard: &&Shard| {
        let is_of_filter = !listing.is_open_only || shard.was_open(listing.reshards);
        shard.was_listed(listing.reshards) && is_of_filter && shard.id > listing.after
    };
    let mut rest = stream.shards.iter().filter(is_shown);
    let page: Vec<&Shard> = rest.by_ref().take(most).collect();
    let shown: Vec<Value> = page.iter().map(|shard| listing.shard(shard)).collect();
    let last = page.last().filter(|_| rest.next().is_some());
    Ok(match last {
        Some(last) => json!({"Shards": shown, "NextToken": listing.next_token(&last.id)}),
        None => json!({"Shards": shown}),
    })
}

/// Which error a throttled call gets.
pub(super) fn throttled(action: KinesisAction) -> ApiError {
    let code = match action {
        KinesisAction::ListShards | KinesisAction::DescribeStreamSummary => "LimitExceededException",
        _ => "ProvisionedThroughputExceededException",
    };
    ApiError::new(400, code, "Rate exceeded")
}
