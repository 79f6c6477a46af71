//! Configurations that a command is given.

use std::io::Read as _;
use std::path::Path;

use anyhow::Context;

/// The file's name and text; `-` is standard input.
///
/// # Errors
/// It cannot be read, or is no UTF-8.
pub(crate) fn read(file: &Path) -> anyhow::Result<(String, String)> {
    if file.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("reading standard input")?;
        return Ok(("<stdin>".to_owned(), text));
    }
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).with_context(|| format!("reading {name}"))?;
    Ok((name, text))
}
