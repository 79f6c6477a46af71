//! Findings as text.

use std::fmt::{self, Write as _};

use super::Loaded;
use crate::finding::Severity;

/// The findings as text, a line each (`config.yaml:33: warning: ...`), then what is used and in which order.
#[must_use]
pub fn render(loaded: &Loaded, file_name: &str) -> String {
    let mut out = String::new();
    // Writing to a String does not fail.
    let _infallible = write(loaded, file_name, &mut out);
    out
}

fn write(loaded: &Loaded, file_name: &str, out: &mut String) -> fmt::Result {
    for finding in &loaded.findings {
        write!(out, "{file_name}:")?;
        if let Some(line) = finding.line {
            write!(out, "{line}:")?;
        }
        write!(out, " {}: ", finding.severity)?;
        if !finding.path.is_empty() {
            write!(out, "{}: ", finding.path)?;
        }
        writeln!(out, "{} [{}]", finding.message, finding.kind)?;
        writeln!(out, "    {}", finding.remedy)?;
    }
    let count = |severity: Severity| loaded.findings.iter().filter(|finding| finding.severity == severity).count();
    let (errors, warnings, notes) = (count(Severity::Error), count(Severity::Warning), count(Severity::Note));
    writeln!(out, "{errors} errors, {warnings} warnings, {notes} notes\n")?;
    let Some(rules) = &loaded.rules else { return writeln!(out, "The configuration can't be used.") };
    writeln!(out, "Used, in this order:")?;
    for line in &rules.summary {
        writeln!(out, "  {line}")?;
    }
    writeln!(out, "  rules version: {}", rules.version())
}
