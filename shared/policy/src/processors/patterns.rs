//! Several patterns of which any may match.

use regex::{Regex, RegexBuilder};

/// How large the combination of all patterns may become, in bytes; what needs more is asked one by one.
const SIZE_MAX_BYTES: usize = 64 << 20;

/// Patterns in their order, and all of them as one, which passes quickly what none of them matches.
#[derive(Debug, Clone, Default)]
pub(crate) struct Patterns {
    each: Vec<Regex>,
    any: Option<Regex>,
}

impl Patterns {
    /// Patterns that have been compiled.
    pub(crate) fn new(each: Vec<Regex>) -> Self {
        let parts: Vec<String> = each.iter().map(|pattern| format!("(?:{})", pattern.as_str())).collect();
        let any = match each.as_slice() {
            [] => None,
            [one] => Some(one.clone()),
            _ => RegexBuilder::new(&parts.join("|")).size_limit(SIZE_MAX_BYTES).dfa_size_limit(SIZE_MAX_BYTES).build().ok(),
        };
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
