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
    Part { condition, negated: false }
}

fn policy(drops: bool, parts: Vec<Part>) -> Policy {
    Policy { name: String::new(), kind: "", drops, parts }
}

/// Ids that FNV spreads well.
fn ids() -> impl Iterator<Item = TraceId> {
    (0_u64..40_000)
        .map(|number| TraceId(u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes()))
}

#[test]
fn weights_of_the_kept_traces_add_up_to_all_traces() {
    let error = Part { condition: Condition::Bit { mask: 1, inverted: false }, negated: false };
    let cases = [
        vec![policy(false, vec![chance(0, 0.05)])],
        vec![policy(false, vec![chance(0, 0.05)]), policy(false, vec![chance(0, 0.2)]), policy(false, vec![chance(1, 0.1)])],
        vec![policy(false, vec![error]), policy(true, vec![chance(0, 0.5)]), policy(false, vec![chance(0, 0.75)])],
        vec![policy(false, vec![Part { negated: true, ..chance(0, 0.4) }]), policy(false, vec![chance(0, 0.1)])],
    ];
    for policies in cases {
        let sampler = Sampler::new(policies, 2, false);
        for bits in [0, 1] {
            let facts = TraceFacts { bits, spans: 1, ..TraceFacts::default() };
            let kept = ids().map(|id| sampler.decide(&id, &facts)).filter(|decision| decision.verdict == Verdict::Kept);
            let total: f64 = kept.map(|decision| decision.weight).sum();
            assert!((total / 40_000.0 - 1.0).abs() < 0.05, "{total} {sampler:?}");
        }
    }
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
