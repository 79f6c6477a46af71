//! The patterns of one configuration: each is compiled once, and all are bounded together.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use regex::Regex;

use super::translate::{SIZE_MAX_BYTES, build, describe, translate};

/// The longest pattern. To read three bytes of it can take 5 KiB and some 100 us: a class of all letters, in any case.
const TEXT_BYTES_MAX: usize = 4 << 10;
/// How large all compiled programs may become together.
const TOTAL_MAX_BYTES: usize = 128 << 20;
/// What a program is counted as: the first of these that it fits into, since nobody tells its size. Most take the first.
const SIZES_BYTES: [usize; 3] = [64 << 10, 512 << 10, SIZE_MAX_BYTES];
/// The same for several patterns as one.
const JOINED_SIZES_BYTES: [usize; 4] = [64 << 10, 512 << 10, SIZE_MAX_BYTES, 32 << 20];
/// What of a joined program is unfolded where it runs.
const JOINED_DFA_MAX_BYTES: usize = 64 << 20;

/// Compiles patterns, and remembers them: whoever reads a configuration and whoever judges it ask for the same ones.
#[derive(Debug)]
pub struct PatternCache {
    known: RefCell<BTreeMap<String, Result<Regex, String>>>,
    joined: RefCell<BTreeMap<String, Option<Regex>>>,
    left_bytes: Cell<usize>,
    compiled: Cell<usize>,
}

impl Default for PatternCache {
    fn default() -> Self {
        let (known, joined) = (RefCell::default(), RefCell::default());
        Self { known, joined, left_bytes: Cell::new(TOTAL_MAX_BYTES), compiled: Cell::new(0) }
    }
}

impl PatternCache {
    /// Compiles a Go pattern, or gives what became of it before.
    ///
    /// # Errors
    /// A text that says what is wrong: Go's refusals, or a limit on one pattern or on all of them.
    pub fn compile(&self, pattern: &str) -> Result<Regex, String> {
        self.compile_long(pattern, TEXT_BYTES_MAX)
    }

    /// The same for a pattern that was put together from others, whose length somebody else has bounded.
    ///
    /// # Errors
    /// As above.
    pub(crate) fn compile_long(&self, pattern: &str, bytes_max: usize) -> Result<Regex, String> {
        if let Some(known) = self.known.borrow().get(pattern) {
            return known.clone();
        }
        let compiled = self.compile_anew(pattern, bytes_max);
        self.known.borrow_mut().insert(pattern.to_owned(), compiled.clone());
        compiled
    }

    /// One pattern that matches where any of several does. `None` where there is no room for it: they are asked one by one.
    pub fn join(&self, patterns: &[Regex]) -> Option<Regex> {
        if let [one] = patterns {
            return Some(one.clone());
        }
        let parts: Vec<String> = patterns.iter().map(|pattern| format!("(?:{})", pattern.as_str())).collect();
        let joined = parts.join("|");
        if let Some(known) = self.joined.borrow().get(&joined) {
            return known.clone();
        }
        let compiled = self.within_room(&joined, &JOINED_SIZES_BYTES, JOINED_DFA_MAX_BYTES).ok();
        self.joined.borrow_mut().insert(joined, compiled.clone());
        compiled
    }

    /// How many programs were compiled.
    pub fn compiled(&self) -> usize {
        self.compiled.get()
    }

    fn compile_anew(&self, pattern: &str, bytes_max: usize) -> Result<Regex, String> {
        if pattern.len() > bytes_max {
            return Err(format!("the pattern has {} bytes, and may have {bytes_max}", pattern.len()));
        }
        self.within_room(&translate(pattern)?, &SIZES_BYTES, SIZE_MAX_BYTES)
    }

    /// What is refused takes from the room as well: trying it took as long.
    fn within_room(&self, translated: &str, sizes_bytes: &[usize], dfa_max_bytes: usize) -> Result<Regex, String> {
        let left_bytes = self.left_bytes.get();
        let last_bytes = sizes_bytes.last().copied().unwrap_or_default();
        self.compiled.set(self.compiled.get() + 1);
        for size_bytes in sizes_bytes.iter().copied().filter(|size_bytes| *size_bytes <= left_bytes) {
            self.left_bytes.set(left_bytes - size_bytes);
            match build(translated, size_bytes, dfa_max_bytes) {
                Err(regex::Error::CompiledTooBig(_)) if size_bytes < last_bytes => {}
                compiled => return compiled.map_err(|error| describe(&error)),
            }
        }
        Err("all patterns together need too much memory".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_compiled_once_however_often_it_is_asked_for() {
        let cache = PatternCache::default();
        for pattern in ["a+", "b", "a+", "(", "(", "a+"] {
            assert_eq!(cache.compile(pattern).is_ok(), pattern != "(");
        }
        assert_eq!(cache.compiled(), 3);
        let both = [cache.compile("a+").unwrap(), cache.compile("b").unwrap()];
        assert!(cache.join(&both).unwrap().is_match("xb") && cache.join(&both[..1]).unwrap().is_match("a"));
        assert!(!cache.join(&both).unwrap().is_match("x"));
        assert_eq!(cache.compiled(), 4);
    }

    #[test]
    fn what_has_no_room_is_refused_and_what_is_known_needs_none() {
        let cache = PatternCache::default();
        let refused = (0..2_100).map(|at| cache.compile(&format!("a{at}"))).filter(Result::is_err).count();
        assert_eq!(refused, 2_100 - TOTAL_MAX_BYTES / SIZES_BYTES[0]);
        assert!(cache.compile("a1").is_ok());
        let first: Vec<Regex> = (0..3).map(|at| cache.compile(&format!("a{at}")).unwrap()).collect();
        assert!(cache.join(&first).is_none() && cache.join(&first[..1]).is_some());
    }
}
