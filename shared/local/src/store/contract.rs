//! What every object store must do: run by each adapter's own tests, on an empty store.

use bytes::Bytes;
use spanlake_pipeline::ports::{Conditional, ETag, ObjectStore, StoreError};

async fn text<S: ObjectStore>(store: &S, key: &str) -> Option<String> {
    let object = store.get(key).await.unwrap()?;
    Some(String::from_utf8(object.bytes.to_vec()).unwrap())
}

async fn keys<S: ObjectStore>(store: &S, prefix: &str, after: Option<&str>, most: usize) -> Vec<String> {
    store.list(prefix, after, most).await.unwrap().into_iter().map(|listed| listed.key).collect()
}

fn done(result: Conditional) -> ETag {
    match result {
        Conditional::Done(etag) => etag,
        Conditional::Refused => panic!("refused"),
    }
}

/// Runs the contract on an empty store.
pub(crate) async fn object_store_contract<S: ObjectStore>(store: &S) {
    reads_see_the_newest_write(store).await;
    conditions_hold(store).await;
    ranges_are_cut(store).await;
    listings_are_in_order(store).await;
    names_that_are_no_keys_are_refused(store).await;
}

async fn reads_see_the_newest_write<S: ObjectStore>(store: &S) {
    assert!(store.get("a/missing").await.unwrap().is_none());
    assert!(store.get("a").await.unwrap().is_none());
    store.put("a/one", Bytes::from_static(b"1")).await.unwrap();
    store.put("a/one", Bytes::from_static(b"1")).await.unwrap();
    let first = store.get("a/one").await.unwrap().unwrap();
    assert_eq!(first.bytes, "1");
    store.put("a/one", Bytes::from_static(b"2")).await.unwrap();
    let second = store.get("a/one").await.unwrap().unwrap();
    assert_eq!(second.bytes, "2");
    assert_ne!(first.etag, second.etag);
    store.put("empty", Bytes::new()).await.unwrap();
    assert_eq!(text(store, "empty").await.as_deref(), Some(""));
    assert!(store.get("a").await.unwrap().is_none(), "the beginning of a key is no object");
    store.delete("a/one").await.unwrap();
    store.delete("a/one").await.unwrap();
    store.delete("empty").await.unwrap();
    assert_eq!(keys(store, "", None, 10).await, Vec::<String>::new());
}

async fn conditions_hold<S: ObjectStore>(store: &S) {
    let first = done(store.put_new("c/manifest", Bytes::from_static(b"1")).await.unwrap());
    assert_eq!(store.put_new("c/manifest", Bytes::from_static(b"1")).await.unwrap(), Conditional::Refused);
    assert_eq!(store.get("c/manifest").await.unwrap().unwrap().etag, first);
    let second = done(store.swap("c/manifest", &first, Bytes::from_static(b"2")).await.unwrap());
    assert_eq!(store.swap("c/manifest", &first, Bytes::from_static(b"3")).await.unwrap(), Conditional::Refused);
    assert_eq!(text(store, "c/manifest").await.as_deref(), Some("2"));
    store.delete("c/manifest").await.unwrap();
    assert_eq!(store.swap("c/manifest", &second, Bytes::from_static(b"4")).await.unwrap(), Conditional::Refused);
    done(store.put_new("c/manifest", Bytes::from_static(b"5")).await.unwrap());
    store.delete("c/manifest").await.unwrap();
}

async fn ranges_are_cut<S: ObjectStore>(store: &S) {
    store.put("r", Bytes::from_static(b"0123456789")).await.unwrap();
    for (range, expected) in [(0..3, "012"), (8..100, "89"), (3..3, ""), (10..11, ""), (50..60, "")] {
        assert_eq!(store.get_range("r", range).await.unwrap().unwrap(), expected);
    }
    assert!(store.get_range("missing", 0..1).await.unwrap().is_none());
    store.delete("r").await.unwrap();
}

async fn listings_are_in_order<S: ObjectStore>(store: &S) {
    // `-` and `.` sort before the slash, `=` and letters after it.
    let all = ["l/a-b", "l/a.b", "l/a/x", "l/a/y/z", "l/a=b", "l/ab", "m"];
    for key in all.iter().rev() {
        store.put(key, Bytes::from_static(b"xyz")).await.unwrap();
    }
    assert_eq!(keys(store, "", None, 100).await, all);
    assert_eq!(keys(store, "l/", None, 100).await, all[..6]);
    assert_eq!(keys(store, "l/a/", None, 100).await, all[2..4]);
    assert_eq!(keys(store, "l/a", None, 3).await, all[..3]);
    assert_eq!(keys(store, "l/nothing", None, 3).await, Vec::<String>::new());
    assert_eq!(keys(store, "", None, 0).await, Vec::<String>::new());
    for cut in 0..all.len() {
        assert_eq!(keys(store, "", Some(all[cut]), 100).await, all[cut + 1..]);
    }
    assert_eq!(keys(store, "", Some("l/a/y"), 1).await, ["l/a/y/z"]);
    let listed = store.list("m", None, 1).await.unwrap();
    assert_eq!((listed[0].bytes, listed.len()), (3, 1));
    for key in all {
        store.delete(key).await.unwrap();
    }
}

async fn names_that_are_no_keys_are_refused<S: ObjectStore>(store: &S) {
    for key in ["", "/", "/etc/x", "a//b", "a/", "..", "a/../b", "./a", "a b", "a\\b", "a\0b", "\u{e9}"] {
        let refused = store.put(key, Bytes::from_static(b"x")).await;
        assert!(matches!(refused, Err(StoreError::Damaged { .. })), "{key:?}");
        assert!(store.get(key).await.is_err(), "{key:?}");
        assert!(store.delete(key).await.is_err(), "{key:?}");
    }
    assert_eq!(keys(store, "", None, 10).await, Vec::<String>::new());
}
