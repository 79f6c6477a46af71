//! Items as wire bytes, with everything masked that a rule matches.
//!
//! An item is walked once along the schema's tables. At each string position the stages of its signal's pipeline run in
//! their order (facts for sampling are taken at the place of `tail_sampling`); what changes is noted as an edit. An item
//! without edits is copied whole; otherwise it is written again with its edits. Unknown fields are removed: they reach
//! no table and could hide text.
//!
//! It fails closed: an item that can't be walked is dropped. Ingest lets no text pass that is not UTF-8; what is none all the
//! same is masked whole, and so is a text that rules make grow without an end.

mod builtin;
mod clean;
mod edits;
mod keys;
mod scratch;
#[cfg(test)]
mod tests;
mod values;
mod walk;

use spanlake_model::{Signal, SpanId, TraceId};
pub use spanlake_otlp::payload::Context;
use spanlake_otlp::schema::{self, RESOURCE, SCOPE};
use spanlake_otlp::wire::{Reader, Value};

pub use builtin::Detector;
pub(crate) use builtin::{HashKey, Masking, RULE_NAMES as BUILTIN_RULES, is_secret_name};
pub use scratch::Scratch;
use walk::Walk;

use crate::rules::{Owner, Rules};
use crate::sampling::SpanFacts;

/// What replaces a secret.
pub(crate) const MASK: &str = "****";

/// The ledger's reason for items that can't be walked.
const MALFORMED: &str = "malformed";

/// What a context contributes to the facts of its spans.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ContextFacts {
    /// Bits that hold for every span of the context.
    pub bits: u64,
}

/// A context after the rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MaskedContext {
    /// The `Resource` message.
    pub resource: Vec<u8>,
    /// `Resource*.schema_url`.
    pub resource_schema_url: Vec<u8>,
    /// The `InstrumentationScope` message.
    pub scope: Vec<u8>,
    /// `Scope*.schema_url`.
    pub scope_schema_url: Vec<u8>,
    /// What every span of the context inherits.
    pub facts: ContextFacts,
    /// The masked `service.name`; empty where there is none.
    pub service_name: String,
    /// The masked `deployment.environment.name` (or the older `deployment.environment`); empty where there is none.
    pub deployment_environment: String,
    /// Set where the resource or scope could not be read; every item of the context is then dropped for this reason.
    pub dropped: Option<&'static str>,
}

/// What a span is known by, as it came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SpanHead {
    /// Its trace's id; zeros where there is none.
    pub trace: TraceId,
    /// Its own id.
    pub span: SpanId,
    /// Its parent's; zeros for a root.
    pub parent: SpanId,
    /// Where its name begins and ends in the item.
    pub name: (usize, usize),
    /// `Status.code`, whatever its number.
    pub status: u8,
}

/// What became of an item.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ItemOutcome {
    /// Facts of a span; all zero for other signals.
    pub facts: SpanFacts,
    /// Why the item was dropped, as a ledger reason; then nothing was appended.
    pub dropped: Option<&'static str>,
    /// Whether its final bytes are others than those that came.
    pub is_changed: bool,
    /// What a span is known by; nothing for other signals.
    pub head: SpanHead,
}

impl Rules {
    /// Applies the rules to what a group of items has in common.
    #[must_use]
    pub fn context(&self, signal: Signal, context: Context<'_>, scratch: &mut Scratch) -> MaskedContext {
        let mut masked = MaskedContext::default();
        let mut walk = Walk::new(self, signal, scratch);
        let resource = walk.message(&RESOURCE, Owner::Resource, context.resource, &mut masked.resource);
        masked.facts.bits = walk.bits();
        let scope = walk.message(&SCOPE, Owner::Scope, context.scope, &mut masked.scope);
        if resource.is_err() || scope.is_err() {
            return MaskedContext { dropped: Some(MALFORMED), ..MaskedContext::default() };
        }
        walk.plain_text(context.resource_schema_url, &mut masked.resource_schema_url);
        walk.plain_text(context.scope_schema_url, &mut masked.scope_schema_url);
        masked.service_name = attribute(&masked.resource, "service.name").unwrap_or_default();
        masked.deployment_environment = attribute(&masked.resource, "deployment.environment.name")
            .or_else(|| attribute(&masked.resource, "deployment.environment"))
            .unwrap_or_default();
        masked
    }

    /// Applies the rules to an item (`Span`, `LogRecord` or `Metric`) of a context that [`Rules::context`] made with
    /// the same rules, and appends its final bytes to `out`.
    pub fn item(
        &self,
        signal: Signal,
        context: &MaskedContext,
        item: &[u8],
        out: &mut Vec<u8>,
        scratch: &mut Scratch,
    ) -> ItemOutcome {
        let outcome = self.changed_item(signal, context, item, out, scratch);
        if !outcome.is_changed && outcome.dropped.is_none() {
            out.extend_from_slice(item);
        }
        outcome
    }

    /// As [`Rules::item`], but appends nothing where the item stays as it came: most do.
    pub fn changed_item(
        &self,
        signal: Signal,
        context: &MaskedContext,
        item: &[u8],
        out: &mut Vec<u8>,
        scratch: &mut Scratch,
    ) -> ItemOutcome {
        let dropped = |reason| ItemOutcome { dropped: Some(reason), ..ItemOutcome::default() };
        if let Some(reason) = context.dropped {
            return dropped(reason);
        }
        let owner = match signal {
            Signal::Traces => Owner::Span,
            Signal::Logs => Owner::Log,
            Signal::Metrics => Owner::Metric,
        };
        let length = out.len();
        let mut walk = Walk::new(self, signal, scratch);
        let Ok(is_changed) = walk.changed(schema::item(signal), owner, item, out) else {
            out.truncate(length);
            return dropped(MALFORMED);
        };
        if signal != Signal::Traces {
            return ItemOutcome { is_changed, ..ItemOutcome::default() };
        }
        let mut facts = walk.facts(item.len());
        facts.bits |= context.facts.bits;
        ItemOutcome { facts, dropped: None, is_changed, head: walk.head() }
    }
}

/// The string value of a resource attribute; of several of one name the first.
fn attribute(resource: &[u8], name: &str) -> Option<String> {
    let mut fields = Reader::new(resource);
    while let Ok(Some(field)) = fields.next() {
        let (1, Value::Len(pair)) = (field.number, field.value) else { continue };
        let (mut key, mut value) = (None, None);
        let mut inner = Reader::new(pair);
        while let Ok(Some(field)) = inner.next() {
            match field.number {
                1 => key = field.value.bytes(),
                2 => value = field.value.bytes(),
                _ => {}
            }
        }
        if key != Some(name.as_bytes()) {
            continue;
        }
        let mut text = None;
        let mut inner = Reader::new(value.unwrap_or_default());
        while let Ok(Some(field)) = inner.next() {
            text = if field.number == 1 { field.value.bytes() } else { None };
        }
        return text.and_then(|text| String::from_utf8(text.to_vec()).ok());
    }
    None
}
