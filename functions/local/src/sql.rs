//! `spanlake sql`: one statement, a saved query, or a prompt.

use std::io::{BufRead, IsTerminal, Write};

use anyhow::{Context, bail, ensure};
use spanlake_sql::saved::SAVED;
use spanlake_sql::{Lake, ResultSet};

use crate::cli::{Format, SqlArgs};
use crate::folder::{Folder, runtime};
use crate::lake::{Asked, open, run_saved};
use crate::terminal::{fail, note, print, say};

pub(crate) fn run(args: &SqlArgs) -> anyhow::Result<()> {
    if args.list {
        print(&list());
        return Ok(());
    }
    let folder = Folder::open(&args.data.data)?;
    let runtime = runtime()?;
    let lake = open(&folder.path)?;
    if let Some(name) = &args.saved {
        let (service, trace_id) = (args.service.as_deref(), args.trace_id.as_deref());
        let answer =
            runtime.block_on(run_saved(&lake, name, Asked { since: args.since, service, trace_id, limit: args.limit }))?;
        return export(&answer, args.format);
    }
    let Some(statement) = &args.statement else {
        return prompt(&lake, args.format, &|lake, sql| Ok(runtime.block_on(lake.query(sql))?));
    };
    export(&runtime.block_on(lake.query(statement))?, args.format)
}

fn show(answer: &ResultSet, format: Format) {
    let format = match format {
        Format::Table => spanlake_sql::Format::Table,
        Format::Json => spanlake_sql::Format::Json,
        Format::Csv => spanlake_sql::Format::Csv,
    };
    print(&answer.format(format));
    if answer.is_truncated {
        note(&format!("only the first {} rows are shown: add a LIMIT or a narrower WHERE", answer.rows.len()));
    }
}

/// A script must not take a cut export for the whole.
fn export(answer: &ResultSet, format: Format) -> anyhow::Result<()> {
    show(answer, format);
    ensure!(
        format == Format::Table || !answer.is_truncated,
        "the output is cut at {} rows; to export everything, read the Parquet files under lake/v1",
        answer.rows.len()
    );
    Ok(())
}

fn list() -> String {
    let mut lines = vec!["Saved queries: spanlake sql --saved NAME [--since 1h]".to_owned(), String::new()];
    for query in SAVED {
        let takes: Vec<String> = query.parameters.iter().map(|parameter| format!("--{}", parameter.name())).collect();
        lines.push(format!("  {:<26} {}", query.name, query.about));
        lines.push(format!("{:29}takes {}", "", takes.join(", ")));
    }
    lines.join("\n") + "\n"
}

type Run<'a> = &'a dyn Fn(&Lake, &str) -> anyhow::Result<ResultSet>;

/// Reads statements until the end of the input. A statement ends with a semicolon or, on a terminal, with its line.
fn prompt(lake: &Lake, format: Format, run: Run<'_>) -> anyhow::Result<()> {
    let stdin = std::io::stdin();
    let is_interactive = stdin.is_terminal();
    if is_interactive {
        let tables: Vec<&str> = spanlake_table::schema::TABLES.iter().map(|table| table.name).collect();
        note(&format!("Tables: {}", tables.join(", ")));
        note("A statement ends with ; and may take several lines. exit or Ctrl-D ends.");
    }
    let mut statement = String::new();
    let mut failed = false;
    for line in stdin.lock().lines().chain(std::iter::once(Ok(";".to_owned()))) {
        let line = line.context("reading the statement")?;
        if statement.is_empty() && matches!(line.trim(), "\\q" | "exit" | "quit") {
            break;
        }
        statement.push_str(&line);
        statement.push('\n');
        if !line.trim_end().ends_with(';') {
            continue;
        }
        let text = std::mem::take(&mut statement);
        let text = text.trim().trim_end_matches(';').trim();
        if text.is_empty() {
            continue;
        }
        match run(lake, text) {
            Ok(answer) => show(&answer, format),
            Err(error) => {
                failed = true;
                fail(&error);
            }
        }
        if is_interactive {
            say("");
        }
        std::io::stdout().flush().context("printing the answer")?;
    }
    if failed && !is_interactive {
        bail!("a statement failed");
    }
    Ok(())
}
