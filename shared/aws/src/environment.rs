//! What a function is told by its environment, and the clients that it makes from it.

use std::str::FromStr;

use aws_config::{BehaviorVersion, SdkConfig};
use spanlake_model::NANOS_PER_SECOND;
use spanlake_pipeline::settings::GroupSettings;
use thiserror::Error;

use crate::bucket::{self, BucketError};
use crate::s3::Buckets;
use crate::{KinesisStream, S3Store, StreamSettings, Tokens};

/// A function that was deployed without what it needs.
#[derive(Debug, Error)]
pub enum EnvironmentError {
    /// A variable is not there.
    #[error("the environment variable {0} is not set: the template sets it")]
    Missing(&'static str),
    /// A variable makes no sense.
    #[error("the environment variable {0} cannot be used: it must be a number")]
    Invalid(&'static str),
}

/// The environment of a function.
#[derive(Debug)]
pub struct Environment {
    sdk: SdkConfig,
}

impl Environment {
    /// The credentials, the region and the endpoints that this process is to use.
    pub async fn load() -> Self {
        Self { sdk: aws_config::load_defaults(BehaviorVersion::latest()).await }
    }

    /// The stream of `SPANLAKE_STREAM`.
    ///
    /// # Errors
    /// [`EnvironmentError`] without that variable.
    pub fn stream(&self) -> Result<KinesisStream, EnvironmentError> {
        let client = aws_sdk_kinesis::Client::new(&self.sdk);
        Ok(KinesisStream::new(client, text("SPANLAKE_STREAM")?, StreamSettings::default()))
    }

    /// The store of `SPANLAKE_STATE_BUCKET` and `SPANLAKE_LAKE_BUCKET`.
    ///
    /// # Errors
    /// [`EnvironmentError`] without those variables.
    pub fn store(&self) -> Result<S3Store, EnvironmentError> {
        let buckets = Buckets { state: text("SPANLAKE_STATE_BUCKET")?, lake: text("SPANLAKE_LAKE_BUCKET")? };
        Ok(self.store_of(buckets))
    }

    /// The store in other buckets.
    #[must_use]
    pub fn store_of(&self, buckets: Buckets) -> S3Store {
        S3Store::new(&self.s3(), buckets)
    }

    /// Looks whether a bucket is there and can be listed.
    ///
    /// # Errors
    /// [`BucketError`], with the next step.
    pub async fn probe(&self, bucket: &str) -> Result<(), BucketError> {
        bucket::probe(&self.s3(), bucket).await
    }

    fn s3(&self) -> aws_sdk_s3::Client {
        // The name of a bucket is part of a host's name, which not every stand-in has.
        let is_stand_in = self.sdk.endpoint_url().is_some();
        let config = aws_sdk_s3::config::Builder::from(&self.sdk).force_path_style(is_stand_in).build();
        aws_sdk_s3::Client::from_conf(config)
    }

    /// The tokens of the secret `SPANLAKE_TOKENS`.
    ///
    /// # Errors
    /// [`EnvironmentError`] without that variable.
    pub fn tokens(&self) -> Result<Tokens, EnvironmentError> {
        Ok(Tokens::new(aws_sdk_secretsmanager::Client::new(&self.sdk), text("SPANLAKE_TOKENS")?))
    }
}

/// The name of the deployment: a dimension of every metric.
///
/// # Errors
/// [`EnvironmentError`] without `SPANLAKE_DEPLOYMENT`.
pub fn deployment() -> Result<String, EnvironmentError> {
    text("SPANLAKE_DEPLOYMENT")
}

/// The services whose figures become metrics, as `SPANLAKE_SERVICES` lists them.
#[must_use]
pub fn services() -> Vec<String> {
    let listed = std::env::var("SPANLAKE_SERVICES").unwrap_or_default();
    listed.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
}

/// Settings of grouping, with the stream's retention of `SPANLAKE_RETENTION_HOURS`.
///
/// # Errors
/// [`EnvironmentError`] without that variable.
pub fn group_settings() -> Result<GroupSettings, EnvironmentError> {
    let hours: i64 = number("SPANLAKE_RETENTION_HOURS")?;
    Ok(GroupSettings { retention_nanos: hours.saturating_mul(3_600 * NANOS_PER_SECOND), ..GroupSettings::default() })
}

fn text(name: &'static str) -> Result<String, EnvironmentError> {
    std::env::var(name).ok().filter(|value| !value.is_empty()).ok_or(EnvironmentError::Missing(name))
}

fn number<T: FromStr>(name: &'static str) -> Result<T, EnvironmentError> {
    text(name)?.parse().map_err(|_| EnvironmentError::Invalid(name))
}
