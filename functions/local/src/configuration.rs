//! Configurations that a command is given.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, ensure};
use spanlake_policy::CONFIG_BYTES_MAX;

/// The file's name and text; `-` is standard input.
///
/// # Errors
/// It cannot be read, or is no UTF-8.
pub(crate) fn read(file: &Path) -> anyhow::Result<(String, String)> {
    if file.as_os_str() == "-" {
        return Ok(("<stdin>".to_owned(), text(std::io::stdin(), "standard input")?));
    }
    let name = file.display().to_string();
    let opened = std::fs::File::open(file).with_context(|| format!("reading {name}"))?;
    let text = text(opened, &name)?;
    Ok((name, text))
}

/// What a device without an end gives is refused soon.
fn text(source: impl Read, name: &str) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    let most = CONFIG_BYTES_MAX as u64;
    source.take(most + 1).read_to_end(&mut bytes).with_context(|| format!("reading {name}"))?;
    ensure!(bytes.len() <= CONFIG_BYTES_MAX, "{name} has more than {most} bytes, the most of a configuration: is it one at all?");
    String::from_utf8(bytes)
        .ok()
        .with_context(|| format!("{name} is no text in UTF-8: save it as UTF-8, if it is a configuration"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_end_or_is_no_text_is_refused() {
        for (source, said) in [(std::io::repeat(b'#').take(u64::MAX), "more than"), (std::io::repeat(0xff).take(9), "UTF-8")] {
            assert!(text(source, "rules.yaml").unwrap_err().to_string().contains(said));
        }
        assert_eq!(text(std::io::repeat(b'#').take(9), "rules.yaml").unwrap(), "#########");
    }
}
