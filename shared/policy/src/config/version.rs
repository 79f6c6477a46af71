//! The version of rules, which names them in the state.
//!
//! It follows from what is written, variables expanded, and not from what this program makes of it: a later one, with other
//! defaults, must still find the rules that traces under way were begun with.

use super::yaml::{Node, Tree};
use crate::overlay::Overlay;

/// The sections that rules are made of.
const SECTIONS: [&str; 3] = ["processors", "service", "spanlake"];

/// Hex digits of a version.
const DIGITS: usize = 16;

/// The version of a whole file and what lies over it. Layout, comments and other sections have no part in it.
pub(super) fn of(root: &Tree, overlay: &Overlay) -> String {
    let mut hasher = blake3::Hasher::new();
    if let Node::Map(entries) = &root.node {
        for section in SECTIONS {
            for entry in entries.iter().filter(|entry| entry.key == section) {
                text(b'k', section, &mut hasher);
                value(&entry.value, &mut hasher);
            }
        }
    }
    for (service, until) in overlay.services() {
        text(b'o', service, &mut hasher);
        hasher.update(&until.to_le_bytes());
    }
    let hash = hasher.finalize().to_hex();
    hash.get(..DIGITS).unwrap_or_default().to_owned()
}

/// A tag, a length, and what they are of: no two trees are written alike.
fn text(tag: u8, text: &str, hasher: &mut blake3::Hasher) {
    hasher.update(&[tag]).update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
}

fn value(tree: &Tree, hasher: &mut blake3::Hasher) {
    match &tree.node {
        Node::Scalar(_) if tree.is_null() => text(b'0', "", hasher),
        Node::Scalar(scalar) => text(if scalar.plain { b'p' } else { b'q' }, &scalar.text, hasher),
        Node::Map(entries) => {
            hasher.update(b"m").update(&(entries.len() as u64).to_le_bytes());
            for entry in entries {
                text(b'k', &entry.key, hasher);
                value(&entry.value, hasher);
            }
        }
        Node::List(items) => {
            hasher.update(b"l").update(&(items.len() as u64).to_le_bytes());
            for item in items {
                value(item, hasher);
            }
        }
    }
}
