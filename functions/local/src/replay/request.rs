//! Export requests of any signal, out of rows of the lake.

use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use spanlake_model::Signal;

use super::points::{join, metric, point_columns};
use super::rebuild::{Reading, Row, log, log_columns, resource, scope, span, span_columns};

/// A table of the lake whose rows are items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    Spans,
    Logs,
    Numbers,
    Histograms,
    Exponentials,
    Summaries,
}

impl Table {
    /// Those of data points.
    pub(super) const POINTS: [Self; 4] = [Self::Numbers, Self::Histograms, Self::Exponentials, Self::Summaries];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Spans => "spans",
            Self::Logs => "logs",
            Self::Numbers => "metrics_number",
            Self::Histograms => "metrics_histogram",
            Self::Exponentials => "metrics_exp_histogram",
            Self::Summaries => "metrics_summary",
        }
    }

    pub(super) const fn signal(self) -> Signal {
        match self {
            Self::Spans => Signal::Traces,
            Self::Logs => Signal::Logs,
            Self::Numbers | Self::Histograms | Self::Exponentials | Self::Summaries => Signal::Metrics,
        }
    }

    /// The columns that an item is made of.
    pub(super) fn columns(self) -> Vec<&'static str> {
        match self {
            Self::Spans => span_columns(),
            Self::Logs => log_columns(),
            Self::Numbers | Self::Histograms | Self::Exponentials | Self::Summaries => point_columns(self),
        }
    }
}

/// An item.
enum Item {
    Span(Span),
    Log(LogRecord),
    Metric(Metric),
}

impl Item {
    fn of(table: Table, row: Row<'_>, reading: Reading) -> Self {
        match table {
            Table::Spans => Self::Span(span(row, reading)),
            Table::Logs => Self::Log(log(row, reading)),
            Table::Numbers | Table::Histograms | Table::Exponentials | Table::Summaries => {
                Self::Metric(metric(table, row, reading))
            }
        }
    }

    fn encode(&self) -> Vec<u8> {
        match self {
            Self::Span(span) => span.encode_to_vec(),
            Self::Log(log) => log.encode_to_vec(),
            Self::Metric(metric) => metric.encode_to_vec(),
        }
    }
}

type Scopes = Vec<(InstrumentationScope, Vec<Item>)>;

/// Items of one signal with the resources and scopes that they share.
#[derive(Default)]
pub(super) struct Request(Vec<(Resource, Scopes)>);

impl Request {
    /// Adds the item of a row. A data point goes with the one before if both are of one metric.
    pub(super) fn push(&mut self, table: Table, row: Row<'_>, reading: Reading) {
        let (resource, scope) = (resource(row, reading), scope(row, reading));
        let item = Item::of(table, row, reading);
        let place = self.0.iter().rposition(|(known, _)| *known == resource);
        let place = place.unwrap_or_else(|| {
            self.0.push((resource, Vec::new()));
            self.0.len() - 1
        });
        let Some((_, scopes)) = self.0.get_mut(place) else { return };
        let Some((_, items)) = scopes.iter_mut().find(|(known, _)| *known == scope) else {
            scopes.push((scope, vec![item]));
            return;
        };
        let item = match (items.last_mut(), item) {
            (Some(Item::Metric(last)), Item::Metric(next)) => join(last, next).map(Item::Metric),
            (_, item) => Some(item),
        };
        items.extend(item);
    }

    /// The export request, and the length of its items' messages.
    pub(super) fn finish(self) -> (Vec<u8>, u64) {
        let mut bytes = 0;
        let mut encode = |item: &Item| {
            let item = item.encode();
            bytes += item.len() as u64;
            item
        };
        let mut groups = Vec::with_capacity(self.0.len());
        for (resource, scopes) in self.0 {
            let mut of_resource = ResourceItems { resource: Some(resource), scopes: Vec::with_capacity(scopes.len()) };
            for (scope, items) in scopes {
                let items = items.iter().map(&mut encode).collect();
                of_resource.scopes.push(ScopeItems { scope: Some(scope), items });
            }
            groups.push(of_resource);
        }
        (Export { groups }.encode_to_vec(), bytes)
    }
}

/// An export request of any signal: all three have this shape.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Export {
    #[prost(message, repeated, tag = "1")]
    pub(super) groups: Vec<ResourceItems>,
}

/// Items of one resource.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ResourceItems {
    #[prost(message, optional, tag = "1")]
    pub(super) resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    pub(super) scopes: Vec<ScopeItems>,
}

/// Items of one scope, each its message.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ScopeItems {
    #[prost(message, optional, tag = "1")]
    pub(super) scope: Option<InstrumentationScope>,
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub(super) items: Vec<Vec<u8>>,
}
