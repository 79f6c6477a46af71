//! `PutObject`, `GetObject`, `HeadObject` and `DeleteObject`.

use std::ops::Range;

use bytes::Bytes;
use http::{Response, StatusCode};

use super::request::{Call, S3Error, checksum, set_headers};
use super::store::{HeldVersion, Store};
use super::{S3Action, date, respond};

fn no_such_key() -> S3Error {
    S3Error::new(404, "NoSuchKey", "The specified key does not exist.")
}

fn precondition_failed() -> S3Error {
    S3Error::new(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
}

/// Whether an `If-Match` names this entity tag: with quotes or, as S3 takes it too, without.
fn is_match(condition: &str, etag: &str) -> bool {
    condition == etag || condition == etag.trim_matches('"') || condition == "*"
}

/// `PutObject`. The page "Conditional writes" of the user guide tells the answers to conditions that do not hold.
pub(super) fn put(store: &mut Store, call: &Call) -> Result<Response<Bytes>, S3Error> {
    let bucket = store.bucket(&call.bucket)?;
    let is_versioned = bucket.is_versioned;
    let found = bucket.object(&call.key);
    match (call.condition("if-none-match"), call.condition("if-match")) {
        (None, None) => {}
        (Some("*"), None) if found.is_none() => {}
        (Some("*"), None) => return Err(precondition_failed()),
        (None, Some(wanted)) => match found {
            None => return Err(no_such_key()),
            Some(found) if !is_match(wanted, &found.etag) => return Err(precondition_failed()),
            Some(_) => {}
        },
        _ => {
            return Err(S3Error::new(
                501,
                "NotImplemented",
                "A header you provided implies functionality that is not implemented",
            ));
        }
    }
    let Some(written) = store.put(&call.bucket, &call.key, call.body.clone()) else { return Err(no_such_key()) };
    let mut response = respond(StatusCode::OK, Bytes::new());
    let checksum = [("x-amz-checksum-crc32", checksum(&call.body)), ("x-amz-checksum-type", "FULL_OBJECT".to_owned())];
    set_headers(&mut response, [("etag", written.etag.clone())].into_iter().chain(checksum));
    set_version(&mut response, &written, is_versioned);
    Ok(response)
}

/// A bucket that never had versions does not tell any.
fn set_version(response: &mut Response<Bytes>, version: &HeldVersion, is_versioned: bool) {
    if is_versioned {
        set_headers(response, [("x-amz-version-id", version.version.clone())]);
    }
}

/// `GetObject` and `HeadObject`.
pub(super) fn get(store: &mut Store, call: &Call) -> Result<Response<Bytes>, S3Error> {
    let bucket = store.bucket(&call.bucket)?;
    let found = match call.version.as_deref() {
        None => bucket.newest(&call.key).ok_or_else(no_such_key)?,
        Some(version) => {
            check_version(version)?;
            let of_version = |held: &&HeldVersion| held.version == version;
            let held = bucket.keys.get(&call.key).and_then(|versions| versions.iter().find(of_version));
            held.ok_or_else(|| S3Error::new(404, "NoSuchVersion", "The specified version does not exist."))?
        }
    };
    if found.is_marker {
        let named = call.version.is_some();
        let mut error =
            if named { S3Error::new(405, "MethodNotAllowed", "The version is a delete marker.") } else { no_such_key() };
        error.headers = vec![("x-amz-delete-marker", "true".to_owned()), ("x-amz-version-id", found.version.clone())];
        return Err(error);
    }
    if call.condition("if-match").is_some_and(|wanted| !is_match(wanted, &found.etag)) {
        return Err(precondition_failed());
    }
    let mut response = content(found, call)?;
    let modified = ("last-modified", date::http(found.modified_nanos));
    set_headers(&mut response, [("etag", found.etag.clone()), modified, ("accept-ranges", "bytes".to_owned())]);
    set_version(&mut response, found, bucket.is_versioned);
    Ok(response)
}

/// The bytes that were asked for, and the headers about them. Only whole objects come with their checksum.
fn content(found: &HeldVersion, call: &Call) -> Result<Response<Bytes>, S3Error> {
    let whole = found.bytes.len() as u64;
    let range = call.condition("range").and_then(read_range);
    let (status, bytes, mut headers) = if let Some(range) = range {
        let Some(Range { start, end }) = cut(range, whole) else {
            let mut error = S3Error::new(416, "InvalidRange", "The requested range is not satisfiable");
            error.headers = vec![("content-range", format!("bytes */{whole}"))];
            return Err(error);
        };
        let at = |place: u64| usize::try_from(place).unwrap_or(usize::MAX);
        let headers = vec![("content-range", format!("bytes {start}-{}/{whole}", end - 1))];
        (StatusCode::PARTIAL_CONTENT, found.bytes.slice(at(start)..at(end)), headers)
    } else {
        (StatusCode::OK, found.bytes.clone(), Vec::new())
    };
    if call.wants_checksum && status == StatusCode::OK {
        headers.extend([("x-amz-checksum-crc32", checksum(&bytes)), ("x-amz-checksum-type", "FULL_OBJECT".to_owned())]);
    }
    headers.extend([("content-length", bytes.len().to_string()), ("content-type", "application/octet-stream".to_owned())]);
    let mut response = respond(status, if call.action == S3Action::HeadObject { Bytes::new() } else { bytes });
    set_headers(&mut response, headers);
    Ok(response)
}

/// A `Range` as it was sent: from, and to with.
#[derive(Clone, Copy)]
enum Wanted {
    Between(u64, u64),
    Last(u64),
}

/// Reads a `Range`; one that makes no sense is no range, as RFC 9110 has it.
fn read_range(header: &str) -> Option<Wanted> {
    let (from, to) = header.strip_prefix("bytes=")?.split_once('-')?;
    match (from.parse(), to.parse()) {
        (Ok(from), Ok(to)) if from <= to => Some(Wanted::Between(from, to)),
        (Ok(from), Err(_)) if to.is_empty() => Some(Wanted::Between(from, u64::MAX)),
        (Err(_), Ok(last)) if from.is_empty() => Some(Wanted::Last(last)),
        _ => None,
    }
}

/// What there is of a range; `None` if nothing.
fn cut(wanted: Wanted, whole: u64) -> Option<Range<u64>> {
    let range = match wanted {
        Wanted::Between(from, to) => from..to.saturating_add(1).min(whole),
        Wanted::Last(last) => whole.saturating_sub(last)..whole,
    };
    (range.start < range.end).then_some(range)
}

fn check_version(version: &str) -> Result<(), S3Error> {
    if version.is_empty() { Err(S3Error::argument("Version id cannot be the empty string")) } else { Ok(()) }
}

/// `DeleteObject`. What is not there is no error.
pub(super) fn delete(store: &mut Store, call: &Call) -> Result<Response<Bytes>, S3Error> {
    let bucket = store.bucket(&call.bucket)?;
    let mut response = respond(StatusCode::NO_CONTENT, Bytes::new());
    if let Some(version) = call.version.as_deref() {
        check_version(version)?;
        let erased = bucket.erase(&call.key, version);
        set_headers(&mut response, [("x-amz-version-id", version.to_owned())]);
        if erased.is_some_and(|erased| erased.is_marker) {
            set_headers(&mut response, [("x-amz-delete-marker", "true".to_owned())]);
        }
    } else if !bucket.is_versioned {
        bucket.keys.remove(&call.key);
    } else if let Some(marker) = store.mark(&call.bucket, &call.key) {
        set_headers(&mut response, [("x-amz-delete-marker", "true".to_owned()), ("x-amz-version-id", marker.version)]);
    }
    Ok(response)
}
