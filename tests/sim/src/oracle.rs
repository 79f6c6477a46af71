//! What must be true, from what clients sent, what they were answered, and when the stream stored it. It knows nothing of
//! windows, batches, shards or manifests; it reads the lake as an engine would, and evaluates the policies itself.

use std::collections::{BTreeMap, BTreeSet};

use spanlake_model::{NANOS_PER_SECOND, Signal, SpanId, TraceId};

use crate::evidence::{Counts, Evidence, Policies, ensure, number, row};
use crate::traffic::{Sent, Span};

/// A decision, as the lake tells it.
struct Decision<'a> {
    is_kept: bool,
    weight: f64,
    spans: u64,
    policies: &'a Policies,
    is_complete: bool,
}

impl Evidence<'_> {
    /// Holds at every moment: nothing is visible that nobody sent, nothing twice, no figure is beyond what was sent, and
    /// the ledger balances.
    pub(crate) fn check_any_time(&self) -> Result<(), String> {
        let spans: BTreeSet<(String, String)> =
            self.spans(|_| true).map(|span| (span.trace.to_string(), span.id.to_string())).collect();
        let mut seen = BTreeSet::new();
        for values in self.rows("spans") {
            let id = (row(values, 0).to_owned(), row(values, 1).to_owned());
            ensure(spans.contains(&id), || format!("I10: span {id:?} is visible and was never sent"))?;
            ensure(seen.insert(id), || format!("I3: a span is visible twice: {values:?}"))?;
        }
        let texts: BTreeSet<&str> = self.sent.iter().flat_map(|sent| &sent.texts).map(String::as_str).collect();
        let mut seen = BTreeSet::new();
        for values in self.rows("logs").chain(self.rows("metrics_number")) {
            ensure(texts.contains(row(values, 0)), || format!("I10: {values:?} is visible and was never sent"))?;
            ensure(seen.insert(row(values, 0)), || format!("I3: a log or point is visible twice: {values:?}"))?;
        }
        let mut decided = BTreeSet::new();
        for values in self.rows("decisions") {
            ensure(decided.insert(values.get(..2)), || format!("I13: a decision is there twice: {values:?}"))?;
        }
        self.within("red_1m", &Counts::new(), &self.requests(|_| true))?;
        self.within("service_edges_1m", &Counts::new(), &self.edges(|_| true))?;
        for signal in Signal::ALL {
            let (account, sent) = (self.account(signal), self.items(signal, |_| true) + self.poisoned(signal));
            let name = signal.items();
            ensure(account.balances, || format!("I2: the ledger of {name} does not balance: {account:?}"))?;
            ensure(account.committed <= sent, || format!("I2: {account:?} of {sent} {name}"))?;
            let visible = self.visible(signal);
            ensure(visible <= account.kept, || format!("I2: {visible} {name} are visible, {account:?}"))?;
            let filtered = self.filtered(signal, |_| true);
            ensure(account.filtered <= filtered, || format!("filter: {filtered} {name} may be dropped, {account:?}"))?;
        }
        ensure(self.quarantined.1 <= self.quarantined.0, || format!("I7: quarantined {:?}", self.quarantined))
    }

    /// Holds once everything has come to rest.
    pub(crate) fn check_at_rest(&self) -> Result<(), String> {
        self.check_any_time()?;
        let answered = |sent: &Sent| sent.acknowledged_nanos.is_some() && !sent.is_expired;
        let stored = |sent: &Sent| sent.stored.is_some();
        for signal in Signal::ALL {
            let (account, name) = (self.account(signal), signal.items());
            let poisoned = self.poisoned(signal);
            let (least, most) = (self.items(signal, answered) + poisoned, self.items(signal, stored) + poisoned);
            ensure((least..=most).contains(&account.committed), || format!("I2: {least} to {most} {name}, {account:?}"))?;
            let (least, most) = (self.filtered(signal, answered), self.filtered(signal, stored));
            let is_right = (least..=most).contains(&account.filtered);
            ensure(is_right, || format!("filter: {least} to {most} {name} must be dropped, {account:?}"))?;
            ensure(account.pending == 0, || format!("liveness: {name} at rest, {account:?}"))?;
            let visible = self.visible(signal);
            ensure(visible == account.kept, || format!("I2: {visible} {name} are visible, {account:?}"))?;
        }
        ensure(self.quarantined.1 == self.quarantined.0, || format!("I7: quarantined {:?}", self.quarantined))?;
        if self.is_lossy {
            return self.check_lost();
        }
        self.check_traces()?;
        self.check_limits()?;
        self.within("red_1m", &self.requests(answered), &self.requests(stored))?;
        let texts: BTreeSet<&str> = self.rows("logs").chain(self.rows("metrics_number")).map(|values| row(values, 0)).collect();
        let follows = |sent: &Sent| self.follows_logs && sent.trace.is_some();
        for text in self.sent.iter().filter(|sent| answered(sent) && !follows(sent)).flat_map(|sent| &sent.texts) {
            ensure(texts.contains(text.as_str()), || format!("I2: the acknowledged {text:?} is not visible"))?;
        }
        Ok(())
    }

    /// What was given up is counted, and nothing else is missing.
    fn check_lost(&self) -> Result<(), String> {
        for signal in [Signal::Logs, Signal::Metrics] {
            let known = |sent: &&Sent| sent.signal == signal && sent.acknowledged_nanos.is_some() && !sent.is_expired;
            let sent: usize = self.sent.iter().filter(known).map(|sent| sent.texts.len()).sum();
            let (visible, account) = (self.visible(signal), self.account(signal));
            let all = visible + account.lost + account.sampled_out;
            ensure(sent as u64 <= all, || format!("I2: of {sent} {} {visible} are visible, {account:?}", signal.items()))?;
        }
        Ok(())
    }

    /// A limit lets through no more in a window than it may, one trace at the border of each room aside, and all that has room.
    fn check_limits(&self) -> Result<(), String> {
        let mut windows: BTreeMap<(&str, &str), Vec<&[String]>> = BTreeMap::new();
        for values in self.rows("decisions") {
            windows.entry((row(values, 1), row(values, 5))).or_default().push(values);
        }
        for ((window, _), rows) in windows {
            let Some(limit) = rows.first().map(|values| self.decision(values)).transpose()?.and_then(|one| one.policies.limit)
            else {
                continue;
            };
            let is_limited = |values: &&&[String]| row(values, 7).starts_with("limit") && row(values, 2) == "kept";
            let spans = |values: &&[String]| number(values, 4);
            let mut taken: Vec<u64> = rows.iter().filter(is_limited).map(spans).collect();
            let room = (limit.rate * (self.window_nanos / NANOS_PER_SECOND).cast_unsigned()).max(limit.burst);
            // What is left of a room may be too little for a trace, which then has a chance; each shard has rooms of its own.
            taken.sort_unstable_by(|one, other| other.cmp(one));
            let rooms = usize::from(self.shards) * if limit.has_one_room { 1 } else { 2 };
            let within: u64 = taken.iter().skip(rooms).sum();
            ensure(within <= room, || format!("limits: {taken:?} in {rooms} rooms of {room} spans at {window}"))?;
            let all: u64 = rows.iter().map(spans).sum();
            let fits = limit.has_one_room && rows.iter().all(|values| spans(values) <= limit.burst);
            let has_room = self.shards == 1 && all <= room && fits;
            let left_out = rows.iter().find(|values| row(values, 2) != "kept");
            ensure(!has_room || left_out.is_none(), || format!("limits: room for {all} of {room} spans, and {left_out:?}"))?;
        }
        Ok(())
    }

    fn check_traces(&self) -> Result<(), String> {
        let mut traces: BTreeMap<TraceId, Vec<&Sent>> = BTreeMap::new();
        for sent in self.sent {
            for trace in sent.spans.iter().map(|span| span.trace).collect::<BTreeSet<_>>() {
                traces.entry(trace).or_default().push(sent);
            }
        }
        let mut together = BTreeMap::new();
        for (trace, sent) in &traces {
            let is_known = |sent: &&Sent| sent.acknowledged_nanos.is_some() && !sent.overflows && !sent.is_expired;
            if sent.iter().all(is_known)
                && let Some(arrived) = self.check_trace(*trace, sent)?
            {
                together.insert(*trace, arrived);
            }
        }
        self.check_logs(&together)?;
        self.within("service_edges_1m", &self.edges(|span| together.contains_key(&span.trace)), &self.edges(|_| true))
    }

    /// Logs of a trace share its fate where they wait for it. `together` has the first arrivals of those that came in time.
    fn check_logs(&self, together: &BTreeMap<TraceId, i64>) -> Result<(), String> {
        let visible: BTreeMap<&str, &str> = self.rows("logs").map(|values| (row(values, 0), row(values, 1))).collect();
        let follows = |sent: &&Sent| self.follows_logs && sent.acknowledged_nanos.is_some() && !sent.is_expired;
        for sent in self.sent.iter().filter(follows) {
            let (Some(trace), texts) = (sent.trace, &sent.texts) else { continue };
            let id = trace.to_string();
            let rows = self.rows("decisions").filter(|values| row(values, 0) == id);
            let decisions = rows.map(|values| self.decision(values)).collect::<Result<Vec<_>, _>>()?;
            let is_kept = decisions.iter().all(|decision| decision.is_kept);
            for text in texts {
                let is_visible = visible.contains_key(text.as_str());
                ensure(is_visible || !is_kept, || format!("I2: {text:?} of {id} is not visible, and its trace is"))?;
            }
            let (Some(arrived), Some(decision)) = (together.get(&trace), decisions.first()) else { continue };
            let came = sent.stored.map(|(first, _)| first).zip(sent.straight_nanos);
            if came.is_none_or(|(first, last)| first < *arrived || last >= arrived + decision.policies.wait_nanos) {
                continue;
            }
            for told in texts.iter().map(|text| visible.get(text.as_str())) {
                let weight = told.map(|weight| weight.parse().unwrap_or(f64::NAN));
                let is_right = weight.map_or(!is_kept, |weight: f64| is_kept && (weight - decision.weight).abs() < 1e-9);
                ensure(is_right, || format!("a log of {id} has the weight {weight:?}, not {is_kept} {}", decision.weight))?;
            }
        }
        Ok(())
    }

    /// When the trace first arrived, if it arrived whole in time.
    fn check_trace(&self, trace: TraceId, sent: &[&Sent]) -> Result<Option<i64>, String> {
        let id = trace.to_string();
        let of_trace = |table: &str| self.rows(table).filter(|values| row(values, 0) == id).collect::<Vec<_>>();
        let spans: Vec<&Span> = sent.iter().flat_map(|sent| &sent.spans).filter(|span| span.trace == trace).collect();
        let visible: BTreeMap<String, &[String]> =
            of_trace("spans").into_iter().map(|values| (row(values, 1).to_owned(), values)).collect();
        let is_visible = |id: SpanId| visible.contains_key(&id.to_string());
        let decisions = of_trace("decisions").into_iter().map(|values| self.decision(values)).collect::<Result<Vec<_>, _>>()?;
        let counted: u64 = of_trace("traces").into_iter().map(|values| number(values, 1)).sum();
        let shown = visible.len() as u64;
        ensure(counted == shown, || format!("I13: {id} has {shown} spans in spans and {counted} in traces"))?;
        let Some(first) = decisions.first() else { return Err(format!("I13: acknowledged and never decided: {sent:?}")) };
        let arrived = sent.iter().filter_map(|sent| sent.stored).map(|(first, _)| first).min().unwrap_or_default();
        let straight: Option<Vec<i64>> = sent.iter().map(|sent| sent.straight_nanos).collect();
        let last = straight.and_then(|nanos| nanos.into_iter().max());
        if last.is_some_and(|last| last < arrived + first.policies.wait_nanos) {
            let is_before = self.switched_nanos.is_none_or(|switched| last < Some(switched));
            let is_older = self.policies.first().is_some_and(|older| older.versions == first.policies.versions);
            ensure(!is_before || is_older, || format!("I4: {id} was decided by rules that came later"))?;
            ensure(decisions.len() == 1, || format!("I4: {id} arrived together and was decided {} times", decisions.len()))?;
            let times: Vec<_> = sent.iter().map(|sent| (sent.stored, sent.straight_nanos)).collect();
            self.check_whole(&id, &spans, &visible, first)
                .map_err(|violation| format!("{violation}; stored and answered {times:?} {:?}", of_trace("decisions")))?;
            return Ok(Some(arrived));
        }
        let is_whole = decisions.iter().all(|decision| decision.is_complete);
        for span in &spans {
            let by_itself = self.policies.iter().all(|policies| policies.keep(&[*span]));
            let must = by_itself || decisions.iter().all(|decision| decision.is_kept);
            ensure(!(must && is_whole) || is_visible(span.id), || format!("I4: {span:?} is not visible, by itself {by_itself}"))?;
            let never = decisions.iter().all(|decision| !decision.is_kept)
                && !self.policies.iter().any(|policies| policies.keep(&[*span]));
            ensure(!never || !is_visible(span.id), || format!("I4: span {} of {id} is visible, and nothing kept it", span.id))?;
        }
        Ok(None)
    }

    /// A trace that arrived whole in time: its decision, and all of it or nothing.
    fn check_whole(
        &self,
        id: &str,
        spans: &[&Span],
        visible: &BTreeMap<String, &[String]>,
        decision: &Decision<'_>,
    ) -> Result<(), String> {
        let (count, must) = (spans.len(), decision.policies.keep(spans));
        ensure(decision.spans == count as u64, || format!("I4: {id} has {count} spans, decided on {}", decision.spans))?;
        ensure(decision.is_kept || !must, || {
            format!("I4: {id} must be kept and was not, under {:?}: {spans:?}", decision.policies)
        })?;
        let expected = if decision.is_kept { count.min(self.trace_spans_max) } else { 0 };
        ensure(visible.len() == expected, || format!("I4: {id} is torn: {} of {expected} spans are visible", visible.len()))?;
        ensure(decision.is_complete == (count <= self.trace_spans_max || !decision.is_kept), || {
            format!("I4: {id} says of itself that it is whole: {}", decision.is_complete)
        })?;
        let by_limit = decision.policies.limit.is_some() && decision.is_kept && !must;
        ensure(!by_limit || decision.weight >= 1.0, || format!("weight of {id}: {}, below 1", decision.weight))?;
        let weight = match must {
            true => 1.0,
            false if by_limit => decision.weight,
            false => 100.0 / decision.policies.percent,
        };
        let is_right = |weight_told: f64| !decision.is_kept || (weight_told - weight).abs() < 1e-9;
        ensure(is_right(decision.weight), || format!("weight of {id}: {}, not {weight}", decision.weight))?;
        for values in visible.values() {
            let told = row(values, 3).parse().unwrap_or(f64::NAN);
            ensure(is_right(told) && row(values, 4) == "false", || format!("weight {weight}, not late, but {values:?}"))?;
        }
        Ok(())
    }

    fn decision(&self, values: &[String]) -> Result<Decision<'_>, String> {
        let version = row(values, 5);
        let policies = self.policies.iter().find(|policies| policies.versions.iter().any(|known| known == version));
        let policies = policies.ok_or_else(|| format!("I13: decided by unknown rules: {values:?}"))?;
        let (weight, is_kept) = (row(values, 3).parse().unwrap_or(f64::NAN), row(values, 2) == "kept");
        Ok(Decision { is_kept, weight, spans: number(values, 4), policies, is_complete: row(values, 6) == "true" })
    }
}
