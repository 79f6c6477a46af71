//! A shard's manifest: the only object of the grouper that is overwritten, and only by compare-and-swap.
//!
//! It says what is staged, how far is decided, what is sealed, and the ledger. What it does not list does not exist:
//! a crash leaves at most an orphan that nobody reads.

mod page;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use spanlake_model::{BucketRange, Sequence};
use thiserror::Error;

use crate::ledger::Ledger;
use crate::settings::GroupSettings;
use page::{Page, PageRef};

/// The format's number; a reader of another number stops.
const FORMAT: u32 = 3;

/// A staged batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staged {
    /// Its key, which is its content's hash.
    pub key: String,
    /// Its size.
    pub bytes: u64,
    /// The length of its index.
    pub index_bytes: u64,
    /// The least and the greatest effective arrival of its records, Unix nanoseconds.
    pub arrivals: [i64; 2],
    /// Items that it holds.
    pub items: u64,
    /// What of it is this shard's, if a parent staged it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inherited: Option<Inherited>,
}

impl Staged {
    /// Whether a bucket's rows, if it has any, are the shard's that lists it.
    pub(crate) fn holds(&self, bucket: u16) -> bool {
        self.inherited.as_ref().is_none_or(|inherited| (inherited.range[0]..=inherited.range[1]).contains(&bucket))
    }
}

/// What a child takes over of a batch that a parent staged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inherited {
    /// The first and the last bucket that are the child's.
    pub range: [u16; 2],
    /// Every window of the batch that ends here or before was closed by a parent.
    pub mark: i64,
}

/// An object that holds ids of requests already seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenRef {
    /// Its key.
    pub key: String,
    /// Its size.
    pub bytes: u64,
    /// The length of its index.
    pub index_bytes: u64,
    /// When its last id is forgotten, by the shard's clock.
    pub until: i64,
    /// None of its ids is forgotten before this: 0 unless a parent noted them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub at_least: i64,
    /// The effective arrival of the last record whose ids are here.
    #[serde(default)]
    pub noted: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// An object that holds the decisions of a close, or of a part of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionsRef {
    /// Its key.
    pub key: String,
    /// Its size.
    pub bytes: u64,
    /// The length of its index.
    pub index_bytes: u64,
    /// The end of the window that was closed.
    pub end: i64,
}

/// A sealed output: what one close, or a part of one, hands to the archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedRef {
    /// Counts from 1 along the shard.
    pub number: u64,
    /// Its key.
    pub key: String,
    /// Its size.
    pub bytes: u64,
    /// Raw bytes of the items in it.
    pub raw_bytes: u64,
    /// Ledger items in it, by the signals' codes; unknown if an older version sealed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<[u64; 3]>,
    /// The start of the window in which it was sealed: its hour is the partition.
    pub window_start: i64,
    /// The decisions that belong to it, if any were made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decisions: Option<String>,
}

/// Rules in force, by the position on the shard.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesInForce {
    /// The version for records from here on; empty before the first.
    pub current: String,
    /// The effective arrival of the record that carried it: which of two shards has the newer one.
    #[serde(default)]
    pub since: i64,
    /// The version before it, as long as traces that began under it are undecided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Previous>,
}

/// Rules that still decide older traces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Previous {
    /// The version.
    pub version: String,
    /// The effective arrival of the record that carried the newer one.
    pub until: i64,
}

/// A close that has sealed a part of its traces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closing {
    /// The end of the window.
    pub end: i64,
    /// Everything up to this bucket and this trace id (hex), both included, is done.
    pub done: (u16, String),
}

/// Sequence numbers as text: they are larger than numbers of JSON.
mod decimal {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};
    use spanlake_model::Sequence;

    pub(super) fn serialize<S: Serializer>(sequence: &Sequence, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(sequence)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Sequence, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// The manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    format: u32,
    /// The shard's id.
    pub shard: String,
    /// The first and the last bucket that it owns.
    pub range: [u16; 2],
    /// The shards that it continues; none on a local folder.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<String>,
    /// The effective arrival of its first record, and until that comes the clock at which it took over from them; 0
    /// without parents.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub born: i64,
    /// The mark with which it began; 0 without parents.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub born_mark: i64,
    /// Whether the shard has ended, all of it is read, and children take over what is not sealed. From then on
    /// nothing changes but that archived outputs go.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub closed: bool,
    /// Every record up to this sequence number is in the state below.
    #[serde(with = "decimal")]
    pub watermark: Sequence,
    /// The running maximum of approximate arrivals up to the watermark, Unix nanoseconds.
    pub clock: i64,
    /// Every window that ends here or before is closed.
    pub mark: i64,
    /// The rules.
    pub rules: RulesInForce,
    /// Staged batches with anything undecided, in order of their sequences.
    pub staged: Vec<Staged>,
    /// Ids seen in batches that are no longer staged.
    pub seen: Vec<SeenRef>,
    /// Decisions within the late horizon.
    pub decisions: Vec<DecisionsRef>,
    /// Sealed outputs that no archive plan has taken yet.
    pub sealed: Vec<SealedRef>,
    /// The number of the last sealed output.
    pub sealed_last: u64,
    /// A close under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closing: Option<Closing>,
    /// Sealed outputs that were lost and given up: what they held is counted as dropped, once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub given_up: Vec<String>,
    /// What became of everything, since the shard began.
    pub ledger: Ledger,
    /// Of a stored manifest: where its older entries are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    paged: Option<PageRef>,
    #[serde(skip)]
    page: Option<Page>,
}

/// What every format says of itself.
#[derive(Deserialize)]
struct Head {
    format: u32,
}

/// Stored bytes that are no manifest.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// Not JSON, or not of this shape.
    #[error("the manifest is damaged")]
    Damaged(#[source] serde_json::Error),
    /// Written by another version of the program.
    #[error("the manifest has format {0}, this program reads format {FORMAT}: use the version that wrote it")]
    Format(u32),
}

impl Manifest {
    /// The manifest of a shard that has seen nothing.
    #[must_use]
    pub fn new(shard: &str, range: BucketRange) -> Self {
        Self {
            format: FORMAT,
            shard: shard.to_owned(),
            range: [range.first, range.last],
            parents: Vec::new(),
            born: 0,
            born_mark: 0,
            closed: false,
            watermark: Sequence::ZERO,
            clock: 0,
            mark: 0,
            rules: RulesInForce::default(),
            staged: Vec::new(),
            seen: Vec::new(),
            decisions: Vec::new(),
            sealed: Vec::new(),
            sealed_last: 0,
            closing: None,
            given_up: Vec::new(),
            ledger: Ledger::default(),
            paged: None,
            page: None,
        }
    }

    /// Reads a manifest; what it keeps on a page is not there yet.
    ///
    /// # Errors
    /// [`ManifestError`] if the bytes are not one of this format.
    pub fn decode(bytes: &[u8]) -> Result<Self, ManifestError> {
        // The number first: another format may lack what this one needs.
        let Head { format } = serde_json::from_slice(bytes).map_err(ManifestError::Damaged)?;
        if format != FORMAT {
            return Err(ManifestError::Format(format));
        }
        serde_json::from_slice(bytes).map_err(ManifestError::Damaged)
    }

    /// Up to where the rows of a staged batch are dealt with: every window that ends here or before is closed.
    #[must_use]
    pub fn mark_of(&self, staged: &Staged) -> i64 {
        // The first close of its own took everything up to there.
        let is_first = self.mark == self.born_mark;
        staged.inherited.as_ref().filter(|_| is_first).map_or(self.mark, |inherited| inherited.mark)
    }

    /// Until when ids are known at least that the parents noted last: a copy may have been put on a wrong shard around the
    /// split or merge.
    #[must_use]
    pub const fn inherited_until(&self, settings: &GroupSettings) -> i64 {
        self.born.saturating_add(settings.misplaced_nanos())
    }

    /// The buckets that it owns.
    #[must_use]
    pub const fn buckets(&self) -> BucketRange {
        BucketRange { first: self.range[0], last: self.range[1] }
    }

    /// Every key of a sealed output and its decisions.
    pub fn sealed_references(&self) -> impl Iterator<Item = &str> {
        self.sealed.iter().flat_map(|output| [Some(&output.key), output.decisions.as_ref()]).flatten().map(String::as_str)
    }

    /// Every other key that this manifest refers to: what its children take over when it is closed.
    pub fn working_references(&self) -> impl Iterator<Item = &str> {
        let staged = self.staged.iter().map(|batch| &batch.key);
        let seen = self.seen.iter().map(|seen| &seen.key);
        let decisions = self.decisions.iter().map(|decisions| &decisions.key);
        staged.chain(seen).chain(decisions).map(String::as_str)
    }

    /// The key of the page that it keeps older entries in, if it has one.
    #[must_use]
    pub fn page_reference(&self) -> Option<&str> {
        self.page.as_ref().map(|page| page.key.as_str())
    }
}

/// The closed shards all of whose children exist: what these list, but for sealed outputs, is the children's now.
#[must_use]
pub fn superseded(manifests: &[Manifest]) -> BTreeSet<&str> {
    let closed = manifests.iter().filter(|manifest| manifest.closed && unborn(manifest, manifests).is_empty());
    closed.map(|manifest| manifest.shard.as_str()).collect()
}

/// The buckets of a closed shard that no child has taken over yet, as ranges.
pub(crate) fn unborn(closed: &Manifest, manifests: &[Manifest]) -> Vec<[u16; 2]> {
    let children = manifests.iter().filter(|child| child.parents.contains(&closed.shard));
    let mut taken: Vec<[u16; 2]> = children.map(|child| child.range).collect();
    taken.sort_unstable();
    let [first, last] = closed.range;
    let (mut next, mut gaps) = (u32::from(first), Vec::new());
    for [from, to] in taken.into_iter().chain([[last.saturating_add(1), last]]) {
        if u32::from(from) > next {
            gaps.push([u16::try_from(next).unwrap_or(last), from.saturating_sub(1).min(last)]);
        }
        next = next.max(u32::from(to) + 1);
    }
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_read_back_and_another_format_is_refused() {
        let mut manifest = Manifest::new("shard-000000000000", BucketRange::ALL);
        let bytes = manifest.encode(usize::MAX).unwrap().manifest.to_vec();
        assert_eq!(Manifest::decode(&bytes).unwrap(), manifest);
        assert!(matches!(Manifest::decode(b"{\"format\":1,\"shard\":7}"), Err(ManifestError::Format(1))));
        assert!(matches!(Manifest::decode(b"{"), Err(ManifestError::Damaged(_))));
    }

    #[test]
    fn a_closed_shard_is_superseded_only_once_its_children_cover_it() {
        let manifest = |id: &str, first, last, parents: &[&str]| {
            let mut manifest = Manifest::new(id, BucketRange { first, last });
            manifest.parents = parents.iter().map(|id| (*id).to_owned()).collect();
            manifest.closed = parents.is_empty();
            manifest
        };
        let mut all = vec![manifest("a", 0, 99, &[]), manifest("b", 100, 4095, &[]), manifest("c", 0, 49, &["a"])];
        assert!(superseded(&all).is_empty());
        all.push(manifest("d", 50, 4095, &["a", "b"]));
        assert_eq!(superseded(&all), BTreeSet::from(["a", "b"]));
        assert_eq!(unborn(&all[0], &all[..3]), [[50, 99]]);
        assert_eq!(unborn(&all[1], &all[..3]), [[100, 4095]]);
        all[0].closed = false;
        assert_eq!(superseded(&all), BTreeSet::from(["b"]));
    }
}
