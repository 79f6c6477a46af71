//! The lake as commands ask it: rows as text, saved queries by name.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, anyhow};
use spanlake_sql::saved::{Arguments, saved};
use spanlake_sql::{Cell, Lake, ResultSet};

/// Opens the lake of a data folder.
pub(crate) fn open(path: &Path) -> anyhow::Result<Lake> {
    spanlake_sql::open(path).context("opening the lake")
}

/// The rows of an answer, each cell as text; nothing for NULL.
pub(crate) async fn texts(lake: &Lake, sql: &str) -> anyhow::Result<Vec<Vec<String>>> {
    let answer = lake.query(sql).await?;
    Ok(answer.rows.iter().map(|row| row.iter().map(Cell::to_text).collect()).collect())
}

/// What a saved query is asked with.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked<'a> {
    pub(crate) since: Option<Duration>,
    pub(crate) service: Option<&'a str>,
    pub(crate) trace_id: Option<&'a str>,
    pub(crate) limit: Option<u32>,
}

/// A saved query's answer.
pub(crate) async fn run_saved(lake: &Lake, name: &str, asked: Asked<'_>) -> anyhow::Result<ResultSet> {
    let query = saved(name).ok_or_else(|| anyhow!("there is no saved query {name:?}: `spanlake sql --list` shows them"))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("reading the clock")?;
    let defaults = Arguments::at(i64::try_from(now.as_secs())?);
    let Asked { since, service, trace_id, limit } = asked;
    let (since, limit) = (since.unwrap_or(defaults.since), limit.unwrap_or(defaults.limit));
    Ok(lake.query(&query.sql(&Arguments { since, service, trace_id, limit, ..defaults })?).await?)
}
