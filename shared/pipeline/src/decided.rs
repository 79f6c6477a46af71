//! Recorded decisions: for every decided trace, kept or not, what was decided and why. They answer late spans for the
//! late horizon, and fill the lake's `decisions` table.

use std::collections::HashMap;
use std::sync::Arc;

use spanlake_model::TraceId;
use spanlake_policy::{Asked, Measures, explanations};

use crate::codec::{Damaged, Put, Take};
use crate::measures::{Conditions, decode_conditions, decode_measures, encode_conditions, encode_measures};
use crate::object::{Effort, Finished, ObjectIndex, ObjectWriter};
use crate::staged::Key;

/// Beside a reason's verdict: it has a threshold.
const HAS_THRESHOLD: u8 = 128;
/// A segment ends after this many bytes.
const SEGMENT_BYTES: usize = 64 << 10;
/// At the end of the header, where it is known what votes refer to: behind the segments there is a block of measures for each of
/// them, and one of conditions. Objects of earlier releases have none of it.
const EXPLAINED: u64 = 1;

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
    /// Of each row.
    measures: Vec<Measures>,
    conditions: Vec<Conditions>,
}

impl DecidedWriter {
    /// Whether it is noted already what these rules ask.
    pub(crate) fn knows(&self, rules: &str) -> bool {
        self.conditions.iter().any(|known| known.rules == rules)
    }

    /// Notes what rules ask, by which their votes are explained.
    pub(crate) fn explain(&mut self, rules: &str, asked: Vec<Asked>) {
        self.conditions.push(Conditions { rules: rules.to_owned(), asked });
    }

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

    /// Appends a decision without votes; keys ascend.
    pub(crate) fn push(&mut self, decided: Decided) {
        self.push_measured(decided, Measures::default());
    }

    /// Appends a decision, with what its votes refer to.
    pub(crate) fn push_measured(&mut self, decided: Decided, measures: Measures) {
        self.rows.push(decided);
        self.measures.push(measures);
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The object, for the close of the window from `start` to `end`.
    pub(crate) fn finish(&self, start: i64, end: i64) -> Result<Finished, Damaged> {
        let mut writer = ObjectWriter::new(Effort::Lasting);
        let mut lasts = Vec::new();
        let (mut measured, mut from) = (Vec::new(), 0);
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
                measured.push(encode_measures(self.measures.get(from..=index).unwrap_or_default()));
                from = index + 1;
            }
        }
        let is_explained = !self.conditions.is_empty();
        if is_explained {
            measured.iter().try_for_each(|block| writer.block(block).map(|_| ()))?;
            writer.block(&encode_conditions(&self.conditions))?;
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
        if is_explained {
            header.varint(EXPLAINED);
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
    /// Whether it says what votes refer to.
    is_explained: bool,
}

/// What explains the votes of some rows. By default nothing is known.
#[derive(Default)]
pub(crate) struct Explained {
    measures: Vec<Measures>,
    conditions: Vec<Conditions>,
}

impl Explained {
    /// The value that decided each vote, in words, by policy, of the row at this place.
    pub(crate) fn of(&self, place: usize, row: &Decided, reason: &Reason) -> Vec<(&str, String)> {
        let conditions = self.conditions.iter().find(|of| of.rules == reason.rules);
        let (Some(conditions), Some(measures)) = (conditions, self.measures.get(place)) else { return Vec::new() };
        explanations(&conditions.asked, &reason.votes, &reason.policy, &row.key.trace, measures)
    }
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
        let is_explained = !take.is_empty();
        if is_explained && take.varint()? != EXPLAINED {
            return Err(Damaged("explained in an unknown way"));
        }
        Ok(Self { object, start, end, reasons, lasts, is_explained })
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

    /// The numbers of the blocks that explain a segment's votes: measures, and conditions.
    fn explaining(&self, segment: usize) -> Option<[u32; 2]> {
        let number = |place: usize| u32::try_from(place).ok();
        let segments = self.lasts.len();
        let blocks = [number(segments.checked_add(segment)?)?, number(segments.checked_mul(2)?)?];
        self.is_explained.then_some(blocks)
    }

    /// Where the blocks are that explain a segment's votes; `None` where nothing does.
    pub(crate) fn explaining_ranges(&self, segment: usize) -> Result<Option<[std::ops::Range<u64>; 2]>, Damaged> {
        let Some([measures, conditions]) = self.explaining(segment) else { return Ok(None) };
        Ok(Some([self.object.range(measures, measures)?, self.object.range(conditions, conditions)?]))
    }

    /// What explains the votes of a segment of so many rows, out of bytes that begin at an offset of the object each.
    pub(crate) fn explained(&self, segment: usize, rows: usize, bytes: [(&[u8], u64); 2]) -> Result<Explained, Damaged> {
        let Some([measures, conditions]) = self.explaining(segment) else { return Ok(Explained::default()) };
        let [of_measures, of_conditions] = bytes;
        let measures = decode_measures(&self.object.inflate(measures, of_measures.0, of_measures.1)?, rows)?;
        let conditions = decode_conditions(&self.object.inflate(conditions, of_conditions.0, of_conditions.1)?)?;
        Ok(Explained { measures, conditions })
    }

    /// All rows of a whole object, and what explains their votes.
    pub(crate) fn all_explained(&self, object: &[u8]) -> Result<(Vec<Decided>, Explained), Damaged> {
        let (mut all, mut explained) = (Vec::new(), Explained::default());
        for segment in 0..self.lasts.len() {
            let rows = self.rows(segment, object, 0)?;
            let of_rows = self.explained(segment, rows.len(), [(object, 0); 2])?;
            explained.measures.extend(of_rows.measures);
            explained.conditions = of_rows.conditions;
            all.extend(rows);
        }
        Ok((all, explained))
    }
}

#[cfg(test)]
mod tests;
