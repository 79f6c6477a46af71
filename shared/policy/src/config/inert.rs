//! What loads and does nothing here: the published list, with the reasons.

use super::reader::{Fields, Findings};
use super::yaml::Tree;

/// Processors without an effect here: type, why, and what takes their place.
const PROCESSORS: [(&str, &str, &str); 8] = [
    ("batch", "the stream and the archive batch by themselves", "nothing to do"),
    ("memory_limiter", "memory is bounded by Spanlake's own limits", "nothing to do"),
    (
        "k8sattributes",
        "it needs the Kubernetes API and the sender's pod address",
        "set OTEL_RESOURCE_ATTRIBUTES in the pods, or keep it in an agent; k8s.* attributes that arrive stay untouched",
    ),
    ("k8s_attributes", "it needs the Kubernetes API and the sender's pod address", "set OTEL_RESOURCE_ATTRIBUTES in the pods"),
    ("resourcedetection", "it would detect this process, not the sender", "use the SDK's resource detectors"),
    ("groupbytrace", "spans are always grouped by trace", "nothing to do"),
    ("groupbyattrs", "the lake's rows carry their resource", "GROUP BY in SQL"),
    ("geoip", "it needs a database of addresses", "join one in SQL"),
];

/// Processors that upstream has, that change or drop data, and that Spanlake does not have yet.
const LATER: [&str; 13] = [
    "coralogix",
    "cumulativetodelta",
    "deltatocumulative",
    "deltatorate",
    "interval",
    "logdedup",
    "logstransform",
    "lookup",
    "metricsgeneration",
    "metricstransform",
    "schema",
    "span",
    "unroll",
];

/// Why a processor does nothing here, and what to do instead; `None` for one that is not on the list.
pub(super) fn processor(kind: &str) -> Option<(&'static str, &'static str)> {
    PROCESSORS.iter().find(|(name, ..)| *name == kind).map(|(_, why, instead)| (*why, *instead))
}

/// The types of processors that do nothing here.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    PROCESSORS.iter().map(|(name, ..)| *name)
}

/// Whether upstream has a processor of this type.
pub(super) fn is_later(kind: &str) -> bool {
    LATER.contains(&kind)
}

/// Checks what the Collector would check of a processor that does nothing here.
pub(super) fn validate(kind: &str, tree: &Tree, path: &str, findings: &mut Findings) {
    match kind {
        "batch" => batch(tree, path, findings),
        "memory_limiter" => memory_limiter(tree, path, findings),
        _ => {}
    }
}

fn batch(tree: &Tree, path: &str, findings: &mut Findings) {
    let mut fields = Fields::new(tree, path, findings);
    let size = fields.integer("send_batch_size", (0, i64::MAX), findings).unwrap_or(8192);
    let most = fields.integer("send_batch_max_size", (0, i64::MAX), findings).unwrap_or(0);
    fields.duration_ms("timeout", findings);
    fields.strings("metadata_keys", findings);
    fields.integer("metadata_cardinality_limit", (0, i64::MAX), findings);
    if most > 0 && most < size {
        let path = fields.path_of("send_batch_max_size");
        findings.error(fields.line_of("send_batch_max_size"), &path, "send_batch_max_size must be at least send_batch_size");
    }
    fields.finish(findings);
}

fn memory_limiter(tree: &Tree, path: &str, findings: &mut Findings) {
    let mut fields = Fields::new(tree, path, findings);
    let interval = fields.duration_ms("check_interval", findings).unwrap_or(0);
    let mut number = |key: &str| fields.integer(key, (0, i64::MAX), findings).unwrap_or(0);
    let (limit, spike) = (number("limit_mib"), number("spike_limit_mib"));
    let (percentage, spike_percentage) = (number("limit_percentage"), number("spike_limit_percentage"));
    for key in ["min_gc_interval_when_soft_limited", "min_gc_interval_when_hard_limited"] {
        fields.duration_ms(key, findings);
    }
    let fault = if interval == 0 {
        Some("check_interval must be greater than zero")
    } else if limit == 0 && percentage == 0 {
        Some("limit_mib or limit_percentage must be set")
    } else if percentage > 100 || spike_percentage > 100 {
        Some("a percentage must be at most 100")
    } else if (limit > 0 && spike >= limit) || (limit == 0 && spike_percentage >= percentage) {
        Some("the spike limit must be smaller than the limit")
    } else {
        None
    };
    if let Some(fault) = fault {
        findings.error(fields.line, path, fault);
    }
    fields.finish(findings);
}
