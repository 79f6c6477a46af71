use spanlake_model::{BucketRange, TraceId};

use super::super::super::{Admitted, Decision, Verdict, Vote};
use super::super::super::{TraceFacts, TraceSize};
use super::*;
use crate::rules::Rules;

/// Its hash with the salt `s` lies at 84.8 %, its randomness at 50 %.
const ID: TraceId = TraceId([1, 2, 3, 4, 5, 6, 7, 8, 9, 0x80, 0, 0, 0, 0, 0, 0]);

fn rules(policies: &[&str], own: &str) -> Rules {
    let listed: String = policies.iter().flat_map(|policy| ["      - ", policy, "\n"]).collect();
    let text = format!(
        "processors:\n  tail_sampling:\n    policies:\n{listed}service: {{pipelines: {{traces: {{processors: [tail_sampling]}}}}}}\n{own}"
    );
    let loaded = crate::load(&text, &|_| None);
    loaded.rules.unwrap_or_else(|| panic!("{:?}\n{text}", loaded.findings))
}

fn facts(bits: u64, ms: u64, spans: u64) -> TraceFacts {
    TraceFacts { bits, spans, start_nanos: 1, end_nanos: 1 + ms * 1_000_000 + 999_999, ..TraceFacts::default() }
}

fn votes(rules: &Rules, decision: &Decision) -> Vec<(String, String)> {
    rules.votes_text(decision).into_iter().map(|(policy, vote)| (policy.to_owned(), vote.to_owned())).collect()
}

fn deciding(rules: &Rules, decision: &Decision) -> String {
    match rules.sub_policy_name(decision) {
        _ if decision.is_too_large => TOO_LARGE.to_owned(),
        "" => rules.policy_name(decision.policy).to_owned(),
        sub => format!("{}/{sub}", rules.policy_name(decision.policy)),
    }
}

/// Decides a trace among others and explains each vote: `vote: explanation`.
fn explained(rules: &Rules, facts: &TraceFacts, others: &[(TraceId, TraceFacts)]) -> Vec<String> {
    let mut admission = rules.admission(0, 10_000, BucketRange::ALL);
    for (id, facts) in others {
        admission.offer(id, &[*facts]);
    }
    admission.offer(&ID, &[*facts]);
    let admitted = admission.finish();
    let decision = rules.decide_in_window(&ID, &[*facts], &admitted);
    let measures = rules.measures(&ID, &[*facts], &admitted);
    let votes = votes(rules, &decision);
    let asked = rules.asked(&admitted);
    let found = explanations(&asked, &votes, &deciding(rules, &decision), &ID, &measures);
    let vote = |name: &str| votes.iter().find(|(of, _)| of == name).map_or("", |(_, vote)| vote.as_str());
    found.into_iter().map(|(name, text)| format!("{}: {text}", vote(name))).collect()
}

#[test]
fn each_policy_type_names_the_value_that_decided_and_its_bound() {
    let error = "{name: p, type: status_code, status_code: {status_codes: [ERROR]}}";
    let slow = "{name: p, type: latency, latency: {threshold_ms: 1000}}";
    let band = "{name: p, type: latency, latency: {threshold_ms: 1000, upper_threshold_ms: 5000}}";
    let count = "{name: p, type: span_count, span_count: {min_spans: 5}}";
    let between = "{name: p, type: span_count, span_count: {min_spans: 2, max_spans: 10}}";
    let route = "{name: p, type: string_attribute, string_attribute: {key: http.route, values: [/a, /b]}}";
    let regex =
        "{name: p, type: string_attribute, string_attribute: {key: url, values: [\"^/pay\"], enabled_regex_matching: true}}";
    let number = "{name: p, type: numeric_attribute, numeric_attribute: {key: n, min_value: 5, max_value: 9}}";
    let least = "{name: p, type: numeric_attribute, numeric_attribute: {key: n, min_value: 5, invert_match: true}}";
    let truth = "{name: p, type: boolean_attribute, boolean_attribute: {key: vip, value: true}}";
    let state = "{name: p, type: trace_state, trace_state: {key: tenant, values: [gold]}}";
    let ottl = "{name: p, type: ottl_condition, ottl_condition: {error_mode: propagate, span: ['name == \"x\"'], spanevent: ['name == \"e\"']}}";
    let chance = |percent: &str| {
        format!("{{name: p, type: probabilistic, probabilistic: {{sampling_percentage: {percent}, hash_salt: s}}}}")
    };
    let and = format!(
        "{{name: a, type: and, and: {{and_sub_policy: [{}, {}]}}}}",
        slow.replace(": p,", ": slow,"),
        count.replace(": p,", ": big,")
    );
    let not = format!("{{name: n, type: not, not: {{not_sub_policy: {}}}}}", slow.replace(": p,", ": slow,"));
    let drop = format!("{{name: d, type: drop, drop: {{drop_sub_policy: [{}]}}}}", route.replace(": p,", ": health,"));
    let errors = TraceFacts { errors: 2, ..facts(1, 0, 13) };
    let cases: [(&str, TraceFacts, &str); 31] = [
        ("{name: p, type: always_sample}", facts(0, 0, 1), "sampled: every trace"),
        (error, errors, "sampled: 2 of 13 spans have status ERROR"),
        (error, TraceFacts { errors: 1, ..errors }, "sampled: 1 of 13 spans has status ERROR"),
        (error, facts(0, 0, 13), "not_sampled: no span has status ERROR"),
        (slow, facts(0, 1432, 1), "sampled: 1,432 ms, above 1,000 ms"),
        (slow, facts(0, 1000, 1), "not_sampled: 1,000 ms, not above 1,000 ms"),
        (
            slow,
            TraceFacts { spans: 1, ..TraceFacts::default() },
            "not_sampled: no times are set, which counts as 0 ms, not above 1,000 ms",
        ),
        (band, facts(0, 5000, 1), "sampled: 5,000 ms, above 1,000 ms and at most 5,000 ms"),
        (band, facts(0, 5001, 1), "not_sampled: 5,001 ms, above the upper bound of 5,000 ms"),
        (count, facts(0, 0, 3), "not_sampled: 3 spans, below 5"),
        (count, facts(0, 0, 1), "not_sampled: 1 span, below 5"),
        (count, facts(0, 0, 5), "sampled: 5 spans, at least 5"),
        (between, facts(0, 0, 12), "not_sampled: 12 spans, above 10"),
        (between, facts(0, 0, 10), "sampled: 10 spans, from 2 to 10"),
        (route, facts(0, 0, 1), "not_sampled: no span has `http.route` = \"/a\" or \"/b\", on itself or its resource"),
        (regex, facts(1, 0, 1), "sampled: a span has `url` that matches \"^/pay\", on itself or its resource"),
        (number, facts(1, 0, 1), "sampled: a span has `n` from 5 to 9, on itself or its resource"),
        (least, facts(1, 0, 1), "not_sampled: a span has `n` of at least 5, on itself or its resource; the match is inverted"),
        (truth, facts(1, 0, 1), "sampled: a span has `vip` = true, on itself or its resource"),
        (state, facts(0, 0, 1), "not_sampled: no span has a tracestate with `tenant` = \"gold\""),
        ("{name: p, type: trace_flags}", facts(1, 0, 1), "sampled: a span has the trace flag `sampled`"),
        (ottl, facts(1, 0, 1), "sampled: a span meets `name == \"x\"` or `name == \"e\"` on an event"),
        (ottl, facts(0, 0, 1), "not_sampled: no span meets `name == \"x\"` or `name == \"e\"` on an event"),
        (
            ottl,
            facts(2, 0, 1),
            "error: it could not be worked out on a span whether it meets `name == \"x\"` or `name == \"e\"` on an event",
        ),
        (&chance("90"), facts(0, 0, 1), "sampled: its hash lies at 84.762 %, within 90 %"),
        (&chance("0.1"), facts(0, 0, 1), "not_sampled: its hash lies at 84.762 %, beyond 0.1 %"),
        (&and, facts(0, 1500, 7), "sampled: slow: 1,500 ms, above 1,000 ms; big: 7 spans, at least 5"),
        (&and, facts(0, 1500, 3), "not_sampled: big: 3 spans, below 5"),
        (&not, facts(0, 1500, 3), "not_sampled: not slow: 1,500 ms, above 1,000 ms"),
        (&drop, facts(1, 0, 3), "dropped: health: a span has `http.route` = \"/a\" or \"/b\", on itself or its resource"),
        (&drop, facts(0, 0, 3), "not_sampled: health: no span has `http.route` = \"/a\" or \"/b\", on itself or its resource"),
    ];
    for (policy, facts, wanted) in cases {
        assert_eq!(explained(&rules(&[policy], ""), &facts, &[]), [wanted], "{policy}");
    }
}

#[test]
fn other_readings_of_a_policy_are_told_as_such() {
    let chance = "{name: p, type: probabilistic, probabilistic: {sampling_percentage: 60}}";
    let consistent = rules(&[chance], "spanlake: {sampling: {probabilistic_mode: consistent}}\n");
    assert_eq!(explained(&consistent, &facts(0, 0, 1), &[]), ["sampled: its randomness lies at 50.000 %, within 60 %"]);
    let stated = TraceFacts { randomness: Some(1 << 54), ..facts(0, 0, 1) };
    assert_eq!(explained(&consistent, &stated, &[]), ["not_sampled: its randomness lies at 75.000 %, beyond 60 %"]);
    let slow = "{name: p, type: latency, latency: {threshold_ms: 1000}}";
    let inclusive = rules(&[slow], "spanlake: {compat: {latency: inclusive}}\n");
    assert_eq!(explained(&inclusive, &facts(0, 1000, 1), &[]), ["sampled: 1,000 ms, at least 1,000 ms"]);
    assert_eq!(explained(&inclusive, &facts(0, 999, 1), &[]), ["not_sampled: 999 ms, below 1,000 ms"]);
}

/// Traces of so many spans each, whose randomness is above that of [`ID`] or below.
fn others(above: u8, below: u8, spans: u64) -> Vec<(TraceId, TraceFacts)> {
    let id = |first: u8, last: u8| TraceId([0, 0, 0, 0, 0, 0, 0, 0, 0, first, 0, 0, 0, 0, 0, last]);
    let above = (0..above).map(|number| id(0xff - number, 1));
    above.chain((0..below).map(|number| id(0x10 + number, 1))).map(|id| (id, facts(0, 0, spans))).collect()
}

#[test]
fn a_limit_names_the_room_of_the_window_and_the_traces_rank() {
    let limit = rules(&["{name: r, type: rate_limiting, rate_limiting: {spans_per_second: 2, burst_capacity: 6}}"], "");
    let trace = facts(0, 0, 3);
    let cases = [
        (trace, others(0, 0, 1), "sampled: there was room: 2 spans/s, and the window's 20 spans were not used up"),
        (
            trace,
            others(3, 9, 3),
            "sampled: there was room: 2 spans/s, the window's 20 spans went to ranks up to 91.406 %, and it ranks at 50.000 %",
        ),
        (
            trace,
            others(9, 0, 3),
            "not_sampled: no room: 2 spans/s, the window's 20 spans went to ranks up to 2.734 %, and it ranks at 50.000 %",
        ),
        (facts(0, 0, 7), others(0, 0, 1), "not_sampled: no room: 2 spans/s, and its 7 spans are more than the 6 that are let in"),
    ];
    for (facts, others, wanted) in cases {
        assert_eq!(explained(&limit, &facts, &others), [wanted]);
    }
    let bytes = rules(&["{name: b, type: bytes_limiting, bytes_limiting: {bytes_per_second: 1000, burst_capacity: 900}}"], "");
    let large = TraceFacts { size: TraceSize { groups_bytes: 1, whole_bytes: 1432 }, ..trace };
    let wanted = "not_sampled: no room: 1,000 bytes/s, and its 1,432 bytes are more than the 900 that are let in";
    assert_eq!(explained(&bytes, &large, &[]), [wanted]);
}

#[test]
fn a_composite_names_the_sub_policy_and_what_decided_within_it() {
    let composite = rules(
        &["{name: c, type: composite, composite: {max_total_spans_per_second: 2, policy_order: [slow, rest], \
           rate_allocation: [{policy: slow, percent: 50}, {policy: rest, percent: 50}], composite_sub_policy: [\
           {name: slow, type: latency, latency: {threshold_ms: 1000}}, \
           {name: rest, type: span_count, span_count: {min_spans: 2}}]}}"],
        "",
    );
    let room = "there was room for it";
    let cases = [
        (facts(0, 1500, 3), others(0, 0, 1), format!("sampled: slow: 1,500 ms, above 1,000 ms; {room}")),
        (facts(0, 10, 3), others(0, 0, 1), format!("sampled: rest: 3 spans, at least 2; {room}")),
        (facts(0, 10, 1), others(0, 0, 1), "not_sampled: slow: 10 ms, not above 1,000 ms; rest: 1 span, below 2".to_owned()),
        (
            facts(0, 10, 3),
            others(9, 0, 3),
            "not_sampled: rest: 3 spans, at least 2; no room: 1 spans/s, the window's 10 spans went to ranks up to 1.562 %, and it \
             ranks at 50.000 %"
                .to_owned(),
        ),
    ];
    for (facts, others, wanted) in cases {
        assert_eq!(explained(&composite, &facts, &others), [wanted]);
    }
}

#[test]
fn a_trace_beyond_the_largest_size_is_told_its_size() {
    let text = "processors: {tail_sampling: {maximum_trace_size_bytes: 1000, policies: [{name: a, type: always_sample}]}}\n\
                service: {pipelines: {traces: {processors: [tail_sampling]}}}\n";
    let rules = crate::load(text, &|_| None).rules.unwrap();
    let large = TraceFacts { size: TraceSize { groups_bytes: 1432, whole_bytes: 1440 }, ..facts(0, 0, 3) };
    assert_eq!(explained(&rules, &large, &[]), [": 1,432 bytes, beyond 1,000"]);
    assert_eq!(explained(&rules, &facts(0, 0, 3), &[]), ["sampled: every trace"]);
}

#[test]
fn what_looks_like_a_secret_in_the_configuration_is_not_shown() {
    let policies = [
        "{name: a, type: string_attribute, string_attribute: {key: db.password, values: [hunter2]}}",
        "{name: b, type: string_attribute, string_attribute: {key: payment, values: [\"4012888888881881\"]}}",
        "{name: c, type: ottl_condition, ottl_condition: {span: ['attributes[\"url\"] == \"https://u:pw@h/\"']}}",
        "{name: d, type: numeric_attribute, numeric_attribute: {key: card.cvv, min_value: 4711, max_value: 4711}}",
        "{name: e, type: ottl_condition, ottl_condition: {span: ['IsMatch(attributes[\"db.password\"], \"^hunter2$\")']}}",
    ];
    let texts = explained(&rules(&policies, ""), &facts(31, 0, 1), &[]).join("\n");
    for secret in ["hunter2", "4012888888881881", ":pw@", "4711"] {
        assert!(!texts.contains(secret), "{texts}");
    }
    assert_eq!(texts.matches("****").count(), 3, "{texts}");
}

/// That a span had the one value that is asked for tells the value, which a processor may take away.
#[test]
fn where_processors_redact_configured_values_are_not_told() {
    let policies = "[{name: a, type: string_attribute, string_attribute: {key: tenant, values: [gold]}}, \
        {name: b, type: string_attribute, string_attribute: {key: tenant, values: [gold, silver]}}, \
        {name: c, type: string_attribute, string_attribute: {key: tenant, values: [gold.*], enabled_regex_matching: true}}, \
        {name: d, type: numeric_attribute, numeric_attribute: {key: n, min_value: 4711, max_value: 4711}}, \
        {name: e, type: trace_state, trace_state: {key: tenant, values: [gold]}}, \
        {name: f, type: ottl_condition, ottl_condition: {span: ['attributes[\"tenant\"] == \"go\\\"ld\" or attributes[\"n\"] == 4711']}}]";
    let processors = [
        ("redaction: {allow_all_keys: true, blocked_values: [gold]}", false),
        ("attributes: {actions: [{key: tenant, value: none, action: update}]}", false),
        ("attributes: {actions: [{key: team, value: shop, action: insert}]}", true),
        ("batch: {}", true),
    ];
    for (processor, shows) in processors {
        let name = processor.split(':').next().unwrap();
        let text = format!(
            "processors:\n  tail_sampling: {{policies: {policies}}}\n  {processor}\n\
             service: {{pipelines: {{traces: {{processors: [tail_sampling, {name}]}}}}}}\n"
        );
        let loaded = crate::load(&text, &|_| None);
        let rules = loaded.rules.unwrap_or_else(|| panic!("{:?}", loaded.findings));
        let texts = explained(&rules, &facts(0x3f, 0, 1), &[]);
        let all = texts.join("\n");
        assert!(["gold", "silver", "4711", "ld"].iter().all(|value| all.contains(value) == shows), "{all}");
        if !shows {
            let ottl = "sampled: a span meets `attributes[\"tenant\"] == ... or attributes[\"n\"] == ...`";
            assert_eq!(texts[0], "sampled: a span has `tenant` = the configured value, on itself or its resource");
            assert_eq!(texts[5], ottl);
        }
    }
}

#[test]
fn what_came_out_of_a_variable_is_not_told() {
    let text = "processors:\n  tail_sampling: {policies: [{name: a, type: string_attribute, string_attribute: {key: k, values: \
                ['${env:TENANT}']}}]}\nservice: {pipelines: {traces: {processors: [tail_sampling]}}}\n";
    let rules = crate::load(text, &|_| Some("gold".to_owned())).rules.unwrap();
    assert_eq!(
        explained(&rules, &facts(0, 0, 1), &[]),
        ["not_sampled: no span has `k` = the configured value, on itself or its resource"]
    );
}

#[test]
fn a_condition_without_literals_keeps_paths_and_names() {
    for (condition, wanted) in [
        (r#"attributes["a"]["b"] == "x y" and IsMatch(name, "^/p\"")"#, r#"attributes["a"]["b"] == ... and IsMatch(name, ...)"#),
        (r#"x == ["gold", "silver"] or span.kind == 3.5"#, "x == [..., ...] or span.kind == ..."),
        (r#"duration_1 > -0x0102 or name == "open"#, "duration_1 > -... or name == ..."),
        ("status.code == STATUS_CODE_ERROR", "status.code == STATUS_CODE_ERROR"),
    ] {
        assert_eq!(without_literals(condition), wanted);
    }
}

#[test]
fn explanations_are_bounded_however_much_is_configured() {
    let values = (0..99).map(|number| format!("\"{}{number}\"", "v".repeat(500))).collect::<Vec<_>>().join(", ");
    let policy = format!("{{name: p, type: string_attribute, string_attribute: {{key: k, values: [{values}]}}}}");
    let text = explained(&rules(&[&policy], ""), &facts(0, 0, 1), &[]).remove(0);
    assert!(text.chars().count() < EXPLANATION_MAX + 20 && text.ends_with("..."), "{text}");
    let many = "{name: p, type: string_attribute, string_attribute: {key: k, values: [a, b, c, d, e, f, g]}}";
    let text = explained(&rules(&[many], ""), &facts(0, 0, 1), &[]).remove(0);
    assert!(text.contains("\"e\" or 2 more"), "{text}");
}

/// What an explanation goes by must come to what the policies voted: all sorts of policies, all sorts of facts.
#[test]
fn an_explanation_never_contradicts_its_vote() {
    let error = "{name: e, type: status_code, status_code: {status_codes: [ERROR]}}";
    let slow = "{name: s, type: latency, latency: {threshold_ms: 2, upper_threshold_ms: 5}}";
    let count = "{name: c, type: span_count, span_count: {min_spans: 2, max_spans: 3}}";
    let chance = "{name: h, type: probabilistic, probabilistic: {sampling_percentage: 40}}";
    let ottl = "{name: o, type: ottl_condition, ottl_condition: {error_mode: propagate, span: ['name == \"x\"']}}";
    let invert = "{name: i, type: string_attribute, string_attribute: {key: k, values: [v], invert_match: true}}";
    let not = format!("{{name: n, type: not, not: {{not_sub_policy: {ottl}}}}}");
    let and = format!("{{name: a, type: and, and: {{and_sub_policy: [{slow}, {not}, {chance}]}}}}");
    let drop = format!("{{name: d, type: drop, drop: {{drop_sub_policy: [{error}, {invert}]}}}}");
    for own in ["", "spanlake: {sampling: {probabilistic_mode: consistent}}\n"] {
        let rules = rules(&[error, slow, count, chance, ottl, invert, &not, &and, &drop], own);
        for number in 0..4096_u64 {
            let facts = facts(number % 128, number % 7, number % 5);
            let id = TraceId((u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)).to_be_bytes());
            let decision = rules.decide_in_window(&id, &[facts], &Admitted::default());
            let measures = rules.measures(&id, &[facts], &Admitted::default());
            let seen = Seen { id: &id, measures: &measures };
            for (place, asked) in rules.asked(&Admitted::default()).iter().enumerate() {
                let Some(vote) = decision.votes.get(place) else { continue };
                let states: Vec<State> = asked.subs[0].parts.iter().map(|part| seen.state(part)).collect();
                let first = states.iter().find(|state| **state != State::Yes);
                let wanted = match vote {
                    Vote::Sampled | Vote::Dropped => None,
                    Vote::Error => Some(&State::Failed),
                    _ => Some(&State::No),
                };
                assert_eq!(first, wanted, "{} {measures:?}", asked.policy);
            }
        }
    }
}

#[test]
fn where_records_are_evaluated_one_by_one_the_deciding_one_is_explained() {
    let text = "processors: {tail_sampling: {sampling_strategy: span-ingest, policies: \
                [{name: c, type: span_count, span_count: {min_spans: 3}}]}}\n\
                service: {pipelines: {traces: {processors: [tail_sampling]}}}\n";
    let rules = crate::load(text, &|_| None).rules.unwrap();
    let records = [facts(0, 0, 2), facts(0, 0, 2), facts(0, 0, 9)];
    let admitted = Admitted::default();
    assert_eq!(rules.decide_in_window(&ID, &records, &admitted).verdict, Verdict::Kept);
    assert_eq!(rules.measures(&ID, &records, &admitted).spans, 4);
}
