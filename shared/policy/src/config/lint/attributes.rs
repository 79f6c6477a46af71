//! `attributes` and `resource`: what actions leave each other.

use super::super::reader::Findings;
use super::super::yaml::Tree;
use super::patterns::{self, Use};
use super::redaction::SERVICE_NAME;
use super::{child, items, line_of, text};
use crate::lints::Lint;
use crate::regex::PatternCache;

/// Looks through an `attributes` or `resource` block, whose actions are under `list`.
pub(super) fn check(tree: &Tree, list: &str, path: &str, findings: &mut Findings) {
    let mut deleted: Vec<&str> = Vec::new();
    for (place, action) in items(tree, list).iter().enumerate() {
        let path = format!("{path}.{list}[{place}]");
        if let Some(pattern) = text(action, "pattern") {
            patterns::check(pattern, Use::Condition, line_of(action, "pattern"), &path, findings);
        }
        let (key, verb) = (text(action, "key").unwrap_or_default(), verb(action));
        let reads = match verb.as_str() {
            "update" | "hash" | "extract" | "convert" => key,
            _ => text(action, "from_attribute").unwrap_or_default(),
        };
        if deleted.contains(&reads) {
            let message = format!("`{reads}` has been deleted by an action before: {verb} finds nothing");
            findings.refuse(Lint::ActionAfterDelete, action.line, &path, message);
        }
        match verb.as_str() {
            "delete" if !key.is_empty() => deleted.push(key),
            "insert" | "upsert" => deleted.retain(|known| *known != key),
            _ => {}
        }
        if list == "attributes" && removes(action, SERVICE_NAME, &findings.patterns) {
            let message = format!("{verb} takes service.name away");
            findings.refuse(Lint::ServiceNameRemoved, action.line, &path, message);
        }
    }
}

fn verb(action: &Tree) -> String {
    text(action, "action").unwrap_or_default().to_ascii_lowercase()
}

/// Whether an action takes an attribute away, or hashes it.
pub(super) fn removes(action: &Tree, key: &str, patterns: &PatternCache) -> bool {
    let by_pattern =
        || text(action, "pattern").is_some_and(|text| patterns.compile(text).is_ok_and(|pattern| pattern.is_match(key)));
    matches!(verb(action).as_str(), "delete" | "hash") && (text(action, "key") == Some(key) || by_pattern())
}

/// Whether an action writes an attribute.
pub(super) fn writes(action: &Tree, key: &str) -> bool {
    matches!(verb(action).as_str(), "insert" | "upsert") && text(action, "key") == Some(key)
}

/// Whether all items are worked on.
pub(super) fn is_unconditional(tree: &Tree) -> bool {
    child(tree, "include").is_none() && child(tree, "exclude").is_none()
}
