//! Environment variables that are not set.

use super::super::expand::{Environment, SECRET_KEY};
use super::super::reader::Findings;
use super::super::yaml::{Node, Tree};
use super::entries;
use crate::lints::Lint;

/// The sections whose values have a meaning here.
const SECTIONS: [&str; 3] = ["processors", "service", "spanlake"];

/// Names the variables without a value and without a default. `root` is the file before its variables are expanded.
pub(in crate::config) fn unset(root: &Tree, env: Environment<'_>, findings: &mut Findings) {
    for section in entries(Some(root)).iter().filter(|entry| SECTIONS.contains(&entry.key.as_str())) {
        walk(&section.value, &section.key, env, findings);
    }
}

fn walk(tree: &Tree, path: &str, env: Environment<'_>, findings: &mut Findings) {
    match &tree.node {
        Node::Scalar(scalar) => {
            for name in names(&scalar.text).filter(|name| env(name).is_none()) {
                let message = format!("the environment variable {name} is not set: it counts as empty");
                findings.refuse(Lint::UnsetVariable, tree.line, path, message);
            }
        }
        Node::List(items) => {
            for (place, item) in items.iter().enumerate() {
                walk(item, &format!("{path}[{place}]"), env, findings);
            }
        }
        Node::Map(entries) => {
            // A key that is missing is an error of its own.
            for entry in entries.iter().filter(|entry| entry.key != SECRET_KEY) {
                walk(&entry.value, &format!("{path}.{}", entry.key), env, findings);
            }
        }
    }
}

/// The names of a text's variables that have no default.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let (_, after) = rest.split_once('$')?;
            if let Some(after) = after.strip_prefix('$') {
                rest = after;
                continue;
            }
            rest = after;
            let Some((name, after)) = after.strip_prefix('{').and_then(|inner| inner.split_once('}')) else { continue };
            rest = after;
            let name = name.strip_prefix("env:").unwrap_or(name);
            if name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            {
                return Some(name);
            }
        }
    })
}
