//! Traces whose spans are staged still.

use std::collections::BTreeMap;

use spanlake_policy::DEFAULT_CONFIG;

use super::super::scan::Findings;
use super::super::tally::{Basis, Fate, Sum, Unknown};
use super::world::{self, END_MS, World, config};
use super::{NARROW, VARIED};
use crate::demo::RULES;

fn judged(findings: &Findings, basis: Basis) -> Sum {
    findings.tally.judged.get(&basis).copied().unwrap_or_default()
}

/// Traces that would be kept, by policy, as a dry run tells.
fn told(findings: &Findings) -> BTreeMap<String, Sum> {
    let policies = findings.tally.policies.iter().map(|(name, policy)| (name.clone(), policy.new));
    policies.filter(|(_, sum)| sum.traces > 0).collect()
}

/// The same as it is.
fn kept(world: &World) -> BTreeMap<String, Sum> {
    let mut policies: BTreeMap<String, Sum> = BTreeMap::new();
    for (policy, spans) in world.kept().into_values() {
        policies.entry(policy).or_default().add(1, spans);
    }
    policies
}

#[test]
fn what_other_rules_would_have_kept_of_all_is_told_exactly_as_long_as_it_is_staged() {
    let before = World::until(RULES, END_MS, false);
    let all = before.count("SELECT count(*) FROM decisions");
    for rules in [RULES.to_owned(), DEFAULT_CONFIG.to_owned(), config(VARIED, ""), config(NARROW, "")] {
        let findings = before.replay(&rules);
        let tally = &findings.tally;
        let (rows, waiting) = (judged(&findings, Basis::Rows), judged(&findings, Basis::Waiting));
        assert_eq!((rows, waiting, tally.waiting_not_run, findings.not_filed), (Sum::default(), Sum::default(), 0, 0));
        assert_eq!(judged(&findings, Basis::Kept).traces + judged(&findings, Basis::NotKept).traces, all);
        assert!(tally.unknown.is_empty() && findings.gone.is_empty(), "{:?} {:?}", tally.unknown, findings.gone);
        assert_eq!(told(&findings), kept(&World::new(&rules)), "{rules}");
        let estimate = findings.estimate();
        assert_eq!((estimate.traces, estimate.left_out_traces), (f64::from(u32::try_from(tally.new.traces).unwrap()), 0.0));
    }
}

#[test]
fn a_trace_is_judged_once_though_some_batches_are_swept_and_what_is_left_stands_for_no_more_than_is_gone() {
    let before = World::until(RULES, END_MS, false);
    let all = before.count("SELECT count(*) FROM decisions");
    let gone = before.count("SELECT count(*) FROM decisions WHERE verdict <> 'kept'");
    let mut batches = before.staged();
    batches.sort_by_key(|batch| std::fs::metadata(batch).unwrap().len());
    std::fs::remove_file(batches.pop().unwrap()).unwrap();
    let findings = before.replay(DEFAULT_CONFIG);
    let [rows, kept, not_kept] = [Basis::Rows, Basis::Kept, Basis::NotKept].map(|basis| judged(&findings, basis).traces);
    assert!(rows > 0 && kept > 0 && not_kept > 0, "{:?}", findings.tally.judged);
    assert_eq!((rows + kept + not_kept + findings.gone().traces, findings.gone().traces), (all, gone - not_kept));
    let truth = u32::try_from(World::new(DEFAULT_CONFIG).kept().len()).unwrap();
    let ratio = findings.estimate().traces / f64::from(truth);
    assert!((ratio - 1.0).abs() < 0.2, "{ratio}");
    assert!(findings.estimate().left_out_traces <= f64::from(u32::try_from(findings.gone().traces).unwrap()));
}

#[test]
fn what_waits_is_judged_as_if_it_were_decided_now() {
    let end_ms = 30_000;
    let waiting = World::until(&config(VARIED, ""), end_ms, true);
    let findings = waiting.replay(&config(VARIED, ""));
    assert!(judged(&findings, Basis::Waiting).traces > 10, "{:?}", findings.tally.judged);
    assert!(findings.tally.moves.is_empty() && findings.tally.unknown.is_empty(), "{:?}", findings.tally.moves);
    assert_eq!(findings.tally.waiting_not_run, 0);
    // All came by then: what is told of it now is what becomes of it.
    let later = World::until(&config(VARIED, ""), END_MS, false).replay(&config(VARIED, ""));
    let late = later.tally.now.spans - findings.tally.now.spans;
    assert_eq!((findings.tally.now.traces, late), (later.tally.now.traces, 1));
    let (all, none) = (waiting.replay(ALL), waiting.replay(&config(NONE, "")));
    let traces = judged(&findings, Basis::Waiting).traces;
    assert!(all.tally.fates[&Fate::Kept].traces >= traces && none.tally.fates[&Fate::Dropped].traces >= traces);
    assert_eq!((none.tally.new, none.estimate().traces), (Sum::default(), 0.0));
}

const ALL: &str = "receivers: {otlp: {protocols: {http: }}}\nexporters: {debug: }\nservice: {pipelines: {traces: {receivers: [otlp], \
                   exporters: [debug]}}}\n";
const NONE: &str = "
      - name: none
        type: drop
        drop: {drop_sub_policy: [{name: all, type: always_sample}]}
";

#[test]
fn a_trace_that_was_decided_by_what_is_masked_since_stays_as_it_is_and_is_said_to_be_unknown() {
    let policies = "
      - {name: users, type: string_attribute, string_attribute: {key: user.id, values: ['^[^*]+$'], enabled_regex_matching: true}}
";
    let mask = "  redaction/users: {allow_all_keys: true, blocked_key_patterns: ['^user\\.id$']}\n";
    let rules = config(policies, mask).replace("[redaction/users, tail_sampling]", "[tail_sampling, redaction/users]");
    let findings = World::until(&rules, 30_000, false).replay(&config(VARIED, ""));
    let (users, unknown) = (&findings.tally.policies["users"], &findings.tally.unknown[&Unknown::NotReproduced].sum);
    assert!(users.old.traces > 100, "{users:?}");
    assert_eq!((users.old, *unknown), (users.new, users.old));
    // What waits is now what it will be, by what was known of it before it was masked.
    let decided = kept(&World::new(&rules));
    assert_eq!(users.old.traces, decided["users"].traces);
}

#[test]
fn batches_that_are_swept_between_listing_and_reading_are_no_error_and_what_waits_is_not_told_by_a_part_of_it() {
    let world = World::until(RULES, 30_000, true);
    assert!(judged(&world.replay(RULES), Basis::Waiting).spans > 10);
    for batch in world.staged().split_off(1) {
        std::fs::remove_file(batch).unwrap();
    }
    let findings = world.replay(RULES);
    assert_eq!(judged(&findings, Basis::Waiting), Sum::default());
    let text = super::super::report::text(&findings, &world::rules(RULES), "rules.yaml");
    let told = format!("- {} spans wait for a decision and were not run", findings.tally.waiting_not_run);
    assert!(findings.tally.waiting_not_run > 0 && text.contains(&told), "{text}");
}

#[test]
fn another_cut_of_the_same_records_that_nobody_lists_is_no_second_trace() {
    let world = World::until(RULES, 30_000, false);
    let before = world.replay(DEFAULT_CONFIG);
    let (other, mut more) = (World::until(RULES, 25_000, false), 0);
    for batch in other.staged() {
        let to = world.folder.path().join("staged").join(batch.file_name().unwrap());
        if !to.exists() {
            std::fs::copy(&batch, to).unwrap();
            more += 1;
        }
    }
    assert!(more > 0);
    let after = world.replay(DEFAULT_CONFIG);
    assert_eq!((after.tally.judged, after.tally.new), (before.tally.judged, before.tally.new));
}

#[test]
fn how_many_traces_were_judged_by_their_bodies_is_told_as_text_and_as_json() {
    let world = World::until(RULES, 30_000, false);
    let findings = world.replay(DEFAULT_CONFIG);
    let rules = world::rules(DEFAULT_CONFIG);
    let text = super::super::report::text(&findings, &rules, "new.yaml");
    let json = super::super::report::to_json(&findings, &rules, "new.yaml");
    let told = [
        (Basis::Kept, "are kept, and were read from their staged bodies"),
        (Basis::NotKept, "are not kept, and were read from their staged bodies"),
        (Basis::Waiting, "wait for their decision"),
    ];
    for (basis, words) in told {
        let sum = judged(&findings, basis);
        assert!(
            sum.traces > 0 && text.contains(&format!("{:>10} traces, {:>10} spans  {words}", sum.traces, sum.spans)),
            "{text}"
        );
        assert_eq!(json["judged"][basis.name()]["traces"], sum.traces);
    }
    assert!(!text.contains("were not run"), "{text}");
}
