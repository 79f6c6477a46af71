//! Converters of texts.

use crate::error::DataError;
use crate::function::{Args, Function, Kind, Param};
use crate::val::Val;

/// The converters of this file.
pub(super) const ALL: &[Function] = &[
    Function::converter("HasPrefix", &[Param::new("value", Kind::Str), Param::new("prefix", Kind::Str)], has_prefix),
    Function::converter("IsMatch", &[Param::new("target", Kind::StrLike), Param::new("pattern", Kind::Pattern)], is_match),
];

fn has_prefix<'a>(args: &mut Args<'a>) -> Result<Val<'a>, DataError> {
    Ok(Val::bool(args.string(0)?.starts_with(args.string(1)?)))
}

/// Nothing never matches.
fn is_match<'a>(args: &mut Args<'a>) -> Result<Val<'a>, DataError> {
    let pattern = args.pattern(1)?;
    Ok(Val::bool(args.text(0).is_some_and(|text| pattern.is_match(text))))
}
