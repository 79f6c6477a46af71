//! The `redaction` processor: attributes by their keys, and secrets within values.
//!
//! Its core does what the Collector's does. Around it, [`Coverage::Wide`] looks into every other text of a payload:
//! nested values, names, status messages, trace states, links, exemplars, metadata, schema URLs, and keys. There it only
//! masks what `blocked_values` match (a match of nothing is no secret there), and `allowed_values` hold for attributes'
//! values alone. Names of metrics are masked too: they are identifiers, but also texts that a sender has made up, and
//! a pattern that matches one says that it is a secret; two metrics of one masked name are the lesser evil.

mod attributes;
mod body;
mod keys;
mod mask;
mod summary;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeSet;

use keys::KeyCache;
pub(crate) use mask::{MASK, Mask, hex_text};
use spanlake_model::Signal;
use spanlake_otlp::schema::{
    EVENT, EXPONENTIAL_HISTOGRAM_DATA_POINT, HISTOGRAM_DATA_POINT, LOG_RECORD, Message, NUMBER_DATA_POINT, RESOURCE, SCOPE, SPAN,
    SUMMARY_DATA_POINT,
};
use spanlake_otlp::tree::{Node, Payload, Slot, Value};
use spanlake_ottl::DataError;
use summary::Report;

use super::patterns::Patterns;
use super::{Process, Tally};

/// Deeper values are masked whole.
const DEPTH_MAX: u32 = 128;
/// `LogRecord.body`.
const BODY: u32 = 5;
/// `LogRecord.attributes`.
const LOG_ATTRIBUTES: u32 = 6;

/// How much of a payload is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Coverage {
    /// What the Collector's processor looks at: for comparing.
    Core,
    /// Every text: never less than `Core`.
    #[default]
    Wide,
}

/// What is written about the changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Summary {
    /// Nothing.
    #[default]
    Silent,
    /// How many attributes were changed.
    Info,
    /// How many, and which.
    Debug,
}

/// A `redaction` processor.
#[derive(Debug, Clone, Default)]
pub(crate) struct Redaction {
    /// Its number among the rules that mask.
    pub(crate) rule: usize,
    pub(crate) coverage: Coverage,
    /// `None` allows all.
    pub(crate) allowed_keys: Option<BTreeSet<String>>,
    pub(crate) ignored_keys: BTreeSet<String>,
    pub(crate) ignored_key_patterns: Patterns,
    pub(crate) allowed_values: Patterns,
    pub(crate) blocked_key_patterns: Patterns,
    pub(crate) blocked_values: Patterns,
    /// Numbers, truth values, bytes, lists and maps are matched by their text, and become texts when they are masked.
    pub(crate) redact_all_types: bool,
    pub(crate) mask: Mask,
    pub(crate) summary: Summary,
}

impl Redaction {
    /// The text with all `blocked_values` masked in their order; `None` if that changes nothing. A text that grows
    /// without an end is masked whole.
    #[inline]
    fn search(&self, text: &str, empty: bool) -> Option<String> {
        if self.blocked_values.is_empty() || !self.blocked_values.match_any(text) {
            return None;
        }
        self.replace(text, empty)
    }

    fn replace(&self, text: &str, empty: bool) -> Option<String> {
        let bytes_max = self.mask.bytes_max(text);
        let mut current = Cow::Borrowed(text);
        for pattern in self.blocked_values.iter() {
            match self.mask.replace(pattern, &current, empty, bytes_max) {
                Ok(None) => {}
                Ok(Some(masked)) => current = Cow::Owned(masked),
                Err(mask::TooLong) => return Some(MASK.to_owned()),
            }
        }
        match current {
            Cow::Owned(masked) if masked != text => Some(masked),
            _ => None,
        }
    }
}

impl Process for Redaction {
    fn redacts(&self, _signal: Signal) -> bool {
        true
    }

    fn process<'a>(&'a self, payload: &mut Payload<'a>, tally: &mut Tally) -> Result<(), DataError> {
        let empty_masked = self.search("", true);
        let is_wide = self.coverage == Coverage::Wide;
        let mut pass = Pass {
            rules: self,
            is_wide,
            keys: KeyCache::new(),
            empty_masked,
            report: Report::default(),
            doomed: Vec::new(),
            path: String::new(),
            tally,
        };
        for group in &mut payload.groups {
            pass.message(&mut group.resource);
            pass.field(&mut group.schema_url);
            for scope in &mut group.scopes {
                pass.message(&mut scope.scope);
                pass.field(&mut scope.schema_url);
                for item in &mut scope.items {
                    pass.message(&mut item.node);
                }
            }
        }
        Ok(())
    }
}

/// One payload's way through the processor.
struct Pass<'r, 'a> {
    rules: &'r Redaction,
    is_wide: bool,
    keys: KeyCache<'a>,
    /// What becomes of values that are no texts: they read as "".
    empty_masked: Option<String>,
    report: Report<'a>,
    /// Places of attributes that go.
    doomed: Vec<usize>,
    /// Where in a log's body.
    path: String,
    tally: &'r mut Tally,
}

impl<'a> Pass<'_, 'a> {
    fn message(&mut self, node: &mut Node<'a>) {
        let schema = node.schema();
        let covers_attributes = self.is_wide || is_core(schema);
        for (_, slot) in node.slots_mut() {
            match slot {
                Slot::Map(map) if covers_attributes => self.attributes(map),
                Slot::Node(inner) => self.message(inner),
                Slot::Nodes(inner) => inner.iter_mut().for_each(|inner| self.message(inner)),
                Slot::Text(text) => self.field(text),
                Slot::Texts(texts) => texts.iter_mut().for_each(|text| self.field(text)),
                // A log's body comes after its attributes, to which its summary is added.
                Slot::Value(_) | Slot::Map(_) | Slot::Bytes(_) | Slot::Number(_) | Slot::Numbers(_) => {}
            }
        }
        if is(schema, &raw const LOG_RECORD) {
            self.log_body(node);
        }
    }

    fn log_body(&mut self, log: &mut Node<'a>) {
        match log.get_mut(BODY) {
            Some(Slot::Value(body)) => self.body(body),
            // No body at all reads as "".
            _ => {
                if let Some(masked) = self.empty_masked.clone().filter(|_| !self.rules.allowed_values.match_any("")) {
                    log.set(BODY, Slot::Value(Value::String(Cow::Owned(masked))));
                    self.report.masked.add(self.rules, || Cow::Borrowed("body"));
                    self.tally.mask(self.rules.rule);
                }
            }
        }
        if self.report.says_something(self.rules.summary)
            && let Some(attributes) = log.map_mut(LOG_ATTRIBUTES)
        {
            self.report.write_body(self.rules.summary, attributes);
        }
        self.report.clear();
    }

    /// A text that is no attribute: the Collector's processor does not look at it.
    #[inline]
    fn field(&mut self, text: &mut Cow<'a, str>) {
        if self.is_wide
            && !text.is_empty()
            && let Some(masked) = self.rules.search(text, false)
        {
            *text = Cow::Owned(masked);
            self.tally.mask(self.rules.rule);
        }
    }
}

#[inline]
fn is(message: &'static Message, known: *const Message) -> bool {
    std::ptr::eq(message, known)
}

/// Whether the Collector's processor looks at this message's attributes.
fn is_core(message: &'static Message) -> bool {
    [
        &raw const RESOURCE,
        &raw const SCOPE,
        &raw const SPAN,
        &raw const EVENT,
        &raw const LOG_RECORD,
        &raw const NUMBER_DATA_POINT,
        &raw const HISTOGRAM_DATA_POINT,
        &raw const EXPONENTIAL_HISTOGRAM_DATA_POINT,
        &raw const SUMMARY_DATA_POINT,
    ]
    .into_iter()
    .any(|known| is(message, known))
}
