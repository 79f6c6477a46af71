//! `spanlake check`: reads a Collector configuration and prints the findings.

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::{Context, bail};
use serde_json::json;
use spanlake_policy::{Finding, Loaded, Severity, explain, lints, load, render_with};

use crate::cli::{CheckArgs, ReportFormat};
use crate::configuration::read;
use crate::terminal::{colours, fail, print};

/// The exit code where nothing could be read, or the question is wrong.
const NOT_READ: u8 = 2;

/// Exit code 0 if the file can be used and nothing in it is denied, 1 if not, 2 if it could not be read.
pub(crate) fn run(args: &CheckArgs) -> ExitCode {
    answer(args).unwrap_or_else(|error| {
        fail(&error);
        ExitCode::from(NOT_READ)
    })
}

fn answer(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    if args.list {
        print(&list());
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(kind) = &args.explain {
        print(&explain(kind).with_context(|| unknown(kind))?);
        return Ok(ExitCode::SUCCESS);
    }
    let wanted = Wanted::new(&args.deny, &args.allow)?;
    let Some(file) = &args.file else { bail!("which file is to be checked?") };
    let (name, text) = read(file)?;
    let mut loaded = load(&text, &|name| std::env::var(name).ok());
    loaded.findings.retain(|finding| !wanted.allows(finding));
    let is_denied = loaded.findings.iter().any(|finding| wanted.denies(finding));
    match args.format {
        ReportFormat::Text => {
            let word = if colours() { in_colour } else { Severity::name };
            print(&(render_with(&loaded, &name, word) + &wanted.text(&loaded)));
        }
        ReportFormat::Json => print(&format!("{:#}\n", object(&loaded, &name, &wanted))),
    }
    Ok(if is_denied { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

const fn in_colour(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "\x1b[31merror\x1b[0m",
        Severity::Warning => "\x1b[33mwarning\x1b[0m",
        Severity::Note => "\x1b[36mnote\x1b[0m",
    }
}

fn list() -> String {
    lints().map(|(kind, severity)| format!("{:<8} {kind}\n", severity.name())).collect::<Vec<_>>().concat()
}

fn unknown(kind: &str) -> String {
    format!("{kind} is no kind of finding: `spanlake check --list` names them all")
}

/// What `--deny` and `--allow` ask for.
struct Wanted<'a> {
    /// All findings at least as bad.
    worst: Severity,
    denied: Vec<&'a str>,
    allowed: Vec<&'a str>,
}

impl<'a> Wanted<'a> {
    fn new(deny: &'a [String], allow: &'a [String]) -> anyhow::Result<Self> {
        let mut wanted = Self { worst: Severity::Error, denied: Vec::new(), allowed: Vec::new() };
        let severity = |kind: &str| lints().find(|(name, _)| *name == kind).map(|(_, severity)| severity);
        for what in deny {
            match what.as_str() {
                "warnings" => wanted.worst = wanted.worst.max(Severity::Warning),
                "notes" => wanted.worst = Severity::Note,
                kind if severity(kind).is_some() => wanted.denied.push(kind),
                kind => bail!("--deny: {}; `warnings` and `notes` are denied as a whole", unknown(kind)),
            }
        }
        for kind in allow {
            match severity(kind) {
                None => bail!("--allow: {}", unknown(kind)),
                Some(Severity::Error) => bail!("--allow: {kind} is an error: a file with it cannot be used"),
                Some(Severity::Warning | Severity::Note) => wanted.allowed.push(kind),
            }
        }
        Ok(wanted)
    }

    fn allows(&self, finding: &Finding) -> bool {
        self.allowed.contains(&finding.kind)
    }

    /// Which of what is no error is denied, as text.
    fn text(&self, loaded: &Loaded) -> String {
        let denied = loaded.findings.iter().filter(|finding| finding.severity > Severity::Error && self.denies(finding));
        let kinds: BTreeSet<&str> = denied.map(|finding| finding.kind).collect();
        if kinds.is_empty() { String::new() } else { format!("\nDenied by --deny: {}.\n", Vec::from_iter(kinds).join(", ")) }
    }

    fn denies(&self, finding: &Finding) -> bool {
        finding.severity <= self.worst || self.denied.contains(&finding.kind)
    }
}

fn object(loaded: &Loaded, name: &str, wanted: &Wanted<'_>) -> serde_json::Value {
    let count = |severity: Severity| loaded.findings.iter().filter(|finding| finding.severity == severity).count();
    let findings = loaded.findings.iter().map(|finding| {
        json!({
            "kind": finding.kind,
            "severity": finding.severity.name(),
            "line": finding.line,
            "path": finding.path,
            "message": finding.message,
            "remedy": finding.remedy,
            "denied": wanted.denies(finding),
        })
    });
    json!({
        "file": name,
        "usable": loaded.rules.is_some(),
        "denied": loaded.findings.iter().any(|finding| wanted.denies(finding)),
        "rules_version": loaded.rules.as_ref().map(spanlake_policy::Rules::version),
        "counts": {"errors": count(Severity::Error), "warnings": count(Severity::Warning), "notes": count(Severity::Note)},
        "findings": findings.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A warning in line 2, and a note about the whole file.
    const MASKS_NOTHING: &str = "spanlake:\n  fail_closed: false\n";

    fn texts(all: &[&str]) -> Vec<String> {
        all.iter().map(|text| (*text).to_owned()).collect()
    }

    /// The kinds that are left, and whether one is denied.
    fn asked(text: &str, deny: &[&str], allow: &[&str]) -> (Vec<&'static str>, bool) {
        let (deny, allow) = (texts(deny), texts(allow));
        let wanted = Wanted::new(&deny, &allow).unwrap();
        let findings = load(text, &|_| None).findings.into_iter().filter(|finding| !wanted.allows(finding)).collect::<Vec<_>>();
        (findings.iter().map(|finding| finding.kind).collect(), findings.iter().any(|finding| wanted.denies(finding)))
    }

    #[test]
    fn errors_are_always_denied_and_the_rest_only_if_that_is_asked_for() {
        let both = vec!["unredacted-signal", "fail-open"];
        assert_eq!(asked(MASKS_NOTHING, &[], &[]), (both.clone(), false));
        assert_eq!(asked(MASKS_NOTHING, &["warnings"], &[]), (both.clone(), true));
        assert_eq!(asked(MASKS_NOTHING, &["fail-open"], &[]), (both.clone(), true));
        assert_eq!(asked(MASKS_NOTHING, &["key-in-file"], &[]), (both, false));
        assert_eq!(asked(MASKS_NOTHING, &["warnings"], &["fail-open"]), (vec!["unredacted-signal"], false));
        assert_eq!(asked(MASKS_NOTHING, &["notes"], &["fail-open"]), (vec!["unredacted-signal"], true));
        assert_eq!(asked("spanlake: {window: 7s}\n", &[], &["unredacted-signal"]), (vec!["invalid-value"], true));
    }

    #[test]
    fn colours_change_no_word() {
        for severity in [Severity::Error, Severity::Warning, Severity::Note] {
            assert!(in_colour(severity).contains(&format!("m{}\x1b[0m", severity.name())));
        }
    }

    #[test]
    fn an_unknown_kind_and_an_error_cannot_be_asked_for() {
        let (loaded, deny) = (load(MASKS_NOTHING, &|_| None), texts(&["warnings"]));
        assert!(Wanted::new(&deny, &[]).unwrap().text(&loaded).contains("by --deny: fail-open."));
        assert_eq!(Wanted::new(&[], &[]).unwrap().text(&loaded), "");
        for (deny, allow) in [(&["warning"][..], &[][..]), (&[], &["no-such-kind"]), (&[], &["unknown-key"])] {
            assert!(Wanted::new(&texts(deny), &texts(allow)).is_err(), "{deny:?} {allow:?}");
        }
    }

    #[test]
    fn the_object_has_everything_that_the_text_has() {
        let deny = texts(&["warnings"]);
        let object = object(&load(MASKS_NOTHING, &|_| None), "rules.yaml", &Wanted::new(&deny, &[]).unwrap());
        assert_eq!((&object["file"], &object["usable"], &object["denied"]), (&json!("rules.yaml"), &json!(true), &json!(true)));
        assert_eq!(object["counts"], json!({"errors": 0, "warnings": 1, "notes": 1}));
        let finding = &object["findings"][1];
        assert_eq!(
            (&finding["kind"], &finding["severity"], &finding["line"]),
            (&json!("fail-open"), &json!("warning"), &json!(2))
        );
        assert!(finding["message"].is_string() && finding["remedy"].is_string() && finding["path"] == "spanlake.fail_closed");
        assert_eq!(object["findings"][0]["line"], json!(null));
    }
}
