//! From text to a syntax tree; nothing is looked up yet.
//!
//! Source: the grammar of `pkg/ottl` (contrib v0.161). Columns count from 1.

mod ast;
mod lexer;
mod parser;

pub(crate) use ast::{Argument, Boolean, Call, Expression, Key, MathOperator, Operator, Path};
pub(crate) use parser::{condition, statement};
