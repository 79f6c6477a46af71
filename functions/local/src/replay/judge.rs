//! Traces under the new rules, window by window, beside the rules that decided them: traces of the lake, and those whose spans are
//! still staged.
//!
//! What columns do not hold is read in several ways. A reading counts if the rules that decided the trace, run on it once more,
//! come to what is recorded. The most likely one that counts is taken; where another one differs, that is said. Staged spans are
//! what they are: there is one reading.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use anyhow::ensure;
use spanlake_model::{BucketRange, Signal, TraceId};
use spanlake_pipeline::inspect::{StagedDecision, StagedTrace};
use spanlake_pipeline::replay::{Closed, Replay, StoredPayload};
use spanlake_policy::{Rules, SpanFacts, TraceFacts};

use super::outcome::{outcome, ruling};
use super::rebuild::{READINGS, Row};
use super::request::{Request, Table};
use super::tally::{Basis, Counts, Fate, Followed, Kept, Known, Ruling, Tally};

/// Traces of one window that are held until all of them are known; of the staged ones all together.
const WINDOW_TRACES_MAX: usize = 500_000;

const NANOS_PER_MICRO: i64 = 1_000;

/// What was decided on a trace.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Recorded {
    pub(super) ruling: Ruling,
    weight: f64,
    /// Spans that it was decided by.
    pub(super) spans: u64,
    rules: String,
}

/// Spans of a trace that one service sent at one time.
struct Part {
    head: Head,
    kept: Kept,
    /// By reading, an export request of them.
    payloads: Vec<Vec<u8>>,
}

/// When spans came.
#[derive(Clone, Copy)]
struct Head {
    /// Which record brought them.
    record: i64,
    arrival_nanos: i64,
    is_late: bool,
}

/// Rows of a trace that one service sent at one time.
struct Rows {
    head: Head,
    kept: Kept,
    payloads: [Request; READINGS.len()],
}

/// A trace of the lake while its rows come.
struct Gathering {
    id: TraceId,
    end_micros: i64,
    recorded: Recorded,
    parts: Vec<Rows>,
}

/// A trace with all of its spans.
struct Whole {
    id: TraceId,
    recorded: Recorded,
    basis: Basis,
    /// If it waits: what the rules that will decide it know.
    undecided: Option<Vec<TraceFacts>>,
    parts: Vec<Part>,
}

/// What is left of a part.
#[derive(Clone, Default)]
pub(super) struct Left {
    pub(super) spans: u64,
    pub(super) bytes: u64,
    /// Of late spans, each with its length.
    pub(super) late: Vec<(SpanFacts, u64)>,
}

/// A trace under one set of rules, in one reading.
#[derive(Clone, Default)]
pub(super) struct Side {
    /// `None` if processors leave no span to decide by.
    pub(super) facts: Option<Vec<TraceFacts>>,
    pub(super) parts: Vec<Left>,
}

/// A trace under one set of rules, and what these count in it.
type Counted = (Side, Counts);

/// A trace that is due.
pub(super) struct Due {
    pub(super) id: TraceId,
    pub(super) recorded: Recorded,
    undecided: Option<Vec<TraceFacts>>,
    pub(super) known: Known,
    /// By reading: under the rules that decided it, if they are there, and under the new ones.
    pub(super) sides: Vec<(Option<Side>, Side)>,
}

impl Due {
    /// The sides in a reading. Staged spans read the same in all.
    pub(super) fn side(&self, reading: usize) -> Option<&(Option<Side>, Side)> {
        self.sides.get(reading).or_else(|| self.sides.last())
    }
}

/// Traces that were read from staged batches, until their windows come.
#[derive(Default)]
struct Bodies {
    /// By the window's end, microseconds: its start, and its traces.
    windows: BTreeMap<i64, (i64, Vec<Due>)>,
    /// Decided ones, with the end of their window in microseconds.
    decided: HashSet<(TraceId, i64)>,
    traces: usize,
}

/// All traces, in the order of their windows.
pub(super) struct Judge {
    new: Replay,
    old: BTreeMap<String, Replay>,
    shards: Vec<BucketRange>,
    bodies: Bodies,
    gathering: Option<Gathering>,
    /// Start and end of the window at hand, microseconds.
    window: (i64, i64),
    due: Vec<Due>,
    pub(super) tally: Tally,
}

impl Judge {
    /// `old` are the rules that decided, by version, as far as they are there.
    pub(super) fn new(new: Arc<Rules>, old: &BTreeMap<String, Arc<Rules>>, shards: Vec<BucketRange>) -> Self {
        let old = old.iter().map(|(version, rules)| (version.clone(), Replay::new(Arc::clone(rules)))).collect();
        let mut tally = Tally::default();
        tally.followed = new.logs().follows_trace().then(Followed::default);
        let (bodies, gathering, due) = (Bodies::default(), None, Vec::new());
        Self { new: Replay::new(new), old, shards, bodies, gathering, window: (0, 0), due, tally }
    }

    /// Takes a trace whose spans are all staged; before any row.
    pub(super) fn staged(&mut self, trace: StagedTrace) -> anyhow::Result<()> {
        let [start, end] = trace.window.map(|nanos| nanos / NANOS_PER_MICRO);
        let spans: u64 = trace.parts.iter().filter(|part| !part.is_late).map(|part| part.spans).sum();
        let (recorded, undecided) = match trace.decision {
            StagedDecision::Made(reason) => {
                let ruling = ruling(reason.verdict, &reason.policy);
                (Recorded { ruling, weight: reason.weight, spans, rules: reason.rules.clone() }, None)
            }
            StagedDecision::Waits { rules, facts } => {
                (Recorded { weight: 1.0, spans, rules, ..Recorded::default() }, Some(facts))
            }
        };
        // Without the rules of now nothing says what becomes of it.
        let is_told = undecided.is_none() || self.old.contains_key(&recorded.rules);
        if self.bodies.traces >= WINDOW_TRACES_MAX || !is_told {
            self.tally.waiting_not_run += if undecided.is_some() { spans } else { 0 };
            return Ok(());
        }
        let basis = match (&undecided, recorded.ruling.fate) {
            (Some(_), _) => Basis::Waiting,
            (None, Fate::Kept) => Basis::Kept,
            (None, _) => Basis::NotKept,
        };
        if undecided.is_none() {
            self.bodies.decided.insert((trace.id, end));
        }
        let parts = trace.parts.into_iter().map(|part| Part {
            head: Head { record: part.record.into(), arrival_nanos: part.arrival_nanos, is_late: part.is_late },
            kept: Kept { service: part.service, spans: part.spans, bytes: part.span_bytes },
            payloads: vec![part.request],
        });
        let due = self.run(Whole { id: trace.id, recorded, basis, undecided, parts: parts.collect() })?;
        self.bodies.windows.entry(end).or_insert_with(|| (start, Vec::new())).1.push(due);
        self.bodies.traces += 1;
        Ok(())
    }

    /// Whether a decision was taken from staged batches; its window's end is in microseconds.
    pub(super) fn has_staged(&self, id: TraceId, end_micros: i64) -> bool {
        self.bodies.decided.contains(&(id, end_micros))
    }

    /// The end of the first window that has decided a trace taken from staged batches, microseconds.
    pub(super) fn first_staged_micros(&self) -> Option<i64> {
        self.bodies.decided.iter().map(|(_, end)| *end).min()
    }

    /// Start of the first and end of the last window of staged traces, microseconds.
    pub(super) fn staged_windows(&self) -> Option<(i64, i64)> {
        let start = self.bodies.windows.values().map(|(start, _)| *start).min()?;
        Some((start, *self.bodies.windows.keys().next_back()?))
    }

    /// Takes the next row: by the end of the window, trace, lateness and arrival.
    pub(super) fn row(&mut self, row: Row<'_>) -> anyhow::Result<()> {
        let Ok(id) = row.text("trace_id").parse::<TraceId>() else { return Ok(()) };
        let end_micros = row.int("decided");
        if self.gathering.as_ref().is_none_or(|trace| trace.id != id || trace.end_micros != end_micros) {
            self.end_trace()?;
            if self.window.1 != end_micros {
                self.end_window();
                self.window = (row.int("window_began"), end_micros);
            }
            // What is staged is the spans themselves.
            if self.has_staged(id, end_micros) {
                return Ok(());
            }
            let recorded = Recorded {
                ruling: Ruling { fate: Fate::Kept, policy: row.text("decided_policy").to_owned() },
                weight: row.cell("decided_weight").as_double().unwrap_or(1.0),
                spans: u64::try_from(row.int("decided_spans")).unwrap_or_default(),
                rules: row.text("decided_rules").to_owned(),
            };
            self.gathering = Some(Gathering { id, end_micros, recorded, parts: Vec::new() });
        }
        let Some(trace) = &mut self.gathering else { return Ok(()) };
        let (arrival_nanos, is_late, service) =
            (row.int("arrival").saturating_mul(NANOS_PER_MICRO), row.is("is_late"), row.text("service_name"));
        let is_same = |part: &Rows| {
            (part.head.arrival_nanos, part.head.is_late, part.kept.service.as_str()) == (arrival_nanos, is_late, service)
        };
        if !trace.parts.last().is_some_and(is_same) {
            // Rows do not say which record brought them; what came at one time mostly came in one.
            let head = Head { record: arrival_nanos, arrival_nanos, is_late };
            let kept = Kept { service: service.to_owned(), ..Kept::default() };
            trace.parts.push(Rows { head, kept, payloads: Default::default() });
        }
        let Some(part) = trace.parts.last_mut() else { return Ok(()) };
        part.kept.spans += 1;
        for (payload, reading) in part.payloads.iter_mut().zip(READINGS) {
            payload.push(Table::Spans, row, reading);
        }
        Ok(())
    }

    /// Ends the last trace, the last window, and the staged windows behind it.
    pub(super) fn finish(mut self) -> anyhow::Result<Tally> {
        self.end_trace()?;
        self.end_window();
        let ends: BTreeSet<i64> = self.bodies.windows.keys().copied().collect();
        for end in ends {
            self.window = (end, end);
            self.end_window();
        }
        Ok(self.tally)
    }

    fn end_trace(&mut self) -> anyhow::Result<()> {
        let Some(Gathering { id, recorded, parts, .. }) = self.gathering.take() else { return Ok(()) };
        ensure!(
            self.due.len() < WINDOW_TRACES_MAX,
            "a window of the lake has more than {WINDOW_TRACES_MAX} traces, which is more than a dry run holds at once: \
             name a shorter time with --since"
        );
        let parts = parts.into_iter().map(|Rows { head, mut kept, payloads }| {
            let (payloads, bytes): (Vec<_>, Vec<_>) = payloads.into_iter().map(Request::finish).unzip();
            kept.bytes = bytes.into_iter().next().unwrap_or_default();
            Part { head, kept, payloads }
        });
        let whole = Whole { id, recorded, basis: Basis::Rows, undecided: None, parts: parts.collect() };
        let due = self.run(whole)?;
        self.due.push(due);
        Ok(())
    }

    /// Sends a trace through the rules that decided it, and through the new ones.
    fn run(&mut self, whole: Whole) -> anyhow::Result<Due> {
        let Whole { id, recorded, basis, undecided, parts } = whole;
        let is_by_these = self.old.get(&recorded.rules).is_some_and(|old| old.rules().version() == self.new.rules().version());
        let is_by_these = is_by_these || recorded.rules == self.new.rules().version();
        let mut known = Known { basis, is_by_these, ..Known::default() };
        let (mut heads, mut payloads): (Vec<Head>, Vec<Vec<Vec<u8>>>) = (Vec::with_capacity(parts.len()), Vec::new());
        for part in parts {
            known.decided_spans += if part.head.is_late { 0 } else { part.kept.spans };
            known.parts.push(part.kept);
            heads.push(part.head);
            payloads.resize_with(part.payloads.len().max(payloads.len()), Vec::new);
            payloads.iter_mut().zip(part.payloads).for_each(|(of_reading, payload)| of_reading.push(payload));
        }
        let mut all: Vec<(Option<Counted>, Counted)> = Vec::with_capacity(payloads.len());
        for (number, of_reading) in payloads.iter().enumerate() {
            // What reads the same comes to the same.
            let same = payloads.iter().take(number).position(|before| before == of_reading);
            if let Some(same) = same.and_then(|same| all.get(same)) {
                all.push(same.clone());
                continue;
            }
            let old = self.old.get_mut(&recorded.rules).map(|old| side(old, &known, &heads, of_reading)).transpose()?;
            all.push((old, side(&mut self.new, &known, &heads, of_reading)?));
        }
        for reading in 0..READINGS.len() {
            if let Some((old, (_, counts))) = all.get(reading).or_else(|| all.last()) {
                self.tally.counts(reading, old.as_ref().map(|(_, counts)| counts), counts);
            }
        }
        let sides = all.into_iter().map(|(old, (new, _))| (old.map(|(side, _)| side), new)).collect();
        Ok(Due { id, recorded, undecided, known, sides })
    }

    /// Decides all traces of the window.
    fn end_window(&mut self) {
        let mut due = std::mem::take(&mut self.due);
        if let Some((start, staged)) = self.bodies.windows.remove(&self.window.1) {
            self.window.0 = start;
            due.extend(staged);
        }
        if due.is_empty() {
            return;
        }
        let Self { new, old, shards, window, tally, .. } = self;
        let close = Close { window: *window, shards, due: &due };
        let decide_new = close.windows(new, |due, number| due.side(number).map(|(_, new)| new));
        let mut decide_old = BTreeMap::new();
        for (version, rules) in &*old {
            let is_of = |due: &&Due| due.recorded.rules == *version;
            let windows = close.windows(rules, |due, number| due.side(number).filter(|_| is_of(&due))?.0.as_ref());
            decide_old.insert(version.as_str(), windows);
        }
        for mut due in due {
            let old = decide_old.get(due.recorded.rules.as_str());
            // What waits is taken as decided now.
            if let (Some(facts), Some(old)) = (due.undecided.take(), old.and_then(|old| old.first())) {
                let judged = old.decide(&due.id, &facts);
                (due.recorded.ruling, due.recorded.weight) = (ruling(judged.verdict, &judged.policy), judged.weight);
            }
            let outcome = outcome(&due, old, (new.rules(), &decide_new));
            tally.trace(&due.id, (&due.recorded.ruling, due.recorded.weight), &due.known, outcome);
        }
    }
}

/// A window that is closed.
struct Close<'d> {
    /// Start and end, microseconds.
    window: (i64, i64),
    shards: &'d [BucketRange],
    due: &'d [Due],
}

impl Close<'_> {
    /// By reading: the window under some rules, to which all traces were offered that they leave anything of.
    fn windows<'r>(&self, rules: &'r Replay, side: impl Fn(&Due, usize) -> Option<&Side>) -> Vec<Closed<'r>> {
        let (start, end) = self.window;
        let window = |reading: usize| {
            let (end_nanos, window_nanos) = (end.saturating_mul(NANOS_PER_MICRO), (end - start).saturating_mul(NANOS_PER_MICRO));
            let mut closing = rules.close(end_nanos, window_nanos, self.shards);
            for due in self.due {
                if let Some(facts) = side(due, reading).and_then(|side| side.facts.as_ref()) {
                    closing.offer(&due.id, facts);
                }
            }
            closing.finish()
        };
        (0..READINGS.len()).map(window).collect()
    }
}

/// Sends the parts of a trace through rules.
fn side(replay: &mut Replay, known: &Known, heads: &[Head], payloads: &[Vec<u8>]) -> anyhow::Result<Counted> {
    let (mut all, mut counts) = (Vec::with_capacity(heads.len()), Counts::default());
    for ((head, bytes), part) in heads.iter().zip(payloads).zip(&known.parts) {
        let staged = replay.stage(Signal::Traces, StoredPayload { bytes, arrival_nanos: head.arrival_nanos })?;
        counts.add(Signal::Traces, &part.service, &staged);
        all.push(staged);
    }
    let decided = heads.iter().zip(&all).filter(|(head, _)| !head.is_late);
    let facts = replay.facts(decided.map(|(head, staged)| (head.record, staged)));
    let left = heads.iter().zip(&all).map(|(head, staged)| Left {
        spans: staged.left.len() as u64,
        bytes: staged.left.iter().map(|left| u64::from(left.bytes)).sum(),
        late: staged.left.iter().filter(|_| head.is_late).map(|left| (left.facts, u64::from(left.bytes))).collect(),
    });
    Ok((Side { facts, parts: left.collect() }, counts))
}
