//! Saved queries: SQL templates with named placeholders, for the embedded engine and for Athena.
//!
//! Whatever a user gives is checked or quoted; no text of theirs ever becomes part of a statement as it is.

mod docs;
mod fill;
mod queries;

use std::time::Duration;

use crate::error::SqlError;

pub use docs::{athena_file, docs_page, named_queries};
pub use queries::SAVED;

/// How far back a query looks by default.
pub const SINCE_DEFAULT: Duration = Duration::from_hours(24);
/// How many rows a query shows by default.
pub const LIMIT_DEFAULT: u32 = 50;

/// Something that a saved query asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parameter {
    /// How far back to look; a day by default.
    Since,
    /// One service only; all by default.
    Service,
    /// A trace id; required.
    TraceId,
    /// The most rows; 50 by default.
    Limit,
}

impl Parameter {
    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Since => "since",
            Self::Service => "service",
            Self::TraceId => "trace-id",
            Self::Limit => "limit",
        }
    }
}

/// A query by name.
#[derive(Debug, Clone, Copy)]
pub struct SavedQuery {
    /// Its name, in kebab case.
    pub name: &'static str,
    /// What it answers, in one line.
    pub about: &'static str,
    /// What it asks for.
    pub parameters: &'static [Parameter],
    /// The statement, with placeholders.
    template: &'static str,
}

/// The parameters of one run.
#[derive(Debug, Clone, Copy)]
pub struct Arguments<'a> {
    /// Now, seconds since 1970: `since` counts back from here.
    pub now_unix_seconds: i64,
    /// How far back to look.
    pub since: Duration,
    /// One service only.
    pub service: Option<&'a str>,
    /// 32 hex digits.
    pub trace_id: Option<&'a str>,
    /// The most rows.
    pub limit: u32,
}

impl Arguments<'_> {
    /// The defaults at a time.
    #[must_use]
    pub const fn at(now_unix_seconds: i64) -> Self {
        Self { now_unix_seconds, since: SINCE_DEFAULT, service: None, trace_id: None, limit: LIMIT_DEFAULT }
    }
}

impl SavedQuery {
    /// The statement for the embedded engine.
    ///
    /// # Errors
    /// [`SqlError::Parameter`] for a missing or unusable parameter, or one that this query does not ask for.
    pub fn sql(&self, arguments: &Arguments<'_>) -> Result<String, SqlError> {
        let asks = |parameter| self.parameters.contains(&parameter);
        for (parameter, is_given) in
            [(Parameter::Service, arguments.service.is_some()), (Parameter::TraceId, arguments.trace_id.is_some())]
        {
            if is_given && !asks(parameter) {
                let reason = format!("{} does not ask for it", self.name);
                return Err(SqlError::Parameter { name: parameter.name().to_owned(), reason });
            }
        }
        fill::fill(self.template, &fill::Embedded(arguments))
    }

    /// The statement for Athena, with default parameters and `?` for what has none.
    ///
    /// # Errors
    /// [`SqlError::Parameter`] only for a placeholder that does not exist.
    pub fn athena(&self) -> Result<String, SqlError> {
        fill::fill(self.template, &fill::Athena)
    }
}

/// The query of this name.
#[must_use]
pub fn saved(name: &str) -> Option<&'static SavedQuery> {
    SAVED.iter().find(|query| query.name == name)
}

#[cfg(test)]
mod tests;
