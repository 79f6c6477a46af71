//! The names of objects. Data objects are named by their content; manifests and plans by what they are about.

use spanlake_model::ContentHash;

/// Prefix of staged batches.
pub const STAGED: &str = "staged/";
/// Prefix of ids already seen.
pub const SEEN: &str = "seen/";
/// Prefix of recorded decisions.
pub const DECISIONS: &str = "decisions/";
/// Prefix of sealed outputs.
pub const SEALED: &str = "sealed/";
/// Prefix of what manifests no longer hold themselves.
pub const PAGE: &str = "page/";
/// Prefix of shard manifests.
pub const MANIFEST: &str = "manifest/";
/// Prefix of the shards' ranges and parents.
pub const LINEAGE: &str = "lineage/";
/// Prefix of archive plans and their done marks.
pub const PLAN: &str = "plan/";
/// Prefix of notes about records that could not be read.
pub const QUARANTINE: &str = "quarantine/";
/// Prefix of rules, by version.
pub const RULES: &str = "rules/";
/// The configuration that an operator wants.
pub const RULES_CURRENT: &str = "rules/current.yaml";
/// Which version of the rules holds.
pub const RULES_ACTIVE: &str = "rules/active.json";
/// The services that an operator has kept as a whole for a while.
pub const RULES_KEEP_ALL: &str = "rules/keep-all.yaml";
/// What of the rules is written anew in its place. All else of them is named by its version.
pub const RULES_CHANGING: [&str; 3] = [RULES_CURRENT, RULES_ACTIVE, RULES_KEEP_ALL];
/// Prefix of the lake.
pub const LAKE: &str = "lake/v1/";

/// An immutable object, named by its content.
#[must_use]
pub fn data(prefix: &str, hash: ContentHash) -> String {
    format!("{prefix}{hash}")
}

/// A shard's manifest.
#[must_use]
pub fn manifest(shard: &str) -> String {
    format!("{MANIFEST}{shard}.json")
}

/// A shard's range and parents.
#[must_use]
pub fn lineage(shard: &str) -> String {
    format!("{LINEAGE}{shard}.json")
}

/// The configuration text of a rules version.
#[must_use]
pub fn rules(version: &str) -> String {
    format!("{RULES}{version}.yaml")
}

/// How a plan's key ends.
pub const PLAN_MADE: &str = ".json";
/// How the key of a plan's done mark ends.
pub const PLAN_DONE: &str = ".done";

/// Archive plan `number`.
#[must_use]
pub fn plan(number: u64) -> String {
    format!("{PLAN}{number:012}{PLAN_MADE}")
}

/// The mark that plan `number` was carried out.
#[must_use]
pub fn plan_done(number: u64) -> String {
    format!("{PLAN}{number:012}{PLAN_DONE}")
}
