//! Secrets that are known by their own form.

use std::sync::LazyLock;

use regex::{Regex, bytes};

use super::{Hit, Rule};

/// The shortest text that can hold one: `Basic ` and eight characters.
pub(super) const LENGTH_MIN: usize = 14;

/// A part of every token below; plain texts, so that the search is a vectorised one.
static PREFIXES: LazyLock<Option<bytes::Regex>> = LazyLock::new(|| {
    bytes::Regex::new(
        "AKIA|ASIA|ghp_|gho_|ghu_|ghs_|ghr_|github_pat_|_live_|_test_|xox|AIza|glpat-|npm_|sk-|SG\\.|eyJ|-----BEGIN|earer|EARER|asic |ASIC ",
    )
    .ok()
});

const TOKENS: &str = concat!(
    r"(?P<jwt>eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]*)",
    r"|(?P<key>(?:AKIA|ASIA)[A-Z0-9]{16}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}",
    r"|[sprw][khk]_(?:live|test)_[A-Za-z0-9]{8,}|xox[abeoprs]-[A-Za-z0-9-]{10,}|AIza[A-Za-z0-9_-]{30,}",
    r"|glpat-[A-Za-z0-9_-]{20,}|npm_[A-Za-z0-9]{30,}|sk-[A-Za-z0-9_-]{20,}|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,})",
    r"|(?P<pem>-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)",
    r"|(?i:\b(?:bearer|basic)\s+(?P<auth>[A-Za-z0-9+/=._~-]{8,}))",
);

static PATTERN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(TOKENS).ok());

/// Whether the text holds the beginning of a token.
pub(super) fn suspect(text: &[u8]) -> bool {
    PREFIXES.as_ref().is_none_or(|prefixes| prefixes.is_match(text))
}

/// Notes the tokens of `text`.
pub(super) fn find(text: &str, hits: &mut Vec<Hit>) {
    if !suspect(text.as_bytes()) {
        return;
    }
    let Some(pattern) = PATTERN.as_ref() else { return };
    for captures in pattern.captures_iter(text) {
        let (found, rule) = if let Some(found) = captures.name("jwt") {
            (found, Rule::Jwt)
        } else if let Some(found) = captures.name("key") {
            (found, Rule::KnownKey)
        } else if let Some(found) = captures.name("pem") {
            (found, Rule::PrivateKey)
        } else if let Some(found) = captures.name("auth") {
            (found, Rule::BearerToken)
        } else {
            continue;
        };
        let (start, mut end) = (found.start(), found.end());
        match rule {
            Rule::KnownKey if joined(text, start) => continue,
            Rule::BearerToken if !is_credential(found.as_str()) => continue,
            Rule::PrivateKey => end = block_end(text, end),
            _ => {}
        }
        hits.push(Hit { start, end, rule });
    }
}

/// Whether a letter or digit stands right before: then it is the inside of a longer word.
fn joined(text: &str, start: usize) -> bool {
    text.get(..start).and_then(|before| before.bytes().last()).is_some_and(|byte| byte.is_ascii_alphanumeric())
}

/// Tells `Bearer abc123...` from "basic authentication": prose has no digits, capitals or signs within a word.
fn is_credential(token: &str) -> bool {
    token.len() >= 24 || token.bytes().any(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase() || b"=._~+".contains(&byte))
}

/// The end of a PEM block, or of the text if the block is cut.
fn block_end(text: &str, from: usize) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    let Some(end) = rest.find("-----END ") else { return text.len() };
    let tail = rest.get(end + 9..).unwrap_or_default();
    tail.find("-----").map_or(text.len(), |dashes| from + end + 9 + dashes + 5)
}
