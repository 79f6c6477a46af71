//! A log's body: a value of any kind, whose keys are checked like those of attributes.

use std::borrow::Cow;
use std::fmt::Write as _;

use spanlake_otlp::tree::{Map, Value};

use super::keys::Action;
use super::{DEPTH_MAX, MASK, Pass, Summary};
use crate::processors::maps::remove_places;

impl<'a> Pass<'_, 'a> {
    pub(super) fn body(&mut self, body: &mut Value<'a>) {
        self.path.clear();
        match body {
            Value::Map(_) | Value::List(_) => self.body_value(body, 0),
            scalar => {
                // A body that is allowed is not reported: so does the Collector.
                if !self.rules.allowed_values.match_any(&scalar.to_text()) {
                    self.path.push_str("body");
                    self.body_value(scalar, 0);
                }
            }
        }
    }

    fn body_value(&mut self, value: &mut Value<'a>, depth: u32) {
        if depth > DEPTH_MAX {
            *value = Value::String(Cow::Borrowed(MASK));
            self.masked_here();
            return;
        }
        match value {
            Value::Map(map) => self.body_map(map, depth),
            Value::List(items) => {
                for (number, item) in items.iter_mut().enumerate() {
                    let before = self.path.len();
                    self.enter(format_args!("[{number}]"));
                    self.body_value(item, depth + 1);
                    self.path.truncate(before);
                }
            }
            scalar => self.body_scalar(scalar),
        }
    }

    fn body_map(&mut self, map: &mut Map<'a>, depth: u32) {
        let mut doomed = Vec::new();
        for (place, (key, value)) in map.0.iter_mut().enumerate() {
            let plan = self.keys.get(self.rules, key);
            let before = self.path.len();
            if plan.dirty && plan.action != Action::Ignore {
                self.clean(key);
            }
            self.enter(format_args!("{key}"));
            match plan.action {
                Action::Ignore => self.report.ignored.add(self.rules, || Cow::Owned(self.path.clone())),
                Action::Delete => {
                    self.report.redacted.add(self.rules, || Cow::Owned(self.path.clone()));
                    doomed.push(place);
                }
                Action::Mask => {
                    let masked = self.rules.mask.whole(value.as_str().unwrap_or_default());
                    *value = Value::String(Cow::Owned(masked));
                    self.masked_here();
                }
                Action::Search | Action::Summary | Action::Stale => self.body_value(value, depth + 1),
            }
            self.path.truncate(before);
        }
        remove_places(map, &mut doomed);
    }

    fn body_scalar(&mut self, scalar: &mut Value<'a>) {
        let rules = self.rules;
        let text = scalar.to_text();
        if !rules.allowed_values.is_empty() && rules.allowed_values.match_any(&text) {
            self.report.allowed.add(rules, || Cow::Owned(self.path.clone()));
            return;
        }
        let masked = rules.search(&text, true);
        if let Some(masked) = masked {
            *scalar = Value::String(Cow::Owned(masked));
        } else if let Value::Bytes(bytes) = scalar
            && self.is_wide
            && let Some(masked) = self.searched_bytes(bytes)
        {
            *bytes = Cow::Owned(masked.into_bytes());
        } else {
            return;
        }
        self.masked_here();
    }

    fn masked_here(&mut self) {
        self.report.masked.add(self.rules, || Cow::Owned(self.path.clone()));
        self.tally.mask(self.rules.rule);
    }

    /// Goes down by a key or place; paths are only for `summary: debug`.
    fn enter(&mut self, name: std::fmt::Arguments<'_>) {
        if self.rules.summary == Summary::Debug {
            if !self.path.is_empty() {
                self.path.push('.');
            }
            let _infallible = self.path.write_fmt(name);
        }
    }
}
