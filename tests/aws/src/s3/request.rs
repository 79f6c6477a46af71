//! What a request asks for, and error answers. Whatever a request has that is not supported is refused by its name.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};

use super::xml::Xml;
use super::{S3Action, respond};

/// An error answer.
#[derive(Debug)]
pub(super) struct S3Error {
    status: u16,
    code: &'static str,
    message: String,
    pub(super) headers: Vec<(&'static str, String)>,
}

impl S3Error {
    pub(super) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), headers: Vec::new() }
    }

    pub(super) fn argument(message: impl Into<String>) -> Self {
        Self::new(400, "InvalidArgument", message)
    }

    pub(super) fn unsupported(what: &str) -> Self {
        Self::new(501, "NotImplemented", format!("this endpoint does not support {what}"))
    }

    /// The answer; that to a `HeadObject` has no body, as HTTP wants it.
    pub(super) fn answer(self, action: S3Action) -> Response<Bytes> {
        let mut xml = Xml::new("Error");
        xml.leaf("Code", self.code);
        xml.leaf("Message", &self.message);
        xml.leaf("RequestId", "0000000000000000");
        let body = if action == S3Action::HeadObject { String::new() } else { xml.finish() };
        let mut response = respond(StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), body.into());
        set_headers(&mut response, self.headers);
        response
    }
}

/// Sets headers; values that no header can have are left out.
pub(super) fn set_headers(response: &mut Response<Bytes>, headers: impl IntoIterator<Item = (&'static str, String)>) {
    let headers = headers.into_iter().filter_map(|(name, value)| Some((name, value.parse().ok()?)));
    response.headers_mut().extend(headers.map(|(name, value)| (http::HeaderName::from_static(name), value)));
}

/// A request that is understood.
pub(super) struct Call {
    pub(super) action: S3Action,
    pub(super) bucket: String,
    /// Of a listing, the prefix.
    pub(super) key: String,
    pub(super) version: Option<String>,
    pub(super) conditions: Vec<(String, String)>,
    pub(super) query: BTreeMap<String, String>,
    pub(super) wants_checksum: bool,
    pub(super) body: Bytes,
}

/// Headers of the service that are taken; most mean nothing here.
const HEADERS: &[&str] = &[
    "x-amz-checksum-crc32",
    "x-amz-checksum-mode",
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-security-token",
    "x-amz-user-agent",
];

impl Call {
    /// Reads a request; an error comes with what was asked for, which forms its answer.
    pub(super) fn read(request: &Request<Bytes>) -> Result<Self, (S3Action, S3Error)> {
        let query = read_query(request.uri().query().unwrap_or_default());
        let path = request.uri().path().strip_prefix('/').unwrap_or_default();
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        let action = match (request.method(), key.is_empty()) {
            (&Method::PUT, false) => S3Action::PutObject,
            (&Method::HEAD, false) => S3Action::HeadObject,
            (&Method::DELETE, false) => S3Action::DeleteObject,
            (&Method::POST, true) if query.contains_key("delete") => S3Action::DeleteObjects,
            (&Method::GET, true) if query.contains_key("versions") => S3Action::ListObjectVersions,
            (&Method::GET, true) if query.get("list-type").is_some_and(|kind| kind == "2") => S3Action::ListObjectsV2,
            (&Method::GET, false) => S3Action::GetObject,
            (method, _) => return Err((S3Action::GetObject, S3Error::unsupported(&format!("{method} {}", request.uri())))),
        };
        let read = || {
            check_query(action, &query)?;
            let conditions = read_conditions(action, request.headers())?;
            check_body(request.headers(), request.body())?;
            let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
            let prefix = || query.get("prefix").cloned().unwrap_or_default();
            Ok(Self {
                action,
                bucket: decode(bucket, false),
                key: if key.is_empty() { prefix() } else { decode(key, false) },
                version: query.get("versionId").cloned(),
                conditions,
                wants_checksum: header("x-amz-checksum-mode").is_some_and(|mode| mode == "ENABLED"),
                query: query.clone(),
                body: request.body().clone(),
            })
        };
        read().map_err(|error| (action, error))
    }

    /// The value of one of the headers that are conditions.
    pub(super) fn condition(&self, name: &str) -> Option<&str> {
        self.conditions.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn is_conditional_write(&self) -> bool {
        self.action == S3Action::PutObject && !self.conditions.is_empty()
    }
}

fn check_query(action: S3Action, query: &BTreeMap<String, String>) -> Result<(), S3Error> {
    let allowed: &[&str] = match action {
        S3Action::PutObject => &[],
        S3Action::GetObject | S3Action::HeadObject | S3Action::DeleteObject => &["versionId"],
        S3Action::DeleteObjects => &["delete"],
        S3Action::ListObjectsV2 => &["list-type", "prefix", "start-after", "continuation-token", "max-keys", "encoding-type"],
        S3Action::ListObjectVersions => &["versions", "prefix", "key-marker", "version-id-marker", "max-keys", "encoding-type"],
    };
    let foreign = query.keys().find(|name| *name != "x-id" && !allowed.contains(&name.as_str()));
    foreign.map_or(Ok(()), |name| Err(S3Error::unsupported(&format!("the parameter {name} of {action:?}"))))
}

fn read_conditions(action: S3Action, headers: &HeaderMap) -> Result<Vec<(String, String)>, S3Error> {
    let allowed: &[&str] = match action {
        S3Action::PutObject => &["if-match", "if-none-match"],
        S3Action::GetObject | S3Action::HeadObject => &["if-match", "range"],
        _ => &[],
    };
    let mut conditions = Vec::new();
    for (name, value) in headers {
        let (name, value) = (name.as_str(), value.to_str().unwrap_or_default());
        if allowed.contains(&name) {
            conditions.push((name.to_owned(), value.to_owned()));
        } else if name.starts_with("if-") || name == "range" || name.starts_with("x-amz-") && !HEADERS.contains(&name) {
            return Err(S3Error::unsupported(&format!("the header {name} of {action:?}")));
        }
    }
    Ok(conditions)
}

/// Refuses what was damaged on the way, and what is packed in a way that is not unpacked here: the SDK sends bodies from
/// memory plain, with a checksum in the head.
fn check_body(headers: &HeaderMap, body: &Bytes) -> Result<(), S3Error> {
    let packing = ["content-encoding", "content-md5"].into_iter().find(|name| headers.contains_key(*name));
    if let Some(name) = packing {
        return Err(S3Error::unsupported(&format!("the header {name}")));
    }
    let told = headers.get("x-amz-checksum-crc32").map(http::HeaderValue::as_bytes);
    if told.is_some_and(|told| told != checksum(body).as_bytes()) {
        return Err(S3Error::new(400, "BadDigest", "The CRC32 you specified did not match the calculated checksum."));
    }
    Ok(())
}

/// The value of `x-amz-checksum-crc32`.
pub(super) fn checksum(body: &[u8]) -> String {
    STANDARD.encode(crc32fast::hash(body).to_be_bytes())
}

fn read_query(query: &str) -> BTreeMap<String, String> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.map(|(name, value)| (decode(name, true), decode(value, true))).collect()
}

/// Undoes percent encoding. What is no encoding stays as it is.
fn decode(text: &str, plus_is_space: bool) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).filter(|_| *first == b'%').and_then(|hex| str::from_utf8(hex).ok());
        rest = if let Some(byte) = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            decoded.push(byte);
            after.get(2..).unwrap_or_default()
        } else {
            decoded.push(if plus_is_space && *first == b'+' { b' ' } else { *first });
            after
        };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}
