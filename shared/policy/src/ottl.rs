//! OTTL, the Collector's transformation language: statements as text, read into a tree.
//!
//! The grammar is that of `pkg/ottl`, as far as editors and their arguments go. What a statement means is decided
//! elsewhere.

mod lexer;
mod parser;

pub(crate) use parser::{Key, Path, Statement, Value, parse_statement};
