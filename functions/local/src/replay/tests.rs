//! A shop's telemetry through the real use cases into a lake, and rules run on that.

mod rows;
mod staged;
mod world;

use std::collections::BTreeMap;

use serde_json::Value;
use spanlake_model::Signal;
use spanlake_policy::{DEFAULT_CONFIG, Overlay};

use super::scan::Text;
use super::tally::{Counted, Fate, Sum, Taken};
use crate::demo::RULES;
use world::{END_MS, World, config};

/// Policies of every kind: chance with a salt of its own, latency, numbers, texts, spans, a composite of rates.
const VARIED: &str = "
      - {name: many, type: span_count, span_count: {min_spans: 12}}
      - {name: slow, type: latency, latency: {threshold_ms: 700}}
      - {name: found, type: numeric_attribute, numeric_attribute: {key: http.response.status_code, min_value: 404, max_value: 404}}
      - {name: rows, type: numeric_attribute, numeric_attribute: {key: db.response.returned_rows, min_value: 19, max_value: 30}}
      - name: large
        type: ottl_condition
        ottl_condition: {error_mode: ignore, span: ['attributes[\"messaging.message.body.size\"] > 2900']}
      - {name: some, type: probabilistic, probabilistic: {sampling_percentage: 20, hash_salt: other}}
";

/// What errors leave of a rate.
const LIMITED: &str = "
      - {name: errors, type: status_code, status_code: {status_codes: [ERROR]}}
      - {name: rate, type: rate_limiting, rate_limiting: {spans_per_second: 60}}
";

#[test]
fn the_rules_that_decided_change_nothing() {
    for rules in [RULES.to_owned(), DEFAULT_CONFIG.to_owned(), config(VARIED, ""), config(LIMITED, "")] {
        let world = World::new(&rules);
        let findings = world.replay(&rules);
        let tally = &findings.tally;
        assert!(tally.now.traces > 100, "{:?}", tally.now);
        assert_eq!((tally.new, &tally.fates), (tally.now, &BTreeMap::from([(Fate::Kept, tally.now)])));
        assert!(tally.moves.is_empty() && tally.unknown.is_empty(), "{:?} {:?}", tally.moves, tally.unknown);
        assert!(tally.masked().is_empty() && tally.filtered().is_empty(), "{:?} {:?}", tally.masked(), tally.filtered());
        for (name, service) in &tally.services {
            assert_eq!(service.spans, service.new_spans, "{name}");
            assert!(service.records.0.iter().all(|[now, then]| now == then), "{name}");
        }
        for (name, policy) in &tally.policies {
            assert_eq!(policy.old, policy.new, "{name}");
        }
        let volume = super::cost::volume(&findings).unwrap();
        let files = volume.files.unwrap();
        let all = volume.items.0.into_iter().chain([files.bytes, files.storage_usd, files.scan_usd]);
        assert!(all.clone().all(|[now, then]| now > 0.0 && (now - then).abs() <= now * 1e-9), "{volume:?}");
        let text = super::report::text(&findings, &world::rules(&rules), "rules.yaml");
        let (Sum { traces, spans }, no_change) = (tally.now, format!("{:>9}\n", "="));
        assert!(text.contains(&format!("would keep about {traces} traces ({spans} spans); {traces} traces")), "{text}");
        assert_eq!(text.matches(&no_change).count(), 6, "{text}");
        assert_eq!(findings.not_filed, 0);
        assert_eq!(tally.now.spans, world.count("SELECT count(*) FROM spans"));
        assert_eq!(world.count("SELECT count(*) FROM spans WHERE is_late"), 1);
        assert_eq!(tally.now.traces, world.count("SELECT count(*) FROM decisions WHERE verdict = 'kept'"));
    }
}

#[test]
fn what_other_rules_would_have_kept_of_the_lake_is_told_exactly() {
    let before = World::new(RULES);
    for rules in [DEFAULT_CONFIG.to_owned(), config(VARIED, "")] {
        let truth = World::new(&rules);
        let (was, is) = (before.kept(), truth.kept());
        let findings = before.replay(&rules);
        let tally = &findings.tally;
        assert!(tally.unknown.is_empty(), "{:?}", tally.unknown);
        let both: BTreeMap<_, _> = is.iter().filter(|(id, _)| was.contains_key(*id)).collect();
        assert!(!both.is_empty() && both.len() < was.len());
        let mut policies: BTreeMap<String, Sum> = BTreeMap::new();
        for (policy, spans) in both.values() {
            policies.entry(policy.clone()).or_default().add(1, *spans);
        }
        let told = tally.policies.iter().map(|(name, policy)| (name.clone(), policy.new));
        assert_eq!(told.filter(|(_, sum)| sum.traces > 0).collect::<BTreeMap<_, _>>(), policies);
        // What chance has left out is estimated: within a few of its standard errors.
        let (all, told) = (is.len(), tally.estimate.traces);
        assert!((told / f64::from(u32::try_from(all).unwrap()) - 1.0).abs() < 0.35, "{told} of {all}");
    }
}

/// Less than errors alone would need.
const NARROW: &str = "
      - name: shared
        type: composite
        composite:
          max_total_spans_per_second: 8
          policy_order: [errors, rest]
          composite_sub_policy:
            - {name: errors, type: status_code, status_code: {status_codes: [ERROR]}}
            - {name: rest, type: always_sample}
          rate_allocation: [{policy: errors, percent: 50}, {policy: rest, percent: 50}]
";

#[test]
fn rules_that_limit_rates_are_not_estimated_on_what_others_have_kept() {
    let world = World::new(RULES);
    let findings = world.replay(&config(NARROW, ""));
    let text = super::report::text(&findings, &world::rules(&config(NARROW, "")), "rules.yaml");
    assert!(text.contains("is not estimated: they limit rates") && !text.contains("would keep about"), "{text}");
    assert!(text.contains("of what was judged alone:") && text.contains("- These rules limit rates."), "{text}");
    let json = super::report::to_json(&findings, &world::rules(&config(NARROW, "")), "rules.yaml");
    assert_eq!((&json["estimate"]["new"], &json["services"][0]["estimated_spans"]), (&Value::Null, &Value::Null));
    let [now, then] = super::cost::volume(&findings).unwrap().items[Signal::Traces];
    assert!(then < now, "{now} {then}");
}

#[test]
fn what_a_limit_has_left_is_no_more_under_others_than_was_decided() {
    let world = World::new(&config(NARROW, ""));
    let findings = world.replay(DEFAULT_CONFIG);
    let all = world.count("SELECT count(*) FROM decisions");
    let told = findings.estimate();
    assert!(told.traces <= f64::from(u32::try_from(all).unwrap()), "{told:?} of {all}");
    let in_force = world.replay(&config(NARROW, ""));
    let [now, then] = super::cost::volume(&in_force).unwrap().items[Signal::Traces];
    assert!(in_force.tally.now.traces > 0 && (now - then).abs() <= now * 1e-9, "{now} {then}");
    assert!(in_force.tally.moves.is_empty() && in_force.tally.new == in_force.tally.now, "{:?}", in_force.tally.moves);
}

#[test]
fn what_would_be_masked_beside_is_counted_by_rule_and_service() {
    let world = World::new(RULES);
    let mask = "  redaction/users: {allow_all_keys: true, blocked_key_patterns: ['^user\\.id$']}\n";
    let findings = world.replay(&config(SAME_POLICIES, mask));
    let masked = findings.tally.masked();
    assert!(masked.values().all(|counted| counted.least == counted.most), "{masked:?}");
    for service in ["frontend", "payment-service"] {
        let spans = world
            .count(&format!("SELECT count(*) FROM spans WHERE service_name = '{service}' AND attributes['user.id'] IS NOT NULL"));
        let told: u64 = masked.iter().filter(|((_, of), _)| of == service).map(|(_, counted)| counted.likely).sum();
        assert_eq!(told, spans, "{service}: {masked:?}");
    }
    let all: u64 = masked.values().map(|counted| counted.likely).sum();
    assert_eq!(all, world.count("SELECT count(*) FROM spans WHERE attributes['user.id'] IS NOT NULL"));
    assert!(all > 100, "{masked:?}");
}

#[test]
fn what_a_filter_would_take_away_is_counted() {
    let world = World::new(RULES);
    let filter = "  filter/quiet:\n    error_mode: ignore\n    traces: {span: ['attributes[\"db.system.name\"] == \"redis\"']}\n    \
                  logs: {log_record: ['severity_number < 13']}\n";
    let findings = world.replay(&config(SAME_POLICIES, filter));
    let tally = &findings.tally;
    let (spans, logs) = (
        world.count("SELECT count(*) FROM spans WHERE db_system = 'redis'"),
        world.count("SELECT count(*) FROM logs WHERE severity_number < 13"),
    );
    assert!(spans > 10 && logs > 10);
    let filtered = tally.filtered();
    let of = |signal: Signal| {
        let of_signal = filtered.iter().filter(|(taken, _)| taken.signal == signal && taken.reason == "processor filter/quiet");
        of_signal.fold((0, 0, 0), |sum, (_, counted)| (sum.0 + counted.likely, sum.1 + counted.least, sum.2 + counted.most))
    };
    // Services that had called it `db.system` would not be met, and the column does not tell.
    assert_eq!((of(Signal::Traces), of(Signal::Logs)), ((spans, 0, spans), (logs, logs, logs)));
    assert!(tally.uncertain.sum.traces > 0 && tally.unknown.is_empty());
    assert_eq!(tally.now.spans - tally.new.spans, spans);
    let gone = |[now, then]: [u64; 2]| now - then;
    let now: u64 = tally.services.values().map(|service| gone(service.records[Signal::Logs])).sum();
    assert_eq!(now, logs);
}

#[test]
fn data_points_pass_the_new_processors_and_are_counted_by_service() {
    let world = World::new(RULES);
    let filter = "  filter/points:\n    error_mode: ignore\n    metrics: {datapoint: ['metric.name == \"http.server.request.duration\"']}\n";
    let findings = world.replay(&config(SAME_POLICIES, filter));
    let count = |service: &str, more: &str| {
        let of = |table: &str| world.count(&format!("SELECT count(*) FROM {table} WHERE service_name = '{service}' {more}"));
        ["metrics_number", "metrics_histogram", "metrics_exp_histogram", "metrics_summary"].map(of).iter().sum::<u64>()
    };
    let (mut filtered, mut services) = (findings.tally.filtered(), 0);
    for (service, known) in &findings.tally.services {
        let (all, gone) = (count(service, ""), count(service, "AND name = 'http.server.request.duration'"));
        assert_eq!(known.records[Signal::Metrics], [all, all - gone], "{service}");
        let (signal, service) = (Signal::Metrics, service.clone());
        let told = filtered.remove(&Taken { reason: "processor filter/points".to_owned(), signal, service });
        assert_eq!(told.unwrap_or_default(), Counted { likely: gone, least: gone, most: gone });
        services += u64::from(gone > 0 && gone < all);
    }
    assert!(services > 3 && filtered.is_empty(), "{filtered:?}");
    let [now, then] = super::cost::volume(&findings).unwrap().items[Signal::Metrics];
    assert!(0.0 < then && then < now, "{now} {then}");
    let redact = "  redaction/points: {allow_all_keys: true, blocked_key_patterns: ['^http\\.route$']}\n";
    let masked = world.replay(&config(SAME_POLICIES, redact)).tally.masked();
    let told: u64 = masked.values().map(|counted| counted.likely).sum();
    let has_route =
        |table: &str| world.count(&format!("SELECT count(*) FROM {table} WHERE attributes['http.route'] IS NOT NULL"));
    let points = has_route("metrics_histogram");
    assert_eq!(told, points + world.count("SELECT count(*) FROM spans WHERE http_route IS NOT NULL"), "{masked:?}");
    assert!(points > 10);
}

/// The policies of the demo's rules.
const SAME_POLICIES: &str = "
      - name: health-checks
        type: drop
        drop: {drop_sub_policy: [{name: path, type: string_attribute, string_attribute: {key: url.path, values: [/health]}}]}
      - {name: errors, type: status_code, status_code: {status_codes: [ERROR]}}
      - {name: slow, type: latency, latency: {threshold_ms: 1000}}
      - {name: payments, type: string_attribute, string_attribute: {key: service.name, values: [payment-service]}}
      - {name: fair-sample, type: probabilistic, probabilistic: {sampling_percentage: 10}}
";

#[test]
fn what_is_gone_is_said_in_numbers() {
    let world = World::new(RULES);
    let findings = world.replay(RULES);
    let gone = findings.gone.values().fold(0, |sum, gone| sum + gone.traces);
    assert_eq!(gone, world.count("SELECT count(*) FROM decisions WHERE verdict <> 'kept'"));
    let dropped = findings.gone[&("dropped".to_owned(), "health-checks".to_owned())];
    assert_eq!(dropped.traces, world.health);
    // Of what a tenth was kept of, nine times as much was left out.
    let left_out = findings.gone[&("sampled_out".to_owned(), String::new())].traces;
    let ratio = findings.tally.estimate.left_out_traces / f64::from(u32::try_from(left_out).unwrap());
    assert!((0.6..1.4).contains(&ratio), "{ratio}");
    let rules = world::rules(RULES);
    let text = super::report::text(&findings, &rules, "rules.yaml");
    assert!(text.contains("No verdict changes, and no policy."), "{text}");
    assert!(text.contains(&format!("Not kept, and their bodies are gone: {gone} traces")), "{text}");
    let json = super::report::to_json(&findings, &rules, "rules.yaml");
    assert_eq!((&json["changes"], &json["now"]), (&serde_json::json!([]), &json["new"]));
}

#[test]
fn nothing_since_is_said() {
    let world = World::new(RULES);
    let error = world.try_replay(RULES, i64::MAX / 2).err().unwrap().to_string();
    assert!(error.contains("nothing was decided") && error.contains("--since"), "{error}");
}

#[test]
fn traces_whose_rules_are_gone_are_run_all_the_same_and_that_is_said() {
    let world = World::new(RULES);
    std::fs::remove_dir_all(world.folder.path().join("rules")).unwrap();
    let findings = world.replay(RULES);
    assert_eq!(findings.old.values().collect::<Vec<_>>(), [&Text::Missing]);
    let told = findings.tally.fates[&Fate::Kept].traces;
    assert!(told * 10 > findings.tally.now.traces * 9, "{told} of {}", findings.tally.now.traces);
    assert!(super::report::text(&findings, &world::rules(RULES), "rules.yaml").contains("Their text is not in the folder"));
}

#[test]
fn a_text_that_comes_to_other_rules_here_is_not_called_missing() {
    let world = World::new(RULES);
    let path = world.folder.path().join(spanlake_pipeline::keys::rules(world::rules(RULES).version()));
    std::fs::write(path, "x: ${env:SPANLAKE_A_VARIABLE_THAT_NOBODY_SETS}\n").unwrap();
    let findings = world.replay(DEFAULT_CONFIG);
    assert_eq!(findings.old.values().collect::<Vec<_>>(), [&Text::Differs]);
    let text = super::report::text(&findings, &world::rules(DEFAULT_CONFIG), "rules.yaml");
    assert!(
        text.contains("an environment variable that it names is not set") && !text.contains("is not in the folder"),
        "{text}"
    );
}

#[test]
fn warnings_of_a_file_that_can_be_used_are_told() {
    let warned = spanlake_policy::load("spanlake: {fail_closed: false}\n", &|_| None);
    assert!(warned.rules.is_some());
    let said = super::said(&warned, "new.yaml").unwrap();
    assert!(said.contains("[fail-open]") && said.contains("1 warning,"), "{said}");
    assert_eq!(super::said(&spanlake_policy::load(DEFAULT_CONFIG, &|_| None), "new.yaml"), None);
}

#[test]
fn what_keep_all_has_kept_is_told_as_such() {
    let mut overlay = Overlay::default();
    overlay.add("frontend", 1_790_003_600).unwrap();
    let world = World::new(&overlay.compose(RULES));
    let text = super::report::text(&world.replay(RULES), &world::rules(RULES), "rules.yaml");
    let kept = world.count("SELECT count(*) FROM decisions WHERE policy = 'keep_all'");
    let line = text.lines().find(|line| line.contains("spanlake keep-all")).unwrap();
    assert!(kept > 0 && line.starts_with(&format!("- {kept} traces (")), "{line}");
    let without = World::new(RULES);
    assert!(!super::report::text(&without.replay(RULES), &world::rules(RULES), "rules.yaml").contains("keep-all"));
}

/// Records in a lake, by service.
fn logs(world: &World) -> BTreeMap<String, u64> {
    let rows = world.ask("SELECT service_name, count(*) FROM logs GROUP BY 1");
    rows.into_iter().map(|row| (row[0].clone(), row[1].parse().unwrap())).collect()
}

#[test]
fn a_stored_log_record_goes_where_the_dry_run_says_that_its_trace_goes() {
    let before = World::until(RULES, END_MS, false);
    for follow in ["{logs: follow_trace}", "{logs: {follow_trace: true, always_keep: WARN}}"] {
        let rules = format!("{RULES}spanlake: {follow}\n");
        let findings = before.replay(&rules);
        let services = findings.tally.services.iter();
        let told = services.map(|(name, service)| (name.clone(), service.records[Signal::Logs][1]));
        let truth = logs(&World::new(&rules));
        assert_eq!(told.filter(|(_, logs)| *logs > 0).collect::<BTreeMap<_, _>>(), truth, "{follow}");
        let followed = findings.tally.followed.as_ref().unwrap();
        assert_eq!(followed.gone, logs(&before).values().sum::<u64>() - truth.values().sum::<u64>());
        let text = super::report::text(&findings, &world::rules(&rules), "rules.yaml");
        assert!(followed.gone > 10 && text.contains(&format!("{} log records would go with one", followed.gone)), "{text}");
    }
}

#[test]
fn log_records_whose_traces_cannot_be_judged_are_taken_as_kept_and_that_is_told() {
    let follow = format!("{RULES}spanlake: {{logs: follow_trace}}\n");
    let (gone, untold) = ("log records were sampled out with their traces", "log records the trace was not judged");
    let text = |world: &World, rules: &str| super::report::text(&world.replay(rules), &world::rules(rules), "rules.yaml");
    let (world, follows) = (World::new(RULES), World::new(&follow));
    let told = |text: &str| (text.contains(gone), text.contains(untold));
    assert_eq!(told(&text(&world, RULES)), (false, false));
    assert_eq!(told(&text(&world, &follow)), (false, true));
    assert_eq!(told(&text(&follows, RULES)), (true, false));
    let findings = world.replay(&follow);
    let [now, then] = findings.tally.services.values().fold([0, 0], |[now, then], service| {
        let [more_now, more_then] = service.records[Signal::Logs];
        [now + more_now, then + more_then]
    });
    let followed = findings.tally.followed.as_ref().unwrap();
    // Nothing of what was kept changes, and of the rest nothing is left to judge.
    assert_eq!((now, followed.gone), (then, 0));
    let of_gone = "SELECT count(*) FROM logs l JOIN decisions d ON d.trace_id = l.trace_id WHERE d.verdict <> 'kept'";
    assert!(followed.untold >= world.count(of_gone) && world.count(of_gone) > 10, "{}", followed.untold);
}

#[test]
fn runs_of_statements_are_not_called_masked_values() {
    let world = World::new(RULES);
    let statement = "set(span.attributes[\"user.id\"], \"****\")";
    let rules = config(SAME_POLICIES, &format!("  transform/users: {{error_mode: ignore, trace_statements: ['{statement}']}}\n"));
    let rules = rules.replace("processors: [transform/users], ", "");
    let findings = world.replay(&rules);
    let (masked, ran) = (findings.tally.masked(), findings.tally.statements());
    let told: u64 = ran.values().map(|counted| counted.likely).sum();
    assert_eq!((masked.len(), told), (0, world.count("SELECT count(*) FROM spans")), "{masked:?} {ran:?}");
    let text = super::report::text(&findings, &world::rules(&rules), "rules.yaml");
    assert!(text.contains("Runs of redacting statements of transform") && !text.contains("Masked beside"), "{text}");
}

#[test]
fn what_the_new_rules_could_not_execute_is_told_by_line_and_service() {
    let world = World::new(RULES);
    let statement = "set(span.attributes[\"n\"], ParseJSON(span.name))";
    let rules = config(SAME_POLICIES, &format!("  transform/n: {{error_mode: ignore, trace_statements: ['{statement}']}}\n"));
    let findings = world.replay(&rules);
    let failed = findings.tally.failed();
    let told: u64 = failed.values().map(|counted| counted.likely).sum();
    assert_eq!(told, world.count("SELECT count(*) FROM spans"), "{failed:?}");
    assert!(failed.keys().all(|(what, _)| what.starts_with("transform/n, line ")), "{failed:?}");
    let text = super::report::text(&findings, &world::rules(&rules), "rules.yaml");
    assert!(text.contains("Statements and conditions that cannot be executed on an item, times:"), "{text}");
}

#[test]
fn without_tail_sampling_all_are_kept_and_that_is_said_and_a_short_basis_too() {
    let world = World::new(RULES);
    let rules = "receivers: {otlp: {protocols: {http: }}}\nexporters: {debug: }\nservice: {pipelines: {traces: {receivers: [otlp], \
                 exporters: [debug]}}}\n";
    let text = super::report::text(&world.replay(rules), &world::rules(rules), "rules.yaml");
    assert!(text.contains("  kept by errors -> kept: no tail_sampling, so all are: "), "{text}");
    assert!(text.contains("These rules have no tail_sampling") && text.contains("These rules would keep all of them"), "{text}");
    assert!(text.contains("are a short basis for a day"), "{text}");
}
