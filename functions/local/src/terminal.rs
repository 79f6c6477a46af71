//! What is printed and where: the one place of this program that writes to the terminal.

use std::io::{IsTerminal, Write};

/// Prints a line to standard output. A closed pipe is no error: whoever read has read enough.
pub(crate) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}

/// Prints a line to standard output.
pub(crate) fn say(line: &str) {
    print(&format!("{line}\n"));
}

/// Prints a line to standard error.
pub(crate) fn note(line: &str) {
    let mut out = std::io::stderr().lock();
    drop(writeln!(out, "{line}"));
}

/// Rewrites the last line of standard error, on a terminal.
pub(crate) fn status(line: &str) {
    let mut out = std::io::stderr().lock();
    drop(write!(out, "\r\x1b[2K{line}").and_then(|()| out.flush()));
}

/// Whether standard output is a terminal that wants colours (`NO_COLOR` unset).
pub(crate) fn colours() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// Whether standard error is a terminal.
pub(crate) fn is_interactive() -> bool {
    std::io::stderr().is_terminal()
}

/// Prints an error with its causes, a line each.
pub(crate) fn fail(error: &anyhow::Error) {
    for line in explain(error) {
        note(&line);
    }
}

/// An error and its causes, without what the message before says already.
fn explain(error: &anyhow::Error) -> Vec<String> {
    let mut lines = vec![format!("error: {}", without_number(&error.to_string()))];
    for cause in error.chain().skip(1).map(|cause| without_number(&cause.to_string())) {
        if !lines.last().is_some_and(|line| line.ends_with(&cause)) {
            lines.push(format!("  because: {cause}"));
        }
    }
    lines
}

/// A message without the system's numbers of errors, `(os error 2)`: the words before them say the same.
fn without_number(message: &str) -> String {
    let mut parts = message.split(" (os error ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once(')').map_or(part, |(_, rest)| rest))
}

#[cfg(test)]
mod tests {
    use std::io;

    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_cause_is_told_in_words_and_once() {
        let missing = io::Error::from_raw_os_error(2);
        assert!(missing.to_string().ends_with("(os error 2)"));
        let error = anyhow::Error::new(missing).context("reading rules.yaml");
        assert_eq!(explain(&error), ["error: reading rules.yaml", "  because: No such file or directory"]);
        let error = anyhow!("inner").context("outer: inner").context("cannot write (os error 28): restart");
        assert_eq!(explain(&error), ["error: cannot write: restart", "  because: outer: inner"]);
    }
}
