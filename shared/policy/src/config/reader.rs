//! Reading typed values out of the tree, strictly: what is not read is an unknown key.

use super::suggest::question;
use super::yaml::{Entry, Node, Scalar, Tree};
use crate::finding::{Finding, Severity};
use crate::lints::Lint;
use crate::regex::PatternCache;

/// The most findings, the last of which says that there are more.
const FINDINGS_MAX: usize = 1_000;

/// Collects findings while a configuration is read.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) list: Vec<Finding>,
    /// The patterns so far, for the readers and for the linter behind them.
    pub(crate) patterns: PatternCache,
}

impl Findings {
    /// A value that cannot be used: an error of no kind of its own.
    pub(crate) fn error(&mut self, line: u32, path: &str, message: impl Into<String>) {
        self.refuse(Lint::InvalidValue, line, path, message);
    }

    /// A finding with the remedy of its kind.
    pub(crate) fn refuse(&mut self, kind: Lint, line: u32, path: &str, message: impl Into<String>) {
        self.push(Finding::new(kind, line, path, message));
    }

    /// A file with so many is refused: of what is not told, something may be an error.
    fn push(&mut self, finding: Finding) {
        if self.list.len() + 1 < FINDINGS_MAX {
            self.list.push(finding);
        } else if !self.is_full() {
            let message = format!("more than {FINDINGS_MAX} findings: no others are told");
            let line = finding.line.unwrap_or(1);
            self.list.push(Finding::new(Lint::TooLarge, line, "", message).advise("mend what is told, then check again"));
        }
    }

    /// Whether no more findings are told.
    pub(crate) fn is_full(&self) -> bool {
        self.list.len() >= FINDINGS_MAX
    }

    /// A finding with a remedy of its own.
    pub(crate) fn find(&mut self, kind: Lint, line: u32, path: &str, message: impl Into<String>, remedy: impl Into<String>) {
        self.push(Finding::new(kind, line, path, message).advise(remedy));
    }

    /// Something that the Collector has and Spanlake does not have yet.
    pub(crate) fn unsupported(&mut self, line: u32, path: &str, what: &str) {
        self.refuse(Lint::NotSupported, line, path, format!("{what} is not supported yet"));
    }

    /// Whether there are errors at a path or below it.
    pub(crate) fn has_errors_in(&self, path: &str) -> bool {
        let below = |at: &str| at.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
        self.list.iter().any(|finding| finding.severity == Severity::Error && below(&finding.path))
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.list.iter().any(|finding| finding.severity == Severity::Error)
    }

    fn wrong_type(&mut self, tree: &Tree, path: &str, expected: &str) {
        self.refuse(Lint::WrongType, tree.line, path, format!("expected {expected}, found {}", tree.describe()));
    }
}

/// A map that is being read key by key.
pub(crate) struct Fields<'a> {
    pub(crate) path: String,
    pub(crate) line: u32,
    entries: &'a [Entry],
    used: Vec<&'a str>,
    /// Keys that were asked for and are not there: what a misspelt one may be meant for.
    missing: Vec<String>,
}

impl<'a> Fields<'a> {
    /// The map at `tree`; nothing counts as an empty map. Anything else is an error.
    pub(crate) fn new(tree: &'a Tree, path: impl Into<String>, findings: &mut Findings) -> Self {
        let path = path.into();
        let entries = match &tree.node {
            Node::Map(entries) => entries.as_slice(),
            _ if tree.is_null() => &[],
            _ => {
                findings.wrong_type(tree, &path, "a map");
                &[]
            }
        };
        Self { path, line: tree.line, entries, used: Vec::new(), missing: Vec::new() }
    }

    pub(crate) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The entry of this key, which counts as read. An empty value is as good as none.
    pub(crate) fn entry(&mut self, key: &str) -> Option<&'a Entry> {
        let entry = self.entries.iter().find(|entry| entry.key == key);
        match entry {
            Some(entry) => self.used.push(&entry.key),
            None => self.missing.push(key.to_owned()),
        }
        entry
    }

    /// The value of this key; `None` where it is absent or empty.
    pub(crate) fn get(&mut self, key: &str) -> Option<&'a Tree> {
        self.entry(key).map(|entry| &entry.value).filter(|value| !value.is_null())
    }

    /// The line of a key, or of the map.
    pub(crate) fn line_of(&self, key: &str) -> u32 {
        self.entries.iter().find(|entry| entry.key == key).map_or(self.line, |entry| entry.line)
    }

    /// All entries, which count as read.
    pub(crate) fn all(&mut self) -> &'a [Entry] {
        self.used = self.entries.iter().map(|entry| entry.key.as_str()).collect();
        self.entries
    }

    pub(crate) fn map(&mut self, key: &str, findings: &mut Findings) -> Option<Self> {
        let path = self.path_of(key);
        self.get(key).map(|tree| Fields::new(tree, path, findings))
    }

    /// The elements of a list.
    pub(crate) fn list(&mut self, key: &str, findings: &mut Findings) -> &'a [Tree] {
        let path = self.path_of(key);
        match self.get(key) {
            None => &[],
            Some(Tree { node: Node::List(items), .. }) => items,
            Some(other) => {
                findings.wrong_type(other, &path, "a list");
                &[]
            }
        }
    }

    pub(crate) fn string(&mut self, key: &str, findings: &mut Findings) -> Option<&'a str> {
        let path = self.path_of(key);
        self.get(key).and_then(|tree| string(tree, &path, findings))
    }

    /// A list of texts with their lines; one text stands for a list of one and is cut at its commas, as upstream does.
    pub(crate) fn strings(&mut self, key: &str, findings: &mut Findings) -> Vec<(u32, &'a str)> {
        let path = self.path_of(key);
        match self.get(key) {
            None => Vec::new(),
            Some(Tree { node: Node::List(items), .. }) => {
                items.iter().filter_map(|item| string(item, &path, findings).map(|text| (item.line, text))).collect()
            }
            Some(tree @ Tree { node: Node::Map(_), .. }) => {
                findings.wrong_type(tree, &path, "a list of texts");
                Vec::new()
            }
            Some(tree) => {
                let text = string(tree, &path, findings).unwrap_or_default();
                text.split(',').filter(|text| !text.is_empty()).map(|text| (tree.line, text)).collect()
            }
        }
    }

    pub(crate) fn bool(&mut self, key: &str, findings: &mut Findings) -> Option<bool> {
        let path = self.path_of(key);
        let tree = self.get(key)?;
        let value = plain(tree).and_then(as_bool);
        if value.is_none() {
            findings.wrong_type(tree, &path, "true or false");
        }
        value
    }

    /// A whole number; as upstream a fraction is cut off, with a warning, and one out of range is bent into it.
    #[expect(clippy::cast_possible_truncation, reason = "a cast from float saturates, which is what is wanted")]
    pub(crate) fn integer(&mut self, key: &str, range: (i64, i64), findings: &mut Findings) -> Option<i64> {
        let path = self.path_of(key);
        let tree = self.get(key)?;
        let Some(number) = plain(tree).and_then(as_number) else {
            findings.wrong_type(tree, &path, "a whole number");
            return None;
        };
        let whole = match number {
            Number::Int(value) => value,
            Number::Float(value) => {
                if value.fract() != 0.0 {
                    findings.find(
                        Lint::FractionCutOff,
                        tree.line,
                        &path,
                        format!("a fraction is cut off: {}", value.trunc()),
                        "write a whole number",
                    );
                }
                i128::from(value as i64)
            }
        };
        if range.0 == 0 && whole < 0 {
            findings.wrong_type(tree, &path, "a number that is not negative");
            return None;
        }
        let bent = whole.clamp(i128::from(range.0), i128::from(range.1));
        if bent != whole {
            let text = format!("{whole} does not fit: {bent} is taken (the Collector lets it wrap)");
            findings.find(Lint::NumberOutOfRange, tree.line, &path, text, "write a number of the expected size");
        }
        i64::try_from(bent).ok()
    }

    #[expect(clippy::cast_precision_loss, reason = "a percentage of more than 2^53 is no percentage")]
    pub(crate) fn float(&mut self, key: &str, findings: &mut Findings) -> Option<f64> {
        let path = self.path_of(key);
        let tree = self.get(key)?;
        match plain(tree).and_then(as_number) {
            Some(Number::Int(value)) => Some(value as f64),
            Some(Number::Float(value)) if value.is_finite() => Some(value),
            _ => {
                findings.wrong_type(tree, &path, "a number");
                None
            }
        }
    }

    /// A Go duration in milliseconds, rounded down; negative ones count as 0, with a warning.
    pub(crate) fn duration_ms(&mut self, key: &str, findings: &mut Findings) -> Option<u64> {
        let path = self.path_of(key);
        let tree = self.get(key)?;
        let Node::Scalar(scalar) = &tree.node else {
            findings.wrong_type(tree, &path, "a duration");
            return None;
        };
        let bare = if scalar.plain { as_number(&scalar.text) } else { None };
        let nanos = match bare {
            Some(Number::Int(value)) => {
                if value != 0 {
                    let advice = "write a unit: `10s`, `500ms`";
                    findings.find(
                        Lint::DurationWithoutUnit,
                        tree.line,
                        &path,
                        "a number without a unit counts as nanoseconds",
                        advice,
                    );
                }
                Some(value)
            }
            _ => duration_nanos(&scalar.text),
        };
        let Some(nanos) = nanos else {
            findings.wrong_type(tree, &path, "a duration such as 10s or 1m30s");
            return None;
        };
        if nanos < 0 {
            findings.find(
                Lint::NegativeDuration,
                tree.line,
                &path,
                "a negative duration counts as 0",
                "write a duration that is not negative",
            );
        }
        Some(u64::try_from(nanos.max(0) / 1_000_000).unwrap_or(u64::MAX))
    }

    /// Reports every key that nothing has asked for.
    pub(crate) fn finish(self, findings: &mut Findings) {
        for entry in self.entries.iter().filter(|entry| !self.used.contains(&entry.key.as_str())) {
            if findings.is_full() {
                return;
            }
            let question = question(&entry.key, self.missing.iter().map(String::as_str));
            let message = format!("unknown key `{}`{question}", entry.key);
            findings.refuse(Lint::UnknownKey, entry.line, &self.path_of(&entry.key), message);
        }
    }
}

/// A text: quoted, or plain and of no other type, or out of a variable, whatever that looks like.
pub(crate) fn string<'a>(tree: &'a Tree, path: &str, findings: &mut Findings) -> Option<&'a str> {
    match &tree.node {
        Node::Scalar(Scalar { text, plain: false, .. } | Scalar { text, variable: true, .. }) => Some(text),
        Node::Scalar(Scalar { text, .. }) if !tree.is_null() && as_bool(text).is_none() && as_number(text).is_none() => {
            Some(text)
        }
        Node::Scalar(_) => {
            findings.wrong_type(tree, path, "a text (put it in quotes)");
            None
        }
        Node::Map(_) | Node::List(_) => {
            findings.wrong_type(tree, path, "a text");
            None
        }
    }
}

fn plain(tree: &Tree) -> Option<&str> {
    match &tree.node {
        Node::Scalar(Scalar { text, plain: true, .. }) => Some(text),
        _ => None,
    }
}

pub(super) fn as_bool(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

pub(super) enum Number {
    Int(i128),
    Float(f64),
}

/// A number as YAML's core schema has it, with the older octal form.
pub(super) fn as_number(text: &str) -> Option<Number> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    let radix = |prefix: &str, radix: u32| {
        let rest = digits.strip_prefix(prefix)?;
        rest.bytes().all(|byte| byte.is_ascii_alphanumeric()).then(|| i128::from_str_radix(rest, radix).ok())?
    };
    let decimal = || digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<i128>().ok())?;
    let octal = || if digits.len() > 1 { radix("0", 8) } else { None };
    let int = radix("0x", 16).or_else(|| radix("0o", 8)).or_else(|| radix("0b", 2)).or_else(octal).or_else(decimal);
    if let Some(value) = int {
        return Some(Number::Int(if negative { -value } else { value }));
    }
    let float = match digits {
        ".inf" | ".Inf" | ".INF" => Some(f64::INFINITY),
        ".nan" | ".NaN" | ".NAN" => Some(f64::NAN),
        _ if digits.starts_with(|first: char| first.is_ascii_digit() || first == '.')
            && digits.bytes().any(|byte| byte.is_ascii_digit())
            && digits.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte)) =>
        {
            digits.parse::<f64>().ok()
        }
        _ => None,
    };
    float.map(|value| Number::Float(if negative { -value } else { value }))
}

/// Go's `time.ParseDuration`, in nanoseconds.
#[expect(clippy::cast_possible_truncation, reason = "a cast from float saturates; a part is far below i128")]
pub(super) fn duration_nanos(text: &str) -> Option<i128> {
    let (negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let number = rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
        let value: f64 = rest.get(..number)?.parse().ok()?;
        rest = rest.get(number..)?;
        let unit = rest.bytes().take_while(|byte| !byte.is_ascii_digit() && *byte != b'.').count();
        let scale = match rest.get(..unit)? {
            "ns" => 1.0,
            "us" | "\u{b5}s" | "\u{3bc}s" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 6e10,
            "h" => 3.6e12,
            _ => return None,
        };
        total = total.checked_add((value * scale).round() as i128)?;
        rest = rest.get(unit..)?;
    }
    (total <= i128::from(i64::MAX)).then_some(if negative { -total } else { total })
}
