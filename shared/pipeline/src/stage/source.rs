//! A record's payload as it is staged: as it came, or behind the processors of its pipeline.

use std::borrow::Cow;

use spanlake_model::Signal;
use spanlake_otlp::payload::{Items as PayloadItems, item_count};
use spanlake_policy::{Rules, Scratch, SpanFacts};

use super::{Fate, InForce};
use crate::codec::Damaged;
use crate::envelope::Items;
use crate::ledger::Account;

/// An export request, and where each of its items came from.
pub(super) struct Source<'p> {
    pub(super) payload: Cow<'p, [u8]>,
    /// For each item its place in the record; `None` where it is the same.
    origins: Option<Vec<u32>>,
    /// By place in the record: what `tail_sampling` knows, where processors have changed the span since.
    facts: Option<Vec<Option<SpanFacts>>>,
    /// The same under the rules before.
    previous: Option<Vec<Option<SpanFacts>>>,
}

impl<'p> Source<'p> {
    /// Sends a payload through the processors of the rules in force, and counts what they drop of what is taken.
    pub(super) fn new(
        items: &Items<'_>,
        payload: &'p [u8],
        fates: &[Fate],
        (force, now_nanos): (&InForce, i64),
        account: &mut Account,
        (scratch, scratch_before): (&mut Scratch, &mut Scratch),
    ) -> Result<Self, Damaged> {
        let signal = items.signal;
        let previous = force.previous.as_deref().filter(|_| signal == Signal::Traces);
        let is_apart = |rules: &Rules| signal == Signal::Traces && rules.reads_facts_apart();
        let changes = force.rules.has_processors(signal);
        if !changes && !is_apart(&force.rules) && !previous.is_some_and(is_apart) {
            return Ok(Self { payload: Cow::Borrowed(payload), origins: None, facts: None, previous: None });
        }
        let damaged = |_| Damaged("payload is not OTLP");
        let previous = previous.map(|rules| rules.facts(payload, now_nanos, scratch_before)).transpose().map_err(damaged)?;
        if !changes {
            let facts = is_apart(&force.rules).then(|| force.rules.facts(payload, now_nanos, scratch));
            let facts = facts.transpose().map_err(damaged)?;
            return Ok(Self { payload: Cow::Borrowed(payload), origins: None, facts, previous });
        }
        let processed = force.rules.process(signal, payload, now_nanos, scratch).map_err(damaged)?;
        for lost in &processed.lost {
            if fate(items, fates, lost.origin as usize)? == Fate::Taken {
                account.committed += lost.count;
                account.drop_items(&lost.reason, lost.count);
            }
        }
        // What was seen before may be among what was dropped now: it is counted as it came.
        let (mut all, mut place) = (PayloadItems::new(payload), 0);
        while let Some(item) = all.next().map_err(|_| Damaged("payload is not OTLP"))? {
            if fate(items, fates, place)? == Fate::Seen {
                account.duplicates += item_count(signal, item.bytes);
            }
            place += 1;
        }
        let facts = (signal == Signal::Traces).then_some(processed.facts);
        Ok(Self { payload: Cow::Owned(processed.payload), origins: Some(processed.origins), facts, previous })
    }

    /// Whether its items are where they were inflated to.
    pub(super) const fn is_as_it_came(&self) -> bool {
        matches!(self.payload, Cow::Borrowed(_))
    }

    /// Whether duplicates are counted already.
    pub(super) const fn has_counted(&self) -> bool {
        self.origins.is_some()
    }

    /// The place in the record of the item at `place`.
    pub(super) fn origin(&self, place: usize) -> Option<usize> {
        match &self.origins {
            None => Some(place),
            Some(origins) => origins.get(place).map(|origin| *origin as usize),
        }
    }

    /// What was known of an item at the place of `tail_sampling`: under the rules in force, and under those before.
    /// `None` where what is staged tells.
    pub(super) fn facts(&self, origin: usize) -> (Option<SpanFacts>, Option<SpanFacts>) {
        // Without `tail_sampling` no facts are taken apart: what is staged tells. Under the rules before, a span that their
        // processors dropped has none.
        let facts = self.facts.as_ref().and_then(|facts| facts.get(origin).copied().flatten());
        let previous = self.previous.as_ref().map(|facts| facts.get(origin).copied().flatten().unwrap_or_default());
        (facts, previous)
    }
}

/// What becomes of the part that an item belongs to.
pub(super) fn fate(items: &Items<'_>, fates: &[Fate], origin: usize) -> Result<Fate, Damaged> {
    let part = items.part_of_item.get(origin).ok_or(Damaged("more items than listed"))?;
    fates.get(usize::from(*part)).copied().ok_or(Damaged("item of an unknown part"))
}
