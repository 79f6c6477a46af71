//! Limits over the traces of a window: which of them there is room for.
//!
//! Every limiter, and every allowance of a `composite`, is a bucket. What there is room for in a window is fixed when the window
//! is closed: what the rate yields in its length, or the burst where that is more, times the shard's share. Traces that only a
//! limit stands against are candidates. They are taken by descending randomness, ties by trace id; each tries its policies in
//! the order of the configuration, and takes room in all buckets of the first that has it. The first that a bucket has no room
//! for closes it: the bucket's threshold is its randomness + 1. A trace that is larger than a bucket, or than its burst, is no
//! candidate of it.
//!
//! So a trace's fate depends on its own randomness by a threshold that the *other* traces set. That is why weights are unbiased:
//! 1 / P(randomness at or above this threshold) is exact, given the others. For a trace that was no candidate the threshold
//! is what it would have met; for one that more than one policy might have admitted, the others are taken once more without it.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use spanlake_model::TraceId;

use super::axes::Axes;
use super::decide::Sampler;
use super::facts::TraceFacts;
use super::policy::Body;
use super::threshold::NEVER;
use super::votes::Verdict;

/// The most candidates of a window; of more, those of the lowest randomness are rejected.
const CANDIDATES_MAX: usize = 100_000;

/// How many policies or sub-policies may have a limit.
pub(crate) const UNITS_MAX: usize = 32;

/// Where room is counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Bucket {
    /// Spans or bytes in a second.
    pub(crate) rate: u64,
    /// The most that a full bucket holds; `None` for an allowance of `composite`.
    pub(crate) burst: Option<u64>,
    pub(crate) counts_bytes: bool,
    /// It holds what the allocations of the `composite` with this total leave.
    pub(crate) fills: Option<usize>,
}

/// What a trace is admitted by: all of these buckets must have room. One that others share stands last, so that a trace that
/// closes it would have been the first to do so without any trace that has room in its own.
pub(crate) type Unit = Vec<usize>;

#[derive(Debug, Clone, Copy)]
struct Candidate {
    randomness: u64,
    id: TraceId,
    spans: u64,
    bytes: u64,
    /// A bit for each unit that may admit it.
    units: u64,
}

impl Candidate {
    fn key(&self) -> (Reverse<u64>, TraceId) {
        (Reverse(self.randomness), self.id)
    }

    fn size(&self, counts_bytes: bool) -> u64 {
        if counts_bytes { self.bytes } else { self.spans }
    }
}

/// The room of one bucket in a window.
#[derive(Debug, Clone, Copy, Default)]
struct Room {
    allowance: u64,
    /// The largest trace that is let in.
    size_max: u64,
    counts_bytes: bool,
}

impl Room {
    fn lets_in(&self, candidate: &Candidate) -> bool {
        candidate.size(self.counts_bytes) <= self.size_max
    }
}

/// Gathers the candidates of a window: first pass of its close, over every trace that is due.
#[derive(Debug)]
pub struct Admission<'a> {
    sampler: Option<&'a Sampler>,
    rooms: Vec<Room>,
    /// What might be asked of each bucket of an allocation, whatever chance says.
    demands: Vec<u64>,
    candidates: Vec<Candidate>,
    /// The highest randomness of a candidate that was rejected because there were too many.
    surplus: Option<u64>,
}

/// What a bucket has come to.
#[derive(Debug, Clone, Default)]
struct Filled {
    /// The threshold of what was rejected; 0 where nothing was.
    closed: u64,
    /// Randomness of each admitted trace, descending, and what is taken up to it.
    taken: Vec<(u64, u64)>,
    /// The place of the candidate that closed it, and the sweep as it came to that.
    closing: Option<(usize, Sweep)>,
}

/// Which candidates of a window there is room for. The default has room for none.
#[derive(Debug, Default)]
pub struct Admitted {
    rooms: Vec<Room>,
    filled: Vec<Filled>,
    /// By descending randomness, then by trace id.
    candidates: Vec<Candidate>,
    surplus: Option<u64>,
    /// What candidates of a unit and size meet among the others: that does not depend on which of them it is.
    met: Mutex<BTreeMap<(usize, u64, u64), Vec<u64>>>,
}

impl<'a> Admission<'a> {
    pub(crate) fn new(sampler: Option<&'a Sampler>, window_end_ms: i64, window_ms: u64, share: f64) -> Self {
        let buckets = sampler.map(|sampler| sampler.buckets.as_slice()).unwrap_or_default();
        let room = |bucket: &Bucket| {
            let yielded = u128::from(bucket.rate) * u128::from(window_ms) / 1000;
            let whole = u64::try_from(yielded).unwrap_or(u64::MAX).max(bucket.burst.unwrap_or(0));
            let allowance = portion(whole, share, window_end_ms, window_ms);
            let size_max = bucket.burst.unwrap_or(u64::MAX).min(allowance);
            Room { allowance, size_max, counts_bytes: bucket.counts_bytes }
        };
        let rooms: Vec<Room> = buckets.iter().map(room).collect();
        Self { sampler, demands: vec![0; rooms.len()], rooms, candidates: Vec::new(), surplus: None }
    }

    /// Takes note of a trace that is due in the window: its facts, as [`crate::Rules::decide_in_window`] will be given them.
    pub fn offer(&mut self, id: &TraceId, records: &[TraceFacts]) {
        let Some(sampler) = self.sampler.filter(|sampler| sampler.has_limits()) else { return };
        let (axes, whole) = sampler.axes(id, records);
        let mut candidate = candidate(id, &axes, &whole);
        self.demand(sampler, records, &axes, &candidate);
        candidate.units = units(sampler, records, &axes, &self.rooms, &candidate);
        if candidate.units == 0 {
            return;
        }
        self.candidates.push(candidate);
        if self.candidates.len() >= 2 * CANDIDATES_MAX {
            self.cut();
        }
    }

    /// What each allocation might be asked for: what is left of them must not depend on chance.
    fn demand(&mut self, sampler: &Sampler, records: &[TraceFacts], axes: &Axes, candidate: &Candidate) {
        if !sampler.buckets.iter().any(|bucket| bucket.fills.is_some()) {
            return;
        }
        let mut possible = 0;
        axes.cells(&sampler.cuts, &[], &mut |at, _| possible |= units(sampler, records, at, &self.rooms, candidate));
        for (number, unit) in sampler.units.iter().enumerate() {
            let Some(demand) = unit.iter().rev().nth(1).and_then(|bucket| self.demands.get_mut(*bucket)) else { continue };
            if possible >> number & 1 == 1 {
                *demand = demand.saturating_add(candidate.spans);
            }
        }
    }

    fn cut(&mut self) {
        self.candidates.sort_unstable_by_key(Candidate::key);
        if let Some(first) = self.candidates.get(CANDIDATES_MAX) {
            self.surplus = self.surplus.max(Some(first.randomness));
            self.candidates.truncate(CANDIDATES_MAX);
        }
    }

    /// Which of them there is room for.
    #[must_use]
    pub fn finish(mut self) -> Admitted {
        self.cut();
        self.fill();
        let Self { sampler, rooms, candidates, surplus, .. } = self;
        let mut sweep = Sweep::new(&rooms);
        let units = sampler.map(|sampler| sampler.units.as_slice()).unwrap_or_default();
        let mut filled = vec![Filled::default(); rooms.len()];
        for (place, candidate) in candidates.iter().enumerate() {
            let closings = sweep.closings;
            let taken = sweep.step(&rooms, units, candidate);
            if sweep.closings > closings {
                let before = sweep.undone(&rooms, taken, candidate, &filled);
                for (filled, closed) in filled.iter_mut().zip(&sweep.closed) {
                    if closed.is_some() && filled.closing.is_none() {
                        filled.closing = Some((place, before.clone()));
                    }
                }
            }
            for bucket in taken {
                if let (Some(filled), Some(room), Some(left)) =
                    (filled.get_mut(*bucket), rooms.get(*bucket), sweep.left.get(*bucket))
                {
                    filled.taken.push((candidate.randomness, room.allowance - left));
                }
            }
        }
        let beyond = surplus.map_or(0, |randomness| randomness + 1);
        for (filled, closed) in filled.iter_mut().zip(&sweep.closed) {
            filled.closed = closed.unwrap_or(beyond);
        }
        Admitted { rooms, filled, candidates, surplus, met: Mutex::default() }
    }

    /// What the allocations of a `composite` leave of its total goes to all of its sub-policies.
    fn fill(&mut self) {
        let Some(sampler) = self.sampler else { return };
        for (number, bucket) in sampler.buckets.iter().enumerate() {
            let Some(total) = bucket.fills else { continue };
            let of_total = sampler.policies.iter().filter_map(|policy| match &policy.body {
                Body::Composite { subs, total: of, .. } if *of == total => Some(subs),
                _ => None,
            });
            let asked = |bucket: usize| {
                let room = self.rooms.get(bucket).map_or(0, |room| room.allowance);
                room.min(self.demands.get(bucket).copied().unwrap_or(0))
            };
            let taken = of_total.flatten().map(|sub| asked(sub.bucket)).fold(0, u64::saturating_add);
            let left = self.rooms.get(total).map_or(0, |room| room.allowance.saturating_sub(taken));
            if let Some(room) = self.rooms.get_mut(number) {
                (room.allowance, room.size_max) = (left, left);
            }
        }
        // Whom the leftovers may admit was not known before they were.
        for candidate in &mut self.candidates {
            let too_large = |unit: &Unit| unit.iter().any(|b| self.rooms.get(*b).is_none_or(|room| !room.lets_in(candidate)));
            let surplus = sampler.units.iter().enumerate().filter(|(_, unit)| too_large(unit));
            let mask = surplus.fold(0, |mask, (number, _)| mask | 1 << number);
            candidate.units &= !mask;
        }
    }
}

/// A shard's part of what a window has room for. What is less than a whole one is carried to later windows, so that the
/// parts of many windows come to what they should.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "it saturates")]
fn portion(whole: u64, share: f64, window_end_ms: i64, window_ms: u64) -> u64 {
    if share >= 1.0 {
        return whole;
    }
    let part = whole as f64 * share.max(0.0);
    // The number of the window, within a range in which no fraction is lost to rounding.
    let number = window_end_ms.div_euclid(i64::try_from(window_ms.max(1)).unwrap_or(i64::MAX)).rem_euclid(1 << 20) as f64;
    let fraction = part.fract();
    part.trunc() as u64 + ((number + 1.0) * fraction).floor() as u64 - (number * fraction).floor() as u64
}

fn candidate(id: &TraceId, axes: &Axes, whole: &TraceFacts) -> Candidate {
    let bytes = whole.size.whole_bytes;
    Candidate { randomness: axes.randomness, id: *id, spans: whole.spans, bytes, units: 0 }
}

/// The units of which each alone would have the trace kept; none if it is kept without, or dropped.
fn units(sampler: &Sampler, records: &[TraceFacts], axes: &Axes, rooms: &[Room], candidate: &Candidate) -> u64 {
    let mut thresholds = vec![0; rooms.len()];
    let verdict = |thresholds: &[u64]| sampler.evaluate(records, axes, thresholds).verdict;
    if verdict(&thresholds) != Verdict::Kept {
        return 0;
    }
    thresholds.fill(NEVER);
    if verdict(&thresholds) == Verdict::Kept {
        return 0;
    }
    let mut mask = 0;
    for (number, unit) in sampler.units.iter().enumerate() {
        if unit.iter().any(|bucket| rooms.get(*bucket).is_none_or(|room| !room.lets_in(candidate))) {
            continue;
        }
        thresholds.fill(NEVER);
        for bucket in unit {
            if let Some(threshold) = thresholds.get_mut(*bucket) {
                *threshold = 0;
            }
        }
        if verdict(&thresholds) == Verdict::Kept {
            mask |= 1 << number;
        }
    }
    mask
}

/// The units of a mask.
fn chosen(units: &[Unit], mask: u64) -> impl Iterator<Item = &Unit> {
    units.iter().enumerate().filter(move |(number, _)| mask >> number & 1 == 1).map(|(_, unit)| unit)
}

/// Whether some unit that may admit it does, by these thresholds.
fn is_admitted(sampler: &Sampler, trace: &Candidate, thresholds: &[u64]) -> bool {
    let passes = |bucket: &usize| thresholds.get(*bucket).is_some_and(|threshold| *threshold <= trace.randomness);
    chosen(&sampler.units, trace.units).any(|unit| unit.iter().all(passes))
}

/// The room that is left while candidates are taken in their order.
#[derive(Debug, Clone)]
struct Sweep {
    left: Vec<u64>,
    closed: Vec<Option<u64>>,
    /// How many buckets are closed.
    closings: usize,
}

impl Sweep {
    fn new(rooms: &[Room]) -> Self {
        Self { left: rooms.iter().map(|room| room.allowance).collect(), closed: vec![None; rooms.len()], closings: 0 }
    }

    /// Takes the next candidate; returns the buckets that it took room in.
    fn step<'u>(&mut self, rooms: &[Room], units: &'u [Unit], candidate: &Candidate) -> &'u [usize] {
        for (number, unit) in units.iter().enumerate() {
            if candidate.units >> number & 1 == 1 && self.fits(rooms, unit, candidate) {
                for bucket in unit {
                    if let (Some(left), Some(room)) = (self.left.get_mut(*bucket), rooms.get(*bucket)) {
                        *left = left.saturating_sub(candidate.size(room.counts_bytes));
                    }
                }
                return unit;
            }
        }
        &[]
    }

    /// As it was before a candidate took room in these buckets, and closed others: those of which it is not noted yet.
    fn undone(&self, rooms: &[Room], taken: &[usize], candidate: &Candidate, filled: &[Filled]) -> Self {
        let mut before = self.clone();
        for bucket in taken {
            if let (Some(left), Some(room)) = (before.left.get_mut(*bucket), rooms.get(*bucket)) {
                *left = left.saturating_add(candidate.size(room.counts_bytes));
            }
        }
        for (closed, filled) in before.closed.iter_mut().zip(filled) {
            if closed.is_some() && filled.closing.is_none() {
                *closed = None;
                before.closings = before.closings.saturating_sub(1);
            }
        }
        before
    }

    /// Whether all buckets have room. The first that has none is closed, and no further one is asked.
    fn fits(&mut self, rooms: &[Room], unit: &Unit, candidate: &Candidate) -> bool {
        unit.iter().all(|bucket| {
            let (Some(left), Some(closed), Some(room)) =
                (self.left.get(*bucket), self.closed.get_mut(*bucket), rooms.get(*bucket))
            else {
                return false;
            };
            let has_room = *left >= candidate.size(room.counts_bytes);
            if closed.is_none() && !has_room {
                *closed = Some(candidate.randomness + 1);
                self.closings += 1;
            }
            has_room && closed.is_none()
        })
    }
}

impl Admitted {
    /// What there is room for in a bucket, the largest trace that it lets in, and the randomness from which on it did.
    pub(super) fn room(&self, bucket: usize) -> (u64, u64, u64) {
        let room = self.rooms.get(bucket).copied().unwrap_or_default();
        (room.allowance, room.size_max, self.filled.get(bucket).map_or(NEVER, |filled| filled.closed))
    }

    /// The rank threshold of each bucket for one trace.
    pub(super) fn thresholds(
        &self,
        sampler: &Sampler,
        id: &TraceId,
        records: &[TraceFacts],
        (axes, whole): (&Axes, &TraceFacts),
    ) -> Vec<u64> {
        if self.rooms.len() != sampler.buckets.len() {
            return vec![NEVER; sampler.buckets.len()];
        }
        let mut trace = candidate(id, axes, whole);
        let found = self.candidates.binary_search_by_key(&trace.key(), Candidate::key).ok();
        trace.units = found.and_then(|place| self.candidates.get(place)).map_or(0, |known| known.units);
        let is_surplus = found.is_none() && self.surplus.is_some() && units(sampler, records, axes, &self.rooms, &trace) != 0;
        let mut thresholds = if found.is_some() || is_surplus {
            self.filled.iter().map(|filled| filled.closed).collect()
        } else {
            self.met(&trace)
        };
        if found.is_some() && sampler.units.len() > 1 && is_admitted(sampler, &trace, &thresholds) {
            let mut possible = trace.units;
            axes.cells(&sampler.cuts, &[], &mut |at, _| possible |= units(sampler, records, at, &self.rooms, &trace));
            // Where a unit of its own never closes, it is taken whatever its randomness.
            let is_open = |unit: &Unit| unit.iter().all(|bucket| thresholds.get(*bucket) == Some(&0));
            let is_sure = possible == trace.units && chosen(&sampler.units, possible).any(is_open);
            if possible.count_ones() > 1 && !is_sure {
                thresholds = self.among_others(sampler, &trace, found.unwrap_or(0));
            }
        }
        for (threshold, room) in thresholds.iter_mut().zip(&self.rooms) {
            if !room.lets_in(&trace) {
                *threshold = NEVER;
            }
        }
        thresholds
    }

    /// What a trace that was no candidate would have met.
    fn met(&self, trace: &Candidate) -> Vec<u64> {
        let beyond = self.surplus.and_then(|_| self.candidates.last()).map_or(0, |last| last.randomness + 1);
        let met = |(filled, room): (&Filled, &Room)| {
            let most = room.allowance.saturating_sub(trace.size(room.counts_bytes));
            let first = filled.taken.partition_point(|(_, taken)| *taken <= most);
            let full = filled.taken.get(first).map_or(0, |(randomness, _)| randomness + 1);
            filled.closed.max(full).max(beyond)
        };
        self.filled.iter().zip(&self.rooms).map(met).collect()
    }

    /// What an admitted candidate, the one at this place, meets among the others alone.
    ///
    /// Up to the first candidate that a bucket of its unit has no room for, the others fare the same with and without it, unless
    /// it closed a bucket itself. From there on they are taken again.
    fn among_others(&self, sampler: &Sampler, trace: &Candidate, place: usize) -> Vec<u64> {
        let closed_here = |filled: &Filled| filled.closing.as_ref().is_some_and(|(at, _)| *at == place);
        let taken_by = sampler.units.iter().enumerate().find(|(number, unit)| {
            let passes = |bucket: &usize| self.filled.get(*bucket).is_some_and(|filled| filled.closed <= trace.randomness);
            trace.units >> number & 1 == 1 && unit.iter().all(passes)
        });
        let Some((number, unit)) = taken_by.filter(|_| !self.filled.iter().any(closed_here)) else {
            return self.resumed(sampler, trace, 0, Sweep::new(&self.rooms));
        };
        let key = (number, trace.spans, if self.rooms.iter().any(|room| room.counts_bytes) { trace.bytes } else { 0 });
        let known = self.met.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(known) = known {
            return known;
        }
        let closings = unit.iter().filter_map(|bucket| self.filled.get(*bucket)?.closing.as_ref());
        let met = match closings.min_by_key(|(place, _)| *place) {
            // None of its buckets is ever closed: it goes through all others to the end.
            None => self.resumed(sampler, trace, 0, Sweep::new(&self.rooms)),
            Some((first, sweep)) => {
                let mut sweep = sweep.clone();
                for bucket in unit {
                    if let (Some(left), Some(room)) = (sweep.left.get_mut(*bucket), self.rooms.get(*bucket)) {
                        *left = left.saturating_add(trace.size(room.counts_bytes));
                    }
                }
                self.resumed(sampler, trace, *first, sweep)
            }
        };
        self.met.lock().unwrap_or_else(PoisonError::into_inner).insert(key, met.clone());
        met
    }

    /// Takes the others again from a place on, until no bucket has room for this trace.
    fn resumed(&self, sampler: &Sampler, trace: &Candidate, from: usize, mut sweep: Sweep) -> Vec<u64> {
        let has_room = |sweep: &Sweep, number: usize, room: &Room| {
            sweep.closed.get(number) == Some(&None)
                && sweep.left.get(number).is_some_and(|left| *left >= trace.size(room.counts_bytes))
        };
        let before = self.met(trace);
        let rooms = self.rooms.iter().enumerate().zip(before);
        let mut met: Vec<Option<u64>> =
            rooms.map(|((number, room), before)| (!has_room(&sweep, number, room)).then_some(before)).collect();
        for other in self.candidates.iter().skip(from).filter(|other| other.id != trace.id) {
            if met.iter().all(Option::is_some) {
                break;
            }
            sweep.step(&self.rooms, &sampler.units, other);
            for ((number, room), met) in self.rooms.iter().enumerate().zip(&mut met) {
                if met.is_none() && !has_room(&sweep, number, room) {
                    *met = Some(other.randomness + 1);
                }
            }
        }
        let beyond = self.surplus.map_or(0, |randomness| randomness + 1);
        met.into_iter().map(|met| met.unwrap_or(beyond)).collect()
    }
}
