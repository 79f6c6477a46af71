//! Headings, lines and aligned columns on a terminal or in a file.

use std::io::{self, Write};

const BOLD: &str = "\x1b[1m";
const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const PLAIN: &str = "\x1b[0m";

/// Where the report goes.
pub(crate) struct Page<'a> {
    out: &'a mut dyn Write,
    colours: bool,
}

impl<'a> Page<'a> {
    /// A page; without `colours` there is no escape sequence in it.
    pub(crate) fn new(out: &'a mut dyn Write, colours: bool) -> Self {
        Self { out, colours }
    }

    /// The title of a section.
    pub(crate) fn heading(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out)?;
        self.painted(BOLD, text)
    }

    /// One line.
    pub(crate) fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "  {text}")
    }

    /// Lines that another command made.
    pub(crate) fn text(&mut self, text: &str) -> io::Result<()> {
        text.lines().try_for_each(|line| self.line(line))
    }

    /// A line that is good news.
    pub(crate) fn good(&mut self, text: &str) -> io::Result<()> {
        self.painted(GREEN, &format!("  {text}"))
    }

    /// A line that is bad news.
    pub(crate) fn bad(&mut self, text: &str) -> io::Result<()> {
        self.painted(RED, &format!("  {text}"))
    }

    fn painted(&mut self, colour: &str, text: &str) -> io::Result<()> {
        if self.colours { writeln!(self.out, "{colour}{text}{PLAIN}") } else { writeln!(self.out, "{text}") }
    }
}

/// Rows in columns as wide as their widest cell; columns of numbers stand right. A row whose last cell is `NO` is bad
/// news.
pub(crate) fn table(page: &mut Page, rows: &[Vec<String>]) -> io::Result<()> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let cells = |column: usize| rows.iter().filter_map(move |row| row.get(column));
    let widths: Vec<_> = (0..columns).map(|column| cells(column).map(|cell| cell.chars().count()).max().unwrap_or(0)).collect();
    let is_number = |cell: &String| cell.starts_with(|first: char| first.is_ascii_digit());
    let right: Vec<_> = (0..columns).map(|column| cells(column).skip(1).all(is_number)).collect();
    for row in rows {
        let mut line = String::new();
        for ((cell, width), right) in row.iter().zip(&widths).zip(&right) {
            let gap = " ".repeat(width - cell.chars().count().min(*width));
            let padded = if *right { format!("{gap}{cell}") } else { format!("{cell}{gap}") };
            line.push_str(&padded);
            line.push_str("  ");
        }
        let line = line.trim_end();
        if row.last().is_some_and(|cell| cell == "NO") { page.bad(line)? } else { page.line(line)? }
    }
    Ok(())
}
