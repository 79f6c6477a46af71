//! What the tests of the vectors share.

use std::collections::BTreeSet;

use serde_json::Value as Json;

/// A file below the project.
#[expect(clippy::disallowed_methods, reason = "vectors are files; the crate itself touches none")]
pub(crate) fn file(name: &str) -> String {
    std::fs::read_to_string(format!("{}/../../{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The lines of a file of the vectors.
pub(crate) fn lines(name: &str) -> Vec<Json> {
    let text = file(&format!("tests/data/vectors/{name}"));
    text.lines().filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The cases of a section of the list of deviations.
pub(crate) fn deviations(section: &str) -> BTreeSet<String> {
    let page = file("docs/deviations.md");
    let heading = format!("## {section}");
    let lines = page.lines().skip_while(|line| *line != heading).skip(1).take_while(|line| !line.starts_with("## "));
    lines.filter_map(|line| Some(line.strip_prefix("| `")?.split_once("` |")?.0.to_owned())).collect()
}
