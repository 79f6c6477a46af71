//! The overlay behind a configuration: which services are kept as a whole, and until when.

use super::reader::{Fields, Findings};
use super::yaml;
use crate::finding::Severity;
use crate::lints::Lint;
use crate::overlay::{KEEP_ALL, KEEP_ALL_BIT, Overlay};
use crate::rules::Rules;

/// Reads an overlay's own text.
pub(crate) fn read_overlay(text: &str) -> Result<Overlay, String> {
    let mut findings = Findings::default();
    let overlay = read(text, &mut findings);
    let errors = findings.list.iter().filter(|finding| finding.severity == Severity::Error);
    let errors: Vec<String> = errors.map(|finding| format!("{}: {}", finding.path, finding.message)).collect();
    if errors.is_empty() { Ok(overlay) } else { Err(errors.join("; ")) }
}

/// Reads it; its lines are told as those of the text.
pub(super) fn read(text: &str, findings: &mut Findings) -> Overlay {
    let mut overlay = Overlay::default();
    let tree = match yaml::parse(text) {
        Ok(tree) => tree,
        Err(error) => {
            findings.error(error.line, KEEP_ALL, error.message);
            return overlay;
        }
    };
    let mut root = Fields::new(&tree, "", findings);
    for item in root.list(KEEP_ALL, findings) {
        let mut entry = Fields::new(item, KEEP_ALL, findings);
        let service = entry.string("service", findings).unwrap_or_default();
        let until = entry.integer("until_unix_seconds", (0, i64::MAX), findings);
        if until.is_none() {
            findings.error(item.line, KEEP_ALL, "until_unix_seconds is missing");
        }
        entry.finish(findings);
        if let Err(reason) = overlay.add(service, until.unwrap_or_default()) {
            findings.error(item.line, KEEP_ALL, reason);
        }
    }
    root.finish(findings);
    overlay
}

/// Lays it over rules, if they have room for its condition.
pub(super) fn lay(overlay: Overlay, rules: &mut Rules, findings: &mut Findings) {
    if overlay.is_empty() {
        return;
    }
    if rules.leaves.bits() & KEEP_ALL_BIT != 0 {
        let message = "the policies use all 64 conditions on spans, and keeping a service needs one of them";
        let advice = "take a condition out of the policies: an `ottl_condition` with `error_mode: propagate` counts twice";
        findings.find(Lint::TooLarge, 0, KEEP_ALL, message, advice);
    }
    let advice = "take it out: a file with it is for looking at, and neither started with nor pushed";
    let message = "the text ends with what `spanlake keep-all` has laid over it for a while";
    findings.find(Lint::OverlayInFile, 0, KEEP_ALL, message, advice);
    if let Some(sampler) = &mut rules.sampler {
        sampler.keep_all();
    }
    rules.overlay = overlay;
}
