//! The ports on AWS, and what only a Lambda function has: its events, its tokens, its metrics. The only crate that sees
//! the AWS SDKs.
//!
//! Not for decisions: what is stored under which name, what is retried by whom and what an error means for a request or a
//! batch is the pipeline's.

pub mod archive;
mod bucket;
mod clock;
pub mod environment;
pub mod event;
mod front;
pub mod group;
mod kinesis;
mod metrics;
mod recent;
pub mod rules;
mod s3;
mod tokens;

pub use bucket::BucketError;
pub use clock::SystemClock;
pub use front::Front;
pub use kinesis::{KinesisStream, StreamSettings};
pub use metrics::Metrics;
pub use recent::{HeldBytes, Recent};
pub use s3::{Buckets, S3Store};
pub use tokens::{TokenError, Tokens};

/// An error with its causes, in one line: Lambda logs what a function fails with, and nothing below it.
pub fn told(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
