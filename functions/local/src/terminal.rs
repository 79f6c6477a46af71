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
    note(&format!("error: {error}"));
    for cause in error.chain().skip(1) {
        note(&format!("  because: {cause}"));
    }
}
