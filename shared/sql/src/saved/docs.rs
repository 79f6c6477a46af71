//! The saved queries as a page of documentation, as files for Athena and as resources of the template for AWS.

use std::fmt::Write as _;

use super::{Arguments, Parameter, SAVED, SavedQuery};
use crate::error::SqlError;

/// The moment for which the page's examples are written: 2026-01-01T12:00:00Z.
const EXAMPLE_NOW: i64 = 1_767_268_800;

/// The documentation page, in Markdown.
///
/// # Errors
/// [`SqlError::Parameter`] only for a template that is not right.
pub fn docs_page() -> Result<String, SqlError> {
    let mut page = "# Saved queries\n\nGenerated from `shared/sql/src/saved`. Run one with `spanlake sql --saved NAME`; for Athena \
                    they are in `infra/athena/queries`. The statements are shown as they run for the last day on 2026-01-01 at \
                    12:00 UTC. Figures from `red_1m` and `service_edges_1m` count all spans before sampling; figures from `spans` \
                    are estimated by `sampling_weight`. What each of them reads on AWS is in [What a query \
                    reads](query-costs.md).\n"
        .to_owned();
    for query in SAVED {
        let trace_id = query.parameters.contains(&Parameter::TraceId).then_some("4bf92f3577b34da6a3ce929d0e0e4736");
        let sql = query.sql(&Arguments { trace_id, ..Arguments::at(EXAMPLE_NOW) })?;
        let parameters: Vec<_> = query.parameters.iter().map(|parameter| format!("`--{}`", parameter.name())).collect();
        let _infallible = write!(
            page,
            "\n## `{}`\n\n{}. Parameters: {}.\n\n```sql\n{sql}\n```\n",
            query.name,
            query.about,
            parameters.join(", ")
        );
    }
    Ok(page)
}

/// The query as a file for Athena.
///
/// # Errors
/// [`SqlError::Parameter`] only for a template that is not right.
pub fn athena_file(query: &SavedQuery) -> Result<String, SqlError> {
    Ok(format!("-- {}. Generated from shared/sql/src/saved.\n{};\n", query.about, query.athena()?))
}

/// The section `queries` of the template: YAML at the depth of a resource. The template has a database `Database` and a
/// workgroup `Workgroup`.
///
/// # Errors
/// [`SqlError::Parameter`] only for a template that is not right.
pub fn named_queries() -> Result<String, SqlError> {
    let resources: Result<Vec<_>, _> = SAVED.iter().map(resource).collect();
    Ok(resources?.join("\n"))
}

fn resource(query: &SavedQuery) -> Result<String, SqlError> {
    let capitalized =
        |word: &str| word.get(..1).map(str::to_ascii_uppercase).unwrap_or_default() + word.get(1..).unwrap_or_default();
    let logical_id: String = query.name.split('-').map(capitalized).collect();
    let statement = query.athena()?.replace('\n', "\n        ");
    let about = query.about.replace('\'', "''");
    Ok(format!(
        "  {logical_id}Query:
    Type: AWS::Athena::NamedQuery
    Properties:
      Name: {}
      Description: '{about}'
      Database: !Ref Database
      WorkGroup: !Ref Workgroup
      QueryString: |
        {statement}
",
        query.name
    ))
}
