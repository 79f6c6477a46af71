//! The spans of one trace at a close: which are late, whether the rest is due, the decision, and what becomes of each.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use spanlake_model::{NANOS_PER_MS, NANOS_PER_SECOND, Signal, ms_to_nanos};
use spanlake_policy::{Decision, Measures, Rules, TOO_LARGE, TraceFacts, Verdict as Vote};

use super::edges::count_edges;
use super::facts::facts_of;
use super::logs::Outcome;
use super::room::Room;
use super::spans::Chances;
use super::versions::Version;
use super::{CloseError, Closer, Member, Recorded};
use crate::codec::Damaged;
use crate::decided::{Decided, Reason, Verdict};
use crate::ledger::BY_POLICY;
use crate::ports::ObjectStore;
use crate::sealed::GroupHead;
use crate::stage::{STATUS_ERROR, wait_nanos};
use crate::staged::{Key, Row};

/// `sampling_policy` of a late span that a deterministic policy keeps by itself.
const LATE_BY_ITSELF: &str = "late_span";

/// The reason for which a trace goes that makes the rules panic, in the place of a policy.
pub(super) const POISON: &str = "poison";

/// An item and the decision that it is late for.
pub(super) struct Late {
    pub(super) member: Member,
    pub(super) reason: Arc<Reason>,
}

/// What of a trace no close has dealt with.
pub(super) struct Sorted {
    pub(super) undecided: Vec<Member>,
    pub(super) late: Vec<Late>,
}

/// What earlier closes have to say about an item.
pub(super) enum State {
    /// One of them has filed it, or left it out.
    DealtWith,
    /// Its trace was decided before it came.
    Late(Arc<Reason>),
    Undecided,
}

/// A trace that is due.
pub(super) struct Due {
    /// Of the rules that decide it.
    pub(super) version: Version,
    first_arrival: i64,
    /// From when on it is due.
    pub(super) at: i64,
    /// As [`Closer::facts`] has them.
    pub(super) records: Vec<TraceFacts>,
}

impl<S: ObjectStore> Closer<'_, S> {
    /// Deals with the spans of a trace: all arrived before the window's end.
    pub(super) fn trace(&mut self, key: Key, members: Vec<Member>, recorded: &Recorded) -> Result<Outcome, CloseError> {
        let Sorted { undecided, late } = self.sort(members, recorded);
        if !late.is_empty() {
            self.late(key, late)?;
        }
        self.decide(key, undecided)
    }

    /// What waits for a decision, and what is late for one.
    pub(super) fn sort(&self, members: Vec<Member>, recorded: &Recorded) -> Sorted {
        if recorded.is_empty() {
            return Sorted { undecided: members, late: Vec::new() };
        }
        let mut sorted = Sorted { undecided: Vec::with_capacity(members.len()), late: Vec::new() };
        for member in members {
            match self.state_of(&member, recorded) {
                State::Undecided => sorted.undecided.push(member),
                State::Late(reason) if member.is_fresh => sorted.late.push(Late { member, reason }),
                State::Late(_) | State::DealtWith => {}
            }
        }
        sorted
    }

    /// What earlier closes have to say about an item that a decision is for.
    pub(super) fn state_of(&self, member: &Member, recorded: &Recorded) -> State {
        let is_span = member.row().is_some_and(|row| row.signal == Signal::Traces);
        // What arrived before a recorded decision went with it, or was late for an older one.
        if recorded.iter().any(|(end, reason)| member.arrival < *end && (!is_span || reason.is_of_trace())) {
            return State::DealtWith;
        }
        let covers = |(end, reason): &&(i64, Arc<Reason>)| reason.is_of_trace() && self.is_within_horizon(*end, member.arrival);
        match recorded.iter().filter(covers).max_by_key(|(end, _)| *end) {
            Some((_, reason)) => State::Late(Arc::clone(reason)),
            None => State::Undecided,
        }
    }

    /// Offers a trace that is due to those who share out the window's room.
    pub(super) async fn offer(&mut self, key: Key, members: Vec<Member>, room: &mut Room<'_>) -> Result<(), CloseError> {
        let recorded = self.recorded(key).await?;
        let Sorted { undecided, .. } = self.sort(members, &recorded);
        if let Some(due) = self.due(&undecided)? {
            room.offer(self.versions.name(due.version), key, &due.records);
        }
        Ok(())
    }

    /// What is to be decided of a trace, if it is due.
    pub(super) fn due(&self, members: &[Member]) -> Result<Option<Due>, CloseError> {
        let Some(first) = members.iter().min_by_key(|member| member.arrival) else { return Ok(None) };
        let first_arrival = first.arrival;
        let (version, rules) = self.rules_of(first)?;
        let mut due_at = first_arrival.saturating_add(wait_nanos(rules));
        if let Some(wait) = rules.decision_wait_after_root_ms() {
            let roots = members.iter().filter(|member| member.row().is_some_and(|row| row.span.is_root));
            let after_root =
                |member: &Member| member.arrival.saturating_add(ms_to_nanos(i64::try_from(wait).unwrap_or(i64::MAX)));
            due_at = due_at.min(roots.map(after_root).min().unwrap_or(i64::MAX));
        }
        if due_at > self.end {
            return Ok(None);
        }
        let records = self.facts(members, version, rules);
        Ok(Some(Due { version, first_arrival, at: due_at, records }))
    }

    /// The recorded decisions on a trace, with the ends of their windows.
    pub(super) async fn recorded(&mut self, key: Key) -> Result<Recorded, CloseError> {
        let mut found = Vec::new();
        for reader in &mut self.decided {
            let [_, end] = reader.window();
            if let Some((_, reason)) = reader.find(self.store, key).await? {
                found.push((end, Arc::clone(reason)));
            }
        }
        Ok(found)
    }

    /// Whether a decision covers a span: by the span's own window, so that every later close sees it the same way.
    pub(super) fn is_within_horizon(&self, decided: i64, arrival: i64) -> bool {
        decided.saturating_add(self.settings.late_horizon_nanos) > self.settings.window_start(arrival)
    }

    /// The rules of an item's record, with their version; an error if they are not loaded.
    pub(super) fn rules_of(&self, member: &Member) -> Result<(Version, &Rules), CloseError> {
        let reader = self.readers.get(member.reader).ok_or(Damaged("no such batch"))?;
        let record = member.row().and_then(|row| reader.record(row)).ok_or(Damaged("item of an unknown record"))?;
        let version = reader.version(record.rules).ok_or(Damaged("record under unknown rules"))?;
        Ok((version, self.versions.rules(version)?))
    }

    /// A late span follows its trace's verdict and weight, unless a deterministic policy keeps it by itself. What is kept
    /// for the same reason is one group, in order of arrival.
    fn late(&mut self, key: Key, late: Vec<Late>) -> Result<(), CloseError> {
        let mut kept: Vec<(String, Chances, Vec<Member>)> = Vec::new();
        for Late { member, reason } in late {
            let Some(row) = member.row().copied() else { continue };
            let (_, rules) = self.rules_of(&member)?;
            let facts = facts_of(&row, row.span.bits);
            let by_itself = catch_unwind(AssertUnwindSafe(|| rules.keeps_late_span(&key.trace, &facts)));
            let (policy, chances) = match (by_itself, reason.verdict) {
                (Ok(true), _) => (LATE_BY_ITSELF, Chances { weight: 1.0, threshold: Some(0) }),
                (_, Verdict::Kept) => (reason.policy.as_str(), Chances::of(&reason)),
                (_, Verdict::Dropped) => {
                    self.drop_items(Signal::Traces, &drop_reason(&reason.policy), 1);
                    continue;
                }
                (_, Verdict::SampledOut | Verdict::LogsAlone) => {
                    self.sample_out(Signal::Traces, 1);
                    continue;
                }
            };
            let same = |(of, known, _): &&mut (String, Chances, Vec<Member>)| *of == policy && *known == chances;
            match kept.iter_mut().find(same) {
                Some((.., members)) => members.push(member),
                None => kept.push((policy.to_owned(), chances, vec![member])),
            }
        }
        for (policy, chances, members) in kept {
            let (signal, trace, policy) = (Signal::Traces, key.trace, policy.as_str());
            let head = GroupHead { signal, trace, policy, weight: chances.weight, is_late: true, is_complete: false };
            self.seal_spans(&head, chances, members)?;
        }
        Ok(())
    }

    /// Decides a trace that is due; leaves it staged if it is not.
    fn decide(&mut self, key: Key, members: Vec<Member>) -> Result<Outcome, CloseError> {
        let Some(Due { version, first_arrival, records, .. }) = self.due(&members)? else {
            return Ok(if members.is_empty() { Outcome::Nothing } else { Outcome::Waits });
        };
        let rules = self.versions.rules(version)?;
        let admitted = self.admitted.get(self.versions.name(version)).unwrap_or(&self.no_room);
        let decision = catch_unwind(AssertUnwindSafe(|| {
            let decision = rules.decide_in_window(&key.trace, &records, admitted);
            (decision, rules.measures(&key.trace, &records, admitted))
        }));
        if !self.decisions.knows(self.versions.name(version)) {
            // Words are not worth a shard that stands still.
            let asked = catch_unwind(AssertUnwindSafe(|| rules.asked(admitted)));
            self.decisions.explain(self.versions.name(version), asked.unwrap_or_default());
        }
        self.edges(&members);
        let spans = members.len() as u64;
        let errors = records.iter().fold(0, |sum: u64, record| sum.saturating_add(record.errors));
        let errors = u32::try_from(errors).unwrap_or(u32::MAX);
        let wait_ms = u32::try_from((self.end - first_arrival) / NANOS_PER_MS).unwrap_or(u32::MAX);
        let (measures, (reason, number)) = match decision {
            Ok((decision, measures)) => (measures, self.reason(version, &decision)?),
            // Counted, recorded and given up: a trace that makes the rules panic must not stop the shard for ever.
            Err(_) => (Measures::default(), self.poison(version)),
        };
        let mut is_complete = true;
        match reason.verdict {
            Verdict::Kept => is_complete = self.keep(key, &reason, members)?,
            Verdict::Dropped => self.drop_items(Signal::Traces, &drop_reason(&reason.policy), spans),
            Verdict::SampledOut | Verdict::LogsAlone => self.sample_out(Signal::Traces, spans),
        }
        let spans = u32::try_from(spans).unwrap_or(u32::MAX);
        self.decisions.push_measured(Decided { key, reason: number, spans, errors, wait_ms, is_complete }, measures);
        Ok(Outcome::Decided(reason))
    }

    /// Seals a kept trace up to its caps; returns whether all of it was kept.
    fn keep(&mut self, key: Key, reason: &Reason, members: Vec<Member>) -> Result<bool, CloseError> {
        let total = members.len();
        let (mut spans, mut bytes, mut beyond) = (0, 0, 0);
        let mut kept = Vec::with_capacity(total.min(self.settings.trace_spans_max));
        for member in members {
            let Some(row) = member.row() else { continue };
            let length = row.body.1 as usize;
            if spans < self.settings.trace_spans_max && bytes + length <= self.settings.trace_bytes_max {
                (spans, bytes) = (spans + 1, bytes + length);
            } else if row.span.status == STATUS_ERROR && beyond < self.settings.trace_errors_beyond {
                beyond += 1;
            } else {
                continue;
            }
            kept.push(member);
        }
        let is_complete = kept.len() == total;
        let (policy, chances) = (reason.policy.as_str(), Chances::of(reason));
        let head =
            GroupHead { signal: Signal::Traces, trace: key.trace, policy, weight: chances.weight, is_late: false, is_complete };
        let cut = total - kept.len();
        self.seal_spans(&head, chances, kept)?;
        self.drop_items(Signal::Traces, "trace_cap", cut as u64);
        Ok(is_complete)
    }

    /// The policy bits of a span under the rules that decide its trace.
    pub(super) fn bits_under(&self, member: &Member, row: &Row, version: Version) -> u64 {
        let Some(reader) = self.readers.get(member.reader) else { return 0 };
        let Some(record) = reader.record(row) else { return 0 };
        if reader.version(record.rules) == Some(version) {
            return row.span.bits;
        }
        let is_previous = record.previous_rules.checked_sub(1).is_some_and(|place| reader.version(place) == Some(version));
        if is_previous { row.span.previous_bits } else { 0 }
    }

    fn edges(&mut self, members: &[Member]) {
        let window = self.end - self.settings.window_nanos;
        let minute = window.div_euclid(60 * NANOS_PER_SECOND) * 60 * NANOS_PER_SECOND;
        let mut spans = Vec::with_capacity(members.len());
        for member in members {
            let Some(row) = member.row() else { continue };
            let context = self.readers.get(member.reader).and_then(|reader| reader.contexts.get(row.context as usize));
            spans.push((&row.span, context.map_or("", |context| context.service.as_str())));
        }
        count_edges(&spans, window, minute, &mut self.edges);
    }

    /// The reason of a decision and its number in the decisions object.
    fn reason(&mut self, version: Version, decision: &Decision) -> Result<(Arc<Reason>, u32), CloseError> {
        let known = self.reasons.iter().find(|(of, known, ..)| *of == version && known == decision);
        if let Some((_, _, reason, number)) = known {
            return Ok((Arc::clone(reason), *number));
        }
        let rules = self.versions.rules(version)?;
        let (verdict, policy) = verdict_of(rules, decision);
        let votes = rules.votes_text(decision).into_iter().map(|(policy, vote)| (policy.to_owned(), vote.to_owned())).collect();
        let reason = Arc::new(Reason {
            verdict,
            policy,
            weight: decision.weight,
            threshold: decision.threshold,
            rules: self.versions.name(version).to_owned(),
            votes,
        });
        let number = self.decisions.reason(&reason);
        self.reasons.push((version, *decision, Arc::clone(&reason), number));
        Ok((reason, number))
    }

    fn poison(&mut self, version: Version) -> (Arc<Reason>, u32) {
        let (policy, rules) = (POISON.to_owned(), self.versions.name(version).to_owned());
        let reason = Reason { verdict: Verdict::Dropped, policy, weight: 1.0, threshold: None, rules, votes: Vec::new() };
        let number = self.decisions.reason(&reason);
        (Arc::new(reason), number)
    }

    pub(super) fn sample_out(&mut self, signal: Signal, items: u64) {
        let account = self.manifest.ledger.account_mut(signal);
        account.sampled_out += items;
        account.pending = account.pending.saturating_sub(items);
    }

    pub(super) fn drop_items(&mut self, signal: Signal, reason: &str, items: u64) {
        let account = self.manifest.ledger.account_mut(signal);
        account.drop_items(reason, items);
        account.pending = account.pending.saturating_sub(items);
    }
}

/// The ledger's reason for what a `drop` policy vetoed.
pub(super) fn drop_reason(policy: &str) -> String {
    format!("{BY_POLICY}{policy}")
}

/// What a decision comes to, and what it goes by: a policy, `POLICY/SUB-POLICY`, or a bound on sizes; nothing if none decided.
pub(crate) fn verdict_of(rules: &Rules, decision: &Decision) -> (Verdict, String) {
    let verdict = match decision.verdict {
        Vote::Kept => Verdict::Kept,
        // No policy was asked: it goes by its own reason.
        _ if decision.is_too_large => Verdict::Dropped,
        Vote::SampledOut => Verdict::SampledOut,
        Vote::Dropped => Verdict::Dropped,
    };
    let policy = match rules.sub_policy_name(decision) {
        _ if decision.is_too_large => TOO_LARGE.to_owned(),
        "" => rules.policy_name(decision.policy).to_owned(),
        sub => format!("{}/{sub}", rules.policy_name(decision.policy)),
    };
    (verdict, policy)
}
