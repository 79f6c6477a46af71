//! Metrics in CloudWatch's embedded format: a line of JSON on the standard output. Nothing is called, and what is written says
//! how often, never what: no value of a request is in it.

use std::io::Write;

use serde_json::{Map, Value, json};

/// The namespace of what the functions count.
const NAMESPACE: &str = "Spanlake";

/// The namespace of services' figures.
const SERVICES: &str = "Spanlake/Services";

/// A value of a metric.
pub(crate) type Metric<'a> = (&'a str, f64, Unit);

/// What a value counts, in CloudWatch's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Things.
    Count,
    /// Bytes.
    Bytes,
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
    /// Percent.
    Percent,
}

/// Writes metrics of a deployment.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// None: they go nowhere.
    deployment: Option<String>,
}

impl Metrics {
    /// Metrics with this name of the deployment as their dimension.
    #[must_use]
    pub const fn new(deployment: String) -> Self {
        Self { deployment: Some(deployment) }
    }

    /// Metrics that nobody reads.
    #[must_use]
    pub const fn off() -> Self {
        Self { deployment: None }
    }

    /// Writes what a function counted.
    pub(crate) fn write(&self, now_nanos: i64, metrics: &[Metric<'_>]) {
        if let Some(deployment) = &self.deployment {
            put(&document(NAMESPACE, now_nanos, &[("Deployment", deployment)], metrics));
        }
    }

    /// Writes figures of a service.
    pub(crate) fn write_service(&self, now_nanos: i64, service: &str, metrics: &[Metric<'_>]) {
        if let Some(deployment) = &self.deployment {
            put(&document(SERVICES, now_nanos, &[("Deployment", deployment), ("Service", service)], metrics));
        }
    }
}

/// A line that cannot be written is lost: there is nobody to tell.
fn put(line: &str) {
    drop(writeln!(std::io::stdout().lock(), "{line}"));
}

/// CloudWatch takes no more metrics in a document than are ever given here (100), and no negative ones.
fn document(namespace: &str, at_nanos: i64, dimensions: &[(&str, &str)], metrics: &[Metric<'_>]) -> String {
    let names: Vec<&str> = dimensions.iter().map(|(name, _)| *name).collect();
    let described: Vec<Value> =
        metrics.iter().map(|(name, _, unit)| json!({ "Name": name, "Unit": format!("{unit:?}") })).collect();
    let directive = json!({ "Namespace": namespace, "Dimensions": [names], "Metrics": described });
    let mut document = Map::new();
    document.insert("_aws".to_owned(), json!({ "Timestamp": at_nanos / 1_000_000, "CloudWatchMetrics": [directive] }));
    document.extend(dimensions.iter().map(|(name, value)| ((*name).to_owned(), json!(value))));
    document.extend(metrics.iter().map(|(name, value, _)| ((*name).to_owned(), json!(value.max(0.0)))));
    Value::Object(document).to_string()
}

/// A count as CloudWatch has it.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
pub(crate) const fn count(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_names_its_metrics_units_and_dimensions() {
        let line = document("N", 1_760_000_000_123_000_000, &[("Deployment", "d")], &[("Lag", -1.0, Unit::Seconds)]);
        let value: Value = serde_json::from_str(&line).unwrap();
        let expected = json!({
            "_aws": { "Timestamp": 1_760_000_000_123_i64, "CloudWatchMetrics": [{ "Namespace": "N", "Dimensions": [["Deployment"]],
                "Metrics": [{ "Name": "Lag", "Unit": "Seconds" }] }] },
            "Deployment": "d", "Lag": 0.0,
        });
        assert_eq!(value, expected);
        assert!(!line.contains('\n'));
    }
}
