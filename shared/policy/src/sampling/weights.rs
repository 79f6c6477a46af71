mod small_rooms;

use spanlake_model::{BucketRange, TraceId};

use super::*;

/// Numbers that look random (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn id(&mut self) -> TraceId {
        TraceId((u128::from(self.next()) << 64 | u128::from(self.next())).to_be_bytes())
    }
}

/// How often a window is drawn.
const SEEDS: u32 = 1000;
/// Traces in a window, of four sorts and many sizes.
const TRACES: u64 = 48;

fn rules(policies: &str, own: &str) -> crate::Rules {
    let text = format!(
        "processors:\n  tail_sampling:\n    policies:\n{policies}service: {{pipelines: {{traces: {{processors: [tail_sampling]}}}}}}\n{own}"
    );
    let loaded = crate::load(&text, &|_| None);
    loaded.rules.unwrap_or_else(|| panic!("{:?}\n{text}", loaded.findings))
}

/// The facts of the traces of a window: the same for every seed, so that chance is in the ids alone.
fn traces() -> Vec<TraceFacts> {
    let facts = |number: u64| {
        let size = TraceSize { groups_bytes: 90 + 13 * (number % 7), whole_bytes: 100 + 13 * (number % 7) };
        let end_nanos = if number.is_multiple_of(5) { 2_000_000_001 } else { 2 };
        TraceFacts { bits: number % 4, spans: 1 + number % 5, start_nanos: 1, end_nanos, size, ..TraceFacts::default() }
    };
    (0..TRACES).map(facts).collect()
}

/// Checks that the weights of what is kept add up to the traces that can be kept at all: over all seeds the mean error must be
/// within what its own spread allows.
fn check(name: &str, policies: &str, own: &str) {
    check_traces(name, &rules(policies, own), &traces(), BucketRange::ALL);
}

fn check_traces(name: &str, rules: &crate::Rules, facts: &[TraceFacts], shard: BucketRange) {
    let mut random = Random(name.len() as u64);
    let mut kept_ever = vec![0_u32; facts.len()];
    let mut sums = vec![[0.0; 2]; facts.len()];
    let (mut total, mut squares) = (0.0, 0.0);
    for window in 0..SEEDS {
        let ids: Vec<TraceId> = facts.iter().map(|_| random.id()).collect();
        let mut admission = rules.admission(i64::from(window) * 1000, 1000, shard);
        ids.iter().zip(facts).for_each(|(id, facts)| admission.offer(id, std::slice::from_ref(facts)));
        let admitted = admission.finish();
        let mut sum = 0.0;
        for (place, (id, facts)) in ids.iter().zip(facts).enumerate() {
            let decision = rules.decide_in_window(id, std::slice::from_ref(facts), &admitted);
            assert!(decision.weight >= 1.0 && decision.weight.is_finite());
            let chance = rules.chance(id, std::slice::from_ref(facts), &admitted);
            if decision.verdict == Verdict::Kept {
                assert!((chance * decision.weight - 1.0).abs() < 1e-6, "{name}: {chance} for weight {}", decision.weight);
                kept_ever[place] += 1;
                sums[place][0] += decision.weight;
                sums[place][1] += decision.weight * decision.weight;
                sum += decision.weight;
            } else {
                assert!((0.0..1.0).contains(&chance), "{name}: {chance} for what is not kept");
            }
        }
        total += sum;
        squares += sum * sum;
    }
    let seeds = f64::from(SEEDS);
    let eligible: f64 = kept_ever.iter().map(|times| if *times > 0 { 1.0 } else { 0.0 }).sum();
    let (mean, spread) = (total / seeds, (squares / seeds - (total / seeds).powi(2)).max(0.0).sqrt());
    let bound = 4.0 * spread / seeds.sqrt() + 1e-9;
    assert!((mean - eligible).abs() <= bound, "{name}: {mean} for {eligible}, bound {bound}");
    for (place, [sum, squares]) in sums.iter().enumerate().filter(|(place, _)| kept_ever[*place] > 0) {
        let mean = sum / seeds;
        let bound = 5.0 * (squares / seeds - mean * mean).max(0.0).sqrt() / seeds.sqrt() + 1e-9;
        assert!((mean - 1.0).abs() <= bound, "{name}: {mean} of trace {place}, bound {bound}");
    }
}

/// A shard with a part of a limit that some traces are larger than.
const PART: BucketRange = BucketRange { first: 512, last: 1023 };

/// One with a part that every trace is larger than.
const SIXTEENTH: BucketRange = BucketRange { first: 1024, last: 1279 };

const ERRORS: &str = "{name: e, type: status_code, status_code: {status_codes: [ERROR]}}";

fn list(policies: &[&str]) -> String {
    policies.iter().flat_map(|policy| ["      - ", policy, "\n"]).collect()
}

fn chance(name: &str, percent: u32, salt: &str) -> String {
    format!("{{name: {name}, type: probabilistic, probabilistic: {{sampling_percentage: {percent}, hash_salt: {salt}}}}}")
}

#[test]
fn weights_are_unbiased_for_policies_with_and_without_chance() {
    let (ten, half, other) = (chance("p", 10, "a"), chance("h", 50, "a"), chance("o", 30, "b"));
    let and = format!("{{name: and, type: and, and: {{and_sub_policy: [{half}, {other}]}}}}");
    let not = format!("{{name: n, type: not, not: {{not_sub_policy: {half}}}}}");
    let drop = format!("{{name: d, type: drop, drop: {{drop_sub_policy: [{ERRORS}, {other}]}}}}");
    let slow = "{name: s, type: latency, latency: {threshold_ms: 1000}}";
    let count = "{name: c, type: span_count, span_count: {min_spans: 4}}";
    for (name, policies) in [
        ("always", list(&["{name: a, type: always_sample}"])),
        ("certain", list(&[ERRORS, slow, count])),
        ("chance", list(&[&ten])),
        ("mixed", list(&[ERRORS, &ten, slow])),
        ("two salts", list(&[&half, &other])),
        ("two salts in one and", list(&[&and, &ten])),
        ("not", list(&[&not, &other])),
        ("drop by chance", list(&[&drop, &half, slow])),
    ] {
        check(name, &policies, "");
        check(name, &policies, "spanlake: {sampling: {probabilistic_mode: consistent}}\n");
    }
}

#[test]
fn weights_are_unbiased_under_limits() {
    let (ten, half, other) = (chance("p", 10, "a"), chance("h", 50, "a"), chance("o", 30, "b"));
    let spans = |name: &str, rate: u32| {
        format!("{{name: {name}, type: rate_limiting, rate_limiting: {{spans_per_second: {rate}, burst_capacity: {rate}}}}}")
    };
    let bytes = "{name: b, type: bytes_limiting, bytes_limiting: {bytes_per_second: 1500, burst_capacity: 1500}}";
    let small = "{name: small, type: span_count, span_count: {min_spans: 1, max_spans: 3}}";
    let both = format!("{{name: both, type: and, and: {{and_sub_policy: [{small}, {}, {bytes}]}}}}", spans("r", 30));
    let chanced = format!("{{name: ch, type: and, and: {{and_sub_policy: [{other}, {}]}}}}", spans("r", 12));
    let drop = format!("{{name: d, type: drop, drop: {{drop_sub_policy: [{other}]}}}}");
    for (name, policies) in [
        ("spans", list(&[&spans("r", 40)])),
        ("bytes", list(&[bytes])),
        ("chance and a limit", list(&[&ten, &spans("r", 40)])),
        ("two limits", list(&[&spans("r", 20), bytes])),
        ("three limits", list(&[&spans("r", 20), &both, bytes])),
        ("limits in and", list(&[&both])),
        ("a limit on what chance lets pass", list(&[&chanced, &spans("s", 25)])),
        ("drop, chance and two limits", list(&[&drop, &half, &both, &spans("s", 15)])),
        ("a certain policy beside a limit", list(&["{name: s, type: latency, latency: {threshold_ms: 1000}}", &spans("r", 30)])),
    ] {
        check(name, &policies, "");
        check_traces(name, &rules(&policies, ""), &traces()[..16], PART);
        check(name, &policies, "spanlake: {sampling: {probabilistic_mode: consistent}}\n");
    }
}

#[test]
fn weights_are_unbiased_for_composite() {
    let (half, small) = (chance("h", 50, "a"), "{name: small, type: span_count, span_count: {min_spans: 1, max_spans: 3}}");
    let composite = |total: u32, fill: bool, shares: [u32; 3], subs: &str| {
        let [one, two, three] = shares;
        let rates =
            format!("{{policy: small, percent: {one}}}, {{policy: h, percent: {two}}}, {{policy: rest, percent: {three}}}");
        format!(
            "{{name: c, type: composite, composite: {{max_total_spans_per_second: {total}, policy_order: [small, h, rest], \
             fill_remaining: {fill}, rate_allocation: [{rates}], composite_sub_policy: [{subs}]}}}}"
        )
    };
    let subs = format!("{small}, {half}, {{name: rest, type: always_sample}}");
    for fill in [false, true] {
        for (name, policies) in [
            ("even", list(&[&composite(60, fill, [30, 30, 40], &subs)])),
            ("more than the total", list(&[&composite(50, fill, [80, 80, 80], &subs)])),
            ("beside chance", list(&[&chance("o", 20, "b"), &composite(60, fill, [30, 50, 20], &subs)])),
            (
                "little asked of one",
                list(&[&composite(80, fill, [60, 20, 20], &format!("{half}, {{name: rest, type: always_sample}}"))]),
            ),
            (
                "beside a limit",
                list(&[
                    "{name: r, type: rate_limiting, rate_limiting: {spans_per_second: 20, burst_capacity: 20}}",
                    &composite(40, fill, [40, 40, 20], &subs),
                ]),
            ),
        ] {
            check(name, &policies, "");
            check_traces(name, &rules(&policies, ""), &traces()[..16], PART);
        }
    }
}

#[test]
fn weights_are_unbiased_beside_what_an_overlay_keeps() {
    let (ten, half, other) = (chance("p", 10, "a"), chance("h", 50, "a"), chance("o", 30, "b"));
    let limit = "{name: r, type: rate_limiting, rate_limiting: {spans_per_second: 20, burst_capacity: 20}}";
    let drop = format!("{{name: d, type: drop, drop: {{drop_sub_policy: [{ERRORS}, {other}]}}}}");
    let mut overlay = crate::Overlay::default();
    overlay.add("checkout", 1).unwrap();
    let mut facts = traces();
    facts.iter_mut().step_by(3).for_each(|facts| facts.bits |= crate::overlay::KEEP_ALL_BIT);
    for (name, policies) in [
        ("chance", list(&[ERRORS, &ten])),
        ("two salts", list(&[&half, &other])),
        ("drop by chance", list(&[&drop, &half])),
        ("a limit", list(&[limit])),
        ("drop, chance and a limit", list(&[&drop, &other, limit])),
    ] {
        for own in
            ["", "spanlake: {sampling: {probabilistic_mode: consistent}}\n", "spanlake: {compat: {invert_decisions: true}}\n"]
        {
            let (below, rules) = (rules(&policies, own), rules(&policies, &overlay.compose(own)));
            check_traces(name, &rules, &facts, BucketRange::ALL);
            let ids: Vec<TraceId> = (0..TRACES).map(|number| Random(number).id()).collect();
            for (id, facts) in ids.iter().zip(&facts) {
                let decision = rules.decide(id, facts);
                if facts.bits & crate::overlay::KEEP_ALL_BIT == 0 {
                    assert_eq!(decision, below.decide(id, facts), "{name}: nothing changes for what it does not keep");
                } else {
                    let decided = (decision.verdict, decision.weight.to_bits(), decision.threshold);
                    assert_eq!(decided, (Verdict::Kept, 1_f64.to_bits(), Some(0)), "{name}");
                }
            }
        }
    }
}

#[test]
fn weights_of_spans_count_what_head_sampling_left_out() {
    let quarter = chance("q", 25, "a");
    let limit = "{name: r, type: rate_limiting, rate_limiting: {spans_per_second: 12, burst_capacity: 12}}";
    let all = "{name: a, type: always_sample}";
    let (consistent, hash) = ("spanlake: {sampling: {probabilistic_mode: consistent}}\n", "");
    for (policies, own, shard) in [
        (list(&[&quarter]), consistent),
        (list(&[&quarter]), hash),
        (list(&[limit]), consistent),
        (list(&[limit]), hash),
        (list(&[&quarter, limit]), consistent),
        (list(&[all]), hash),
    ]
    .into_iter()
    .flat_map(|(policies, own)| [(policies.clone(), own, BucketRange::ALL), (policies, own, SIXTEENTH)])
    {
        let rules = rules(&policies, own);
        let mut random = Random(3);
        let mut sums = Vec::new();
        for window in 0..SEEDS {
            let mut traces = Vec::new();
            // Half of the sorts are sampled at the head at 50 %, a quarter at 12.5 %.
            for incoming in [None, None, Some(1 << 55), Some(7 << 53)].into_iter().cycle().take(24) {
                let (id, randomness) = (random.id(), random.next() >> 8);
                let facts = TraceFacts {
                    spans: 1,
                    randomness: Some(randomness),
                    has_threshold: incoming.is_some(),
                    ..TraceFacts::default()
                };
                if incoming.is_none_or(|threshold| randomness >= threshold) {
                    traces.push((id, facts, incoming));
                }
            }
            let mut admission = rules.admission(i64::from(window) * 1000, 1000, shard);
            for (id, facts, _) in &traces {
                admission.offer(id, &[*facts]);
            }
            let admitted = admission.finish();
            let weight = |(id, facts, incoming): &(TraceId, TraceFacts, Option<u64>)| {
                let decision = rules.decide_in_window(id, &[*facts], &admitted);
                if decision.verdict == Verdict::Kept { span_weight(decision.weight, decision.threshold, *incoming) } else { 0.0 }
            };
            sums.push(traces.iter().map(weight).sum::<f64>());
        }
        let seeds = f64::from(SEEDS);
        let mean = sums.iter().sum::<f64>() / seeds;
        let spread = (sums.iter().map(|sum| (sum - mean).powi(2)).sum::<f64>() / seeds).sqrt();
        assert!((mean - 24.0).abs() <= 4.0 * spread / seeds.sqrt(), "{policies} {own}: {mean} of 24, spread {spread}");
    }
}
