//! Figures from the sample are truthful: the sum of weights estimates what was before sampling, without bias and within
//! what chance allows, under the seed configuration's 5 %.

use spanlake_model::TraceId;
use spanlake_policy::{SpanFacts, TraceFacts, Verdict};
use spanlake_testkit::Rng;

use crate::drive::rules;

const SEED_CONFIG: &str = include_str!("../bench/seed.yaml");
const SHARE: f64 = 0.05;
const SEEDS: u64 = 200;

/// The requests of an endpoint as the sample tells them, over their true number.
fn estimate(rules: &spanlake_policy::Rules, rng: &mut Rng, requests: u32) -> f64 {
    let mut facts = TraceFacts::default();
    facts.add(&SpanFacts { start_nanos: 1_000_000, end_nanos: 2_000_000, kind: 2, bytes: 400, ..SpanFacts::default() });
    let mut sum = 0.0;
    for _ in 0..requests {
        let decision = rules.decide(&TraceId(rng.bytes()), &facts);
        if decision.verdict == Verdict::Kept {
            sum += decision.weight;
        }
    }
    sum / f64::from(requests)
}

#[test]
fn estimates_from_the_sample_are_unbiased_and_within_three_standard_errors() {
    let rules = rules(SEED_CONFIG).unwrap();
    for requests in [1_000, 5_000, 30_000] {
        let error = ((1.0 - SHARE) / (SHARE * f64::from(requests))).sqrt();
        let estimates: Vec<f64> = (0..SEEDS).map(|seed| estimate(&rules, &mut Rng::new(seed), requests)).collect();
        let beyond = estimates.iter().filter(|estimate| (*estimate - 1.0).abs() > 3.0 * error).count();
        // Of 200 fair estimates 0.5 lie beyond three standard errors.
        assert!(beyond <= 3, "{requests} requests: {beyond} of {SEEDS} estimates beyond 3 standard errors");
        let mean = estimates.iter().sum::<f64>() / f64::from(u32::try_from(SEEDS).unwrap()) - 1.0;
        assert!(
            mean.abs() < 3.0 * error / 200_f64.sqrt() && (requests < 5_000 || mean.abs() < 0.01),
            "{requests}: mean error {mean}"
        );
    }
}

#[test]
fn what_a_deterministic_policy_keeps_stands_for_itself_alone() {
    let rules = rules(SEED_CONFIG).unwrap();
    let mut rng = Rng::new(1);
    for _ in 0..1_000 {
        let mut facts = TraceFacts::default();
        facts.add(&SpanFacts { start_nanos: 1, end_nanos: 1_500_000_001, kind: 2, ..SpanFacts::default() });
        let decision = rules.decide(&TraceId(rng.bytes()), &facts);
        assert_eq!((decision.verdict, decision.weight.to_bits()), (Verdict::Kept, 1.0_f64.to_bits()));
    }
}
