use super::*;
use crate::Severity;

fn read(text: &str) -> Loaded {
    load(text, &|name| match name {
        "PCT" => Some("25".to_owned()),
        "KEY" => Some("team".to_owned()),
        "LONG" => Some("secretsecretsecretsecretsecretsecret".to_owned()),
        _ => None,
    })
}

fn errors(text: &str) -> Vec<(u32, String)> {
    let findings = read(text).findings.into_iter().filter(|finding| finding.severity == Severity::Error);
    findings.map(|finding| (finding.line.unwrap_or(0), finding.message)).collect()
}

fn policy(body: &str) -> String {
    format!(
        "processors:\n  tail_sampling:\n    policies:\n{body}service:\n  pipelines:\n    traces:\n      processors: [tail_sampling]\n"
    )
}

#[test]
fn all_faults_are_found_at_once_and_each_has_its_line() {
    let text = "exporterz:\nprocessors:\n  tail_sampling:\n    num_tracez: 5\n    policies:\n      - name: a\n        type: latency\n        \
                latency: {threshold_ms: x}\n      - {name: b, type: ottl_condition, ottl_condition: {span: [\"gone.away == 1\"]}}\n  interval: {}\n  mystery: {}\nservice:\n  pipelines:\n    traces:\n      \
                receivers: [otlp]\n      processors: [interval, mystery, tail_sampling, gone]\n    logs:\n      processors: [tail_sampling]\n";
    let found = errors(text);
    for (line, part) in [
        (1, "unknown key `exporterz`"),
        (4, "unknown key `num_tracez`"),
        (8, "expected a whole number, found `x`"),
        (9, "`gone.away` is no path"),
        (10, "the processor interval is not supported yet"),
        (11, "unknown processor type `mystery`"),
        (15, "`otlp` is not defined"),
        (16, "`gone` is not defined"),
        (18, "tail_sampling does not work on logs"),
    ] {
        assert!(found.iter().any(|(at, message)| *at == line && message.contains(part)), "{line} {part}: {found:#?}");
    }
    assert!(read(text).rules.is_none());
}

#[test]
fn variables_are_expanded_and_take_the_type_of_their_text() {
    let body = "      - {name: a, type: probabilistic, probabilistic: {sampling_percentage: \"${env:PCT}\", hash_salt: \"${X:-salt}$$1\"}}\n      \
                - {name: b, type: string_attribute, string_attribute: {key: \"${KEY}.name\", values: [x]}}\n";
    let rules = read(&policy(body)).rules.unwrap();
    let text = format!("{rules:?}");
    assert!(text.contains("ratio: 0.25") && text.contains("key: \"team.name\""), "{text}");
    assert_eq!(errors("processors:\n  transform:\n    error_mode: ${1}\n").first().unwrap().0, 3);
}

#[test]
fn the_version_follows_what_is_written_and_not_its_layout() {
    let version = |body: &str| read(&policy(body)).rules.unwrap().version().to_owned();
    let one = version("      - {name: a, type: latency, latency: {threshold_ms: 5}}\n");
    assert_eq!(
        one,
        version("      # a comment\n      - name: a\n        type: latency\n        latency:\n          threshold_ms: 5\n")
    );
    assert_ne!(one, version("      - {name: a, type: latency, latency: {threshold_ms: 6}}\n"));
    assert_eq!(one.len(), 16);
    assert!(one.bytes().all(|byte| byte.is_ascii_hexdigit()));
}

#[test]
fn a_later_program_gives_a_text_the_same_version() {
    // Traces under way name the version of the rules that they began with; a program that computes another one finds no rules
    // for them, and their shards stand still. So these never change.
    let version = |text: &str| load(text, &|_| None).rules.unwrap().version().to_owned();
    let golden = "processors:\n  tail_sampling:\n    decision_wait: 5s\n    policies:\n      - {name: a, type: always_sample}\n\
                  service: {pipelines: {traces: {processors: [tail_sampling]}}}\nspanlake: {builtin_redaction: \"on\"}\n";
    assert_eq!(version(golden), "1e02fab2ad3745f2");
    assert_eq!(
        version(&format!("exporters: {{debug: {{}}}}\n{golden}")),
        "1e02fab2ad3745f2",
        "what no rule is made of has no part in it"
    );
}

#[test]
fn the_own_section_is_strict() {
    for (text, part) in [
        ("spanlake:\n  window: 7s\n", "divide an hour"),
        ("spanlake:\n  builtin_redaction: maybe\n", "expected on or off"),
        ("spanlake:\n  compat: {invert_decisions: yes}\n", "expected true or false"),
        ("spanlake:\n  sampling: {probabilistic_mode: fair}\n", "expected hash, consistent or usetracestate"),
        ("spanlake:\n  limits: {attributes: 3}\n", "unknown key"),
        ("spanlake:\n  limits: {attributes_per_item: 0}\n", "at least 1"),
    ] {
        let found = errors(text);
        assert!(found.iter().any(|(line, message)| *line == 2 && message.contains(part)), "{text} {found:?}");
    }
    let rules = read("spanlake: {window: 30s, late_horizon: 1m}\n").rules.unwrap();
    assert_eq!((rules.window_ms(), rules.late_horizon_ms()), (30_000, 60_000));
}

const KEYED: &str = "spanlake:\n  builtin_redaction:\n    emails: true\n    hash: hmac-sha256\n    hmac_key: ";

fn warnings(text: &str) -> Vec<(u32, String)> {
    let findings = read(text).findings.into_iter().filter(|finding| finding.severity == Severity::Warning);
    findings.map(|finding| (finding.line.unwrap_or(0), finding.message)).collect()
}

#[test]
fn the_built_in_masking_takes_a_switch_or_a_map_and_says_what_is_wrong_with_it() {
    for (text, line, part) in [
        ("spanlake:\n  builtin_redaction: {enabled: maybe}\n".to_owned(), 2, "expected true or false"),
        ("spanlake:\n  builtin_redaction: {hash: md5}\n".to_owned(), 2, "expected hmac-sha256"),
        ("spanlake:\n  builtin_redaction: {hashes: a}\n".to_owned(), 2, "unknown key `hashes`"),
        ("spanlake:\n  builtin_redaction: {hash: hmac-sha256}\n".to_owned(), 2, "a key of at least 32 bytes"),
        (format!("{KEYED}{}\n", "k".repeat(31)), 5, "a key of at least 32 bytes"),
        (format!("{KEYED}${{env:UNSET}}\n"), 5, "is the variable set?"),
        (format!("{KEYED}{{a: b}}\n"), 5, "expected a text"),
        ("spanlake:\n  builtin_redaction:\n    hmac_key: ${env:LONG}\n".to_owned(), 3, "a key without a hash does nothing"),
    ] {
        let found = errors(&text);
        assert!(found.iter().any(|(at, message)| *at == line && message.contains(part)), "{text} {found:?}");
    }
    for (text, line, part) in [
        ("spanlake:\n  builtin_redaction: {enabled: false, emails: true}\n", 2, "the built-in masking is off"),
        ("spanlake:\n  builtin_redaction: {enabled: true}\n", 2, "e-mail addresses are stored as they are"),
    ] {
        let found = warnings(text);
        assert!(
            read(text).rules.is_some() && found.iter().any(|(at, message)| *at == line && message.contains(part)),
            "{found:?}"
        );
    }
}

#[test]
fn a_key_that_stands_in_the_file_is_warned_of_and_one_from_a_variable_is_not() {
    let warned = |text: &str| warnings(text).iter().any(|(line, message)| *line == 5 && message.contains("stands in the file"));
    for written in ["0123456789abcdef0123456789abcdef", "x${env:LONG}", "${env:UNSET:-0123456789abcdef0123456789abcdef}"] {
        let text = format!("{KEYED}{written}\n");
        assert!(read(&text).rules.is_some() && warned(&text), "{written}");
    }
    let text = format!("{KEYED}${{env:LONG}}\n");
    assert!(read(&text).rules.is_some() && !warned(&text));
    assert!(render(&read(&text), "c").contains("built-in masking (keyed digests)"));
}

#[test]
fn nothing_of_a_key_is_said_by_any_message_nor_by_the_rules_themselves() {
    let keys = [
        "hunter2hunter2hunter2hunter2hunter2",
        "hunter2",
        "\"17hunter2",
        "{hunter2: x}",
        "[hunter2]",
        "x${hunter2",
        "${hunter2-x}",
    ];
    for key in keys.into_iter().map(str::to_owned).chain(["${env:LONG}".to_owned(), "7".repeat(40)]) {
        let loaded = read(&format!("{KEYED}{key}\n"));
        let said = format!("{:?} {} {:?}", loaded.findings, render(&loaded, "c"), loaded.rules);
        let said = said.replace("unknown key `hunter2`", "");
        assert!(!said.contains("hunter2") && !said.contains("secretsecret") && !said.contains("77777"), "{key}: {said}");
    }
}

#[test]
fn policies_that_have_no_meaning_here_are_refused_and_strange_ones_are_named() {
    let limit = "{name: r, type: rate_limiting, rate_limiting: {spans_per_second: 5}}";
    let chance = |number: usize| {
        format!(
            "{{name: c{number}, type: probabilistic, probabilistic: {{hash_salt: s{}, sampling_percentage: {number}}}}}",
            number % 8
        )
    };
    let list = |policies: &[String]| policies.iter().map(|policy| format!("      - {policy}\n")).collect::<Vec<_>>().concat();
    let many: Vec<String> = (1..33).map(chance).collect();
    for (policies, part) in [
        (vec![format!("{{name: n, type: not, not: {{not_sub_policy: {limit}}}}}")], "within not or drop is refused"),
        (vec![format!("{{name: d, type: drop, drop: {{drop_sub_policy: [{limit}]}}}}")], "within not or drop is refused"),
        (many, "more than 4096 combinations"),
        ((0..9).map(|number| chance(number).replace("hash_salt: s", "hash_salt: t9")).collect(), ""),
        ((0..33).map(|number| limit.replace("name: r", &format!("name: r{number}"))).collect(), "with a limit"),
    ] {
        let found = errors(&policy(&list(&policies)));
        assert_eq!(found.is_empty(), part.is_empty(), "{found:?}");
        assert!(found.iter().all(|(line, message)| *line > 0 && message.contains(part)), "{found:?}");
    }
    let ingest = policy(&list(&["{name: d, type: drop, drop: {drop_sub_policy: [{name: a, type: always_sample}]}}".to_owned()]))
        .replace("    policies:", "    sampling_strategy: span-ingest\n    decision_wait_after_root_received: 2s\n    policies:");
    let loaded = read(&ingest);
    assert!(loaded.findings.iter().any(|finding| finding.message.contains("span-ingest keeps nothing")), "{:?}", loaded.findings);
    let rules = loaded.rules.unwrap();
    assert!(rules.evaluates_records() && !rules.has_limits() && !rules.needs_size());
    assert_eq!(rules.decision_wait_after_root_ms(), Some(2000));
}

#[test]
fn a_pattern_is_compiled_once_however_many_read_and_judge_it() {
    let text = r#"processors:
  redaction: {allow_all_keys: true, blocked_values: ["4[0-9]{12}", "AKIA[0-9A-Z]{16}"], blocked_key_patterns: ["(?i)password"]}
  redaction/second: {allow_all_keys: true, blocked_values: ["4[0-9]{12}", "AKIA[0-9A-Z]{16}"], ignored_keys: [a, password]}
  transform: {trace_statements: ['replace_pattern(span.name, "[0-9]+", "N") where IsMatch(span.name, "^/internal")']}
  attributes: {actions: [{pattern: "^card", action: delete}]}
  filter: {traces: {span: ['IsMatch(name, "^/health")']}}
  tail_sampling:
    policies:
      - {name: a, type: string_attribute, string_attribute: {key: k, values: ["^/pay"], enabled_regex_matching: true}}
      - {name: b, type: string_attribute, string_attribute: {key: k, values: ["/pay/1"]}}
service: {pipelines: {traces: {processors: [filter, redaction, redaction/second, attributes, transform, tail_sampling]}}}
"#;
    let mut findings = Findings::default();
    assert!(super::read(text, &|_| None, &mut findings).is_some() && !findings.has_errors());
    assert_eq!(findings.patterns.compiled(), 8 + 1, "eight patterns, and one of the two that are asked together");
    assert!(findings.list.iter().any(|finding| finding.kind == "shadowed-policy"), "the linter asked them as well");
}

#[test]
fn hostile_yaml_is_refused_without_growing() {
    let level = |level: usize| format!("a{}: &a{} [*a{level}, *a{level}, *a{level}, *a{level}]\n", level + 1, level + 1);
    let bomb = std::iter::once("a0: &a0 [x]\n".to_owned()).chain((0..40).map(level)).collect::<Vec<_>>().concat();
    let deep = format!("a: {}", "[".repeat(500));
    for text in
        [bomb.as_str(), &deep, "a: 1\na: 2\n", "a: *b\n", "--- 1\n--- 2\n", "<<: {a: 1}\n", "a: [\n", "? [x]\n: 1\n", "- a\n"]
    {
        assert!(read(text).rules.is_none(), "{text}");
    }
}

#[test]
fn what_is_no_yaml_here_is_told_with_a_remedy_of_its_own() {
    let large = "#".repeat((1 << 20) + 1);
    let deep = format!("a: {}", "[".repeat(500));
    for (text, kind, remedy) in [
        (large.as_str(), "too-large", "make it smaller"),
        (&deep, "too-large", "brackets that are not closed"),
        ("a: 1\na: 2\n", "invalid-yaml", "take one of the two out"),
        ("--- 1\n--- 2\n", "invalid-yaml", "leave one document"),
        ("a: *b\n", "invalid-yaml", "`&name`"),
        ("<<: {a: 1}\n", "invalid-yaml", "write out"),
        ("a: [\n", "invalid-yaml", "never with tabs"),
    ] {
        let findings = read(text).findings;
        let said = findings.first().map(|finding| (finding.kind, finding.remedy.contains(remedy)));
        assert_eq!(said, Some((kind, true)), "{findings:?}");
    }
}

#[test]
fn a_second_pipeline_and_a_name_given_twice_are_told_with_what_to_do() {
    let remedies = |text: &str| read(text).findings.into_iter().map(|finding| finding.remedy).collect::<Vec<_>>().concat();
    let two = "processors: {}\nservice: {pipelines: {traces: {}, traces/b: {}}}\n";
    assert!(remedies(two).contains("merge the two lists"), "{}", remedies(two));
    let twice = policy("      - {name: a, type: always_sample}\n      - {name: a, type: trace_flags}\n");
    assert!(remedies(&twice).contains("each policy a name of its own"), "{}", remedies(&twice));
}

#[test]
fn what_batch_and_memory_limiter_refuse_upstream_is_refused() {
    for text in [
        "processors:\n  batch: {send_batch_size: 10, send_batch_max_size: 5}\n",
        "processors:\n  batch: {send_batch_sizes: 10}\n",
        "processors:\n  memory_limiter: {limit_percentage: 75}\n",
        "processors:\n  memory_limiter: {check_interval: 1s}\n",
        "processors:\n  memory_limiter: {check_interval: 1s, limit_mib: 10, spike_limit_mib: 10}\n",
    ] {
        assert_eq!(errors(text).first().map(|(line, _)| *line), Some(2), "{text}");
    }
}

#[test]
fn a_report_names_line_severity_and_advice() {
    let report = render(&read("spanlake:\n  builtin_redaction: off\n"), "config.yaml");
    assert!(report.starts_with("config.yaml:"), "{report}");
    assert!(report.contains("config.yaml:2: warning: spanlake.builtin_redaction: the built-in masking is off"), "{report}");
    assert!(report.contains("no tail_sampling: every trace is kept"));
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in r#"([a-z]{1,6}: |- |\n|  |[{}\[\],&*!|>'"%@`#~]|tail_sampling:|policies:|processors:|\$\{env:X\}|[0-9]{1,3}s?){0,30}"#) {
        drop(load(&text, &|_| None));
    }
}
