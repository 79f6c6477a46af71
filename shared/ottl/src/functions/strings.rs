//! Converters of texts.

use std::borrow::Cow;

use spanlake_otlp::tree::Value;

use super::bounds::{self, BYTES_MAX, TOO_LARGE};
use super::{case, format};
use crate::error::DataError;
use crate::expression::text_like;
use crate::function::{Args, Argument, Function, Kind, Param};
use crate::val::Val;

const TARGET: Param = Param::new("target", Kind::Str);

/// The converters of this file.
pub(super) const ALL: &[Function] = &[
    Function::converter("Concat", &[Param::new("vals", Kind::Values), Param::new("delimiter", Kind::Str)], concat),
    Function::converter("ConvertCase", &[TARGET, Param::new("to_case", Kind::Text)], convert_case).checked(check_case),
    Function::converter("Format", &[Param::new("format", Kind::Str), Param::new("vals", Kind::Values)], sprintf).growing(),
    Function::converter("HasPrefix", &[TARGET, Param::new("prefix", Kind::Str)], has_prefix),
    Function::converter("HasSuffix", &[TARGET, Param::new("suffix", Kind::Str)], has_suffix),
    Function::converter("IsMatch", &[Param::new("target", Kind::StrLike), Param::new("pattern", Kind::Pattern)], is_match),
    Function::converter("Split", &[TARGET, Param::new("delimiter", Kind::Str)], split),
    Function::converter(
        "Substring",
        &[
            TARGET,
            Param::new("start", Kind::IntVal),
            Param::new("length", Kind::IntVal),
            Param::optional("utf8_safe", Kind::Bool),
        ],
        substring,
    ),
    Function::converter("ToCamelCase", &[TARGET], |args| Ok(Val::text(case::camel(args.string(0)?)))),
    Function::converter("ToLowerCase", &[TARGET], |args| Ok(Val::text(case::lower(args.string(0)?)))),
    Function::converter("ToSnakeCase", &[TARGET], |args| Ok(Val::text(case::snake(args.string(0)?)))),
    Function::converter("ToUpperCase", &[TARGET], |args| Ok(Val::text(case::upper(args.string(0)?)))),
    Function::converter("Trim", &[TARGET, Param::optional("replacement", Kind::Text)], trim),
    Function::converter("TrimPrefix", &[TARGET, Param::new("prefix", Kind::Str)], trim_prefix),
    Function::converter("TrimSuffix", &[TARGET, Param::new("suffix", Kind::Str)], trim_suffix),
];

fn concat<'a>(args: &mut Args<'a>) -> Result<Val<'a>, DataError> {
    let mut out = String::new();
    for (place, value) in args.take_list(0).into_iter().enumerate() {
        if place > 0 {
            out.push_str(args.string(1)?);
        }
        match text_like(value) {
            Val::Value(Value::String(text)) => out.push_str(&text),
            _ => out.push_str("<nil>"),
        }
        if out.len() > BYTES_MAX {
            return Err(TOO_LARGE);
        }
    }
    Ok(Val::text(out))
}

fn check_case(arguments: &[Argument]) -> Result<(), String> {
    match arguments {
        [_, Argument::Text(case)] if !["lower", "upper", "snake", "camel"].contains(&case.as_str()) => {
            Err(format!("`{case}` is none of `lower`, `upper`, `snake` and `camel`"))
        }
        _ => Ok(()),
    }
}

fn convert_case<'a>(args: &mut Args<'a>) -> Result<Val<'a>, DataError> {
    let text = args.string(0)?;
    Ok(Val::text(match args.string(1)? {
        "lower" => case::lower(text),
        "upper" => case::upper(text),
        "snake" => case::snake(text),
        _ => case::camel(text),
    }))
}

fn sprintf<'a>(args: &mut Args<'a>) -> Result<Val<'a>, DataError> {
    let values = args.take_list(1);
    format::sprintf(args.string(0)?, &values).map(Val::text)
}

fn has_prefix<'a>(args: &mut Args<'a>) -> Result<Val<'a>, DataError> {
    Ok(Val::bool(args.string(0)?.starts_with(args.string(1)?)))
}

fn has_suffix<'a>(args: &mut Args<'a>) -> Result<Val<'a>, DataError> {
    Ok(Val::bool(args.string(0)?.ends_with(args.string(1)?)))
}

/// Nothing never matches.
fn is_match<'a>(args: &mut Args<'a>) -> Result<Val<'a>, DataError> {
    let pattern = args.pattern(1)?;
    Ok(Val::bool(args.text(0).is_some_and(|text| pattern.is_match(text))))
}

/// Without a delimiter: into characters.
fn split<'a>(args: &mut Args<'a>) -> Result<Val<'a>, DataError> {
    let (text, delimiter) = (args.string(0)?, args.string(1)?);
    let owned = |part: &str| Value::String(Cow::Owned(part.to_owned()));
    let most = bounds::ITEMS_MAX + 1;
    let parts: Vec<_> = if delimiter.is_empty() {
        text.chars().take(most).map(|letter| Value::String(Cow::Owned(letter.to_string()))).collect()
    } else {
        text.split(delimiter).take(most).map(owned).collect()
    };
    bounds::items(parts.len())?;
    Ok(Val::list(parts))
}

/// Counts bytes, and never cuts a character: one that is there in part is left out.
fn substring<'a>(args: &mut Args<'a>) -> Result<Val<'a>, DataError> {
    let text = args.string(0)?;
    let place = |at: Option<i64>| at.and_then(|at| usize::try_from(at).ok()).ok_or(DataError("a negative place or length"));
    let (start, length) = (place(args.int(1))?, place(args.int(2))?);
    let end = start.saturating_add(length);
    if length == 0 || end > text.len() {
        return Err(DataError("the range is empty or beyond the text"));
    }
    let end = bounds::floor(text, end);
    let start = (start..=end).find(|at| text.is_char_boundary(*at)).unwrap_or(end);
    Ok(Val::text(text.get(start..end).unwrap_or_default().to_owned()))
}

fn trim<'a>(args: &mut Args<'a>) -> Result<Val<'a>, DataError> {
    let set = args.text(1).unwrap_or(" ");
    Ok(Val::text(args.string(0)?.trim_matches(|letter| set.contains(letter)).to_owned()))
}

fn trim_prefix<'a>(args: &mut Args<'a>) -> Result<Val<'a>, DataError> {
    let (text, prefix) = (args.string(0)?, args.string(1)?);
    Ok(Val::text(text.strip_prefix(prefix).unwrap_or(text).to_owned()))
}

fn trim_suffix<'a>(args: &mut Args<'a>) -> Result<Val<'a>, DataError> {
    let (text, suffix) = (args.string(0)?, args.string(1)?);
    Ok(Val::text(text.strip_suffix(suffix).unwrap_or(text).to_owned()))
}
