//! Values of environment variables, which no finding shows: reports are read in logs of CI and of processes.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::expand::Environment;
use crate::finding::Finding;

/// A shorter value is shown: it is no secret, and it would be found in any words.
const BYTES_MIN: usize = 6;

/// An environment that remembers what it has told.
pub(super) struct Told<'a> {
    env: Environment<'a>,
    values: RefCell<BTreeMap<String, String>>,
}

impl<'a> Told<'a> {
    pub(super) fn new(env: Environment<'a>) -> Self {
        Self { env, values: RefCell::default() }
    }

    pub(super) fn get(&self, name: &str) -> Option<String> {
        let value = (self.env)(name);
        if let Some(value) = &value {
            self.values.borrow_mut().insert(name.to_owned(), value.clone());
        }
        value
    }

    /// Puts `${env:NAME}` where a finding shows a value, or a part of one.
    pub(super) fn hide(self, findings: &mut [Finding]) {
        let forms = forms(&self.values.into_inner());
        for finding in findings.iter_mut().filter(|_| !forms.is_empty()) {
            for text in [&mut finding.message, &mut finding.remedy] {
                *text = hidden(text, &forms);
            }
        }
    }
}

/// What values look like in messages: whole, in the parts in which a list or a statement is read, folded to lower case and
/// escaped. Each with what stands for it.
fn forms(values: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut forms = BTreeMap::new();
    for (name, value) in values {
        let parts = value.split(|letter: char| letter.is_whitespace() || matches!(letter, ',' | '"' | '\''));
        for part in std::iter::once(value.trim()).chain(parts) {
            for form in [part.to_owned(), part.to_ascii_lowercase(), part.escape_debug().to_string()] {
                if form.len() >= BYTES_MIN {
                    forms.entry(form).or_insert_with(|| format!("${{env:{name}}}"));
                }
            }
        }
    }
    forms
}

/// The text without anything that a form covers; of several that begin at a place, the longest is named.
fn hidden(text: &str, forms: &BTreeMap<String, String>) -> String {
    let found = forms.iter().flat_map(|(form, written)| {
        text.match_indices(form.as_str()).map(move |(start, form)| (start, Reverse(form.len()), written))
    });
    let mut found: Vec<_> = found.collect();
    found.sort_unstable();
    let (mut out, mut covered) = (String::with_capacity(text.len()), 0);
    for (start, Reverse(length), written) in found {
        if start >= covered {
            out.push_str(text.get(covered..start).unwrap_or_default());
            out.push_str(written);
        }
        covered = covered.max(start + length);
    }
    out.push_str(text.get(covered..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use super::super::{load, render};
    use super::*;

    fn report(processors: &str, value: &str) -> String {
        let text = format!("processors:\n{processors}service: {{pipelines: {{traces: {{processors: []}}}}}}\n");
        render(&load(&text, &|name| (name == "SECRET").then(|| value.to_owned())), "c")
    }

    #[test]
    fn no_finding_shows_the_value_of_a_variable() {
        let sampling = |policy: &str| format!("  tail_sampling:\n    policies:\n      - {policy}\n");
        let pattern = "{name: a, type: string_attribute, string_attribute: {key: k, values: [\"${SECRET}\"], enabled_regex_matching: true}}";
        let transform = "  transform: {trace_statements: ['set(span.foo, \"${env:SECRET}\")']}\n";
        let quoted = r#"set(span.foo, "topsecretvalue42") where"#;
        for (text, value, said) in [
            (sampling(pattern), "topsecretvalue42", "the pattern `${env:SECRET}`"),
            ("  tail_sampling: {decision_wait: \"${env:SECRET}\"}\n".to_owned(), "topsecretvalue42", "found `${env:SECRET}`"),
            (
                "  redaction: {blocked_values: [\"${env:SECRET}\"]}\n".to_owned(),
                "(topsecretvalue42",
                "invalid pattern `${env:SECRET}`",
            ),
            (transform.to_owned(), "topsecretvalue42", "set(span.foo, \"${env:SECRET}\")"),
            ("  transform: {trace_statements: [\"${SECRET}\"]}\n".to_owned(), quoted, "${env:SECRET}"),
            ("  redaction: {hash_function: \"${SECRET}\"}\n".to_owned(), "TopSecretValue42", "hash function `${env:SECRET}`"),
            (
                "  redaction: {blocked_values: \"${SECRET}\"}\n".to_owned(),
                "a,(topsecretvalue42",
                "invalid pattern `${env:SECRET}`",
            ),
        ] {
            let report = report(&text, value);
            assert!(report.contains(said), "{said}: {report}");
            assert!(!report.to_ascii_lowercase().contains("topsecret"), "{report}");
        }
    }

    #[test]
    fn a_short_value_and_what_stands_in_the_file_are_shown() {
        assert!(report("  tail_sampling: {decision_wait: \"${SECRET}\"}\n", "later").contains("found `later`"));
        let default = report("  tail_sampling: {decision_wait: \"${OTHER:-sometimes}\"}\n", "topsecretvalue42");
        assert!(default.contains("found `sometimes`"), "{default}");
    }

    #[test]
    fn of_values_that_overlap_nothing_is_left() {
        let values =
            [("A", "aaaaaaaa"), ("B", "baaaaaa"), ("C", "baaaaaaaac")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let forms = forms(&BTreeMap::from(values));
        assert_eq!(hidden("x baaaaaaaa.", &forms), "x ${env:B}.");
        assert_eq!(hidden("x baaaaaaaac.", &forms), "x ${env:C}.");
        assert_eq!(hidden("nothing", &forms), "nothing");
    }
}
