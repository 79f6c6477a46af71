//! What the engine promises, on lakes whose every figure was planted by these tests.

pub(crate) mod files;
mod functions;
mod golden;
pub(crate) mod planted;
mod render;
mod sample;
mod saved;
mod written;

use crate::{Format, Lake, ResultSet};

/// 2026-11-20 09:30:00 UTC.
pub(crate) const NOW_NANOS: i64 = 1_795_167_000_000_000_000;

/// A result as CSV with plain line ends, without its header.
pub(crate) fn csv(result: &ResultSet) -> String {
    let mut bytes = Vec::new();
    result.render(Format::Csv, &mut bytes).unwrap();
    let text = String::from_utf8(bytes).unwrap().replace("\r\n", "\n");
    text.split_once('\n').unwrap().1.trim_end().to_owned()
}

/// The rows of a statement as CSV.
pub(crate) async fn answer(lake: &Lake, sql: &str) -> String {
    csv(&lake.query(sql).await.unwrap_or_else(|error| panic!("{error}\n{sql}")))
}
