//! Limits over the traces of a window: which of them there is room for.
//!
//! Every limiter, and every allowance of a `composite`, is a bucket, with [room](super::room) of its own in a window. Traces that
//! only a limit stands against are candidates. They are taken by descending randomness, ties by trace id; each tries its policies
//! in the order of the configuration, and takes room in all buckets of the first that has it. The first that a bucket has no room
//! for closes it: the bucket's threshold is its randomness + 1. A trace that is larger than a bucket of all shards, or than its
//! burst, is no candidate of it. One that is larger than the shard's part is: if it were passed over, smaller ones would use the
//! room that it gets at other times, and all of them together more than the rate.
//!
//! So a trace's fate depends on its own randomness by a threshold that the *other* traces set. That is why weights are unbiased:
//! 1 / P(randomness at or above this threshold) is exact, given the others and the coin. For a trace that was no candidate the
//! threshold is what it would have met; for one that was admitted and might have fared otherwise, the others are taken once more
//! without it.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use spanlake_model::TraceId;

use super::axes::Axes;
use super::decide::Sampler;
use super::facts::TraceFacts;
use super::policy::Body;
use super::room::{Coins, Room, Window, parts};
use super::threshold::NEVER;
use super::votes::Verdict;

/// The most candidates of a window; of more, those of the lowest randomness are rejected.
const CANDIDATES_MAX: usize = 100_000;

/// How many policies or sub-policies may have a limit.
pub(crate) const UNITS_MAX: usize = 32;

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

    /// What it takes of a room.
    fn size(&self, room: &Room) -> u64 {
        if room.counts_bytes { self.bytes } else { self.spans }
    }

    fn competes(&self, room: &Room) -> bool {
        self.size(room) <= room.size_max
    }
}

/// Gathers the candidates of a window: first pass of its close, over every trace that is due.
#[derive(Debug)]
pub struct Admission<'a> {
    sampler: Option<&'a Sampler>,
    window: Window,
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
    /// Randomness of each admitted trace, descending, and what it left, in parts.
    taken: Vec<(u64, i128)>,
    /// The place of the first candidate that it had not room enough for, and the sweep as it came to that. Up to there nobody
    /// fares otherwise where another of the candidates is left out.
    tight: Option<(usize, Sweep)>,
    /// It has room for all its candidates, whoever else would have had it.
    is_ample: bool,
}

/// What one candidate has in common with others: the unit that it was admitted by, those that might admit it, spans and bytes.
type Alike = (usize, u64, u64, u64);

/// Which candidates of a window there is room for. The default has room for none.
#[derive(Debug, Default)]
pub struct Admitted {
    rooms: Vec<Room>,
    filled: Vec<Filled>,
    /// By descending randomness, then by trace id.
    candidates: Vec<Candidate>,
    surplus: Option<u64>,
    /// What candidates that are alike meet among the others: that does not depend on which of them it is.
    met: Mutex<BTreeMap<Alike, Vec<u64>>>,
}

impl<'a> Admission<'a> {
    pub(crate) fn new(sampler: Option<&'a Sampler>, window: Window) -> Self {
        let buckets = sampler.map(|sampler| sampler.buckets.as_slice()).unwrap_or_default();
        let numbers = sampler.map(coin_numbers).unwrap_or_default();
        let rooms: Vec<Room> = buckets.iter().zip(numbers).map(|(bucket, number)| Room::new(bucket, window, number)).collect();
        Self { sampler, window, demands: vec![0; rooms.len()], rooms, candidates: Vec::new(), surplus: None }
    }

    /// For each bucket the window's coin with which its own is the lowest.
    #[cfg(test)]
    pub(super) fn first_coins(&self) -> impl Iterator<Item = u64> {
        self.rooms.iter().map(|room| room.coins(0).first)
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
            for bucket in unit.iter().filter(|_| possible >> number & 1 == 1) {
                if let Some(demand) = self.demands.get_mut(*bucket) {
                    *demand = demand.saturating_add(candidate.spans);
                }
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
            let taken = sweep.step(&rooms, units, candidate);
            let is_new = |(bucket, filled): (usize, &Filled)| filled.tight.is_none() && sweep.is_tight(bucket);
            if filled.iter().enumerate().any(is_new) {
                let before = sweep.undone(&rooms, taken, candidate, &filled);
                for (bucket, filled) in filled.iter_mut().enumerate() {
                    if is_new((bucket, filled)) {
                        filled.tight = Some((place, before.clone()));
                    }
                }
            }
            for bucket in taken {
                if let (Some(filled), Some(left)) = (filled.get_mut(*bucket), sweep.left.get(*bucket)) {
                    filled.taken.push((candidate.randomness, *left));
                }
            }
        }
        let beyond = surplus.map_or(0, |randomness| randomness + 1);
        let asked = asked(&rooms, units, &candidates);
        for (((filled, closed), room), asked) in filled.iter_mut().zip(&sweep.closed).zip(&rooms).zip(asked) {
            filled.closed = closed.unwrap_or(beyond);
            filled.is_ample = asked <= room.allowance;
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
                room.min(parts(self.demands.get(bucket).copied().unwrap_or(0)))
            };
            let taken: i128 = of_total.flatten().map(|sub| asked(sub.bucket)).sum();
            let left = self.rooms.get(total).map_or(0, |room| room.allowance.saturating_sub(taken).max(0));
            if let Some(room) = self.rooms.get_mut(number) {
                *room = room.of(left, self.window);
            }
        }
        // Whom the leftovers may admit was not known before they were.
        for candidate in &mut self.candidates {
            let too_large = |unit: &Unit| unit.iter().any(|b| self.rooms.get(*b).is_none_or(|room| !candidate.competes(room)));
            let surplus = sampler.units.iter().enumerate().filter(|(_, unit)| too_large(unit));
            let mask = surplus.fold(0, |mask, (number, _)| mask | 1 << number);
            candidate.units &= !mask;
        }
    }
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
        if unit.iter().any(|bucket| rooms.get(*bucket).is_none_or(|room| !candidate.competes(room))) {
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

/// A number for each bucket, the same for those that are in one unit.
fn coin_numbers(sampler: &Sampler) -> Vec<usize> {
    let mut numbers = vec![None; sampler.buckets.len()];
    for (number, unit) in sampler.units.iter().enumerate() {
        let known = unit.iter().filter_map(|bucket| numbers.get(*bucket).copied().flatten()).min();
        for bucket in unit {
            if let Some(slot) = numbers.get_mut(*bucket) {
                slot.get_or_insert(known.unwrap_or(number));
            }
        }
    }
    numbers.into_iter().map(Option::unwrap_or_default).collect()
}

/// What all candidates might take of each bucket, in parts; twice what they take in two units.
fn asked(rooms: &[Room], units: &[Unit], candidates: &[Candidate]) -> Vec<i128> {
    let mut asked = vec![0_i128; rooms.len()];
    for candidate in candidates {
        for bucket in chosen(units, candidate.units).flatten() {
            if let (Some(asked), Some(room)) = (asked.get_mut(*bucket), rooms.get(*bucket)) {
                *asked = asked.saturating_add(parts(candidate.size(room)));
            }
        }
    }
    asked
}

/// The units of a mask.
fn chosen(units: &[Unit], mask: u64) -> impl Iterator<Item = &Unit> {
    units.iter().enumerate().filter(move |(number, _)| mask >> number & 1 == 1).map(|(_, unit)| unit)
}

/// The room that is left while candidates are taken in their order.
#[derive(Debug, Clone)]
struct Sweep {
    /// In parts; below 0 where the last trace took more than there was.
    left: Vec<i128>,
    closed: Vec<Option<u64>>,
}

impl Sweep {
    fn new(rooms: &[Room]) -> Self {
        Self { left: rooms.iter().map(|room| room.allowance).collect(), closed: vec![None; rooms.len()] }
    }

    /// Takes the next candidate; returns the buckets that it took room in.
    fn step<'u>(&mut self, rooms: &[Room], units: &'u [Unit], candidate: &Candidate) -> &'u [usize] {
        for (number, unit) in units.iter().enumerate() {
            if candidate.units >> number & 1 == 1 && self.fits(rooms, unit, candidate) {
                for bucket in unit {
                    if let (Some(left), Some(room)) = (self.left.get_mut(*bucket), rooms.get(*bucket)) {
                        *left -= parts(candidate.size(room));
                    }
                }
                return unit;
            }
        }
        &[]
    }

    /// Whether somebody found less room than it takes.
    fn is_tight(&self, bucket: usize) -> bool {
        self.left.get(bucket).is_some_and(|left| *left < 0) || self.closed.get(bucket).is_some_and(Option::is_some)
    }

    /// As it was before a candidate took room in these buckets, and closed others: those of which it is not noted yet.
    fn undone(&self, rooms: &[Room], taken: &[usize], candidate: &Candidate, filled: &[Filled]) -> Self {
        let mut before = self.clone();
        for bucket in taken {
            if let (Some(left), Some(room)) = (before.left.get_mut(*bucket), rooms.get(*bucket)) {
                *left += parts(candidate.size(room));
            }
        }
        for (closed, _) in before.closed.iter_mut().zip(filled).filter(|(_, filled)| filled.tight.is_none()) {
            *closed = None;
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
            let has_room = room.fits(candidate.size(room), *left);
            if closed.is_none() && !has_room {
                *closed = Some(candidate.randomness + 1);
            }
            has_room && closed.is_none()
        })
    }
}

impl Admitted {
    /// What there is room for in a bucket, the largest trace that it lets in, and the randomness from which on it did.
    pub(super) fn room(&self, bucket: usize) -> (u64, u64, u64) {
        let (allowance, size_max) = self.rooms.get(bucket).map_or((0, 0), Room::whole);
        (allowance, size_max, self.filled.get(bucket).map_or(NEVER, |filled| filled.closed))
    }

    /// For each bucket the coins with which it might let in a trace of this size.
    pub(super) fn coins(&self, whole: &TraceFacts) -> Vec<Coins> {
        let size = |room: &Room| if room.counts_bytes { whole.size.whole_bytes } else { whole.spans };
        self.rooms.iter().map(|room| room.coins(size(room))).collect()
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
        if let Some(place) = found.filter(|_| self.taken_by(sampler, &trace).is_some()) {
            let mut possible = trace.units;
            if sampler.units.len() > 1 {
                axes.cells(&sampler.cuts, &[], &mut |at, _| possible |= units(sampler, records, at, &self.rooms, &trace));
            }
            // Where every trace fits or closes a bucket, without one that it admitted the bucket's threshold is the same.
            let is_plain = possible.count_ones() <= 1 && self.rooms.iter().all(Room::is_whole);
            if !is_plain && !self.is_sure(sampler, (&trace, place), possible) {
                thresholds = self.among_others(sampler, (&trace, place), possible);
            }
        }
        for (threshold, room) in thresholds.iter_mut().zip(&self.rooms) {
            if !room.lets_in(trace.size(room)) {
                *threshold = NEVER;
            }
        }
        thresholds
    }

    /// Whether a candidate, the one at this place, is surely taken whatever its randomness.
    fn is_sure(&self, sampler: &Sampler, (trace, place): (&Candidate, usize), possible: u64) -> bool {
        if possible != trace.units || self.surplus.is_some() {
            return false;
        }
        let all = |unit: &Unit, is: fn(&Filled) -> bool| unit.iter().all(|bucket| self.filled.get(*bucket).is_some_and(is));
        if chosen(&sampler.units, possible).any(|unit| all(unit, |filled| filled.is_ample)) {
            return true;
        }
        // Where nobody lacks what it takes, the others fare the same without it, and leave it as much.
        !self.tightens(place) && self.taken_by(sampler, trace).is_some_and(|(_, unit)| all(unit, |filled| filled.tight.is_none()))
    }

    /// Whether some bucket had not room enough for the candidate at this place, and for all before it.
    fn tightens(&self, place: usize) -> bool {
        self.filled.iter().any(|filled| filled.tight.as_ref().is_some_and(|(at, _)| *at == place))
    }

    /// The unit that a candidate was admitted by, with its number.
    fn taken_by<'u>(&self, sampler: &'u Sampler, trace: &Candidate) -> Option<(usize, &'u Unit)> {
        let passes = |bucket: &usize| self.filled.get(*bucket).is_some_and(|filled| filled.closed <= trace.randomness);
        let mut units = sampler.units.iter().enumerate();
        units.find(|(number, unit)| trace.units >> number & 1 == 1 && unit.iter().all(passes))
    }

    /// What a trace that was no candidate would have met.
    fn met(&self, trace: &Candidate) -> Vec<u64> {
        let beyond = self.surplus.and_then(|_| self.candidates.last()).map_or(0, |last| last.randomness + 1);
        let met = |(filled, room): (&Filled, &Room)| {
            let first = filled.taken.partition_point(|(_, left)| room.fits(trace.size(room), *left));
            let full = filled.taken.get(first).map_or(0, |(randomness, _)| randomness + 1);
            filled.closed.max(full).max(beyond)
        };
        self.filled.iter().zip(&self.rooms).map(met).collect()
    }

    /// What an admitted candidate, the one at this place, meets among the others alone. `possible` are the units that might admit
    /// it.
    ///
    /// Up to the first candidate that a bucket of its unit has not room enough for, the others fare the same with and without it,
    /// unless it was that one itself. From there on they are taken again.
    fn among_others(&self, sampler: &Sampler, (trace, place): (&Candidate, usize), possible: u64) -> Vec<u64> {
        let Some((number, unit)) = self.taken_by(sampler, trace).filter(|_| !self.tightens(place)) else {
            return self.resumed(sampler, (trace, possible), 0, Sweep::new(&self.rooms));
        };
        let key = (number, possible, trace.spans, if self.rooms.iter().any(|room| room.counts_bytes) { trace.bytes } else { 0 });
        let known = self.met.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(known) = known {
            return known;
        }
        let tight = unit.iter().filter_map(|bucket| self.filled.get(*bucket)?.tight.as_ref());
        let met = match tight.min_by_key(|(place, _)| *place) {
            // All its buckets have room to the end: it goes through all others to the end.
            None => self.resumed(sampler, (trace, possible), 0, Sweep::new(&self.rooms)),
            Some((first, sweep)) => {
                let mut sweep = sweep.clone();
                for bucket in unit {
                    if let (Some(left), Some(room)) = (sweep.left.get_mut(*bucket), self.rooms.get(*bucket)) {
                        *left += parts(trace.size(room));
                    }
                }
                self.resumed(sampler, (trace, possible), *first, sweep)
            }
        };
        self.met.lock().unwrap_or_else(PoisonError::into_inner).insert(key, met.clone());
        met
    }

    /// Takes the others again from a place on, until no bucket of these units has room for this trace.
    fn resumed(&self, sampler: &Sampler, (trace, possible): (&Candidate, u64), from: usize, mut sweep: Sweep) -> Vec<u64> {
        let has_room = |sweep: &Sweep, number: usize, room: &Room| {
            sweep.closed.get(number) == Some(&None)
                && sweep.left.get(number).is_some_and(|left| room.fits(trace.size(room), *left))
        };
        let is_asked = |bucket: usize| chosen(&sampler.units, possible).any(|unit| unit.contains(&bucket));
        let rooms = self.rooms.iter().enumerate().zip(self.met(trace));
        let mut met: Vec<Option<u64>> = rooms
            .map(|((number, room), before)| (!is_asked(number) || !has_room(&sweep, number, room)).then_some(before))
            .collect();
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
