//! Rules of files and texts: sources are ASCII and short, every module is declared, links lead somewhere, and nothing
//! names a path of the machine it was written on.

use std::path::{Path, PathBuf};

/// Lines of a source file of the product.
const LINES_MAX: usize = 600;

/// Folders that hold no sources of ours.
const SKIPPED: &[&str] = &["target", ".git", "node_modules", "__pycache__", "spanlake-data"];

/// The root of the workspace.
pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every file below a folder of the workspace whose name ends with `ending`.
fn files(below: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(below)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() && !SKIPPED.contains(&name.as_str()) {
                folders.push(entry.path());
            } else if kind.is_file() && name.ends_with(ending) {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// Where a module may be declared: in the file that its folder belongs to.
fn parents(file: &Path) -> Vec<PathBuf> {
    let folder = file.parent().unwrap();
    let mut parents: Vec<_> = ["lib.rs", "main.rs", "mod.rs"].iter().map(|name| folder.join(name)).collect();
    parents.push(folder.with_extension("rs"));
    parents
}

#[test]
fn every_source_file_is_declared_as_a_module() {
    let mut forgotten = Vec::new();
    for file in ["shared", "functions", "tests"].iter().flat_map(|below| files(below, ".rs")) {
        let in_examples = file.components().any(|part| part.as_os_str() == "examples" || part.as_os_str() == "bin");
        let stem = file.file_stem().unwrap().to_str().unwrap();
        if in_examples || stem == "lib" || stem == "main" {
            continue;
        }
        let (stem, from) = if stem == "mod" {
            (file.parent().unwrap().file_name().unwrap().to_str().unwrap(), file.parent().unwrap())
        } else {
            (stem, file.as_path())
        };
        let declaration = format!("mod {stem};");
        let declares = |parent: &PathBuf| {
            let text = std::fs::read_to_string(parent).unwrap_or_default();
            text.lines().any(|line| line.trim_start().trim_start_matches("pub ").trim_start_matches("pub(crate) ") == declaration)
        };
        if !parents(from).iter().any(declares) {
            forgotten.push(shown(&file));
        }
    }
    assert!(forgotten.is_empty(), "compiled by nobody: {forgotten:#?}");
}

#[test]
fn sources_are_ascii() {
    for file in ["shared", "functions", "tests"].iter().flat_map(|below| files(below, ".rs")) {
        let text = std::fs::read(&file).unwrap();
        let line = text.split(|byte| *byte == b'\n').position(|line| !line.is_ascii());
        assert!(line.is_none(), "{}:{} is not ASCII", shown(&file), line.unwrap_or_default() + 1);
    }
}

#[test]
fn a_file_of_the_product_has_one_role_and_an_end() {
    for file in ["shared", "functions"].iter().flat_map(|below| files(below, ".rs")) {
        let lines = std::fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines <= LINES_MAX, "{} has {lines} lines, more than {LINES_MAX}", shown(&file));
    }
}

#[test]
fn no_file_names_a_path_of_the_machine_it_was_written_on() {
    // In pieces, since this file is looked at as well.
    let mut foreign =
        vec![["/ro", "ot/"].concat(), ["/Us", "ers/"].concat(), ["/ho", "me/"].concat(), ["C:", "\\Users"].concat()];
    let checkout = root().display().to_string();
    if checkout.matches('/').count() > 1 {
        foreign.push(checkout);
    }
    for file in files("", "") {
        let bytes = std::fs::read(&file).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let found = foreign.iter().find(|path| text.contains(*path));
        assert!(found.is_none(), "{} names {}", shown(&file), found.map_or("", String::as_str));
    }
}

/// The targets of `[text](target)` in a document, code blocks left out.
fn links(document: &str) -> Vec<String> {
    let mut links = Vec::new();
    let mut in_code = false;
    for line in document.lines() {
        in_code ^= line.trim_start().starts_with("```");
        if !in_code {
            let targets = line.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
            links.extend(targets.map(|(target, _)| target.to_owned()));
        }
    }
    links
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut broken = Vec::new();
    for document in files("", ".md") {
        for link in links(&std::fs::read_to_string(&document).unwrap()) {
            let path = link.split('#').next().unwrap_or_default();
            let is_elsewhere = path.is_empty() || path.contains("://") || path.starts_with("mailto:");
            if !is_elsewhere && !document.parent().unwrap().join(path).exists() {
                broken.push(format!("{} -> {link}", shown(&document)));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn the_documents_that_a_newcomer_needs_are_there() {
    for name in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE"] {
        assert!(root().join(name).is_file(), "{name} is missing");
    }
}
