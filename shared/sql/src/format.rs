//! Answers as text: aligned table, JSON lines, CSV.

use std::fmt::Write as _;
use std::str::FromStr;

use serde_json::{Map, Value};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::result::{Cell, ResultSet};

/// Cells of a table are cut to this many columns of the terminal.
const CELL_WIDTH_MAX: usize = 60;

/// How to write an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Aligned columns, long cells cut, and the number of rows.
    Table,
    /// One JSON object a line.
    Json,
    /// Comma-separated, with a header; RFC 4180.
    Csv,
}

impl FromStr for Format {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "table" => Ok(Self::Table),
            "json" => Ok(Self::Json),
            "csv" => Ok(Self::Csv),
            _ => Err("expected table, json or csv"),
        }
    }
}

impl ResultSet {
    /// The answer as text, each line ended.
    #[must_use]
    pub fn format(&self, format: Format) -> String {
        match format {
            Format::Table => self.table(),
            Format::Json => self.json_lines(),
            Format::Csv => self.csv(),
        }
    }

    fn table(&self) -> String {
        let header: Vec<_> = self.columns.iter().map(|name| fit(name)).collect();
        let rows: Vec<Vec<_>> = self.rows.iter().map(|row| row.iter().map(|cell| fit(&shown(cell))).collect()).collect();
        let mut widths: Vec<_> = header.iter().map(|name| name.width()).collect();
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.width());
            }
        }
        let right: Vec<_> = (0..widths.len())
            .map(|column| {
                self.rows
                    .iter()
                    .filter_map(|row| row.get(column))
                    .all(|cell| matches!(cell, Cell::Int(_) | Cell::Double(_) | Cell::Null))
            })
            .collect();
        let mut out = String::new();
        line(&mut out, &header, &widths, &right);
        let rule: Vec<_> = widths.iter().map(|width| "-".repeat(*width)).collect();
        line(&mut out, &rule, &widths, &right);
        for row in &rows {
            line(&mut out, row, &widths, &right);
        }
        let count = self.rows.len();
        let more = if self.is_truncated { ", more left out" } else { "" };
        let _infallible = writeln!(out, "({count} {}{more})", if count == 1 { "row" } else { "rows" });
        out
    }

    fn json_lines(&self) -> String {
        self.rows.iter().fold(String::new(), |mut out, row| {
            let object: Map<_, _> = self.columns.iter().cloned().zip(row.iter().map(Cell::to_json)).collect();
            let _infallible = writeln!(out, "{}", Value::Object(object));
            out
        })
    }

    fn csv(&self) -> String {
        let mut out = String::new();
        csv_line(&mut out, self.columns.iter().cloned());
        for row in &self.rows {
            csv_line(&mut out, row.iter().map(Cell::to_text));
        }
        out
    }
}

/// Doubles to six digits: the rest is noise to a reader.
fn shown(cell: &Cell) -> String {
    match cell {
        Cell::Double(number) if number.is_finite() && number.abs() < 1e15 => {
            let text = format!("{number:.6}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        cell => cell.to_text(),
    }
}

/// One line, without control characters, cut to the width of a cell.
fn fit(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if clean.width() <= CELL_WIDTH_MAX {
        return clean;
    }
    let mut width = 0;
    let mut cut: String = clean
        .chars()
        .take_while(|c| {
            width += c.width().unwrap_or(0);
            width <= CELL_WIDTH_MAX - 3
        })
        .collect();
    cut.push_str("...");
    cut
}

fn line(out: &mut String, cells: &[String], widths: &[usize], right: &[bool]) {
    let mut text = String::new();
    for ((cell, width), right) in cells.iter().zip(widths).zip(right) {
        let pad = " ".repeat(width.saturating_sub(cell.width()));
        let (before, after) = if *right { (pad.as_str(), "") } else { ("", pad.as_str()) };
        let _infallible = write!(text, "{before}{cell}{after}  ");
    }
    out.push_str(text.trim_end());
    out.push('\n');
}

fn csv_line(out: &mut String, cells: impl Iterator<Item = String>) {
    let cells: Vec<_> = cells
        .map(|cell| if cell.contains([',', '"', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell })
        .collect();
    out.push_str(&cells.join(","));
    out.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> ResultSet {
        ResultSet {
            columns: vec!["name".to_owned(), "n".to_owned()],
            rows: vec![
                vec![Cell::Text("\u{6771}\u{4eac}".to_owned()), Cell::Int(7)],
                vec![Cell::Text("a,\"b\"\n".to_owned()), Cell::Null],
            ],
            is_truncated: false,
        }
    }

    #[test]
    fn wide_characters_keep_the_table_aligned() {
        assert_eq!(sample().format(Format::Table), "name    n\n------  -\n\u{6771}\u{4eac}    7\na,\"b\"\n(2 rows)\n");
    }

    #[test]
    fn commas_quotes_and_lines_are_quoted_in_csv() {
        assert_eq!(sample().format(Format::Csv), "name,n\r\n\u{6771}\u{4eac},7\r\n\"a,\"\"b\"\"\n\",\r\n");
    }

    #[test]
    fn a_long_cell_is_cut() {
        assert_eq!(fit(&"\u{6771}".repeat(100)).width(), CELL_WIDTH_MAX - 1);
        assert_eq!(fit("short"), "short");
    }

    #[test]
    fn a_row_is_a_line_of_json() {
        let text = sample().format(Format::Json);
        assert_eq!(text.lines().count(), 2);
        assert!(text.contains("{\"n\":null,\"name\":"), "{text}");
    }
}
