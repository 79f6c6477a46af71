//! The real client against the endpoint.

mod faults;
mod lists;
mod objects;

use std::fmt::Debug;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::{GetObjectError, GetObjectOutput};
use aws_sdk_s3::operation::put_object::{PutObjectError, PutObjectOutput};
use aws_sdk_s3::primitives::ByteStream;

use super::*;

/// A client as the SDK makes it, but for these retries.
fn client_with(twin: &S3Twin, retries: RetryConfig) -> Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(twin.url())
        .force_path_style(true)
        .retry_config(retries)
        .build();
    Client::from_conf(config)
}

async fn start() -> (S3Twin, Client) {
    let twin = S3Twin::start(&["lake"], 1).await;
    let client = client_with(&twin, RetryConfig::disabled());
    (twin, client)
}

/// The same with versions.
async fn start_versioned() -> (S3Twin, Client) {
    let (twin, client) = start().await;
    twin.enable_versioning("lake");
    (twin, client)
}

type Put = Result<PutObjectOutput, SdkError<PutObjectError>>;
type Get = Result<GetObjectOutput, SdkError<GetObjectError>>;

async fn put(client: &Client, key: &str, bytes: &[u8]) -> Put {
    client.put_object().bucket("lake").key(key).body(ByteStream::from(bytes.to_vec())).send().await
}

async fn put_new(client: &Client, key: &str, bytes: &[u8]) -> Put {
    let call = client.put_object().bucket("lake").key(key).if_none_match("*");
    call.body(ByteStream::from(bytes.to_vec())).send().await
}

async fn swap(client: &Client, key: &str, etag: &str, bytes: &[u8]) -> Put {
    let call = client.put_object().bucket("lake").key(key).if_match(etag);
    call.body(ByteStream::from(bytes.to_vec())).send().await
}

async fn get(client: &Client, key: &str) -> Get {
    client.get_object().bucket("lake").key(key).send().await
}

async fn get_range(client: &Client, key: &str, range: &str) -> Get {
    client.get_object().bucket("lake").key(key).range(range).send().await
}

async fn text(got: Get) -> String {
    String::from_utf8(got.unwrap().body.collect().await.unwrap().to_vec()).unwrap()
}

/// Which variant an error is of, its code and its status.
fn shape<E: ProvideErrorMetadata>(error: &SdkError<E>) -> (&'static str, Option<&str>, Option<u16>) {
    let variant = match error {
        SdkError::TimeoutError(_) => "timeout",
        SdkError::DispatchFailure(failure) if failure.is_io() => "dispatch, io",
        SdkError::DispatchFailure(_) => "dispatch, other",
        SdkError::ResponseError(_) => "response",
        SdkError::ServiceError(_) => "service",
        _ => "unknown",
    };
    (variant, error.code(), error.raw_response().map(|response| response.status().as_u16()))
}

fn refused<O: Debug, E: ProvideErrorMetadata + Debug>(result: Result<O, SdkError<E>>) -> (String, u16) {
    let error = result.unwrap_err();
    let (variant, code, status) = shape(&error);
    assert_eq!(variant, "service", "{error:?}");
    (code.unwrap_or("no code").to_owned(), status.unwrap())
}

fn error(code: &str, status: u16) -> (String, u16) {
    (code.to_owned(), status)
}
