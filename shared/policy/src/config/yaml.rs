//! YAML as a tree in which every key and value knows its line.

use std::collections::BTreeMap;

use serde_saphyr::granit_parser::{ErrorKind, Event, Parser, ScalarStyle};

use crate::lints::Lint;

/// The largest text that is read, and the most that all values may take once aliases and variables stand for what they mean.
pub(super) const TEXT_BYTES_MAX: usize = super::CONFIG_BYTES_MAX;
/// The most nodes, those of repeated aliases included. Some of what is asked of a file compares each with each.
const NODES_MAX: usize = 20_000;
/// The longest key: paths are put together from them, and each finding has one.
const KEY_BYTES_MAX: usize = 1 << 10;
/// The deepest nesting.
const DEPTH_MAX: usize = 64;

const ANCHOR_FIRST: &str = "write `&name` at the value before `*name`, or write the value itself";

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tree {
    /// From 1.
    pub(crate) line: u32,
    pub(crate) node: Node,
}

/// A YAML value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    Scalar(Scalar),
    Map(Vec<Entry>),
    List(Vec<Tree>),
}

/// A scalar's text; plain ones take the type of their text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    pub(crate) plain: bool,
    /// A variable of the environment stood in it.
    pub(crate) variable: bool,
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) line: u32,
    pub(crate) key: String,
    pub(crate) value: Tree,
}

/// Why a text is not YAML that is accepted here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct YamlError {
    pub(crate) kind: Lint,
    pub(crate) line: u32,
    pub(crate) message: String,
    /// What to do.
    pub(crate) remedy: &'static str,
}

impl YamlError {
    fn new(line: u32, message: impl Into<String>, remedy: &'static str) -> Self {
        Self { kind: Lint::InvalidYaml, line, message: message.into(), remedy }
    }

    fn too_large(line: u32, message: impl Into<String>, remedy: &'static str) -> Self {
        Self { kind: Lint::TooLarge, ..Self::new(line, message, remedy) }
    }

    /// What the parser could not read.
    fn syntax(line: u32, kind: &ErrorKind, info: &str) -> Self {
        let advice = match kind {
            ErrorKind::RecursionLimitExceeded => return Self::too_deep(line),
            ErrorKind::UnknownAnchor => ANCHOR_FIRST,
            _ => "mend the line; indent with blanks, never with tabs",
        };
        Self::new(line, format!("not valid YAML: {info}"), advice)
    }

    fn too_deep(line: u32) -> Self {
        Self::too_large(
            line,
            format!("nested deeper than {DEPTH_MAX} levels"),
            "no configuration needs that: look for brackets that are not closed",
        )
    }
}

impl Tree {
    /// A value that is not there.
    pub(crate) fn null(line: u32) -> Self {
        Self { line, node: Node::Scalar(Scalar { text: String::new(), plain: true, variable: false }) }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.node, Node::Scalar(scalar) if scalar.plain && matches!(scalar.text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// `a map`, `a list` or the scalar's text, for messages.
    pub(crate) fn describe(&self) -> String {
        match &self.node {
            Node::Map(_) => "a map".to_owned(),
            Node::List(_) => "a list".to_owned(),
            Node::Scalar(_) if self.is_null() => "nothing".to_owned(),
            Node::Scalar(scalar) if scalar.plain => format!("`{}`", scalar.text),
            Node::Scalar(scalar) => format!("\"{}\"", scalar.text),
        }
    }
}

/// Reads one document.
pub(crate) fn parse(text: &str) -> Result<Tree, YamlError> {
    if text.len() > TEXT_BYTES_MAX {
        let message = format!("the file has {} bytes, and may have {TEXT_BYTES_MAX}", text.len());
        return Err(YamlError::too_large(1, message, "make it smaller; is it a configuration at all?"));
    }
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        match event {
            Ok((event, span)) => builder.take(event, line(span.start.line()))?,
            Err(error) => {
                return Err(YamlError::syntax(line(error.marker().line()), error.kind(), &error.info()));
            }
        }
    }
    Ok(builder.root.unwrap_or_else(|| Tree::null(1)))
}

fn line(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[derive(Default)]
struct Builder {
    root: Option<Tree>,
    open: Vec<Open>,
    anchors: BTreeMap<usize, (Tree, Size)>,
    size: Size,
    documents: usize,
}

/// How much a tree is.
#[derive(Clone, Copy, Default)]
struct Size {
    nodes: usize,
    text_bytes: usize,
}

struct Open {
    tree: Tree,
    anchor: usize,
    key: Option<(u32, String)>,
    /// How much there was before.
    before: Size,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, line: u32) -> Result<(), YamlError> {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    let advice = "leave one document: take out `---` and what follows, or put it into a file of its own";
                    return Err(YamlError::new(line, "a second document in one file", advice));
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                let string_tag = tag.is_some_and(|tag| tag.suffix() == "str");
                let plain = style == ScalarStyle::Plain && !string_tag;
                let scalar = Scalar { text: text.into_owned(), plain, variable: false };
                let size = Size { nodes: 1, text_bytes: scalar.text.len() };
                self.count(line, size)?;
                self.done(Tree { line, node: Node::Scalar(scalar) }, anchor, size)
            }
            Event::SequenceStart(_, anchor, _) => self.begin(line, Node::List(Vec::new()), anchor),
            Event::MappingStart(_, anchor, _) => self.begin(line, Node::Map(Vec::new()), anchor),
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else { return Ok(()) };
                let nodes = self.size.nodes - open.before.nodes;
                let text_bytes = self.size.text_bytes - open.before.text_bytes;
                self.done(open.tree, open.anchor, Size { nodes, text_bytes })
            }
            Event::Alias(anchor) => {
                let Some((tree, size)) = self.anchors.get(&anchor) else {
                    return Err(YamlError::new(line, "an alias of nothing", ANCHOR_FIRST));
                };
                let size = *size;
                // Counted before it is copied.
                count(&mut self.size, line, size)?;
                let tree = tree.clone();
                self.done(tree, 0, size)
            }
            Event::UnresolvedAlias(name) => {
                Err(YamlError::new(line, format!("an alias of an unknown anchor `{name}`"), ANCHOR_FIRST))
            }
            _ => Ok(()),
        }
    }

    fn count(&mut self, line: u32, size: Size) -> Result<(), YamlError> {
        count(&mut self.size, line, size)
    }

    fn begin(&mut self, line: u32, node: Node, anchor: usize) -> Result<(), YamlError> {
        let before = self.size;
        self.count(line, Size { nodes: 1, text_bytes: 0 })?;
        if self.open.len() >= DEPTH_MAX {
            return Err(YamlError::too_deep(line));
        }
        self.open.push(Open { tree: Tree { line, node }, anchor, key: None, before });
        Ok(())
    }

    fn done(&mut self, tree: Tree, anchor: usize, size: Size) -> Result<(), YamlError> {
        if anchor > 0 {
            self.anchors.insert(anchor, (tree.clone(), size));
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(tree);
            return Ok(());
        };
        match &mut open.tree.node {
            Node::List(items) => items.push(tree),
            Node::Map(entries) => match open.key.take() {
                Some((line, key)) => entries.push(Entry { line, key, value: tree }),
                None => open.key = Some(key_of(tree, entries)?),
            },
            Node::Scalar(_) => {}
        }
        Ok(())
    }
}

/// Adds to what there is.
fn count(size: &mut Size, line: u32, more: Size) -> Result<(), YamlError> {
    size.nodes += more.nodes;
    size.text_bytes += more.text_bytes;
    let most = if size.nodes > NODES_MAX {
        format!("more than {NODES_MAX} values")
    } else if size.text_bytes > TEXT_BYTES_MAX {
        format!("more than {TEXT_BYTES_MAX} bytes in all values")
    } else {
        return Ok(());
    };
    Err(YamlError::too_large(line, most, "make it smaller; an alias counts as often as it stands there"))
}

/// A map's key: a text, and only once.
fn key_of(tree: Tree, entries: &[Entry]) -> Result<(u32, String), YamlError> {
    let Node::Scalar(Scalar { text, plain, .. }) = tree.node else {
        return Err(YamlError::new(
            tree.line,
            "a key must be a text",
            "write `key: value`, with a key that is no list and no map",
        ));
    };
    if text.len() > KEY_BYTES_MAX {
        let message = format!("a key of {} bytes; one may have {KEY_BYTES_MAX}", text.len());
        return Err(YamlError::too_large(tree.line, message, "give it a shorter name"));
    }
    if plain && text == "<<" {
        return Err(YamlError::new(tree.line, "merge keys (`<<`) are not supported", "write out what it would bring in"));
    }
    if entries.iter().any(|entry| entry.key == text) {
        let advice =
            "take one of the two out, or put both into one; components of one type have names such as `transform/second`";
        return Err(YamlError::new(tree.line, format!("the key `{text}` stands here a second time"), advice));
    }
    Ok((tree.line, text))
}
