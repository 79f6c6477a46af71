//! `DeleteObjects`.

use bytes::Bytes;
use http::{Response, StatusCode};

use super::request::{Call, S3Error};
use super::respond;
use super::store::Store;
use super::xml::{Xml, leaves};

/// Versions that one call may name.
const CALL_MAX: usize = 1_000;

/// Deletes the versions that the body names. What is not there is no error; what cannot be deleted is told in an answer that is
/// a success.
pub(super) fn objects(store: &mut Store, call: &Call) -> Result<Response<Bytes>, S3Error> {
    let malformed = || S3Error::new(400, "MalformedXML", "The XML you provided was not well-formed");
    let text = str::from_utf8(&call.body).map_err(|_| malformed())?;
    let is_quiet = leaves(text, "Quiet").next().is_some_and(|quiet| quiet == "true");
    let mut named = Vec::new();
    for object in leaves(text, "Object") {
        let key = leaves(object, "Key").next().ok_or_else(malformed)?;
        let version = leaves(object, "VersionId").next().ok_or_else(|| S3Error::unsupported("objects without a VersionId"))?;
        named.push((key, version));
    }
    if named.is_empty() || named.len() > CALL_MAX {
        return Err(malformed());
    }
    let bucket = store.bucket(&call.bucket)?;
    let mut xml = Xml::new("DeleteResult");
    for (key, version) in named {
        if bucket.undeletable.contains(key) {
            xml.begin("Error");
            xml.leaf("Key", key);
            xml.leaf("VersionId", version);
            xml.leaf("Code", "AccessDenied");
            xml.leaf("Message", "Access Denied");
            xml.end();
            continue;
        }
        bucket.erase(key, version);
        if !is_quiet {
            xml.begin("Deleted");
            xml.leaf("Key", key);
            xml.leaf("VersionId", version);
            xml.end();
        }
    }
    Ok(respond(StatusCode::OK, xml.finish().into()))
}
