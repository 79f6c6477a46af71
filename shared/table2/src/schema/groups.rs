//! Columns that several tables share, and the joining of groups into one list.

use super::{Column, ColumnType, Encoding};

/// A column stored with the default encoding.
pub(super) const fn col(name: &'static str, kind: ColumnType, doc: &'static str) -> Column {
    Column { name, kind, doc, encoding: Encoding::Default }
}

/// A text column.
pub(super) const fn text(name: &'static str, doc: &'static str) -> Column {
    col(name, ColumnType::String, doc)
}

/// A text column whose values hardly ever repeat.
pub(super) const fn plain(name: &'static str, doc: &'static str) -> Column {
    Column { name, kind: ColumnType::String, doc, encoding: Encoding::Plain }
}

/// A time, a duration or a count: stored as differences.
pub(super) const fn delta(name: &'static str, kind: ColumnType, doc: &'static str) -> Column {
    Column { name, kind, doc, encoding: Encoding::Delta }
}

/// The trace id, by which single rows are looked up.
pub(super) const TRACE_ID: Column = Column {
    name: "trace_id",
    kind: ColumnType::String,
    doc: "Trace id: 32 lower-case hex digits.",
    encoding: Encoding::TraceId,
};

/// When Spanlake received the item.
pub(super) const INGEST_TIME: Column =
    delta("ingest_time", ColumnType::Timestamp, "When Spanlake received it; the clock that `dt` and `hour` follow.");

/// The schema's version.
pub(super) const SCHEMA: Column = col("schema_version", ColumnType::Int, "The version of this schema that wrote the row.");

/// Who sent it.
pub(super) const SERVICE: [Column; 5] = [
    text("service_name", "Resource attribute `service.name`."),
    text("service_namespace", "Resource attribute `service.namespace`."),
    text("service_version", "Resource attribute `service.version`."),
    text("service_instance_id", "Resource attribute `service.instance.id`."),
    text("deployment_environment", "Resource attribute `deployment.environment.name`, or the older `deployment.environment`."),
];

/// Where it ran.
pub(super) const PLACE: [Column; 7] = [
    text("cloud_region", "Resource attribute `cloud.region`."),
    text("cloud_account_id", "Resource attribute `cloud.account.id`."),
    text("host_name", "Resource attribute `host.name`."),
    text("k8s_namespace_name", "Resource attribute `k8s.namespace.name`."),
    text("k8s_pod_name", "Resource attribute `k8s.pod.name`."),
    text("k8s_deployment_name", "Resource attribute `k8s.deployment.name`."),
    text("faas_name", "Resource attribute `faas.name`."),
];

/// What is left when the promoted keys are taken out.
pub(super) const REST: [Column; 5] = [
    col("attributes", ColumnType::Map, "The item's attributes that have no column of their own."),
    col("resource_attributes", ColumnType::Map, "The resource's attributes that have no column of their own."),
    col("scope_attributes", ColumnType::Map, "The attributes of the instrumentation scope."),
    text("scope_name", "Name of the instrumentation scope."),
    text("scope_version", "Version of the instrumentation scope."),
];

/// Attributes inside an event, a link or an exemplar.
pub(super) const INNER_ATTRIBUTES: Column = col("attributes", ColumnType::Map, "All its attributes.");

/// Joins groups of columns into one list. `N` must be their total, or the constant does not compile.
#[expect(clippy::indexing_slicing, reason = "runs when the program is compiled: a wrong index is a compile error")]
pub(super) const fn join<const N: usize>(groups: &[&[Column]]) -> [Column; N] {
    let mut all = [SCHEMA; N];
    let (mut group, mut at) = (0, 0);
    while group < groups.len() {
        let mut index = 0;
        while index < groups[group].len() {
            all[at] = groups[group][index];
            at += 1;
            index += 1;
        }
        group += 1;
    }
    assert!(at == N, "the groups do not have that many columns");
    all
}
