//! The grouper function, behind the stream's event source mapping: a batch of a shard to the state.

use std::sync::Arc;

use lambda_runtime::{Error, LambdaEvent, run, service_fn, tracing};
use spanlake_aws::environment::{Environment, deployment, group_settings};
use spanlake_aws::event::KinesisEvent;
use spanlake_aws::group::Groupers;
use spanlake_aws::rules::compiler;
use spanlake_aws::{HeldBytes, Metrics, Recent, told};
use tokio::sync::Mutex;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let environment = Environment::load().await;
    let (store, stream) = (Arc::new(Recent::new(environment.store()?, HeldBytes::default())), Arc::new(environment.stream()?));
    let groupers = Groupers::new(store, stream, group_settings()?, compiler(), Metrics::new(deployment()?))?;
    let groupers = &Mutex::new(groupers);
    let handle = async |event: LambdaEvent<KinesisEvent>| {
        groupers.lock().await.handle(event.payload).await.map_err(|error| Error::from(told(&error)))
    };
    run(service_fn(handle)).await
}
