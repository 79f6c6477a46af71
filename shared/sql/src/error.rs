//! What can go wrong with a query, said so that the reader knows what to do.

mod nearest;
#[cfg(test)]
mod tests;
mod translate;

use thiserror::Error;

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum SqlError {
    /// The statement would change something.
    #[error("only queries are possible here (select, with, values, show, describe, explain): {reason}")]
    NotAQuery {
        /// What the engine refused.
        reason: String,
    },
    /// No such table.
    #[error("there is no table {name}{}; the tables are {}", nearest::hint(.nearest), .tables.join(", "))]
    UnknownTable {
        /// The name.
        name: String,
        /// Similar names.
        nearest: Vec<String>,
        /// All tables.
        tables: Vec<&'static str>,
    },
    /// No such column.
    #[error("there is no column {name} here{}; a table's columns: describe spans", nearest::hint(.nearest))]
    UnknownColumn {
        /// The name.
        name: String,
        /// Similar names.
        nearest: Vec<String>,
    },
    /// No such function.
    #[error("there is no function {name}{}; all functions: show functions", nearest::hint(.nearest))]
    UnknownFunction {
        /// The name.
        name: String,
        /// Similar names.
        nearest: Vec<String>,
    },
    /// A function does not take these arguments.
    #[error("{call} is not possible; possible: {}; cast(... as ...) changes a type", .possible.join(", "))]
    WrongArguments {
        /// The call, with the types of its arguments.
        call: String,
        /// The calls that the function takes.
        possible: Vec<String>,
    },
    /// The statement cannot be understood.
    #[error("{reason}")]
    Invalid {
        /// What and where.
        reason: String,
    },
    /// A value does not go with what the statement does to it.
    #[error("the statement cannot be computed: {reason}; try_cast and nullif avoid values that do not fit")]
    Uncomputable {
        /// Which value, or which operation.
        reason: String,
    },
    /// The engine gave up in the middle: a fault of its own, or a damaged file.
    #[error("the SQL engine failed on this statement; if simpler statements work, rephrase it, else a file may be damaged")]
    Panicked,
    /// It took too long.
    #[error("no answer within {seconds} s; narrow the query with dt and hour, or raise the time limit")]
    TimedOut {
        /// The limit.
        seconds: u64,
    },
    /// It needed too much memory.
    #[error("the query needs more memory than allowed; narrow it with dt and hour, or raise the memory limit: {reason}")]
    TooMuchMemory {
        /// What asked for it.
        reason: String,
    },
    /// A saved query's parameter is missing or not what it should be.
    #[error("parameter {name}: {reason}")]
    Parameter {
        /// The parameter.
        name: String,
        /// What it should be.
        reason: String,
    },
    /// The folder's name cannot be used.
    #[error("the data folder's path must be absolute and UTF-8")]
    Folder,
    /// Reading failed.
    #[error("the query failed: {reason}")]
    Failed {
        /// What the engine said.
        reason: String,
    },
}
