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
const SIZES_BYTES: [usize; 4] = [64 << 10, 512 << 10, 1 << 20, SIZE_MAX_BYTES];
/// What a pattern that is longer than usual takes beside its program, for each of its bytes.
const LONG_BYTES: usize = 4;
/// The most groups of one pattern.
const GROUPS_MAX: usize = 200;
/// So many groups are no matter.
const GROUPS_FREE: usize = 8;
/// A search for groups notes where each begins and ends, for each state of the program. The most that one program's size times its
/// groups may be, of which it takes about a quarter; and of all programs together.
const NOTES_MAX_BYTES: usize = 64 << 20;
const NOTES_TOTAL_MAX_BYTES: usize = 256 << 20;
const NO_ROOM: &str = "all patterns together need too much memory";
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
    left_notes_bytes: Cell<usize>,
    compiled: Cell<usize>,
}

impl Default for PatternCache {
    fn default() -> Self {
        let (known, joined) = (RefCell::default(), RefCell::default());
        let (left_bytes, left_notes_bytes) = (Cell::new(TOTAL_MAX_BYTES), Cell::new(NOTES_TOTAL_MAX_BYTES));
        Self { known, joined, left_bytes, left_notes_bytes, compiled: Cell::new(0) }
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
        // It is not remembered either: what is refused so has no bound.
        self.has_room()?;
        let compiled = self.compile_anew(pattern, bytes_max);
        self.known.borrow_mut().insert(pattern.to_owned(), compiled.clone());
        compiled
    }

    /// Whether there is room for any other pattern.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn has_room(&self) -> Result<(), String> {
        if self.left_bytes.get() < SIZES_BYTES[0] { Err(NO_ROOM.to_owned()) } else { Ok(()) }
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
        if pattern.len() > TEXT_BYTES_MAX {
            let left_bytes = self.left_bytes.get().checked_sub(pattern.len() * LONG_BYTES);
            self.left_bytes.set(left_bytes.ok_or(NO_ROOM)?);
        }
        let translated = translate(pattern)?;
        let before_bytes = self.left_bytes.get();
        let regex = self.within_room(&translated, &SIZES_BYTES, SIZE_MAX_BYTES)?;
        let (groups, size_bytes) = (regex.captures_len(), before_bytes - self.left_bytes.get());
        if groups > GROUPS_FREE {
            let notes_bytes = groups * size_bytes;
            if groups > GROUPS_MAX || notes_bytes > NOTES_MAX_BYTES {
                return Err(format!("{groups} groups are too many for its size: write (?:...) around what is not taken"));
            }
            self.left_notes_bytes.set(self.left_notes_bytes.get().checked_sub(notes_bytes).ok_or(NO_ROOM)?);
        }
        Ok(regex)
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
        Err(NO_ROOM.to_owned())
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
        assert!(cache.known.borrow().len() < 2_100 && cache.has_room().is_err(), "what has no room is not remembered");
    }

    #[test]
    fn groups_take_room_by_their_number_and_the_size_of_the_program() {
        let refused = |pattern: &str| PatternCache::default().compile(pattern).is_err_and(|error| error.contains("too many"));
        assert!(!refused(&"(a)".repeat(GROUPS_MAX - 1)) && refused(&"(a)".repeat(GROUPS_MAX)));
        let large = format!("{}{}", "(b)".repeat(30), "[a-z]{1000}".repeat(30));
        assert!(refused(&large) && !refused(&large.replace('(', "(?:")));
        let cache = PatternCache::default();
        let many = (0..200).filter(|at| cache.compile(&format!("{at}{}", "(a)".repeat(100))).is_ok()).count();
        assert_eq!(many, NOTES_TOTAL_MAX_BYTES / (101 * SIZES_BYTES[0]));
    }
}
