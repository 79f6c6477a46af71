//! `redaction`.

use super::super::reader::Findings;
use super::super::yaml::Tree;
use super::patterns::{self, Use};
use super::{line_of, texts, truth};
use crate::lints::Lint;
use crate::regex::PatternCache;

/// The key without which rows have no service.
pub(super) const SERVICE_NAME: &str = "service.name";

/// Looks through a `redaction` block.
pub(super) fn check(tree: &Tree, path: &str, findings: &mut Findings) {
    for (list, used) in [
        ("ignored_key_patterns", Use::Exemption),
        ("allowed_values", Use::Exemption),
        ("blocked_key_patterns", Use::Condition),
        ("blocked_values", Use::Mask),
    ] {
        for (line, pattern) in texts(tree, list) {
            patterns::check(pattern, used, line, &format!("{path}.{list}"), findings);
        }
    }
    let blocked: Vec<_> =
        texts(tree, "blocked_key_patterns").into_iter().filter_map(|(_, text)| findings.patterns.compile(text).ok()).collect();
    for (line, key) in texts(tree, "ignored_keys") {
        if blocked.iter().any(|pattern| pattern.is_match(key)) {
            let message = format!("`{key}` matches blocked_key_patterns, but passes untouched");
            findings.refuse(Lint::IgnoredBlockedKey, line, &format!("{path}.ignored_keys"), message);
        }
    }
    if removes(tree, SERVICE_NAME, &findings.patterns) {
        let line = line_of(tree, "allowed_keys");
        let message = "service.name is not among the allowed_keys: it is deleted from every resource";
        findings.refuse(Lint::ServiceNameRemoved, line, &format!("{path}.allowed_keys"), message);
    }
}

/// Whether the lists of keys take this one away. Without any list all go, which is said by itself.
pub(super) fn removes(tree: &Tree, key: &str, patterns: &PatternCache) -> bool {
    let allowed = texts(tree, "allowed_keys");
    let listed = |list: &[(u32, &str)]| list.iter().any(|(_, known)| *known == key);
    let by_pattern = || {
        let exempted = texts(tree, "ignored_key_patterns");
        exempted.into_iter().any(|(_, text)| patterns.compile(text).is_ok_and(|pattern| pattern.is_match(key)))
    };
    truth(tree, "allow_all_keys") != Some(true)
        && !allowed.is_empty()
        && !listed(&allowed)
        && !listed(&texts(tree, "ignored_keys"))
        && !by_pattern()
}
