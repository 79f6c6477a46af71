//! Just enough XML to answer with, and to read what a client sends.

use std::fmt::{Display, Write as _};

/// A document that is being written. Texts are escaped.
pub(super) struct Xml {
    text: String,
    open: Vec<&'static str>,
}

impl Xml {
    /// A document with this root.
    pub(super) fn new(root: &'static str) -> Self {
        let mut xml = Self { text: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned(), open: Vec::new() };
        xml.begin(root);
        xml
    }

    pub(super) fn begin(&mut self, name: &'static str) {
        // Writing to a text cannot fail.
        write!(self.text, "<{name}>").unwrap_or_default();
        self.open.push(name);
    }

    pub(super) fn end(&mut self) {
        if let Some(name) = self.open.pop() {
            write!(self.text, "</{name}>").unwrap_or_default();
        }
    }

    /// An element with a text.
    pub(super) fn leaf(&mut self, name: &str, value: impl Display) {
        write!(self.text, "<{name}>{}</{name}>", escape(&value.to_string())).unwrap_or_default();
    }

    pub(super) fn finish(mut self) -> String {
        while !self.open.is_empty() {
            self.end();
        }
        self.text
    }
}

/// What stands in the elements of a name, as it is written: no key or version here needs to be unescaped.
pub(super) fn leaves<'text>(text: &'text str, name: &str) -> impl Iterator<Item = &'text str> {
    let (begin, end) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = text;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once(&begin)?;
        let (inner, after) = after.split_once(&end)?;
        rest = after;
        Some(inner)
    })
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\r' => escaped.push_str("&#13;"),
            other => escaped.push(other),
        }
    }
    escaped
}
