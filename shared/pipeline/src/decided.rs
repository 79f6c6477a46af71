//! Recorded decisions: for every decided trace, kept or not, what was decided and why. They answer late spans for the
//! late horizon, and fill the lake's `decisions` table.

use std::collections::HashMap;
use std::sync::Arc;

use spanlake_model::TraceId;

use crate::codec::{Damaged, Put, Take};
use crate::object::{Effort, Finished, ObjectIndex, ObjectWriter};
use crate::staged::Key;

/// Beside a reason's verdict: it has a threshold.
const HAS_THRESHOLD: u8 = 128;
/// A segment ends after this many bytes.
const SEGMENT_BYTES: usize = 64 << 10;

/// What was decided of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// In the lake.
    Kept,
    /// No policy sampled it.
    SampledOut,
    /// A `drop` policy vetoed it.
    Dropped,
    /// No span of it came while its log records waited: those were kept by themselves. What comes later is free of it, and no
    /// table shows it.
    LogsAlone,
}

impl Verdict {
    const ALL: [Self; 4] = [Self::Kept, Self::SampledOut, Self::Dropped, Self::LogsAlone];

    const fn code(self) -> u8 {
        match self {
            Self::Kept => 0,
            Self::SampledOut => 1,
            Self::Dropped => 2,
            Self::LogsAlone => 3,
        }
    }

    /// The word in the `decisions` table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::SampledOut => "sampled_out",
            Self::Dropped => "dropped",
            Self::LogsAlone => "logs_alone",
        }
    }
}

/// A decision's reasons, shared by many traces.
#[derive(Clone, Debug, PartialEq)]
pub struct Reason {
    /// The verdict.
    pub verdict: Verdict,
    /// The deciding policy; empty if none voted for it.
    pub policy: String,
    /// The adjusted count: 1 over the probability of being kept.
    pub weight: f64,
    /// The rejection threshold, 56 bits, if the probability is that of one threshold of the trace's randomness.
    pub threshold: Option<u64>,
    /// The version of the rules that decided.
    pub rules: String,
    /// Each policy's name and vote.
    pub votes: Vec<(String, String)>,
}

impl Reason {
    /// Whether it is about a trace's spans too.
    pub(crate) fn is_of_trace(&self) -> bool {
        self.verdict != Verdict::LogsAlone
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.verdict.code() | if self.threshold.is_some() { HAS_THRESHOLD } else { 0 });
        if let Some(threshold) = self.threshold {
            out.varint(threshold);
        }
        out.bytes(self.policy.as_bytes());
        out.extend_from_slice(&self.weight.to_bits().to_le_bytes());
        out.bytes(self.rules.as_bytes());
        out.varint(self.votes.len() as u64);
        for (policy, vote) in &self.votes {
            out.bytes(policy.as_bytes());
            out.bytes(vote.as_bytes());
        }
    }

    fn decode(take: &mut Take<'_>) -> Result<Self, Damaged> {
        let marked = take.byte()?;
        let code = marked & !HAS_THRESHOLD;
        let threshold = if marked == code { None } else { Some(take.varint()?) };
        let verdict = Verdict::ALL.into_iter().find(|verdict| verdict.code() == code).ok_or(Damaged("unknown verdict"))?;
        let policy = take.str()?.to_owned();
        let weight = f64::from_bits(u64::from_le_bytes(take.array()?));
        let rules = take.str()?.to_owned();
        let count = take.count(2)?;
        let votes = (0..count).map(|_| Ok((take.str()?.to_owned(), take.str()?.to_owned()))).collect::<Result<_, Damaged>>()?;
        Ok(Self { verdict, policy, weight, threshold, rules, votes })
    }
}

/// A decided trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decided {
    pub(crate) key: Key,
    /// Index into the object's reasons.
    pub(crate) reason: u32,
    pub(crate) spans: u32,
    pub(crate) errors: u32,
    /// From the first span's arrival to the decision.
    pub(crate) wait_ms: u32,
    /// Whether every span that had arrived is kept or dropped with it: no cap was hit.
    pub(crate) is_complete: bool,
}

/// Writes the decisions of a close, in order of their keys.
#[derive(Default)]
pub(crate) struct DecidedWriter {
    reasons: Vec<Reason>,
    numbers: HashMap<Vec<u8>, u32>,
    rows: Vec<Decided>,
}

impl DecidedWriter {
    /// The number of a reason in this object.
    pub(crate) fn reason(&mut self, reason: &Reason) -> u32 {
        let mut encoded = Vec::new();
        reason.encode(&mut encoded);
        let next = u32::try_from(self.reasons.len()).unwrap_or(u32::MAX);
        let number = *self.numbers.entry(encoded).or_insert(next);
        if number == next {
            self.reasons.push(reason.clone());
        }
        number
    }

    /// Appends a decision; keys ascend.
    pub(crate) fn push(&mut self, decided: Decided) {
        self.rows.push(decided);
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The object, for the close of the window from `start` to `end`.
    pub(crate) fn finish(&self, start: i64, end: i64) -> Result<Finished, Damaged> {
        let mut writer = ObjectWriter::new(Effort::Lasting);
        let mut lasts = Vec::new();
        let mut block = Vec::with_capacity(SEGMENT_BYTES + 64);
        for (index, row) in self.rows.iter().enumerate() {
            block.varint(u64::from(row.key.bucket));
            block.extend_from_slice(&row.key.trace.0);
            block.varint(u64::from(row.reason) << 1 | u64::from(row.is_complete));
            block.varint(u64::from(row.spans));
            block.varint(u64::from(row.errors));
            block.varint(u64::from(row.wait_ms));
            if block.len() >= SEGMENT_BYTES || index + 1 == self.rows.len() {
                writer.block(&block)?;
                lasts.push(row.key);
                block.clear();
            }
        }
        let mut header = Vec::new();
        header.zigzag(start);
        header.zigzag(end);
        header.varint(self.reasons.len() as u64);
        self.reasons.iter().for_each(|reason| reason.encode(&mut header));
        header.varint(lasts.len() as u64);
        for key in &lasts {
            header.varint(u64::from(key.bucket));
            header.extend_from_slice(&key.trace.0);
        }
        Ok(writer.finish(&header))
    }
}

/// The index of a decisions object.
#[derive(Clone, Debug)]
pub(crate) struct DecidedIndex {
    object: ObjectIndex,
    /// The start of the window whose close decided these.
    pub(crate) start: i64,
    /// Its end.
    pub(crate) end: i64,
    pub(crate) reasons: Vec<Arc<Reason>>,
    /// The last key of each segment.
    pub(crate) lasts: Vec<Key>,
}

impl DecidedIndex {
    pub(crate) fn read(tail: &[u8]) -> Result<Self, Damaged> {
        let object = ObjectIndex::read(tail)?;
        let mut take = Take::new(object.header());
        let start = take.zigzag()?;
        let end = take.zigzag()?;
        let count = take.count(12)?;
        let reasons = (0..count).map(|_| Reason::decode(&mut take).map(Arc::new)).collect::<Result<_, Damaged>>()?;
        let count = take.count(17)?;
        let lasts = (0..count)
            .map(|_| Ok(Key { bucket: take.u16()?, trace: TraceId(take.array()?) }))
            .collect::<Result<Vec<_>, Damaged>>()?;
        Ok(Self { object, start, end, reasons, lasts })
    }

    pub(crate) fn range(&self, segment: usize) -> Result<std::ops::Range<u64>, Damaged> {
        let number = u32::try_from(segment).map_err(|_| Damaged("no such segment"))?;
        self.object.range(number, number)
    }

    /// The rows of a segment, out of bytes that begin at offset `at` of the object.
    pub(crate) fn rows(&self, segment: usize, bytes: &[u8], at: u64) -> Result<Vec<Decided>, Damaged> {
        let number = u32::try_from(segment).map_err(|_| Damaged("no such segment"))?;
        let block = self.object.inflate(number, bytes, at)?;
        let mut take = Take::new(&block);
        let mut rows = Vec::with_capacity(block.len() / 24);
        while !take.is_empty() {
            let key = Key { bucket: take.u16()?, trace: TraceId(take.array()?) };
            let head = take.varint()?;
            let reason = u32::try_from(head >> 1).map_err(|_| Damaged("number out of range"))?;
            if reason as usize >= self.reasons.len() {
                return Err(Damaged("unknown reason"));
            }
            rows.push(Decided {
                key,
                reason,
                spans: take.u32()?,
                errors: take.u32()?,
                wait_ms: take.u32()?,
                is_complete: head & 1 == 1,
            });
        }
        Ok(rows)
    }

    /// All rows of a whole object.
    pub(crate) fn all(&self, object: &[u8]) -> Result<Vec<Decided>, Damaged> {
        let mut rows = Vec::new();
        for segment in 0..self.lasts.len() {
            rows.extend(self.rows(segment, object, 0)?);
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_are_read_back_segment_by_segment() {
        let mut writer = DecidedWriter::default();
        let reason = |weight| Reason {
            verdict: Verdict::Kept,
            policy: "errors".into(),
            weight,
            rules: "r1".into(),
            threshold: Some(7),
            votes: vec![("errors".into(), "sampled".into())],
        };
        let key = |n: u16| Key { bucket: n, trace: TraceId([1; 16]) };
        for n in 0..4096 {
            let reason = writer.reason(&reason(f64::from(n % 2)));
            writer.push(Decided { key: key(n), reason, spans: 3, errors: 1, wait_ms: 10_000, is_complete: n != 7 });
        }
        let object = writer.finish(89, 99).unwrap();
        let index = DecidedIndex::read(&object.bytes).unwrap();
        assert_eq!((index.start, index.end, index.reasons.len()), (89, 99, 2));
        assert!(index.lasts.len() > 1);
        let rows = index.all(&object.bytes).unwrap();
        assert_eq!(rows.len(), 4096);
        assert_eq!(*index.reasons[rows[5].reason as usize], reason(1.0));
        assert!(!rows[7].is_complete && rows[8].is_complete && rows[4095].key == key(4095));
    }
}
