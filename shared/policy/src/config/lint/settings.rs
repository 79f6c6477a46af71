//! The settings of single policies: units, patterns, keys.

use super::super::reader::Findings;
use super::super::yaml::Tree;
use super::patterns::{self, Use};
use super::{child, integer, items, line_of, number, ottl, text, texts, truth};
use crate::lints::Lint;

/// Traces are rarely so short that this many milliseconds are slow.
const LATENCY_MS_MIN: i64 = 10;
/// Nor are they ever so long.
const LATENCY_MS_MAX: i64 = 3_600_000;
/// One span is larger.
const BYTES_PER_SECOND_MIN: i64 = 1_000;

/// Attributes that hold numbers by the semantic conventions.
const NUMBERS: [&str; 12] = [
    "http.status_code",
    "http.response.status_code",
    "http.response.body.size",
    "http.request.body.size",
    "http.request_content_length",
    "http.response_content_length",
    "rpc.grpc.status_code",
    "server.port",
    "client.port",
    "net.peer.port",
    "net.host.port",
    "db.response.returned_rows",
];

/// Attributes that were renamed, as they were and as they are now.
const RENAMED: [(&str, &str); 15] = [
    ("http.method", "http.request.method"),
    ("http.status_code", "http.response.status_code"),
    ("http.url", "url.full"),
    ("http.target", "url.path"),
    ("http.scheme", "url.scheme"),
    ("http.user_agent", "user_agent.original"),
    ("http.client_ip", "client.address"),
    ("net.peer.name", "server.address"),
    ("net.peer.port", "server.port"),
    ("net.host.name", "server.address"),
    ("db.system", "db.system.name"),
    ("db.statement", "db.query.text"),
    ("db.name", "db.namespace"),
    ("db.operation", "db.operation.name"),
    ("deployment.environment", "deployment.environment.name"),
];

/// Whether an attribute holds a number by the semantic conventions.
pub(super) fn is_number(key: &str) -> bool {
    NUMBERS.contains(&key)
}

/// Looks through a policy and those within it.
pub(super) fn check(policy: &Tree, path: &str, wait_ms: u64, findings: &mut Findings) {
    for (sub, at) in within(policy, path) {
        check(sub, &at, wait_ms, findings);
    }
    let kind = text(policy, "type").unwrap_or_default();
    let Some(block) = child(policy, kind) else { return };
    let path = format!("{path}.{kind}");
    match kind {
        "latency" => latency(block, &path, wait_ms, findings),
        "probabilistic" => share(block, &path, findings),
        "rate_limiting" => burst(block, &path, "spans_per_second", findings),
        "bytes_limiting" => {
            burst(block, &path, "bytes_per_second", findings);
            if let Some(rate) = integer(block, "bytes_per_second").filter(|rate| (1..BYTES_PER_SECOND_MIN).contains(rate)) {
                let line = line_of(block, "bytes_per_second");
                findings.refuse(Lint::ThresholdUnit, line, &path, format!("{rate} bytes a second are less than one span"));
            }
        }
        "numeric_attribute" => {
            key(block, &path, findings);
            let is_zero = integer(block, "max_value") == Some(0);
            if is_zero && integer(block, "min_value").is_some_and(|min| min != 0) {
                let message = "max_value 0 counts as unset: there is no upper bound";
                findings.refuse(Lint::ZeroBound, line_of(block, "max_value"), &path, message);
            }
        }
        "boolean_attribute" => key(block, &path, findings),
        "string_attribute" => {
            key(block, &path, findings);
            values(block, &path, findings);
        }
        "status_code" => unset(block, &path, findings),
        "ottl_condition" => {
            for list in ["span", "spanevent"] {
                for (line, condition) in texts(block, list) {
                    ottl::condition(line, &path, condition, findings);
                }
            }
        }
        _ => {}
    }
}

/// The policies within a policy, each with its path.
fn within<'a>(policy: &'a Tree, path: &str) -> Vec<(&'a Tree, String)> {
    let mut found = Vec::new();
    for (kind, key) in
        [("and", "and_sub_policy"), ("drop", "drop_sub_policy"), ("composite", "composite_sub_policy"), ("not", "not_sub_policy")]
    {
        let Some(block) = child(policy, kind).filter(|_| text(policy, "type") == Some(kind)) else { continue };
        let subs = items(block, key).iter().enumerate();
        found.extend(subs.map(|(place, sub)| (sub, format!("{path}.{kind}.{key}[{place}]"))));
        found.extend(child(block, "not_sub_policy").map(|sub| (sub, format!("{path}.not.not_sub_policy"))));
    }
    found
}

fn latency(block: &Tree, path: &str, wait_ms: u64, findings: &mut Findings) {
    let Some(threshold) = integer(block, "threshold_ms").filter(|threshold| *threshold > 0) else { return };
    let line = line_of(block, "threshold_ms");
    if threshold < LATENCY_MS_MIN {
        let message = format!("threshold_ms {threshold} is {threshold} ms: nearly every trace is slower; are seconds meant?");
        findings.refuse(Lint::ThresholdUnit, line, path, message);
    } else if threshold >= LATENCY_MS_MAX {
        let message =
            format!("threshold_ms {threshold} is {} hours: are micro- or nanoseconds meant?", threshold / LATENCY_MS_MAX);
        findings.refuse(Lint::ThresholdUnit, line, path, message);
    } else if u64::try_from(threshold).is_ok_and(|threshold| threshold >= wait_ms) {
        let message =
            format!("threshold_ms {threshold} is not below decision_wait ({wait_ms} ms): slower traces are decided before");
        findings.refuse(Lint::LatencyBeyondWait, line, path, message);
    }
}

fn share(block: &Tree, path: &str, findings: &mut Findings) {
    let Some(percent) = number(block, "sampling_percentage") else { return };
    let line = line_of(block, "sampling_percentage");
    if percent > 100.0 {
        findings.refuse(Lint::PercentageOver100, line, path, format!("{percent} % counts as 100 %"));
    } else if percent > 0.0 && percent < 1.0 {
        let message = format!("{percent} % is one trace in {}", (100.0 / percent).round());
        findings.refuse(Lint::FractionAsPercentage, line, path, message);
    }
}

fn burst(block: &Tree, path: &str, rate: &str, findings: &mut Findings) {
    let (Some(rate), Some(burst)) = (integer(block, rate), integer(block, "burst_capacity")) else { return };
    if burst > 0 && burst < rate {
        let message = format!("burst_capacity {burst} is below the rate of {rate}: no larger trace is ever taken");
        findings.refuse(Lint::BurstBelowRate, line_of(block, "burst_capacity"), path, message);
    }
}

/// A key that is a path or a field's name, and no attribute's.
fn key(block: &Tree, path: &str, findings: &mut Findings) {
    const PATHS: [&str; 9] = [
        "attributes.",
        "attributes[",
        "resource.attributes",
        "span.attributes",
        "resource.service.",
        "span.name",
        "span.status",
        "status.code",
        "scope.",
    ];
    const FIELDS: [&str; 5] = ["name", "kind", "trace_id", "span_id", "parent_span_id"];
    let Some(key) = text(block, "key") else { return };
    let what = match key {
        key if FIELDS.contains(&key) => "a span's field",
        key if PATHS.iter().any(|path| key.starts_with(path)) => "a path",
        _ => return,
    };
    findings.refuse(Lint::KeyIsNoAttribute, line_of(block, "key"), path, format!("`{key}` is {what} and no attribute's key"));
}

fn values(block: &Tree, path: &str, findings: &mut Findings) {
    let is_regex = truth(block, "enabled_regex_matching") == Some(true);
    let given = texts(block, "values");
    let key = text(block, "key").unwrap_or_default();
    if is_number(key) && !given.is_empty() {
        let message = format!("`{key}` holds a number: no text is equal to it");
        findings.refuse(Lint::NumberAsText, line_of(block, "values"), path, message);
        return;
    }
    for (line, value) in given {
        if is_regex {
            patterns::check(value, Use::Condition, line, path, findings);
            let plain = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-/ ".contains(&byte));
            if plain && !value.is_empty() {
                let message = format!("the pattern `{value}` also matches every longer value that contains it");
                findings.refuse(Lint::UnanchoredText, line, path, message);
            }
        } else if looks_like_a_pattern(value) {
            let message = format!("`{value}` looks like a pattern, and is compared as it stands");
            findings.refuse(Lint::RegexNotEnabled, line, path, message);
        }
    }
}

fn looks_like_a_pattern(value: &str) -> bool {
    value.starts_with('^')
        || value.ends_with('$')
        || [".*", ".+", "\\.", "\\d", "\\w", "\\s", "/*", "*/", "[0-9]", "[a-z]", "(?i)"].iter().any(|part| value.contains(part))
            && value != "*/*"
        || (value.contains('|') && value.contains('('))
}

fn unset(block: &Tree, path: &str, findings: &mut Findings) {
    let codes = texts(block, "status_codes");
    let Some((line, _)) = codes.iter().find(|(_, code)| *code == "UNSET").filter(|_| codes.len() < 3) else { return };
    findings.refuse(Lint::UnsetStatus, *line, path, "nearly every span's status is UNSET: nearly every trace matches");
}

/// Attributes that all policies together ask for under their old names only.
pub(super) fn deprecated_keys(tree: &Tree, path: &str, findings: &mut Findings) {
    let mut asked = Vec::new();
    for policy in items(tree, "policies") {
        keys(policy, &mut asked);
    }
    for (old, new) in RENAMED {
        let Some((line, _)) = asked.iter().find(|(_, key)| key == old) else { continue };
        if !asked.iter().any(|(_, key)| key == new) {
            findings.refuse(
                Lint::DeprecatedAttribute,
                *line,
                path,
                format!("`{old}` is `{new}` in newer SDKs, which no policy asks for"),
            );
        }
    }
}

/// The attributes that a policy asks for, each with its line.
pub(super) fn keys(policy: &Tree, asked: &mut Vec<(u32, String)>) {
    for (sub, _) in within(policy, "") {
        keys(sub, asked);
    }
    let kind = text(policy, "type").unwrap_or_default();
    let Some(block) = child(policy, kind) else { return };
    if matches!(kind, "string_attribute" | "numeric_attribute" | "boolean_attribute") {
        asked.extend(text(block, "key").map(|key| (line_of(block, "key"), key.to_owned())));
    }
    for (line, condition) in ["span", "spanevent"].into_iter().flat_map(|list| texts(block, list)) {
        asked.extend(ottl::keys(condition).into_iter().map(|key| (line, key)));
    }
}
