//! OTTL, the OpenTelemetry Transformation Language: statements and conditions over OTLP trees. Pure.
//!
//! A text is read once ([`Statement::new`], [`Condition::new`]) and runs on a [`Frame`], an item with everything around
//! it. Semantics are those of `pkg/ottl` of the Collector's contrib v0.161; `tests/data/vectors` holds what it did.
//! Nothing here reads a clock, does I/O or panics; sizes and depths are bounded.

mod compile;
mod enums;
mod error;
mod expression;
mod frame;
mod function;
pub mod functions;
mod paths;
pub mod regex;
mod statement;
mod syntax;
mod val;

pub use compile::FunctionSet;
pub use error::{DataError, LoadError};
pub use expression::{Expression, call};
pub use frame::{Context, Frame, Spent};
pub use function::{Args, Argument, Check, Convert, ConvertIn, Edit, Function, Given, Kind, Param, Prepare, Run};
pub use paths::Place;
pub use statement::{Condition, Statement, infer};
pub use val::{Time, Val};
