//! Regular expressions: those that match everything or nothing in particular, and those that are slow.

use regex::Regex;
use regex_syntax::hir::{Class, Hir, HirKind};

use super::super::reader::Findings;
use crate::lints::Lint;

/// What a pattern is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// It is asked whether it matches.
    Condition,
    /// What matches is let through.
    Exemption,
    /// Each match is replaced.
    Replacement,
    /// Each match is masked; what is no text counts as the empty one.
    Mask,
}

/// A repetition of so many makes 2 to the power of it states, where each position can be a new start.
const REPEATED_MIN: u32 = 20;
/// What is found so often that a new start lies within the repetition.
const START_CHARS_MAX: usize = 2;
/// A class of so many characters matches most of a text one by one.
const CLASS_CHARS_MIN: u32 = 10;

/// Says what is wrong with a pattern that compiles.
pub(super) fn check(text: &str, used: Use, line: u32, path: &str, findings: &mut Findings) {
    let Ok(pattern) = findings.patterns.compile(text) else { return };
    let is_plain = matches!(text, ".*" | ".+" | "^.*$" | "^.+$" | "^.*" | "(?s).*" | ".");
    let is_asked = matches!(used, Use::Condition | Use::Exemption);
    if is_asked && matches_everything(&pattern) && (used == Use::Exemption || !is_plain) {
        findings.refuse(Lint::PatternMatchesEverything, line, path, format!("the pattern `{text}` matches every text"));
    }
    let message = match used {
        Use::Replacement if matches_between(&pattern) => "what it is replaced by stands between all characters",
        Use::Mask if matches_between(&pattern) => "it masks every number, and puts masks between all characters",
        Use::Mask if pattern.is_match("") => "it masks every number",
        _ => "",
    };
    if !message.is_empty() {
        let message = format!("the pattern `{text}` matches the empty text: {message}");
        findings.refuse(Lint::PatternMatchesEmpty, line, path, message);
    } else if let Some(why) = slow(&pattern, used) {
        findings.refuse(Lint::SlowPattern, line, path, format!("the pattern `{text}` is slow: {why}"));
    }
}

fn matches_everything(pattern: &Regex) -> bool {
    ["", "a", "Z", "0", "-", " ", "/", "a b", "\u{e9}", "\u{65e5}"].iter().all(|probe| pattern.is_match(probe))
}

/// It matches nothing at all in the midst of a text.
fn matches_between(pattern: &Regex) -> bool {
    pattern.is_match("") && pattern.find_iter("\u{1}\u{1}").any(|found| found.is_empty())
}

/// Why a pattern cannot scan 200 MB/s, judged from its syntax alone.
fn slow(pattern: &Regex, used: Use) -> Option<String> {
    let syntax = regex_syntax::parse(pattern.as_str()).ok()?;
    if let Some(times) = explodes(&syntax) {
        return Some(format!("a repetition of {times} in which the pattern can begin anew has 2 to the power of {times} states"));
    }
    let is_replaced =
        matches!(used, Use::Replacement | Use::Mask) && chars(bare(&syntax)).is_some_and(|count| count >= CLASS_CHARS_MIN);
    is_replaced.then(|| "it matches single characters; add a `+` to replace them together".to_owned())
}

/// The expression without the group around it.
fn bare(syntax: &Hir) -> &Hir {
    match syntax.kind() {
        HirKind::Capture(capture) => bare(&capture.sub),
        _ => syntax,
    }
}

/// How many characters a class has.
fn chars(syntax: &Hir) -> Option<u32> {
    let HirKind::Class(class) = syntax.kind() else { return None };
    let count = |start: u32, end: u32| end.saturating_sub(start).saturating_add(1);
    Some(match class {
        Class::Unicode(class) => class.iter().map(|range| count(range.start().into(), range.end().into())).sum(),
        Class::Bytes(class) => class.iter().map(|range| count(range.start().into(), range.end().into())).sum(),
    })
}

/// The bounded repetition within which the pattern can begin again and again, with something to come behind it.
fn explodes(syntax: &Hir) -> Option<u32> {
    match syntax.kind() {
        HirKind::Capture(capture) => explodes(&capture.sub),
        HirKind::Alternation(parts) => parts.iter().find_map(explodes),
        HirKind::Concat(parts) => parts.iter().enumerate().find_map(|(place, part)| {
            let (before, behind) = (parts.get(..place)?, parts.get(place + 1..)?);
            let HirKind::Repetition(repetition) = bare(part).kind() else { return None };
            let times = repetition.max.filter(|most| *most >= REPEATED_MIN)?;
            let is_short = before.iter().map(|part| part.properties().maximum_len()).try_fold(0, |sum, len| Some(sum + len?));
            let begins = before.first().is_some_and(|start| overlap(start, &repetition.sub));
            let goes_on = behind.iter().any(|part| part.properties().minimum_len() > Some(0));
            (is_short.is_some_and(|len| (1..=START_CHARS_MAX * 4).contains(&len)) && begins && goes_on && short(before))
                .then_some(times)
        }),
        _ => None,
    }
}

/// At most so many characters.
fn short(parts: &[Hir]) -> bool {
    let chars: usize = parts
        .iter()
        .map(|part| match bare(part).kind() {
            HirKind::Literal(literal) => std::str::from_utf8(&literal.0).map_or(literal.0.len(), |text| text.chars().count()),
            HirKind::Class(_) => 1,
            _ => START_CHARS_MAX + 1,
        })
        .sum();
    chars <= START_CHARS_MAX
}

/// Whether what the first matches can be a character of the second.
fn overlap(start: &Hir, repeated: &Hir) -> bool {
    let HirKind::Class(Class::Unicode(within)) = bare(repeated).kind() else { return false };
    match bare(start).kind() {
        HirKind::Literal(literal) => {
            let first = std::str::from_utf8(&literal.0).ok().and_then(|text| text.chars().next());
            first.is_some_and(|first| within.iter().any(|range| (range.start()..=range.end()).contains(&first)))
        }
        HirKind::Class(Class::Unicode(class)) => {
            class.iter().any(|one| within.iter().any(|other| one.start() <= other.end() && other.start() <= one.end()))
        }
        _ => false,
    }
}
