//! Saved queries: what on-call people and analysts ask, by name, with parameters.
//!
//! Each is one text for two engines. Where the embedded engine and Athena differ, the text has a placeholder that
//! `template` expands for either; a parameter's value only ever enters as a checked and quoted literal.

mod failures;
mod param;
mod requests;
mod template;
mod traces;
mod volumes;

pub use param::ParamKind;

use crate::SqlError;
use template::{Athena, Embedded};

/// A parameter of a saved query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Param {
    /// Its name, as on the command line.
    pub name: &'static str,
    /// What it is when nothing is given; `None`: it must be given.
    pub default: Option<&'static str>,
    /// What may be given.
    pub kind: ParamKind,
    /// What it means, for people.
    pub doc: &'static str,
}

/// A query with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Saved {
    /// Its name, as on the command line; lower case with hyphens.
    pub name: &'static str,
    /// What it answers, in one line.
    pub description: &'static str,
    /// Its parameters.
    pub params: &'static [Param],
    /// The text with placeholders; see [`fill`] and [`athena`].
    pub sql: &'static str,
}

const SINCE: Param =
    Param { name: "since", default: Some("1h"), kind: ParamKind::Duration, doc: "how far back to look: 90s, 15m, 1h, 7d" };
const SINCE_DAY: Param = Param { default: Some("24h"), ..SINCE };
const SERVICE: Param = Param { name: "service", default: Some(""), kind: ParamKind::Text, doc: "one service; empty: all" };
const LIMIT: Param = Param { name: "limit", default: Some("20"), kind: ParamKind::Int, doc: "how many rows at most" };
const TRACE_ID: Param = Param { name: "trace-id", default: None, kind: ParamKind::TraceId, doc: "the trace: 32 hex digits" };

/// What stands in front of the list in the documentation.
const INTRODUCTION: &str = "# Saved queries

Generated from `shared/sql/src/saved`; `UPDATE_GOLDEN=1 cargo test -p spanlake-sql` writes it anew.

`spanlake sql --saved NAME` runs one over a data folder; parameters such as `--since 15m` are named below. Athena's form
of each is in `infra/athena/queries`, and shown here; durations stand there in seconds.

`red_1m`, `service_edges_1m` and `decisions` count everything that was sent, before sampling. Figures from `spans`,
`traces` and `logs` are estimates by `sampling_weight`: how many rows each kept row stands for.

| query | answers |
|---|---|";

/// All saved queries, grouped by theme.
pub fn all() -> impl Iterator<Item = &'static Saved> {
    [requests::QUERIES, failures::QUERIES, traces::QUERIES, volumes::QUERIES].into_iter().flatten()
}

/// The saved query of this name.
pub fn find(name: &str) -> Result<&'static Saved, SqlError> {
    all()
        .find(|saved| saved.name == name)
        .ok_or_else(|| SqlError::UnknownQuery { name: name.to_owned(), names: all().map(|saved| saved.name).collect() })
}

/// The statement of a saved query for [`crate::Lake::query`], with the parameters' values as of `now_nanos` (Unix time).
///
/// Fails with [`SqlError::UnknownQuery`], or [`SqlError::Parameter`] for a parameter that the query does not have, that
/// is missing, or whose value is not of its kind.
pub fn fill(name: &str, params: &[(String, String)], now_nanos: i64) -> Result<String, SqlError> {
    let saved = find(name)?;
    if let Some((unknown, _)) = params.iter().find(|(given, _)| saved.params.iter().all(|param| param.name != given)) {
        let known: Vec<&str> = saved.params.iter().map(|param| param.name).collect();
        let reason = format!("{name} has {}", known.join(", "));
        return Err(SqlError::Parameter { name: unknown.clone(), reason });
    }
    let value = |param: &Param| {
        let given = params.iter().rev().find(|(given, _)| given == param.name).map(|(_, value)| value.as_str());
        given.or(param.default).map(str::to_owned)
    };
    template::expand(saved, &Embedded { now_nanos }, value)
}

/// The statement of a saved query for Athena: defaults are written in, a parameter without one is a `?`.
///
/// A comment in front says what it answers and what may be changed. Fails with [`SqlError::UnknownQuery`] alone.
pub fn athena(name: &str) -> Result<String, SqlError> {
    let saved = find(name)?;
    let mut lines = vec![format!("-- {}: {}", saved.name, saved.description)];
    for param in saved.params {
        let default = match (param.default, param.kind) {
            (None, _) => "given to the execution as ?".to_owned(),
            (Some(value), ParamKind::Duration) => format!("here {value}, in seconds"),
            (Some(value), ParamKind::Text) => format!("here '{value}'"),
            (Some(value), _) => format!("here {value}"),
        };
        lines.push(format!("-- {}: {}; {default}", param.name, param.doc));
    }
    lines.push(format!("{};\n", template::expand(saved, &Athena, default_of)?));
    Ok(lines.join("\n"))
}

fn default_of(param: &Param) -> Option<String> {
    param.default.map(str::to_owned)
}

/// The documentation page of all saved queries, as Markdown.
pub fn docs() -> Result<String, SqlError> {
    let mut page = vec![INTRODUCTION.to_owned()];
    page.extend(all().map(|saved| format!("| [{0}](#{0}) | {1} |", saved.name, saved.description)));
    for saved in all() {
        let title = format!("\n## {}\n\n{}\n", saved.name, saved.description);
        page.extend([title, "| parameter | default | meaning |".to_owned(), "|---|---|---|".to_owned()]);
        for param in saved.params {
            let default = match param.default {
                None => "must be given".to_owned(),
                Some("") => "empty".to_owned(),
                Some(value) => format!("`{value}`"),
            };
            page.push(format!("| `{}` | {default} | {} |", param.name, param.doc));
        }
        page.push(format!("\n```sql\n{}\n```", template::expand(saved, &Athena, default_of)?));
    }
    page.push(String::new());
    Ok(page.join("\n"))
}
