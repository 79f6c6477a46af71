//! From items to parts by the cutting rule, and from parts to records by the shard map.

use spanlake_model::{BUCKETS, BatchId, Bucket, BucketRange, TraceId};

use super::{
    CutError, HEADS_BYTES, Item, OVERFLOW_PARTS, PART_BYTES, PART_WITH_CONTEXTS_BYTES, Part, RECORD_BYTES, SPILL_BYTES, Scope,
    Scratch,
};
use crate::limits::LimitPassed;

/// Set in a slot's number for overflow.
const OVERFLOW: u16 = BUCKETS;

/// No entry, no scope.
const NONE: u32 = u32::MAX;

/// What is under way in a bucket, home or overflow.
#[derive(Debug, Clone, Copy)]
struct Slot {
    /// Items that were given to it as their home.
    home_bytes: u64,
    /// The part that is being filled, and what it has so far: in items, and with contexts.
    entry: u32,
    part_bytes: u64,
    full_bytes: u64,
    scope: u32,
    /// The number of the next part; beyond `u16` when there are too many.
    next_part: u32,
}

const EMPTY: Slot = Slot { home_bytes: 0, entry: NONE, part_bytes: 0, full_bytes: 0, scope: NONE, next_part: 0 };

/// All slots, of which those in use are cleared after each request.
#[derive(Debug, Default)]
pub(super) struct Slots {
    all: Vec<Slot>,
    used: Vec<u16>,
}

impl Slots {
    pub(super) fn clear(&mut self) {
        for number in self.used.drain(..) {
            if let Some(slot) = self.all.get_mut(usize::from(number)) {
                *slot = EMPTY;
            }
        }
    }

    pub(super) const fn capacity_bytes(&self) -> usize {
        self.all.capacity() * size_of::<Slot>() + self.used.capacity() * size_of::<u16>()
    }
}

/// A part while records are being made.
#[derive(Debug, Clone, Copy)]
pub(super) struct EntryState {
    pub(super) slot: u16,
    pub(super) part: u16,
    pub(super) items: u32,
    pub(super) shard: u32,
    /// Which record it goes to, and its index there.
    pub(super) record: u32,
    pub(super) index: u16,
    /// Where its items begin in the order by entry.
    first: u32,
}

impl EntryState {
    pub(super) fn bucket(&self) -> Bucket {
        Bucket::new(self.slot & (OVERFLOW - 1)).unwrap_or_default()
    }

    /// The order of entries: by shard, bucket and part.
    fn place(&self) -> u64 {
        u64::from(self.shard) << 32 | u64::from(self.bucket().number()) << 16 | u64::from(self.part)
    }

    pub(super) const fn overflow(&self) -> bool {
        self.slot & OVERFLOW != 0
    }
}

/// The extent of a record.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RecordPlan {
    pub(super) shard: u32,
    pub(super) entries: u32,
    pub(super) items: u32,
}

/// Gives each item its slot and its entry.
pub(super) fn number(batch_id: &BatchId, scratch: &mut Scratch) -> Result<(), CutError> {
    scratch.slots.all.resize(2 * usize::from(BUCKETS), EMPTY);
    let batch_home = Bucket::of_batch(batch_id);
    let mut spills = false;
    for item in &mut scratch.items {
        let home = if item.trace.is_zero() { batch_home } else { Bucket::of_trace(&item.trace) };
        item.slot = home.number();
        if let Some(slot) = scratch.slots.all.get_mut(usize::from(item.slot)) {
            if slot.home_bytes == 0 {
                scratch.slots.used.push(item.slot);
            }
            slot.home_bytes += u64::from(item.length).max(1);
            spills |= slot.home_bytes > SPILL_BYTES && !item.trace.is_zero();
        }
    }
    if spills {
        spill(scratch);
    }
    let Scratch { items, scopes, resources, slots, entries, .. } = scratch;
    for item in items {
        enter(item, scopes, resources, slots, entries)?;
    }
    Ok(())
}

/// Moves what of a trace is beyond its share to salted buckets, chunk by chunk in request order.
fn spill(scratch: &mut Scratch) {
    let Scratch { items, slots, order, .. } = scratch;
    let crowded = |item: &Item| {
        !item.trace.is_zero() && slots.all.get(usize::from(item.slot)).is_some_and(|slot| slot.home_bytes > SPILL_BYTES)
    };
    order.extend((0_u32..).zip(items.iter()).filter(|(_, item)| crowded(item)).map(|(index, _)| index));
    order.sort_unstable_by_key(|index| (items.get(*index as usize).map(|item| item.trace), *index));
    let (mut trace, mut chunk, mut bytes) = (TraceId::default(), 0, 0);
    for index in order.drain(..) {
        let Some(item) = items.get_mut(index as usize) else { continue };
        let length = u64::from(item.length);
        if item.trace != trace {
            (trace, chunk, bytes) = (item.trace, 0, 0);
        } else if bytes + length > SPILL_BYTES {
            (chunk, bytes) = (chunk + 1, 0);
        }
        bytes += length;
        if chunk > 0 {
            item.slot = Bucket::of_spill(&trace, chunk).number() | OVERFLOW;
        }
    }
}

/// Puts an item into its slot's open part, or opens the next.
fn enter(
    item: &mut Item,
    scopes: &[Scope],
    resources: &[Part],
    slots: &mut Slots,
    entries: &mut Vec<EntryState>,
) -> Result<(), CutError> {
    let number = item.slot;
    let Some(slot) = slots.all.get_mut(usize::from(number)) else { return Ok(()) };
    let (scope_bytes, resource_bytes) = context_bytes(item.scope, scopes, resources);
    let new_context = match slot.scope {
        same if same == item.scope => 0,
        last if resource_of(last, scopes) == resource_of(item.scope, scopes) => scope_bytes,
        _ => scope_bytes + resource_bytes,
    };
    let mut bytes = item.payload_bytes() + new_context;
    let length = u64::from(item.length);
    let fits = slot.part_bytes + length <= PART_BYTES && slot.full_bytes + bytes <= PART_WITH_CONTEXTS_BYTES;
    if slot.entry == NONE || !fits {
        if slot.entry == NONE && number & OVERFLOW != 0 {
            slot.next_part = u32::from(OVERFLOW_PARTS);
            slots.used.push(number);
        }
        let end = if number & OVERFLOW == 0 { u32::from(OVERFLOW_PARTS) } else { u32::from(u16::MAX) + 1 };
        let part = u16::try_from(slot.next_part).ok().filter(|part| u32::from(*part) < end);
        let part = part.ok_or_else(|| LimitPassed { what: "parts of a bucket", limit: u64::from(OVERFLOW_PARTS) })?;
        slot.next_part += 1;
        slot.entry = u32::try_from(entries.len()).unwrap_or(NONE);
        (slot.part_bytes, slot.full_bytes) = (0, 0);
        bytes = item.payload_bytes() + scope_bytes + resource_bytes;
        entries.push(EntryState { slot: number, part, items: 0, shard: 0, record: 0, index: 0, first: 0 });
    }
    slot.part_bytes += length;
    slot.full_bytes += bytes;
    slot.scope = item.scope;
    item.entry = slot.entry;
    if let Some(entry) = entries.get_mut(slot.entry as usize) {
        entry.items += 1;
    }
    Ok(())
}

fn resource_of(scope: u32, scopes: &[Scope]) -> Option<u32> {
    scopes.get(scope as usize).map(|scope| scope.resource)
}

fn context_bytes(scope: u32, scopes: &[Scope], resources: &[Part]) -> (u64, u64) {
    let Some(scope) = scopes.get(scope as usize) else { return (0, 0) };
    let resource = resources.get(scope.resource as usize).map_or(HEADS_BYTES, Part::payload_bytes);
    (scope.part.payload_bytes(), resource)
}

/// Gives each entry its record. Records are ordered by shard, entries within a shard by bucket and part.
pub(super) fn group(shards: &[BucketRange], scratch: &mut Scratch) -> Result<Vec<RecordPlan>, CutError> {
    order_by_entry(scratch);
    let Scratch { items, scopes, resources, entries, order, .. } = scratch;
    for entry in entries.iter_mut() {
        let bucket = entry.bucket();
        let shard = shards.iter().position(|range| range.contains(bucket));
        let shard = shard.and_then(|shard| u32::try_from(shard).ok());
        entry.shard = shard.ok_or_else(|| CutError::NoOwner { bucket: bucket.number() })?;
    }
    let mut by_shard: Vec<_> = entries.iter().zip(0_u32..).map(|(entry, index)| (entry.place(), index)).collect();
    by_shard.sort_unstable();
    let mut records: Vec<RecordPlan> = Vec::new();
    let mut record_bytes = 0;
    for (_, index) in by_shard {
        let Some(entry) = entries.get_mut(index as usize) else { continue };
        let own = order.get(entry.first as usize..).and_then(|rest| rest.get(..entry.items as usize)).unwrap_or_default();
        let mut bytes = added_bytes(own, items, scopes, resources, records.len());
        let open = records.last().is_some_and(|record| {
            record.shard == entry.shard && u16::try_from(record.entries).is_ok() && record_bytes + bytes <= RECORD_BYTES
        });
        if !open {
            records.push(RecordPlan { shard: entry.shard, ..RecordPlan::default() });
            record_bytes = 0;
            bytes = added_bytes(own, items, scopes, resources, records.len());
        }
        record_bytes += bytes;
        stamp(own, items, scopes, resources, records.len());
        if let Some(record) = records.last_mut() {
            entry.index = u16::try_from(record.entries).unwrap_or(u16::MAX);
            record.entries += 1;
            record.items += entry.items;
        }
        entry.record = u32::try_from(records.len()).unwrap_or(NONE).saturating_sub(1);
    }
    Ok(records)
}

/// Orders the items' indices by entry, in request order within each.
fn order_by_entry(scratch: &mut Scratch) {
    let Scratch { items, entries, order, .. } = scratch;
    let mut next = 0;
    for entry in entries.iter_mut() {
        entry.first = next;
        next += entry.items;
    }
    order.clear();
    order.resize(items.len(), 0);
    for (index, item) in (0_u32..).zip(items.iter()) {
        if let Some(entry) = entries.get_mut(item.entry as usize) {
            if let Some(place) = order.get_mut(entry.first as usize) {
                *place = index;
            }
            entry.first += 1;
        }
    }
    for entry in entries.iter_mut() {
        entry.first -= entry.items;
    }
}

/// What these items add at most to a record of this stamp: contexts that it already has are free.
fn added_bytes(own: &[u32], items: &[Item], scopes: &[Scope], resources: &[Part], record: usize) -> u64 {
    let has = |part: &Part| part.stamp as usize == record;
    let (mut bytes, mut last, mut last_resource) = (0, NONE, NONE);
    for item in own.iter().filter_map(|index| items.get(*index as usize)) {
        bytes += item.payload_bytes();
        if item.scope == last {
            continue;
        }
        last = item.scope;
        let Some(scope) = scopes.get(item.scope as usize) else { continue };
        if !has(&scope.part) {
            bytes += scope.part.payload_bytes();
        }
        if scope.resource != last_resource {
            last_resource = scope.resource;
            bytes += resources.get(scope.resource as usize).filter(|part| !has(part)).map_or(0, Part::payload_bytes);
        }
    }
    bytes
}

fn stamp(own: &[u32], items: &[Item], scopes: &mut [Scope], resources: &mut [Part], record: usize) {
    let record = u32::try_from(record).unwrap_or(NONE);
    for item in own.iter().filter_map(|index| items.get(*index as usize)) {
        let Some(scope) = scopes.get_mut(item.scope as usize) else { continue };
        scope.part.stamp = record;
        if let Some(resource) = resources.get_mut(scope.resource as usize) {
            resource.stamp = record;
        }
    }
}
