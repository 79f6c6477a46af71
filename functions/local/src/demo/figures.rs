//! Every figure of the demo: what was sent beside what the lake answers. Each is asked in SQL, as a user would.

use std::collections::{BTreeMap, BTreeSet};

use spanlake_model::{SpanId, TraceId};

use super::secrets::leaks;
use super::truth::{Operation, PAYMENT, SLOW_NANOS, Truth};

const NANOS_PER_MS: u64 = 1_000_000;

/// Rows of text cells; SQL's null is the empty text.
pub(crate) type Rows = Vec<Vec<String>>;

/// Runs one SQL statement over the lake.
pub(crate) type Query<'a> = &'a dyn Fn(&str) -> anyhow::Result<Rows>;

/// One line of the comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) sent: String,
    pub(crate) lake: String,
    pub(crate) equal: bool,
}

impl Figure {
    /// A figure that has to be equal to the letter.
    pub(crate) fn new(name: &str, sent: &impl ToString, lake: &impl ToString) -> Self {
        let (sent, lake) = (sent.to_string(), lake.to_string());
        Self { name: name.to_owned(), equal: sent == lake, sent, lake }
    }
}

const TABLES: &[&str] = &[
    "spans",
    "traces",
    "logs",
    "metrics_number",
    "metrics_histogram",
    "metrics_exp_histogram",
    "metrics_summary",
    "red_1m",
    "service_edges_1m",
    "decisions",
];

/// All figures that one number of the lake answers.
pub(crate) fn counted(truth: &Truth, query: Query) -> Vec<Figure> {
    let slow = format!(
        "SELECT count(*) FROM (SELECT trace_id, max(start_unix_nano + duration_nano) - min(start_unix_nano) AS length_nanos \
         FROM spans GROUP BY trace_id) AS lengths WHERE length_nanos > {SLOW_NANOS}"
    );
    let payment = format!("SELECT count(DISTINCT trace_id) FROM spans WHERE service_name = '{PAYMENT}'");
    let spans = truth.spans.len() as u64;
    let asked: &[(&str, u64, &str)] = &[
        (
            "traces with an error, all kept",
            truth.count(|trace| trace.failed),
            "SELECT count(DISTINCT trace_id) FROM spans WHERE status_code = 'ERROR'",
        ),
        ("traces over one second, all kept", truth.count(|trace| trace.slow), &slow),
        ("traces with a payment, all kept", truth.count(|trace| trace.payment), &payment),
        ("spans of health checks kept", 0, "SELECT count(*) FROM spans WHERE url_path = '/health'"),
        (
            "health checks dropped by rule",
            truth.count(|trace| trace.health),
            "SELECT count(DISTINCT trace_id) FROM decisions WHERE verdict = 'dropped'",
        ),
        ("traces decided", truth.traces.len() as u64, "SELECT count(DISTINCT trace_id) FROM decisions"),
        ("spans counted before sampling", spans, "SELECT sum(requests) FROM red_1m"),
        ("log records", truth.logs.total, "SELECT count(*) FROM logs"),
        ("log records of a trace", truth.logs.with_trace, "SELECT count(*) FROM logs WHERE trace_id <> ''"),
        ("log records of level ERROR", truth.logs.errors, "SELECT count(*) FROM logs WHERE severity_text = 'ERROR'"),
        ("gauge and sum points", truth.points.number, "SELECT count(*) FROM metrics_number"),
        ("histogram points", truth.points.histogram, "SELECT count(*) FROM metrics_histogram"),
        ("exponential histogram points", truth.points.exp_histogram, "SELECT count(*) FROM metrics_exp_histogram"),
        ("summary points", truth.points.summary, "SELECT count(*) FROM metrics_summary"),
        (
            "orders placed (sum of a metric)",
            truth.points.orders,
            "SELECT sum(int_value) FROM metrics_number WHERE name = 'shop.orders'",
        ),
        ("observations in histograms", truth.points.observations, "SELECT sum(\"count\") FROM metrics_histogram"),
    ];
    asked.iter().map(|(name, sent, sql)| Figure::new(name, sent, &one_cell(query, sql))).collect()
}

/// The first cell of the answer; of a failure, its text.
fn one_cell(query: Query, sql: &str) -> String {
    match query(sql) {
        Ok(rows) => rows.into_iter().flatten().next().unwrap_or_default(),
        Err(failure) => format!("failed: {failure:#}"),
    }
}

/// A kept span, as the lake has it.
pub(crate) struct Kept {
    id: SpanId,
    trace: TraceId,
    /// Everything else that must be as it was sent.
    rest: Vec<String>,
    /// How many sent traces this kept one stands for.
    pub(crate) weight: f64,
    pub(crate) is_root: bool,
}

impl Kept {
    /// All kept spans.
    ///
    /// # Errors
    /// When the query fails or an id or weight is none.
    pub(crate) fn all(query: Query) -> anyhow::Result<Vec<Self>> {
        let rows = query(
            "SELECT span_id, trace_id, sampling_weight, parent_span_id, name, service_name, kind, status_code, \
             start_unix_nano, duration_nano FROM spans",
        )?;
        rows.into_iter().map(Self::read).collect()
    }

    fn read(row: Vec<String>) -> anyhow::Result<Self> {
        let mut cells = row.into_iter();
        let mut cell = || cells.next().unwrap_or_default();
        let (id, trace, weight) = (cell().parse()?, cell().parse()?, cell().parse()?);
        let rest: Vec<_> = cells.collect();
        let is_root = rest.first().is_some_and(String::is_empty);
        Ok(Self { id, trace, rest, weight, is_root })
    }

    /// Duration and weight, when the span is of this name, service and kind.
    fn of(&self, name: &str, service: &str, kind: &str) -> Option<(u64, f64)> {
        match self.rest.as_slice() {
            [_, its_name, its_service, its_kind, _, _, nanos]
                if its_name == name && its_service == service && its_kind == kind =>
            {
                nanos.parse().ok().map(|nanos| (nanos, self.weight))
            }
            _ => None,
        }
    }
}

/// The rows of `traces` have to add up to the rows of `spans`.
pub(crate) fn summed(kept: &[Kept], query: Query) -> Figure {
    Figure::new("spans kept, by spans | by traces", &kept.len(), &one_cell(query, "SELECT sum(span_count) FROM traces"))
}

/// Compares every kept span with the one that was sent, and every kept trace with the whole one.
pub(crate) fn whole(truth: &Truth, kept: &[Kept]) -> Vec<Figure> {
    let mut seen = BTreeSet::new();
    let mut per_trace: BTreeMap<TraceId, u64> = BTreeMap::new();
    let (mut twice, mut different) = (0_u64, 0_u64);
    for span in kept {
        twice += u64::from(!seen.insert(span.id));
        *per_trace.entry(span.trace).or_default() += 1;
        different += u64::from(!is_as_sent(truth, span));
    }
    let torn = per_trace.iter().filter(|(id, spans)| truth.traces.get(id).is_none_or(|trace| trace.spans != **spans)).count();
    let lost = truth.traces.iter().filter(|(id, trace)| trace.must_be_kept() && !per_trace.contains_key(id)).count();
    vec![
        Figure::new("spans that differ from what was sent", &0, &different),
        Figure::new("spans stored twice", &0, &twice),
        Figure::new("kept traces with a span missing", &0, &torn),
        Figure::new("error, slow or payment traces missing", &0, &lost),
    ]
}

fn is_as_sent(truth: &Truth, kept: &Kept) -> bool {
    truth.spans.get(&kept.id).is_some_and(|sent| {
        let expected = [
            sent.parent.map(|parent| parent.to_string()).unwrap_or_default(),
            sent.name.clone(),
            sent.service.to_owned(),
            sent.kind.to_owned(),
            if sent.failed { "ERROR" } else { "UNSET" }.to_owned(),
            sent.start_nanos.to_string(),
            sent.duration_nanos.to_string(),
        ];
        sent.trace == kept.trace && kept.rest == expected
    })
}

/// Compares the tables that are counted before sampling, key by key.
pub(crate) fn before_sampling(truth: &Truth, query: Query) -> Vec<Figure> {
    let operations = truth.operations.iter().map(|((service, name, kind), sent)| {
        let shortest = sent.durations_nanos.iter().min().copied().unwrap_or(0);
        let longest = sent.durations_nanos.iter().max().copied().unwrap_or(0);
        let total: u64 = sent.durations_nanos.iter().sum();
        let figures = [sent.requests, sent.errors, total, shortest, longest].map(|figure| figure.to_string());
        ([*service, name, *kind].map(str::to_owned).to_vec(), figures.to_vec())
    });
    let red = "SELECT service_name, operation, kind, sum(requests), sum(errors), sum(duration_sum_nano), \
               min(duration_min_nano), max(duration_max_nano) FROM red_1m GROUP BY service_name, operation, kind";
    let edges = truth
        .edges
        .iter()
        .map(|((caller, callee), calls)| ([*caller, *callee].map(str::to_owned).to_vec(), vec![calls.to_string()]));
    let called = "SELECT caller_service, callee_service, sum(requests) FROM service_edges_1m \
                  GROUP BY caller_service, callee_service";
    vec![
        keyed("operations: requests, errors, durations", &operations.collect(), query, red, 3),
        keyed("pairs of services: calls", &edges.collect(), query, called, 2),
    ]
}

/// How many keys have exactly the figures that were sent; a key too many counts as a difference.
fn keyed(name: &str, sent: &BTreeMap<Vec<String>, Vec<String>>, query: Query, sql: &str, key_columns: usize) -> Figure {
    let rows = match query(sql) {
        Ok(rows) => rows,
        Err(failure) => return Figure::new(name, &format!("{} keys", sent.len()), &format!("failed: {failure:#}")),
    };
    let found = rows.len();
    let equal = rows
        .into_iter()
        .filter(|row| {
            row.split_at_checked(key_columns).is_some_and(|(key, figures)| sent.get(key).is_some_and(|sent| sent == figures))
        })
        .count();
    let lake = if found == equal { format!("{equal} keys") } else { format!("{equal} of {found} keys") };
    Figure::new(name, &format!("{} keys", sent.len()), &lake)
}

/// The number of visits, estimated from the weights of the sample: equal when within three standard errors.
pub(crate) fn estimated(truth: &Truth, kept: &[Kept]) -> Figure {
    let roots = || kept.iter().filter(|span| span.is_root);
    let estimate = roots().fold(0.0, |sum, span| sum + span.weight);
    let error = roots().fold(0.0, |sum, span| sum + span.weight * (span.weight - 1.0)).sqrt();
    let sent = truth.count(|trace| !trace.health);
    Figure {
        name: "visits, estimated from the sample".to_owned(),
        sent: sent.to_string(),
        lake: format!("{estimate:.0} +- {error:.0}"),
        equal: (estimate - f64::from(u32::try_from(sent).unwrap_or(u32::MAX))).abs() <= 3.0 * error,
    }
}

/// The busiest endpoints: requests and 95th percentile as sent, and as the weights of the sample give them back.
///
/// Estimates, so they are shown and not compared.
pub(crate) fn endpoints(truth: &Truth, kept: &[Kept]) -> Vec<Vec<String>> {
    let mut busiest: Vec<_> = truth.operations.iter().filter(|((_, _, kind), _)| *kind == "SERVER").collect();
    busiest.sort_by_key(|(_, operation)| std::cmp::Reverse(operation.requests));
    let row = |((service, name, kind), sent): (&(&str, String, &str), &Operation)| {
        let mut sample: Vec<(u64, f64)> = kept.iter().filter_map(|span| span.of(name, service, kind)).collect();
        sample.sort_by_key(|(nanos, _)| *nanos);
        let estimate = sample.iter().fold(0.0, |sum, (_, weight)| sum + weight);
        let mut below = 0.0;
        let p95 = sample.iter().find(|(_, weight)| {
            below += weight;
            below >= 0.95 * estimate
        });
        vec![
            format!("{service} {name}"),
            sent.requests.to_string(),
            format!("{estimate:.0}"),
            format!("{} ms", sent.quantile_nanos(950) / NANOS_PER_MS),
            format!("{} ms", p95.map_or(0, |(nanos, _)| nanos / NANOS_PER_MS)),
            sample.len().to_string(),
        ]
    };
    busiest.into_iter().take(5).map(row).collect()
}

/// Reads every value of every table and counts those that hold a planted secret.
pub(crate) fn leaked(query: Query) -> Figure {
    let mut values = 0_u64;
    let mut found = 0_u64;
    for table in TABLES {
        match query(&format!("SELECT * FROM {table}")) {
            Ok(rows) => {
                for value in rows.into_iter().flatten() {
                    values += 1;
                    found += u64::from(leaks(&value));
                }
            }
            Err(failure) => return Figure::new("values that hold a planted secret", &0, &format!("failed: {failure:#}")),
        }
    }
    let mut figure = Figure::new("values that hold a planted secret", &0, &found);
    // An empty lake leaks nothing and proves nothing.
    figure.equal &= values > 0;
    figure.lake = format!("{found} of {values}");
    figure
}
