//! The ingest function, behind a function URL: one OTLP/HTTP request to records on the stream.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use lambda_http::{Body, Error, Request, Response, run, service_fn, tracing};
use spanlake_aws::environment::{Environment, deployment};
use spanlake_aws::{Front, Metrics, SystemClock};
use spanlake_pipeline::ingest::{Ingest, IngestSettings};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let environment = Environment::load().await;
    let stream = Arc::new(environment.stream()?);
    let ingest = Ingest::new(Arc::clone(&stream), SystemClock, IngestSettings::default());
    let front = Front::new(stream, ingest, environment.tokens()?, Metrics::new(deployment()?));
    let front = &front;
    run(service_fn(async |request: Request| Ok::<_, Infallible>(answer(front, request).await))).await
}

async fn answer(front: &Front, request: Request) -> Response<Body> {
    let body = |body| match body {
        Body::Text(text) => Bytes::from(text),
        Body::Binary(bytes) => Bytes::from(bytes),
        _ => Bytes::new(),
    };
    front.answer(request.map(body)).await.map(|bytes| Body::Binary(bytes.into()))
}
