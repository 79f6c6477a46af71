//! Pages: a manifest whose lists have outgrown it keeps their older entries in one immutable object.
//!
//! A manifest is written again with every batch, so it must stay small, also while nothing is archived or no window can
//! be closed. An entry is in the page or in the manifest; what left a list since the page was written is not named as
//! alive. The page is written anew once the manifest has outgrown itself again, or little of the page is alive.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{DecisionsRef, Manifest, ManifestError, SealedRef, SeenRef, Staged};
use crate::codec::Damaged;
use crate::fetch::{FetchError, get_whole};
use crate::keys;
use crate::object::content_hash;
use crate::ports::ObjectStore;

/// Runs of live entries that a manifest names at most.
const RUNS_MAX: usize = 256;

/// The lists of a manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lists {
    staged: Vec<Staged>,
    seen: Vec<SeenRef>,
    decisions: Vec<DecisionsRef>,
    sealed: Vec<SealedRef>,
}

/// A page as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) key: String,
    lists: Lists,
}

/// What a manifest says of its page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PageRef {
    pub(super) key: String,
    /// Runs of entries, from and up to, that are alive: of the staged, seen, decisions and sealed.
    alive: [Vec<[usize; 2]>; 4],
}

/// The stored form of a manifest.
pub(crate) struct Encoded {
    /// The manifest itself.
    pub(crate) manifest: Bytes,
    /// A page to put before it, with its key.
    pub(crate) page: Option<(String, Bytes)>,
}

/// Which entries of a page's list are in `now`, as runs, and what of `now` is behind them. Lists only lose entries and
/// grow at their ends, so the page's come first.
fn split<T: PartialEq + Clone>(paged: &[T], now: &[T]) -> (Vec<[usize; 2]>, Vec<T>) {
    let (mut runs, mut at) = (Vec::<[usize; 2]>::new(), 0);
    for (index, entry) in paged.iter().enumerate() {
        if now.get(at) != Some(entry) {
            continue;
        }
        at += 1;
        match runs.last_mut() {
            Some(run) if run[1] == index => run[1] += 1,
            _ => runs.push([index, index + 1]),
        }
    }
    (runs, now.get(at..).unwrap_or_default().to_vec())
}

/// Puts the live entries of a page in front of a list.
fn join<T: Clone>(paged: &[T], alive: &[[usize; 2]], list: &mut Vec<T>) -> Result<(), Damaged> {
    let mut all = Vec::new();
    for [from, to] in alive {
        all.extend_from_slice(paged.get(*from..*to).ok_or(Damaged("beyond the page"))?);
    }
    all.append(list);
    *list = all;
    Ok(())
}

impl Manifest {
    /// The stored form; moves the lists to a page if it would be longer than `bytes_max`.
    ///
    /// # Errors
    /// Never for a manifest of this program; serde's signature asks for one.
    pub(crate) fn encode(&mut self, bytes_max: usize) -> Result<Encoded, ManifestError> {
        if let Some(bytes) = self.encode_beside(self.page.as_ref(), bytes_max)? {
            return Ok(Encoded { manifest: bytes.into(), page: None });
        }
        let (staged, seen) = (self.staged.clone(), self.seen.clone());
        let (decisions, sealed) = (self.decisions.clone(), self.sealed.clone());
        let lists = Lists { staged, seen, decisions, sealed };
        let bytes: Bytes = serde_json::to_vec(&lists).map_err(ManifestError::Damaged)?.into();
        let key = keys::data(keys::PAGE, content_hash(&bytes));
        let page = Page { key: key.clone(), lists };
        let manifest = self.encode_root(Some(&page))?.0;
        self.page = Some(page);
        Ok(Encoded { manifest: manifest.into(), page: Some((key, bytes)) })
    }

    /// The manifest beside this page, unless another page is due.
    fn encode_beside(&self, page: Option<&Page>, bytes_max: usize) -> Result<Option<Vec<u8>>, ManifestError> {
        let (bytes, runs) = self.encode_root(page)?;
        Ok((bytes.len() <= bytes_max && runs <= RUNS_MAX).then_some(bytes))
    }

    /// The manifest beside this page, and how many runs of the page it names.
    fn encode_root(&self, page: Option<&Page>) -> Result<(Vec<u8>, usize), ManifestError> {
        let Some(page) = page else { return Ok((serde_json::to_vec(self).map_err(ManifestError::Damaged)?, 0)) };
        let (staged_alive, staged) = split(&page.lists.staged, &self.staged);
        let (seen_alive, seen) = split(&page.lists.seen, &self.seen);
        let (decisions_alive, decisions) = split(&page.lists.decisions, &self.decisions);
        let (sealed_alive, sealed) = split(&page.lists.sealed, &self.sealed);
        let alive = [staged_alive, seen_alive, decisions_alive, sealed_alive];
        let runs = alive.iter().map(Vec::len).sum();
        // Nothing of the page is alive: it goes.
        let paged = (runs > 0).then(|| PageRef { key: page.key.clone(), alive });
        let root = Self { staged, seen, decisions, sealed, paged, page: None, ..self.clone() };
        Ok((serde_json::to_vec(&root).map_err(ManifestError::Damaged)?, runs))
    }

    /// Reads the page that a stored manifest names, if it names one.
    pub(crate) async fn turn_page<S: ObjectStore>(mut self, store: &S) -> Result<Self, FetchError> {
        if let Some(paged) = self.paged.take() {
            let (key, bytes) = (paged.key.clone(), get_whole(store, &paged.key).await?);
            self.join(paged, &bytes).map_err(|damaged| damaged.of(&key))?;
        }
        Ok(self)
    }

    fn join(&mut self, paged: PageRef, bytes: &[u8]) -> Result<(), Damaged> {
        let PageRef { key, alive: [staged, seen, decisions, sealed] } = paged;
        let lists: Lists = serde_json::from_slice(bytes).map_err(|_| Damaged("not a page of a manifest"))?;
        join(&lists.staged, &staged, &mut self.staged)?;
        join(&lists.seen, &seen, &mut self.seen)?;
        join(&lists.decisions, &decisions, &mut self.decisions)?;
        join(&lists.sealed, &sealed, &mut self.sealed)?;
        self.page = Some(Page { key, lists });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use spanlake_model::BucketRange;

    use super::*;

    const BYTES_MAX: usize = 128 << 10;

    fn sealed(number: u64) -> SealedRef {
        let key = format!("sealed/{number:032}");
        SealedRef { number, key, bytes: 1, raw_bytes: 1, items: None, window_start: 1, decisions: None }
    }

    #[test]
    fn lists_that_outgrow_the_manifest_are_read_back_from_their_page() {
        let mut manifest = Manifest::new("shard-0", BucketRange::ALL);
        let mut page: Option<(String, Bytes)> = None;
        let mut pages = 0;
        for round in 0..40_u64 {
            manifest.sealed.extend((0..200).map(|n| sealed(round * 200 + n)));
            if round % 3 == 0 {
                manifest.sealed.drain(50..350.min(manifest.sealed.len()));
            }
            let encoded = manifest.encode(BYTES_MAX).unwrap();
            assert!(encoded.manifest.len() <= BYTES_MAX, "{} bytes", encoded.manifest.len());
            pages += u32::from(encoded.page.is_some());
            page = encoded.page.or(page);
            let mut read = Manifest::decode(&encoded.manifest).unwrap();
            if let Some(paged) = read.paged.take() {
                let (key, bytes) = page.clone().unwrap();
                assert_eq!(paged.key, key);
                read.join(paged, &bytes).unwrap();
            }
            assert_eq!(read, manifest);
        }
        assert!((2..20).contains(&pages), "{pages} pages");
        manifest.sealed.clear();
        let read = Manifest::decode(&manifest.encode(BYTES_MAX).unwrap().manifest).unwrap();
        assert!(read.paged.is_none() && read.sealed.is_empty());
    }
}
