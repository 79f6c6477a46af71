//! Replacement templates with the rules of Go's `regexp.Expand`.

use regex::{Captures, Regex};

/// A parsed replacement: `$1`, `${1}`, `$name`, `${name}` and `$$`. What Go does not read as one of these stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Number(usize),
    Name(String),
}

impl Template {
    /// Reads a replacement text. Every text is one.
    pub fn new(text: &str) -> Self {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            literal.push_str(before);
            if let Some(after) = after.strip_prefix('$') {
                literal.push('$');
                rest = after;
            } else if let Some((name, after)) = name(after) {
                if !literal.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut literal)));
                }
                parts.push(reference(name));
                rest = after;
            } else {
                literal.push('$');
                rest = after;
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Self { parts }
    }

    /// Appends the replacement for a match.
    pub fn expand(&self, captures: &Captures<'_>, out: &mut String) {
        let _unbounded = self.expand_within(captures, out, usize::MAX);
    }

    /// Appends the replacement for a match, unless `out` became longer than `most` bytes by it: then `None`, and the
    /// replacement stands there in part.
    pub fn expand_within(&self, captures: &Captures<'_>, out: &mut String, most: usize) -> Option<()> {
        for part in &self.parts {
            let text = match part {
                Part::Text(text) => text,
                Part::Number(group) => captures.get(*group).map_or("", |group| group.as_str()),
                Part::Name(name) => captures.name(name).map_or("", |group| group.as_str()),
            };
            if out.len() + text.len() > most {
                return None;
            }
            out.push_str(text);
        }
        Some(())
    }

    /// `text` with every match replaced; `None` if there is none.
    pub fn replace_all(&self, regex: &Regex, text: &str) -> Option<String> {
        if !regex.is_match(text) {
            return None;
        }
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        for captures in regex.captures_iter(text) {
            let Some(whole) = captures.get(0) else { continue };
            out.push_str(text.get(at..whole.start()).unwrap_or_default());
            self.expand(&captures, &mut out);
            at = whole.end();
        }
        out.push_str(text.get(at..).unwrap_or_default());
        Some(out)
    }
}

/// The name after a `$`, with or without braces, and what follows; `None` where Go takes the `$` literally.
fn name(text: &str) -> Option<(&str, &str)> {
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let (inner, braced) = text.strip_prefix('{').map_or((text, false), |inner| (inner, true));
    let end = inner.find(|letter| !is_word(letter)).unwrap_or(inner.len());
    let (name, rest) = inner.split_at_checked(end)?;
    if name.is_empty() {
        return None;
    }
    if braced { rest.strip_prefix('}').map(|rest| (name, rest)) } else { Some((name, rest)) }
}

fn reference(name: &str) -> Part {
    if name.bytes().all(|byte| byte.is_ascii_digit()) {
        name.parse().map_or_else(|_| Part::Text(String::new()), Part::Number)
    } else {
        Part::Name(name.to_owned())
    }
}
