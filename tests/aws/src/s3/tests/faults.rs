//! How each fault looks to the real client.

use std::pin::pin;
use std::time::Duration;

use super::*;

const PUT: S3Action = S3Action::PutObject;
const GET: S3Action = S3Action::GetObject;

/// A client with the SDK's own retries, which need not wait.
async fn start_retrying() -> (S3Twin, Client) {
    let twin = S3Twin::start(&["lake"], 1).await;
    let client = client_with(&twin, RetryConfig::standard().with_initial_backoff(Duration::ZERO));
    (twin, client)
}

async fn put_under(fault: S3Fault) -> (Put, usize) {
    let (twin, client) = start().await;
    twin.fault_next(PUT, fault);
    let result = put_new(&client, "k", b"x").await;
    assert_eq!(twin.requests().len(), 1);
    (result, twin.objects("lake").len())
}

#[tokio::test]
async fn refused_calls_have_a_code_and_no_effect() {
    for (fault, code, status) in [
        (S3Fault::SlowDown, "SlowDown", 503),
        (S3Fault::InternalError, "InternalError", 500),
        (S3Fault::Conflict, "ConditionalRequestConflict", 409),
    ] {
        let (result, stored) = put_under(fault).await;
        assert_eq!((shape(&result.unwrap_err()), stored), (("service", Some(code), Some(status)), 0));
    }
}

#[tokio::test]
async fn a_lost_request_and_a_lost_reply_look_the_same_to_the_client() {
    let (lost_request, stored_before) = put_under(S3Fault::LostRequest).await;
    let (lost_reply, stored_after) = put_under(S3Fault::LostReply).await;
    assert_eq!((stored_before, stored_after), (0, 1));
    let (lost_request, lost_reply) = (lost_request.unwrap_err(), lost_reply.unwrap_err());
    assert_eq!(shape(&lost_request), ("dispatch, other", None, None));
    assert_eq!(shape(&lost_request), shape(&lost_reply));
}

#[tokio::test]
async fn a_conflict_is_for_writes_with_a_condition_alone() {
    let (twin, client) = start().await;
    twin.fault_next(PUT, S3Fault::Conflict);
    put(&client, "k", b"x").await.unwrap();
    assert_eq!(twin.objects("lake").len(), 1);
}

#[tokio::test]
async fn a_body_that_is_cut_or_damaged_is_found_while_it_is_read() {
    for (fault, bytes, told) in [
        (S3Fault::CutReply, 10, "IncompleteBody"),
        (S3Fault::CutReply, 3 << 20, "IncompleteBody"),
        (S3Fault::Corrupted, 10, "ChecksumMismatch"),
    ] {
        let (twin, client) = start().await;
        twin.put("lake", "k", vec![1; bytes].into());
        twin.fault_next(GET, fault);
        let output = get(&client, "k").await.unwrap();
        assert_eq!(output.content_length(), i64::try_from(bytes).ok());
        let error = format!("{:?}", output.body.collect().await.unwrap_err());
        assert!(error.contains(told), "{error}");
        assert_eq!(text(get(&client, "k").await).await.len(), bytes);
    }
}

#[tokio::test]
async fn a_range_has_no_checksum_so_its_damage_goes_unseen() {
    let (twin, client) = start().await;
    twin.put("lake", "k", Bytes::from_static(b"0000"));
    twin.fault_next(GET, S3Fault::Corrupted);
    assert_eq!(text(get_range(&client, "k", "bytes=1-1").await).await, "1");
}

#[tokio::test]
async fn a_listing_that_is_cut_is_an_error() {
    let (twin, client) = start().await;
    twin.fault_next(S3Action::ListObjectsV2, S3Fault::CutReply);
    let error = client.list_objects_v2().bucket("lake").send().await.unwrap_err();
    assert_eq!(shape(&error), ("response", None, Some(200)));
}

#[tokio::test]
async fn a_call_without_an_answer_stays_open_until_the_client_gives_up() {
    for takes_effect in [false, true] {
        let (twin, client) = start().await;
        twin.fault_next(PUT, S3Fault::NoAnswer { takes_effect });
        let mut call = pin!(put(&client, "k", b"x"));
        tokio::select! {
            biased;
            answered = &mut call => panic!("{answered:?}"),
            () = twin.wait_for_requests(1) => {}
        }
        assert_eq!(twin.objects("lake").len(), usize::from(takes_effect));
        put(&client, "other", b"y").await.expect("another connection is served meanwhile");
    }
}

#[tokio::test]
async fn by_default_a_conditional_write_with_a_lost_reply_is_sent_again_and_refused() {
    let (twin, client) = start_retrying().await;
    twin.fault_next(PUT, S3Fault::LostReply);
    assert_eq!(refused(put_new(&client, "plan", b"mine").await), error("PreconditionFailed", 412));
    assert_eq!((twin.requests().len(), &twin.objects("lake")["plan"][..]), (2, &b"mine"[..]), "though it was this writer's");
    let etag = twin.versions("lake", "plan")[0].etag.clone();
    twin.fault_next(PUT, S3Fault::LostReply);
    assert_eq!(refused(swap(&client, "plan", &etag, b"mine too").await), error("PreconditionFailed", 412));
}

#[tokio::test]
async fn by_default_refused_calls_are_sent_again_but_for_conflicts() {
    let (twin, client) = start_retrying().await;
    twin.fault_next(PUT, S3Fault::SlowDown);
    twin.fault_next(PUT, S3Fault::InternalError);
    put(&client, "k", b"x").await.unwrap();
    assert_eq!(twin.requests().len(), 3);
    twin.fault_next(PUT, S3Fault::Conflict);
    assert_eq!(refused(put_new(&client, "l", b"x").await), error("ConditionalRequestConflict", 409));
    assert_eq!(twin.requests().len(), 4);
}

#[tokio::test]
async fn by_default_a_body_that_is_cut_is_not_read_again() {
    let (twin, client) = start_retrying().await;
    twin.put("lake", "k", Bytes::from_static(b"0123456789"));
    twin.fault_next(GET, S3Fault::CutReply);
    get(&client, "k").await.unwrap().body.collect().await.unwrap_err();
    assert_eq!(twin.requests().len(), 1);
}

#[tokio::test]
async fn calls_one_after_another_share_a_connection_unless_it_was_cut() {
    let (twin, client) = start().await;
    put(&client, "k", b"x").await.unwrap();
    text(get(&client, "k").await).await;
    get(&client, "missing").await.unwrap_err();
    client.delete_object().bucket("lake").key("k").send().await.unwrap();
    twin.fault_next(PUT, S3Fault::LostReply);
    put(&client, "k", b"x").await.unwrap_err();
    put(&client, "k", b"x").await.unwrap();
    let connections: Vec<_> = twin.requests().iter().map(|call| call.connection).collect();
    assert_eq!(connections, [0, 0, 0, 0, 0, 1]);
}

#[tokio::test]
async fn the_same_seed_draws_the_same_faults_for_the_same_calls() {
    let run = async |seed| {
        let twin = S3Twin::start(&["lake"], seed).await;
        let client = client_with(&twin, RetryConfig::disabled());
        let (slow_down, internal_error, conflict, lost_request, lost_reply) = (10, 10, 20, 10, 10);
        let faults = S3Faults { slow_down, internal_error, conflict, lost_request, lost_reply, ..S3Faults::default() };
        twin.set_faults(S3Faults { cut_reply: 10, corrupted: 10, ..faults });
        let mut results = Vec::new();
        for number in 0..40_u8 {
            let key = format!("k{}", number % 7);
            results.push(put_new(&client, &key, &[number]).await.is_ok());
            results.push(match get(&client, &key).await {
                Ok(output) => output.body.collect().await.is_ok(),
                Err(_) => false,
            });
        }
        (results, twin.requests().into_iter().map(|call| call.fault).collect::<Vec<_>>(), twin.objects("lake"))
    };
    let first = run(3).await;
    assert!(first.1.contains(&S3Fault::Conflict) && first.1.contains(&S3Fault::CutReply));
    assert_eq!(first, run(3).await);
    assert_ne!(first.1, run(4).await.1);
}
