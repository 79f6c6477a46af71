//! The section `spanlake`: what only Spanlake has.

use super::reader::{Fields, Findings};
use super::yaml::Tree;
use crate::rules::Limits;

/// An hour, which the windows divide.
const HOUR_MS: u64 = 3_600_000;

/// What the section says, or its defaults.
#[expect(clippy::struct_excessive_bools, reason = "independent switches")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Own {
    pub(super) builtin_redaction: bool,
    pub(super) latency_inclusive: bool,
    /// What a redacting statement that fails was to redact is masked.
    pub(super) fail_closed: bool,
    /// The votes of `invert_match` up to v0.154 of the Collector.
    pub(super) invert_decisions: bool,
    /// Chance is a matter of a trace's stated randomness, not of a hash.
    pub(super) consistent: bool,
    pub(super) window_ms: u64,
    pub(super) late_horizon_ms: u64,
    pub(super) limits: Limits,
}

impl Default for Own {
    fn default() -> Self {
        Self {
            builtin_redaction: true,
            latency_inclusive: false,
            fail_closed: true,
            invert_decisions: false,
            consistent: false,
            window_ms: 10_000,
            late_horizon_ms: 600_000,
            limits: Limits::default(),
        }
    }
}

/// Reads the section.
pub(super) fn read(tree: &Tree, findings: &mut Findings) -> Own {
    let mut own = Own::default();
    let mut fields = Fields::new(tree, "spanlake", findings);
    let (line, path) = (fields.line_of("builtin_redaction"), fields.path_of("builtin_redaction"));
    match fields.string("builtin_redaction", findings) {
        None | Some("on") => {}
        Some("off") => {
            own.builtin_redaction = false;
            let advice = "take the line out to have cards, passwords, tokens and keys masked";
            findings.warn(line, &path, "the built-in masking is off: secrets that no rule of yours matches are stored", advice);
        }
        Some(other) => findings.error(line, &path, format!("expected on or off, found `{other}`")),
    }
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
        findings.warn(line, &path, message, "take the line out to have it masked");
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
            Some(other) => findings.error(line, &path, format!("expected hash or consistent, found `{other}`")),
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
