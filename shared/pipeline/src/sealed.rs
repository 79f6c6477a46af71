//! A sealed output: what one close, or a part of one, hands to the archive. Its bytes follow from the records and
//! rules alone, never from batches or the time of closing: contexts are numbered by first use in sealed order.

use std::collections::HashMap;

use spanlake_model::{PerSignal, Signal, TraceId};

use crate::codec::{Damaged, Put, Take};
use crate::object::{Effort, Finished, ObjectIndex, ObjectWriter};
use crate::red::{RedCell, RedKey, RedTable};
use crate::staged::StagedContext;

/// A block ends after this many bytes.
const BLOCK_BYTES: usize = 1 << 20;

const KIND_RED: u8 = 3;
const KIND_EDGES: u8 = 4;

/// What the items of a group share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct GroupHead<'a> {
    pub(crate) signal: Signal,
    /// Zeros for logs and metrics without one.
    pub(crate) trace: TraceId,
    /// Empty where nothing was decided.
    pub(crate) policy: &'a str,
    pub(crate) weight: f64,
    pub(crate) is_late: bool,
    pub(crate) is_complete: bool,
}

/// An item of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SealedItem<'a> {
    /// Index of its context in the sealed object.
    pub(crate) context: u32,
    /// Effective arrival.
    pub(crate) arrival: i64,
    /// Ledger items.
    pub(crate) count: u32,
    pub(crate) body: &'a [u8],
}

/// Writes a sealed output.
pub(crate) struct SealedWriter {
    window_start: i64,
    writer: ObjectWriter,
    contexts: Vec<u8>,
    context_numbers: HashMap<[u8; 32], u32>,
    blocks: Vec<u8>,
    open: [Vec<u8>; 3],
    raw_bytes: u64,
    items: PerSignal<u64>,
}

impl SealedWriter {
    pub(crate) fn new(window_start: i64) -> Self {
        Self {
            window_start,
            writer: ObjectWriter::new(Effort::Brief),
            contexts: Vec::new(),
            context_numbers: HashMap::new(),
            blocks: Vec::new(),
            open: [Vec::new(), Vec::new(), Vec::new()],
            raw_bytes: 0,
            items: PerSignal::default(),
        }
    }

    /// Raw bytes of the items so far.
    pub(crate) const fn raw_bytes(&self) -> u64 {
        self.raw_bytes
    }

    /// Ledger items so far, by the signals' codes.
    pub(crate) const fn items(&self) -> [u64; 3] {
        self.items.0
    }

    /// The context's number in this object.
    pub(crate) fn context(&mut self, context: &StagedContext) -> u32 {
        let mut encoded = Vec::new();
        context.encode(&mut encoded);
        let next = u32::try_from(self.context_numbers.len()).unwrap_or(u32::MAX);
        let number = *self.context_numbers.entry(*blake3::hash(&encoded).as_bytes()).or_insert(next);
        if number == next {
            self.contexts.extend_from_slice(&encoded);
        }
        number
    }

    /// Appends a group.
    pub(crate) fn group<'a>(
        &mut self,
        head: &GroupHead<'_>,
        items: impl ExactSizeIterator<Item = SealedItem<'a>>,
    ) -> Result<(), Damaged> {
        let Some(out) = self.open.get_mut(usize::from(head.signal.code())) else { return Ok(()) };
        out.extend_from_slice(&head.trace.0);
        out.push(u8::from(head.is_late) | u8::from(head.is_complete) << 1);
        out.bytes(head.policy.as_bytes());
        out.extend_from_slice(&head.weight.to_bits().to_le_bytes());
        out.varint(items.len() as u64);
        for item in items {
            out.varint(u64::from(item.context));
            out.zigzag(item.arrival.wrapping_sub(self.window_start));
            out.varint(u64::from(item.count));
            out.bytes(item.body);
            self.raw_bytes += item.body.len() as u64;
            self.items[head.signal] += u64::from(item.count);
        }
        if out.len() >= BLOCK_BYTES {
            let block = std::mem::take(out);
            self.block(head.signal.code(), &block)?;
        }
        Ok(())
    }

    fn block(&mut self, kind: u8, raw: &[u8]) -> Result<(), Damaged> {
        if !raw.is_empty() {
            self.writer.block(raw)?;
            self.blocks.push(kind);
        }
        Ok(())
    }

    /// The object, or `None` if there is nothing in it.
    ///
    /// `decisions` is the key of the decisions of the same close: named here, so that one is not archived without the
    /// other.
    pub(crate) fn finish(
        mut self,
        red: &RedTable,
        edges: &RedTable,
        decisions: Option<&str>,
    ) -> Result<Option<Finished>, Damaged> {
        for signal in Signal::ALL {
            let block = self.open.get_mut(usize::from(signal.code())).map(std::mem::take).unwrap_or_default();
            self.block(signal.code(), &block)?;
        }
        for (kind, table) in [(KIND_RED, red), (KIND_EDGES, edges)] {
            if !table.rows().is_empty() {
                let mut block = Vec::new();
                table.encode(&mut block);
                self.block(kind, &block)?;
            }
        }
        if self.blocks.is_empty() && decisions.is_none() {
            return Ok(None);
        }
        let mut contexts = Vec::with_capacity(self.contexts.len() + 4);
        contexts.varint(self.context_numbers.len() as u64);
        contexts.extend_from_slice(&self.contexts);
        self.writer.block(&contexts)?;
        let mut header = Vec::new();
        header.zigzag(self.window_start);
        header.bytes(&self.blocks);
        header.bytes(decisions.unwrap_or_default().as_bytes());
        Ok(Some(self.writer.finish(&header)))
    }
}

/// A sealed output in memory, its blocks inflated.
pub(crate) struct Sealed {
    pub(crate) window_start: i64,
    pub(crate) contexts: Vec<StagedContext>,
    blocks: Vec<(Signal, Vec<u8>)>,
    pub(crate) red: Vec<(RedKey, RedCell)>,
    pub(crate) edges: Vec<(RedKey, RedCell)>,
}

impl Sealed {
    /// Reads a whole object.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Damaged> {
        let index = ObjectIndex::read(bytes)?;
        let mut take = Take::new(index.header());
        let window_start = take.zigzag()?;
        let mut sealed = Self { window_start, contexts: Vec::new(), blocks: Vec::new(), red: Vec::new(), edges: Vec::new() };
        let mut number = 0;
        for kind in take.bytes()? {
            let block = index.inflate(number, bytes, 0)?;
            number += 1;
            match *kind {
                KIND_RED => sealed.red = RedTable::decode(&block)?,
                KIND_EDGES => sealed.edges = RedTable::decode(&block)?,
                code => sealed.blocks.push((Signal::from_code(code).ok_or(Damaged("unknown block"))?, block)),
            }
        }
        let block = index.inflate(number, bytes, 0)?;
        let mut take = Take::new(&block);
        let count = take.count(6)?;
        sealed.contexts = (0..count).map(|_| StagedContext::decode(&mut take)).collect::<Result<_, Damaged>>()?;
        Ok(sealed)
    }

    /// Calls `each` with every group of a signal, in sealed order.
    pub(crate) fn groups<'a>(
        &'a self,
        signal: Signal,
        mut each: impl FnMut(GroupHead<'a>, Vec<SealedItem<'a>>),
    ) -> Result<(), Damaged> {
        for (_, block) in self.blocks.iter().filter(|(of, _)| *of == signal) {
            let mut take = Take::new(block);
            while !take.is_empty() {
                let trace = TraceId(take.array()?);
                let flags = take.byte()?;
                let policy = take.str()?;
                let weight = f64::from_bits(u64::from_le_bytes(take.array()?));
                let count = take.count(4)?;
                let mut items = Vec::with_capacity(count);
                for _ in 0..count {
                    let context = take.u32()?;
                    if context as usize >= self.contexts.len() {
                        return Err(Damaged("item of an unknown context"));
                    }
                    let arrival = self.window_start.wrapping_add(take.zigzag()?);
                    items.push(SealedItem { context, arrival, count: take.u32()?, body: take.bytes()? });
                }
                each(GroupHead { signal, trace, policy, weight, is_late: flags & 1 == 1, is_complete: flags & 2 == 2 }, items);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_read_back_in_order_with_their_contexts() {
        let mut writer = SealedWriter::new(1_000);
        let context = StagedContext { service: "shop".into(), ..StagedContext::default() };
        assert_eq!((writer.context(&context), writer.context(&context)), (0, 0));
        let head = GroupHead {
            signal: Signal::Logs,
            trace: TraceId([3; 16]),
            policy: "p",
            weight: 20.0,
            is_late: true,
            is_complete: false,
        };
        let item = SealedItem { context: 0, arrival: 900, count: 1, body: b"body" };
        writer.group(&head, [item, item].into_iter()).unwrap();
        let object = writer.finish(&RedTable::new(1), &RedTable::new(1), None).unwrap().unwrap();
        let sealed = Sealed::read(&object.bytes).unwrap();
        let mut read = Vec::new();
        sealed.groups(Signal::Logs, |head, items| read.push((head, items))).unwrap();
        assert_eq!(read, [(head, vec![item, item])]);
        assert_eq!(sealed.contexts[0].service, "shop");
        sealed.groups(Signal::Traces, |_, _| panic!("no spans")).unwrap();
    }

    #[test]
    fn a_close_with_nothing_due_writes_nothing() {
        assert!(SealedWriter::new(0).finish(&RedTable::new(1), &RedTable::new(1), None).unwrap().is_none());
    }
}
