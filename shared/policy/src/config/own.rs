//! The section `spanlake`: what only Spanlake has.

use super::expand::{SECRET_KEY, is_written};
use super::reader::{Fields, Findings};
use super::yaml::{Node, Tree};
use crate::lints::Lint;
use crate::logs::{LogRule, lowest_of};
use crate::rewrite::{HashKey, Masking};
use crate::rules::Limits;

/// An hour, which the windows divide.
const HOUR_MS: u64 = 3_600_000;

/// What the section says, or its defaults.
#[expect(clippy::struct_excessive_bools, reason = "independent switches")]
#[derive(Debug, Clone)]
pub(super) struct Own {
    /// `None` if it is off.
    pub(super) masking: Option<Masking>,
    pub(super) latency_inclusive: bool,
    /// What a redacting statement that fails was to redact is masked.
    pub(super) fail_closed: bool,
    /// The votes of `invert_match` up to v0.154 of the Collector.
    pub(super) invert_decisions: bool,
    /// Chance is a matter of a trace's stated randomness, not of a hash.
    pub(super) consistent: bool,
    /// But for traces that state nothing, as with the Collector's feature gate.
    pub(super) hashes_unstated: bool,
    pub(super) window_ms: u64,
    pub(super) late_horizon_ms: u64,
    pub(super) limits: Limits,
    pub(super) logs: LogRule,
}

impl Default for Own {
    fn default() -> Self {
        Self {
            masking: Some(Masking::default()),
            latency_inclusive: false,
            fail_closed: true,
            invert_decisions: false,
            consistent: false,
            hashes_unstated: false,
            window_ms: 10_000,
            late_horizon_ms: 600_000,
            limits: Limits::default(),
            logs: LogRule::default(),
        }
    }
}

/// Reads the section.
pub(super) fn read(tree: &Tree, has_written_key: bool, findings: &mut Findings) -> Own {
    let mut own = Own::default();
    let mut fields = Fields::new(tree, "spanlake", findings);
    own.masking = masking(&mut fields, has_written_key, findings);
    own.logs = logs(&mut fields, findings);
    if let Some(window) = fields.duration_ms("window", findings) {
        if window < 1000 || !HOUR_MS.is_multiple_of(window) {
            findings.error(fields.line_of("window"), "spanlake.window", "a window must be at least 1s and divide an hour");
        } else {
            own.window_ms = window;
        }
    }
    if let Some(horizon) = fields.duration_ms("late_horizon", findings) {
        own.late_horizon_ms = horizon;
    }
    let (line, path) = (fields.line_of("fail_closed"), fields.path_of("fail_closed"));
    if fields.bool("fail_closed", findings) == Some(false) {
        own.fail_closed = false;
        let message = "fail_closed is off: what a failing statement was to redact is stored as it is, as in the Collector";
        findings.find(Lint::FailOpen, line, &path, message, "take the line out to have it masked");
    }
    if let Some(mut compat) = fields.map("compat", findings) {
        let (line, path) = (compat.line_of("latency"), compat.path_of("latency"));
        match compat.string("latency", findings) {
            None | Some("exclusive") => {}
            Some("inclusive") => own.latency_inclusive = true,
            Some(other) => findings.error(line, &path, format!("expected inclusive or exclusive, found `{other}`")),
        }
        own.invert_decisions = compat.bool("invert_decisions", findings).unwrap_or(false);
        compat.finish(findings);
    }
    if let Some(mut sampling) = fields.map("sampling", findings) {
        let (line, path) = (sampling.line_of("probabilistic_mode"), sampling.path_of("probabilistic_mode"));
        match sampling.string("probabilistic_mode", findings) {
            None | Some("hash") => {}
            Some("consistent") => own.consistent = true,
            Some("usetracestate") => (own.consistent, own.hashes_unstated) = (true, true),
            Some(other) => findings.error(line, &path, format!("expected hash, consistent or usetracestate, found `{other}`")),
        }
        sampling.finish(findings);
    }
    if let Some(mut limits) = fields.map("limits", findings) {
        let mut number = |key: &str| {
            let (line, path) = (limits.line_of(key), limits.path_of(key));
            let value = limits.integer(key, (0, i64::MAX), findings)?;
            if value == 0 {
                findings.error(line, &path, "a limit must be at least 1");
            }
            usize::try_from(value).ok()
        };
        own.limits.attributes = number("attributes_per_item").unwrap_or(usize::MAX);
        own.limits.value_bytes = number("attribute_value_bytes").unwrap_or(usize::MAX);
        limits.finish(findings);
    }
    fields.finish(findings);
    own
}

/// What `logs` says: `follow_trace`, or a map.
fn logs(fields: &mut Fields<'_>, findings: &mut Findings) -> LogRule {
    let (line, path) = (fields.line_of("logs"), fields.path_of("logs"));
    let Some(Tree { node: Node::Map(_), .. }) = fields.get("logs") else {
        let found = fields.string("logs", findings);
        if let Some(other) = found.filter(|found| *found != "follow_trace") {
            findings.error(line, &path, format!("expected follow_trace or a map, found `{other}`"));
        }
        return LogRule { follow_trace: found.is_some(), always_keep: None };
    };
    let mut rule = LogRule::default();
    let Some(mut logs) = fields.map("logs", findings) else { return rule };
    rule.follow_trace = logs.bool("follow_trace", findings).unwrap_or(false);
    let (line, path) = (logs.line_of("always_keep"), logs.path_of("always_keep"));
    if let Some(name) = logs.string("always_keep", findings) {
        rule.always_keep = lowest_of(name);
        if rule.always_keep.is_none() {
            findings.error(line, &path, format!("expected TRACE, DEBUG, INFO, WARN, ERROR or FATAL, found `{name}`"));
        } else if !rule.follow_trace {
            let message = "every log record is kept: none follows its trace";
            findings.find(Lint::SettingWithoutEffect, line, &path, message, "write `follow_trace: true`");
        } else if rule.always_keep == Some(1) {
            let message = "every log record that states a severity is at least TRACE: none of them follows its trace";
            findings.find(Lint::SettingWithoutEffect, line, &path, message, "write ERROR, or take the line out");
        }
    }
    logs.finish(findings);
    rule
}

/// What `builtin_redaction` says: `on`, `off`, or a map.
fn masking(fields: &mut Fields<'_>, has_written_key: bool, findings: &mut Findings) -> Option<Masking> {
    let (line, path) = (fields.line_of("builtin_redaction"), fields.path_of("builtin_redaction"));
    let (is_on, masking) = match fields.get("builtin_redaction") {
        Some(Tree { node: Node::Map(_), .. }) => {
            masking_map(fields.map("builtin_redaction", findings)?, has_written_key, findings)
        }
        _ => match fields.string("builtin_redaction", findings) {
            None | Some("on") => (true, Masking::default()),
            Some("off") => (false, Masking::default()),
            Some(other) => {
                findings.error(line, &path, format!("expected on or off, found `{other}`"));
                (true, Masking::default())
            }
        },
    };
    if !is_on {
        let advice = "take the line out to have cards, passwords, tokens and keys masked";
        findings.find(
            Lint::BuiltinMaskingOff,
            line,
            &path,
            "the built-in masking is off: secrets that no rule of yours matches are stored",
            advice,
        );
    }
    is_on.then_some(masking)
}

fn masking_map(mut fields: Fields<'_>, has_written_key: bool, findings: &mut Findings) -> (bool, Masking) {
    let mut masking = Masking::default();
    let is_on = fields.bool("enabled", findings).unwrap_or(true);
    let emails = fields.bool("emails", findings);
    if emails.is_none() {
        let advice = "write `emails: true` to have them masked as with `builtin_redaction: on`, or `emails: false`";
        findings.find(
            Lint::EmailsStored,
            fields.line,
            &fields.path_of("emails"),
            "e-mail addresses are stored as they are",
            advice,
        );
    }
    masking.emails = emails.unwrap_or(false);
    let (line, path) = (fields.line_of("hash"), fields.path_of("hash"));
    let has_hash = match fields.string("hash", findings) {
        None => false,
        Some("hmac-sha256") => true,
        Some(other) => {
            findings.error(line, &path, format!("expected hmac-sha256, found `{other}`"));
            true
        }
    };
    masking.key = hash_key(&mut fields, has_hash, has_written_key, findings);
    fields.finish(findings);
    (is_on, masking)
}

/// The key, of which no message shows anything.
fn hash_key(fields: &mut Fields<'_>, has_hash: bool, has_written_key: bool, findings: &mut Findings) -> Option<HashKey> {
    let (line, path) = (fields.line_of(SECRET_KEY), fields.path_of(SECRET_KEY));
    let found = fields.get(SECRET_KEY);
    if !has_hash {
        if found.is_some() {
            findings.error(line, &path, "a key without a hash does nothing: write `hash: hmac-sha256`");
        }
        return None;
    }
    let key = match found.map(|tree| &tree.node) {
        None => None,
        Some(Node::Scalar(scalar)) => HashKey::new(scalar.text.as_bytes()),
        Some(_) => {
            findings.refuse(Lint::WrongType, line, &path, "expected a text");
            return None;
        }
    };
    if key.is_none() {
        let least = HashKey::BYTES_MIN;
        findings.error(line, &path, format!("hmac-sha256 needs a key of at least {least} bytes: is the variable set?"));
    } else if has_written_key {
        let advice = "write `${env:NAME}` and give the key in the environment";
        findings.find(
            Lint::KeyInFile,
            line,
            &path,
            "the key stands in the file, which is stored with the state: who reads it can test guesses",
            advice,
        );
    }
    key
}

/// Whether the file itself holds the key, or a part of it. `root` is the file before its variables are expanded.
pub(super) fn has_written_key(root: &Tree) -> bool {
    let path = ["spanlake", "builtin_redaction", SECRET_KEY];
    let found = path.iter().try_fold(root, |tree, key| match &tree.node {
        Node::Map(entries) => entries.iter().find(|entry| entry.key == *key).map(|entry| &entry.value),
        _ => None,
    });
    matches!(found.map(|tree| &tree.node), Some(Node::Scalar(scalar)) if is_written(&scalar.text))
}
