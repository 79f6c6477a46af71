//! Log records that wait for the verdict on their trace: they go with it, or by themselves where no span comes.

use std::sync::Arc;

use spanlake_model::{NANOS_PER_MS, Signal};

use super::trace::{POISON, drop_reason};
use super::{CloseError, Closer, Member, Recorded};
use crate::decided::{Decided, Reason, Verdict};
use crate::ports::ObjectStore;
use crate::sealed::GroupHead;
use crate::stage::wait_nanos;
use crate::staged::Key;

/// How a close leaves the spans of a trace that no earlier one has decided.
pub(super) enum Outcome {
    /// There are none.
    Nothing,
    /// They wait on.
    Waits,
    /// They are decided now.
    Decided(Arc<Reason>),
}

impl<S: ObjectStore> Closer<'_, S> {
    /// Deals with log records of a trace that follow its verdict. What waits goes with the spans that this close decides. Where
    /// none wait, it goes by itself once the time for which the rules wait for spans is over, and that is recorded: what a close
    /// has dealt with must not depend on what comes later.
    pub(super) fn logs(&mut self, key: Key, logs: Vec<Member>, recorded: &Recorded, spans: &Outcome) -> Result<(), CloseError> {
        let sorted = self.sort(logs, recorded);
        for late in sorted.late.chunk_by(|one, next| Arc::ptr_eq(&one.reason, &next.reason)) {
            let members: Vec<Member> = late.iter().map(|late| late.member.clone()).collect();
            late.first().map_or(Ok(()), |first| self.follow(key, &first.reason, &members, true))?;
        }
        match spans {
            Outcome::Waits => Ok(()),
            Outcome::Decided(reason) => self.follow(key, reason, &sorted.undecided, false),
            Outcome::Nothing => self.alone(key, &sorted.undecided),
        }
    }

    fn follow(&mut self, key: Key, reason: &Reason, logs: &[Member], is_late: bool) -> Result<(), CloseError> {
        let items = logs.iter().filter_map(Member::row).map(|row| u64::from(row.count)).sum();
        let (policy, weight) = match reason.verdict {
            Verdict::Kept => (reason.policy.as_str(), reason.weight),
            // Its spans made the rules panic: that says nothing about its logs.
            Verdict::Dropped if reason.policy == POISON => ("", 1.0),
            Verdict::SampledOut => {
                self.sample_out(Signal::Logs, items);
                return Ok(());
            }
            Verdict::Dropped => {
                self.drop_items(Signal::Logs, &drop_reason(&reason.policy), items);
                return Ok(());
            }
            Verdict::LogsAlone => ("", 1.0),
        };
        let head = GroupHead { signal: Signal::Logs, trace: key.trace, policy, weight, is_late, is_complete: true };
        self.seal(&head, logs, None)
    }

    /// Keeps log records whose trace has no spans, if they have waited long enough.
    fn alone(&mut self, key: Key, logs: &[Member]) -> Result<(), CloseError> {
        let Some(first) = logs.iter().min_by_key(|member| member.arrival) else { return Ok(()) };
        let (version, rules) = self.rules_of(first)?;
        if first.arrival.saturating_add(wait_nanos(rules)) > self.end {
            return Ok(());
        }
        let reason = Reason {
            verdict: Verdict::LogsAlone,
            policy: String::new(),
            weight: 1.0,
            threshold: None,
            rules: self.versions.name(version).to_owned(),
            votes: Vec::new(),
        };
        let wait_ms = u32::try_from((self.end - first.arrival) / NANOS_PER_MS).unwrap_or(u32::MAX);
        self.follow(key, &reason, logs, false)?;
        let reason = self.decisions.reason(&reason);
        self.decisions.push(Decided { key, reason, spans: 0, errors: 0, wait_ms, is_complete: true });
        Ok(())
    }
}
