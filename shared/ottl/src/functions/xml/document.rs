//! An XML document as a tree.

use quick_xml::Reader;
use quick_xml::escape::{resolve_predefined_entity, unescape};
use quick_xml::events::{BytesStart, Event};

use crate::error::DataError;
use crate::functions::bounds::{BYTES_MAX, TOO_LARGE};

/// The document's node, above all elements.
pub(super) const ROOT: usize = 0;

/// How deep elements may nest.
const DEPTH_MAX: usize = 64;

const NO_XML: DataError = DataError("not XML");

/// What a node is.
#[derive(Debug)]
pub(super) enum Kind {
    /// The whole, which begins and ends without a tag.
    Document,
    /// A tag with its attributes.
    Element { name: String, attributes: Vec<(String, String)> },
    /// Text, without escapes.
    Text(String),
    /// A `CDATA` section.
    CharacterData(String),
    /// A comment.
    Comment(String),
    /// `<? .. ?>`.
    Instruction(String),
}

#[derive(Debug)]
struct Node {
    kind: Kind,
    parent: usize,
    children: Vec<usize>,
}

/// Nodes in the order of the text.
#[derive(Debug)]
pub(super) struct Document {
    nodes: Vec<Node>,
}

impl Document {
    /// Reads a text.
    ///
    /// # Errors
    /// Tags that are not closed, unknown entities, elements that are nested too deep.
    pub(super) fn new(text: &str) -> Result<Self, DataError> {
        let mut document = Self { nodes: vec![Node { kind: Kind::Document, parent: ROOT, children: Vec::new() }] };
        let mut reader = Reader::from_str(text);
        let mut open = vec![ROOT];
        loop {
            let event = reader.read_event().map_err(|_| NO_XML)?;
            let parent = open.last().copied().ok_or(NO_XML)?;
            match event {
                Event::Start(start) => {
                    if open.len() > DEPTH_MAX {
                        return Err(TOO_LARGE);
                    }
                    open.push(document.add(parent, element(&start)?));
                }
                Event::Empty(start) => {
                    document.add(parent, element(&start)?);
                }
                Event::End(_) => {
                    open.pop();
                }
                Event::Text(text) => document.add_text(parent, &text.decode().map_err(|_| NO_XML)?),
                Event::GeneralRef(reference) => {
                    let letter = reference.resolve_char_ref().map_err(|_| NO_XML)?;
                    let name = reference.decode().map_err(|_| NO_XML)?;
                    match letter {
                        Some(letter) => document.add_text(parent, letter.encode_utf8(&mut [0; 4])),
                        None => document.add_text(parent, resolve_predefined_entity(&name).ok_or(NO_XML)?),
                    }
                }
                Event::CData(text) => {
                    let text = text.decode().map_err(|_| NO_XML)?.into_owned();
                    document.add(parent, Kind::CharacterData(text));
                }
                Event::Comment(text) => {
                    let text = text.decode().map_err(|_| NO_XML)?.into_owned();
                    document.add(parent, Kind::Comment(text));
                }
                Event::Decl(declaration) => {
                    document.add(parent, Kind::Instruction(String::from_utf8_lossy(&declaration).into_owned()));
                }
                Event::PI(instruction) => {
                    document.add(parent, Kind::Instruction(String::from_utf8_lossy(&instruction).into_owned()));
                }
                Event::DocType(_) => {}
                Event::Eof if open.len() == 1 => return Ok(document),
                Event::Eof => return Err(NO_XML),
            }
        }
    }

    fn add(&mut self, parent: usize, kind: Kind) -> usize {
        let at = self.nodes.len();
        self.nodes.push(Node { kind, parent, children: Vec::new() });
        if let Some(parent) = self.nodes.get_mut(parent) {
            parent.children.push(at);
        }
        at
    }

    /// Adds text; what follows text is part of it.
    fn add_text(&mut self, parent: usize, text: &str) {
        let last = self.children(parent).last().copied();
        match last.and_then(|last| self.nodes.get_mut(last)) {
            Some(Node { kind: Kind::Text(before), .. }) => before.push_str(text),
            _ => {
                self.add(parent, Kind::Text(text.to_owned()));
            }
        }
    }

    /// What a node is.
    pub(super) fn kind(&self, at: usize) -> Option<&Kind> {
        self.nodes.get(at).map(|node| &node.kind)
    }

    /// The nodes in a node.
    pub(super) fn children(&self, at: usize) -> &[usize] {
        self.nodes.get(at).map_or(&[], |node| &node.children)
    }

    /// How many nodes.
    pub(super) const fn len(&self) -> usize {
        self.nodes.len()
    }

    /// An attribute's name and value.
    pub(super) fn attribute(&self, at: usize, place: usize) -> Option<(&str, &str)> {
        match self.kind(at)? {
            Kind::Element { attributes, .. } => attributes.get(place).map(|(name, value)| (name.as_str(), value.as_str())),
            _ => None,
        }
    }

    /// Takes a node away.
    pub(super) fn remove(&mut self, at: usize) {
        let parent = self.nodes.get(at).map_or(ROOT, |node| node.parent);
        if let Some(parent) = self.nodes.get_mut(parent) {
            parent.children.retain(|child| *child != at);
        }
    }

    /// Takes an attribute away.
    pub(super) fn remove_attribute(&mut self, at: usize, place: usize) {
        if let Some(Node { kind: Kind::Element { attributes, .. }, .. }) = self.nodes.get_mut(at)
            && place < attributes.len()
        {
            attributes.remove(place);
        }
    }

    /// Appends the text in a node and those below it.
    pub(super) fn text(&self, at: usize, out: &mut String) {
        match self.kind(at) {
            Some(Kind::Text(text) | Kind::CharacterData(text)) => out.push_str(text),
            _ => self.children(at).iter().for_each(|child| self.text(*child, out)),
        }
    }

    /// Appends a node as XML; blanks around texts go.
    ///
    /// # Errors
    /// A text larger than functions make them.
    pub(super) fn write(&self, at: usize, out: &mut String) -> Result<(), DataError> {
        if out.len() > BYTES_MAX {
            return Err(TOO_LARGE);
        }
        match self.kind(at) {
            Some(Kind::Text(text)) => escape(text.trim(), out),
            Some(Kind::CharacterData(text)) => out.extend(["<![CDATA[", text, "]]>"]),
            Some(Kind::Comment(text)) => out.extend(["<!--", text, "-->"]),
            Some(Kind::Instruction(text)) => out.extend(["<?", text, "?>"]),
            Some(Kind::Element { name, attributes }) => {
                out.extend(["<", name]);
                for (name, value) in attributes {
                    out.extend([" ", name, "=\""]);
                    escape(value, out);
                    out.push('"');
                }
                out.push('>');
                self.children(at).iter().try_for_each(|child| self.write(*child, out))?;
                out.extend(["</", name, ">"]);
            }
            Some(Kind::Document) => self.children(at).iter().try_for_each(|child| self.write(*child, out))?,
            None => {}
        }
        Ok(())
    }
}

fn element(start: &BytesStart<'_>) -> Result<Kind, DataError> {
    let text = |bytes: &[u8]| str::from_utf8(bytes).map(str::to_owned).map_err(|_| NO_XML);
    let mut attributes = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|_| NO_XML)?;
        let value = str::from_utf8(&attribute.value).map_err(|_| NO_XML)?;
        attributes.push((text(attribute.key.as_ref())?, unescape(value).map_err(|_| NO_XML)?.into_owned()));
    }
    Ok(Kind::Element { name: text(start.name().as_ref())?, attributes })
}

/// Appends a text with XML's escapes.
pub(super) fn escape(text: &str, out: &mut String) {
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(letter),
        }
    }
}
