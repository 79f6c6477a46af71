use std::collections::BTreeSet;

use serde_json::Value as Json;
use spanlake_model::{BucketRange, TraceId};
use spanlake_policy::{DEFAULT_CONFIG, Loaded, Rules, Severity, TraceFacts, Verdict, render};

use crate::harness::{configuration, deviations, lines, path, read};
use crate::windows::{arrivals, records};

fn block(config: &str) -> String {
    let body = config.split_once('\n').map_or("", |(_, body)| body);
    body.lines().map(|line| line.strip_prefix("  ").unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_the_reference_refuses_is_refused_with_a_line() {
    let cases = lines("tail-sampling/configs-refused.jsonl");
    assert_eq!(cases.len(), 68);
    for case in cases {
        let text = configuration("tail_sampling", &block(case["config"].as_str().unwrap()), &["traces"], "on");
        let loaded = read(&text);
        assert!(loaded.rules.is_none(), "{} loads:\n{text}", case["name"]);
        let errors: Vec<_> = loaded.findings.iter().filter(|finding| finding.severity == Severity::Error).collect();
        assert!(errors.iter().all(|error| error.line.is_some()), "{}: {errors:?}", case["name"]);
    }
}

/// Which of the probes a configuration keeps, all of them in one window.
fn probed(rules: &Rules) -> Vec<u64> {
    let mut traces = Vec::new();
    for (record, request) in lines("tail-sampling/configs-probe.jsonl").iter().enumerate() {
        let spans = arrivals(rules, request, record, 0).into_iter().map(|span| (0, span)).collect::<Vec<_>>();
        traces.push((spans[0].1.id, records(rules, &spans)));
    }
    let mut admission = rules.admission(0, rules.window_ms(), BucketRange::ALL);
    for (id, facts) in &traces {
        admission.offer(id, facts);
    }
    let admitted = admission.finish();
    let kept = |(id, facts): &(TraceId, Vec<TraceFacts>)| rules.decide_in_window(id, facts, &admitted).verdict == Verdict::Kept;
    (0..).zip(&traces).filter(|(_, trace)| kept(trace)).map(|(number, _)| number).collect()
}

/// What an odd configuration that the reference accepts comes to otherwise here.
fn difference(case: &Json, loaded: &Loaded) -> Option<String> {
    let Some(rules) = &loaded.rules else { return Some("it is refused".to_owned()) };
    if case["crash"].is_string() {
        return Some("it loads, and the reference crashes".to_owned());
    }
    let wanted = case["probe_kept"].as_array()?;
    let wanted: Vec<u64> = wanted.iter().map(|number| number.as_u64().unwrap()).collect();
    let kept = probed(rules);
    (kept != wanted).then(|| format!("{kept:?} are kept, in the reference {wanted:?}"))
}

#[test]
fn odd_configurations_mean_what_they_mean_to_the_reference() {
    let listed = deviations("tail_sampling configurations");
    let cases = lines("tail-sampling/configs-accepted.jsonl");
    assert_eq!(cases.len(), 50);
    for case in &cases {
        let name = case["name"].as_str().unwrap();
        let config = case["config"].as_str().unwrap();
        let text = if config.contains('{') && config.trim_end().lines().count() == 1 {
            format!("processors:\n  {config}\nservice:\n  pipelines:\n    traces:\n      processors: [tail_sampling]\n")
        } else {
            let whole: String = config.lines().map(|line| format!("  {line}\n")).collect();
            format!("processors:\n{whole}service:\n  pipelines:\n    traces:\n      processors: [tail_sampling]\n")
        };
        let loaded = read(&text);
        let report = render(&loaded, "config.yaml");
        let found = difference(case, &loaded);
        assert_eq!(found.is_some(), listed.contains(name), "{name}: {found:?}\n{report}");
        let says = case["spanlake"].as_str().unwrap_or_default();
        assert_eq!(loaded.rules.is_none(), says.starts_with("refuse"), "{name}: {report}");
        let warned = loaded.findings.iter().any(|finding| finding.severity == Severity::Warning);
        assert!(warned || !says.starts_with("warn"), "{name}: {report}");
    }
    let names: BTreeSet<String> = cases.iter().map(|case| case["name"].as_str().unwrap().to_owned()).collect();
    assert!(listed.is_subset(&names), "{listed:?}");
}

#[test]
fn the_built_in_default_has_no_errors_and_no_warnings() {
    let loaded = read(DEFAULT_CONFIG);
    let report = render(&loaded, "default.yaml");
    assert!(loaded.findings.iter().all(|finding| finding.severity == Severity::Note), "{report}");
    assert_eq!(loaded.rules.unwrap().policies().count(), 6);
}

#[test]
fn the_guides_configuration_loads_unchanged_and_its_faults_are_named() {
    let text = std::fs::read_to_string(path("seed-collector-config.yaml")).unwrap();
    let loaded = read(&text);
    let report = render(&loaded, "seed.yaml");
    let rules = loaded.rules.expect(&report);
    let names: Vec<_> = rules.policies().collect();
    assert_eq!(
        names,
        [
            ("errors-policy", "status_code"),
            ("slow-traces", "latency"),
            ("probabilistic-sample", "probabilistic"),
            ("always-sample-payment", "string_attribute")
        ]
    );
    assert_eq!((rules.decision_wait_ms(), rules.window_ms(), rules.late_horizon_ms()), (10_000, 10_000, 600_000));
    for fault in [
        "seed.yaml:59: warning: processors.transform: transform is defined but in no pipeline: nothing is redacted by it",
        "seed.yaml:51: note: processors.k8sattributes.filter.node_from_env_var",
        "seed.yaml:28: note: processors.tail_sampling.num_traces",
        "only the attribute http.url is rewritten",
        "no redaction of your own runs for traces, logs, metrics",
        "the pattern `token=[^&]+` is case-sensitive",
        "OTLP over gRPC is not served",
        "the receiver prometheus does nothing here",
        "exporters do nothing here (otlp/jaeger, prometheus, loki)",
        "batch has no effect here",
        "memory_limiter has no effect here",
        "traces: tail_sampling (4 policies), then built-in masking",
    ] {
        assert!(report.contains(fault), "{fault}\n{report}");
    }
}
