//! What can be wrong with a statement, and with the data that it meets.

use std::fmt;

/// Why a statement or condition can't be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadError {
    /// Where in the text, from 1.
    pub column: usize,
    /// What is wrong there.
    pub message: String,
}

impl LoadError {
    pub(crate) fn at(column: usize, message: impl Into<String>) -> Self {
        Self { column, message: message.into() }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: {}", self.column, self.message)
    }
}

impl std::error::Error for LoadError {}

/// Why a statement could not be executed on an item. It says nothing of the item's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataError(pub &'static str);

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for DataError {}
