//! What a dry run has found, counted.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use spanlake_model::{PerSignal, Signal, TraceId};
use spanlake_pipeline::replay::Staged;

use super::estimate::Estimate;
use super::rebuild::READINGS;

/// Traces whose verdicts are held for log records that follow them.
const FOLLOWED_MAX: usize = 2_000_000;

/// Traces that are named as examples of a change.
const EXAMPLES: usize = 3;

/// Spans of one service.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Kept {
    pub(super) service: String,
    pub(super) spans: u64,
    /// Of their messages.
    pub(super) bytes: u64,
}

/// What a trace was read from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Basis {
    /// Rows of the lake: it is kept.
    #[default]
    Rows,
    /// Staged spans; it is kept.
    Kept,
    /// Staged spans; it is not kept.
    NotKept,
    /// Staged spans, and nothing is decided yet.
    Waiting,
}

impl Basis {
    pub(super) const ALL: [Self; 4] = [Self::Rows, Self::Kept, Self::NotKept, Self::Waiting];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Rows => "lake",
            Self::Kept => "staged_kept",
            Self::NotKept => "staged_not_kept",
            Self::Waiting => "staged_waiting",
        }
    }
}

/// A trace as it is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub(super) basis: Basis,
    /// In the order of arrival.
    pub(super) parts: Vec<Kept>,
    /// Those that were there at the decision.
    pub(super) decided_spans: u64,
    /// The rules that run here have decided it.
    pub(super) is_by_these: bool,
}

/// What rules make of a trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fate {
    #[default]
    Kept,
    /// No policy keeps it.
    SampledOut,
    /// A policy vetoes it.
    Dropped,
    /// Processors take all of its spans away before it is decided.
    Filtered,
}

impl Fate {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::SampledOut => "sampled_out",
            Self::Dropped => "dropped",
            Self::Filtered => "filtered",
        }
    }
}

/// What becomes of a trace, and by which policy; by none where none keeps or drops it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ruling {
    pub(super) fate: Fate,
    pub(super) policy: String,
}

/// Why it cannot be told what the new rules do with a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unknown {
    /// Not all spans are in the lake that it was decided by.
    Incomplete,
    /// The rules that decided it come to something else on what is stored.
    NotReproduced,
}

impl Unknown {
    pub(super) const ALL: [Self; 2] = [Self::Incomplete, Self::NotReproduced];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Incomplete => "incomplete",
            Self::NotReproduced => "not_reproduced",
        }
    }

    pub(super) const fn why(self) -> &'static str {
        match self {
            Self::Incomplete => {
                "not all of their spans are in the lake: cut to a limit, changed by a processor, or not filed yet"
            }
            Self::NotReproduced => {
                "the rules that decided them come to something else on what is stored: by what masking or a processor has changed \
                 since, or by limits"
            }
        }
    }
}

/// What the new rules make of a trace, in one reading.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Certain {
    pub(super) ruling: Ruling,
    /// How likely it is kept.
    pub(super) chance: f64,
    /// What processors leave of each part.
    pub(super) left: Vec<Kept>,
    /// What would be stored of each part.
    pub(super) kept: Vec<Kept>,
}

impl Certain {
    /// Whether it comes to the same, but for the lengths of messages.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let spans = |certain: &Self| certain.kept.iter().map(|kept| kept.spans).collect::<Vec<_>>();
        self.ruling == other.ruling && spans(self) == spans(other)
    }
}

/// Traces and their spans.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sum {
    pub(super) traces: u64,
    pub(super) spans: u64,
}

impl Sum {
    pub(super) fn add(&mut self, traces: u64, spans: u64) {
        self.traces += traces;
        self.spans += spans;
    }
}

/// What a service has, and would have.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Service {
    pub(super) spans: u64,
    pub(super) new_spans: u64,
    /// Of those that rows of the lake stand for, and of staged ones.
    pub(super) estimated_spans: f64,
    pub(super) staged_spans: u64,
    /// Log records and data points, now and then.
    pub(super) records: PerSignal<[u64; 2]>,
}

/// A policy before and after.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Policy {
    pub(super) old: Sum,
    /// How many traces these stand for.
    pub(super) old_weight: f64,
    pub(super) new: Sum,
}

/// Traces whose verdict or policy changes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Move {
    pub(super) sum: Sum,
    pub(super) examples: Vec<String>,
}

/// Values that masking rules find, in one reading, by rule and service: before, and now.
type Masked = BTreeMap<(String, String), (u64, u64)>;

/// Log records that would go where their traces go.
#[derive(Debug, Default)]
pub(super) struct Followed {
    /// Whether a trace's log records are kept; `None` if it cannot be told.
    verdicts: HashMap<TraceId, Option<bool>>,
    /// Records that would not be kept.
    pub(super) gone: u64,
    /// Records of traces that were not judged, and are taken as kept.
    pub(super) untold: u64,
}

impl Followed {
    fn note(&mut self, id: &TraceId, outcome: &Result<(Certain, bool), Unknown>) {
        // Where processors leave no span, records wait for none and are kept.
        let goes = |fate: Fate| matches!(fate, Fate::SampledOut | Fate::Dropped);
        let verdict = outcome.as_ref().ok().map(|(certain, _)| !goes(certain.ruling.fate));
        if self.verdicts.len() < FOLLOWED_MAX {
            self.verdicts.insert(*id, verdict);
        }
    }

    /// Whether a record of this trace is kept.
    pub(super) fn keeps(&mut self, id: &TraceId) -> bool {
        let told = self.verdicts.get(id).copied().flatten();
        self.gone += u64::from(told == Some(false));
        self.untold += u64::from(told.is_none());
        told.unwrap_or(true)
    }
}

/// Which items were taken away.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Taken {
    /// The ledger's.
    pub(super) reason: String,
    pub(super) signal: Signal,
    pub(super) service: String,
}

/// The counts.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// What is kept of all that was judged.
    pub(super) now: Sum,
    pub(super) span_bytes: u64,
    /// Of log records' and metrics' messages, now and then.
    pub(super) record_bytes: PerSignal<[u64; 2]>,
    /// If logs follow their traces under the new rules.
    pub(super) followed: Option<Followed>,
    pub(super) judged: BTreeMap<Basis, Sum>,
    /// Spans that wait for a decision and could not be judged.
    pub(super) waiting_not_run: u64,
    pub(super) new: Sum,
    pub(super) new_span_bytes: u64,
    pub(super) fates: BTreeMap<Fate, Sum>,
    pub(super) unknown: BTreeMap<Unknown, Move>,
    /// Those that come out otherwise in another reading.
    pub(super) uncertain: Move,
    pub(super) services: BTreeMap<String, Service>,
    pub(super) policies: BTreeMap<String, Policy>,
    /// From what was decided to what would be.
    pub(super) moves: BTreeMap<(Ruling, Ruling), Move>,
    /// Of what rows of the lake stand for.
    pub(super) estimate: Estimate,
    /// What would be kept of the staged traces.
    pub(super) staged: Estimate,
    /// By reading.
    masked: [Masked; READINGS.len()],
    /// By reading: items that processors take away.
    filtered: [BTreeMap<Taken, u64>; READINGS.len()],
    /// By reading: how often statements and conditions cannot be executed, by themselves and service.
    failed: [BTreeMap<(String, String), u64>; READINGS.len()],
}

impl Tally {
    /// Takes note of a trace, of what was decided on it and with which weight, and of what the new rules make of it; one of which
    /// nothing can be told stays as it is.
    pub(super) fn trace(
        &mut self,
        id: &TraceId,
        (before, weight): (&Ruling, f64),
        known: &Known,
        outcome: Result<(Certain, bool), Unknown>,
    ) {
        let spans: u64 = known.parts.iter().map(|part| part.spans).sum();
        self.judged.entry(known.basis).or_default().add(1, spans);
        let is_kept = before.fate == Fate::Kept;
        if is_kept {
            self.is_kept(&before.policy, weight, known, spans);
        }
        if let Some(followed) = &mut self.followed {
            followed.note(id, &outcome);
        }
        let certain = match outcome {
            Ok((certain, is_certain)) => {
                if !is_certain {
                    self.uncertain.note(id, spans);
                }
                certain
            }
            Err(why) => {
                self.unknown.entry(why).or_default().note(id, spans);
                if is_kept {
                    self.estimated(known.basis, 1.0, &known.parts);
                    self.keep(&before.policy, &known.parts);
                }
                return;
            }
        };
        match known.basis {
            // What these rules have kept is what they keep: chance and room for it were there once, and need not be guessed.
            Basis::Rows if known.is_by_these => self.estimated(known.basis, 1.0, &known.parts),
            Basis::Rows => self.estimated(known.basis, weight.max(1.0) * certain.chance, &certain.left),
            // Each stands for itself.
            Basis::Kept | Basis::NotKept | Basis::Waiting if certain.ruling.fate == Fate::Kept => {
                self.estimated(known.basis, 1.0, &certain.kept);
            }
            Basis::Kept | Basis::NotKept | Basis::Waiting => {}
        }
        self.fates.entry(certain.ruling.fate).or_default().add(1, spans);
        if certain.ruling != *before {
            self.moves.entry((before.clone(), certain.ruling.clone())).or_default().note(id, spans);
        }
        if certain.ruling.fate == Fate::Kept {
            self.keep(&certain.ruling.policy, &certain.kept);
        } else {
            self.store(&certain.kept);
        }
    }

    /// Counts a trace that is kept now.
    #[expect(clippy::cast_precision_loss, reason = "estimates")]
    fn is_kept(&mut self, policy: &str, weight: f64, known: &Known, spans: u64) {
        self.now.add(1, spans);
        self.span_bytes += known.parts.iter().map(|part| part.bytes).sum::<u64>();
        let before = self.policies.entry(policy.to_owned()).or_default();
        before.old.add(1, spans);
        before.old_weight += weight;
        for part in &known.parts {
            self.services.entry(part.service.clone()).or_default().spans += part.spans;
        }
        // Whether a trace is staged still depends on when it came, not on what was decided: so all that such a one stands for is
        // staged as well.
        if known.basis == Basis::Rows {
            let beside = (weight - 1.0).max(0.0);
            self.estimate.left_out_traces += beside;
            self.estimate.left_out_spans += beside * spans as f64;
        }
    }

    /// Counts a share of a trace towards what would be kept of everything.
    #[expect(clippy::cast_precision_loss, reason = "estimates")]
    fn estimated(&mut self, basis: Basis, share: f64, parts: &[Kept]) {
        let estimate = if basis == Basis::Rows { &mut self.estimate } else { &mut self.staged };
        estimate.add(share, parts);
        for part in parts {
            let service = self.services.entry(part.service.clone()).or_default();
            if basis == Basis::Rows {
                service.estimated_spans += share * part.spans as f64;
            } else {
                service.staged_spans += part.spans;
            }
        }
    }

    /// Counts what would be kept by a policy.
    fn keep(&mut self, policy: &str, parts: &[Kept]) {
        let spans = parts.iter().map(|part| part.spans).sum();
        self.new.traces += 1;
        self.policies.entry(policy.to_owned()).or_default().new.add(1, spans);
        self.store(parts);
    }

    fn store(&mut self, parts: &[Kept]) {
        for part in parts {
            self.new.spans += part.spans;
            self.new_span_bytes += part.bytes;
            self.services.entry(part.service.clone()).or_default().new_spans += part.spans;
        }
    }

    /// Takes note of log records or data points of a service, and of the bytes of their messages: now and then.
    pub(super) fn records(&mut self, signal: Signal, service: &str, items: [u64; 2], bytes: [u64; 2]) {
        let known = &mut self.services.entry(service.to_owned()).or_default().records[signal];
        let sums = known.iter_mut().chain(&mut self.record_bytes[signal]);
        sums.zip(items.into_iter().chain(bytes)).for_each(|(sum, more)| *sum += more);
    }

    /// Takes note of what some items come to in a reading: under the rules before, and under the new ones.
    pub(super) fn counts(&mut self, reading: usize, before: Option<&Counts>, now: &Counts) {
        let (Some(masked), Some(filtered)) = (self.masked.get_mut(reading), self.filtered.get_mut(reading)) else { return };
        for (key, count) in before.iter().flat_map(|before| &before.masked) {
            masked.entry(key.clone()).or_default().0 += count;
        }
        for (key, count) in &now.masked {
            masked.entry(key.clone()).or_default().1 += count;
        }
        for (taken, count) in &now.dropped {
            *filtered.entry(taken.clone()).or_default() += count;
        }
        let Some(failed) = self.failed.get_mut(reading) else { return };
        for (key, times) in &now.failed {
            *failed.entry(key.clone()).or_default() += times;
        }
    }

    /// Values that the new rules mask and those before do not, by rule and service.
    pub(super) fn masked(&self) -> BTreeMap<(String, String), Counted> {
        let all = self.masked_more().into_iter();
        all.filter(|((rule, _), _)| !is_transform(rule)).collect()
    }

    /// How often redacting statements of `transform` run that those before do not run, by processor and service: which of these
    /// change a value is not known.
    pub(super) fn statements(&self) -> BTreeMap<(String, String), Counted> {
        let all = self.masked_more().into_iter();
        all.filter(|((rule, _), _)| is_transform(rule)).collect()
    }

    fn masked_more(&self) -> BTreeMap<(String, String), Counted> {
        let more =
            |masked: &Masked, key: &(String, String)| masked.get(key).map_or(0, |(before, now)| now.saturating_sub(*before));
        let keys: BTreeSet<&(String, String)> = self.masked.iter().flat_map(BTreeMap::keys).collect();
        let counted = |key: &(String, String)| Counted::of(self.masked.iter().map(|masked| more(masked, key)));
        keys.into_iter().map(|key| (key.clone(), counted(key))).filter(|(_, counted)| counted.most > 0).collect()
    }

    /// Items that processors take away.
    pub(super) fn filtered(&self) -> BTreeMap<Taken, Counted> {
        by_reading(&self.filtered)
    }

    /// How often statements and conditions of the new rules cannot be executed, by themselves and service.
    pub(super) fn failed(&self) -> BTreeMap<(String, String), Counted> {
        by_reading(&self.failed)
    }
}

fn by_reading<K: Ord + Clone>(readings: &[BTreeMap<K, u64>]) -> BTreeMap<K, Counted> {
    let keys: BTreeSet<&K> = readings.iter().flat_map(BTreeMap::keys).collect();
    let of = |key: &K| Counted::of(readings.iter().map(|counts| counts.get(key).copied().unwrap_or_default()));
    keys.into_iter().map(|key| (key.clone(), of(key))).collect()
}

fn is_transform(rule: &str) -> bool {
    rule.split('/').next() == Some("transform")
}

/// A count, which may depend on how columns are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    /// In the most likely reading.
    pub(super) likely: u64,
    pub(super) least: u64,
    pub(super) most: u64,
}

impl Counted {
    /// The first is the most likely one.
    pub(super) fn of(counts: impl Iterator<Item = u64>) -> Self {
        let mut counts = counts.peekable();
        let likely = counts.peek().copied().unwrap_or_default();
        let widen = |known: Self, count: u64| Self { least: known.least.min(count), most: known.most.max(count), ..known };
        counts.fold(Self { likely, least: likely, most: likely }, widen)
    }
}

/// What rules count in some items.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Counts {
    /// Values that were masked, by rule and service.
    masked: BTreeMap<(String, String), u64>,
    /// Items that were dropped.
    dropped: BTreeMap<Taken, u64>,
    /// Statements and conditions that could not be executed, by themselves and service.
    failed: BTreeMap<(String, String), u64>,
}

impl Counts {
    /// Adds what became of items of a service.
    pub(super) fn add(&mut self, signal: Signal, service: &str, staged: &Staged) {
        for (rule, count) in &staged.masked {
            *self.masked.entry((rule.clone(), service.to_owned())).or_default() += count;
        }
        for (what, times) in &staged.failed {
            *self.failed.entry((what.clone(), service.to_owned())).or_default() += times;
        }
        for (reason, count) in &staged.dropped {
            let taken = Taken { reason: reason.clone(), signal, service: service.to_owned() };
            *self.dropped.entry(taken).or_default() += count;
        }
    }
}

impl Move {
    fn note(&mut self, id: &TraceId, spans: u64) {
        self.sum.add(1, spans);
        if self.examples.len() < EXAMPLES {
            self.examples.push(id.to_string());
        }
    }
}
