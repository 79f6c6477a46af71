//! The embedded SQL engine over a lake folder, saved queries, result formats.
//!
//! Reads only. The only crate that sees `DataFusion`.

mod blooms;
mod error;
mod format;
mod functions;
mod lake;
mod result;
pub mod saved;
mod schema;
mod stream;

pub use error::SqlError;
pub use format::Format;
pub use lake::{Lake, Limits, open};
pub use result::{Cell, ResultSet};
