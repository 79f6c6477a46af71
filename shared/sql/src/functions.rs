//! Athena's functions that the engine lacks, under Athena's names, so that one text runs in both.

mod element_at;
mod from_unixtime_nanos;
mod percentile;

use datafusion::logical_expr::{AggregateUDF, ScalarUDF};
use datafusion::prelude::SessionContext;

/// Adds them to a session; `element_at` replaces the engine's function of that name, which answers with a list.
pub(crate) fn register(context: &SessionContext) {
    context.register_udf(ScalarUDF::from(element_at::ElementAt::default()));
    context.register_udf(ScalarUDF::from(from_unixtime_nanos::FromUnixtimeNanos::default()));
    context.register_udaf(AggregateUDF::from(percentile::ApproxPercentile::default()));
}
