//! The attributes that say what was done.

use std::borrow::Cow;

use spanlake_otlp::tree::{Map, Value};

use super::{Redaction, Summary};

/// Keys of one kind: how many, and which where `summary: debug` lists them.
#[derive(Debug, Default)]
pub(super) struct Names<'a> {
    count: u64,
    list: Vec<Cow<'a, str>>,
}

/// What was done to one map.
#[derive(Debug, Default)]
pub(super) struct Report<'a> {
    pub(super) redacted: Names<'a>,
    pub(super) masked: Names<'a>,
    pub(super) allowed: Names<'a>,
    pub(super) ignored: Names<'a>,
}

impl<'a> Names<'a> {
    pub(super) fn add(&mut self, rules: &Redaction, name: impl FnOnce() -> Cow<'a, str>) {
        self.count += 1;
        if rules.summary == Summary::Debug {
            self.list.push(name());
        }
    }

    fn clear(&mut self) {
        self.count = 0;
        self.list.clear();
    }

    fn write(&mut self, summary: Summary, keys: Option<&'static str>, count: &'static str, map: &mut Map<'a>) {
        if self.count == 0 || summary == Summary::Silent {
            return;
        }
        if let (Summary::Debug, Some(keys)) = (summary, keys) {
            let present = map.get(keys).and_then(Value::as_str).unwrap_or_default();
            let mut all: Vec<&str> = self.list.iter().map(AsRef::as_ref).collect();
            all.extend(present.split(',').filter(|_| !present.is_empty()));
            all.sort_unstable();
            let joined = all.join(",");
            map.set(Cow::Borrowed(keys), Value::String(Cow::Owned(joined)));
        }
        let before = match map.get(count) {
            Some(Value::Int(before)) => *before,
            _ => 0,
        };
        let now = i64::try_from(self.count).unwrap_or(i64::MAX).saturating_add(before);
        map.set(Cow::Borrowed(count), Value::Int(now));
    }
}

impl<'a> Report<'a> {
    /// Whether there is something to write.
    pub(super) fn says_something(&self, summary: Summary) -> bool {
        let all = [&self.redacted, &self.masked, &self.allowed, &self.ignored];
        summary != Summary::Silent && all.iter().any(|names| names.count > 0)
    }

    /// Writes what was done to the map itself, and forgets it.
    pub(super) fn write(&mut self, summary: Summary, map: &mut Map<'a>) {
        self.redacted.write(summary, Some("redaction.redacted.keys"), "redaction.redacted.count", map);
        self.masked.write(summary, Some("redaction.masked.keys"), "redaction.masked.count", map);
        self.allowed.write(summary, Some("redaction.allowed.keys"), "redaction.allowed.count", map);
        self.ignored.write(summary, None, "redaction.ignored.count", map);
        self.clear();
    }

    /// Writes what was done to a log's body, and forgets it.
    pub(super) fn write_body(&mut self, summary: Summary, map: &mut Map<'a>) {
        self.redacted.write(summary, Some("redaction.body.redacted.keys"), "redaction.body.redacted.count", map);
        self.masked.write(summary, Some("redaction.body.masked.keys"), "redaction.body.masked.count", map);
        self.allowed.write(summary, Some("redaction.body.allowed.keys"), "redaction.body.allowed.count", map);
        self.ignored.write(summary, None, "redaction.body.ignored.count", map);
        self.clear();
    }

    pub(super) fn clear(&mut self) {
        for names in [&mut self.redacted, &mut self.masked, &mut self.allowed, &mut self.ignored] {
            names.clear();
        }
    }
}
