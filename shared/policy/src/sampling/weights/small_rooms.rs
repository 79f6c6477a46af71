//! Rooms that are smaller than the traces that come: a shard's part of a limit.

use std::collections::BTreeSet;

use spanlake_model::BUCKETS;

use super::super::admission::Admission;
use super::super::room::Window;
use super::super::threshold::{NEVER, share};
use super::*;

/// Coins by halves: so many for each, from 1 down to 2^-16.
const COINS_OF_A_HALF: u64 = 8;
const HALVES: u32 = 16;

/// Coins, and the share of all coins that each stands for: closer where the coin of some bucket is small. A shard that has all
/// buckets has but one.
fn coins(rules: &crate::Rules, window: Window, buckets: u16) -> Vec<(u64, f64)> {
    if buckets == BUCKETS {
        return vec![(NEVER, 1.0)];
    }
    let firsts: BTreeSet<u64> = Admission::new(rules.sampler.as_ref(), window).first_coins().collect();
    let below =
        |half: u32| (0..COINS_OF_A_HALF).map(move |number| (NEVER >> half) / 2 / COINS_OF_A_HALF * (COINS_OF_A_HALF + number));
    let steps: Vec<u64> = (0..HALVES).flat_map(below).chain([0]).collect();
    let mut ends: Vec<u64> = firsts.iter().flat_map(|first| steps.iter().map(move |step| (first + step) % NEVER)).collect();
    ends.push(NEVER);
    ends.sort_unstable();
    let starts = std::iter::once(0).chain(ends.iter().copied());
    let each = starts.zip(&ends).filter(|(start, end)| start < end);
    each.map(|(start, end)| (start + (end - start).div_ceil(2), share(NEVER - (end - start)))).collect()
}

/// Traces of 1 to 70 spans, of 100 bytes each and a little.
fn traces(random: &mut Random) -> Vec<TraceFacts> {
    let sizes = [1, 50, 2, 3, 20, 5, 34, 8, 70];
    let facts = |(number, spans): (u64, u64)| {
        let size = TraceSize { groups_bytes: 100 * spans, whole_bytes: 100 * spans + number };
        let bits = number % 4;
        TraceFacts {
            bits,
            spans,
            size,
            start_nanos: 1,
            end_nanos: 2,
            randomness: Some(random.next() >> 8),
            ..TraceFacts::default()
        }
    };
    (0..).zip(sizes).map(facts).collect()
}

fn decide(rules: &crate::Rules, window: Window, traces: &[TraceFacts], place: usize) -> Decision {
    let id = |number: usize| TraceId([u8::try_from(number).unwrap() + 1; 16]);
    let mut admission = Admission::new(rules.sampler.as_ref(), window);
    traces.iter().enumerate().for_each(|(number, facts)| admission.offer(&id(number), std::slice::from_ref(facts)));
    rules.decide_in_window(&id(place), std::slice::from_ref(&traces[place]), &admission.finish())
}

/// What a trace weighs on average over its own randomness, among these others: exactly, since its fate changes only where it
/// passes one of them.
fn weight_over_randomness(rules: &crate::Rules, window: Window, traces: &mut [TraceFacts], place: usize) -> f64 {
    let own = traces[place].randomness;
    let mut ends: Vec<u64> = traces.iter().filter_map(|facts| facts.randomness).filter(|known| Some(*known) != own).collect();
    ends.push(NEVER - 1);
    ends.sort_unstable();
    let (mut start, mut sum) = (0, 0.0);
    for end in ends {
        traces[place].randomness = Some(start + (end - start) / 2);
        let decision = decide(rules, window, traces, place);
        if decision.verdict == Verdict::Kept {
            sum += decision.weight * share(NEVER - (end - start));
        }
        start = end;
    }
    traces[place].randomness = own;
    sum
}

fn spans(name: &str, rate: u32) -> String {
    format!("{{name: {name}, type: rate_limiting, rate_limiting: {{spans_per_second: {rate}, burst_capacity: {rate}}}}}")
}

fn bytes(rate: u32) -> String {
    format!("{{name: b, type: bytes_limiting, bytes_limiting: {{bytes_per_second: {rate}, burst_capacity: {rate}}}}}")
}

/// Sub-policies: errors, traces of at least three spans, all.
fn composite(total: u32, shares: [u32; 3], own: &str) -> String {
    let [one, two, three] = shares;
    format!(
        "{{name: c, type: composite, composite: {{max_total_spans_per_second: {total}, policy_order: [e, large, rest], {own} \
         rate_allocation: [{{policy: e, percent: {one}}}, {{policy: large, percent: {two}}}, {{policy: rest, percent: {three}}}], \
         composite_sub_policy: [{ERRORS}, {{name: large, type: span_count, span_count: {{min_spans: 3}}}}, \
         {{name: rest, type: always_sample}}]}}}}"
    )
}

fn cases() -> Vec<(&'static str, String)> {
    let both = format!("{{name: both, type: and, and: {{and_sub_policy: [{}, {}]}}}}", spans("r", 60), bytes(5200));
    let within = format!(
        "{{name: w, type: composite, composite: {{max_total_spans_per_second: 60, policy_order: [l, rest], composite_sub_policy: \
         [{{name: l, type: and, and: {{and_sub_policy: [{ERRORS}, {}]}}}}, {{name: rest, type: always_sample}}]}}}}",
        spans("r", 52)
    );
    vec![
        ("spans", list(&[&spans("r", 60)])),
        ("bytes", list(&[&bytes(6000)])),
        ("errors beside a limit", list(&[ERRORS, &spans("r", 60)])),
        ("two limits", list(&[&spans("r", 60), &bytes(5100)])),
        ("the smaller limit first", list(&[&spans("s", 6), &spans("r", 60)])),
        ("two limits in and", list(&[&both])),
        ("and, and a limit", list(&[&both, &spans("s", 20)])),
        ("composite", list(&[&composite(100, [60, 20, 20], "")])),
        ("composite that fills", list(&[&composite(100, [60, 20, 20], "fill_remaining: true,")])),
        ("composite of more than its total", list(&[&composite(60, [90, 90, 90], "")])),
        ("composite beside a limit", list(&[&composite(100, [60, 20, 20], "fill_remaining: true,"), &spans("r", 30)])),
        ("a limit within composite", list(&[&within])),
    ]
}

#[test]
fn over_all_coins_and_its_own_randomness_every_trace_weighs_one() {
    let mut random = Random(9);
    for (name, policies) in cases() {
        let rules = rules(&policies, "");
        let mut traces = traces(&mut random);
        for buckets in [2, 200, 1024, BUCKETS] {
            let window = Window::new(0, 1000, BucketRange { first: 0, last: buckets - 1 });
            let coins = coins(&rules, window, buckets);
            for place in 0..traces.len() {
                let alone = decide(&rules, Window::new(0, 1000, BucketRange::ALL), &traces[place..=place], 0);
                let (mut sum, mut each) = (0.0, None);
                for (coin, part) in &coins {
                    let weight = weight_over_randomness(&rules, window.with_coin(*coin), &mut traces, place);
                    sum += weight * part;
                    // Whatever the coin, if it may be kept at all it stands for the same.
                    if weight > 0.0 {
                        let known = *each.get_or_insert(weight);
                        assert!((weight / known - 1.0).abs() < 1e-6, "{name}, {buckets}: {weight}, {known} of trace {place}");
                    }
                }
                // What allocations leave may be nothing among others.
                let may_be_kept = alone.verdict == Verdict::Kept && !(policies.contains("fill") && each.is_none());
                assert!((sum - f64::from(u8::from(may_be_kept))).abs() < 0.1, "{name}, {buckets}: {sum} of trace {place}");
            }
        }
    }
}

#[test]
fn over_windows_and_shards_limits_let_in_their_rate_however_large_traces_are() {
    // Spans a second. Nothing is told of what errors take, and of allocations of more than there is.
    let rates =
        [Some(60), Some(60), None, Some(111), Some(66), Some(52), Some(72), Some(100), Some(100), None, Some(130), Some(60)];
    let windows = 250;
    let id = |place: usize| TraceId([u8::try_from(place).unwrap() + 1; 16]);
    for ((name, policies), rate) in cases().into_iter().zip(rates) {
        let rules = rules(&policies, "");
        let mut random = Random(3);
        let mut taken = 0;
        for (window, shard) in (0..windows).flat_map(|window| BucketRange::even(64).into_iter().map(move |shard| (window, shard)))
        {
            let traces = traces(&mut random);
            let mut admission = rules.admission(window * 1000, 1000, shard);
            traces.iter().enumerate().for_each(|(place, facts)| admission.offer(&id(place), std::slice::from_ref(facts)));
            let admitted = admission.finish();
            let decide = |place, facts| rules.decide_in_window(&id(place), std::slice::from_ref(facts), &admitted);
            let kept = traces.iter().enumerate().filter(|(place, facts)| decide(*place, *facts).verdict == Verdict::Kept);
            taken += kept.map(|(_, facts)| i64::try_from(facts.spans).unwrap()).sum::<i64>();
        }
        if let Some(rate) = rate {
            let error = (taken - rate * windows).abs() * 100 / (rate * windows);
            assert!(error <= 6, "{name}: {taken} of {rate} a window");
        }
    }
}

#[test]
fn what_took_luck_with_a_limit_counts_head_sampling_and_states_no_threshold() {
    let rules = rules(&list(&[&spans("r", 4)]), "spanlake: {sampling: {probabilistic_mode: consistent}}\n");
    let window = Window::new(0, 1000, BucketRange { first: 0, last: BUCKETS / 8 - 1 });
    let facts = TraceFacts { spans: 2, randomness: Some(NEVER - 1), ..TraceFacts::default() };
    let decide = |coin| decide(&rules, window.with_coin(coin), &[facts], 0);
    assert_eq!(decide(NEVER / 4 + 1).verdict, Verdict::SampledOut, "half a span is a fourth of two");
    let kept = decide(NEVER / 4);
    assert_eq!((kept.weight.to_bits(), kept.threshold), (4_f64.to_bits(), Some(0)));
    assert_eq!(span_weight(kept.weight, kept.threshold, Some(NEVER / 2)).to_bits(), 8_f64.to_bits());
    assert_eq!(rules.outgoing_tracestate(kept.weight, kept.threshold, ""), None);
    assert_eq!(rules.outgoing_tracestate(kept.weight, kept.threshold, "ot=th:8;k:v").as_deref(), Some("ot=k:v"));
}
