//! What is to be said about a configuration.

use std::fmt;

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

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        })
    }
}

/// One thing to say about a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The line, from 1; `None` where it is about the whole file.
    pub line: Option<u32>,
    /// The place as a path of keys: `processors.tail_sampling.policies[2].latency`.
    pub path: String,
    /// What is found.
    pub message: String,
    /// What to do about it.
    pub advice: Option<String>,
}

impl Finding {
    pub(crate) fn new(severity: Severity, line: u32, path: &str, message: impl Into<String>) -> Self {
        Self { severity, line: (line > 0).then_some(line), path: path.to_owned(), message: message.into(), advice: None }
    }

    pub(crate) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }
}
