//! Attributes, and what is nested in them.

use std::borrow::Cow;

use spanlake_otlp::tree::{Map, Value};

use super::keys::{Action, KeyPlan};
use super::{DEPTH_MAX, MASK, Pass};
use crate::processors::maps::remove_places;

impl<'a> Pass<'_, 'a> {
    /// A message's attributes.
    pub(super) fn attributes(&mut self, map: &mut Map<'a>) {
        for (place, (key, value)) in map.0.iter_mut().enumerate() {
            let plan = self.keys.get(self.rules, key);
            if plan.dirty && plan.action != Action::Ignore {
                self.clean(key);
            }
            let name = || key.clone();
            match plan.action {
                Action::Ignore => self.report.ignored.add(self.rules, name),
                Action::Delete => {
                    self.report.redacted.add(self.rules, name);
                    self.doomed.push(place);
                }
                Action::Stale => self.doomed.push(place),
                Action::Summary => {
                    if self.is_wide && self.nested(value, 0) {
                        self.tally.mask(self.rules.rule);
                    }
                }
                Action::Search | Action::Mask => self.attribute(key, value, plan),
            }
        }
        remove_places(map, &mut self.doomed);
        self.doomed.clear();
        self.report.write(self.rules.summary, map);
    }

    #[expect(clippy::ptr_arg, reason = "a report shares what is borrowed from the request")]
    fn attribute(&mut self, key: &Cow<'a, str>, value: &mut Value<'a>, plan: KeyPlan) {
        let rules = self.rules;
        let text = match &*value {
            Value::String(text) => Some(Cow::Borrowed(&**text)),
            other if rules.redact_all_types => Some(other.to_text()),
            _ => None,
        };
        if !rules.allowed_values.is_empty() && rules.allowed_values.match_any(text.as_deref().unwrap_or_default()) {
            self.report.allowed.add(rules, || key.clone());
            // What reads as "" only for being no text is not what the pattern means.
            if text.is_none() && self.is_wide && self.nested(value, 0) {
                self.report.masked.add(rules, || key.clone());
                self.tally.mask(rules.rule);
            }
            return;
        }
        let masked = match &text {
            _ if plan.action == Action::Mask => Some(rules.mask.whole(text.as_deref().unwrap_or_default())),
            Some(text) => rules.search(text, true),
            None => self.empty_masked.clone(),
        };
        let changed = match masked {
            Some(masked) => {
                *value = Value::String(Cow::Owned(masked));
                true
            }
            None => self.is_wide && !matches!(value, Value::String(_)) && self.nested(value, 0),
        };
        if changed {
            self.report.masked.add(rules, || key.clone());
            self.tally.mask(rules.rule);
        }
    }

    /// Masks what a value holds at any depth, each text for itself; whether that changes anything. A nested key's
    /// attribute is masked where the key is blocked, and never deleted: only the body's are.
    pub(super) fn nested(&mut self, value: &mut Value<'a>, depth: u32) -> bool {
        if depth > DEPTH_MAX {
            *value = Value::String(Cow::Borrowed(MASK));
            return true;
        }
        match value {
            Value::String(text) => {
                if self.rules.allowed_values.match_any(text) {
                    return false;
                }
                let masked = self.rules.search(text, false);
                masked.map(|masked| *text = Cow::Owned(masked)).is_some()
            }
            Value::Bytes(bytes) => {
                let masked = self.searched_bytes(bytes);
                masked.map(|masked| *bytes = Cow::Owned(masked.into_bytes())).is_some()
            }
            Value::List(items) => items.iter_mut().fold(false, |changed, item| self.nested(item, depth + 1) | changed),
            Value::Map(map) => {
                map.0.iter_mut().fold(false, |changed, (key, value)| self.nested_pair(key, value, depth + 1) | changed)
            }
            Value::Empty | Value::Bool(_) | Value::Int(_) | Value::Double(_) => false,
        }
    }

    fn nested_pair(&mut self, key: &mut Cow<'a, str>, value: &mut Value<'a>, depth: u32) -> bool {
        let plan = self.keys.get(self.rules, key);
        if plan.action == Action::Ignore {
            return false;
        }
        let is_cleaned = plan.dirty && self.clean(key);
        if plan.blocked {
            let masked = self.rules.mask.whole(value.as_str().unwrap_or_default());
            *value = Value::String(Cow::Owned(masked));
            return true;
        }
        self.nested(value, depth) | is_cleaned
    }

    /// What bytes become that hold a secret as text; of bytes that are no text nothing is left.
    pub(super) fn searched_bytes(&self, bytes: &[u8]) -> Option<String> {
        match std::str::from_utf8(bytes) {
            Ok(text) => self.rules.search(text, false),
            Err(_) => self.rules.search(&String::from_utf8_lossy(bytes), false).map(|_| MASK.to_owned()),
        }
    }

    /// Masks a key's own text.
    pub(super) fn clean(&mut self, key: &mut Cow<'a, str>) -> bool {
        let Some(masked) = self.rules.search(key, false) else { return false };
        *key = Cow::Owned(masked);
        self.tally.mask(self.rules.rule);
        true
    }
}
