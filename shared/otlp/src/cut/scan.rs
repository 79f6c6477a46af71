//! The single pass: checks everything, and notes where each accepted item and its context lie.

use spanlake_model::{Signal, SpanId, TraceId};

use super::{CutError, Item, Part, Piece, Reason, Request, Scope, Scratch};
use crate::check::{Checker, Ids};
use crate::limits::{LimitPassed, Limits, Rejected};
use crate::payload::item_count;
use crate::schema::{self, Message};
use crate::wire::{Reader, Value, WireError};

struct Scan<'a, 's> {
    signal: Signal,
    body: &'a [u8],
    limits: &'s Limits,
    scratch: &'s mut Scratch,
    rejected: Rejected,
    seen: u32,
}

/// Fills the scratch's resources, scopes and items.
// Its instructions are counted by its name, which inlining would take away.
#[inline(never)]
pub(super) fn scan(request: &Request<'_>, limits: &Limits, scratch: &mut Scratch) -> Result<Rejected, CutError> {
    if u32::try_from(request.body.len()).is_err() {
        return Err(LimitPassed { what: "bytes", limit: u64::from(u32::MAX) }.into());
    }
    let &Request { signal, body, .. } = request;
    let mut scan = Scan { signal, body, limits, scratch, rejected: Rejected::default(), seen: 0 };
    let mut reader = Reader::new(body);
    while let Some(field) = reader.next()? {
        if field.number == 1 {
            let message = sub_message(field.value, reader.position())?;
            scan.resource(message, reader.position() - message.len())?;
        }
    }
    Ok(scan.rejected)
}

fn sub_message(value: Value<'_>, end: usize) -> Result<&[u8], WireError> {
    value.bytes().ok_or(WireError { offset: end, what: "wrong wire type of a known field, which ends" })
}

impl Scan<'_, '_> {
    /// A `Resource*` message that lies `base` bytes into the body.
    fn resource(&mut self, bytes: &[u8], base: usize) -> Result<(), CutError> {
        let part = self.part(&schema::RESOURCE, bytes, base)?;
        let resource = as_u32(self.scratch.resources.len());
        self.scratch.resources.push(part);
        let mut reader = Reader::with_base(bytes, base);
        while let Some(field) = reader.next()? {
            if field.number == 2 {
                let end = base + reader.position();
                let scope = sub_message(field.value, end)?;
                self.scope(resource, &part, scope, end - scope.len())?;
            }
        }
        Ok(())
    }

    fn scope(&mut self, resource: u32, above: &Part, bytes: &[u8], base: usize) -> Result<(), CutError> {
        let mut part = self.part(&schema::SCOPE, bytes, base)?;
        let context_bytes = above.payload_bytes() + part.payload_bytes();
        part.refused |= above.refused || context_bytes > u64::from(self.limits.context_bytes);
        let scope = as_u32(self.scratch.scopes.len());
        self.scratch.scopes.push(Scope { part, resource });
        let mut reader = Reader::with_base(bytes, base);
        while let Some(field) = reader.next()? {
            if field.number == 2 {
                let end = base + reader.position();
                let item = sub_message(field.value, end)?;
                self.item(scope, part.refused, item, end - item.len())?;
            }
        }
        Ok(())
    }

    /// The context's half in a `Resource*` or `Scope*` message: field 1, whose repetitions protobuf merges, which is to
    /// say puts one after the other; and field 3, of which the last counts.
    fn part(&mut self, message: &Message, bytes: &[u8], base: usize) -> Result<Part, CutError> {
        if self.scratch.resources.len() + self.scratch.scopes.len() >= self.limits.contexts as usize {
            return Err(passed("resources and scopes", self.limits.contexts));
        }
        let mut part = Part::default();
        let mut found = false;
        let mut reader = Reader::with_base(bytes, base);
        while let Some(field) = reader.next()? {
            if field.number != 1 && field.number != 3 {
                continue;
            }
            let end = base + reader.position();
            let value = sub_message(field.value, end)?;
            let piece = Piece { start: as_u32(end - value.len()), length: as_u32(value.len()), joined: false };
            if field.number == 3 {
                part.refused |= simdutf8::basic::from_utf8(value).is_err();
                part.schema_url = piece;
                continue;
            }
            part.refused |= Checker::new(self.limits).context(message, value, end - value.len())?.is_some();
            part.message = if found { self.join(part.message, value) } else { piece };
            found = true;
        }
        Ok(part)
    }

    fn join(&mut self, first: Piece, more: &[u8]) -> Piece {
        let joined = &mut self.scratch.joined;
        // What was joined already is the end of the buffer: nothing else is joined while one message is read.
        let start = if first.joined { first.start } else { as_u32(joined.len()) };
        if !first.joined {
            joined.extend_from_slice(first.of(self.body, &[]));
        }
        joined.extend_from_slice(more);
        Piece { start, length: as_u32(joined.len()).saturating_sub(start), joined: true }
    }

    #[inline]
    fn item(&mut self, scope: u32, context_refused: bool, bytes: &[u8], base: usize) -> Result<(), CutError> {
        self.seen += 1;
        if self.seen > self.limits.items {
            return Err(passed("items", self.limits.items));
        }
        let (ids, problem) = Checker::new(self.limits).item(schema::item(self.signal), bytes, base)?;
        let problem = self.id_problem(&ids).or(problem).or_else(|| context_refused.then_some(Reason::Context));
        let count = item_count(self.signal, bytes);
        if let Some(reason) = problem {
            self.rejected.add(reason, count);
        } else if count > 0 {
            self.scratch.items.push(Item {
                trace: TraceId::from_slice(ids.trace).unwrap_or_default(),
                start: as_u32(base),
                length: as_u32(bytes.len()),
                scope,
                count: u32::try_from(count).unwrap_or(u32::MAX),
                slot: 0,
                entry: 0,
            });
        }
        Ok(())
    }

    fn id_problem(&self, ids: &Ids<'_>) -> Option<Reason> {
        let needed = match self.signal {
            Signal::Traces => true,
            Signal::Logs => false,
            Signal::Metrics => return None,
        };
        let fits = |id: &[u8], length: usize| {
            if needed { id.len() == length && id.iter().any(|byte| *byte != 0) } else { id.is_empty() || id.len() == length }
        };
        if !fits(ids.trace, TraceId::BYTES) {
            Some(Reason::TraceId)
        } else if !fits(ids.span, SpanId::BYTES) {
            Some(Reason::SpanId)
        } else if !ids.parent.is_empty() && ids.parent.len() != SpanId::BYTES {
            Some(Reason::ParentSpanId)
        } else {
            None
        }
    }
}

fn passed(what: &'static str, limit: u32) -> CutError {
    LimitPassed { what, limit: u64::from(limit) }.into()
}

/// Positions fit: the body is shorter than 4 GiB.
fn as_u32(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}
