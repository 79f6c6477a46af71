//! Listings, in order of the keys.

use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{Object, ObjectVersion};
use spanlake_model::NANOS_PER_SECOND;
use spanlake_pipeline::keys;
use spanlake_pipeline::ports::{Listed, StoreError};

use super::{S3Store, failed};

/// Between the ids of an object's versions, the newest first: it goes only with all that were listed, or the one before would
/// be the newest again.
pub(super) const VERSIONS: char = ' ';

/// Keys that S3 gives in one answer.
const PAGE_MAX: usize = 1_000;

/// Where a listing goes on.
struct Page {
    listed: Vec<Listed>,
    /// The last key and version of this page, if there is another one.
    next: Option<(String, Option<String>)>,
}

impl S3Store {
    /// Up to `most` objects whose keys begin with `prefix` and are greater than `after`.
    pub(super) async fn list_keys(&self, prefix: &str, after: Option<&str>, most: usize) -> Result<Vec<Listed>, StoreError> {
        let mut found: Vec<Listed> = Vec::new();
        let mut from = (after.unwrap_or_default().to_owned(), None);
        if most == 0 {
            return Ok(found);
        }
        loop {
            let wanted = most.saturating_sub(found.len()).clamp(1, PAGE_MAX);
            let page = if prefix.starts_with(keys::MANIFEST) {
                self.newest_page(prefix, &from.0, wanted).await?
            } else {
                self.versions_page(prefix, &from, found.last().map(|last| last.key.as_str()), wanted).await?
            };
            for listed in page.listed.into_iter().filter(|listed| after.is_none_or(|after| listed.key.as_str() > after)) {
                match found.last_mut().filter(|last| last.key == listed.key) {
                    Some(last) => last.version = format!("{}{VERSIONS}{}", last.version, listed.version),
                    None => found.push(listed),
                }
            }
            let Some(next) = page.next else { break };
            // Older versions of the last object may be on the next page.
            if found.len() > most || (found.len() == most && found.last().is_some_and(|last| last.key < next.0)) {
                break;
            }
            from = next;
        }
        found.truncate(most);
        Ok(found)
    }

    /// A page of a listing that knows no versions: what it lists cannot be deleted.
    async fn newest_page(&self, prefix: &str, after: &str, wanted: usize) -> Result<Page, StoreError> {
        let call = self.client.list_objects_v2().bucket(self.bucket(prefix)).prefix(prefix).max_keys(count(wanted));
        let answer = call.start_after(after).send().await.map_err(|error| failed("listing", prefix, &error))?;
        let listed: Vec<Listed> = answer.contents.unwrap_or_default().into_iter().filter_map(of_object).collect();
        let last = listed.last().filter(|_| answer.is_truncated == Some(true));
        Ok(Page { next: last.map(|last| (last.key.clone(), None)), listed })
    }

    /// A page of all versions of objects, the newest of each first. `begun` is the key whose newest ones were on the page before.
    async fn versions_page(
        &self,
        prefix: &str,
        (after, version): &(String, Option<String>),
        begun: Option<&str>,
        wanted: usize,
    ) -> Result<Page, StoreError> {
        let call = self.client.list_object_versions().bucket(self.bucket(prefix)).prefix(prefix).max_keys(count(wanted));
        let call = call.set_key_marker(Some(after.clone()).filter(|after| !after.is_empty()));
        let answer = call.set_version_id_marker(version.clone()).send().await;
        let answer = answer.map_err(|error| failed("listing", prefix, &error))?;
        let mut listed = Vec::new();
        for version in answer.versions.unwrap_or_default() {
            // What is behind a delete marker is no object any more.
            let is_of = |last: &Listed| Some(last.key.as_str()) == version.key.as_deref();
            if version.is_latest == Some(true)
                || listed.last().is_some_and(is_of)
                || begun.is_some_and(|key| Some(key) == version.key.as_deref())
            {
                listed.extend(of_version(version));
            }
        }
        let next = answer.next_key_marker.filter(|_| answer.is_truncated == Some(true));
        Ok(Page { listed, next: next.map(|key| (key, answer.next_version_id_marker)) })
    }
}

fn count(wanted: usize) -> i32 {
    i32::try_from(wanted).unwrap_or(1_000)
}

fn of_object(object: Object) -> Option<Listed> {
    let (bytes, modified_nanos) = (object.size.unwrap_or_default(), nanos(object.last_modified));
    Some(Listed { key: object.key?, bytes: bytes.cast_unsigned(), modified_nanos, version: String::new() })
}

fn of_version(version: ObjectVersion) -> Option<Listed> {
    let (bytes, modified_nanos) = (version.size.unwrap_or_default(), nanos(version.last_modified));
    Some(Listed { key: version.key?, bytes: bytes.cast_unsigned(), modified_nanos, version: version.version_id? })
}

fn nanos(time: Option<DateTime>) -> i64 {
    time.map_or(0, |time| time.secs().saturating_mul(NANOS_PER_SECOND).saturating_add(i64::from(time.subsec_nanos())))
}
