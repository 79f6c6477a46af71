//! What an overlay keeps, before any policy is asked.

use super::decide::Sampler;
use super::evaluate::{Evaluated, Evaluation};
use super::facts::TraceFacts;
use super::votes::{Verdict, Votes};
use crate::overlay::KEEP_ALL_BIT;

impl Sampler {
    /// From now on a trace with the bit of an overlay is kept, whatever the policies say.
    pub(crate) fn keep_all(&mut self) {
        self.keeps_all = true;
        // The overlay's place is behind the last policy.
        self.certain.push(true);
    }

    /// Whether the overlay keeps what has these bits.
    pub(super) fn overlay_keeps(&self, bits: u64) -> bool {
        self.keeps_all && bits & KEEP_ALL_BIT != 0
    }

    /// What the overlay says of a trace, if it keeps it: not one that is larger than `maximum_trace_size_bytes`. It says the same
    /// everywhere on the axes, so that the weight is 1, and nobody else's changes.
    pub(super) fn by_overlay(&self, records: &[TraceFacts]) -> Option<Evaluated> {
        if !records.iter().any(|record| self.overlay_keeps(record.bits)) {
            return None;
        }
        let bytes = records.iter().fold(0, |sum: u64, record| sum.saturating_add(record.size.groups_bytes));
        if self.options.size_bytes_max.is_some_and(|most| bytes > most) {
            return None;
        }
        let winner = Some(self.policies.len());
        let evaluation = Evaluation { verdict: Verdict::Kept, votes: Votes::default(), winner, sub: None, threshold: 0 };
        let mut facts = TraceFacts::default();
        for record in records {
            facts.merge(record);
        }
        Some(Evaluated { evaluation, facts })
    }
}

#[cfg(test)]
mod tests {
    use spanlake_model::{BucketRange, NANOS_PER_SECOND, TraceId};

    use super::super::facts::{SpanFacts, TraceSize};
    use super::*;
    use crate::{KEEP_ALL, Overlay, Rules, load};

    const UNTIL: i64 = 1_790_000_000;

    /// Rules with checkout kept until then. `keys` are those of `tail_sampling`.
    fn kept(policies: &str, keys: &str, own: &str) -> Rules {
        let text = format!(
            "processors:\n  tail_sampling:\n    policies: [{policies}]\n{keys}service: {{pipelines: {{traces: {{processors: \
             [tail_sampling]}}}}}}\nspanlake: {{{own}}}\n"
        );
        let mut overlay = Overlay::default();
        overlay.add("checkout", UNTIL).unwrap();
        let loaded = load(&overlay.compose(&text), &|_| None);
        loaded.rules.unwrap_or_else(|| panic!("{:?}\n{text}", loaded.findings))
    }

    fn trace(bits: u64) -> TraceFacts {
        TraceFacts { bits, spans: 1, ..TraceFacts::default() }
    }

    const DROP: &str =
        "{name: d, type: drop, drop: {drop_sub_policy: [{name: e, type: status_code, status_code: {status_codes: [ERROR]}}]}}";
    const ALL: &str = "{name: a, type: always_sample}";
    const LIMIT: &str = "{name: r, type: rate_limiting, rate_limiting: {spans_per_second: 1}}";
    const INVERTED: &str = "{name: i, type: string_attribute, string_attribute: {key: k, values: [v], invert_match: true}}";

    #[test]
    fn keep_all_wins_over_every_policy_and_says_so() {
        let (first, by_record) = ("    sample_on_first_match: true\n", "    sampling_strategy: span-ingest\n");
        for (policies, keys, own) in [
            ("", "", ""),
            (DROP, "", ""),
            (DROP, by_record, ""),
            (&format!("{DROP}, {ALL}"), first, ""),
            (LIMIT, "", ""),
            (INVERTED, "", "compat: {invert_decisions: true}"),
            ("{name: p, type: probabilistic, probabilistic: {sampling_percentage: 0}}", "", ""),
        ] {
            let rules = kept(policies, keys, own);
            // Bit 0 is that of the only condition: dropped, or inverted and not kept.
            let decision = rules.decide(&TraceId([7; 16]), &trace(1 | KEEP_ALL_BIT));
            let told = (decision.verdict, rules.policy_name(decision.policy), rules.votes_text(&decision));
            assert_eq!(told, (Verdict::Kept, KEEP_ALL, vec![(KEEP_ALL, "sampled")]), "{policies} {keys}");
            assert_eq!((decision.weight.to_bits(), decision.threshold), (1_f64.to_bits(), Some(0)), "{policies} {keys}");
            let without = rules.decide(&TraceId([7; 16]), &trace(1));
            assert_eq!((without.verdict == Verdict::Kept, rules.policy_name(without.policy) == KEEP_ALL), (false, false));
        }
    }

    #[test]
    fn a_record_that_came_before_cannot_drop_what_a_later_one_has_kept() {
        let rules = kept(DROP, "    sampling_strategy: span-ingest\n", "");
        let records = [trace(1), trace(KEEP_ALL_BIT)];
        let decision = rules.decide_in_window(&TraceId([7; 16]), &records, &super::super::Admitted::default());
        assert_eq!(rules.policy_name(decision.policy), KEEP_ALL);
    }

    #[test]
    fn what_is_kept_takes_no_room_from_others() {
        let rules = kept(LIMIT, "", "");
        let mut admission = rules.admission(0, 1000, BucketRange::ALL);
        let ids: Vec<TraceId> = (1..40).map(|number| TraceId([number; 16])).collect();
        let facts = |place: usize| [trace(if place < 37 { KEEP_ALL_BIT } else { 0 })];
        ids.iter().enumerate().for_each(|(place, id)| admission.offer(id, &facts(place)));
        let admitted = admission.finish();
        let kept = ids.iter().enumerate().map(|(place, id)| rules.decide_in_window(id, &facts(place), &admitted));
        assert!(
            kept.into_iter().all(|decision| decision.verdict == Verdict::Kept && decision.weight.to_bits() == 1_f64.to_bits())
        );
    }

    #[test]
    fn a_trace_beyond_the_size_limit_goes_as_without() {
        let rules = kept(ALL, "    maximum_trace_size_bytes: 100\n", "");
        for (bytes, wanted) in [(100, Verdict::Kept), (101, Verdict::SampledOut)] {
            let size = TraceSize { groups_bytes: bytes, whole_bytes: bytes };
            let decision = rules.decide(&TraceId([7; 16]), &TraceFacts { size, ..trace(KEEP_ALL_BIT) });
            assert_eq!((decision.verdict, decision.is_too_large), (wanted, bytes > 100));
        }
    }

    #[test]
    fn a_late_span_is_kept_by_itself_as_long_as_it_arrives_in_time() {
        let rules = kept(DROP, "", "");
        let end = UNTIL * NANOS_PER_SECOND;
        for (service, arrival, wanted) in [("checkout", end - 1, true), ("checkout", end, false), ("cart", 0, false)] {
            let span = SpanFacts { bits: 1 | rules.keep_all_bit(service, arrival), ..SpanFacts::default() };
            assert_eq!(rules.keeps_late_span(&TraceId([7; 16]), &span), wanted, "{service} {arrival}");
        }
    }

    #[test]
    fn rules_that_use_every_bit_have_no_room_for_an_overlay() {
        let flags = |count: usize| {
            let policy =
                |place| format!("{{name: p{place}, type: string_attribute, string_attribute: {{key: k{place}, values: [v]}}}}");
            let policies: Vec<String> = (0..count).map(policy).collect();
            format!(
                "processors:\n  tail_sampling:\n    policies: [{}]\nservice: {{pipelines: {{traces: {{processors: [tail_sampling]}}}}}}\n",
                policies.join(", ")
            )
        };
        let mut overlay = Overlay::default();
        overlay.add("checkout", UNTIL).unwrap();
        assert!(load(&flags(64), &|_| None).rules.is_some());
        let refused = load(&overlay.compose(&flags(64)), &|_| None);
        assert!(refused.rules.is_none() && refused.findings.iter().any(|finding| finding.message.contains("64 conditions")));
        assert!(refused.refusal().contains("(take a condition out of the policies"), "{}", refused.refusal());
        assert!(load(&overlay.compose(&flags(63)), &|_| None).rules.is_some());
        // A condition on the last bit is its own where nothing is laid over it.
        let rules = load(&flags(64), &|_| None).rules.unwrap();
        let decision = rules.decide(&TraceId([7; 16]), &trace(KEEP_ALL_BIT));
        assert_eq!(rules.policy_name(decision.policy), "p63");
    }
}
