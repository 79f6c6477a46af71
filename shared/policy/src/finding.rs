//! What is to be said about a configuration.

use std::fmt;

use crate::lints::Lint;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration can't be used.
    Error,
    /// It can, but something in it looks wrong.
    Warning,
    /// Worth knowing: for example what has no effect here.
    Note,
}

impl Severity {
    /// `error`, `warning` or `note`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One thing to say about a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The name of what is found, such as `unused-processor`: one of [`lints`](crate::lints).
    pub kind: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The line, from 1; `None` where it is about the whole file.
    pub line: Option<u32>,
    /// The place as a path of keys: `processors.tail_sampling.policies[2].latency`.
    pub path: String,
    /// What is found.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

impl Finding {
    /// A finding with the remedy of its kind.
    pub(crate) fn new(kind: Lint, line: u32, path: &str, message: impl Into<String>) -> Self {
        let row = kind.row();
        Self {
            kind: row.map_or("", |row| row.name),
            severity: row.map_or(Severity::Error, |row| row.severity),
            line: (line > 0).then_some(line),
            path: path.to_owned(),
            message: message.into(),
            remedy: row.map_or("", |row| row.remedy).to_owned(),
        }
    }

    /// With a remedy of its own.
    pub(crate) fn advise(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }
}
