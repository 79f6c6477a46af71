//! The object store on S3: the state in a bucket with versions, the lake in one without.
//!
//! An object is deleted by the version that was listed, so that one which was written again meanwhile stays. Only manifests
//! are listed without versions: there are thousands of each, and nobody deletes one.

mod delete;
mod list;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::put_object::PutObjectOutput;
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use spanlake_pipeline::keys;
use spanlake_pipeline::ports::{Conditional, ETag, Listed, Object, ObjectStore, StoreError, check_key};

/// How long one try of a call may take.
const CALL_WITHIN: Duration = Duration::from_secs(20);

/// How often a body that ends too early is read again.
const READ_TRIES: usize = 3;

/// The names of the buckets.
#[derive(Clone, Debug)]
pub struct Buckets {
    /// Everything but the lake. It must keep versions.
    pub state: String,
    /// The lake.
    pub lake: String,
}

/// The store.
#[derive(Debug)]
pub struct S3Store {
    client: Client,
    buckets: Buckets,
}

impl S3Store {
    /// The store in these buckets.
    #[must_use]
    pub fn new(client: &Client, buckets: Buckets) -> Self {
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(CALL_WITHIN).build();
        let config = client.config().to_builder().timeout_config(timeouts).build();
        Self { client: Client::from_conf(config), buckets }
    }

    /// The bucket of a key.
    fn bucket(&self, key: &str) -> &str {
        if key.starts_with(keys::LAKE) { &self.buckets.lake } else { &self.buckets.state }
    }

    fn put_call(&self, key: &str, bytes: Bytes) -> Result<PutObjectFluentBuilder, StoreError> {
        check_key(key)?;
        Ok(self.client.put_object().bucket(self.bucket(key)).key(key).body(ByteStream::from(bytes)))
    }

    /// The object, or bytes of it with a `Range` header; `None` if there is no such object.
    async fn read(&self, key: &str, range: Option<&str>) -> Result<Option<Object>, StoreError> {
        check_key(key)?;
        let mut last = String::new();
        for _ in 0..READ_TRIES {
            let call = self.client.get_object().bucket(self.bucket(key)).key(key).set_range(range.map(str::to_owned));
            let answer = match call.send().await {
                Ok(answer) => answer,
                Err(error) => match code_of(&error) {
                    Some("NoSuchKey") => return Ok(None),
                    // Nothing of the object is in the range.
                    Some("InvalidRange") => return Ok(Some(Object { bytes: Bytes::new(), etag: ETag(String::new()) })),
                    _ => return Err(failed("reading", key, &error)),
                },
            };
            match whole(answer).await {
                Ok(object) => return Ok(Some(object)),
                Err(what) => last = what,
            }
        }
        Err(StoreError::Unavailable { what: format!("reading {key}: {last}") })
    }

    /// A write under a condition. It is sent once: a second try of a write that took effect would find the condition broken.
    async fn put_if(&self, call: PutObjectFluentBuilder, key: &str) -> Result<Conditional, StoreError> {
        let once = aws_sdk_s3::config::Config::builder().retry_config(RetryConfig::disabled());
        match call.customize().config_override(once).send().await {
            Ok(answer) => Ok(Conditional::Done(etag_of(&answer, key)?)),
            Err(error) => match code_of(&error) {
                Some("PreconditionFailed" | "ConditionalRequestConflict" | "NoSuchKey") => Ok(Conditional::Refused),
                _ => Err(failed("writing", key, &error)),
            },
        }
    }
}

/// The body as it was written: a connection that ends early is an error of the body.
async fn whole(answer: GetObjectOutput) -> Result<Object, String> {
    let etag = ETag(answer.e_tag.unwrap_or_default());
    let bytes = answer.body.collect().await.map_err(|error| DisplayErrorContext(error).to_string())?;
    Ok(Object { bytes: bytes.into_bytes(), etag })
}

fn etag_of(answer: &PutObjectOutput, key: &str) -> Result<ETag, StoreError> {
    let missing = || StoreError::Unavailable { what: format!("writing {key}: the answer has no ETag") };
    answer.e_tag().map(|etag| ETag(etag.to_owned())).ok_or_else(missing)
}

fn code_of<E: ProvideErrorMetadata>(error: &SdkError<E, aws_sdk_s3::config::http::HttpResponse>) -> Option<&str> {
    error.as_service_error().and_then(ProvideErrorMetadata::code)
}

fn failed<E>(deed: &str, key: &str, error: &SdkError<E, aws_sdk_s3::config::http::HttpResponse>) -> StoreError
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    StoreError::Unavailable { what: format!("{deed} {key}: {}", DisplayErrorContext(error)) }
}

impl ObjectStore for S3Store {
    async fn get(&self, key: &str) -> Result<Option<Object>, StoreError> {
        self.read(key, None).await
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Option<Bytes>, StoreError> {
        // A range without bytes cannot be asked for: one byte of the object says whether it is there.
        let last = range.end.saturating_sub(1).max(range.start);
        let read = self.read(key, Some(&format!("bytes={}-{last}", range.start))).await?;
        let length = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
        Ok(read.map(|object| object.bytes.slice(..object.bytes.len().min(length))))
    }

    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), StoreError> {
        self.put_call(key, bytes)?.send().await.map(drop).map_err(|error| failed("writing", key, &error))
    }

    async fn put_new(&self, key: &str, bytes: Bytes) -> Result<Conditional, StoreError> {
        self.put_if(self.put_call(key, bytes)?.if_none_match("*"), key).await
    }

    async fn swap(&self, key: &str, expected: &ETag, bytes: Bytes) -> Result<Conditional, StoreError> {
        self.put_if(self.put_call(key, bytes)?.if_match(&expected.0), key).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>, most: usize) -> Result<Vec<Listed>, StoreError> {
        self.list_keys(prefix, after, most).await
    }

    async fn delete(&self, listed: &[Listed]) -> Result<(), StoreError> {
        let (lake, state) = listed.iter().partition::<Vec<&Listed>, _>(|listed| listed.key.starts_with(keys::LAKE));
        for listed in [lake, state] {
            self.delete_versions(&listed).await?;
        }
        Ok(())
    }
}
