//! Findings as text.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use super::Loaded;
use crate::finding::Severity;

/// The findings as text, a line each (`config.yaml:33: warning: ...`), then what is used and in which order.
#[must_use]
pub fn render(loaded: &Loaded, file_name: &str) -> String {
    render_with(loaded, file_name, Severity::name)
}

/// The same, with the severities as `word` writes them: in colours, for a terminal.
#[must_use]
pub fn render_with<'a>(loaded: &Loaded, file_name: &str, word: impl Fn(Severity) -> &'a str) -> String {
    let mut out = String::new();
    // Writing to a String does not fail.
    let _infallible = write(loaded, file_name, word, &mut out);
    out
}

/// A text of a file as one line that says nothing to a terminal: neither colours, nor other lines, nor another direction.
fn printable(text: &str) -> Cow<'_, str> {
    let is_plain = |letter: char| !letter.is_control() && !is_direction(letter);
    if text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\n' | '\r' | '\t' | ' ' if out.ends_with(' ') => {}
            '\n' | '\r' | '\t' => out.push(' '),
            letter if is_plain(letter) => out.push(letter),
            letter => out.extend(letter.escape_unicode()),
        }
    }
    Cow::Owned(out)
}

/// Whether a character only turns the direction of others, or is not seen.
const fn is_direction(letter: char) -> bool {
    matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn write<'a>(loaded: &Loaded, file_name: &str, word: impl Fn(Severity) -> &'a str, out: &mut String) -> fmt::Result {
    for finding in &loaded.findings {
        write!(out, "{}:", printable(file_name))?;
        if let Some(line) = finding.line {
            write!(out, "{line}:")?;
        }
        write!(out, " {}: ", word(finding.severity))?;
        if !finding.path.is_empty() {
            write!(out, "{}: ", printable(&finding.path))?;
        }
        writeln!(out, "{} [{}]", printable(&finding.message), finding.kind)?;
        writeln!(out, "    {}", printable(&finding.remedy))?;
    }
    let count = |severity: Severity| loaded.findings.iter().filter(|finding| finding.severity == severity).count();
    let (errors, warnings, notes) = (count(Severity::Error), count(Severity::Warning), count(Severity::Note));
    let counted = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    writeln!(out, "{}, {}, {}\n", counted(errors, "error"), counted(warnings, "warning"), counted(notes, "note"))?;
    let Some(rules) = &loaded.rules else { return writeln!(out, "The configuration can't be used.") };
    writeln!(out, "Used, in this order:")?;
    for line in &rules.summary {
        writeln!(out, "  {}", printable(line))?;
    }
    writeln!(out, "  rules version: {}", rules.version())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_holds_says_nothing_to_a_terminal() {
        let text = "processors: {\"a\\e[31m\\u202e\": {}}\n";
        let told = render(&crate::load(text, &|_| None), "a\u{1b}[2Jb.yaml");
        assert!(told.contains(r"\u{1b}[31m\u{202e}") && told.contains(r"a\u{1b}[2Jb.yaml:"), "{told}");
        assert!(!told.chars().any(|letter| letter != '\n' && (letter.is_control() || is_direction(letter))), "{told:?}");
        assert_eq!(printable("a\n    b\tc"), "a b c");
    }
}
