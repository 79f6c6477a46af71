//! The archiver function, behind the schedule: heartbeats, rules, the lake's files, and the sweep.

use std::sync::Arc;

use lambda_runtime::{Error, LambdaEvent, run, service_fn, tracing};
use spanlake_aws::archive::{Task, Tasks};
use spanlake_aws::environment::{Environment, deployment, group_settings, services};
use spanlake_aws::rules::compiler;
use spanlake_aws::{Metrics, told};
use tokio::sync::Mutex;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let environment = Environment::load().await;
    let (store, stream) = (Arc::new(environment.store()?), Arc::new(environment.stream()?));
    let retention_nanos = group_settings()?.retention_nanos;
    let metrics = Metrics::new(deployment()?);
    let tasks = Mutex::new(Tasks::new(store, stream, compiler(), metrics, services(), retention_nanos));
    let handle =
        async |event: LambdaEvent<Task>| tasks.lock().await.run(event.payload).await.map_err(|error| Error::from(told(&error)));
    run(service_fn(handle)).await
}
