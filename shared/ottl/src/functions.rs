//! The functions of OTTL, by what they are about.
//!
//! Source: `pkg/ottl/ottlfuncs` and the processors of contrib v0.161. Each list is a table; a component names the lists
//! that it offers.

mod editors;
mod strings;

use crate::compile::FunctionSet;
use crate::function::Function;

/// What every component offers for conditions: converters.
const CONVERTERS: &[Function] = strings::ALL;

/// The converters alone, as in conditions.
pub const CONDITIONS: FunctionSet = &[CONVERTERS];
/// What the `transform` processor offers.
pub const TRANSFORM: FunctionSet = &[CONVERTERS, editors::ALL];
/// What `tail_sampling` offers in an `ottl_condition`.
pub const SAMPLING: FunctionSet = &[CONVERTERS];
/// What the `filter` processor offers.
pub const FILTER: FunctionSet = &[CONVERTERS];
