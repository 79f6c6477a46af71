//! Editors that every signal has.

use crate::error::DataError;
use crate::frame::Frame;
use crate::function::{Args, Function, Kind, Param};

/// The editors of this file.
pub(super) const ALL: &[Function] =
    &[Function::editor("set", &[Param::new("target", Kind::Target), Param::new("value", Kind::Any)], set)];

fn set<'a>(args: &mut Args<'a>, frame: &mut Frame<'_, 'a>) -> Result<(), DataError> {
    let value = args.take(1);
    args.target(0)?.set(frame, value)
}
