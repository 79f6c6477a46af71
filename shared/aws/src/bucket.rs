//! Whether a bucket is there and may be asked. What an operator's command finds out before it begins, and tells with the next
//! step: to a function a bucket that it cannot reach is only worth another try.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use thiserror::Error;

/// Why a bucket cannot be asked.
#[derive(Debug, Error)]
pub enum BucketError {
    /// There is none of that name.
    #[error("there is no bucket {bucket}: the stack's outputs StateBucketName and LakeBucketName name those of a deployment")]
    Missing {
        /// Its name.
        bucket: String,
    },
    /// The credentials lack a right.
    #[error(
        "{right} on bucket {bucket} is denied to these credentials: `aws sts get-caller-identity` says whose they are, and \
         docs/guides/aws-operations.md which rights an operator needs"
    )]
    Denied {
        /// The bucket.
        bucket: String,
        /// The right, as policies name it.
        right: &'static str,
    },
    /// It is in another region.
    #[error("bucket {bucket} is in another region: set AWS_REGION to that of the stack")]
    Elsewhere {
        /// The bucket.
        bucket: String,
    },
    /// The credentials are of no use.
    #[error("AWS does not take these credentials ({code}): `aws sts get-caller-identity` must succeed in the same shell")]
    Credentials {
        /// What S3 says.
        code: String,
    },
    /// No answer: no credentials, no region, no network.
    #[error(
        "bucket {bucket} cannot be asked: `aws s3 ls s3://{bucket}` must succeed in the same shell, with AWS_REGION set. Where it \
         does by a login of its own (SSO), hand that on: eval \"$(aws configure export-credentials --format env)\""
    )]
    Unreachable {
        /// The bucket.
        bucket: String,
        /// What went wrong.
        #[source]
        source: Unreachable,
    },
}

/// What the client says of a call without an answer.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct Unreachable(String);

/// Lists a bucket in both ways in which its store does.
pub(crate) async fn probe(client: &Client, bucket: &str) -> Result<(), BucketError> {
    let newest = client.list_objects_v2().bucket(bucket).max_keys(1).send().await;
    newest.map_err(|error| explain(&error, bucket, "s3:ListBucket"))?;
    let versions = client.list_object_versions().bucket(bucket).max_keys(1).send().await;
    versions.map(drop).map_err(|error| explain(&error, bucket, "s3:ListBucketVersions"))
}

fn explain<E>(error: &SdkError<E, HttpResponse>, bucket: &str, right: &'static str) -> BucketError
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    let bucket = bucket.to_owned();
    let status = error.raw_response().map(|response| response.status().as_u16());
    match (error.as_service_error().and_then(ProvideErrorMetadata::code), status) {
        (Some("NoSuchBucket"), _) => BucketError::Missing { bucket },
        (Some("PermanentRedirect" | "AuthorizationHeaderMalformed"), _) | (_, Some(301)) => BucketError::Elsewhere { bucket },
        (Some("AccessDenied" | "AllAccessDisabled"), _) => BucketError::Denied { bucket, right },
        (Some(code), Some(400 | 403)) => BucketError::Credentials { code: code.to_owned() },
        _ => BucketError::Unreachable { bucket, source: Unreachable(in_short(&DisplayErrorContext(error).to_string())) },
    }
}

/// What an error of the client says, without the fields of its parts, which fill a screen.
fn in_short(text: &str) -> String {
    text.split(" (").next().unwrap_or_default().to_owned()
}
