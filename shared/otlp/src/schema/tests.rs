//! The tables against the descriptors that opentelemetry-proto publishes, read with our own wire reader.

use std::collections::{BTreeMap, BTreeSet};

use spanlake_model::Signal;

use super::*;
use crate::wire::{Reader, Value};

/// Fields of a message by number, all of them.
fn fields(message: &[u8]) -> Vec<(u32, Value<'_>)> {
    let mut reader = Reader::new(message);
    let mut all = Vec::new();
    while let Some(field) = reader.next().unwrap() {
        all.push((field.number, field.value));
    }
    all
}

fn text(fields: &[(u32, Value<'_>)], number: u32) -> String {
    let bytes = fields.iter().rev().find(|(n, _)| *n == number).and_then(|(_, value)| value.bytes()).unwrap_or_default();
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn number(fields: &[(u32, Value<'_>)], field: u32) -> u64 {
    fields.iter().rev().find(|(n, _)| *n == field).and_then(|(_, value)| value.varint()).unwrap_or_default()
}

/// Name, JSON name, type, type name, repeated.
type Row = (String, String, u64, String, bool);

#[derive(Default)]
struct Published {
    /// By full name, then by field number.
    messages: BTreeMap<String, BTreeMap<u32, Row>>,
    enums: BTreeMap<String, Vec<(String, i32)>>,
}

impl Published {
    /// `descriptor.proto`: `FileDescriptorSet.file` 1; `FileDescriptorProto` package 2, message 4, enum 5.
    fn read(set: &[u8]) -> Self {
        let mut published = Self::default();
        for (_, file) in fields(set) {
            let file = fields(file.bytes().unwrap());
            let package = format!(".{}", text(&file, 2));
            for (n, value) in &file {
                match n {
                    4 => published.message(&package, value.bytes().unwrap()),
                    5 => published.enumeration(&package, value.bytes().unwrap()),
                    _ => {}
                }
            }
        }
        published
    }

    /// `DescriptorProto`: name 1, field 2, nested type 3, enum 4.
    fn message(&mut self, scope: &str, message: &[u8]) {
        let message = fields(message);
        let name = format!("{scope}.{}", text(&message, 1));
        self.messages.entry(name.clone()).or_default();
        for (n, value) in &message {
            match n {
                2 => {
                    let field = fields(value.bytes().unwrap());
                    let row = (text(&field, 1), text(&field, 10), number(&field, 5), text(&field, 6), number(&field, 4) == 3);
                    let number = u32::try_from(number(&field, 3)).unwrap();
                    self.messages.get_mut(&name).unwrap().insert(number, row);
                }
                3 => self.message(&name, value.bytes().unwrap()),
                4 => self.enumeration(&name, value.bytes().unwrap()),
                _ => {}
            }
        }
    }

    /// `EnumDescriptorProto`: name 1, value 2 (name 1, number 2).
    fn enumeration(&mut self, scope: &str, enumeration: &[u8]) {
        let enumeration = fields(enumeration);
        let values = enumeration.iter().filter(|(n, _)| *n == 2).map(|(_, value)| {
            let value = fields(value.bytes().unwrap());
            (text(&value, 1), i32::try_from(number(&value, 2)).unwrap())
        });
        self.enums.insert(format!("{scope}.{}", text(&enumeration, 1)), values.collect());
    }
}

/// The type number in `descriptor.proto`.
fn type_number(kind: Kind) -> u64 {
    match kind {
        Kind::Double => 1,
        Kind::Int64 => 3,
        Kind::Uint64 => 4,
        Kind::Int32 => 5,
        Kind::Fixed64 => 6,
        Kind::Fixed32 => 7,
        Kind::Bool => 8,
        Kind::String => 9,
        Kind::Message(_) => 11,
        Kind::Bytes | Kind::Id => 12,
        Kind::Uint32 => 13,
        Kind::Enum(_) => 14,
        Kind::Sfixed64 => 16,
        Kind::Sint32 => 17,
    }
}

fn compare(published: &Published, full_name: &str, message: &'static Message, seen: &mut BTreeSet<String>) {
    if !seen.insert(full_name.to_owned()) {
        return;
    }
    assert!(full_name.ends_with(&format!(".{}", message.name)), "{full_name}");
    let theirs = &published.messages[full_name];
    let ours: Vec<u32> = message.fields.iter().map(|field| field.number).collect();
    assert_eq!(ours, theirs.keys().copied().collect::<Vec<_>>(), "{full_name}");
    for field in message.fields {
        let (name, json, kind, type_name, repeated) = &theirs[&field.number];
        let place = format!("{full_name}.{name}");
        assert_eq!((field.name, field.json), (name.as_str(), json.as_str()), "{place}");
        assert_eq!((type_number(field.kind), field.repeated), (*kind, *repeated), "{place}");
        assert_eq!(matches!(field.kind, Kind::Id), *kind == 12 && name.ends_with("_id"), "{place}");
        assert!(std::ptr::eq(message.field(field.number).unwrap(), field));
        assert!(std::ptr::eq(message.field_by_json(json).unwrap(), field));
        match field.kind {
            Kind::Message(inner) => compare(published, type_name, inner, seen),
            Kind::Enum(names) => {
                let theirs = &published.enums[type_name];
                let ours: Vec<_> = names.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
                assert_eq!(&ours, theirs, "{place}");
            }
            _ => {}
        }
    }
}

#[test]
fn the_tables_are_what_opentelemetry_publishes() {
    let published = Published::read(opentelemetry_proto::DESCRIPTORS);
    let mut seen = BTreeSet::new();
    for (signal, package, name) in [
        (Signal::Traces, "trace", "ExportTraceServiceRequest"),
        (Signal::Logs, "logs", "ExportLogsServiceRequest"),
        (Signal::Metrics, "metrics", "ExportMetricsServiceRequest"),
    ] {
        let full_name = format!(".opentelemetry.proto.collector.{package}.v1.{name}");
        compare(&published, &full_name, request(signal), &mut seen);
    }
    assert_eq!(seen.len(), 34);
}

#[test]
fn an_unknown_number_is_no_field() {
    for number in [0, 17, 255, u32::MAX >> 3, u32::MAX] {
        assert!(SPAN.field(number).is_none());
    }
    assert!(LOG_RECORD.field(4).is_none());
}
