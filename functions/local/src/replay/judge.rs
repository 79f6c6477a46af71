//! Traces of the lake under the new rules, window by window, beside the rules that decided them.
//!
//! What columns do not hold is read in several ways. A reading counts if the rules that decided the trace, run on it once more,
//! come to what is recorded. The most likely one that counts is taken; where another one differs, that is said.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::ensure;
use spanlake_model::{BucketRange, Signal, TraceId};
use spanlake_pipeline::Verdict;
use spanlake_pipeline::replay::{Closed, Judged, Replay, StoredPayload};
use spanlake_policy::{Rules, SpanFacts, TraceFacts};

use super::rebuild::{READINGS, Row, SpansOf};
use super::tally::{Certain, Counts, Fate, Kept, Known, Tally, Unknown};

/// Traces of one window that are held until all of them are known.
const WINDOW_TRACES_MAX: usize = 500_000;

/// What the lake knows of a trace's decision.
#[derive(Clone, Debug, Default, PartialEq)]
struct Recorded {
    policy: String,
    weight: f64,
    spans: u64,
    rules: String,
}

/// Spans of a trace that one service sent at one time.
struct Part {
    arrival_nanos: i64,
    is_late: bool,
    service: String,
    spans: u64,
    bytes: u64,
    payloads: [SpansOf; READINGS.len()],
}

/// A trace while its rows come.
struct Gathering {
    id: TraceId,
    end_micros: i64,
    recorded: Recorded,
    parts: Vec<Part>,
}

/// What is left of a part.
#[derive(Clone, Default)]
struct Left {
    spans: u64,
    bytes: u64,
    /// Of late spans, each with its length.
    late: Vec<(SpanFacts, u64)>,
}

/// A trace under one set of rules, in one reading.
#[derive(Clone, Default)]
struct Side {
    /// `None` if processors leave no span to decide by.
    facts: Option<Vec<TraceFacts>>,
    parts: Vec<Left>,
}

/// A trace under one set of rules, and what these count in it.
type Counted = (Side, Counts);

/// A trace that is due.
struct Due {
    id: TraceId,
    recorded: Recorded,
    known: Known,
    /// By reading: under the rules that decided it, if they are there, and under the new ones.
    sides: Vec<(Option<Side>, Side)>,
}

/// All traces, one after the other, in the order of their windows.
pub(super) struct Judge {
    new: Replay,
    old: BTreeMap<String, Replay>,
    shards: Vec<BucketRange>,
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
        let (gathering, due, tally) = (None, Vec::new(), Tally::default());
        Self { new: Replay::new(new), old, shards, gathering, window: (0, 0), due, tally }
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
            let recorded = Recorded {
                policy: row.text("decided_policy").to_owned(),
                weight: row.cell("decided_weight").as_double().unwrap_or(1.0),
                spans: u64::try_from(row.int("decided_spans")).unwrap_or_default(),
                rules: row.text("decided_rules").to_owned(),
            };
            self.gathering = Some(Gathering { id, end_micros, recorded, parts: Vec::new() });
        }
        let Some(trace) = &mut self.gathering else { return Ok(()) };
        let (arrival_nanos, is_late, service) =
            (row.int("arrival").saturating_mul(1_000), row.is("is_late"), row.text("service_name"));
        let is_same =
            |part: &Part| (part.arrival_nanos, part.is_late, part.service.as_str()) == (arrival_nanos, is_late, service);
        if !trace.parts.last().is_some_and(is_same) {
            let service = service.to_owned();
            trace.parts.push(Part { arrival_nanos, is_late, service, spans: 0, bytes: 0, payloads: Default::default() });
        }
        let Some(part) = trace.parts.last_mut() else { return Ok(()) };
        part.spans += 1;
        for (number, (payload, reading)) in part.payloads.iter_mut().zip(READINGS).enumerate() {
            let bytes = payload.push(row, reading);
            part.bytes += if number == 0 { bytes } else { 0 };
        }
        Ok(())
    }

    /// Ends the last trace and the last window.
    pub(super) fn finish(mut self) -> anyhow::Result<Tally> {
        self.end_trace()?;
        self.end_window();
        Ok(self.tally)
    }

    fn end_trace(&mut self) -> anyhow::Result<()> {
        let Some(Gathering { id, recorded, parts, .. }) = self.gathering.take() else { return Ok(()) };
        ensure!(
            self.due.len() < WINDOW_TRACES_MAX,
            "a window of the lake has more than {WINDOW_TRACES_MAX} traces, which is more than a dry run holds at once: \
             name a shorter time with --since"
        );
        let is_by_these = self.old.get(&recorded.rules).is_some_and(|old| old.rules().version() == self.new.rules().version());
        let mut known = Known { is_by_these: is_by_these || recorded.rules == self.new.rules().version(), ..Known::default() };
        for part in &parts {
            known.parts.push(Kept { service: part.service.clone(), spans: part.spans, bytes: part.bytes });
            known.decided_spans += if part.is_late { 0 } else { part.spans };
        }
        let heads: Vec<(i64, bool)> = parts.iter().map(|part| (part.arrival_nanos, part.is_late)).collect();
        let mut payloads: Vec<Vec<Vec<u8>>> = READINGS.iter().map(|_| Vec::with_capacity(parts.len())).collect();
        for part in parts {
            for (payloads, spans) in payloads.iter_mut().zip(part.payloads) {
                payloads.push(spans.finish());
            }
        }
        let mut all: Vec<(Option<Counted>, Counted)> = Vec::with_capacity(READINGS.len());
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
        let mut sides = Vec::with_capacity(READINGS.len());
        for (number, (old, (new, counts))) in all.into_iter().enumerate() {
            self.tally.counts(number, old.as_ref().map(|(_, counts)| counts), &counts);
            sides.push((old.map(|(side, _)| side), new));
        }
        self.due.push(Due { id, recorded, known, sides });
        Ok(())
    }

    /// Decides all traces of the window.
    fn end_window(&mut self) {
        let due = std::mem::take(&mut self.due);
        if due.is_empty() {
            return;
        }
        let Self { new, old, shards, window, tally, .. } = self;
        let close = Close { window: *window, shards, due: &due };
        let decide_new = close.windows(new, |due, number| due.sides.get(number).map(|(_, new)| new));
        let mut decide_old = BTreeMap::new();
        for (version, rules) in &*old {
            let is_of = |due: &&Due| due.recorded.rules == *version;
            let windows = close.windows(rules, |due, number| due.sides.get(number).filter(|_| is_of(&due))?.0.as_ref());
            decide_old.insert(version.as_str(), windows);
        }
        for due in &due {
            let outcome = outcome(due, decide_old.get(due.recorded.rules.as_str()), (new.rules(), &decide_new));
            tally.trace(&due.id, (&due.recorded.policy, due.recorded.weight), &due.known, outcome);
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
            let mut closing = rules.close(end.saturating_mul(1_000), (end - start).saturating_mul(1_000), self.shards);
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
fn side(replay: &mut Replay, known: &Known, heads: &[(i64, bool)], payloads: &[Vec<u8>]) -> anyhow::Result<Counted> {
    let (mut all, mut counts) = (Vec::with_capacity(heads.len()), Counts::default());
    for (((arrival_nanos, _), bytes), part) in heads.iter().zip(payloads).zip(&known.parts) {
        let staged = replay.stage(Signal::Traces, StoredPayload { bytes, arrival_nanos: *arrival_nanos })?;
        counts.add(&part.service, &staged);
        all.push(staged);
    }
    let decided = heads.iter().zip(&all).filter(|((_, is_late), _)| !is_late);
    let facts = replay.facts(decided.map(|((arrival, _), staged)| (*arrival, staged)));
    let left = heads.iter().zip(&all).map(|((_, is_late), staged)| Left {
        spans: staged.left.len() as u64,
        bytes: staged.left.iter().map(|left| u64::from(left.bytes)).sum(),
        late: staged.left.iter().filter(|_| *is_late).map(|left| (left.facts, u64::from(left.bytes))).collect(),
    });
    Ok((Side { facts, parts: left.collect() }, counts))
}

/// What the new rules make of a trace in the most likely reading that counts, and whether all others that count say the same.
fn outcome(due: &Due, old: Option<&Vec<Closed<'_>>>, (rules, new): (&Rules, &[Closed<'_>])) -> Result<(Certain, bool), Unknown> {
    if due.known.decided_spans != due.recorded.spans {
        return Err(Unknown::Incomplete);
    }
    let certain = |number: usize| {
        let (_, side) = due.sides.get(number)?;
        let judged = side.facts.as_ref().and_then(|facts| Some(new.get(number)?.decide(&due.id, facts)));
        Some(certain(due, side, judged, rules))
    };
    let mut outcomes = readings_that_count(due, old).into_iter().filter_map(certain);
    let likely = outcomes.next().ok_or(Unknown::NotReproduced)?;
    let is_certain = outcomes.all(|other| other.is_like(&likely));
    Ok((likely, is_certain))
}

/// The readings in which the rules that decided the trace come to what is recorded: the policy, or at least that it is kept (of
/// several that keep it, limits choose by the traces that are gone). All readings if those rules are not there.
fn readings_that_count(due: &Due, old: Option<&Vec<Closed<'_>>>) -> Vec<usize> {
    let Some(old) = old else { return (0..due.sides.len()).collect() };
    let judged = |number: usize| {
        let facts = due.sides.get(number)?.0.as_ref()?.facts.as_ref()?;
        Some(old.get(number)?.decide(&due.id, facts)).filter(|judged| judged.verdict == Verdict::Kept)
    };
    let kept: Vec<(usize, Judged)> = (0..due.sides.len()).filter_map(|number| Some((number, judged(number)?))).collect();
    let same: Vec<usize> =
        kept.iter().filter(|(_, judged)| judged.policy == due.recorded.policy).map(|(number, _)| *number).collect();
    if same.is_empty() { kept.into_iter().map(|(number, _)| number).collect() } else { same }
}

fn certain(due: &Due, side: &Side, judged: Option<Judged>, rules: &Rules) -> Certain {
    let (fate, policy, chance) = match judged {
        None => (Fate::Filtered, String::new(), 0.0),
        Some(Judged { verdict: Verdict::Kept, policy, chance }) => (Fate::Kept, policy, chance),
        Some(Judged { verdict: Verdict::SampledOut | Verdict::LogsAlone, policy, chance }) => (Fate::SampledOut, policy, chance),
        Some(Judged { verdict: Verdict::Dropped, policy, chance }) => (Fate::Dropped, policy, chance),
    };
    let mut certain = Certain { fate, policy, chance, ..Certain::default() };
    for (part, left) in due.known.parts.iter().zip(&side.parts) {
        let service = part.service.clone();
        let alone = left.late.iter().filter(|(facts, _)| rules.keeps_late_span(&due.id, facts));
        let (spans, bytes) = match fate {
            Fate::Kept => (left.spans, left.bytes),
            // A late span may be kept for itself.
            _ => alone.fold((0, 0), |(spans, sum), (_, bytes)| (spans + 1, sum + bytes)),
        };
        certain.left.push(Kept { service: service.clone(), spans: left.spans, bytes: left.bytes });
        certain.kept.push(Kept { service, spans, bytes });
    }
    certain
}
