//! `replace_pattern`, `replace_match` and their forms for whole maps.

use std::borrow::Cow;
use std::cell::OnceCell;

use regex::Regex;
use spanlake_otlp::tree::Value;

use super::bounds::{BYTES_MAX, TOO_LARGE};
use super::glob;
use super::keyed::Keyed;
use crate::error::DataError;
use crate::expression::call;
use crate::frame::Frame;
use crate::function::{Args, Argument, Function, Kind, Param};
use crate::regex::{PatternCache, Template};
use crate::val::Val;

const TARGET: Param = Param::new("target", Kind::Target);
const REGEX: Param = Param::new("regex_pattern", Kind::Pattern);
const GLOB: Param = Param::new("pattern", Kind::Glob);
// A value of any type, since it is looked at only where there is something to replace.
const REPLACEMENT: Param = Param::new("replacement", Kind::Any);
const FUNCTION: Param = Param::optional("function", Kind::Function);
const FORMAT: Param = Param::optional("replacement_format", Kind::Any);

/// The editors of this file.
pub(super) const ALL: &[Function] = &[
    Function::editor("replace_pattern", &[TARGET, REGEX, REPLACEMENT, FUNCTION, FORMAT], replace_pattern).checked(check_pattern),
    Function::editor(
        "replace_all_patterns",
        &[TARGET, Param::new("mode", Kind::Text), REGEX, REPLACEMENT, FUNCTION, FORMAT],
        replace_all_patterns,
    )
    .checked(check_all_patterns),
    Function::editor("replace_match", &[TARGET, GLOB, REPLACEMENT, FUNCTION, FORMAT], replace_match).checked(check_pattern),
    Function::editor("replace_all_matches", &[TARGET, GLOB, REPLACEMENT, FUNCTION, FORMAT], replace_all_matches)
        .checked(check_pattern),
];

fn check_pattern(arguments: &[Argument]) -> Result<(), String> {
    match arguments {
        [.., replacement, _, format] => {
            literal_text(replacement, "replacement").and_then(|()| literal_text(format, "replacement_format"))
        }
        _ => Ok(()),
    }
}

/// What is literal and no text is refused at once.
fn literal_text(argument: &Argument, name: &str) -> Result<(), String> {
    use crate::expression::Expression;
    match argument {
        Argument::Value(Expression::Scalar(_) | Expression::Bytes(_) | Expression::List(_) | Expression::Map(_), _) => {
            Err(format!("`{name}` must be a text"))
        }
        _ => Ok(()),
    }
}

fn check_all_patterns(arguments: &[Argument]) -> Result<(), String> {
    match arguments {
        [_, Argument::Text(mode), ..] if mode != "key" && mode != "value" => {
            Err(format!("the mode `{mode}` is neither `key` nor `value`"))
        }
        _ => check_pattern(arguments),
    }
}

/// What matches become.
struct Replacement<'x> {
    text: &'x str,
    /// Read when something matches, which is seldom.
    template: OnceCell<Template>,
    function: Option<&'static Function>,
    format: Option<&'x str>,
}

impl<'x> Replacement<'x> {
    /// From the arguments, beginning at that of the replacement.
    fn new<'a>(args: &'x Args<'a>, at: usize) -> Result<Self, DataError> {
        let format = if args.is_missing(at + 2) { None } else { Some(args.string(at + 2)?) };
        Ok(Self { text: args.string(at)?, template: OnceCell::new(), function: args.function(at + 1), format })
    }

    /// `text` with every match replaced; `None` if there is none. `left` is how much longer it may become.
    fn pattern(&self, regex: &Regex, text: &str, left: &mut usize) -> Result<Option<String>, DataError> {
        if !regex.is_match(text) {
            return Ok(None);
        }
        let template = self.template.get_or_init(|| Template::new(self.text));
        let most = text.len() + *left;
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        for captures in regex.captures_iter(text) {
            let Some(whole) = captures.get(0) else { continue };
            out.push_str(text.get(at..whole.start()).unwrap_or_default());
            if let Some(function) = self.function {
                let mut argument = String::new();
                template.expand_within(&captures, &mut argument, BYTES_MAX).ok_or(TOO_LARGE)?;
                out.push_str(&self.called(function, argument)?);
            } else {
                template.expand_within(&captures, &mut out, most).ok_or(TOO_LARGE)?;
            }
            if out.len() > most {
                return Err(TOO_LARGE);
            }
            at = whole.end();
        }
        out.push_str(text.get(at..).unwrap_or_default());
        *left = most.checked_sub(out.len().max(text.len())).ok_or(TOO_LARGE)?;
        Ok(Some(out))
    }

    /// What the function makes of a text, in its format.
    fn called(&self, function: &'static Function, argument: String) -> Result<String, DataError> {
        let Val::Value(Value::String(text)) = call(function, Val::text(argument))? else {
            return Err(DataError("the function gives no text"));
        };
        let Some(format) = self.format else { return Ok(text.into_owned()) };
        match format.split_once("%s") {
            Some((before, after)) if !before.contains('%') && !after.contains('%') => Ok(format!("{before}{text}{after}")),
            _ => Err(DataError("the format must hold one %s and no other")),
        }
    }
}

/// What is no text stays as it is.
fn replace_pattern<'a>(args: &mut Args<'a>, frame: &mut Frame<'_, 'a>) -> Result<(), DataError> {
    let target = args.target(0)?;
    let text = match target.get(frame)? {
        Val::Value(Value::String(text)) => text,
        Val::Value(Value::Empty) => return Ok(()),
        _ => return args.string(2).map(|_| ()),
    };
    let replacement = Replacement::new(args, 2)?;
    match replacement.pattern(args.pattern(1)?, &text, &mut BYTES_MAX.clone())? {
        Some(replaced) => target.set(frame, Val::text(replaced)),
        None => Ok(()),
    }
}

/// Looks at the first level only: at keys, or at values that are texts.
fn replace_all_patterns<'a>(args: &mut Args<'a>, frame: &mut Frame<'_, 'a>) -> Result<(), DataError> {
    let by_key = args.text(1) == Some("key");
    let replacement = Replacement::new(args, 3)?;
    let pattern = args.pattern(2)?;
    let mut left = BYTES_MAX;
    args.target(0)?.edit_map(frame, |map| {
        if by_key {
            let mut renamed = Keyed::default();
            for (key, value) in map.0.clone() {
                let key = replacement.pattern(pattern, &key, &mut left)?.map_or(key, Cow::Owned);
                renamed.set(key, value)?;
            }
            *map = renamed.into_map();
            return Ok(());
        }
        let mut replaced = Vec::new();
        for (at, (_, value)) in map.0.iter().enumerate() {
            if let Value::String(text) = value
                && let Some(text) = replacement.pattern(pattern, text, &mut left)?
            {
                replaced.push((at, text));
            }
        }
        // All or nothing, as an error in the middle leaves the map as it was.
        for (at, text) in replaced {
            if let Some((_, value)) = map.0.get_mut(at) {
                *value = Value::String(Cow::Owned(text));
            }
        }
        Ok(())
    })
}

/// What a whole match becomes: the replacement as it stands.
fn whole(args: &Args<'_>, at: usize) -> Result<String, DataError> {
    let replacement = Replacement::new(args, at)?;
    let text = args.string(at)?.to_owned();
    match replacement.function {
        Some(function) => replacement.called(function, text),
        None => Ok(text),
    }
}

fn replace_match<'a>(args: &mut Args<'a>, frame: &mut Frame<'_, 'a>) -> Result<(), DataError> {
    let target = args.target(0)?;
    let Val::Value(Value::String(text)) = target.get(frame)? else { return Ok(()) };
    if !args.pattern(1)?.is_match(&text) {
        return Ok(());
    }
    target.set(frame, Val::text(whole(args, 2)?))
}

fn replace_all_matches<'a>(args: &mut Args<'a>, frame: &mut Frame<'_, 'a>) -> Result<(), DataError> {
    let pattern = args.pattern(1)?;
    let text = whole(args, 2)?;
    let mut left = BYTES_MAX;
    args.target(0)?.edit_map(frame, |map| {
        for (_, value) in &mut map.0 {
            if let Value::String(present) = value
                && pattern.is_match(present)
            {
                left = left.checked_sub(text.len().saturating_sub(present.len())).ok_or(TOO_LARGE)?;
                *present = Cow::Owned(text.clone());
            }
        }
        Ok(())
    })
}

/// Compiles the glob of `replace_match`.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn compile_glob(glob: &str, patterns: &PatternCache) -> Result<Regex, String> {
    patterns.compile(&glob::pattern(glob)?)
}
