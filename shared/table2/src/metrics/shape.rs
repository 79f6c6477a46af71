//! The shapes of data points: which table, which field numbers, which columns.

use crate::context::ContextColumns;
use crate::schema::{Column, METRICS_EXP_HISTOGRAM, METRICS_HISTOGRAM, METRICS_NUMBER, METRICS_SUMMARY, Table, position};

/// Where a data point's message has the fields that all shapes share. Start and time are 2 and 3 in all.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PointFields {
    pub(crate) attributes: u32,
    /// 0 where there are none.
    pub(crate) exemplars: u32,
    pub(crate) flags: u32,
}

/// Where a table of data points has the columns that all share.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PointColumns {
    pub(crate) time: usize,
    pub(crate) time_unix_nano: usize,
    pub(crate) start_unix_nano: usize,
    pub(crate) name: usize,
    pub(crate) unit: usize,
    pub(crate) description: usize,
    pub(crate) series_hash: usize,
    pub(crate) attributes: usize,
    pub(crate) flags: usize,
    pub(crate) exemplars: usize,
    pub(crate) ingest_time: usize,
    pub(crate) schema_version: usize,
}

impl PointColumns {
    const fn of(columns: &[Column]) -> Self {
        Self {
            time: position(columns, "time"),
            time_unix_nano: position(columns, "time_unix_nano"),
            start_unix_nano: position(columns, "start_unix_nano"),
            name: position(columns, "name"),
            unit: position(columns, "unit"),
            description: position(columns, "description"),
            series_hash: position(columns, "series_hash"),
            attributes: position(columns, "attributes"),
            flags: position(columns, "flags"),
            exemplars: position(columns, "exemplars"),
            ingest_time: position(columns, "ingest_time"),
            schema_version: position(columns, "schema_version"),
        }
    }
}

/// A shape of data points.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) table: &'static Table,
    /// The fields of `Metric` that hold it.
    pub(crate) data: &'static [u32],
    pub(crate) fields: PointFields,
    pub(crate) columns: PointColumns,
    pub(crate) context: ContextColumns,
}

const fn shape(table: &'static Table, data: &'static [u32], fields: PointFields) -> Shape {
    Shape { table, data, fields, columns: PointColumns::of(table.columns), context: ContextColumns::of(table.columns) }
}

/// Gauges and sums.
pub(crate) const NUMBER: Shape = shape(&METRICS_NUMBER, &[5, 7], PointFields { attributes: 7, exemplars: 5, flags: 8 });

/// All shapes.
pub(crate) const SHAPES: [Shape; 4] = [
    NUMBER,
    shape(&METRICS_HISTOGRAM, &[9], PointFields { attributes: 9, exemplars: 8, flags: 10 }),
    shape(&METRICS_EXP_HISTOGRAM, &[10], PointFields { attributes: 1, exemplars: 11, flags: 10 }),
    shape(&METRICS_SUMMARY, &[11], PointFields { attributes: 7, exemplars: 0, flags: 8 }),
];
