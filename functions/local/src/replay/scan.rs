//! What a dry run reads of a data folder: staged traces, the lake's rows in an order in which they need not be held, and the rules by
//! version.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use spanlake_model::{NANOS_PER_SECOND, PerSignal, Signal, ms_to_nanos};
use spanlake_pipeline::RulesBook;
use spanlake_pipeline::archive::partition_of;
use spanlake_pipeline::inspect::{Overview, StagedDecision, StagedTrace, deciding_versions, staged_traces};
use spanlake_pipeline::keys;
use spanlake_pipeline::manifest::Manifest;
use spanlake_pipeline::ports::ObjectStore;
use spanlake_pipeline::settings::GroupSettings;
use spanlake_policy::{DEFAULT_CONFIG, KEEP_ALL, Rules};
use spanlake_sql::{Lake, SqlError};

use super::items::Items;
use super::judge::Judge;
use super::rebuild::Columns;
use super::request::Table;
use super::tally::{Basis, Sum, Tally};
use crate::folder::Folder;
use crate::lake::{open, texts};
use crate::up::compile;
use crate::why::timestamp_text;

/// Before the time that is asked for, how far back files are looked at for spans of traces that were decided since. Where a
/// decision waits for longer, spans are missing, and the trace is counted as incomplete.
const EARLIER: Duration = Duration::from_hours(2);

/// Rows between two words on the progress.
const PROGRESS_ROWS: u64 = 4_096;

/// Everything that a report is made of.
pub(super) struct Findings {
    pub(super) since_nanos: i64,
    /// From the first decision to the last, nanoseconds.
    pub(super) covered_nanos: i64,
    pub(super) tally: Tally,
    /// Decided traces of which nothing is there, by verdict and policy.
    pub(super) gone: BTreeMap<(String, String), Sum>,
    /// Kept by a recorded decision, and neither staged nor in the lake.
    pub(super) not_filed: u64,
    /// Spans that were kept without a decision on their trace, by their policy.
    pub(super) undecided: BTreeMap<String, u64>,
    /// Versions of rules that decided.
    pub(super) old: BTreeMap<String, Text>,
    /// Traces that `spanlake keep-all` has kept, whatever the rules of their time said.
    pub(super) kept_whole: Sum,
    /// Log records that went the way of their traces, since the folder began.
    pub(super) logs_sampled_out: u64,
    /// Differences between old and new rules that a dry run cannot follow.
    pub(super) waits_differ: bool,
    /// The new rules limit rates, and other rules have decided: what would compete for the room is gone.
    pub(super) is_limited: bool,
    /// Of the tables of each signal.
    pub(super) files: PerSignal<Files>,
}

/// What is left of the rules of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Text {
    /// They run.
    Usable,
    /// Their text is there, and comes to other rules here, or to none.
    Differs,
    Missing,
}

impl Text {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Usable => "usable",
            Self::Differs => "differs",
            Self::Missing => "missing",
        }
    }
}

/// What files of the hours in question hold.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Files {
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

impl Files {
    fn add(&mut self, more: Self) {
        self.rows += more.rows;
        self.bytes += more.bytes;
    }
}

/// The tables of items that wait for no decision.
fn records_tables() -> impl Iterator<Item = Table> {
    [Table::Logs].into_iter().chain(Table::POINTS)
}

/// Reads everything since `since_nanos`, and runs the new rules on it.
pub(super) async fn scan(
    folder: &Folder,
    new: &Arc<Rules>,
    since_nanos: i64,
    progress: &dyn Fn(&str),
) -> anyhow::Result<Findings> {
    let lake = open(&folder.path)?;
    let since = Since(since_nanos);
    let overview = folder.overview().await?;
    let mut versions = deciding_versions(&folder.store).await.context("reading the state of the data folder")?;
    versions.extend(lake_versions(&lake, since).await?);
    let (mut old, mut texts_there) = (BTreeMap::new(), BTreeMap::new());
    for version in versions {
        let rules = rules_of(folder, &version).await?;
        texts_there.insert(version.clone(), rules.as_ref().err().copied().unwrap_or(Text::Usable));
        old.extend(rules.ok().map(|rules| (version, rules)));
    }
    let in_force = newest(&overview).and_then(|version| old.get(&version).cloned());
    let mut judge = Judge::new(Arc::clone(new), &old, shards(&overview));
    bodies(folder, since, (&old, in_force.as_deref()), &mut judge, progress).await?;
    let staged = judge.staged_windows();
    let Decisions { gone, kept, first_micros, last_micros } = decisions(&lake, since, &judge).await?;
    let mut records = 0;
    for table in records_tables() {
        let sql = format!("SELECT count(*) FROM {} WHERE {}", table.name(), since.rows("", "ingest_time"));
        records += count(&lake, &sql).await?;
    }
    if gone.is_empty() && kept.traces == 0 && records == 0 && staged.is_none() {
        bail!(
            "nothing was decided and no log record or data point came since {} (UTC), so there is nothing to run the rules on: name a longer time \
             with --since, or look whether services send here: spanlake status --data {}",
            timestamp_text(since_nanos),
            folder.path.display()
        );
    }
    let (first, last) = staged.unwrap_or((i64::MAX, 0));
    let covered_micros = last.max(last_micros).saturating_sub(first.min(first_micros)).max(0);
    let waits_differ = old.values().any(|old| {
        let waits = |rules: &Rules| (rules.decision_wait_ms(), rules.decision_wait_after_root_ms(), rules.window_ms());
        waits(old) != waits(new)
    });
    let is_other = |version: &String| old.get(version).map_or(version.as_str(), |old| old.version()) != new.version();
    let is_limited = new.has_limits() && texts_there.keys().any(is_other);
    let mut tally = spans(&lake, since, judge, progress).await?;
    for table in records_tables() {
        items(&lake, since, table, (new, in_force.as_ref()), &mut tally, progress).await?;
    }
    let in_lake = tally.judged.get(&Basis::Rows).map_or(0, |rows| rows.traces);
    let mut files = PerSignal::default();
    for table in [Table::Spans].into_iter().chain(records_tables()) {
        let signal: &mut Files = &mut files[table.signal()];
        signal.add(files_of(&folder.path, &lake, table, since).await?);
    }
    // A policy may have the same name: rules that can be read tell.
    let is_laid_over = old.values().any(|old| !old.overlay().is_empty()) || old.len() < texts_there.len();
    let kept_whole = tally.policies.get(KEEP_ALL).filter(|_| is_laid_over).map(|policy| policy.old).unwrap_or_default();
    Ok(Findings {
        since_nanos,
        covered_nanos: covered_micros.saturating_mul(1_000),
        not_filed: kept.traces.saturating_sub(in_lake),
        undecided: undecided(&lake, since).await?,
        old: texts_there,
        kept_whole,
        logs_sampled_out: overview.ledger.logs.sampled_out,
        waits_differ,
        is_limited,
        files,
        tally,
        gone,
    })
}

/// A point in time, as statements ask for it.
#[derive(Clone, Copy)]
struct Since(i64);

impl Since {
    /// Rows whose time is not before it, and the hours in which they can be; `table` is a prefix of columns.
    fn rows(self, table: &str, column: &str) -> String {
        let time = sql_time(self.0);
        format!("{table}{column} >= TIMESTAMP '{time}' AND {}", self.hours(table))
    }

    /// The hours in which rows can be that came since, or shortly before.
    fn hours(self, table: &str) -> String {
        let (date, hour) = self.first_hour();
        format!("{table}dt >= '{date}' AND {table}dt || ' ' || {table}hour >= '{date} {hour}'")
    }

    fn first_hour(self) -> (String, String) {
        let earlier = self.0.saturating_sub(i64::try_from(EARLIER.as_nanos()).unwrap_or(i64::MAX)).max(0);
        let partition = partition_of(earlier);
        let (date, hour) = partition.split_once('/').unwrap_or_default();
        (date.trim_start_matches("dt=").to_owned(), hour.trim_start_matches("hour=").to_owned())
    }
}

fn shards(overview: &Overview) -> Vec<spanlake_model::BucketRange> {
    overview.manifests.iter().filter(|manifest| !manifest.closed).map(Manifest::buckets).collect()
}

/// The rules that hold now.
fn newest(overview: &Overview) -> Option<String> {
    overview.manifests.iter().max_by_key(|manifest| manifest.clock).map(|manifest| manifest.rules.current.clone())
}

/// The rules of a version, or why they cannot run.
async fn rules_of(folder: &Folder, version: &str) -> anyhow::Result<Result<Arc<Rules>, Text>> {
    if version.is_empty() {
        return Ok(compile(DEFAULT_CONFIG).map(Arc::new).map_err(|_| Text::Differs));
    }
    let text = folder.store.get(&keys::rules(version)).await.context("reading the rules that are in force")?;
    let Some(text) = text else { return Ok(Err(Text::Missing)) };
    let rules = std::str::from_utf8(&text.bytes).ok().and_then(|text| compile(text).ok());
    // An environment variable may say something else by now: then these are other rules.
    Ok(rules.filter(|rules| rules.version() == version).map(Arc::new).ok_or(Text::Differs))
}

/// Takes every trace since of which all spans are staged.
async fn bodies(
    folder: &Folder,
    since: Since,
    (old, in_force): (&BTreeMap<String, Arc<Rules>>, Option<&Rules>),
    judge: &mut Judge,
    progress: &dyn Fn(&str),
) -> anyhow::Result<()> {
    let mut book = RulesBook::default();
    for (version, rules) in old {
        book.insert(version, Arc::clone(rules));
    }
    let nanos = |ms: u64| ms_to_nanos(i64::try_from(ms).unwrap_or(i64::MAX));
    // As the running process has them.
    let settings = in_force.map_or_else(GroupSettings::default, |rules| GroupSettings {
        window_nanos: nanos(rules.window_ms()),
        late_horizon_nanos: nanos(rules.late_horizon_ms()),
        ..GroupSettings::default()
    });
    let mut traces: u64 = 0;
    let each = |trace: StagedTrace| {
        traces += 1;
        if traces.is_multiple_of(PROGRESS_ROWS) {
            progress(&format!("{traces} staged traces read"));
        }
        let came = trace.parts.iter().map(|part| part.arrival_nanos).max().unwrap_or_default();
        let at = if matches!(trace.decision, StagedDecision::Made(_)) { trace.window[1] } else { came };
        if at < since.0 { Ok(()) } else { judge.staged(trace) }
    };
    let unread = staged_traces::<_, anyhow::Error>(&folder.store, &book, &settings, each).await;
    judge.tally.waiting_not_run += unread.context("reading what is staged")?.waiting_spans;
    Ok(())
}

/// Versions of rules that decided.
async fn lake_versions(lake: &Lake, since: Since) -> anyhow::Result<BTreeSet<String>> {
    let sql = format!("SELECT DISTINCT coalesce(rules_version, '') FROM decisions WHERE {}", since.rows("", "decided_time"));
    let rows = texts(lake, &sql).await.context("asking the decisions table")?;
    Ok(rows.into_iter().flatten().collect())
}

/// What was decided of traces that are not staged any more.
struct Decisions {
    /// Not kept, by verdict and policy.
    gone: BTreeMap<(String, String), Sum>,
    kept: Sum,
    /// Start of the first window and end of the last one, of all decisions; microseconds.
    first_micros: i64,
    last_micros: i64,
}

async fn decisions(lake: &Lake, since: Since, judge: &Judge) -> anyhow::Result<Decisions> {
    // Of windows in which traces are staged each decision is looked at, of the others only how many there are.
    let single = judge.first_staged_micros().map_or_else(
        || "false".to_owned(),
        |first| format!("decided_time >= TIMESTAMP '{}'", sql_time(first.saturating_mul(1_000))),
    );
    let names = ["verdict", "policy", "trace_id", "decided", "traces", "spans", "first", "last"].map(str::to_owned);
    let sql = format!(
        "SELECT verdict, coalesce(policy, ''), CASE WHEN {single} THEN trace_id END, \
         CASE WHEN {single} THEN CAST(decided_time AS BIGINT) END, count(*), CAST(sum(span_count) AS BIGINT), \
         min(CAST(window_start AS BIGINT)), max(CAST(decided_time AS BIGINT)) FROM decisions WHERE {} GROUP BY 1, 2, 3, 4",
        since.rows("", "decided_time")
    );
    let columns = Columns::new(&names);
    let mut found = Decisions { gone: BTreeMap::new(), kept: Sum::default(), first_micros: i64::MAX, last_micros: 0 };
    let read = lake.for_each::<Failed>(&sql, |cells| {
        let row = columns.row(cells);
        found.first_micros = found.first_micros.min(row.int("first"));
        found.last_micros = found.last_micros.max(row.int("last"));
        if row.text("trace_id").parse().is_ok_and(|id| judge.has_staged(id, row.int("decided"))) {
            return Ok(());
        }
        let sum = match row.text("verdict") {
            "kept" => &mut found.kept,
            verdict => found.gone.entry((verdict.to_owned(), row.text("policy").to_owned())).or_default(),
        };
        sum.add(row.uint("traces"), row.uint("spans"));
        Ok(())
    });
    read.await.map_err(Failed::into_anyhow)?;
    Ok(found)
}

/// A point in time in a statement.
fn sql_time(nanos: i64) -> String {
    timestamp_text(nanos).trim_end_matches('Z').replace('T', " ")
}

/// Every kept trace since, a window after the other.
async fn spans(lake: &Lake, since: Since, mut judge: Judge, progress: &dyn Fn(&str)) -> anyhow::Result<Tally> {
    let own = Table::Spans.columns();
    let further = [
        ("CAST(d.decided_time AS BIGINT)", "decided"),
        ("CAST(d.window_start AS BIGINT)", "window_began"),
        ("d.policy", "decided_policy"),
        ("d.weight", "decided_weight"),
        ("d.span_count", "decided_spans"),
        ("d.rules_version", "decided_rules"),
        ("CAST(s.ingest_time AS BIGINT)", "arrival"),
        ("s.is_late", "is_late"),
    ];
    let asked: Vec<String> = own.iter().map(|column| format!("s.{column} AS {column}")).collect();
    let more: Vec<String> = further.iter().map(|(sql, name)| format!("{sql} AS {name}")).collect();
    let names: Vec<String> = own.iter().copied().chain(further.map(|(_, name)| name)).map(str::to_owned).collect();
    // A trace may be decided twice: each span goes with the decision that saw it, or that it came late for.
    let sql = format!(
        "SELECT {}, {} FROM decisions d JOIN spans s ON s.trace_id = d.trace_id \
         WHERE d.verdict = 'kept' AND {} AND {} AND coalesce(s.sampling_policy, '') NOT IN ('overflow', 'late_span') \
         AND CASE WHEN s.is_late THEN s.ingest_time >= d.decided_time ELSE s.ingest_time < d.decided_time \
         AND CAST(s.ingest_time AS BIGINT) >= CAST(d.decided_time AS BIGINT) - 1000 * (CAST(d.wait_ms AS BIGINT) + 1) END \
         ORDER BY decided, trace_id, is_late, arrival, service_name",
        asked.join(", "),
        more.join(", "),
        since.rows("d.", "decided_time"),
        since.hours("s.")
    );
    let (columns, mut rows) = (Columns::new(&names), 0);
    let read = lake.for_each::<Failed>(&sql, |cells| {
        rows += 1;
        if rows % PROGRESS_ROWS == 0 {
            progress(&format!("{rows} spans read"));
        }
        judge.row(columns.row(cells)).map_err(Failed::Ours)
    });
    read.await.map_err(Failed::into_anyhow)?;
    judge.finish()
}

/// Every log record or data point since, of one table.
async fn items(
    lake: &Lake,
    since: Since,
    table: Table,
    (new, old): (&Arc<Rules>, Option<&Arc<Rules>>),
    tally: &mut Tally,
    progress: &dyn Fn(&str),
) -> anyhow::Result<()> {
    let own = table.columns();
    // Points of one metric that came together are neighbours.
    let order = if table.signal() == Signal::Metrics { "ORDER BY arrival, service_name, name" } else { "" };
    let sql = format!(
        "SELECT {}, CAST(ingest_time AS BIGINT) AS arrival FROM {} WHERE {} {order}",
        own.join(", "),
        table.name(),
        since.rows("", "ingest_time")
    );
    let names: Vec<String> = own.into_iter().chain(["arrival"]).map(str::to_owned).collect();
    let (columns, mut rows) = (Columns::new(&names), 0);
    let mut items = Items::new(table, Arc::clone(new), old.cloned(), tally);
    let read = lake.for_each::<Failed>(&sql, |cells| {
        rows += 1;
        if rows % PROGRESS_ROWS == 0 {
            progress(&format!("{rows} {} read", table.signal().items()));
        }
        items.row(columns.row(cells)).map_err(Failed::Ours)
    });
    read.await.map_err(Failed::into_anyhow)?;
    items.finish()
}

/// Why reading ended early.
enum Failed {
    Engine(SqlError),
    Ours(anyhow::Error),
}

impl From<SqlError> for Failed {
    fn from(error: SqlError) -> Self {
        Self::Engine(error)
    }
}

impl Failed {
    fn into_anyhow(self) -> anyhow::Error {
        match self {
            Self::Engine(error) => anyhow::Error::new(error).context("reading the lake: a shorter time with --since needs less"),
            Self::Ours(error) => error,
        }
    }
}

async fn count(lake: &Lake, sql: &str) -> anyhow::Result<u64> {
    let rows = texts(lake, sql).await?;
    Ok(rows.into_iter().flatten().next().and_then(|count| count.parse().ok()).unwrap_or_default())
}

/// Spans that are kept beside the decision on their trace.
async fn undecided(lake: &Lake, since: Since) -> anyhow::Result<BTreeMap<String, u64>> {
    let sql = format!(
        "SELECT sampling_policy, count(*) FROM spans WHERE {} AND sampling_policy IN ('overflow', 'late_span') GROUP BY 1",
        since.rows("", "ingest_time")
    );
    let rows = texts(lake, &sql).await?;
    let counted = |row: Vec<String>| Some((row.first()?.clone(), row.get(1)?.parse().ok()?));
    Ok(rows.into_iter().filter_map(counted).collect())
}

/// What the files of a table hold since the first hour that is read.
async fn files_of(data: &Path, lake: &Lake, table: Table, since: Since) -> anyhow::Result<Files> {
    let rows = count(lake, &format!("SELECT count(*) FROM {} WHERE {}", table.name(), since.hours(""))).await?;
    let first = since.first_hour();
    let mut bytes = 0;
    let root = data.join(keys::LAKE).join(table.name());
    for (date, folder) in folders(&root, "dt=") {
        for (hour, folder) in folders(&folder, "hour=") {
            if (&date, &hour) >= (&first.0, &first.1) {
                let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
                let lengths = entries.filter_map(|entry| entry.metadata().ok()).filter(std::fs::Metadata::is_file);
                bytes += lengths.map(|file| file.len()).sum::<u64>();
            }
        }
    }
    Ok(Files { rows, bytes })
}

/// Folders of partitions, by their value. One that is not there has none.
fn folders(root: &Path, prefix: &str) -> Vec<(String, std::path::PathBuf)> {
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    let named = |entry: std::fs::DirEntry| Some((entry.file_name().to_str()?.strip_prefix(prefix)?.to_owned(), entry.path()));
    entries.filter_map(named).collect()
}

/// The point in time so long ago.
pub(super) fn ago(now_nanos: i64, since: Duration) -> i64 {
    let since = i64::try_from(since.as_secs()).unwrap_or(i64::MAX).saturating_mul(NANOS_PER_SECOND);
    now_nanos.saturating_sub(since).max(0)
}
