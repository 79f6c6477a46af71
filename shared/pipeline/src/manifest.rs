//! A shard's manifest: the only object of the grouper that is overwritten, and only by compare-and-swap.
//!
//! It says what is staged, how far is decided, what is sealed, and the ledger. What it does not list does not exist:
//! a crash leaves at most an orphan that nobody reads.

use serde::{Deserialize, Serialize};
use spanlake_model::{BucketRange, NANOS_PER_SECOND};
use thiserror::Error;

use crate::ledger::Ledger;

/// The format's number; a reader of another number stops.
const FORMAT: u32 = 1;

/// How long a batch id is remembered after its last copy, in the stream's time (the Collector retries for 300 s).
pub const SEEN_NANOS: i64 = 15 * 60 * NANOS_PER_SECOND;

/// A staged batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staged {
    /// Its key, which is its content's hash.
    pub key: String,
    /// Its size.
    pub bytes: u64,
    /// The length of its index.
    pub index_bytes: u64,
    /// The first and the last record's sequence numbers.
    pub sequences: [u64; 2],
    /// The least and the greatest effective arrival of its records, Unix nanoseconds.
    pub arrivals: [i64; 2],
    /// Items that it holds.
    pub items: u64,
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
    /// The effective arrival of its newest id.
    pub last_arrival: i64,
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
    /// Every record up to this sequence number is in the state below.
    pub watermark: u64,
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
    /// What became of everything, since the shard began.
    pub ledger: Ledger,
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
            watermark: 0,
            clock: 0,
            mark: 0,
            rules: RulesInForce::default(),
            staged: Vec::new(),
            seen: Vec::new(),
            decisions: Vec::new(),
            sealed: Vec::new(),
            sealed_last: 0,
            closing: None,
            ledger: Ledger::default(),
        }
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// [`ManifestError`] if the bytes are not one of this format.
    pub fn decode(bytes: &[u8]) -> Result<Self, ManifestError> {
        let manifest: Self = serde_json::from_slice(bytes).map_err(ManifestError::Damaged)?;
        if manifest.format != FORMAT {
            return Err(ManifestError::Format(manifest.format));
        }
        Ok(manifest)
    }

    /// The stored form.
    ///
    /// # Errors
    /// Never for a manifest of this program; serde's signature asks for one.
    pub fn encode(&self) -> Result<Vec<u8>, ManifestError> {
        serde_json::to_vec(self).map_err(ManifestError::Damaged)
    }

    /// Every key that this manifest refers to.
    pub fn references(&self) -> impl Iterator<Item = &str> {
        let sealed = self.sealed.iter().flat_map(|output| [Some(&output.key), output.decisions.as_ref()]).flatten();
        let staged = self.staged.iter().map(|batch| &batch.key);
        let seen = self.seen.iter().map(|seen| &seen.key);
        let decisions = self.decisions.iter().map(|decisions| &decisions.key);
        staged.chain(seen).chain(decisions).chain(sealed).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_read_back_and_another_format_is_refused() {
        let manifest = Manifest::new("shard-000000000000", BucketRange::ALL);
        let bytes = manifest.encode().unwrap();
        assert_eq!(Manifest::decode(&bytes).unwrap(), manifest);
        let other = String::from_utf8(bytes).unwrap().replacen("\"format\":1", "\"format\":2", 1);
        assert!(matches!(Manifest::decode(other.as_bytes()), Err(ManifestError::Format(2))));
        assert!(matches!(Manifest::decode(b"{"), Err(ManifestError::Damaged(_))));
    }
}
