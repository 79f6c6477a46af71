//! Deletion follows references, and only the sweeper deletes data objects: one that no manifest refers to goes once it is older
//! than the age limit. Also the lake's lifecycle: whole hours past their retention.
//!
//! The order matters: objects are listed first, then references are read, in rounds of what fits into memory. What was listed and
//! is referenced by nothing afterwards can never be referenced again, since names fix contents and lists only shrink.

use std::collections::BTreeSet;

use thiserror::Error;

use crate::archive::partition_of;
use crate::fetch::{LIST_MOST, list_all};
use crate::group::{GroupError, all_manifests};
use crate::keys;
use crate::manifest::superseded;
use crate::ports::{Listed, ObjectStore, StoreError};

/// Old objects that are held in memory at a time.
const ROUND_MAX: usize = 20_000;

/// Why sweeping stopped early. Nothing is lost: a later run goes on.
#[derive(Debug, Error)]
pub enum SweepError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A manifest cannot be read.
    #[error(transparent)]
    Manifest(#[from] GroupError),
}

/// What a run of the sweeper deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Objects deleted.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Swept {
    fn add(&mut self, more: Self) {
        self.objects += more.objects;
        self.bytes += more.bytes;
    }
}

/// Deletes data objects older than `older_than_nanos` (a point in time) that nothing refers to, and done plans but
/// the newest.
///
/// # Errors
/// [`SweepError`] if references cannot be read: then nothing more is deleted.
pub async fn sweep<S: ObjectStore>(store: &S, older_than_nanos: i64) -> Result<Swept, SweepError> {
    let (mut swept, mut old) = (Swept::default(), Vec::new());
    for prefix in [keys::STAGED, keys::SEEN, keys::DECISIONS, keys::SEALED, keys::PAGE] {
        let mut after = None;
        loop {
            let page = store.list(prefix, after.as_deref(), LIST_MOST).await?;
            after = page.last().filter(|_| page.len() == LIST_MOST).map(|last| last.key.clone());
            old.extend(page.into_iter().filter(|listed| listed.modified_nanos < older_than_nanos));
            if old.len() >= ROUND_MAX {
                swept.add(delete_unreferenced(store, std::mem::take(&mut old)).await?);
            }
            if after.is_none() {
                break;
            }
        }
    }
    swept.add(delete_unreferenced(store, old).await?);
    // A plan goes before its done mark: without the mark it would be carried out again.
    let (marks, plans): (Vec<_>, Vec<_>) = done_plans(store)
        .await?
        .into_iter()
        .filter(|listed| listed.modified_nanos < older_than_nanos)
        .partition(|listed| listed.key.ends_with(keys::PLAN_DONE));
    swept.add(delete_all(store, &plans).await?);
    swept.add(delete_all(store, &marks).await?);
    Ok(swept)
}

/// Deletes what was listed and nothing refers to.
async fn delete_unreferenced<S: ObjectStore>(store: &S, mut old: Vec<Listed>) -> Result<Swept, SweepError> {
    // An output stays in its manifest until its plan is carried out. Of a closed shard counts what it lists until all its
    // children have been read.
    let mut referenced = BTreeSet::new();
    let manifests = all_manifests(store).await?;
    let superseded = superseded(&manifests);
    for manifest in &manifests {
        referenced.extend(manifest.sealed_references().chain(manifest.page_reference()).map(str::to_owned));
        if !superseded.contains(manifest.shard.as_str()) {
            referenced.extend(manifest.working_references().map(str::to_owned));
        }
    }
    old.retain(|listed| !referenced.contains(&listed.key));
    delete_all(store, &old).await
}

/// Deletes the lake's files of hours that ended before `before_nanos` (a point in time).
///
/// # Errors
/// [`SweepError`] if the store fails.
pub async fn expire<S: ObjectStore>(store: &S, before_nanos: i64) -> Result<Swept, SweepError> {
    let before = partition_of(before_nanos);
    let partition = |key: &str| {
        let (_, rest) = key.strip_prefix(keys::LAKE)?.split_once('/')?;
        Some(rest.get(..before.len())?.to_owned())
    };
    let mut old = list_all(store, keys::LAKE).await?;
    old.retain(|listed| partition(&listed.key).is_some_and(|partition| partition.starts_with("dt=") && partition < before));
    delete_all(store, &old).await
}

/// Done plans, all but the newest plan, and their marks.
async fn done_plans<S: ObjectStore>(store: &S) -> Result<Vec<Listed>, StoreError> {
    let listed = list_all(store, keys::PLAN).await?;
    let stem = |listed: &Listed, kind: &str| listed.key.strip_suffix(kind).map(str::to_owned);
    let done: BTreeSet<String> = listed.iter().filter_map(|listed| stem(listed, keys::PLAN_DONE)).collect();
    let made: BTreeSet<String> = listed.iter().filter_map(|listed| stem(listed, keys::PLAN_MADE)).collect();
    let newest = made.last().cloned().unwrap_or_default();
    let is_old = |listed: &Listed| {
        let stem = stem(listed, keys::PLAN_DONE).or_else(|| stem(listed, keys::PLAN_MADE)).unwrap_or_default();
        done.contains(&stem) && stem != newest
    };
    Ok(listed.into_iter().filter(is_old).collect())
}

async fn delete_all<S: ObjectStore>(store: &S, old: &[Listed]) -> Result<Swept, SweepError> {
    store.delete(old).await?;
    Ok(Swept { objects: old.len() as u64, bytes: old.iter().map(|listed| listed.bytes).sum() })
}
