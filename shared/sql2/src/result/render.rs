//! Results as a table, JSON lines or CSV.

use std::io::{self, Write};

use super::{Format, Kind, ResultSet, cell};
use crate::SqlError;

/// Widest cell of a table, in terminal columns; longer ones are cut, there only.
const MAX_CELL_WIDTH: usize = 60;
/// What stands at a cut cell's end.
const ELLIPSIS: &str = "...";

impl ResultSet {
    /// Writes the result in a format; ends with a newline. Control characters reach a terminal only as escapes.
    ///
    /// Fails with [`SqlError::Write`] alone.
    pub fn render(&self, format: Format, out: &mut impl Write) -> Result<(), SqlError> {
        match format {
            Format::Table => self.table(out)?,
            Format::Json => self.json(out)?,
            Format::Csv => self.csv(out)?,
        }
        Ok(())
    }

    fn table(&self, out: &mut impl Write) -> io::Result<()> {
        let header: Vec<String> = self.columns.iter().map(|name| fitted(name)).collect();
        let rows: Vec<Vec<String>> = self
            .rows
            .iter()
            .map(|row| row.iter().map(|cell| cell.as_deref().map_or_else(String::new, fitted)).collect())
            .collect();
        let mut widths: Vec<usize> = header.iter().map(|name| width(name)).collect();
        for row in &rows {
            for (widest, cell) in widths.iter_mut().zip(row) {
                *widest = (*widest).max(width(cell));
            }
        }
        self.line(&header, &widths, out)?;
        let rules: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
        writeln!(out, "{}", rules.join("-+-"))?;
        for row in &rows {
            self.line(row, &widths, out)?;
        }
        let noun = if rows.len() == 1 { "row" } else { "rows" };
        let cut = if self.is_cut { ", cut: add a LIMIT or select less" } else { "" };
        writeln!(out, "({} {noun}{cut})", rows.len())
    }

    /// Numbers to the right, the rest to the left, nothing after the last character.
    fn line(&self, cells: &[String], widths: &[usize], out: &mut impl Write) -> io::Result<()> {
        let mut line = String::new();
        for (index, ((cell, width_wanted), kind)) in cells.iter().zip(widths).zip(&self.kinds).enumerate() {
            if index > 0 {
                line.push_str(" | ");
            }
            let padding = " ".repeat(width_wanted.saturating_sub(width(cell)));
            if *kind == Kind::Number {
                line.push_str(&padding);
                line.push_str(cell);
            } else {
                line.push_str(cell);
                line.push_str(&padding);
            }
        }
        writeln!(out, "{}", line.trim_end())
    }

    fn json(&self, out: &mut impl Write) -> io::Result<()> {
        for row in &self.rows {
            let mut line = String::from("{");
            for (index, ((name, cell), kind)) in self.columns.iter().zip(row).zip(&self.kinds).enumerate() {
                if index > 0 {
                    line.push(',');
                }
                cell::text(name, &mut line);
                line.push(':');
                match cell {
                    None => line.push_str("null"),
                    Some(cell) if *kind == Kind::Text || (*kind == Kind::Number && !cell::is_json_number(cell)) => {
                        cell::text(cell, &mut line);
                    }
                    Some(cell) => line.push_str(cell),
                }
            }
            writeln!(out, "{line}}}")?;
        }
        Ok(())
    }

    fn csv(&self, out: &mut impl Write) -> io::Result<()> {
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            let cells: Vec<String> = cells.map(quoted).collect();
            cells.join(",")
        };
        write!(out, "{}\r\n", line(&mut self.columns.iter().map(String::as_str)))?;
        for row in &self.rows {
            write!(out, "{}\r\n", line(&mut row.iter().map(|cell| cell.as_deref().unwrap_or(""))))?;
        }
        Ok(())
    }
}

fn quoted(cell: &str) -> String {
    if cell.contains(['"', ',', '\r', '\n']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.to_owned() }
}

/// A cell for a terminal: one line, no control characters, cut to the widest that a table takes.
fn fitted(cell: &str) -> String {
    let mut fitted = String::new();
    let mut taken = 0;
    let mut last_fit = 0;
    for letter in cell.chars() {
        let piece = if letter.is_control() || is_bidi(letter) { letter.escape_default().to_string() } else { letter.to_string() };
        taken += width(&piece);
        if taken > MAX_CELL_WIDTH {
            fitted.truncate(last_fit);
            fitted.push_str(ELLIPSIS);
            return fitted;
        }
        fitted.push_str(&piece);
        if taken <= MAX_CELL_WIDTH - ELLIPSIS.len() {
            last_fit = fitted.len();
        }
    }
    fitted
}

/// Marks that turn the direction of text around and so could disguise a cell.
fn is_bidi(letter: char) -> bool {
    matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Terminal columns of a text.
fn width(text: &str) -> usize {
    text.chars().map(letter_width).sum()
}

/// Two for the wide scripts and pictures, none for marks that combine, else one.
fn letter_width(letter: char) -> usize {
    match letter {
        '\u{0300}'..='\u{036f}' | '\u{200b}'..='\u{200d}' | '\u{20d0}'..='\u{20ff}' | '\u{fe00}'..='\u{fe0f}' => 0,
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{303e}'
        | '\u{3041}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{ffe0}'..='\u{ffe6}'
        | '\u{1f300}'..='\u{1f64f}'
        | '\u{1f680}'..='\u{1f6ff}'
        | '\u{1f900}'..='\u{1f9ff}'
        | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}
