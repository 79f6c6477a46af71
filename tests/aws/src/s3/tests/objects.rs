//! Objects one by one.

use aws_sdk_s3::operation::head_object::HeadObjectError;
use aws_sdk_s3::primitives::DateTime;

use super::*;

#[tokio::test]
async fn what_was_put_is_read_with_its_tag_and_time() {
    let (twin, client) = start().await;
    twin.set_now(1_785_542_461_999_000_000);
    let etag = put(&client, "a/b=c/d.parquet", b"content").await.unwrap().e_tag.unwrap();
    let output = get(&client, "a/b=c/d.parquet").await.unwrap();
    assert_eq!(output.e_tag(), Some(etag.as_str()));
    assert_eq!(output.last_modified().map(DateTime::as_nanos), Some(1_785_542_461_000_000_000), "in whole seconds");
    assert_eq!((output.content_length(), output.version_id()), (Some(7), None));
    assert_eq!(output.body.collect().await.unwrap().to_vec(), b"content");
    assert_eq!(twin.objects("lake")["a/b=c/d.parquet"], "content");
    assert!(etag.starts_with('"') && etag.ends_with('"'));
    assert_eq!(put(&client, "other", b"content").await.unwrap().e_tag.unwrap(), etag, "equal bytes have one tag");
    assert_ne!(put(&client, "other", b"contend").await.unwrap().e_tag.unwrap(), etag);
}

#[tokio::test]
async fn keys_of_any_letters_arrive_as_they_are() {
    let (twin, client) = start().await;
    for key in ["a b", "a+b", "a%20b", "a&b=c?d#e", "\u{e9}/\u{4e2d}", "a//b", "quote\"s", "'<>"] {
        put(&client, key, key.as_bytes()).await.unwrap();
        assert_eq!(text(get(&client, key).await).await, key);
    }
    assert!(twin.objects("lake").iter().all(|(key, bytes)| key.as_bytes() == bytes));
}

#[tokio::test]
async fn what_is_not_there_is_told_apart() {
    let (_twin, client) = start().await;
    assert_eq!(refused(get(&client, "missing").await), error("NoSuchKey", 404));
    assert!(get(&client, "missing").await.unwrap_err().into_service_error().is_no_such_key());
    assert_eq!(refused(client.get_object().bucket("other").key("x").send().await), error("NoSuchBucket", 404));
    let head = client.head_object().bucket("lake").key("missing").send().await.unwrap_err();
    assert!(matches!(head.into_service_error(), HeadObjectError::NotFound(_)), "an answer to HEAD has no code");
}

#[tokio::test]
async fn heads_tell_the_length_and_nothing_follows_on_the_connection() {
    let (twin, client) = start().await;
    put(&client, "k", &vec![7; 100_000]).await.unwrap();
    for _ in 0..3 {
        let head = client.head_object().bucket("lake").key("k").send().await.unwrap();
        assert_eq!(head.content_length(), Some(100_000));
    }
    assert_eq!(twin.connections(), 1);
}

#[tokio::test]
async fn a_new_object_is_written_once() {
    let (twin, client) = start().await;
    put_new(&client, "plan", b"1").await.unwrap();
    assert_eq!(refused(put_new(&client, "plan", b"2").await), error("PreconditionFailed", 412));
    assert_eq!(twin.objects("lake")["plan"], "1");
    let other = client.put_object().bucket("lake").key("plan").if_none_match("\"abc\"").send().await;
    assert_eq!(refused(other), error("NotImplemented", 501));
    client.delete_object().bucket("lake").key("plan").send().await.unwrap();
    put_new(&client, "plan", b"3").await.unwrap();
}

#[tokio::test]
async fn a_swap_needs_the_tag_of_what_is_there() {
    let (twin, client) = start().await;
    assert_eq!(refused(swap(&client, "m", "\"abc\"", b"0").await), error("NoSuchKey", 404));
    let first = put(&client, "m", b"1").await.unwrap().e_tag.unwrap();
    let second = swap(&client, "m", &first, b"2").await.unwrap().e_tag.unwrap();
    assert_eq!(refused(swap(&client, "m", &first, b"3").await), error("PreconditionFailed", 412));
    swap(&client, "m", second.trim_matches('"'), b"4").await.unwrap();
    assert_eq!(twin.objects("lake")["m"], "4");
}

#[tokio::test]
async fn of_racing_writers_one_wins() {
    let (twin, client) = start().await;
    let calls = (0..8_u8).map(|writer| {
        let client = client.clone();
        tokio::spawn(async move { put_new(&client, "plan", &[writer]).await.is_ok() })
    });
    let mut winners = Vec::new();
    for (writer, call) in calls.collect::<Vec<_>>().into_iter().enumerate() {
        if call.await.unwrap() {
            winners.push(writer);
        }
    }
    assert_eq!(winners.iter().map(|writer| u8::try_from(*writer).unwrap()).collect::<Vec<_>>(), twin.objects("lake")["plan"]);
}

#[tokio::test]
async fn ranges_are_cut_and_refused_beyond_the_end() {
    let (_twin, client) = start().await;
    put(&client, "r", b"0123456789").await.unwrap();
    for (range, expected, told) in [
        ("bytes=0-2", "012", Some("bytes 0-2/10")),
        ("bytes=8-100", "89", Some("bytes 8-9/10")),
        ("bytes=9-18446744073709551615", "9", Some("bytes 9-9/10")),
        ("bytes=4-", "456789", Some("bytes 4-9/10")),
        ("bytes=-3", "789", Some("bytes 7-9/10")),
        ("bytes=-30", "0123456789", Some("bytes 0-9/10")),
        ("bytes=5-4", "0123456789", None),
    ] {
        let output = get_range(&client, "r", range).await.unwrap();
        assert_eq!(output.content_range(), told, "{range}");
        assert_eq!(output.body.collect().await.unwrap().to_vec(), expected.as_bytes(), "{range}");
    }
    put(&client, "empty", b"").await.unwrap();
    for (key, range) in
        [("r", "bytes=10-10"), ("r", "bytes=50-"), ("r", "bytes=-0"), ("empty", "bytes=0-0"), ("empty", "bytes=0-")]
    {
        assert_eq!(refused(get_range(&client, key, range).await), error("InvalidRange", 416), "{key} {range}");
    }
    assert_eq!(text(get(&client, "empty").await).await, "");
    assert_eq!(refused(get_range(&client, "missing", "bytes=0-0").await), error("NoSuchKey", 404));
}

#[tokio::test]
async fn a_read_may_ask_for_what_it_knows() {
    let (_twin, client) = start().await;
    let etag = put(&client, "k", b"1").await.unwrap().e_tag.unwrap();
    let ask = |etag: &str| client.get_object().bucket("lake").key("k").if_match(etag).send();
    assert_eq!(text(ask(&etag).await).await, "1");
    put(&client, "k", b"2").await.unwrap();
    assert_eq!(refused(ask(&etag).await), error("PreconditionFailed", 412));
}

#[tokio::test]
async fn without_versions_a_delete_is_for_good_and_of_nothing_is_no_error() {
    let (twin, client) = start().await;
    put(&client, "k", b"1").await.unwrap();
    let delete = || client.delete_object().bucket("lake").key("k");
    delete().version_id("0123456789abcdef0123456789abcdef").send().await.unwrap();
    assert_eq!(twin.objects("lake").len(), 1, "another version is not this one");
    delete().version_id("null").send().await.unwrap();
    assert!(twin.objects("lake").is_empty());
    delete().send().await.unwrap();
    assert_eq!(refused(delete().version_id("").send().await), error("InvalidArgument", 400));
}

#[tokio::test]
async fn with_versions_a_delete_is_a_marker_unless_it_names_a_version() {
    let (twin, client) = start_versioned().await;
    let mut ids = Vec::new();
    for content in [b"1", b"1", b"2"] {
        ids.push(put(&client, "k", content).await.unwrap().version_id.unwrap());
    }
    assert!(ids[0] != ids[1], "equal bytes are two versions");
    let of = async |id: &str| client.get_object().bucket("lake").key("k").version_id(id).send().await;
    let delete = |id: Option<&str>| client.delete_object().bucket("lake").key("k").set_version_id(id.map(str::to_owned));

    let deleted = delete(None).send().await.unwrap();
    assert_eq!(deleted.delete_marker(), Some(true));
    assert_eq!(refused(get(&client, "k").await), error("NoSuchKey", 404));
    assert_eq!(text(of(&ids[1]).await).await, "1");
    let marker = deleted.version_id().unwrap();
    assert_eq!(refused(of(marker).await), error("MethodNotAllowed", 405));
    put_new(&client, "k", b"3").await.expect("behind a marker there is no object");
    assert_eq!(twin.versions("lake", "k").len(), 5);

    let newest = twin.versions("lake", "k")[0].version.clone();
    for id in [newest.as_str(), marker, &ids[2], "0123456789abcdef0123456789abcdef"] {
        delete(Some(id)).send().await.unwrap();
    }
    assert_eq!(text(get(&client, "k").await).await, "1", "what was before shows again");
    assert_eq!(refused(of(&ids[2]).await), error("NoSuchVersion", 404));
    delete(Some(&ids[0])).send().await.unwrap();
    delete(Some(&ids[1])).send().await.unwrap();
    assert!(twin.versions("lake", "k").is_empty());
}

#[tokio::test]
async fn what_was_there_before_versioning_has_the_version_null() {
    let (twin, client) = start().await;
    put(&client, "k", b"1").await.unwrap();
    twin.enable_versioning("lake");
    put(&client, "k", b"2").await.unwrap();
    let versions = twin.versions("lake", "k");
    assert_eq!((versions.len(), versions[1].version.as_str()), (2, "null"));
    assert_eq!(text(client.get_object().bucket("lake").key("k").version_id("null").send().await).await, "1");
}

#[tokio::test]
async fn what_is_not_supported_is_refused_by_name() {
    let (_twin, client) = start().await;
    let tagged = client.put_object().bucket("lake").key("k").tagging("a=b").send().await;
    assert_eq!(refused(tagged), error("NotImplemented", 501));
    let part = client.get_object().bucket("lake").key("k").part_number(1).send().await;
    assert_eq!(refused(part), error("NotImplemented", 501));
    assert_eq!(refused(client.list_objects().bucket("lake").send().await), error("NotImplemented", 501));
    assert_eq!(refused(client.create_multipart_upload().bucket("lake").key("k").send().await), error("NotImplemented", 501));
    let grouped = client.list_objects_v2().bucket("lake").delimiter("/").send().await;
    assert_eq!(refused(grouped), error("NotImplemented", 501));
}

#[tokio::test]
async fn bodies_from_memory_come_plain_with_a_checksum_that_is_checked() {
    let (twin, client) = start().await;
    for bytes in [0, 1, 3 << 20] {
        put(&client, "k", &vec![1; bytes]).await.unwrap();
        assert_eq!(twin.objects("lake")["k"].len(), bytes);
    }
    let call = client.put_object().bucket("lake").key("k").body(ByteStream::from_static(b"other"));
    assert_eq!(refused(call.checksum_crc32("AAAAAA==").send().await), error("BadDigest", 400));
}

#[tokio::test]
async fn the_log_tells_conditions_and_answers() {
    let (twin, client) = start().await;
    put_new(&client, "k", b"123").await.unwrap();
    get_range(&client, "k", "bytes=7-8").await.unwrap_err();
    let condition = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    let calls = twin.requests();
    assert_eq!((calls[0].action, calls[0].key.as_str(), calls[0].bytes), (S3Action::PutObject, "k", 3));
    assert_eq!((&calls[0].conditions, calls[0].status), (&condition("if-none-match", "*"), Some(200)));
    assert_eq!((&calls[1].conditions, calls[1].status), (&condition("range", "bytes=7-8"), Some(416)));
}
