//! A staged batch: redacted items sorted by (bucket, trace id), cut into segments that a close reads front to back,
//! with each item's facts beside it so that deciding touches no body.

use std::cmp::Ordering;
use std::ops::Range;

use spanlake_model::{Sequence, Signal, SpanId, TraceId};

use crate::codec::{Damaged, Put, Take};
use crate::object::{Effort, Finished, ObjectIndex, ObjectWriter};
use crate::red::RedTable;
use crate::seen::{self, SeenRecord};

/// A segment ends at the first trace that begins after this many bytes of bodies.
const SEGMENT_BYTES: usize = 256 << 10;

/// Where an item is sorted: its bucket, then its trace (zeros for none).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Key {
    pub(crate) bucket: u16,
    pub(crate) trace: TraceId,
}

/// What deciding and counting need of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct SpanPart {
    /// Which leaf policies this span matches, under the rules of its record.
    pub(crate) bits: u64,
    /// The same under the rules before them, while those still decide.
    pub(crate) previous_bits: u64,
    pub(crate) start_nanos: u64,
    pub(crate) end_nanos: u64,
    pub(crate) kind: u8,
    pub(crate) status: u8,
    pub(crate) is_root: bool,
    pub(crate) span_id: SpanId,
    pub(crate) parent_id: SpanId,
    /// The span's length as limits of bytes count it; 0 where no policy counts bytes.
    pub(crate) size_bytes: u32,
    /// The randomness and the threshold that its tracestate stated, 56 bits each.
    pub(crate) randomness: Option<u64>,
    pub(crate) threshold: Option<u64>,
}

impl SpanPart {
    /// Which of the values that few spans have are there.
    fn extras(&self) -> u8 {
        u8::from(self.size_bytes != 0) | u8::from(self.randomness.is_some()) << 1 | u8::from(self.threshold.is_some()) << 2
    }
}

/// A staged item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) key: Key,
    pub(crate) signal: Signal,
    /// Index of its record in the batch.
    pub(crate) record: u32,
    /// Index of its context in the object.
    pub(crate) context: u32,
    /// Ledger items: 1, or a metric's data points.
    pub(crate) count: u32,
    /// Kept without a tail decision.
    pub(crate) overflow: bool,
    /// A log record that waits for the verdict on its trace.
    pub(crate) waits: bool,
    /// Where its bytes are, in the batch's bodies or the segment's: start and length.
    pub(crate) body: (u32, u32),
    /// Of a batch: it is in [`Bodies::changed`].
    pub(crate) is_changed: bool,
    pub(crate) span: SpanPart,
}

/// A record of the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StagedRecord {
    pub(crate) sequence: Sequence,
    /// Effective arrival.
    pub(crate) arrival: i64,
    /// Index into [`StagedHeader::rules`].
    pub(crate) rules: u32,
    /// Index of the rules before them plus 1, or 0.
    pub(crate) previous_rules: u32,
}

/// A resource and scope, masked.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct StagedContext {
    pub(crate) resource: Vec<u8>,
    pub(crate) resource_schema_url: Vec<u8>,
    pub(crate) scope: Vec<u8>,
    pub(crate) scope_schema_url: Vec<u8>,
    pub(crate) service: String,
    pub(crate) environment: String,
}

impl StagedContext {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let service = self.service.as_bytes();
        let environment = self.environment.as_bytes();
        for part in [&self.resource, &self.resource_schema_url, &self.scope, &self.scope_schema_url] {
            out.bytes(part);
        }
        out.bytes(service);
        out.bytes(environment);
    }

    pub(crate) fn decode(take: &mut Take<'_>) -> Result<Self, Damaged> {
        Ok(Self {
            resource: take.bytes()?.to_vec(),
            resource_schema_url: take.bytes()?.to_vec(),
            scope: take.bytes()?.to_vec(),
            scope_schema_url: take.bytes()?.to_vec(),
            service: take.str()?.to_owned(),
            environment: take.str()?.to_owned(),
        })
    }
}

/// Everything of a batch that is staged.
pub(crate) struct Batch {
    pub(crate) rules: Vec<String>,
    pub(crate) records: Vec<StagedRecord>,
    pub(crate) contexts: Vec<StagedContext>,
    pub(crate) rows: Vec<Row>,
    pub(crate) bodies: Bodies,
    pub(crate) red: RedTable,
    pub(crate) seen: Vec<SeenRecord>,
}

/// The bytes of a batch's items. Few are changed by rules: the others stay where the payloads were inflated to.
#[derive(Default)]
pub(crate) struct Bodies {
    /// The payloads as they came, one behind the other. What no row points to is never written.
    pub(crate) payloads: Vec<u8>,
    /// Items that rules have changed.
    pub(crate) changed: Vec<u8>,
}

impl Bodies {
    fn of(&self, row: &Row) -> Result<&[u8], Damaged> {
        let all = if row.is_changed { &self.changed } else { &self.payloads };
        let (at, length) = (row.body.0 as usize, row.body.1 as usize);
        all.get(at..at + length).ok_or(Damaged("body beyond the batch"))
    }
}

impl Batch {
    /// The object's bytes. Sorts the rows; items of a trace stay in order of their records within a signal.
    pub(crate) fn finish(&mut self) -> Result<Finished, Damaged> {
        self.rows.sort_by_cached_key(|row| (row.key, row.signal, row.record));
        let mut writer = ObjectWriter::new(Effort::Brief);
        let mut segments = Vec::new();
        let (mut facts, mut bodies) = (Vec::new(), Vec::new());
        let mut rows = self.rows.as_slice();
        while let Some(first) = rows.first() {
            let (segment, rest) = rows.split_at_checked(segment_len(rows)).ok_or(Damaged("segment beyond the rows"))?;
            encode_segment(segment, &self.bodies, (&mut facts, &mut bodies))?;
            writer.block(&facts)?;
            writer.block(&bodies)?;
            segments.push((first.key, segment.last().map_or(first.key, |row| row.key)));
            rows = rest;
        }
        let mut block = Vec::new();
        block.varint(self.contexts.len() as u64);
        self.contexts.iter().for_each(|context| context.encode(&mut block));
        writer.block(&block)?;
        block.clear();
        self.red.encode(&mut block);
        writer.block(&block)?;
        writer.block(&seen::encode(&self.seen))?;
        Ok(writer.finish(&encode_header(&self.rules, &self.records, &segments)))
    }
}

/// An object with nothing but ids of requests already seen.
pub(crate) fn seen_object(seen: &[SeenRecord]) -> Result<Finished, Damaged> {
    let mut writer = ObjectWriter::new(Effort::Lasting);
    writer.block(&seen::encode(seen))?;
    Ok(writer.finish(&[]))
}

/// How many rows the first segment holds: whole traces, so that a trace lies in one segment unless it is huge.
fn segment_len(rows: &[Row]) -> usize {
    let mut bytes = 0;
    let mut last = None;
    for (index, row) in rows.iter().enumerate() {
        if bytes >= SEGMENT_BYTES && last != Some(row.key) || bytes >= 8 * SEGMENT_BYTES {
            return index;
        }
        bytes += row.body.1 as usize;
        last = Some(row.key);
    }
    rows.len()
}

/// Makes `facts` and `bodies` those of a segment's rows.
fn encode_segment(rows: &[Row], from: &Bodies, (facts, bodies): (&mut Vec<u8>, &mut Vec<u8>)) -> Result<(), Damaged> {
    facts.clear();
    bodies.clear();
    facts.varint(rows.len() as u64);
    let mut key = None;
    for row in rows {
        let same = key == Some(row.key);
        facts.push(u8::from(same) | u8::from(row.overflow) << 1 | row.signal.code() << 2 | u8::from(row.waits) << 4);
        if !same {
            facts.varint(u64::from(row.key.bucket));
            facts.extend_from_slice(&row.key.trace.0);
            key = Some(row.key);
        }
        facts.varint(u64::from(row.record));
        facts.varint(u64::from(row.context));
        facts.varint(u64::from(row.body.1));
        if row.signal == Signal::Traces {
            encode_span(&row.span, facts);
        } else {
            facts.varint(u64::from(row.count));
        }
        bodies.extend_from_slice(from.of(row)?);
    }
    Ok(())
}

fn encode_span(span: &SpanPart, out: &mut Vec<u8>) {
    let (has_previous, extras) = (span.previous_bits != 0, span.extras());
    let marks = u8::from(span.is_root) << 5 | u8::from(has_previous) << 6 | u8::from(extras != 0) << 7;
    out.push(span.kind & 7 | (span.status & 3) << 3 | marks);
    out.varint(span.bits);
    if span.previous_bits != 0 {
        out.varint(span.previous_bits);
    }
    out.extend_from_slice(&span.start_nanos.to_le_bytes());
    out.zigzag(span.end_nanos.wrapping_sub(span.start_nanos).cast_signed());
    out.extend_from_slice(&span.span_id.0);
    if !span.is_root {
        out.extend_from_slice(&span.parent_id.0);
    }
    if extras != 0 {
        out.push(extras);
        let size = (span.size_bytes != 0).then_some(u64::from(span.size_bytes));
        [size, span.randomness, span.threshold].into_iter().flatten().for_each(|value| out.varint(value));
    }
}

fn decode_span(take: &mut Take<'_>) -> Result<SpanPart, Damaged> {
    let flags = take.byte()?;
    let bits = take.varint()?;
    let previous_bits = if flags & 64 == 0 { 0 } else { take.varint()? };
    let start_nanos = u64::from_le_bytes(take.array()?);
    let end_nanos = start_nanos.wrapping_add(take.zigzag()?.cast_unsigned());
    let is_root = flags & 32 != 0;
    let span_id = SpanId(take.array()?);
    let parent_id = if is_root { SpanId::default() } else { SpanId(take.array()?) };
    let extras = if flags & 128 == 0 { 0 } else { take.byte()? };
    let mut extra = |bit: u8| if extras & bit == 0 { Ok(None) } else { take.varint().map(Some) };
    let size_bytes = u32::try_from(extra(1)?.unwrap_or(0)).map_err(|_| Damaged("number out of range"))?;
    let (randomness, threshold) = (extra(2)?, extra(4)?);
    Ok(SpanPart {
        size_bytes,
        randomness,
        threshold,
        bits,
        previous_bits,
        start_nanos,
        end_nanos,
        kind: flags & 7,
        status: flags >> 3 & 3,
        is_root,
        span_id,
        parent_id,
    })
}

fn encode_header(rules: &[String], records: &[StagedRecord], segments: &[(Key, Key)]) -> Vec<u8> {
    let mut out = Vec::new();
    out.varint(rules.len() as u64);
    for version in rules {
        out.bytes(version.as_bytes());
    }
    out.varint(records.len() as u64);
    let (mut sequence, mut arrival) = (Sequence::ZERO, 0);
    for record in records {
        out.bytes(&record.sequence.wrapping_sub(sequence).to_bytes());
        out.zigzag(record.arrival.wrapping_sub(arrival));
        out.varint(u64::from(record.rules));
        out.varint(u64::from(record.previous_rules));
        (sequence, arrival) = (record.sequence, record.arrival);
    }
    out.varint(segments.len() as u64);
    for (first, last) in segments {
        for key in [first, last] {
            out.varint(u64::from(key.bucket));
            out.extend_from_slice(&key.trace.0);
        }
    }
    out
}

/// The index of a staged object.
#[derive(Clone, Debug)]
pub(crate) struct StagedIndex {
    object: ObjectIndex,
    pub(crate) rules: Vec<String>,
    pub(crate) records: Vec<StagedRecord>,
    /// The first and the last key of each segment.
    pub(crate) segments: Vec<(Key, Key)>,
}

impl StagedIndex {
    /// Reads the index from the end of an object.
    pub(crate) fn read(tail: &[u8]) -> Result<Self, Damaged> {
        let object = ObjectIndex::read(tail)?;
        let mut take = Take::new(object.header());
        let mut rules = Vec::with_capacity(take.clone().count(1)?);
        for _ in 0..take.count(1)? {
            rules.push(take.str()?.to_owned());
        }
        let mut records = Vec::with_capacity(take.clone().count(4)?);
        let (mut sequence, mut arrival) = (Sequence::ZERO, 0_i64);
        for _ in 0..take.count(4)? {
            let step = Sequence::from_bytes(take.bytes()?).ok_or(Damaged("sequence number out of range"))?;
            sequence = sequence.wrapping_add(step);
            arrival = arrival.wrapping_add(take.zigzag()?);
            records.push(StagedRecord { sequence, arrival, rules: take.u32()?, previous_rules: take.u32()? });
        }
        let mut segments = Vec::with_capacity(take.clone().count(34)?);
        for _ in 0..take.count(34)? {
            let first = Key { bucket: take.u16()?, trace: TraceId(take.array()?) };
            segments.push((first, Key { bucket: take.u16()?, trace: TraceId(take.array()?) }));
        }
        Ok(Self { object, rules, records, segments })
    }

    /// Where the facts of segment `number` are within the object.
    pub(crate) fn facts_range(&self, number: usize) -> Result<Range<u64>, Damaged> {
        let block = block_of(number)?;
        self.object.range(block, block)
    }

    /// Where the bodies of segment `number` are within the object.
    pub(crate) fn bodies_range(&self, number: usize) -> Result<Range<u64>, Damaged> {
        let block = block_of(number)? + 1;
        self.object.range(block, block)
    }

    /// The rows of segment `number`, out of the bytes of its facts.
    pub(crate) fn rows(&self, number: usize, bytes: &[u8]) -> Result<Vec<Row>, Damaged> {
        let facts = self.object.inflate(block_of(number)?, bytes, self.facts_range(number)?.start)?;
        decode_rows(&facts, self.records.len())
    }

    /// The bodies of segment `number`, out of their bytes in the object.
    pub(crate) fn bodies(&self, number: usize, bytes: &[u8]) -> Result<Vec<u8>, Damaged> {
        self.object.inflate(block_of(number)? + 1, bytes, self.bodies_range(number)?.start)
    }

    /// The bytes of the blocks behind the segments: contexts, figures, seen ids.
    pub(crate) fn rest_range(&self) -> Result<Range<u64>, Damaged> {
        let first = self.rest_block()?;
        self.object.range(first, first + 2)
    }

    pub(crate) fn contexts(&self, rest: &[u8]) -> Result<Vec<StagedContext>, Damaged> {
        let block = self.rest_inflate(0, rest)?;
        let mut take = Take::new(&block);
        let count = take.count(6)?;
        (0..count).map(|_| StagedContext::decode(&mut take)).collect()
    }

    pub(crate) fn red(&self, rest: &[u8]) -> Result<Vec<(crate::red::RedKey, crate::red::RedCell)>, Damaged> {
        RedTable::decode(&self.rest_inflate(1, rest)?)
    }

    pub(crate) fn seen(&self, rest: &[u8]) -> Result<Vec<SeenRecord>, Damaged> {
        seen::decode(&self.rest_inflate(2, rest)?)
    }

    fn rest_block(&self) -> Result<u32, Damaged> {
        u32::try_from(self.segments.len() * 2).map_err(|_| Damaged("too many segments"))
    }

    fn rest_inflate(&self, number: u32, rest: &[u8]) -> Result<Vec<u8>, Damaged> {
        let first = self.rest_block()?;
        self.object.inflate(first + number, rest, self.object.range(first, first)?.start)
    }
}

/// The ids of a whole object that holds nothing else.
pub(crate) fn read_seen_object(bytes: &[u8]) -> Result<Vec<SeenRecord>, Damaged> {
    seen::decode(&ObjectIndex::read(bytes)?.inflate(0, bytes, 0)?)
}

fn block_of(segment: usize) -> Result<u32, Damaged> {
    u32::try_from(segment * 2).map_err(|_| Damaged("no such segment"))
}

fn decode_rows(facts: &[u8], records: usize) -> Result<Vec<Row>, Damaged> {
    let mut take = Take::new(facts);
    let count = take.count(4)?;
    let mut rows: Vec<Row> = Vec::with_capacity(count);
    let mut key = Key::default();
    let mut offset = 0_u32;
    for _ in 0..count {
        let flags = take.byte()?;
        if flags & 1 == 0 {
            let next = Key { bucket: take.u16()?, trace: TraceId(take.array()?) };
            if !rows.is_empty() && next.cmp(&key) != Ordering::Greater {
                return Err(Damaged("rows out of order"));
            }
            key = next;
        }
        let signal = Signal::from_code(flags >> 2 & !4).ok_or(Damaged("unknown signal"))?;
        let record = take.u32()?;
        if record as usize >= records {
            return Err(Damaged("item of an unknown record"));
        }
        let context = take.u32()?;
        let length = take.u32()?;
        let is_span = signal == Signal::Traces;
        let span = if is_span { decode_span(&mut take)? } else { SpanPart::default() };
        let count = if is_span { 1 } else { take.u32()? };
        rows.push(Row {
            key,
            signal,
            record,
            context,
            count,
            overflow: flags & 2 != 0,
            waits: flags & 16 != 0,
            body: (offset, length),
            is_changed: false,
            span,
        });
        offset = offset.checked_add(length).ok_or(Damaged("number out of range"))?;
    }
    if take.is_empty() { Ok(rows) } else { Err(Damaged("more than the rows")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(bucket: u16, trace: u8, record: u32, body: (u32, u32)) -> Row {
        let key = Key { bucket, trace: TraceId([trace; 16]) };
        let span = SpanPart {
            bits: 5,
            start_nanos: 10,
            end_nanos: 3,
            kind: 3,
            status: 2,
            span_id: SpanId([9; 8]),
            size_bytes: u32::from(trace) & 1,
            threshold: (trace == 8).then_some(1 << 55),
            ..SpanPart::default()
        };
        Row {
            key,
            signal: Signal::Traces,
            record,
            context: 0,
            count: 1,
            overflow: false,
            waits: trace == 7,
            body,
            is_changed: record == 1,
            span,
        }
    }

    #[test]
    fn a_batch_is_read_back_sorted_segment_by_segment() {
        let arena: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let changed: Vec<u8> = arena.iter().map(|byte| byte ^ 0xff).collect();
        let rows = vec![
            row(9, 1, 0, (0, 150_000)),
            row(2, 8, 1, (150_000, 10)),
            row(2, 8, 0, (150_010, 5)),
            row(2, 7, 1, (10, 150_000)),
        ];
        let record = |sequence: u64, arrival| StagedRecord { sequence: sequence.into(), arrival, rules: 0, previous_rules: 0 };
        let mut batch = Batch {
            rules: vec!["r1".into()],
            records: vec![record(7, 100), record(9, 50)],
            contexts: vec![StagedContext { service: "shop".into(), ..StagedContext::default() }],
            rows: rows.clone(),
            bodies: Bodies { payloads: arena.clone(), changed: changed.clone() },
            red: RedTable::new(10),
            seen: Vec::new(),
        };
        let object = batch.finish().unwrap();
        let index = StagedIndex::read(&object.bytes).unwrap();
        assert_eq!(index.records[1].sequence, Sequence::from(9));
        let mut read = Vec::new();
        for number in 0..index.segments.len() {
            let part =
                |range: Range<u64>| &object.bytes[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()];
            let rows = index.rows(number, part(index.facts_range(number).unwrap())).unwrap();
            let bodies = index.bodies(number, part(index.bodies_range(number).unwrap())).unwrap();
            let body = |row: &Row| bodies[row.body.0 as usize..][..row.body.1 as usize].to_vec();
            read.extend(rows.iter().map(|row| (row.key, row.record, row.span, row.waits, body(row))));
        }
        let want = [3, 2, 1, 0].map(|n: usize| {
            let Row { key, record, span, waits, body: (at, length), is_changed, .. } = rows[n];
            let all = if is_changed { &changed } else { &arena };
            (key, record, span, waits, all[at as usize..at as usize + length as usize].to_vec())
        });
        assert_eq!(read, want);
        let rest = index.rest_range().unwrap();
        let bytes = &object.bytes[usize::try_from(rest.start).unwrap()..usize::try_from(rest.end).unwrap()];
        assert_eq!(index.contexts(bytes).unwrap()[0].service, "shop");
        assert!(index.red(bytes).unwrap().is_empty() && index.seen(bytes).unwrap().is_empty());
    }
}
