//! Listings.

use aws_sdk_s3::operation::list_object_versions::ListObjectVersionsOutput;
use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::EncodingType;

use super::*;

/// `-` and `.` sort before the slash, `=` and letters after it.
const KEYS: [&str; 7] = ["l/a-b", "l/a.b", "l/a/x", "l/a/y/z", "l/a=b", "l/ab", "m"];

async fn filled() -> (S3Twin, Client) {
    let (twin, client) = start().await;
    for key in KEYS.iter().rev() {
        twin.put("lake", key, Bytes::from_static(b"xyz"));
    }
    (twin, client)
}

async fn list(client: &Client, prefix: &str, after: Option<&str>, most: Option<i32>) -> Vec<String> {
    let call = client.list_objects_v2().bucket("lake").prefix(prefix).set_start_after(after.map(str::to_owned));
    let mut pages = call.set_max_keys(most).into_paginator().send();
    let mut keys = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        assert_eq!(page.key_count(), i32::try_from(page.contents().len()).ok());
        keys.extend(page.contents().iter().filter_map(|object| object.key().map(str::to_owned)));
    }
    keys
}

#[tokio::test]
async fn objects_are_listed_in_the_order_of_their_bytes() {
    let (_twin, client) = filled().await;
    assert_eq!(list(&client, "", None, None).await, KEYS);
    assert_eq!(list(&client, "l/a/", None, None).await, KEYS[2..4]);
    assert_eq!(list(&client, "l/nothing", None, None).await, Vec::<String>::new());
    for cut in 0..KEYS.len() {
        assert_eq!(list(&client, "", Some(KEYS[cut]), None).await, KEYS[cut + 1..]);
    }
    assert_eq!(list(&client, "l/a/", Some("l/a/y"), None).await, ["l/a/y/z"]);
    let none = client.list_objects_v2().bucket("lake").max_keys(0).send().await.unwrap();
    assert_eq!((none.contents().len(), none.is_truncated()), (0, Some(false)));
}

#[tokio::test]
async fn pages_hold_every_key_once_also_when_they_are_shorter_than_asked() {
    let (twin, client) = filled().await;
    for most in 1..9 {
        assert_eq!(list(&client, "l/", None, Some(most)).await, KEYS[..6]);
    }
    twin.set_page_max(2);
    assert_eq!(list(&client, "", Some("l/a-b"), Some(1_000)).await, KEYS[1..]);
    let page = client.list_objects_v2().bucket("lake").send().await.unwrap();
    assert_eq!((page.contents().len(), page.is_truncated()), (2, Some(true)));
    twin.lose("lake", KEYS[1]);
    twin.put("lake", "l/a.a", Bytes::new());
    let next = client.list_objects_v2().bucket("lake").set_continuation_token(page.next_continuation_token);
    assert_eq!(next.send().await.unwrap().contents()[0].key(), Some(KEYS[2]), "the next page begins where this one ended");
    let garbled = client.list_objects_v2().bucket("lake").continuation_token("?").send().await;
    assert_eq!(refused(garbled), error("InvalidArgument", 400));
}

#[tokio::test]
async fn an_entry_tells_size_tag_and_time() {
    let (twin, client) = start().await;
    twin.set_now(1_785_542_461_999_000_000);
    let etag = put(&client, "k", b"12345").await.unwrap().e_tag;
    let listed = client.list_objects_v2().bucket("lake").send().await.unwrap();
    let object = &listed.contents()[0];
    assert_eq!((object.size(), object.e_tag()), (Some(5), etag.as_deref()));
    assert_eq!(object.last_modified().map(DateTime::as_nanos), Some(1_785_542_461_000_000_000));
}

#[tokio::test]
async fn letters_of_xml_in_keys_come_through_and_may_be_encoded() {
    let (twin, client) = start().await;
    let keys = ["a&b", "a<b>\"c\"", "a b/+%", "\u{e9}\r"];
    for key in keys {
        twin.put("lake", key, Bytes::new());
    }
    assert_eq!(list(&client, "", None, None).await, ["a b/+%", "a&b", "a<b>\"c\"", "\u{e9}\r"]);
    let encoded = client.list_objects_v2().bucket("lake").encoding_type(EncodingType::Url).send().await.unwrap();
    let keys: Vec<_> = encoded.contents().iter().filter_map(|object| object.key()).collect();
    assert_eq!(keys, ["a+b/%2B%25", "a%26b", "a%3Cb%3E%22c%22", "%C3%A9%0D"]);
}

#[tokio::test]
async fn deleted_objects_are_in_the_list_of_versions_alone() {
    let (_twin, client) = start_versioned().await;
    put(&client, "a", b"1").await.unwrap();
    put(&client, "b", b"1").await.unwrap();
    client.delete_object().bucket("lake").key("a").send().await.unwrap();
    assert_eq!(list(&client, "", None, None).await, ["b"]);
    let output = client.list_object_versions().bucket("lake").send().await.unwrap();
    assert_eq!((output.versions().len(), output.delete_markers().len()), (2, 1));
    let marker = &output.delete_markers()[0];
    assert_eq!((marker.key(), marker.is_latest()), (Some("a"), Some(true)));
    assert_eq!(output.versions()[0].is_latest(), Some(false));
}

/// Key and version id of each version, with a star for the latest.
fn entries(output: &ListObjectVersionsOutput) -> Vec<(String, String, bool)> {
    let entry = |version: &aws_sdk_s3::types::ObjectVersion| {
        (version.key().unwrap().to_owned(), version.version_id().unwrap().to_owned(), version.is_latest().unwrap())
    };
    output.versions().iter().map(entry).collect()
}

#[tokio::test]
async fn versions_are_listed_newest_first_and_page_by_page() {
    let (twin, client) = start_versioned().await;
    let mut expected = Vec::new();
    for key in ["p/a", "p/b", "p/c", "q"] {
        let mut ids = Vec::new();
        for _ in 0..3 {
            ids.insert(0, put(&client, key, b"same").await.unwrap().version_id.unwrap());
        }
        expected.extend(ids.into_iter().enumerate().map(|(at, id)| (key.to_owned(), id, at == 0)));
    }
    let all = client.list_object_versions().bucket("lake").send().await.unwrap();
    assert_eq!(entries(&all), expected);
    for most in 1..11 {
        let (mut read, mut key, mut version) = (Vec::new(), None, None);
        loop {
            let call = client.list_object_versions().bucket("lake").prefix("p/").max_keys(most);
            let page = call.set_key_marker(key).set_version_id_marker(version).send().await.unwrap();
            read.extend(entries(&page));
            (key, version) = (page.next_key_marker, page.next_version_id_marker);
            if page.is_truncated != Some(true) {
                break;
            }
        }
        assert_eq!(read, expected[..9], "pages of {most}");
    }
    twin.set_page_max(4);
    assert_eq!(entries(&client.list_object_versions().bucket("lake").send().await.unwrap()), expected[..4]);
}

#[tokio::test]
async fn a_marker_of_a_key_goes_behind_it_and_one_of_a_version_needs_a_key() {
    let (_twin, client) = start_versioned().await;
    for key in ["a", "b", "b", "c"] {
        put(&client, key, b"x").await.unwrap();
    }
    let keys = |output: ListObjectVersionsOutput| entries(&output).into_iter().map(|(key, ..)| key).collect::<String>();
    let list = || client.list_object_versions().bucket("lake");
    assert_eq!(keys(list().key_marker("a").send().await.unwrap()), "bbc");
    assert_eq!(keys(list().key_marker("aa").send().await.unwrap()), "bbc");
    assert_eq!(keys(list().key_marker("b").version_id_marker("gone").send().await.unwrap()), "c");
    assert_eq!(refused(list().version_id_marker("x").send().await), error("InvalidArgument", 400));
}

#[tokio::test]
async fn objects_without_versions_are_listed_with_the_version_null() {
    let (_twin, client) = filled().await;
    let output = client.list_object_versions().bucket("lake").prefix("m").send().await.unwrap();
    assert_eq!(entries(&output), [("m".to_owned(), "null".to_owned(), true)]);
}
