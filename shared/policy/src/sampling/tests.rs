use spanlake_model::{BucketRange, TraceId};

use super::hash::{hash, salted, threshold};
use super::threshold::NEVER;
use super::*;

#[expect(clippy::disallowed_methods, reason = "vectors are files; the crate itself touches none")]
fn rows() -> Vec<serde_json::Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/vectors/probabilistic-golden.jsonl");
    std::fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn thresholds_and_hashes_are_those_of_the_reference() {
    for row in rows() {
        if row["kind"] == "threshold" {
            let wanted: u64 = row["fnv_threshold_u64"].as_str().unwrap().parse().unwrap();
            assert_eq!(threshold(row["sampling_percentage"].as_f64().unwrap() / 100.0), wanted, "{row}");
            continue;
        }
        let id: TraceId = row["trace_id"].as_str().unwrap().parse().unwrap();
        let value = hash(salted(row["salt"].as_str().unwrap()), &id);
        assert_eq!(value.to_string(), row["fnv1a64"].as_str().unwrap());
        for (percentage, sampled) in row["sampled_by_fnv_pct"].as_object().unwrap() {
            let percentage: f64 = percentage.parse().unwrap();
            assert_eq!(value <= threshold(percentage / 100.0), sampled.as_bool().unwrap(), "{row}");
        }
    }
}

fn chance(salt: u8, ratio: f64) -> Part {
    let condition = Condition::Chance(Chance { salt, salted: salted(&salt.to_string()), threshold: threshold(ratio), ratio });
    Part::plain(condition)
}

fn policy(drops: bool, parts: Vec<Part>) -> Policy {
    Policy { name: String::new(), kind: "", body: if drops { Body::Drop(parts) } else { Body::And(parts) } }
}

/// Ids that FNV spreads well.
fn ids() -> impl Iterator<Item = TraceId> {
    (0_u64..40_000)
        .map(|number| TraceId(u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes()))
}

#[test]
fn weights_of_the_kept_traces_add_up_to_all_traces() {
    let error = Part::plain(Condition::Bit { mask: 1, inverted: false });
    let cases = [
        vec![policy(false, vec![chance(0, 0.05)])],
        vec![policy(false, vec![chance(0, 0.05)]), policy(false, vec![chance(0, 0.2)]), policy(false, vec![chance(1, 0.1)])],
        vec![policy(false, vec![error]), policy(true, vec![chance(0, 0.5)]), policy(false, vec![chance(0, 0.75)])],
        vec![policy(false, vec![Part { negated: true, ..chance(0, 0.4) }]), policy(false, vec![chance(0, 0.1)])],
    ];
    for policies in cases {
        let sampler = Sampler::new(policies, Vec::new(), Vec::new(), Options::default());
        for bits in [0, 1] {
            let facts = TraceFacts { bits, spans: 1, ..TraceFacts::default() };
            let decide = |id| sampler.decide(&id, &[facts], &Admitted::default());
            let kept = ids().map(decide).filter(|decision| decision.verdict == Verdict::Kept);
            let total: f64 = kept.map(|decision| decision.weight).sum();
            assert!((total / 40_000.0 - 1.0).abs() < 0.05, "{total} {sampler:?}");
        }
    }
}

#[test]
fn a_share_of_one_salt_has_its_exact_weight() {
    for (percent, weight) in [(5.0, 20.0), (10.0, 10.0), (25.0, 4.0), (50.0, 2.0), (100.0, 1.0)] {
        let sampler =
            Sampler::new(vec![policy(false, vec![chance(0, percent / 100.0)])], Vec::new(), Vec::new(), Options::default());
        let facts = TraceFacts { spans: 1, ..TraceFacts::default() };
        let mut decisions = ids().map(|id| sampler.decide(&id, &[facts], &Admitted::default()));
        let kept = decisions.find(|decision| decision.verdict == Verdict::Kept).unwrap();
        assert_eq!(kept.weight.to_bits(), f64::to_bits(weight), "{percent} %");
    }
}

#[test]
fn thresholds_are_those_of_the_reference_at_both_precisions() {
    for row in rows().iter().filter(|row| row["kind"] == "threshold") {
        let ratio = row["sampling_percentage"].as_f64().unwrap() / 100.0;
        for (key, precision) in [("th_full_precision", 14), ("th_precision4", 4)] {
            if let Some(wanted) = row[key].as_str() {
                let found = threshold::rejection_at(ratio, precision).map(tracestate::threshold_text);
                assert_eq!(found.as_deref(), Some(wanted), "{row}");
            }
        }
    }
}

#[test]
fn what_came_first_counts_for_conditions_that_can_fail() {
    let pairs = Pairs(0b100);
    let fact = |bits| TraceFacts { bits, spans: 1, ..TraceFacts::default() };
    let order = |list: [u64; 3]| {
        let mut facts = TraceFacts::default();
        for bits in list {
            facts.then(&fact(bits), pairs);
        }
        facts.bits
    };
    assert_eq!(order([0b0001, 0b0110, 0b1010]), 0b0111);
    assert_eq!(order([0b0000, 0b1000, 0b0101]), 0b1001);
    let mut later = fact(0b1000);
    later.then(&fact(0b0100), pairs);
    let mut whole = fact(0);
    whole.then(&later, pairs);
    assert_eq!(whole.bits, 0b1000, "however the facts are cut");
}

fn rules(policies: &str, own: &str) -> crate::Rules {
    let text = format!(
        "processors:\n  tail_sampling:\n    policies: [{policies}]\nservice: {{pipelines: {{traces: {{processors: [tail_sampling]}}}}}}\n\
         spanlake: {{{own}}}\n"
    );
    let loaded = crate::load(&text, &|_| None);
    loaded.rules.unwrap_or_else(|| panic!("{:?}\n{text}", loaded.findings))
}

#[test]
fn inverted_votes_are_those_of_older_collectors_if_asked_for() {
    let inverted = "{name: i, type: string_attribute, string_attribute: {key: k, values: [v], invert_match: true}}";
    let errors = "{name: e, type: status_code, status_code: {status_codes: [ERROR]}}";
    // Bits of `inverted` and `errors`: what they were before v0.155, and what they are since.
    for (bits, before, since) in [
        (0b00, Verdict::SampledOut, Verdict::Kept),
        (0b01, Verdict::SampledOut, Verdict::SampledOut),
        (0b10, Verdict::Kept, Verdict::Kept),
        (0b11, Verdict::SampledOut, Verdict::Kept),
    ] {
        for (own, wanted) in [("compat: {invert_decisions: true}", before), ("compat: {invert_decisions: false}", since)] {
            let facts = TraceFacts { bits, spans: 1, ..TraceFacts::default() };
            let decision = rules(&format!("{inverted}, {errors}"), own).decide(&TraceId([1; 16]), &facts);
            assert_eq!(decision.verdict, wanted, "{bits} {own}");
        }
    }
    let alone = rules(inverted, "compat: {invert_decisions: true}");
    let decision = alone.decide(&TraceId([1; 16]), &TraceFacts { spans: 1, ..TraceFacts::default() });
    assert_eq!((decision.verdict, alone.votes_text(&decision)), (Verdict::Kept, vec![("i", "invert_sampled")]));
}

#[test]
fn tracestates_go_on_so_that_nobody_counts_a_span_wrongly() {
    let half = "{name: h, type: probabilistic, probabilistic: {sampling_percentage: 50}}";
    let all = "{name: a, type: always_sample}";
    let facts = TraceFacts { spans: 1, randomness: Some(NEVER - 1), ..TraceFacts::default() };
    let of = |policy: &str, mode: &str, incoming: &str, threshold: Option<u64>| {
        let rules = rules(policy, &format!("sampling: {{probabilistic_mode: {mode}}}"));
        let decisions = ids().map(|id| rules.decide(&id, &facts));
        let decision = decisions.filter(|decision| decision.verdict == Verdict::Kept).last().unwrap();
        (
            rules.outgoing_tracestate(decision.weight, decision.threshold, incoming),
            span_weight(decision.weight, decision.threshold, threshold),
        )
    };
    let quarter = Some(3 << 54);
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(of(half, "consistent", "b=2", None), (text("ot=th:8,b=2"), 2.0));
    assert_eq!(of(half, "consistent", "ot=th:c;k:v", quarter), (None, 4.0));
    assert_eq!(of(all, "consistent", "", None), (text("ot=th:0"), 1.0));
    assert_eq!(of(half, "consistent", "ot=th:zz", None), (None, 2.0));
    assert_eq!(of(half, "hash", "a=1,ot=th:c;k:v", quarter), (text("ot=k:v,a=1"), 8.0));
    assert_eq!(of(half, "hash", "a=1", None), (None, 2.0));
    assert_eq!(of(all, "hash", "ot=th:c", quarter), (None, 4.0));
    let not = format!("{{name: n, type: not, not: {{not_sub_policy: {half}}}}}");
    let low = TraceFacts { randomness: Some(0), ..facts };
    let rules = rules(&not, "sampling: {probabilistic_mode: consistent}");
    let decision = rules.decide(&TraceId([1; 16]), &low);
    assert_eq!((decision.verdict, decision.weight.to_bits()), (Verdict::Kept, 2.0_f64.to_bits()));
    assert_eq!(
        rules.outgoing_tracestate(decision.weight, decision.threshold, "ot=rv:00000000000000;th:0"),
        text("ot=rv:00000000000000")
    );
}

#[test]
fn tracestates_are_read_strictly_for_values_and_as_samplers_do_for_thresholds() {
    let leaf = StateLeaf::new(1, "a", ["1".to_owned(), String::new()].into_iter());
    for (state, found) in [
        ("a=1", true),
        (" a=1 ,b=2", true),
        ("b=2,,a=1", true),
        ("a=2", false),
        ("a=1,a=1", false),
        ("a=1,B=2", false),
        ("a=1,b=", false),
        ("a=1,b", false),
        ("1@a=2,a=1", true),
    ] {
        assert_eq!(has_value(state, &leaf), found, "{state}");
    }
    let read = |state: &str| TraceState::parse(state).map(|state| (state.randomness, state.threshold));
    assert_eq!(read("ot=th:C"), Some((None, Some(12 << 52))));
    assert_eq!(read("x=1,ot=rv:0000000000000f;q:1"), Some((Some(15), None)));
    for wrong in ["ot=rv:f", "ot=th:", "ot=th:0123456789abcde", "ot=th:+1", "ot=th", "ot=;", "X=1,ot=th:8"] {
        assert_eq!(read(wrong), None, "{wrong}");
    }
    let long = format!("ot=k:{}", "x".repeat(250));
    let mut state = TraceState::parse(&long).unwrap();
    state.state_threshold(1);
    assert_eq!(state.text(), None, "a member of more than 256 bytes is not written");
}

#[test]
fn over_shards_and_windows_the_room_adds_up_to_the_rate() {
    let limited = rules("{name: r, type: rate_limiting, rate_limiting: {spans_per_second: 7}}", "");
    let windows = 160;
    let mut kept = 0;
    for window in 0..windows {
        for (number, shard) in BucketRange::even(16).into_iter().enumerate() {
            let mut admission = limited.admission(window * 1000, 1000, shard);
            let traces: Vec<TraceId> = ids().skip(40 * number).take(40).collect();
            let facts = [TraceFacts { spans: 1, ..TraceFacts::default() }];
            traces.iter().rev().for_each(|id| admission.offer(id, &facts));
            let admitted = admission.finish();
            let is_kept = |id: &&TraceId| limited.decide_in_window(id, &facts, &admitted).verdict == Verdict::Kept;
            kept += i64::try_from(traces.iter().filter(is_kept).count()).unwrap();
        }
    }
    // A window of a second has room for a full bucket: twice the rate, where nothing else is said.
    assert_eq!(kept, 14 * windows);
}

#[test]
fn what_allocations_leave_is_for_all_sub_policies_if_asked_for() {
    let composite = |fill: bool| {
        rules(
            &format!(
                "{{name: c, type: composite, composite: {{max_total_spans_per_second: 10, fill_remaining: {fill}, \
                 policy_order: [errors, rest], composite_sub_policy: [{{name: rest, type: always_sample}}, \
                 {{name: errors, type: status_code, status_code: {{status_codes: [ERROR]}}}}]}}}}"
            ),
            "",
        )
    };
    // The bit of `errors`: conditions are numbered as they are listed. Two traces of thirty have it.
    let facts = |number: usize| [TraceFacts { bits: u64::from(number < 2), spans: 1, ..TraceFacts::default() }];
    for (fill, of_rest) in [(false, 5), (true, 8)] {
        let rules = composite(fill);
        let traces: Vec<TraceId> = ids().take(30).collect();
        let mut admission = rules.admission(0, 1000, BucketRange::ALL);
        for (number, id) in traces.iter().enumerate() {
            admission.offer(id, &facts(number));
        }
        let admitted = admission.finish();
        let kept = traces.iter().enumerate().filter_map(|(number, id)| {
            let decision = rules.decide_in_window(id, &facts(number), &admitted);
            (decision.verdict == Verdict::Kept).then(|| rules.sub_policy_name(&decision).to_owned())
        });
        let kept: Vec<String> = kept.collect();
        let of = |name: &str| kept.iter().filter(|sub| *sub == name).count();
        assert_eq!((of("errors"), of("rest")), (2, of_rest), "fill_remaining: {fill}");
    }
}

#[test]
fn of_too_many_candidates_those_of_the_highest_randomness_are_taken() {
    let limited = rules("{name: r, type: rate_limiting, rate_limiting: {spans_per_second: 1000000}}", "");
    let facts = [TraceFacts { spans: 1, ..TraceFacts::default() }];
    let traces: Vec<TraceId> = (0..230_000_u64)
        .map(|number| TraceId(u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes()))
        .collect();
    let mut admission = limited.admission(0, 1000, BucketRange::ALL);
    for id in &traces {
        admission.offer(id, &facts);
    }
    let admitted = admission.finish();
    let decide = |id| limited.decide_in_window(id, &facts, &admitted);
    let kept: Vec<_> = traces.iter().map(decide).filter(|decision| decision.verdict == Verdict::Kept).collect();
    assert_eq!(kept.len(), 100_000);
    let total: f64 = kept.iter().map(|decision| decision.weight).sum();
    assert!((total / 230_000.0 - 1.0).abs() < 0.02, "{total}");
}

proptest::proptest! {
    #[test]
    fn facts_merge_in_any_order(spans in proptest::collection::vec((0_u64..4, 0_u64..9, 0_u64..9, proptest::bool::ANY), 0..8), cut in 0_usize..8) {
        let spans: Vec<SpanFacts> = spans.into_iter()
            .map(|(bits, start_nanos, end_nanos, is_error)| SpanFacts { bits, start_nanos, end_nanos, is_error, ..SpanFacts::default() })
            .collect();
        let sum = |spans: &mut dyn Iterator<Item = &SpanFacts>| {
            let mut facts = TraceFacts::default();
            spans.for_each(|span| facts.add(span));
            facts
        };
        let whole = sum(&mut spans.iter());
        let (left, right) = spans.split_at(cut.min(spans.len()));
        let mut merged = sum(&mut right.iter().rev());
        merged.merge(&sum(&mut left.iter()));
        proptest::prop_assert_eq!(merged, whole);
    }
}
