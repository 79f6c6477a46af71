//! `ListObjectsV2` and `ListObjectVersions`: keys in the order of their UTF-8 bytes, pages without gaps.

use std::ops::Bound;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Response, StatusCode};

use super::request::{Call, S3Error, set_headers};
use super::store::{Bucket, HeldVersion, PAGE_MAX, Store};
use super::xml::Xml;
use super::{date, respond};

/// How a page is asked for.
struct Page<'a> {
    call: &'a Call,
    is_encoded: bool,
    /// What the client asked for, and what there will be.
    asked: usize,
    most: usize,
}

impl<'a> Page<'a> {
    fn read(call: &'a Call, page_max: usize) -> Result<Self, S3Error> {
        let is_encoded = match call.query.get("encoding-type").map(String::as_str) {
            None => false,
            Some("url") => true,
            Some(_) => return Err(S3Error::argument("Invalid Encoding Method specified in Request")),
        };
        let asked = call.query.get("max-keys").map_or(Ok(PAGE_MAX), |most| most.parse::<u32>().map(|most| most as usize));
        let asked = asked.map_err(|_| S3Error::argument("Provided max-keys not an integer or within integer range"))?;
        Ok(Self { call, is_encoded, asked: asked.min(PAGE_MAX), most: asked.min(page_max) })
    }

    fn key(&self, key: &str) -> String {
        if self.is_encoded { encode(key) } else { key.to_owned() }
    }

    fn begin(&self, root: &'static str) -> Xml {
        let mut xml = Xml::new(root);
        xml.leaf("Name", &self.call.bucket);
        xml.leaf("Prefix", self.key(&self.call.key));
        xml.leaf("MaxKeys", self.asked);
        if self.is_encoded {
            xml.leaf("EncodingType", "url");
        }
        xml
    }

    fn parameter(&self, name: &str) -> Option<&'a str> {
        self.call.query.get(name).map(String::as_str)
    }
}

/// Percent encoding as S3 does it in answers: slashes stay, a space is a plus.
fn encode(key: &str) -> String {
    let letter = |byte: u8| match byte {
        b' ' => "+".to_owned(),
        plain if plain.is_ascii_alphanumeric() || b"-_.*/".contains(&plain) => char::from(plain).to_string(),
        other => format!("%{other:02X}"),
    };
    key.bytes().map(letter).collect()
}

fn finish(xml: Xml) -> Response<Bytes> {
    let mut response = respond(StatusCode::OK, xml.finish().into());
    set_headers(&mut response, [("content-type", "application/xml".to_owned())]);
    response
}

/// The keys with a prefix from a place on, with their versions, oldest first.
fn keys<'a>(bucket: &'a Bucket, prefix: &'a str, from: Bound<&str>) -> impl Iterator<Item = (&'a String, &'a Vec<HeldVersion>)> {
    bucket.keys.range::<str, _>((from, Bound::Unbounded)).filter(move |(key, _)| key.starts_with(prefix))
}

/// `ListObjectsV2`.
pub(super) fn objects(store: &mut Store, call: &Call) -> Result<Response<Bytes>, S3Error> {
    let page = Page::read(call, store.page_max)?;
    let token = page.parameter("continuation-token");
    let after = match token {
        Some(token) => {
            let key = STANDARD.decode(token).ok().and_then(|key| String::from_utf8(key).ok());
            key.ok_or_else(|| S3Error::argument("The continuation token provided is incorrect"))?
        }
        None => page.parameter("start-after").unwrap_or_default().to_owned(),
    };
    let bucket = &*store.bucket(&call.bucket)?;
    let mut rest = keys(bucket, &call.key, Bound::Excluded(&after)).filter_map(|(key, _)| Some((key, bucket.object(key)?)));
    let shown: Vec<_> = rest.by_ref().take(page.most).collect();
    let last = shown.last().filter(|_| rest.next().is_some());

    let mut xml = page.begin("ListBucketResult");
    xml.leaf("KeyCount", shown.len());
    xml.leaf("IsTruncated", last.is_some());
    if let Some(after) = page.parameter("start-after") {
        xml.leaf("StartAfter", page.key(after));
    }
    if let Some(token) = token {
        xml.leaf("ContinuationToken", token);
    }
    if let Some((key, _)) = last {
        xml.leaf("NextContinuationToken", STANDARD.encode(key));
    }
    for (key, object) in shown {
        xml.begin("Contents");
        xml.leaf("Key", page.key(key));
        describe(&mut xml, object);
        xml.end();
    }
    Ok(finish(xml))
}

fn describe(xml: &mut Xml, object: &HeldVersion) {
    xml.leaf("LastModified", date::iso(object.modified_nanos));
    xml.leaf("ETag", &object.etag);
    xml.leaf("Size", object.bytes.len());
    xml.leaf("StorageClass", "STANDARD");
}

/// `ListObjectVersions`: the versions of a key are in order of their writes, newest first. A version marker that is gone
/// stands before the next key.
pub(super) fn versions(store: &mut Store, call: &Call) -> Result<Response<Bytes>, S3Error> {
    let page = Page::read(call, store.page_max)?;
    let bucket = &*store.bucket(&call.bucket)?;
    let key_marker = page.parameter("key-marker").filter(|key| !key.is_empty());
    let version_marker = page.parameter("version-id-marker").filter(|version| !version.is_empty());
    if version_marker.is_some() && key_marker.is_none() {
        return Err(S3Error::argument("A version-id marker cannot be specified without a key marker."));
    }
    let of_marker = key_marker.and_then(|key| Some((key, bucket.keys.get(key).filter(|_| key.starts_with(&call.key))?)));
    let older = version_marker.and(of_marker).into_iter().flat_map(|(key, versions)| {
        let at = versions.iter().position(|held| Some(held.version.as_str()) == version_marker).unwrap_or_default();
        versions.iter().take(at).rev().map(move |version| (key, version, false))
    });
    let from = key_marker.map_or(Bound::Unbounded, Bound::Excluded);
    let others = keys(bucket, &call.key, from).flat_map(|(key, versions)| {
        let newest = versions.len() - 1;
        versions.iter().enumerate().rev().map(move |(at, version)| (key.as_str(), version, at == newest))
    });
    let mut rest = older.chain(others);
    let shown: Vec<_> = rest.by_ref().take(page.most).collect();
    let last = shown.last().filter(|_| rest.next().is_some());

    let mut xml = page.begin("ListVersionsResult");
    xml.leaf("KeyMarker", page.key(key_marker.unwrap_or_default()));
    xml.leaf("VersionIdMarker", version_marker.unwrap_or_default());
    xml.leaf("IsTruncated", last.is_some());
    if let Some((key, version, _)) = last {
        xml.leaf("NextKeyMarker", page.key(key));
        xml.leaf("NextVersionIdMarker", &version.version);
    }
    for (key, version, is_latest) in shown {
        xml.begin(if version.is_marker { "DeleteMarker" } else { "Version" });
        xml.leaf("Key", page.key(key));
        xml.leaf("VersionId", &version.version);
        xml.leaf("IsLatest", is_latest);
        if version.is_marker {
            xml.leaf("LastModified", date::iso(version.modified_nanos));
        } else {
            describe(&mut xml, version);
        }
        xml.end();
    }
    Ok(finish(xml))
}
