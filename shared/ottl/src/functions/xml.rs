//! Converters of XML.

use std::borrow::Cow;

use spanlake_otlp::tree::{Map, Value};

use super::bounds;
use crate::error::DataError;
use crate::function::{Args, Argument, Function, Kind, Param};
use crate::val::Val;

mod document;
mod path;

use document::{Document, Kind as Node};

const TARGET: Param = Param::new("target", Kind::Str);
const WITH_PATH: &[Param] = &[TARGET, Param::new("x_path", Kind::Text)];

/// The converters of this file.
pub(super) const ALL: &[Function] = &[
    Function::converter("GetXML", WITH_PATH, get).checked(check_path),
    Function::converter("ParseSimplifiedXML", &[TARGET], parse_simplified),
    Function::converter("ParseXML", &[TARGET], parse),
    Function::converter("RemoveXML", WITH_PATH, remove).checked(check_path),
];

fn check_path(arguments: &[Argument]) -> Result<(), String> {
    match arguments {
        [_, Argument::Text(text)] => path::parse(text).map(|_| ()),
        _ => Ok(()),
    }
}

/// The longest text that is read as XML: some of it takes the square of the length.
const XML_BYTES_MAX: usize = 32 << 10;

fn document(args: &Args<'_>) -> Result<Document, DataError> {
    let text = args.string(0)?;
    if text.len() > XML_BYTES_MAX { Err(DataError("too long to be read as XML")) } else { Document::new(text) }
}

fn selected(args: &Args<'_>) -> Result<(Document, Vec<path::Found>), DataError> {
    let document = document(args)?;
    let steps = path::parse(args.string(1)?).map_err(|_| DataError("not a path"))?;
    let found = path::select(&document, &steps)?;
    Ok((document, found))
}

/// What a path leads to, one after the other.
fn get<'a>(args: &mut Args<'a>) -> Result<Val<'a>, DataError> {
    let (document, found) = selected(args)?;
    let mut out = String::new();
    for found in found {
        match found {
            path::Found::Node(at) => match document.kind(at) {
                Some(Node::Element { .. } | Node::Text(_)) => document.write(at, &mut out)?,
                Some(Node::CharacterData(text)) => document::escape(text, &mut out),
                _ => {}
            },
            path::Found::Attribute(at, place) => {
                document::escape(document.attribute(at, place).map_or("", |(_, value)| value), &mut out);
            }
        }
    }
    bounds::text(out).map(Val::text)
}

/// The document without what a path leads to.
fn remove<'a>(args: &mut Args<'a>) -> Result<Val<'a>, DataError> {
    let (mut document, found) = selected(args)?;
    // Attributes from the last on, so that the places of those before them stay.
    for found in found.into_iter().rev() {
        match found {
            path::Found::Node(at) => document.remove(at),
            path::Found::Attribute(at, place) => document.remove_attribute(at, place),
        }
    }
    let mut out = String::new();
    document.write(document::ROOT, &mut out)?;
    bounds::text(out).map(Val::text)
}

fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

fn owned<'a>(text: &str) -> Value<'a> {
    Value::String(Cow::Owned(text.to_owned()))
}

/// The first element with its tag, attributes, text and children.
fn parse<'a>(args: &mut Args<'a>) -> Result<Val<'a>, DataError> {
    let document = document(args)?;
    let is_element = |at: &usize| matches!(document.kind(*at), Some(Node::Element { .. }));
    let first = document.children(document::ROOT).iter().copied().find(is_element);
    let value = Value::Map(element(&document, first.ok_or(DataError("no element"))?));
    bounds::value(&value, 0)?;
    Ok(Val::Value(value))
}

fn element<'a>(document: &Document, at: usize) -> Map<'a> {
    let mut map = Map::default();
    let Some(Node::Element { name, attributes }) = document.kind(at) else { return map };
    map.set(Cow::Borrowed("tag"), owned(local(name)));
    if !attributes.is_empty() {
        let mut values = Map::default();
        for (name, value) in attributes {
            values.set(Cow::Owned(local(name).to_owned()), owned(value));
        }
        map.set(Cow::Borrowed("attributes"), Value::Map(values));
    }
    let mut content = String::new();
    let mut children = Vec::new();
    for child in document.children(at) {
        match document.kind(*child) {
            Some(Node::Text(text) | Node::CharacterData(text)) => content.push_str(text.trim()),
            Some(Node::Element { .. }) => children.push(Value::Map(element(document, *child))),
            _ => {}
        }
    }
    if !content.is_empty() {
        map.set(Cow::Borrowed("content"), owned(&content));
    }
    if !children.is_empty() {
        map.set(Cow::Borrowed("children"), Value::List(children));
    }
    map
}

/// Elements as keys, without attributes.
fn parse_simplified<'a>(args: &mut Args<'a>) -> Result<Val<'a>, DataError> {
    let document = document(args)?;
    let value = Value::Map(simplified(&document, document::ROOT));
    bounds::value(&value, 0)?;
    Ok(Val::Value(value))
}

fn simplified<'a>(document: &Document, at: usize) -> Map<'a> {
    let named = |child: &usize| match document.kind(*child) {
        Some(Node::Element { name, .. }) => Some(local(name)),
        _ => None,
    };
    let mut counts = std::collections::BTreeMap::<&str, usize>::new();
    document.children(at).iter().filter_map(named).for_each(|name| *counts.entry(name).or_default() += 1);
    let mut map = Map::default();
    for child in document.children(at) {
        let Some(name) = named(child).filter(|_| !document.children(*child).is_empty()) else { continue };
        let leaf = leaf(document, *child);
        let is_one_of_many = counts.get(name).is_some_and(|count| *count > 1);
        let value = match leaf {
            Some(text) => owned(text),
            None => Value::Map(simplified(document, *child)),
        };
        let is_nothing = matches!(&value, Value::Map(map) if map.is_empty());
        if is_one_of_many {
            let list = map.entry(Cow::Owned(name.to_owned()));
            if !matches!(list, Value::List(_)) {
                *list = Value::List(Vec::new());
            }
            if let Value::List(items) = list
                && !is_nothing
            {
                items.push(value);
            }
        } else if !is_nothing {
            map.set(Cow::Owned(name.to_owned()), value);
        }
    }
    map
}

/// The text of an element that holds no elements.
fn leaf(document: &Document, at: usize) -> Option<&str> {
    let kinds = || document.children(at).iter().filter_map(|child| document.kind(*child));
    if kinds().any(|kind| matches!(kind, Node::Element { .. })) {
        return None;
    }
    kinds().find_map(|kind| match kind {
        Node::Text(text) | Node::CharacterData(text) if !text.is_empty() => Some(text.as_str()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use crate::function::{Args, Given, Run};
    use crate::functions::XML;
    use crate::val::Val;

    fn called(name: &str, texts: &[&'static str]) -> Result<String, &'static str> {
        let function = XML.iter().find(|function| function.name == name).unwrap();
        let mut args = vec![Given::Val(Val::text(texts[0]))];
        args.extend(texts[1..].iter().map(|text| Given::Text(text)));
        let Run::Convert(run) = function.run else { panic!() };
        let value = run(&mut Args(args)).map_err(|error| error.0)?.into_value();
        Ok(value.to_text().into_owned())
    }

    const LOG: &str = "<?xml version=\"1.0\"?><Log><Record><ID>1</ID><Name type=\"archive\"/></Record><!-- c -->\
        <Record><ID>2</ID><Name type='user &lt;'>x &amp; y</Name></Record><![CDATA[<z>]]></Log>";

    #[test]
    fn paths_lead_to_their_nodes() {
        for (path, wanted) in [
            ("/Log/Record[2]/ID", "<ID>2</ID>"),
            ("//ID/text()", "12"),
            ("//Name/@type", "archiveuser &lt;"),
            ("/Log/Record[./Name/@type=\"archive\"]/ID", "<ID>1</ID>"),
            ("//Record[last()]/Name", "<Name type=\"user &lt;\">x &amp; y</Name>"),
            ("//*[contains(text(), 'x ')]", "<Name type=\"user &lt;\">x &amp; y</Name>"),
            ("/Log/text()", "&lt;z&gt;"),
            ("/none", ""),
        ] {
            assert_eq!(called("GetXML", &[LOG, path]).as_deref(), Ok(wanted), "{path}");
        }
        let removed = called("RemoveXML", &[LOG, "//Record"]).unwrap();
        assert_eq!(removed, "<?xml version=\"1.0\"?><Log><!-- c --><![CDATA[<z>]]></Log>");
        assert!(called("RemoveXML", &[LOG, "//comment()"]).is_ok_and(|text| !text.contains("<!--")));
        assert!(called("RemoveXML", &[LOG, "//Name/@type"]).is_ok_and(|text| text.contains("<Name>")));
    }

    #[test]
    fn documents_become_maps() {
        let parsed = called("ParseXML", &["<a k=\"v\"> t <b/>u</a>"]).unwrap();
        assert_eq!(parsed, r#"{"attributes":{"k":"v"},"children":[{"tag":"b"}],"content":"tu","tag":"a"}"#);
        let parsed = called("ParseSimplifiedXML", &["<a><b>1</b><b/><c>2</c><d> x <e>3</e></d><f/></a>"]).unwrap();
        assert_eq!(parsed, r#"{"a":{"b":["1"],"c":"2","d":{"e":"3"}}}"#);
        for bad in ["<a>", "<a></b>", "<a>&unknown;</a>", "x"] {
            assert!(called("ParseXML", &[bad]).is_err(), "{bad}");
        }
    }
}
