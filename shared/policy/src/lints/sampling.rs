//! Kinds of findings about sampling.

use super::{Lint, Row};
use crate::finding::Severity;

const fn warning(lint: Lint, name: &'static str, explains: &'static str, remedy: &'static str) -> Row {
    Row { lint, name, severity: Severity::Warning, explains, remedy }
}

const fn note(lint: Lint, name: &'static str, explains: &'static str, remedy: &'static str) -> Row {
    Row { lint, name, severity: Severity::Note, explains, remedy }
}

pub(super) const ROWS: [Row; 36] = [
    warning(
        Lint::NoPolicies,
        "no-policies",
        "`tail_sampling` without policies keeps nothing.",
        "add policies, or take tail_sampling out of the pipeline",
    ),
    warning(
        Lint::EmptyPolicy,
        "empty-policy",
        "An `and` without sub-policies keeps everything, a `drop` drops everything, a `composite` keeps nothing. The Collector says nothing.",
        "list its sub-policies",
    ),
    warning(
        Lint::MissingSettings,
        "missing-settings",
        "A policy without the block of its type has zeros for settings: `latency` keeps everything, `probabilistic` nothing.",
        "add the block, with the type's name as its key",
    ),
    warning(
        Lint::NeverMatches,
        "never-matches",
        "A policy that no trace can meet: bounds the wrong way round, no values, a rate or share of 0, a condition beside its opposite.",
        "correct its settings, or take it out",
    ),
    warning(
        Lint::KeepsEverything,
        "keeps-everything",
        "A policy that every trace meets, so that nothing is sampled out: `latency` of 0 ms, 100 %, all three status codes, at least 1 span.",
        "correct its settings, or write `always_sample` if this is meant",
    ),
    warning(
        Lint::DropsEverything,
        "drops-everything",
        "A `drop` policy that every trace meets: nothing is kept.",
        "correct its settings, or take it out",
    ),
    warning(
        Lint::ShadowedPolicy,
        "shadowed-policy",
        "A policy made useless by another one: all that it keeps is kept anyway. In a `composite`, a sub-policy that an earlier one leaves nothing.",
        "take it out, or narrow the other one",
    ),
    warning(
        Lint::DuplicatePolicy,
        "duplicate-policy",
        "Two policies that ask the same under different names.",
        "take one of them out",
    ),
    warning(
        Lint::VetoedPolicy,
        "vetoed-policy",
        "A `drop` policy vetoes all that this policy keeps.",
        "except its traces from the drop policy with `not`, or take it out",
    ),
    warning(
        Lint::InvertedPolicy,
        "inverted-policy",
        "`invert_match` in a policy of the list keeps every trace that has no such value: it excludes nothing. Up to v0.143 of the Collector it did.",
        "to exclude traces write a `drop` policy; to narrow another policy put both into an `and`",
    ),
    warning(
        Lint::UnsetStatus,
        "unset-status",
        "`UNSET` is what nearly every span has: the policy matches nearly every trace.",
        "leave `ERROR` alone in status_codes",
    ),
    note(
        Lint::AndAcrossSpans,
        "and-across-spans",
        "The conditions of `and` and `drop` are asked of the trace: each may be met by another span.",
        "to ask one span for all of it write an `ottl_condition`",
    ),
    warning(
        Lint::ThresholdUnit,
        "threshold-unit",
        "A threshold looks as if it were in another unit: a latency of a few milliseconds or of hours, a size of a few bytes.",
        "thresholds are in milliseconds and bytes",
    ),
    warning(
        Lint::LatencyBeyondWait,
        "latency-beyond-wait",
        "The threshold is not below `decision_wait`: a trace that is so slow has mostly been decided before its slow span arrives.",
        "raise decision_wait above threshold_ms",
    ),
    note(
        Lint::ShortDecisionWait,
        "decision-wait-short",
        "`decision_wait` is below 5 s, the interval in which SDKs send by default: spans of one trace come in later, and late.",
        "write at least 10s, unless all your services send more often",
    ),
    warning(
        Lint::LongDecisionWait,
        "decision-wait-long",
        "`decision_wait` is above 10 minutes: nothing of a trace can be queried before.",
        "write 10s to 60s",
    ),
    warning(
        Lint::RootWaitWithoutEffect,
        "root-wait-without-effect",
        "`decision_wait_after_root_received` can only bring a decision forward. It is not below `decision_wait`.",
        "write less than decision_wait, or take it out",
    ),
    warning(
        Lint::PercentageOver100,
        "percentage-over-100",
        "A share above 100 % counts as 100 %.",
        "write a number from 0 to 100",
    ),
    note(
        Lint::FractionAsPercentage,
        "fraction-as-percentage",
        "A share below 1: percentages go from 0 to 100, so 0.1 is one trace in a thousand.",
        "for one in ten write 10",
    ),
    warning(
        Lint::AllocationSum,
        "allocation-sum",
        "The allocations of a `composite` add up to more than its total: the last sub-policies get less than their share.",
        "make them add up to 100 %; a sub-policy without one has an equal share",
    ),
    warning(
        Lint::AllocationUnknown,
        "allocation-unknown",
        "`rate_allocation` names no sub-policy, or one twice.",
        "name each sub-policy of composite_sub_policy once",
    ),
    note(
        Lint::UnusedAllocation,
        "allocation-unused",
        "The allocations of a `composite` leave a part of its total that no sub-policy can use.",
        "make them add up to 100 %, or write `fill_remaining: true`",
    ),
    warning(
        Lint::PolicyOrderUnknown,
        "policy-order-unknown",
        "`policy_order` names no sub-policy.",
        "name a sub-policy of composite_sub_policy",
    ),
    warning(
        Lint::BurstBelowRate,
        "burst-below-rate",
        "The burst is below the rate of a second: a trace that is larger than the burst is never taken.",
        "leave burst_capacity out (twice the rate), or write more than the rate",
    ),
    warning(
        Lint::ZeroBound,
        "zero-bound",
        "`max_value: 0` counts as no upper bound, here and in the Collector: every number from `min_value` on matches.",
        "write -1, or an `ottl_condition`",
    ),
    warning(
        Lint::RegexNotEnabled,
        "regex-not-enabled",
        "A value looks like a regular expression, but without `enabled_regex_matching` it is compared as it stands.",
        "add `enabled_regex_matching: true`",
    ),
    note(
        Lint::UnanchoredText,
        "unanchored-text",
        "A regular expression of letters and digits alone matches every longer value that contains it.",
        "write `^...$`, or take enabled_regex_matching out",
    ),
    warning(
        Lint::KeyIsNoAttribute,
        "key-is-no-attribute",
        "The key is a path, such as `resource.attributes[...]` or `span.name`. Policies ask for attributes by their keys alone.",
        "write the attribute's key; for other fields write an `ottl_condition`",
    ),
    warning(
        Lint::NumberAsText,
        "number-as-text",
        "A text is asked of an attribute that holds a number by the semantic conventions, such as a status code: it never matches.",
        "use `numeric_attribute`, or a number without quotes in OTTL",
    ),
    note(
        Lint::DeprecatedAttribute,
        "deprecated-attribute",
        "A policy asks for an attribute under its old name only. Newer SDKs send another one.",
        "ask for both names",
    ),
    warning(
        Lint::SpanIngestDrop,
        "span-ingest-drop",
        "With a `drop` policy, `span-ingest` keeps nothing: a later span could still be dropped.",
        "use sampling_strategy trace-complete",
    ),
    warning(
        Lint::SpanIngestNot,
        "span-ingest-not",
        "With `span-ingest` the spans of each record are asked by themselves: `not` and `invert_match` hold for the first ones that lack the match, and the trace is kept.",
        "use sampling_strategy trace-complete",
    ),
    warning(
        Lint::HeadSampling,
        "head-sampling-before-tail",
        "A `probabilistic_sampler` before `tail_sampling` drops traces of which no policy sees anything: errors and slow ones too.",
        "take it out, and use a `probabilistic` policy",
    ),
    warning(
        Lint::SamplingBehindTail,
        "sampling-behind-tail",
        "A `probabilistic_sampler` behind `tail_sampling`, or on logs, drops items of which no weight knows: counts from the sample are too low.",
        "use a `probabilistic` policy; leave logs as they are",
    ),
    warning(
        Lint::RemovedBeforeSampling,
        "removed-before-sampling",
        "A processor before `tail_sampling` takes an attribute away, or hashes it, for which a policy asks.",
        "put the processor behind tail_sampling: all of it runs before anything is stored",
    ),
    warning(
        Lint::SetAfterSampling,
        "set-after-sampling",
        "A policy asks for an attribute that a processor writes behind `tail_sampling`: the policy does not see it.",
        "put the processor before tail_sampling",
    ),
];
