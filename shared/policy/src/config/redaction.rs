//! The `redaction` processor.

use regex::Regex;

use super::reader::{Fields, Findings};
use super::yaml::Tree;
use crate::regex::compile;
use crate::rules::Redact;

/// Reads a `redaction` block. `rule` is the index of its name among the rules' names.
pub(super) fn read(tree: &Tree, path: &str, rule: usize, findings: &mut Findings) -> Redact {
    let mut fields = Fields::new(tree, path, findings);
    let all = fields.bool("allow_all_keys", findings).unwrap_or(false);
    let allowed: Vec<_> = fields.strings("allowed_keys", findings);
    let ignored = fields.strings("ignored_keys", findings);
    if !all && allowed.is_empty() {
        let advice = "write allow_all_keys: true, or list the allowed_keys";
        findings.warn(tree.line, path, "without allow_all_keys and allowed_keys every attribute is deleted", advice);
    }
    let ignored_key_patterns = patterns(&mut fields, "ignored_key_patterns", findings);
    let allowed_values = patterns(&mut fields, "allowed_values", findings);
    let blocked_key_patterns = patterns(&mut fields, "blocked_key_patterns", findings);
    let blocked_values = patterns(&mut fields, "blocked_values", findings);
    if blocked_values.iter().any(|pattern| pattern.is_match("")) {
        let message =
            "a pattern of blocked_values matches the empty text: it masks every number and puts masks between all characters";
        findings.warn(
            fields.line_of("blocked_values"),
            &fields.path_of("blocked_values"),
            message,
            "make the pattern match something",
        );
    }
    not_yet(&mut fields, findings);
    fields.finish(findings);
    let any_value = any_of(&blocked_values);
    Redact {
        rule,
        allowed_keys: (!all).then(|| allowed.into_iter().map(|(_, key)| key.to_owned()).collect()),
        ignored_keys: ignored.into_iter().map(|(_, key)| key.to_owned()).collect(),
        ignored_key_patterns,
        allowed_values,
        blocked_key_patterns,
        blocked_values,
        any_value,
    }
}

fn patterns(fields: &mut Fields<'_>, key: &str, findings: &mut Findings) -> Vec<Regex> {
    let path = fields.path_of(key);
    let mut compiled = Vec::new();
    for (line, pattern) in fields.strings(key, findings) {
        match compile(pattern) {
            Ok(regex) => compiled.push(regex),
            Err(message) => findings.error(line, &path, format!("invalid pattern `{pattern}`: {message}")),
        }
    }
    compiled
}

/// One pattern that matches where any of them does.
fn any_of(patterns: &[Regex]) -> Option<Regex> {
    let parts: Vec<String> = patterns.iter().map(|pattern| format!("(?:{})", pattern.as_str())).collect();
    let joined = regex::RegexBuilder::new(&parts.join("|")).size_limit(64 << 20).build().ok();
    joined.filter(|_| !patterns.is_empty())
}

fn not_yet(fields: &mut Fields<'_>, findings: &mut Findings) {
    let (line, path) = (fields.line_of("redact_all_types"), fields.path_of("redact_all_types"));
    if fields.bool("redact_all_types", findings) == Some(true) {
        findings.unsupported(line, &path, "redact_all_types");
    }
    let (line, path) = (fields.line_of("summary"), fields.path_of("summary"));
    if let Some(summary @ ("info" | "debug")) = fields.string("summary", findings) {
        findings.unsupported(line, &path, &format!("summary: {summary}"));
    }
    for key in ["hash_function", "hmac_key"] {
        let (line, path) = (fields.line_of(key), fields.path_of(key));
        if fields.string(key, findings).is_some_and(|value| !value.is_empty()) {
            findings.unsupported(line, &path, key);
        }
    }
    for key in ["url_sanitizer", "db_sanitizer"] {
        let (line, path) = (fields.line_of(key), fields.path_of(key));
        if fields.get(key).is_some() {
            findings.unsupported(line, &path, key);
        }
    }
}
