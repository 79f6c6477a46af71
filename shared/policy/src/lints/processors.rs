//! Kinds of findings about all processors but `tail_sampling`.

use super::{Lint, Row, note, warning};

pub(super) const ROWS: [Row; 24] = [
    warning(
        Lint::PatternMatchesEmpty,
        "pattern-matches-empty",
        "A pattern that masks or replaces matches the empty text: it puts masks between all characters, and masks every number.",
        "make the pattern match something: `+` in place of `*`",
    ),
    warning(
        Lint::PatternMatchesEverything,
        "pattern-matches-everything",
        "A pattern that matches every text. In `allowed_values` or `ignored_key_patterns` it turns redaction off.",
        "make the pattern match something",
    ),
    warning(
        Lint::SlowPattern,
        "slow-pattern",
        "A pattern that cannot scan 200 MB/s: its automaton is too large to be kept, or it begins with a wildcard and is found again and again.",
        "shorten counted repetitions such as `{100}`, and leave out `.*` at the start",
    ),
    warning(
        Lint::LoosePattern,
        "loose-secret-pattern",
        "A pattern like `token=[^&]+` is case-sensitive, also hits longer names, and swallows what follows.",
        r"write (?i)(token|password|secret|api[_-]?key)=[^&#\\s]*",
    ),
    warning(
        Lint::SingleAttributeRedaction,
        "single-attribute-redaction",
        "A redacting statement rewrites one attribute by an old name. The same secret stands in others, in names, events and logs.",
        "the built-in masking covers all of these unless `spanlake.builtin_redaction` is off",
    ),
    warning(
        Lint::RedactionDeletesAll,
        "redaction-deletes-all",
        "A `redaction` without allow_all_keys and allowed_keys deletes every attribute.",
        "write allow_all_keys: true, or list the allowed_keys",
    ),
    warning(
        Lint::RedundantAllowedKeys,
        "redundant-allowed-keys",
        "allow_all_keys is true: allowed_keys has no effect.",
        "take one of the two out",
    ),
    warning(
        Lint::ServiceNameRemoved,
        "service-name-removed",
        "The resource's `service.name` is deleted or hashed: rows, request figures and the service map lose it.",
        "list service.name in allowed_keys, or leave it alone",
    ),
    warning(
        Lint::IgnoredBlockedKey,
        "ignored-blocked-key",
        "A key is in ignored_keys, and blocked_key_patterns match it: it passes untouched.",
        "take it out of ignored_keys",
    ),
    warning(
        Lint::UnknownSummary,
        "unknown-summary",
        "A word that is no summary counts as silent.",
        "write silent, info or debug",
    ),
    warning(
        Lint::HmacKeyWithoutEffect,
        "hmac-key-without-effect",
        "A key without a keyed hash function does nothing.",
        "write hash_function: hmac-sha256, or take it out",
    ),
    warning(
        Lint::PlainHash,
        "plain-hash",
        "A plain hash of an address or a card number is found again by trying all of them.",
        "write hash_function: hmac-sha256 with an hmac_key",
    ),
    warning(
        Lint::DecodedAfterRedaction,
        "decoded-after-redaction",
        "A statement decodes a text behind the last redaction: secrets in it were not to be read before, and are not masked by it.",
        "put the redaction behind the statement",
    ),
    warning(Lint::SettingWithoutEffect, "setting-without-effect", "A key that does nothing beside the others.", "take it out"),
    note(
        Lint::FromContext,
        "from-context",
        "What a client sent along does not reach the rules: from_context finds nothing.",
        "write a default_value, or set the attribute where the data is made",
    ),
    warning(
        Lint::ActionAfterDelete,
        "action-after-delete",
        "An action reads or changes an attribute that an earlier action of the same processor has deleted.",
        "put the delete last",
    ),
    warning(
        Lint::EnumAsText,
        "enum-as-text",
        "A field that is a number is compared with a text: `==` never holds, `!=` always.",
        "compare with an enum, such as STATUS_CODE_ERROR or SPAN_KIND_SERVER",
    ),
    warning(
        Lint::TraceIdRewritten,
        "trace-id-rewritten",
        "A statement writes a trace id: spans that came with different ones are decided apart.",
        "keep the id, and write an attribute",
    ),
    note(
        Lint::PropagateDrops,
        "propagate-drops",
        "With `error_mode: propagate` one failing item drops all items of its record: behind the stream there is no sender who could be told.",
        "write ignore: what redacts masks where it fails",
    ),
    note(
        Lint::OrphanedSpans,
        "orphaned-spans",
        "A `filter` drops single spans: their children lose their parent, and the trace is incomplete.",
        "to drop whole traces, such as health checks, write a `drop` policy",
    ),
    note(
        Lint::DeprecatedStyle,
        "deprecated-style",
        "`include` and `exclude` of `filter` are its oldest form.",
        "write trace_conditions, log_conditions or metric_conditions",
    ),
    warning(
        Lint::FilterDropsAll,
        "filter-drops-all",
        "A condition of a `filter` is just `true`: everything that it is asked of is dropped.",
        "write a condition, or take the filter out",
    ),
    warning(
        Lint::SamplerDropsAll,
        "sampler-drops-all",
        "A `probabilistic_sampler` of 0 % drops everything; 0 is also what a missing sampling_percentage counts as.",
        "write a sampling_percentage above 0",
    ),
    note(
        Lint::SamplerKeepsAll,
        "sampler-keeps-all",
        "A `probabilistic_sampler` of 100 % keeps everything, but for spans whose tracestate it cannot follow.",
        "take it out",
    ),
];
