use spanlake_model::TraceId;

use super::hash::{hash, salted, threshold};
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
        let decisions = ids().map(|id| sampler.decide(&id, &[facts], &Admitted::default()));
        let kept = decisions.filter(|decision| decision.verdict == Verdict::Kept).next().unwrap();
        assert_eq!(kept.weight.to_bits(), f64::to_bits(weight), "{percent} %");
    }
}

#[test]
fn thresholds_are_those_of_the_reference_at_both_precisions() {
    for row in rows().iter().filter(|row| row["kind"] == "threshold") {
        let ratio = row["sampling_percentage"].as_f64().unwrap() / 100.0;
        for (key, precision) in [("th_full_precision", 14), ("th_precision4", 4)] {
            if let Some(wanted) = row[key].as_str() {
                let found = super::threshold::rejection_at(ratio, precision).map(tracestate::threshold_text);
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
        list.iter().for_each(|bits| facts.then(&fact(*bits), pairs));
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
