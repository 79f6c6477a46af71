//! The incident switch: services that an operator has kept as a whole for a while. What is wanted is an object of its own beside
//! the rules, which no push of rules touches; [`Activation`](crate::rules::Activation) lays it over them.

use bytes::Bytes;
use spanlake_policy::Overlay;

use crate::keys;
use crate::ports::{Conditional, ETag, ObjectStore};
use crate::rules::RulesError;

/// The most bytes that are read: many times what the most services with the longest names take.
const BYTES_MAX: usize = 64 << 10;

/// What is wanted, what has ended included, and which write it is of.
///
/// # Errors
/// [`RulesError::Refused`] if it is no overlay; else the store failed.
pub async fn kept<S: ObjectStore>(store: &S) -> Result<(Overlay, Option<ETag>), RulesError> {
    let Some(object) = store.get(keys::RULES_KEEP_ALL).await? else { return Ok((Overlay::default(), None)) };
    let text = std::str::from_utf8(&object.bytes).ok().filter(|text| text.len() <= BYTES_MAX);
    let overlay = text.ok_or_else(|| "it is no text of a few lines".to_owned()).and_then(Overlay::parse);
    let refused = |reason: String| RulesError::Refused(format!("{}: {reason}", keys::RULES_KEEP_ALL));
    Ok((overlay.map_err(refused)?, Some(object.etag)))
}

/// Makes an overlay the wanted one, in the place of the one that was read as `before`.
///
/// # Errors
/// [`RulesError::Contended`] if somebody else has written meanwhile: then nothing has changed.
pub async fn keep<S: ObjectStore>(store: &S, overlay: &Overlay, before: Option<&ETag>) -> Result<(), RulesError> {
    let bytes = Bytes::from(overlay.text());
    let written = match before {
        Some(etag) => store.swap(keys::RULES_KEEP_ALL, etag, bytes).await?,
        None => store.put_new(keys::RULES_KEEP_ALL, bytes).await?,
    };
    match written {
        Conditional::Done(_) => Ok(()),
        Conditional::Refused => Err(RulesError::Contended),
    }
}

/// What the rules of a version keep, when they were laid.
///
/// # Errors
/// [`RulesError`] if they cannot be read.
pub async fn kept_by<S: ObjectStore>(store: &S, version: &str) -> Result<Overlay, RulesError> {
    let Some(object) = store.get(&keys::rules(version)).await? else { return Ok(Overlay::default()) };
    let text = std::str::from_utf8(&object.bytes).unwrap_or_default();
    Overlay::split(text).1.map_or_else(|| Ok(Overlay::default()), Overlay::parse).map_err(RulesError::Refused)
}
