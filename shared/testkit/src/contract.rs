//! What every object store and every stream must do: run by each adapter's own tests, on an empty one. What the simulator's lets
//! through and an adapter does not, or the other way round, is a hole in every simulation.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a contract fails as tests do")]

use std::future::{Future, poll_fn};
use std::task::Poll;

use bytes::Bytes;
use spanlake_model::{BUCKETS, Bucket, Sequence};
use spanlake_pipeline::ports::{Conditional, ETag, EventStream, Listed, NewRecord, ObjectStore, Record, Shard, StoreError};

async fn text<S: ObjectStore>(store: &S, key: &str) -> Option<String> {
    let object = store.get(key).await.unwrap()?;
    Some(String::from_utf8(object.bytes.to_vec()).unwrap())
}

async fn keys<S: ObjectStore>(store: &S, prefix: &str, after: Option<&str>, most: usize) -> Vec<String> {
    store.list(prefix, after, most).await.unwrap().into_iter().map(|listed| listed.key).collect()
}

/// An entry for what need not be there.
fn listed(key: &str) -> Listed {
    Listed { key: key.to_owned(), bytes: 0, modified_nanos: 0, version: String::new() }
}

/// Deletes what is there under a key now; asks for it all the same if nothing is.
async fn remove<S: ObjectStore>(store: &S, key: &str) {
    let found = store.list(key, None, 1).await.unwrap().into_iter().find(|found| found.key == key);
    store.delete(&[found.unwrap_or_else(|| listed(key))]).await.unwrap();
    assert!(store.get(key).await.unwrap().is_none(), "{key} was deleted");
}

fn done(result: Conditional) -> ETag {
    match result {
        Conditional::Done(etag) => etag,
        Conditional::Refused => panic!("refused"),
    }
}

/// Makes several calls at once, and answers what each came to.
async fn together<T>(calls: Vec<impl Future<Output = T>>) -> Vec<T> {
    let mut calls: Vec<_> = calls.into_iter().map(|call| (Box::pin(call), None)).collect();
    poll_fn(|context| {
        for (call, answer) in calls.iter_mut().filter(|(_, answer)| answer.is_none()) {
            if let Poll::Ready(ready) = call.as_mut().poll(context) {
                *answer = Some(ready);
            }
        }
        if calls.iter().all(|(_, answer)| answer.is_some()) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    calls.into_iter().filter_map(|(_, answer)| answer).collect()
}

/// Runs the contract on an empty store, which is empty again afterwards.
///
/// # Panics
/// If the store breaks it.
pub async fn object_store_contract<S: ObjectStore>(store: &S) {
    reads_see_the_newest_write(store).await;
    conditions_hold(store).await;
    of_several_writers_one_wins(store).await;
    ranges_are_cut(store).await;
    listings_are_in_order(store).await;
    pages_hold_every_key_once(store).await;
    what_is_not_there_is_deleted_without_effect(store).await;
    what_was_written_again_is_not_deleted(store).await;
    names_that_are_no_keys_are_refused(store).await;
    assert_eq!(keys(store, "", None, 10).await, Vec::<String>::new());
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
    remove(store, "a/one").await;
    remove(store, "a/one").await;
    remove(store, "empty").await;
    assert_eq!(keys(store, "", None, 10).await, Vec::<String>::new());
}

async fn conditions_hold<S: ObjectStore>(store: &S) {
    let first = done(store.put_new("c/manifest", Bytes::from_static(b"1")).await.unwrap());
    assert_eq!(store.put_new("c/manifest", Bytes::from_static(b"1")).await.unwrap(), Conditional::Refused);
    assert_eq!(store.get("c/manifest").await.unwrap().unwrap().etag, first);
    let second = done(store.swap("c/manifest", &first, Bytes::from_static(b"2")).await.unwrap());
    assert_eq!(store.swap("c/manifest", &first, Bytes::from_static(b"3")).await.unwrap(), Conditional::Refused);
    assert_eq!(text(store, "c/manifest").await.as_deref(), Some("2"));
    remove(store, "c/manifest").await;
    assert_eq!(store.swap("c/manifest", &second, Bytes::from_static(b"4")).await.unwrap(), Conditional::Refused);
    let third = done(store.put_new("c/manifest", Bytes::from_static(b"5")).await.unwrap());
    store.put("c/manifest", Bytes::from_static(b"6")).await.unwrap();
    assert_eq!(store.swap("c/manifest", &third, Bytes::from_static(b"7")).await.unwrap(), Conditional::Refused);
    let read = store.get("c/manifest").await.unwrap().unwrap();
    let swapped = done(store.swap("c/manifest", &read.etag, Bytes::from_static(b"8")).await.unwrap());
    let read = store.get("c/manifest").await.unwrap().unwrap();
    assert_eq!((read.etag, read.bytes), (swapped, Bytes::from_static(b"8")), "a swap tells the version that a reader sees");
    remove(store, "c/manifest").await;
}

async fn of_several_writers_one_wins<S: ObjectStore>(store: &S) {
    let bytes = |writer: usize| Bytes::from(format!("writer {writer}"));
    let won = |results: &[Result<Conditional, StoreError>]| {
        let won: Vec<usize> = (0..results.len()).filter(|writer| matches!(results[*writer], Ok(Conditional::Done(_)))).collect();
        assert_eq!(won.len(), 1, "{results:?}");
        assert_eq!(results.iter().filter(|result| matches!(result, Ok(Conditional::Refused))).count(), results.len() - 1);
        won[0]
    };
    let winner = won(&together((0..8).map(|writer| store.put_new("w/plan", bytes(writer))).collect()).await);
    assert_eq!(store.get("w/plan").await.unwrap().unwrap().bytes, bytes(winner));
    for round in 1..6 {
        let read = store.get("w/plan").await.unwrap().unwrap();
        let calls = (0..8).map(|writer| store.swap("w/plan", &read.etag, bytes(8 * round + writer)));
        let winner = won(&together(calls.collect()).await);
        assert_eq!(store.get("w/plan").await.unwrap().unwrap().bytes, bytes(8 * round + winner));
    }
    remove(store, "w/plan").await;
}

async fn ranges_are_cut<S: ObjectStore>(store: &S) {
    store.put("r", Bytes::from_static(b"0123456789")).await.unwrap();
    let beyond = u64::MAX - 1..u64::MAX;
    let all = 0..u64::MAX;
    for (range, expected) in
        [(0..3, "012"), (8..100, "89"), (3..3, ""), (10..11, ""), (50..60, ""), (beyond, ""), (all, "0123456789")]
    {
        assert_eq!(store.get_range("r", range).await.unwrap().unwrap(), expected);
    }
    assert!(store.get_range("missing", 0..1).await.unwrap().is_none());
    remove(store, "r").await;
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
        remove(store, key).await;
    }
}

async fn pages_hold_every_key_once<S: ObjectStore>(store: &S) {
    let all: Vec<String> = (0..25).map(|number| format!("p/{}/{number:03}", number % 3)).collect();
    for key in &all {
        store.put(key, Bytes::from_static(b"x")).await.unwrap();
    }
    let mut sorted = all.clone();
    sorted.sort();
    for most in [1, 4, 25, 1_000] {
        let (mut read, mut after) = (Vec::new(), None::<String>);
        loop {
            let page = keys(store, "p/", after.as_deref(), most).await;
            assert!(page.len() <= most);
            let Some(last) = page.last() else { break };
            after = Some(last.clone());
            read.extend(page);
        }
        assert_eq!(read, sorted, "pages of {most}");
    }
    // What is put or deleted behind a page shows in the next one.
    let first = keys(store, "p/", None, 4).await;
    store.put("p/1/999", Bytes::from_static(b"x")).await.unwrap();
    remove(store, &sorted[5]).await;
    let rest = keys(store, "p/", first.last().map(String::as_str), 1_000).await;
    assert!(rest.contains(&"p/1/999".to_owned()) && !rest.contains(&sorted[5]), "{rest:?}");
    for key in all.iter().map(String::as_str).chain(["p/1/999"]) {
        remove(store, key).await;
    }
}

async fn what_is_not_there_is_deleted_without_effect<S: ObjectStore>(store: &S) {
    store.put("d/folder/object", Bytes::from_static(b"x")).await.unwrap();
    for nothing in ["nothing", "d", "d/folder", "d/folder/objec", "d/folder/object/below", "d/other/object"] {
        remove(store, nothing).await;
    }
    assert_eq!(text(store, "d/folder/object").await.as_deref(), Some("x"));
    assert_eq!(keys(store, "", None, 10).await, ["d/folder/object"]);
    remove(store, "d/folder/object").await;
}

async fn what_was_written_again_is_not_deleted<S: ObjectStore>(store: &S) {
    store.put("v", Bytes::from_static(b"same")).await.unwrap();
    store.put("vw", Bytes::from_static(b"other")).await.unwrap();
    let mut before = store.list("v", None, 2).await.unwrap();
    before.insert(1, listed("vv"));
    store.put("v", Bytes::from_static(b"same")).await.unwrap();
    store.delete(&before).await.unwrap();
    assert_eq!(text(store, "v").await.as_deref(), Some("same"));
    assert!(store.get("vw").await.unwrap().is_none(), "what was listed with it is deleted all the same");
    store.delete(&[]).await.unwrap();
    remove(store, "v").await;
}

async fn names_that_are_no_keys_are_refused<S: ObjectStore>(store: &S) {
    for key in ["", "/", "/etc/x", "a//b", "a/", "..", "a/../b", "./a", "a b", "a\\b", "a\0b", "\u{e9}"] {
        let refused = store.put(key, Bytes::from_static(b"x")).await;
        assert!(matches!(refused, Err(StoreError::Damaged { .. })), "{key:?}");
        assert!(store.get(key).await.is_err(), "{key:?}");
        assert!(store.delete(&[listed(key)]).await.is_err(), "{key:?}");
    }
}

/// Runs the contract of a stream on one that nobody else writes to, and that takes what it is given.
///
/// # Panics
/// If the stream breaks it.
pub async fn event_stream_contract<E: EventStream>(stream: &E) {
    let shards = stream.shards();
    shards_own_every_bucket_once(&shards);
    let listed = stream.list().await.unwrap();
    assert!(shards.iter().all(|shard| listed.contains(shard)) && listed.is_sorted_by(|one, next| one.id < next.id));
    let texts = |shard: usize| (0..7).map(move |number| format!("{shard}.{number}"));
    for number in 0..7 {
        let records = shards.iter().enumerate().map(|(shard, of)| {
            // Neither end of a shard's range is its neighbour's.
            let bucket = if number % 2 == 0 { of.range.first } else { of.range.last };
            NewRecord { bucket: Bucket::new(bucket).unwrap(), bytes: format!("{shard}.{number}").into() }
        });
        let results = stream.append(records.collect()).await;
        assert_eq!(results, vec![Ok(()); shards.len()]);
    }
    for (number, shard) in shards.iter().enumerate() {
        let all = read(stream, &shard.id, Sequence::ZERO, usize::MAX, usize::MAX).await;
        let found: Vec<String> = all.iter().map(|record| String::from_utf8(record.bytes.to_vec()).unwrap()).collect();
        assert_eq!(found, texts(number).collect::<Vec<_>>(), "in order, each once, on the shard that owns its bucket");
        assert!(all.is_sorted_by(|one, next| one.sequence < next.sequence) && all[0].sequence > Sequence::ZERO);
        for (at, record) in all.iter().enumerate() {
            let behind = read(stream, &shard.id, record.sequence, usize::MAX, usize::MAX).await;
            assert_eq!(behind.len(), all.len() - at - 1, "behind a sequence number");
        }
        let few = read(stream, &shard.id, Sequence::ZERO, 3, usize::MAX).await;
        assert_eq!(few.len(), 3, "no more than asked for");
    }
}

fn shards_own_every_bucket_once(shards: &[Shard]) {
    let mut next = 0;
    for shard in shards {
        assert_eq!(shard.range.first, next, "{}", shard.id);
        next = shard.range.last + 1;
    }
    assert_eq!(next, BUCKETS);
}

/// Reads an open shard, which has no end.
async fn read<E: EventStream>(stream: &E, shard: &str, after: Sequence, records: usize, bytes: usize) -> Vec<Record> {
    let slice = stream.read(shard, after, records, bytes).await.unwrap();
    assert!(!slice.is_end, "{shard} is open");
    slice.records
}
