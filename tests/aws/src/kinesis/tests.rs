//! The real client against the endpoint.

mod faults;
mod limits;
mod reading;
mod shards;

use std::fmt::Debug;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_kinesis::error::ProvideErrorMetadata;
use aws_sdk_kinesis::operation::put_records::PutRecordsOutput;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;

use super::*;

/// A client as the SDK makes it, but for these retries.
fn client_with(twin: &KinesisTwin, retries: RetryConfig) -> Client {
    let config = aws_sdk_kinesis::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(twin.url())
        .retry_config(retries)
        .build();
    Client::from_conf(config)
}

async fn start(shards: u16) -> (KinesisTwin, Client) {
    let twin = KinesisTwin::start("spans", shards, 1).await;
    let client = client_with(&twin, RetryConfig::disabled());
    (twin, client)
}

fn entry(hash_key: u128, bytes: &[u8]) -> PutRecordsRequestEntry {
    let entry = PutRecordsRequestEntry::builder().data(Blob::new(bytes)).partition_key("k");
    entry.explicit_hash_key(hash_key.to_string()).build().unwrap()
}

type Put = Result<PutRecordsOutput, aws_sdk_kinesis::error::SdkError<aws_sdk_kinesis::operation::put_records::PutRecordsError>>;

async fn put(client: &Client, entries: Vec<PutRecordsRequestEntry>) -> Put {
    client.put_records().stream_name("spans").set_records(Some(entries)).send().await
}

fn code<O: Debug, E: ProvideErrorMetadata + Debug>(result: Result<O, E>) -> String {
    result.unwrap_err().code().unwrap_or("no code").to_owned()
}

fn bytes_of(records: &[HeldRecord]) -> Vec<&[u8]> {
    records.iter().map(|record| record.bytes.as_ref()).collect()
}

const SHARD_0: &str = "shardId-000000000000";
const SHARD_1: &str = "shardId-000000000001";
