//! How a shard begins: a child ends its parents itself, recursively, and takes over from their closed manifests.

use std::pin::Pin;
use std::sync::Arc;

use spanlake_model::Signal;

use super::{GroupError, Grouper, peek_manifest};
use crate::close::pending_of;
use crate::lineage;
use crate::manifest::Manifest;
use crate::ports::{EventStream, ObjectStore, Shard};
use crate::reshard::inherit;

/// Records that are read at once of a parent.
const READ_RECORDS_MAX: usize = 10_000;

/// Bytes of them, as they are on the stream.
const READ_BYTES_MAX: usize = 2 << 20;

/// What a future of `Grouper::ended` is: it calls itself for the parents.
type Ended<'a> = Pin<Box<dyn Future<Output = Result<Manifest, GroupError>> + Send + 'a>>;

/// What is known of a shard by its id alone: for who is given records of a shard, or is a child of it.
///
/// # Errors
/// [`GroupError::UnknownShard`] if nobody knows it.
pub async fn find_shard<S: ObjectStore, E: EventStream>(store: &S, stream: &E, id: &str) -> Result<Shard, GroupError> {
    if let Some((manifest, _)) = peek_manifest(store, id).await? {
        return Ok(Shard { id: id.to_owned(), range: manifest.buckets(), parents: manifest.parents });
    }
    if let Some(saved) = lineage::saved(store, id).await? {
        return Ok(saved);
    }
    let listed = stream.list().await?.into_iter().find(|shard| shard.id == id);
    listed.ok_or_else(|| GroupError::UnknownShard { shard: id.to_owned() })
}

impl<S: ObjectStore, E: EventStream> Grouper<S, E> {
    /// The first manifest of the shard.
    pub(super) async fn begin(&self) -> Result<Manifest, GroupError> {
        let mut parents = Vec::with_capacity(self.shard.parents.len());
        for id in &self.shard.parents {
            let mut parent = self.ancestor(id).await?;
            parents.push(parent.ended().await?);
        }
        let mut manifest = inherit(&self.shard, &parents, &self.settings);
        let pending = pending_of(self.store.as_ref(), &manifest, &self.settings).await?;
        for signal in Signal::ALL {
            let account = manifest.ledger.account_mut(signal);
            (account.inherited, account.pending) = (pending[signal], pending[signal]);
        }
        Ok(manifest)
    }

    /// The grouper of a parent.
    async fn ancestor(&self, id: &str) -> Result<Self, GroupError> {
        let shard = find_shard(self.store.as_ref(), self.stream.as_ref(), id).await?;
        let (store, stream) = (Arc::clone(&self.store), Arc::clone(&self.stream));
        let (settings, compile, book) = (self.settings.clone(), Arc::clone(&self.compile), self.book.clone());
        Ok(Self::with_book(store, stream, shard, settings, compile, book))
    }

    /// Reads what is unread of a shard that has ended, closes what its clock has passed, and closes it for good.
    fn ended(&mut self) -> Ended<'_> {
        Box::pin(async move {
            loop {
                let manifest = self.manifest().await?;
                if manifest.closed {
                    return Ok(manifest.clone());
                }
                let watermark = manifest.watermark;
                let slice = self.stream.read(&self.shard.id, watermark, READ_RECORDS_MAX, READ_BYTES_MAX).await?;
                if !slice.records.is_empty() {
                    // Windows are closed on the way, so that what is staged does not grow with what is unread. A close
                    // that fails is tried again at the end.
                    self.handle(&slice.records).await?;
                } else if !slice.is_end {
                    return Err(GroupError::ParentOpen { shard: self.shard.id.clone() });
                } else if !self.close_next().await? {
                    self.close_for_good().await?;
                }
            }
        })
    }
}
