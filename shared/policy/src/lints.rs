//! Every kind of finding by its name: one table, from which `docs/lints.md` and `spanlake check --list` are made.
//!
//! A name never changes: CI files say `--allow NAME`.

mod errors;
mod file;
mod page;
mod processors;
mod sampling;

pub use page::{explain, lints_page};

use crate::finding::Severity;

/// A kind of finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lint {
    // What cannot be used.
    InvalidYaml,
    UnknownKey,
    WrongType,
    InvalidValue,
    InvalidPattern,
    InvalidStatement,
    InvalidVariable,
    UndefinedReference,
    UnknownComponent,
    WrongSignal,
    DuplicateName,
    NotSupported,
    TooLarge,
    // The file, its values and its pipelines.
    EmptyFile,
    NoService,
    UnusedProcessor,
    IdleProcessor,
    UnsetVariable,
    DurationWithoutUnit,
    NegativeDuration,
    FractionCutOff,
    NumberOutOfRange,
    ShortHorizon,
    LongHorizon,
    LongWindow,
    BuiltinMaskingOff,
    EmailsStored,
    FailOpen,
    KeyInFile,
    NothingRedacted,
    UnredactedSignal,
    OverlayInFile,
    ComponentWithoutEffect,
    GrpcNotServed,
    ProcessorWithoutEffect,
    OptionWithoutEffect,
    NodeLocalSampling,
    // Sampling.
    NoPolicies,
    EmptyPolicy,
    MissingSettings,
    NeverMatches,
    KeepsEverything,
    DropsEverything,
    ShadowedPolicy,
    DuplicatePolicy,
    ReservedName,
    VetoedPolicy,
    InvertedPolicy,
    UnsetStatus,
    AndAcrossSpans,
    ThresholdUnit,
    LatencyBeyondWait,
    ShortDecisionWait,
    LongDecisionWait,
    RootWaitWithoutEffect,
    PercentageOver100,
    FractionAsPercentage,
    AllocationSum,
    AllocationUnknown,
    UnusedAllocation,
    PolicyOrderUnknown,
    BurstBelowRate,
    ZeroBound,
    RegexNotEnabled,
    UnanchoredText,
    KeyIsNoAttribute,
    NumberAsText,
    DeprecatedAttribute,
    SpanIngestDrop,
    SpanIngestNot,
    HeadSampling,
    SamplingBehindTail,
    RemovedBeforeSampling,
    SetAfterSampling,
    // Other processors.
    PatternMatchesEmpty,
    PatternMatchesEverything,
    SlowPattern,
    LoosePattern,
    SingleAttributeRedaction,
    RedactionDeletesAll,
    RedundantAllowedKeys,
    ServiceNameRemoved,
    IgnoredBlockedKey,
    UnknownSummary,
    HmacKeyWithoutEffect,
    PlainHash,
    DecodedAfterRedaction,
    SettingWithoutEffect,
    FromContext,
    ActionAfterDelete,
    EnumAsText,
    TraceIdRewritten,
    PropagateDrops,
    OrphanedSpans,
    DeprecatedStyle,
    FilterDropsAll,
    SamplerDropsAll,
    SamplerKeepsAll,
}

/// What is known of a kind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) lint: Lint,
    pub(crate) name: &'static str,
    pub(crate) severity: Severity,
    /// What is wrong with it, in a sentence or two.
    pub(crate) explains: &'static str,
    /// What to do, where the finding itself has nothing better.
    pub(crate) remedy: &'static str,
}

const fn error(lint: Lint, name: &'static str, explains: &'static str, remedy: &'static str) -> Row {
    Row { lint, name, severity: Severity::Error, explains, remedy }
}

const fn warning(lint: Lint, name: &'static str, explains: &'static str, remedy: &'static str) -> Row {
    Row { lint, name, severity: Severity::Warning, explains, remedy }
}

const fn note(lint: Lint, name: &'static str, explains: &'static str, remedy: &'static str) -> Row {
    Row { lint, name, severity: Severity::Note, explains, remedy }
}

/// The table, by group.
const GROUPS: [(&str, &[Row]); 4] = [
    ("What cannot be used", &errors::ROWS),
    ("The file, its values and its pipelines", &file::ROWS),
    ("Sampling", &sampling::ROWS),
    ("Other processors", &processors::ROWS),
];

/// All kinds, in the table's order.
pub(crate) fn rows() -> impl Iterator<Item = &'static Row> {
    GROUPS.iter().flat_map(|(_, rows)| rows.iter())
}

impl Lint {
    pub(crate) fn row(self) -> Option<&'static Row> {
        rows().find(|row| row.lint == self)
    }
}

/// Every kind of finding: name and severity, in the order of the documentation.
pub fn lints() -> impl Iterator<Item = (&'static str, Severity)> {
    rows().map(|row| (row.name, row.severity))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_one_row_in_its_place_and_a_name_of_its_own() {
        assert!(rows().enumerate().all(|(place, row)| row.lint as usize == place));
        assert_eq!(rows().count(), Lint::SamplerKeepsAll as usize + 1, "the last kind has no row");
        let mut names: Vec<&str> = rows().map(|row| row.name).collect();
        let words = |name: &str| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        assert!(names.iter().all(|name| words(name)), "{names:?}");
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), rows().count());
    }
}
