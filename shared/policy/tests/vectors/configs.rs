use spanlake_policy::{DEFAULT_CONFIG, Severity, render};

use crate::harness::{configuration, lines, path, read};

fn block(config: &str) -> String {
    let body = config.split_once('\n').map_or("", |(_, body)| body);
    body.lines().map(|line| line.strip_prefix("  ").unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_the_reference_refuses_is_refused_with_a_line() {
    for case in lines("tail-sampling/configs-refused.jsonl") {
        let text = configuration("tail_sampling", &block(case["config"].as_str().unwrap()), &["traces"], "on");
        let loaded = read(&text);
        assert!(loaded.rules.is_none(), "{} loads:\n{text}", case["name"]);
        let errors: Vec<_> = loaded.findings.iter().filter(|finding| finding.severity == Severity::Error).collect();
        assert!(errors.iter().all(|error| error.line.is_some()), "{}: {errors:?}", case["name"]);
    }
}

#[test]
fn odd_configurations_load_unless_something_in_them_is_not_supported_yet() {
    for case in lines("tail-sampling/configs-accepted.jsonl") {
        let config = case["config"].as_str().unwrap();
        let text = if config.contains('{') && !config.contains('\n') {
            format!("processors:\n  {config}\n")
        } else {
            let whole: String = config.lines().map(|line| format!("  {line}\n")).collect();
            format!("processors:\n{whole}service:\n  pipelines:\n    traces:\n      processors: [tail_sampling]\n")
        };
        let loaded = read(&text);
        let report = render(&loaded, "config.yaml");
        let says = case["spanlake"].as_str().unwrap_or_default();
        let refused = loaded.rules.is_none();
        if says.starts_with("refuse") {
            assert!(refused, "{}", case["name"]);
        } else if !report.contains("not supported yet") {
            assert!(!refused, "{}: {report}", case["name"]);
            if says.starts_with("warn") {
                assert!(
                    loaded.findings.iter().any(|finding| finding.severity == Severity::Warning),
                    "{}: {report}",
                    case["name"]
                );
            }
        }
    }
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
