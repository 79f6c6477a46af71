//! The `redaction` processor.

use super::reader::{Fields, Findings};
use super::yaml::{Node, Scalar, Tree};
use crate::lints::Lint;
use crate::processors::patterns::Patterns;
use crate::processors::redaction::{Coverage, Mask, Redaction, Summary};

/// The shortest keys that the Collector takes, in bytes: the digest's length.
const HMAC_SHA256_KEY_BYTES_MIN: usize = 32;
/// See [`HMAC_SHA256_KEY_BYTES_MIN`].
const HMAC_SHA512_KEY_BYTES_MIN: usize = 64;

/// Reads a `redaction` block with all its keys. `rule` is the index of its name among the rules' names.
pub(crate) fn read(tree: &Tree, path: &str, rule: usize, findings: &mut Findings) -> Redaction {
    let mut fields = Fields::new(tree, path, findings);
    let allows_all = fields.bool("allow_all_keys", findings).unwrap_or(false);
    let allowed = fields.strings("allowed_keys", findings);
    let texts = |list: Vec<(u32, &str)>| list.into_iter().map(|(_, text)| text.to_owned()).collect();
    if !allows_all && allowed.is_empty() {
        let advice = "write allow_all_keys: true, or list the allowed_keys";
        findings.find(
            Lint::RedactionDeletesAll,
            tree.line,
            path,
            "without allow_all_keys and allowed_keys every attribute is deleted",
            advice,
        );
    } else if allows_all && !allowed.is_empty() {
        let (line, path) = (fields.line_of("allowed_keys"), fields.path_of("allowed_keys"));
        findings.find(
            Lint::RedundantAllowedKeys,
            line,
            &path,
            "allow_all_keys is true: allowed_keys has no effect",
            "take one of the two out",
        );
    }
    let ignored = fields.strings("ignored_keys", findings);
    let processor = Redaction {
        rule,
        coverage: Coverage::Wide,
        allowed_keys: (!allows_all).then(|| texts(allowed)),
        ignored_keys: texts(ignored),
        ignored_key_patterns: patterns(&mut fields, "ignored_key_patterns", findings),
        allowed_values: patterns(&mut fields, "allowed_values", findings),
        blocked_key_patterns: patterns(&mut fields, "blocked_key_patterns", findings),
        blocked_values: patterns(&mut fields, "blocked_values", findings),
        redact_all_types: fields.bool("redact_all_types", findings).unwrap_or(false),
        mask: mask(&mut fields, findings),
        summary: summary(&mut fields, findings),
    };
    url_sanitizer(&mut fields, findings);
    db_sanitizer(&mut fields, findings);
    fields.finish(findings);
    processor
}

fn summary(fields: &mut Fields<'_>, findings: &mut Findings) -> Summary {
    let (line, path) = (fields.line_of("summary"), fields.path_of("summary"));
    match fields.string("summary", findings) {
        Some("info") => Summary::Info,
        Some("debug") => Summary::Debug,
        None | Some("" | "silent") => Summary::Silent,
        Some(other) => {
            let message = format!("`{other}` is no summary: it counts as silent");
            findings.find(Lint::UnknownSummary, line, &path, message, "write silent, info or debug");
            Summary::Silent
        }
    }
}

fn mask(fields: &mut Fields<'_>, findings: &mut Findings) -> Mask {
    let key = hmac_key(fields, findings);
    let (line, path) = (fields.line_of("hash_function"), fields.path_of("hash_function"));
    let name = fields.string("hash_function", findings).unwrap_or_default().to_ascii_lowercase();
    let unkeyed = match name.as_str() {
        "hmac-sha256" => return keyed(&name, key, HMAC_SHA256_KEY_BYTES_MIN, Mask::hmac_sha256, fields, findings),
        "hmac-sha512" => return keyed(&name, key, HMAC_SHA512_KEY_BYTES_MIN, Mask::hmac_sha512, fields, findings),
        "" => Mask::Stars,
        "md5" => Mask::Md5,
        "sha1" => Mask::Sha1,
        "sha3" => Mask::Sha3,
        other => {
            let message = format!("unknown hash function `{other}`: there are md5, sha1, sha3, hmac-sha256 and hmac-sha512");
            findings.error(line, &path, message);
            Mask::Stars
        }
    };
    if key.is_some() {
        let (line, path) = (fields.line_of("hmac_key"), fields.path_of("hmac_key"));
        findings.find(
            Lint::HmacKeyWithoutEffect,
            line,
            &path,
            "hmac_key has no effect",
            "write hash_function: hmac-sha256, or take it out",
        );
    }
    if matches!(unkeyed, Mask::Md5 | Mask::Sha1 | Mask::Sha3) {
        let message = "a plain hash of an address or a card number is found again by trying all of them";
        findings.find(Lint::PlainHash, line, &path, message, "write hash_function: hmac-sha256 with an hmac_key");
    }
    unkeyed
}

fn keyed(
    name: &str,
    key: Option<&str>,
    bytes_min: usize,
    mask: fn(&[u8]) -> Option<Mask>,
    fields: &Fields<'_>,
    findings: &mut Findings,
) -> Mask {
    let (line, path) = (fields.line_of("hmac_key"), fields.path_of("hmac_key"));
    let fault = match key {
        None | Some("") => {
            format!("hmac_key must not be empty where hash_function is {name}: if a variable stands there, is it set?")
        }
        Some(key) if key.len() < bytes_min => {
            format!("hmac_key must have at least {bytes_min} bytes for {name}; it has {}", key.len())
        }
        Some(key) => match mask(key.as_bytes()) {
            Some(mask) => return mask,
            None => "hmac_key can't be used".to_owned(),
        },
    };
    findings.error(line, &path, fault);
    Mask::Stars
}

/// The key, which stands in no finding: not even one that is of another type.
fn hmac_key<'a>(fields: &mut Fields<'a>, findings: &mut Findings) -> Option<&'a str> {
    let path = fields.path_of("hmac_key");
    let tree = fields.get("hmac_key")?;
    match &tree.node {
        Node::Scalar(Scalar { text, variable, .. }) => {
            if !variable && !text.is_empty() {
                let advice = "keep it in a variable of the environment, and write hmac_key: ${env:HMAC_KEY}";
                findings.find(
                    Lint::KeyInFile,
                    tree.line,
                    &path,
                    "the key stands in the file, where everyone who reads it can undo the hashes",
                    advice,
                );
            }
            Some(text)
        }
        Node::Map(_) | Node::List(_) => {
            findings.refuse(Lint::WrongType, tree.line, &path, "expected a text");
            None
        }
    }
}

fn url_sanitizer(fields: &mut Fields<'_>, findings: &mut Findings) {
    let Some(mut section) = fields.map("url_sanitizer", findings) else { return };
    let is_on = section.bool("enabled", findings) == Some(true);
    section.strings("attributes", findings);
    section.bool("sanitize_span_name", findings);
    if is_on {
        let message = "url_sanitizer is not built here: its rules are those of a trained model in another project";
        let advice =
            r#"name the parts yourself, in a transform processor: replace_pattern(span.attributes["url.path"], "/[0-9]+", "/*")"#;
        refuse(section.line_of("enabled"), &section.path_of("enabled"), message, advice, findings);
    }
    section.finish(findings);
}

fn db_sanitizer(fields: &mut Fields<'_>, findings: &mut Findings) {
    let Some(mut section) = fields.map("db_sanitizer", findings) else { return };
    section.bool("sanitize_span_name", findings);
    for system in ["sql", "redis", "valkey", "memcached", "mongo", "opensearch", "es"] {
        let Some(mut inner) = section.map(system, findings) else { continue };
        inner.strings("attributes", findings);
        if inner.bool("enabled", findings) == Some(true) {
            let message = format!("db_sanitizer.{system} is not built here: its rules are those of another project");
            let advice = r"mask the attribute whole (blocked_key_patterns: ['^db\.(statement|query\.text)$']), or its literals in a transform processor";
            refuse(inner.line_of("enabled"), &inner.path_of("enabled"), &message, advice, findings);
        }
        inner.finish(findings);
    }
    section.finish(findings);
}

fn refuse(line: u32, path: &str, message: &str, advice: &str, findings: &mut Findings) {
    findings.find(Lint::NotSupported, line, path, message, advice);
}

fn patterns(fields: &mut Fields<'_>, key: &str, findings: &mut Findings) -> Patterns {
    let path = fields.path_of(key);
    let mut compiled = Vec::new();
    for (line, pattern) in fields.strings(key, findings) {
        match findings.patterns.compile(pattern) {
            Ok(regex) => compiled.push(regex),
            Err(message) => findings.refuse(Lint::InvalidPattern, line, &path, format!("invalid pattern `{pattern}`: {message}")),
        }
    }
    Patterns::new(compiled, &findings.patterns)
}
