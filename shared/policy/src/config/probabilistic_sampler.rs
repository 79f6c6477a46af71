//! The `probabilistic_sampler` processor.

#[cfg(test)]
mod tests;

use super::reader::{Fields, Findings};
use super::yaml::Tree;
use crate::sampling::{Mode, ProbabilisticSampler, Source};

/// Hex digits of a threshold where none are given, and the most.
const PRECISION: (i64, i64) = (4, 14);

/// Reads a `probabilistic_sampler` block.
#[expect(clippy::cast_possible_truncation, reason = "the Collector reads percentages in single precision")]
pub(super) fn read(tree: &Tree, path: &str, findings: &mut Findings) -> ProbabilisticSampler {
    let mut fields = Fields::new(tree, path, findings);
    let line = fields.line_of("sampling_percentage");
    let percentage = fields.float("sampling_percentage", findings).unwrap_or(0.0) as f32;
    if percentage < 0.0 || !percentage.is_finite() {
        findings.error(line, &fields.path_of("sampling_percentage"), "the percentage must not be negative, nor infinite");
    }
    let seed = fields.integer("hash_seed", (0, u32::MAX.into()), findings).unwrap_or(0);
    let line = fields.line_of("mode");
    let mode = match fields.string("mode", findings) {
        None | Some("" | "hash_seed") => Mode::HashSeed,
        Some("proportional") => Mode::Proportional,
        Some("equalizing") => Mode::Equalizing,
        Some(other) => {
            let message = format!("unsupported mode \"{other}\": hash_seed, proportional or equalizing");
            findings.error(line, &fields.path_of("mode"), message);
            Mode::HashSeed
        }
    };
    let fail_closed = fields.bool("fail_closed", findings).unwrap_or(true);
    let line = fields.line_of("sampling_precision");
    let precision = fields.integer("sampling_precision", (i64::MIN, i64::MAX), findings).unwrap_or(PRECISION.0);
    if !(1..=PRECISION.1).contains(&precision) {
        findings.error(line, &fields.path_of("sampling_precision"), "sampling_precision must be 1 to 14");
    }
    let line = fields.line_of("attribute_source");
    let from = fields.string("from_attribute", findings).unwrap_or_default().to_owned();
    let source = match fields.string("attribute_source", findings) {
        None | Some("traceID") => Source::TraceId,
        Some("record") => Source::Record(from),
        Some(other) => {
            let message = format!("invalid attribute_source \"{other}\": traceID or record");
            findings.error(line, &fields.path_of("attribute_source"), message);
            Source::TraceId
        }
    };
    let priority = fields.string("sampling_priority", findings).unwrap_or_default().to_owned();
    fields.finish(findings);
    let (seed, precision) = (u32::try_from(seed).unwrap_or(u32::MAX), u32::try_from(precision).unwrap_or(0));
    ProbabilisticSampler { mode, percentage, seed, precision, fail_closed, source, priority }
}
