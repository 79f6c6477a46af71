//! The `filter` processor: what a condition holds for is dropped.
//!
//! Source: `processor/filterprocessor` (contrib v0.161): resources first, then scopes, items and what is within them; what
//! is below a dropped thing is not looked at. Containers that lose their last go with it.

use spanlake_model::{PerSignal, Signal};
use spanlake_otlp::tree::{Payload, Want};
use spanlake_ottl::{Context, DataError, Frame};

use super::matching::{Item, Selection};
use super::visit::{Fate, visit};
use super::{ErrorMode, Gate, Process, Tally};

/// A `filter` processor.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    /// By signal, from the highest context to the lowest.
    pub(crate) rules: PerSignal<Vec<Drops>>,
    /// The oldest form: what these select stays.
    pub(crate) oldest: PerSignal<Option<Selection>>,
}

/// What is dropped of one context.
#[derive(Debug)]
pub(crate) struct Drops {
    pub(crate) context: Context,
    pub(crate) error_mode: ErrorMode,
    pub(crate) conditions: Vec<Gate>,
}

impl Process for Filter {
    fn process<'a>(&'a self, payload: &mut Payload<'a>, tally: &mut Tally) -> Result<(), DataError> {
        let (now_nanos, mut spent) = (tally.now_nanos, std::mem::take(&mut tally.spent));
        if let Some(selection) = &self.oldest[payload.signal] {
            let (signal, context) = (payload.signal, item_context(payload.signal));
            visit(payload, context, (now_nanos, &mut spent), None, |frame| {
                let item = Item { resource: frame.resource, scope: frame.scope, node: frame.item };
                Ok(if selection.selects(signal, item) { Fate::Keep } else { Fate::Drop })
            })?;
        }
        for drops in &self.rules[payload.signal] {
            visit(payload, drops.context, (now_nanos, &mut spent), None, |frame| drops.fate(frame, tally))?;
        }
        tally.spent = spent;
        Ok(())
    }

    fn wants(&self, signal: Signal) -> Want {
        if self.oldest[signal].is_some() {
            return Want::ALL;
        }
        let each = self.rules[signal].iter();
        let each =
            each.flat_map(|drops| drops.conditions.iter().map(|gate| gate.condition.wants()).chain([drops.context.wants()]));
        each.fold(Want::default(), Want::and)
    }

    fn runs(&self, signal: Signal) -> bool {
        !self.rules[signal].is_empty()
            || self.oldest[signal].as_ref().is_some_and(|old| old.include.is_some() || old.exclude.is_some())
    }
}

/// The context of a signal's items.
const fn item_context(signal: Signal) -> Context {
    match signal {
        Signal::Traces => Context::Span,
        Signal::Logs => Context::Log,
        Signal::Metrics => Context::Metric,
    }
}

impl Drops {
    /// A condition that fails does not hold, and the next one is asked.
    fn fate<'a>(&'a self, frame: &mut Frame<'_, 'a>, tally: &mut Tally) -> Result<Fate, DataError> {
        for Gate { line, condition } in &self.conditions {
            match condition.holds(frame) {
                Ok(true) => return Ok(Fate::Drop),
                Ok(false) => {}
                Err(error) => {
                    tally.fail(*line, error);
                    if self.error_mode == ErrorMode::Propagate {
                        return Err(error);
                    }
                }
            }
        }
        Ok(Fate::Keep)
    }
}
