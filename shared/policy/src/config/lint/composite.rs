//! `composite`: what its sub-policies leave each other, and what their allocations add up to.

use super::super::reader::Findings;
use super::super::yaml::Tree;
use super::policies::Rule;
use super::{child, integer, items, line_of, text, texts, truth};
use crate::lints::Lint;

/// Looks through a policy of the type `composite`.
pub(super) fn check(policy: &Tree, path: &str, inverts: bool, findings: &mut Findings) {
    let Some(block) = child(policy, "composite") else { return };
    let path = format!("{path}.composite");
    let subs = items(block, "composite_sub_policy").iter().enumerate();
    let mut rules: Vec<Rule<'_>> =
        subs.map(|(place, sub)| Rule::read(sub, format!("{path}.composite_sub_policy[{place}]"), inverts)).collect();
    let order: Vec<&str> = texts(block, "policy_order").into_iter().map(|(_, name)| name).collect();
    rules.sort_by_key(|rule| order.iter().position(|name| *name == rule.name).unwrap_or(usize::MAX));
    for (place, rule) in rules.iter().enumerate() {
        if let Some(line) = rule.impossible(&findings.patterns) {
            findings.refuse(Lint::NeverMatches, line, &rule.path, format!("no trace can meet sub-policy \"{}\"", rule.name));
        } else if let Some(by) = rules.iter().take(place).find(|by| rule.implies(by, &findings.patterns)) {
            let message = format!("sub-policy \"{}\" gets no trace: \"{}\" comes first and takes them all", rule.name, by.name);
            findings.refuse(Lint::ShadowedPolicy, rule.line, &rule.path, message);
        }
    }
    rates(block, &path, &rules, findings);
}

fn rates(block: &Tree, path: &str, rules: &[Rule<'_>], findings: &mut Findings) {
    let total = integer(block, "max_total_spans_per_second").unwrap_or(0);
    if total <= 0 {
        let line = line_of(block, "max_total_spans_per_second");
        let message = "max_total_spans_per_second is 0: the policy keeps nothing";
        findings.refuse(Lint::NeverMatches, line, path, message);
        return;
    }
    let at = format!("{path}.rate_allocation");
    let mut shares: Vec<(&str, i64)> = Vec::new();
    for entry in items(block, "rate_allocation") {
        let name = text(entry, "policy").unwrap_or_default();
        let is_known = rules.iter().any(|rule| rule.name == name);
        if !is_known || shares.iter().any(|(known, _)| *known == name) {
            let why = if is_known { "stands twice in rate_allocation" } else { "is no sub-policy" };
            findings.refuse(Lint::AllocationUnknown, entry.line, &at, format!("`{name}` {why}"));
        }
        shares.push((name, integer(entry, "percent").unwrap_or(0)));
    }
    let Ok(count) = i64::try_from(rules.len().max(1)) else { return };
    let own = |rule: &Rule<'_>| {
        let percent =
            shares.iter().rev().find(|(name, _)| *name == rule.name).map(|(_, percent)| *percent).filter(|percent| *percent > 0);
        percent.map_or(total / count, |percent| total.saturating_mul(percent) / 100)
    };
    let starved: Vec<_> = rules.iter().filter(|rule| own(rule) == 0).collect();
    for rule in &starved {
        let message = format!("the allocation of \"{}\" is less than one span a second: it keeps nothing", rule.name);
        findings.refuse(Lint::NeverMatches, rule.line, &rule.path, message);
    }
    let sum: i64 = rules.iter().map(own).fold(0, i64::saturating_add);
    let line = line_of(block, "rate_allocation");
    if sum > total {
        let message = format!("the allocations add up to {sum} of {total} spans a second");
        findings.refuse(Lint::AllocationSum, line, &at, message);
    } else if sum.saturating_add(count) < total
        && truth(block, "fill_remaining") != Some(true)
        && starved.is_empty()
        && !rules.is_empty()
    {
        let message = format!("the allocations add up to {sum} of {total} spans a second: the rest is never used");
        findings.refuse(Lint::UnusedAllocation, line, &at, message);
    }
}
