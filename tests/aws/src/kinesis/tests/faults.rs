//! How each fault looks to the real client.

use std::pin::pin;

use aws_sdk_kinesis::error::SdkError;
use aws_sdk_kinesis::operation::put_records::PutRecordsError;

use super::*;

const PUT: KinesisAction = KinesisAction::PutRecords;

async fn put_under(fault: KinesisFault) -> (Put, usize) {
    let (twin, client) = start(1).await;
    twin.fault_next(PUT, fault);
    let result = put(&client, vec![entry(0, b"x")]).await;
    assert_eq!(twin.requests().len(), 1);
    (result, twin.records(SHARD_0).len())
}

/// Which variant an error is of, its code and its status.
fn shape<E: ProvideErrorMetadata>(error: &SdkError<E>) -> (&'static str, Option<&str>, Option<u16>) {
    let variant = match error {
        SdkError::ConstructionFailure(_) => "construction",
        SdkError::TimeoutError(_) => "timeout",
        SdkError::DispatchFailure(failure) if failure.is_io() => "dispatch, io",
        SdkError::DispatchFailure(failure) if failure.is_timeout() => "dispatch, timeout",
        SdkError::DispatchFailure(_) => "dispatch, other",
        SdkError::ResponseError(_) => "response",
        SdkError::ServiceError(_) => "service",
        _ => "unknown",
    };
    (variant, error.code(), error.raw_response().map(|response| response.status().as_u16()))
}

#[tokio::test]
async fn failed_entries_are_told_by_place_and_the_others_are_stored() {
    let (twin, client) = start(1).await;
    let failed = vec![(0, EntryFault::Throttled), (2, EntryFault::InternalFailure)];
    twin.fault_next(PUT, KinesisFault::Entries(failed.clone()));
    let output = put(&client, ["a", "b", "c"].map(|text| entry(0, text.as_bytes())).to_vec()).await.unwrap();
    assert_eq!(output.failed_record_count(), Some(2));
    let codes: Vec<_> = output.records().iter().map(|record| record.error_code()).collect();
    assert_eq!(codes, [Some("ProvisionedThroughputExceededException"), None, Some("InternalFailure")]);
    assert!(output.records()[0].shard_id().is_none() && output.records()[1].shard_id().is_some());
    assert_eq!(bytes_of(&twin.records(SHARD_0)), [b"b"]);
    let calls = twin.requests();
    assert_eq!((calls[0].entries.len(), &calls[0].fault), (3, &KinesisFault::Entries(failed)));
}

#[tokio::test]
async fn whole_calls_that_are_refused_store_nothing() {
    let throttled = "ProvisionedThroughputExceededException";
    for (fault, code, status) in [
        (KinesisFault::Throttled, throttled, 400),
        (KinesisFault::InternalFailure, "InternalFailure", 500),
        (KinesisFault::Unavailable, "ServiceUnavailable", 503),
    ] {
        let (result, stored) = put_under(fault).await;
        assert_eq!((shape(&result.unwrap_err()), stored), (("service", Some(code), Some(status)), 0));
    }
    let (twin, client) = start(1).await;
    twin.fault_next(KinesisAction::ListShards, KinesisFault::Throttled);
    assert_eq!(code(client.list_shards().stream_name("spans").send().await), "LimitExceededException");
}

#[tokio::test]
async fn a_lost_request_and_a_lost_reply_look_the_same_to_the_client() {
    let (lost_request, stored_before) = put_under(KinesisFault::LostRequest).await;
    let (lost_reply, stored_after) = put_under(KinesisFault::LostReply).await;
    assert_eq!((stored_before, stored_after), (0, 1));
    let (lost_request, lost_reply) = (lost_request.unwrap_err(), lost_reply.unwrap_err());
    assert_eq!(shape(&lost_request), ("dispatch, other", None, None));
    assert_eq!(shape(&lost_request), shape(&lost_reply));
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_an_error_though_the_records_are_stored() {
    let (result, stored) = put_under(KinesisFault::Garbage).await;
    assert_eq!((shape(&result.unwrap_err()), stored), (("response", None, Some(200)), 1));
    let (result, stored) = put_under(KinesisFault::CutReply).await;
    assert_eq!((shape(&result.unwrap_err()), stored), (("response", None, Some(200)), 1));
}

#[tokio::test]
async fn a_call_without_an_answer_stays_open_until_the_client_gives_up() {
    for takes_effect in [false, true] {
        let (twin, client) = start(1).await;
        twin.fault_next(PUT, KinesisFault::NoAnswer { takes_effect });
        let mut call = pin!(put(&client, vec![entry(0, b"x")]));
        tokio::select! {
            biased;
            answered = &mut call => panic!("{answered:?}"),
            () = twin.wait_for_requests(1) => {}
        }
        assert_eq!(twin.records(SHARD_0).len(), usize::from(takes_effect));
        let again = put(&client, vec![entry(0, b"y")]).await;
        assert!(again.is_ok(), "another connection is served meanwhile");
        assert_eq!(twin.connections(), 2);
    }
}

#[tokio::test]
async fn by_default_the_client_sends_a_call_with_a_lost_reply_again() {
    let twin = KinesisTwin::start("spans", 1, 1).await;
    let client = client_with(&twin, RetryConfig::standard().with_initial_backoff(std::time::Duration::ZERO));
    twin.fault_next(PUT, KinesisFault::LostReply);
    put(&client, vec![entry(0, b"x")]).await.unwrap();
    assert_eq!((twin.requests().len(), twin.records(SHARD_0).len()), (2, 2));
}

#[tokio::test]
async fn by_default_the_client_does_not_look_at_failed_entries() {
    let twin = KinesisTwin::start("spans", 1, 1).await;
    let client = client_with(&twin, RetryConfig::standard());
    twin.fault_next(PUT, KinesisFault::Entries(vec![(0, EntryFault::Throttled)]));
    assert_eq!(put(&client, vec![entry(0, b"x")]).await.unwrap().failed_record_count(), Some(1));
    assert_eq!(twin.requests().len(), 1);
}

#[tokio::test]
async fn calls_one_after_another_share_a_connection_unless_it_was_cut() {
    let (twin, client) = start(1).await;
    for _ in 0..3 {
        put(&client, vec![entry(0, b"x")]).await.unwrap();
    }
    twin.fault_next(PUT, KinesisFault::Throttled);
    put(&client, vec![entry(0, b"x")]).await.unwrap_err();
    twin.fault_next(PUT, KinesisFault::LostReply);
    put(&client, vec![entry(0, b"x")]).await.unwrap_err();
    put(&client, vec![entry(0, b"x")]).await.unwrap();
    let connections: Vec<_> = twin.requests().iter().map(|call| call.connection).collect();
    assert_eq!(connections, [0, 0, 0, 0, 0, 1]);
}

#[tokio::test]
async fn the_same_seed_draws_the_same_faults_for_the_same_calls() {
    let run = async |seed| {
        let twin = KinesisTwin::start("spans", 2, seed).await;
        let client = client_with(&twin, RetryConfig::disabled());
        twin.set_faults(KinesisFaults {
            throttled: 10,
            internal_failure: 10,
            lost_request: 10,
            lost_reply: 10,
            garbage: 10,
            entry_throttled: 20,
            entry_internal_failure: 20,
            reordered: 50,
            ..KinesisFaults::default()
        });
        for number in 0..30_u8 {
            let entries = (0..4).map(|entry_number| entry(0, &[number, entry_number])).collect();
            let result = put(&client, entries).await;
            assert!(result.is_ok_and(|output| output.failed_record_count() == Some(0)) || !twin.requests().is_empty());
        }
        let faults: Vec<_> = twin.requests().into_iter().map(|call| call.fault).collect();
        (faults, twin.records(SHARD_0))
    };
    let first = run(3).await;
    assert!(first.0.iter().collect::<Vec<_>>().len() == 30 && first.0.contains(&KinesisFault::LostReply));
    assert_eq!(first, run(3).await);
    assert_ne!(first.0, run(4).await.0);
    let order = |records: &[HeldRecord]| records.iter().map(|record| record.bytes.to_vec()).collect::<Vec<_>>();
    assert!(!order(&first.1).is_sorted(), "some calls are stored in another order");
}

#[tokio::test]
async fn an_expired_token_and_a_stale_list_may_be_drawn() {
    let (twin, client) = start(3).await;
    twin.split(SHARD_0, 1).unwrap();
    twin.set_page_max(1);
    twin.set_faults(KinesisFaults { expired_token: 100, ..KinesisFaults::default() });
    let page = client.list_shards().stream_name("spans").send().await.unwrap();
    let next = client.list_shards().set_next_token(page.next_token).send().await;
    assert!(matches!(next.unwrap_err().into_service_error(), error if error.is_expired_next_token_exception()));
    twin.set_page_max(9);
    twin.set_faults(KinesisFaults { stale_map: 100, stale_reshards_max: 1, ..KinesisFaults::default() });
    let list = client.list_shards().stream_name("spans").send().await.unwrap();
    assert_eq!(list.shards().len(), 3);
}

#[tokio::test]
async fn an_endpoint_that_was_dropped_takes_no_more_calls() {
    let (twin, client) = start(1).await;
    put(&client, vec![entry(0, b"x")]).await.unwrap();
    drop(twin);
    let error = put(&client, vec![entry(0, b"x")]).await.unwrap_err();
    assert!(matches!(error, SdkError::DispatchFailure(_)), "{error:?}");
}

#[tokio::test]
async fn throttling_has_its_own_variant_of_the_error() {
    let (result, _) = put_under(KinesisFault::Throttled).await;
    assert!(matches!(result.unwrap_err().into_service_error(), PutRecordsError::ProvisionedThroughputExceededException(_)));
}
