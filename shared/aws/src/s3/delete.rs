//! Deletion, many objects in a call.

use aws_sdk_s3::types::{Delete, Error, ObjectIdentifier};
use spanlake_pipeline::ports::{Listed, StoreError, check_key};

use super::{S3Store, failed, list};

/// Versions that S3 deletes in one call.
const CALL_MAX: usize = 1_000;

impl S3Store {
    /// Deletes the listed versions of objects of one bucket.
    pub(super) async fn delete_versions(&self, listed: &[&Listed]) -> Result<(), StoreError> {
        let mut all = Vec::new();
        for listed in listed {
            check_key(&listed.key)?;
            // Calls go from the oldest version to the newest: cut short between them, the newest is there still, and is listed
            // again. Without a version the object would go whatever was written since: nobody asks for that.
            let versions = listed.version.rsplit(list::VERSIONS).filter(|version| !version.is_empty());
            all.extend(versions.filter_map(|version| identifier(&listed.key, version)));
        }
        for chunk in all.chunks(CALL_MAX) {
            self.delete_call(chunk).await?;
        }
        Ok(())
    }

    async fn delete_call(&self, objects: &[ObjectIdentifier]) -> Result<(), StoreError> {
        let first = objects.first().map(ObjectIdentifier::key).unwrap_or_default();
        let Ok(delete) = Delete::builder().set_objects(Some(objects.to_vec())).quiet(true).build() else { return Ok(()) };
        let answer = self.client.delete_objects().bucket(self.bucket(first)).delete(delete).send().await;
        let answer = answer.map_err(|error| failed("deleting objects from", first, &error))?;
        // The call succeeds though some are still there.
        answer.errors().first().map_or(Ok(()), |error| Err(refused(error, answer.errors().len())))
    }
}

/// `None` never: both parts that it needs are there.
fn identifier(key: &str, version: &str) -> Option<ObjectIdentifier> {
    ObjectIdentifier::builder().key(key).version_id(version).build().ok()
}

fn refused(error: &Error, errors: usize) -> StoreError {
    let text = |text: Option<&str>| text.unwrap_or("no reason").to_owned();
    let (key, code, message) = (text(error.key()), text(error.code()), text(error.message()));
    StoreError::Unavailable { what: format!("deleting {key}: {code}: {message} ({errors} objects of the call are still there)") }
}
