//! `ExtractGrokPatterns`: takes a text apart by patterns that have names.
//!
//! Source: contrib v0.161 `pkg/ottl/ottlfuncs/func_extract_grok_patterns.go`, and `elastic/go-grok` v0.3.1, which it uses.
//! `%{NAME}` stands for a pattern of the library or of the call, `%{NAME:key}` takes what it matched as `key`, and
//! `%{NAME:key:type}` makes a number or truth value of it. All is put into one regular expression when the statement is read.

use std::borrow::Cow;
use std::collections::BTreeMap;

use spanlake_otlp::tree::Value;

use super::keyed::Keyed;
use super::types::{parse_bool, parse_double};
use crate::error::DataError;
use crate::function::{Args, Argument, Function, Kind, Param};
use crate::regex::PatternCache;
use crate::val::Val;

mod library;

/// The converter of this file. What it runs with: the text, the regular expression, and by the expression's groups the keys
/// and the types; a group without a key is not taken.
pub(super) const ALL: &[Function] = &[Function::converter(
    "ExtractGrokPatterns",
    &[
        Param::new("target", Kind::Str),
        Param::new("pattern", Kind::Text),
        Param::optional("named_captures_only", Kind::Bool),
        Param::optional("pattern_definitions", Kind::Texts),
    ],
    extract,
)
.prepared(prepare)];

/// The longest text that is read: where groups begin and end takes many times as long as whether a pattern matches.
const TEXT_BYTES_MAX: usize = 32 << 10;
/// The same times the groups of the expression, as its time grows with them.
const GROUP_BYTES_MAX: usize = 512 << 10;
/// How much text of the call's own patterns may come together, see [`PatternCache`].
const OWN_BYTES_MAX: usize = 4 << 10;
/// How long the whole expression may become.
const WHOLE_BYTES_MAX: usize = 64 << 10;
/// How deep patterns may refer to others: more than any of the library does.
const DEPTH_MAX: usize = 32;
/// What a key may be made a value of; the first name of each is what it is called here.
const TYPES: &[(&str, &[&str])] =
    &[("string", &["string"]), ("int", &["int", "long"]), ("double", &["double", "float"]), ("bool", &["bool", "boolean"])];
/// What the groups of references are called within the expression; their keys may be there several times.
const GROUP: &str = "_grok";

fn prepare(arguments: Vec<Argument>, patterns: &PatternCache) -> Result<Vec<Argument>, String> {
    let Ok([target, Argument::Text(pattern), named_only, definitions]) = <[Argument; 4]>::try_from(arguments) else {
        return Err("the pattern must be a text in quotes".to_owned());
    };
    patterns.has_room()?;
    let mut expansion = Expansion { named_only: matches!(named_only, Argument::Bool(true)), ..Expansion::default() };
    if let Argument::Texts(texts) = &definitions {
        for text in texts {
            let (name, own) = text.split_once('=').ok_or_else(|| format!("`{text}` must be a name, `=` and a pattern"))?;
            if name.contains(':') {
                return Err(format!("the name `{name}` has a `:`"));
            }
            expansion.definitions.insert(name, own);
        }
    }
    expansion.expand(&pattern, true, 0)?;
    let regex = patterns.compile_long(&expansion.out, WHOLE_BYTES_MAX)?;
    let key = |name: Option<&str>| match name {
        Some(name) => name
            .strip_prefix(GROUP)
            .and_then(|number| expansion.keys.get(number.parse::<usize>().ok()?).cloned())
            .unwrap_or_else(|| key_of(name)),
        None => String::new(),
    };
    let keys: Vec<String> = regex.capture_names().map(key).collect();
    if expansion.named_only && keys.iter().all(String::is_empty) {
        return Err("the pattern has no `%{NAME:key}`, so that nothing would be taken".to_owned());
    }
    let types = keys.iter().map(|key| expansion.types.get(key).map_or("string", |(_, kind)| *kind).to_owned()).collect();
    Ok(vec![target, Argument::Pattern(regex), Argument::Texts(keys), Argument::Texts(types)])
}

/// A key as it is written in a pattern: the reference carries dots through Go's names of groups as `___`.
fn key_of(written: &str) -> String {
    written.replace('.', "___").replace("___", ".")
}

/// Patterns that are put into one another.
#[derive(Default)]
struct Expansion<'d> {
    definitions: BTreeMap<&'d str, &'d str>,
    named_only: bool,
    out: String,
    /// By the numbers in the names of the groups.
    keys: Vec<String>,
    /// By key, with how deep it was said: what is said deeper counts, and of two as deep the later.
    types: BTreeMap<String, (usize, &'static str)>,
    own_bytes: usize,
}

impl Expansion<'_> {
    /// Appends a pattern in which references are replaced; `own` tells that it is the call's.
    fn expand(&mut self, pattern: &str, own: bool, depth: usize) -> Result<(), String> {
        if depth > DEPTH_MAX {
            return Err(format!("its patterns refer to one another more than {DEPTH_MAX} deep, or to themselves"));
        }
        self.own_bytes += if own { pattern.len() } else { 0 };
        if self.own_bytes > OWN_BYTES_MAX {
            return Err(format!("its patterns come to more than {OWN_BYTES_MAX} bytes"));
        }
        let mut rest = pattern;
        while let Some(at) = rest.find("%{") {
            let (before, reference) = rest.split_at(at);
            self.append(before)?;
            let Some((inner, after)) = reference_of(reference) else {
                let (open, after) = reference.split_at(1);
                self.append(open)?;
                rest = after;
                continue;
            };
            self.reference(inner, depth)?;
            rest = after;
        }
        self.append(rest)
    }

    fn append(&mut self, text: &str) -> Result<(), String> {
        self.out.push_str(text);
        if self.out.len() > WHOLE_BYTES_MAX {
            return Err(format!("with all that it refers to the pattern has more than {WHOLE_BYTES_MAX} bytes"));
        }
        Ok(())
    }

    /// `NAME`, `NAME:key` or `NAME:key:type`.
    fn reference(&mut self, inner: &str, depth: usize) -> Result<(), String> {
        let mut parts = inner.splitn(3, ':');
        let name = parts.next().unwrap_or_default();
        let (written, kind) = (parts.next(), parts.next());
        let key = key_of(written.unwrap_or(name));
        if key.contains('+') {
            return Err(format!("the key `{key}` may have letters, digits, `_` and `.`"));
        }
        if let Some(kind) = kind {
            let known = TYPES.iter().find(|(_, names)| names.contains(&kind));
            let (first, _) = known.ok_or_else(|| format!("`{kind}` is no type: int, long, float, double, bool, string"))?;
            let said = self.types.entry(key.clone()).or_insert((depth, first));
            if said.0 <= depth {
                *said = (depth, first);
            }
        }
        if self.named_only && written.is_none() {
            self.append("(?:")?;
        } else {
            self.append(&format!("(?P<{GROUP}{}>", self.keys.len()))?;
            self.keys.push(key);
        }
        match self.definitions.get(name) {
            Some(own) => self.expand(own, true, depth + 1)?,
            None => self.expand(&library::pattern(name).ok_or_else(|| unknown(name))?, false, depth + 1)?,
        }
        self.append(")")
    }
}

/// What stands between the braces at the start of a text, and what follows; nothing if it is no reference.
fn reference_of(text: &str) -> Option<(&str, &str)> {
    let (inner, after) = text.strip_prefix("%{")?.split_once('}')?;
    let is_word = |part: &str, more: &[u8]| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || more.contains(&byte))
    };
    let parts: Vec<&str> = inner.split(':').collect();
    let fits = match parts.as_slice() {
        [name] => is_word(name, b""),
        [name, key] => is_word(name, b"") && is_word(key, b"+."),
        [name, key, kind] => is_word(name, b"") && is_word(key, b"+.") && is_word(kind, b""),
        _ => false,
    };
    fits.then_some((inner, after))
}

fn unknown(name: &str) -> String {
    let meant = library::names().find(|known| known.eq_ignore_ascii_case(name));
    match meant {
        Some(meant) => format!("there is no pattern `{name}`; `{meant}` is meant?"),
        None => format!("there is no pattern `{name}` here: give it in `pattern_definitions`, as \"{name}=...\""),
    }
}

/// Without a match the map is empty. A group without a text is passed over; of several with one key the last counts.
fn extract<'a>(args: &mut Args<'a>) -> Result<Val<'a>, DataError> {
    let text = args.string(0)?;
    let regex = args.pattern(1)?;
    if text.len() > TEXT_BYTES_MAX || text.len() * regex.captures_len() > GROUP_BYTES_MAX {
        return Err(DataError("too long to be read by patterns with names"));
    }
    let mut map = Keyed::default();
    let Some(captures) = regex.captures(text) else { return Ok(Val::map(map.into_map())) };
    for (group, (key, kind)) in captures.iter().zip(args.texts(2).iter().zip(args.texts(3))) {
        match group.map(|group| group.as_str()) {
            Some(found) if !key.is_empty() && !found.is_empty() => map.set(Cow::Owned(key.clone()), typed(found, kind)?)?,
            _ => {}
        }
    }
    Ok(Val::map(map.into_map()))
}

fn typed(text: &str, kind: &str) -> Result<Value<'static>, DataError> {
    match kind {
        "int" => text.parse().map(Value::Int).map_err(|_| DataError("not a whole number")),
        "double" => parse_double(text).map(Value::Double),
        "bool" => parse_bool(text).map(Value::Bool),
        _ => Ok(Value::String(Cow::Owned(text.to_owned()))),
    }
}

#[cfg(test)]
mod tests;
