//! The part of `XPath` that is understood here.
//!
//! Steps with `/` and `//`: names, `*`, `.`, `text()`, `comment()`, `@name` and `@*`. In brackets: a number, `last()`,
//! a path that must lead somewhere, a path compared with a text by `=` or `!=`, `contains` and `starts-with`.

use super::document::{Document, Kind, ROOT};
use super::local;
use crate::error::DataError;
use crate::functions::bounds::TOO_LARGE;

/// The longest path.
const BYTES_MAX: usize = 1024;
/// How many nodes one path looks at.
const VISITS_MAX: usize = 1_000_000;

/// A step of a path.
#[derive(Debug)]
pub(super) struct Step {
    /// Whether it begins anywhere below.
    descends: bool,
    test: Test,
    conditions: Vec<Condition>,
}

#[derive(Debug)]
enum Test {
    Itself,
    Any,
    Name(String),
    Text,
    Comment,
    AnyAttribute,
    Attribute(String),
}

#[derive(Debug)]
enum Condition {
    Place(usize),
    Last,
    Leads(Vec<Step>),
    Compares { path: Vec<Step>, how: Comparison, text: String },
}

#[derive(Debug, Clone, Copy)]
enum Comparison {
    Equal,
    NotEqual,
    Contains,
    StartsWith,
}

/// What a path leads to, in the order of the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Found {
    /// A node.
    Node(usize),
    /// An element and the place of its attribute.
    Attribute(usize, usize),
}

/// Reads a path.
///
/// # Errors
/// What is not understood here.
pub(super) fn parse(text: &str) -> Result<Vec<Step>, String> {
    if text.len() > BYTES_MAX {
        return Err(format!("a path longer than {BYTES_MAX} bytes"));
    }
    let mut parser = Parser { rest: text.trim() };
    if parser.rest == "/" {
        return Ok(Vec::new());
    }
    let steps = parser.steps(true)?;
    if parser.rest.is_empty() { Ok(steps) } else { Err(parser.refuse()) }
}

struct Parser<'t> {
    rest: &'t str,
}

impl<'t> Parser<'t> {
    fn refuse(&self) -> String {
        format!("this path is not supported here, from `{}` on: only steps, attributes and simple conditions are", self.rest)
    }

    fn eat(&mut self, mark: &str) -> bool {
        let found = self.rest.strip_prefix(mark);
        self.rest = found.unwrap_or(self.rest);
        found.is_some()
    }

    fn blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn name(&mut self) -> Option<&'t str> {
        let is_part = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.' | ':');
        let end = self.rest.find(|letter| !is_part(letter)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at_checked(end)?;
        if name.starts_with(|first: char| !(first.is_alphabetic() || first == '_')) || name.is_empty() || name.contains("::") {
            return None;
        }
        self.rest = rest;
        Some(name)
    }

    /// Steps up to what is none. With conditions only in the outer path.
    fn steps(&mut self, is_outer: bool) -> Result<Vec<Step>, String> {
        let mut steps = Vec::new();
        loop {
            let descends = self.eat("//");
            if !descends && !self.eat("/") && !steps.is_empty() {
                return Ok(steps);
            }
            let test = self.test()?;
            let mut conditions = Vec::new();
            while is_outer && self.eat("[") {
                conditions.push(self.condition()?);
                self.blanks();
                if !self.eat("]") {
                    return Err(self.refuse());
                }
            }
            steps.push(Step { descends, test, conditions });
        }
    }

    fn test(&mut self) -> Result<Test, String> {
        if self.eat("@*") {
            return Ok(Test::AnyAttribute);
        }
        if self.eat("@") {
            return self.name().map(|name| Test::Attribute(name.to_owned())).ok_or_else(|| self.refuse());
        }
        for (mark, test) in [("*", Test::Any), ("text()", Test::Text), ("comment()", Test::Comment)] {
            if self.eat(mark) {
                return Ok(test);
            }
        }
        if !self.rest.starts_with("..") && self.eat(".") {
            return Ok(Test::Itself);
        }
        let before = self.rest;
        match self.name() {
            Some(name) if !self.rest.starts_with('(') => Ok(Test::Name(name.to_owned())),
            _ => {
                self.rest = before;
                Err(self.refuse())
            }
        }
    }

    fn condition(&mut self) -> Result<Condition, String> {
        self.blanks();
        let digits = self.rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(self.rest.len());
        if digits > 0 {
            let (number, rest) = self.rest.split_at_checked(digits).ok_or_else(|| self.refuse())?;
            self.rest = rest;
            return number.parse().map(Condition::Place).map_err(|_| self.refuse());
        }
        if self.eat("last()") {
            return Ok(Condition::Last);
        }
        for (mark, how) in [("contains(", Comparison::Contains), ("starts-with(", Comparison::StartsWith)] {
            if self.eat(mark) {
                self.blanks();
                let path = self.steps(false)?;
                self.blanks();
                if !self.eat(",") {
                    return Err(self.refuse());
                }
                let text = self.text()?;
                self.blanks();
                return if self.eat(")") { Ok(Condition::Compares { path, how, text }) } else { Err(self.refuse()) };
            }
        }
        let path = self.steps(false)?;
        self.blanks();
        let how = if self.eat("!=") {
            Comparison::NotEqual
        } else if self.eat("=") {
            Comparison::Equal
        } else {
            return Ok(Condition::Leads(path));
        };
        Ok(Condition::Compares { path, how, text: self.text()? })
    }

    fn text(&mut self) -> Result<String, String> {
        self.blanks();
        for quote in ["'", "\""] {
            if let Some((text, rest)) = self.rest.strip_prefix(quote).and_then(|rest| rest.split_once(quote)) {
                self.rest = rest;
                return Ok(text.to_owned());
            }
        }
        Err(self.refuse())
    }
}

/// What a path leads to from the document's start.
///
/// # Errors
/// A path that looks at too many nodes.
pub(super) fn select(document: &Document, steps: &[Step]) -> Result<Vec<Found>, DataError> {
    let mut walk = Walk { document, left: VISITS_MAX };
    walk.steps(ROOT, steps)
}

struct Walk<'d> {
    document: &'d Document,
    left: usize,
}

impl Walk<'_> {
    fn visit(&mut self) -> Result<(), DataError> {
        self.left = self.left.checked_sub(1).ok_or(TOO_LARGE)?;
        Ok(())
    }

    fn steps(&mut self, from: usize, steps: &[Step]) -> Result<Vec<Found>, DataError> {
        let mut current = vec![Found::Node(from)];
        for step in steps {
            let mut starts: Vec<usize> =
                current.iter().filter_map(|found| if let Found::Node(at) = found { Some(*at) } else { None }).collect();
            if step.descends {
                starts = self.below(starts)?;
            }
            let mut next = Vec::new();
            for start in starts {
                next.append(&mut self.step(start, step)?);
            }
            next.sort_unstable();
            next.dedup();
            current = next;
        }
        Ok(current)
    }

    /// Nodes and all below them, each once.
    fn below(&mut self, mut open: Vec<usize>) -> Result<Vec<usize>, DataError> {
        let mut seen = vec![false; self.document.len()];
        let mut all = Vec::new();
        while let Some(at) = open.pop() {
            self.visit()?;
            if seen.get_mut(at).is_some_and(|seen| !std::mem::replace(seen, true)) {
                all.push(at);
                open.extend(self.document.children(at));
            }
        }
        Ok(all)
    }

    fn step(&mut self, start: usize, step: &Step) -> Result<Vec<Found>, DataError> {
        let mut found = Vec::new();
        match &step.test {
            Test::Itself => found.push(Found::Node(start)),
            Test::AnyAttribute | Test::Attribute(_) => {
                let mut place = 0;
                while let Some((name, _)) = self.document.attribute(start, place) {
                    self.visit()?;
                    if !matches!(&step.test, Test::Attribute(wanted) if wanted != name) {
                        found.push(Found::Attribute(start, place));
                    }
                    place += 1;
                }
            }
            test => {
                for child in self.document.children(start) {
                    self.visit()?;
                    let fits = match (test, self.document.kind(*child)) {
                        (Test::Any, Some(Kind::Element { .. }))
                        | (Test::Text, Some(Kind::Text(_) | Kind::CharacterData(_)))
                        | (Test::Comment, Some(Kind::Comment(_))) => true,
                        (Test::Name(wanted), Some(Kind::Element { name, .. })) => name == wanted || local(name) == wanted,
                        _ => false,
                    };
                    if fits {
                        found.push(Found::Node(*child));
                    }
                }
            }
        }
        for condition in &step.conditions {
            let count = found.len();
            let mut kept = Vec::new();
            for (place, one) in found.into_iter().enumerate() {
                if self.holds(condition, one, place + 1, count)? {
                    kept.push(one);
                }
            }
            found = kept;
        }
        Ok(found)
    }

    fn holds(&mut self, condition: &Condition, found: Found, place: usize, count: usize) -> Result<bool, DataError> {
        let Found::Node(at) = found else { return Ok(matches!(condition, Condition::Place(wanted) if *wanted == place)) };
        match condition {
            Condition::Place(wanted) => Ok(*wanted == place),
            Condition::Last => Ok(place == count),
            Condition::Leads(path) => Ok(!self.steps(at, path)?.is_empty()),
            Condition::Compares { path, how, text } => {
                for found in self.steps(at, path)? {
                    let mut value = String::new();
                    match found {
                        Found::Node(at) => {
                            self.document.text(at, &mut value);
                            self.left = self.left.checked_sub(value.len() / 16).ok_or(TOO_LARGE)?;
                        }
                        Found::Attribute(at, place) => {
                            value.push_str(self.document.attribute(at, place).map_or("", |(_, value)| value));
                        }
                    }
                    let holds = match how {
                        Comparison::Equal => value == *text,
                        Comparison::NotEqual => value != *text,
                        Comparison::Contains => value.contains(text.as_str()),
                        Comparison::StartsWith => value.starts_with(text.as_str()),
                    };
                    if holds {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
        }
    }
}
