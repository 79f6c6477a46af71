//! Policies and what they are put together from.

use std::collections::BTreeMap;

use super::super::reader::{Fields, Findings};
use super::super::yaml::Tree;
use crate::lints::Lint;
use crate::rules::Leaves;
use crate::sampling::{Body, Bucket, Condition, Part, Policy, Sub, Unit};

/// One bit for each condition on spans; two for one that can fail.
const BITS_MAX: u32 = 64;

/// Reads policies, and gathers what they share.
pub(super) struct Reader<'a> {
    pub(super) latency_inclusive: bool,
    pub(super) salts: BTreeMap<String, u8>,
    pub(super) leaves: Leaves,
    pub(super) buckets: Vec<Bucket>,
    pub(super) units: Vec<Unit>,
    pub(super) bits: u32,
    /// Names of sub-policies; the first is empty.
    pub(super) names: Vec<String>,
    pub(super) findings: &'a mut Findings,
}

/// Where a policy stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    /// In `and`: any basic policy, and `not`.
    And,
    /// In `drop`: the same, without limits.
    Drop,
    /// In `not`: a basic policy, without limits.
    Not,
    /// In `composite`: a basic policy, or `and`.
    Composite,
}

impl Within {
    /// Its name, and what it takes.
    const fn allows(self) -> &'static str {
        match self {
            Self::And => "`and`, which takes basic policies and `not`",
            Self::Drop => "`drop`, which takes basic policies and `not`",
            Self::Not => "`not`, which takes one basic policy",
            Self::Composite => "`composite`, which takes basic policies and `and`",
        }
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(latency_inclusive: bool, findings: &'a mut Findings) -> Self {
        let (leaves, salts) = (Leaves::default(), BTreeMap::new());
        Self {
            latency_inclusive,
            salts,
            leaves,
            buckets: Vec::new(),
            units: Vec::new(),
            bits: 0,
            names: vec![String::new()],
            findings,
        }
    }

    /// Reports too many conditions on spans.
    pub(super) fn check_sizes(&mut self, line: u32, path: &str) {
        if self.bits > BITS_MAX {
            self.findings.refuse(Lint::TooLarge, line, path, format!("more than {BITS_MAX} conditions on spans"));
        }
    }

    /// A policy of the list.
    pub(super) fn policy(&mut self, tree: &Tree, path: &str) -> Option<Policy> {
        let mut fields = Fields::new(tree, path, self.findings);
        let name = fields.string("name", self.findings).unwrap_or_default().to_owned();
        if name.is_empty() {
            self.findings.error(tree.line, path, "a policy needs a name");
        }
        let line = fields.line_of("type");
        let kind = fields.string("type", self.findings).unwrap_or_default();
        let (kind, body) = match kind {
            "and" => ("and", Body::And(self.parts(&mut fields, Within::And))),
            "drop" => ("drop", Body::Drop(self.parts(&mut fields, Within::Drop))),
            "not" => ("not", Body::Single(self.not(&mut fields)?)),
            "composite" => ("composite", self.composite(&mut fields)),
            _ => {
                let (kind, condition) = self.condition(&mut fields, kind, line)?;
                (kind, Body::Single(Part::plain(condition)))
            }
        };
        fields.finish(self.findings);
        let policy = Policy { name, kind, body };
        if !matches!(policy.body, Body::Composite { .. }) {
            self.unit(limits(policy.conditions()));
        }
        Some(policy)
    }

    /// Notes the buckets that admit a trace together.
    fn unit(&mut self, unit: Unit) {
        if !unit.is_empty() {
            self.units.push(unit);
        }
    }

    /// The sub-policies of `and` and `drop`.
    fn parts(&mut self, fields: &mut Fields<'_>, within: Within) -> Vec<Part> {
        let (kind, key) = match within {
            Within::Drop => ("drop", "drop_sub_policy"),
            _ => ("and", "and_sub_policy"),
        };
        let line = fields.line_of(kind);
        let Some(mut block) = fields.map(kind, self.findings) else {
            self.empty(kind, line, &fields.path);
            return Vec::new();
        };
        let items = block.list(key, self.findings);
        let path = block.path_of(key);
        block.finish(self.findings);
        if items.is_empty() {
            self.empty(kind, line, &path);
        }
        let subs = items.iter().enumerate();
        subs.filter_map(|(place, item)| Some(self.sub_policy(item, &format!("{path}[{place}]"), within)?.1)).flatten().collect()
    }

    fn empty(&mut self, kind: &str, line: u32, path: &str) {
        let effect = if kind == "drop" { "an empty drop drops everything" } else { "an empty and samples everything" };
        self.findings.find(Lint::EmptyPolicy, line, path, effect, "list its sub-policies");
    }

    /// A policy within another: its name, and the conditions that must all hold.
    fn sub_policy(&mut self, tree: &Tree, path: &str, within: Within) -> Option<(String, Vec<Part>)> {
        let mut fields = Fields::new(tree, path, self.findings);
        let name = fields.string("name", self.findings).unwrap_or_default().to_owned();
        let line = fields.line_of("type");
        let kind = fields.string("type", self.findings).unwrap_or_default();
        let parts = match kind {
            "not" if matches!(within, Within::And | Within::Drop) => self.not(&mut fields).map(|part| vec![part]),
            "and" if within == Within::Composite => Some(self.parts(&mut fields, Within::And)),
            "and" | "drop" | "not" | "composite" => {
                let message = format!("`{kind}` can't stand within {}: the Collector knows no such type there", within.allows());
                self.findings.refuse(Lint::UnknownComponent, line, path, message);
                return None;
            }
            _ => self.condition(&mut fields, kind, line).map(|(_, condition)| vec![Part::plain(condition)]),
        };
        fields.finish(self.findings);
        let is_limit = |part: &Part| matches!(part.condition, Condition::Limit(_));
        if matches!(within, Within::Not | Within::Drop) && parts.iter().flatten().any(is_limit) {
            let message = format!("`{kind}` within not or drop is refused: it would keep, or drop, by what there is no room for");
            self.findings.error(line, path, message);
        }
        let mut parts = parts?;
        // Parts of a nested `and` have names of their own, and what is negated goes by the name of what it negates.
        if !matches!(kind, "and" | "not") {
            let place = u16::try_from(self.names.len()).unwrap_or(0);
            self.names.push(name.clone());
            for part in &mut parts {
                part.name = place;
            }
        }
        Some((name, parts))
    }

    fn not(&mut self, fields: &mut Fields<'_>) -> Option<Part> {
        let line = fields.line;
        let mut block = fields.map("not", self.findings);
        let path = format!("{}.not", fields.path);
        let sub = block.as_mut().and_then(|block| block.get("not_sub_policy"));
        if let Some(block) = block {
            block.finish(self.findings);
        }
        let Some(sub) = sub else {
            self.findings.error(line, &path, "not needs a not_sub_policy");
            return None;
        };
        let (_, parts) = self.sub_policy(sub, &format!("{path}.not_sub_policy"), Within::Not)?;
        parts.into_iter().next().map(|part| Part { negated: true, ..part })
    }

    fn composite(&mut self, fields: &mut Fields<'_>) -> Body {
        let line = fields.line_of("composite");
        let mut block = fields.map("composite", self.findings);
        let (mut rate, mut shares, mut order, mut items, mut fills) = (0, BTreeMap::new(), Vec::new(), &[][..], false);
        let path = format!("{}.composite", fields.path);
        if let Some(block) = &mut block {
            rate = block.integer("max_total_spans_per_second", (i64::MIN, i64::MAX), self.findings).unwrap_or(0).max(0);
            fills = block.bool("fill_remaining", self.findings).unwrap_or(false);
            order = block.strings("policy_order", self.findings);
            items = block.list("composite_sub_policy", self.findings);
            shares = self.allocation(block);
        }
        if let Some(block) = block {
            block.finish(self.findings);
        }
        let mut named = Vec::new();
        for (place, item) in items.iter().enumerate() {
            let path = format!("{path}.composite_sub_policy[{place}]");
            named.extend(self.sub_policy(item, &path, Within::Composite));
        }
        for (line, name) in order.iter().filter(|(_, name)| !named.iter().any(|(known, _)| known == name)) {
            let advice = "name a sub-policy of composite_sub_policy";
            self.findings.find(
                Lint::PolicyOrderUnknown,
                *line,
                &path,
                format!("policy_order names no sub-policy: `{name}`"),
                advice,
            );
        }
        if items.is_empty() {
            self.findings.find(
                Lint::EmptyPolicy,
                line,
                &path,
                "a composite without sub-policies keeps nothing",
                "list its sub-policies",
            );
        }
        let place = |name: &str| order.iter().position(|(_, known)| *known == name).unwrap_or(usize::MAX);
        named.sort_by_key(|(name, _)| place(name));
        self.allocate(named, rate.unsigned_abs(), &shares, fills)
    }

    /// `rate_allocation`: whole percents by name; of several the last counts.
    fn allocation(&mut self, block: &mut Fields<'_>) -> BTreeMap<String, i64> {
        let path = block.path_of("rate_allocation");
        let mut shares = BTreeMap::new();
        for (place, item) in block.list("rate_allocation", self.findings).iter().enumerate() {
            let mut entry = Fields::new(item, format!("{path}[{place}]"), self.findings);
            let name = entry.string("policy", self.findings).unwrap_or_default().to_owned();
            let percent = entry.integer("percent", (i64::MIN, i64::MAX), self.findings).unwrap_or(0);
            entry.finish(self.findings);
            shares.insert(name, percent);
        }
        shares
    }

    /// Makes the buckets of a composite.
    fn allocate(&mut self, named: Vec<(String, Vec<Part>)>, rate: u64, shares: &BTreeMap<String, i64>, fills: bool) -> Body {
        let count = u64::try_from(named.len().max(1)).unwrap_or(1);
        let total = self.bucket(Bucket { rate, ..Bucket::default() });
        let own = |name: &str| {
            let percent = shares.get(name).and_then(|percent| u64::try_from(*percent).ok()).filter(|percent| *percent > 0);
            // Cut off to whole spans a second, as upstream.
            let whole = |percent: u64| u128::from(percent) * u128::from(rate) / 100;
            percent.map_or(rate / count, |percent| u64::try_from(whole(percent)).unwrap_or(u64::MAX))
        };
        // Room in the total is what the others' luck with their own leaves: where allocations fit into it, it is not asked.
        let is_overbooked = named.iter().map(|(name, _)| own(name)).fold(0, u64::saturating_add) > rate;
        let mut subs = Vec::new();
        for (name, parts) in named {
            let bucket = self.bucket(Bucket { rate: own(&name), ..Bucket::default() });
            let mut unit = limits(parts.iter().map(|part| &part.condition));
            unit.push(bucket);
            unit.extend(is_overbooked.then_some(total));
            self.unit(unit);
            subs.push(Sub { name, parts, bucket });
        }
        let fill = fills.then(|| self.bucket(Bucket { rate, fills: Some(total), ..Bucket::default() }));
        for sub in subs.iter().filter(|_| fill.is_some()) {
            let mut unit = limits(sub.parts.iter().map(|part| &part.condition));
            unit.extend(fill);
            self.unit(unit);
        }
        self.units.dedup();
        Body::Composite { subs, total, is_overbooked, fill }
    }

    pub(super) fn bucket(&mut self, bucket: Bucket) -> usize {
        self.buckets.push(bucket);
        self.buckets.len() - 1
    }
}

fn limits<'c>(conditions: impl Iterator<Item = &'c Condition>) -> Unit {
    conditions
        .filter_map(|condition| match condition {
            Condition::Limit(bucket) => Some(*bucket),
            _ => None,
        })
        .collect()
}
