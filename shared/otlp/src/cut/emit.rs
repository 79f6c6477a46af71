//! Writing records: canonical payloads by copying byte ranges.

use super::parts::RecordPlan;
use super::{CutRecord, Entry, Item, Part, Scratch};
use crate::wire::{len_field_len, put_len, put_len_head};

/// Neighbouring items of one scope in a record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    scope: u32,
    resource: u32,
    items: u32,
    /// The length of the `Scope*` message.
    scope_bytes: usize,
    /// The length of the `Resource*` message, in the first run of a resource.
    resource_bytes: usize,
}

/// Makes the records, each with its items in request order.
pub(super) fn records(body: &[u8], plans: Vec<RecordPlan>, scratch: &mut Scratch) -> Vec<CutRecord> {
    order_by_record(&plans, scratch);
    let mut records = Vec::with_capacity(plans.len());
    let mut first = 0;
    for plan in plans {
        let entries = Vec::with_capacity(plan.entries as usize);
        let last = first + plan.items as usize;
        let order = std::mem::take(&mut scratch.order);
        let own = order.get(first..last).unwrap_or_default();
        let mut record = CutRecord {
            shard: plan.shard as usize,
            entries,
            entry_of_item: Vec::with_capacity(own.len()),
            payload: Vec::new(),
            items: plan.items,
            count: 0,
        };
        for item in own.iter().filter_map(|index| scratch.items.get(*index as usize)) {
            record.count += u64::from(item.count);
            let index = scratch.entries.get(item.entry as usize).map_or(0, |entry| entry.index);
            record.entry_of_item.push(index);
        }
        payload(body, own, scratch, &mut record.payload);
        scratch.order = order;
        first = last;
        records.push(record);
    }
    fill_entries(&mut records, scratch);
    records
}

fn fill_entries(records: &mut [CutRecord], scratch: &Scratch) {
    for state in &scratch.entries {
        if let Some(record) = records.get_mut(state.record as usize) {
            record.entries.push(Entry {
                bucket: state.bucket(),
                part: state.part,
                overflow: state.overflow(),
                items: state.items,
            });
        }
    }
    for record in records {
        // The order of their indices, which were given by bucket and part.
        record.entries.sort_unstable_by_key(|entry| (entry.bucket, entry.part));
    }
}

/// Orders the items' indices by record, in request order within each.
fn order_by_record(plans: &[RecordPlan], scratch: &mut Scratch) {
    let Scratch { items, entries, order, .. } = scratch;
    let mut next: Vec<u32> = Vec::with_capacity(plans.len());
    let mut sum = 0;
    for plan in plans {
        next.push(sum);
        sum += plan.items;
    }
    for (index, item) in (0_u32..).zip(items.iter()) {
        let record = entries.get(item.entry as usize).map_or(0, |entry| entry.record);
        if let Some(at) = next.get_mut(record as usize) {
            if let Some(place) = order.get_mut(*at as usize) {
                *place = index;
            }
            *at += 1;
        }
    }
}

fn payload(body: &[u8], own: &[u32], scratch: &mut Scratch, out: &mut Vec<u8>) {
    let total = measure(own, scratch);
    out.reserve_exact(total);
    let mut items = own.iter().filter_map(|index| scratch.items.get(*index as usize));
    let mut resource = None;
    for run in &scratch.runs {
        if resource != Some(run.resource) {
            resource = Some(run.resource);
            put_len_head(out, 1, run.resource_bytes);
            put_part(out, scratch.resources.get(run.resource as usize), body, &scratch.joined);
        }
        put_len_head(out, 2, run.scope_bytes);
        put_part(out, scratch.scopes.get(run.scope as usize).map(|scope| &scope.part), body, &scratch.joined);
        for item in items.by_ref().take(run.items as usize) {
            put_len(out, 2, item_bytes(item, body));
        }
    }
}

/// Notes the runs with their lengths; answers the payload's.
fn measure(own: &[u32], scratch: &mut Scratch) -> usize {
    let Scratch { items, scopes, resources, runs, .. } = scratch;
    runs.clear();
    for item in own.iter().filter_map(|index| items.get(*index as usize)) {
        let bytes = len_field_len(2, item.length as usize);
        if let Some(run) = runs.last_mut().filter(|run| run.scope == item.scope) {
            run.items += 1;
            run.scope_bytes += bytes;
        } else if let Some(scope) = scopes.get(item.scope as usize) {
            let scope_bytes = part_bytes(&scope.part) + bytes;
            runs.push(Run { scope: item.scope, resource: scope.resource, items: 1, scope_bytes, resource_bytes: 0 });
        }
    }
    let mut total = 0;
    for group in runs.chunk_by_mut(|a, b| a.resource == b.resource) {
        let scopes_bytes: usize = group.iter().map(|run| len_field_len(2, run.scope_bytes)).sum();
        let Some(head) = group.first_mut() else { continue };
        head.resource_bytes = scopes_bytes + resources.get(head.resource as usize).map_or(0, part_bytes);
        total += len_field_len(1, head.resource_bytes);
    }
    total
}

const fn part_bytes(part: &Part) -> usize {
    let (message, schema_url) = (part.message.length as usize, part.schema_url.length as usize);
    let message = if message == 0 { 0 } else { len_field_len(1, message) };
    let schema_url = if schema_url == 0 { 0 } else { len_field_len(3, schema_url) };
    message + schema_url
}

/// Writes what [`part_bytes`] counts: what is empty is left out, as it is in protobuf's own canonical form.
fn put_part(out: &mut Vec<u8>, part: Option<&Part>, body: &[u8], joined: &[u8]) {
    let Some(part) = part else { return };
    for (number, piece) in [(1, part.message), (3, part.schema_url)] {
        if piece.length > 0 {
            put_len(out, number, piece.of(body, joined));
        }
    }
}

fn item_bytes<'a>(item: &Item, body: &'a [u8]) -> &'a [u8] {
    let start = item.start as usize;
    body.get(start..start + item.length as usize).unwrap_or_default()
}
