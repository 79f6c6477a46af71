//! Files of the largest size that would take the most time and memory, if there were no limits.

use crate::read;

fn many(count: usize, part: impl Fn(usize) -> String) -> String {
    (0..count).map(part).collect()
}

/// A file whose pipeline has `processors`, and `text` to define them.
fn whole(text: &str, processors: &str) -> String {
    format!("processors:\n{text}service: {{pipelines: {{traces: {{processors: [{processors}]}}}}}}\n")
}

/// The kinds of what is found in a text.
fn kinds(text: &str) -> Vec<&'static str> {
    let mut kinds: Vec<&str> = read(text).findings.iter().map(|finding| finding.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

fn redaction(list: &str, values: &str) -> String {
    whole(&format!("  redaction: {{allow_all_keys: true, {list}: [{values}]}}\n"), "redaction")
}

#[test]
fn what_takes_more_than_the_limits_allow_is_refused_as_too_large() {
    let long = "x".repeat(1_025);
    for (what, text) in [
        ("bytes of a file", "#".repeat((1 << 20) + 1)),
        ("values", whole(&many(20_000, |at| format!("  transform/{at}:\n")), "")),
        ("bytes of aliases", format!("a: &a {}\nb: [{}]\n", "x".repeat(500_000), "*a,".repeat(5_000))),
        ("bytes of aliases of a list", format!("a: &a [{}]\nb: [*a, *a, *a]\n", "x".repeat(500_000))),
        ("values of aliases", format!("a: &a [{}]\nb: [{}]\n", "x,".repeat(1_000), "*a,".repeat(100))),
        ("levels", format!("a: {}", "[".repeat(500_000))),
        ("bytes of a key", whole(&format!("  ? transform/{long}\n  :\n"), "")),
        ("findings", many(9_000, |at| format!("k{at}:\n"))),
        ("findings of empty variables", whole(&format!("  filter: {{spans: [{}]}}\n", "'${Xx}',".repeat(9_000)), "filter")),
    ] {
        assert!(kinds(&text).contains(&"too-large"), "{what}: {:?}", kinds(&text));
    }
}

#[test]
fn so_many_findings_are_told_and_no_more() {
    assert_eq!(read(&many(900, |at| format!("k{at}:\n"))).findings.len(), 901);
    let findings = read(&many(9_000, |at| format!("k{at}:\n"))).findings;
    assert_eq!(findings.len(), 1_000);
    assert!(findings.iter().any(|finding| finding.message.starts_with("more than 1000 findings")));
}

#[test]
fn variables_cannot_make_a_small_file_large() {
    let text = whole(&format!("  transform: {{trace_statements: ['{}']}}\n", "${X}".repeat(200_000)), "transform");
    let read = spanlake_policy::load(&text, &|_| Some("x".repeat(1_000)));
    assert!(read.rules.is_none() && read.findings.iter().any(|finding| finding.message.contains("all variables")));
}

#[test]
fn patterns_are_bounded_one_by_one_and_together() {
    for (what, values, refusal) in [
        ("one is long", format!("'{}'", "x".repeat(4_097)), "may have 4096"),
        ("one is large", "'(\\pL{100}){100}'".to_owned(), "the pattern needs too much memory"),
        ("many are large", many(100, |at| format!("'\\pL{{100}}{at}',")), "all patterns together"),
        ("very many", many(3_000, |at| format!("'a{at}',")), "all patterns together"),
    ] {
        let findings = read(&redaction("blocked_values", &values)).findings;
        assert!(findings.iter().any(|finding| finding.message.contains(refusal)), "{what}: {findings:?}");
    }
    let fine = redaction("blocked_values", &many(1_000, |at| format!("'secret-{at}-[0-9a-f]+',")));
    assert!(read(&fine).rules.is_some(), "{:?}", read(&fine).findings);
    let again = redaction("blocked_values", &many(9_000, |_| "'secret-[0-9a-f]+',".to_owned()));
    assert!(read(&again).rules.is_some(), "what is asked again takes no more room: {:?}", read(&again).findings);
}

/// Nothing is said of them but that they are read soon, see [`read`].
#[test]
fn the_dearest_files_within_the_limits_are_read_soon() {
    let policies = |count, policy: &dyn Fn(usize) -> String| {
        let list = many(count, |at| format!("    - {}\n", policy(at)));
        whole(&format!("  tail_sampling:\n   policies:\n{list}"), "tail_sampling")
    };
    for text in [
        many(9_900, |at| format!("k{at}:\n")),
        many(9_900, |at| format!("&a{at} k{at}: \n")),
        format!("a: {}{}{}", many(60, |at| format!("&a{at} [")), "xxxxxxxx,".repeat(19_000), "]".repeat(60)),
        whole(&many(6_500, |at| format!("  transform/{at}: {{z: }}\n")), ""),
        whole(
            &many(6_500, |at| format!("  transform/aaaaaaaaaaaa{at}:\n")),
            &many(6_500, |at| format!("transform/aaaaaaaaaaab{at},")),
        ),
        redaction("allowed_keys", &many(9_000, |at| format!("k{at},"))).replace(
            "allow_all",
            &format!(
                "ignored_keys: [{}], blocked_key_patterns: [{}], allow_all",
                many(9_000, |at| format!("k{at},")),
                many(900, |at| format!("x{at}$,"))
            ),
        ),
        redaction("blocked_values", &many(2, |at| format!("'(?i){}{at}',", "\\pL".repeat(250)))),
        policies(3_000, &|at| format!("{{name: a{at}, type: latency, latency: {{threshold_ms: {at}}}}}")),
        policies(2_000, &|at| format!("{{name: a{at}, type: string_attribute, string_attribute: {{key: k, values: [v{at}]}}}}")),
        whole(
            &format!("  transform: {{trace_statements: [{}]}}\n", many(19_000, |at| format!("'set(span.name, \"{at}\")',"))),
            "transform",
        ),
        whole(&format!("  filter: {{traces: {{span: [{}]}}}}\n", many(19_000, |at| format!("'name == \"{at}\"',"))), "filter"),
        whole(
            &format!("  attributes: {{actions: [{}]}}\n", many(3_900, |at| format!("{{key: k{at}, action: delete}},"))),
            "attributes",
        ),
        whole(&format!("  tail_sampling: {{decision_wait: {}}}\n", "1h".repeat(500_000)), "tail_sampling"),
        whole(&format!("  tail_sampling: {{decision_wait: {}}}\n", "9".repeat(500_000)), "tail_sampling"),
        format!("a: \"{}", "\\".repeat(1_000_000)),
        format!("a: >\n{}", "\n".repeat(1_000_000)),
        "? ".repeat(500_000),
        "!a ".repeat(340_000),
    ] {
        drop(read(&text));
    }
}
