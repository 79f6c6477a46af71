//! Several patterns of which any may match.

use regex::Regex;

use crate::regex::PatternCache;

/// Patterns in their order, and all of them as one, which passes quickly what none of them matches.
#[derive(Debug, Clone, Default)]
pub(crate) struct Patterns {
    each: Vec<Regex>,
    any: Option<Regex>,
}

impl Patterns {
    /// Patterns that have been compiled.
    pub(crate) fn new(each: Vec<Regex>, cache: &PatternCache) -> Self {
        let any = if each.is_empty() { None } else { cache.join(&each) };
        Self { each, any }
    }

    /// Whether any of them matches some part of the text.
    #[inline]
    pub(crate) fn match_any(&self, text: &str) -> bool {
        match &self.any {
            Some(any) => any.is_match(text),
            None => self.each.iter().any(|pattern| pattern.is_match(text)),
        }
    }

    /// The patterns in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Regex> {
        self.each.iter()
    }

    /// Whether there are none.
    pub(crate) const fn is_empty(&self) -> bool {
        self.each.is_empty()
    }
}
