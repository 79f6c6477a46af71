//! Tokens and shards in front of ingest, with the real SDK clients.

use std::time::Duration;

use aws_sdk_secretsmanager::config::retry::RetryConfig;
use aws_sdk_secretsmanager::config::{BehaviorVersion, Credentials, Region};
use http::header::{AUTHORIZATION, RETRY_AFTER};
use spanlake_aws_twin::{KinesisAction, KinesisFaults, KinesisTwin};
use spanlake_pipeline::ingest::IngestSettings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::{StreamSettings, Tokens};

const FIRST: &str = "first-0123456789abcdef";
const SECOND: &str = "second-0123456789abcdef";

/// A secret that can be changed; without a value its reader is refused.
async fn secrets() -> (String, Arc<Mutex<Option<String>>>) {
    let (listener, value) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), Arc::new(Mutex::new(None::<String>)));
    let (url, shown) = (format!("http://{}", listener.local_addr().unwrap()), Arc::clone(&value));
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            // A call fits one read, and each connection has one.
            let mut call = vec![0; 65_536];
            let _bytes = socket.read(&mut call).await.unwrap();
            let (status, body) = match shown.lock().unwrap().clone() {
                Some(value) => ("200 OK", serde_json::json!({ "SecretString": value }).to_string()),
                None => ("400 Bad Request", r#"{"__type":"ResourceNotFoundException"}"#.to_owned()),
            };
            let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            socket.write_all((head + &body).as_bytes()).await.unwrap();
        }
    });
    (url, value)
}

struct World {
    kinesis: KinesisTwin,
    secret: Arc<Mutex<Option<String>>>,
    front: Front,
}

impl World {
    async fn start() -> Self {
        let kinesis = KinesisTwin::start("spans", 1, 1).await;
        let (url, secret) = secrets().await;
        let credentials = || Credentials::new("test", "test", None, None, "test");
        let config = aws_sdk_secretsmanager::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(credentials())
            .retry_config(RetryConfig::disabled())
            .endpoint_url(url);
        let tokens = Tokens::new(aws_sdk_secretsmanager::Client::from_conf(config.build()), "tokens".to_owned());
        let config = aws_sdk_kinesis::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(credentials())
            .retry_config(RetryConfig::disabled())
            .endpoint_url(kinesis.url());
        // The wait behind a failure is beyond the deadline, so that one call decides, however slow the machine is.
        let minute = Duration::from_mins(1);
        let settings =
            StreamSettings { put_within: minute, call_within: minute, backoff: 1_000 * minute, ..StreamSettings::default() };
        let client = aws_sdk_kinesis::Client::from_conf(config.build());
        let stream = Arc::new(KinesisStream::new(client, "spans".to_owned(), settings));
        let ingest = Ingest::new(Arc::clone(&stream), SystemClock, IngestSettings::default());
        Self { kinesis, secret, front: Front::new(stream, ingest, tokens.always_doubted(), Metrics::off()) }
    }

    fn set(&self, value: Option<&str>) {
        *self.secret.lock().unwrap() = value.map(str::to_owned);
    }

    async fn post(&self, token: &str) -> Response<Bytes> {
        let body = spanlake_testkit::logs_request("shop", &[(spanlake_model::TraceId::default(), "hello".to_owned())]);
        let request = Request::post("/v1/logs").header("content-type", "application/x-protobuf");
        self.front.answer(request.header(AUTHORIZATION, format!("Bearer {token}")).body(body.into()).unwrap()).await
    }

    fn puts(&self) -> usize {
        self.kinesis.requests().iter().filter(|call| call.action == KinesisAction::PutRecords).count()
    }
}

#[tokio::test]
async fn without_tokens_nobody_is_admitted_and_everybody_may_come_again() {
    let world = World::start().await;
    for useless in [None, Some("{}"), Some("short")] {
        world.set(useless);
        for token in ["", FIRST] {
            let answer = world.post(token).await;
            assert_eq!((answer.status(), answer.headers().contains_key(RETRY_AFTER)), (StatusCode::SERVICE_UNAVAILABLE, true));
        }
    }
    assert_eq!(world.puts(), 0);
    world.set(Some(FIRST));
    assert_eq!(world.post(FIRST).await.status(), 200);
}

#[tokio::test]
async fn a_new_token_admits_at_once_and_an_old_one_until_the_secret_is_read_again() {
    let world = World::start().await;
    world.set(Some(FIRST));
    assert_eq!(world.post(FIRST).await.status(), 200);
    assert_eq!(world.post(SECOND).await.status(), StatusCode::UNAUTHORIZED);
    world.set(Some(SECOND));
    assert_eq!(world.post(FIRST).await.status(), 200);
    assert_eq!(world.post(SECOND).await.status(), 200);
    assert_eq!(world.post(FIRST).await.status(), StatusCode::UNAUTHORIZED);
    // What cannot be read changes nothing.
    world.set(None);
    assert_eq!(world.post(SECOND).await.status(), 200);
    assert_eq!(world.post(FIRST).await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_stream_that_takes_nothing_is_429_or_503_and_never_500() {
    let world = World::start().await;
    world.set(Some(FIRST));
    assert_eq!(world.post(FIRST).await.status(), 200);
    for (faults, status) in [
        (KinesisFaults { entry_throttled: 100, ..KinesisFaults::default() }, StatusCode::TOO_MANY_REQUESTS),
        (KinesisFaults { throttled: 100, ..KinesisFaults::default() }, StatusCode::TOO_MANY_REQUESTS),
        (KinesisFaults { internal_failure: 100, ..KinesisFaults::default() }, StatusCode::SERVICE_UNAVAILABLE),
        (KinesisFaults { lost_request: 100, ..KinesisFaults::default() }, StatusCode::SERVICE_UNAVAILABLE),
        (KinesisFaults { garbage: 100, ..KinesisFaults::default() }, StatusCode::SERVICE_UNAVAILABLE),
    ] {
        world.kinesis.set_faults(faults);
        let answer = world.post(FIRST).await;
        assert_eq!((answer.status(), answer.headers().contains_key(RETRY_AFTER)), (status, true), "{faults:?}");
    }
}

#[tokio::test]
async fn without_a_list_of_shards_a_request_is_503() {
    let world = World::start().await;
    world.set(Some(FIRST));
    world.kinesis.set_faults(KinesisFaults { throttled: 100, ..KinesisFaults::default() });
    let answer = world.post(FIRST).await;
    assert_eq!((answer.status(), world.puts()), (StatusCode::SERVICE_UNAVAILABLE, 0));
}
