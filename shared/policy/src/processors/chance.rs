//! The `probabilistic_sampler` processor: its decisions put to spans and log records.

use std::borrow::Cow;

use spanlake_model::{Signal, TraceId};
use spanlake_otlp::tree::{Node, Payload, Slot, Value, Want};
use spanlake_ottl::DataError;

use super::{Process, Tally};
use crate::sampling::{Priority, ProbabilisticSampler, Source};

/// The attribute of a span that overrides the percentage.
const PRIORITY: &str = "sampling.priority";
/// Fields of a `Span`: trace id, tracestate, attributes.
const SPAN: (u32, u32, u32) = (1, 3, 9);
/// Fields of a `LogRecord`: trace id, attributes.
const LOG: (u32, u32) = (9, 6);

impl Process for ProbabilisticSampler {
    fn process<'a>(&'a self, payload: &mut Payload<'a>, _tally: &mut Tally) -> Result<(), DataError> {
        let signal = payload.signal;
        payload.groups.retain_mut(|group| {
            group.scopes.retain_mut(|scope| {
                scope.items.retain_mut(|item| match signal {
                    Signal::Traces => self.keeps_span(&mut item.node),
                    Signal::Logs => self.keeps_log(&item.node),
                    Signal::Metrics => true,
                });
                !scope.items.is_empty()
            });
            !group.scopes.is_empty()
        });
        Ok(())
    }

    fn wants(&self, signal: Signal) -> Want {
        let item = match signal {
            Signal::Traces => 1 << SPAN.0 | 1 << SPAN.1 | 1 << SPAN.2,
            Signal::Logs => 1 << LOG.0 | 1 << LOG.1,
            Signal::Metrics => 0,
        };
        Want { resource: 0, scope: 0, item }
    }

    fn runs(&self, signal: Signal) -> bool {
        signal != Signal::Metrics
    }
}

impl ProbabilisticSampler {
    fn keeps_span(&self, span: &mut Node<'_>) -> bool {
        let id = TraceId::from_slice(span.bytes(SPAN.0)).unwrap_or_default();
        let sampled = self.span(&id, span.text(SPAN.1), priority(span, SPAN.2, PRIORITY));
        if let Some(state) = sampled.tracestate.filter(|_| sampled.is_kept) {
            span.set(SPAN.1, Slot::Text(Cow::Owned(state)));
        }
        sampled.is_kept
    }

    fn keeps_log(&self, log: &Node<'_>) -> bool {
        let priority = priority(log, LOG.1, self.priority_attribute());
        let source: Cow<'_, [u8]> = match self.source() {
            Source::TraceId => Cow::Borrowed(log.bytes(LOG.0)),
            Source::Record(key) => match log.map(LOG.1).and_then(|map| map.get(key)) {
                Some(Value::Bytes(bytes)) => Cow::Borrowed(bytes),
                Some(value) => Cow::Owned(value.to_text().into_owned().into_bytes()),
                None => Cow::Borrowed(&[]),
            },
        };
        self.record(&source, priority).is_kept
    }
}

/// What an attribute says about an item's own chance.
#[expect(clippy::cast_precision_loss, reason = "a priority is a small number")]
fn priority<'n>(item: &'n Node<'_>, attributes: u32, key: &str) -> Priority<'n> {
    match item.map(attributes).filter(|_| !key.is_empty()).and_then(|map| map.get(key)) {
        Some(Value::Int(number)) => Priority::Number(*number as f64),
        Some(Value::Double(number)) => Priority::Number(*number),
        Some(Value::String(text)) => Priority::Text(text),
        _ => Priority::None,
    }
}
