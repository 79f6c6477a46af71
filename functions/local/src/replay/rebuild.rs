//! OTLP items out of rows of the lake: what the columns hold, and what they leave open.
//!
//! Columns do not hold the type of an attribute's value, but as text; nor which of several names a promoted attribute had; nor
//! schema URLs, the dropped counts of resources, scopes, events and links, and parts of a millisecond of the arrival. A
//! [`Reading`] says what is taken for the first two.

use std::collections::HashMap;

use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use spanlake_sql::Cell;
use spanlake_table::promote::{Kind, LOG_RULES, RESOURCE_RULES, Rule, SPAN_RULES, Special};

use super::values::{body, pair, record, text_of, value_of};

/// What is taken for what the columns do not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// Promoted attributes had their older names, as services of some years ago send them.
    pub(super) is_older: bool,
    /// Texts that read as numbers, truth values, lists and maps were such.
    pub(super) is_typed: bool,
}

/// All readings; the first is the most likely one.
pub(super) const READINGS: [Reading; 3] = [
    Reading { is_older: false, is_typed: true },
    Reading { is_older: false, is_typed: false },
    Reading { is_older: true, is_typed: true },
];

/// The columns of an answer, by name.
pub(super) struct Columns(HashMap<String, usize>);

impl Columns {
    pub(super) fn new(names: &[String]) -> Self {
        Self(names.iter().enumerate().map(|(place, name)| (name.clone(), place)).collect())
    }

    pub(super) fn row<'r>(&'r self, cells: &'r [Cell]) -> Row<'r> {
        Row { columns: self, cells }
    }
}

/// A row of an answer.
#[derive(Clone, Copy)]
pub(super) struct Row<'r> {
    columns: &'r Columns,
    cells: &'r [Cell],
}

impl<'r> Row<'r> {
    pub(super) fn cell(&self, name: &str) -> &'r Cell {
        self.columns.0.get(name).and_then(|place| self.cells.get(*place)).unwrap_or(&Cell::Null)
    }

    pub(super) fn text(&self, name: &str) -> &'r str {
        self.cell(name).as_text().unwrap_or_default()
    }

    pub(super) fn int(&self, name: &str) -> i64 {
        self.cell(name).as_int().unwrap_or_default()
    }

    pub(super) fn is(&self, name: &str) -> bool {
        *self.cell(name) == Cell::Bool(true)
    }

    pub(super) fn uint(&self, name: &str) -> u64 {
        u64::try_from(self.int(name)).unwrap_or_default()
    }

    pub(super) fn count(&self, name: &str) -> u32 {
        u32::try_from(self.int(name)).unwrap_or_default()
    }

    fn id(&self, name: &str) -> Vec<u8> {
        bytes_of_hex(self.text(name))
    }
}

/// The columns of `spans` that a span is made of.
pub(super) fn span_columns() -> Vec<&'static str> {
    let own = [
        "start_unix_nano",
        "duration_nano",
        "trace_id",
        "span_id",
        "parent_span_id",
        "trace_state",
        "flags",
        "name",
        "kind",
        "status_code",
        "status_message",
        "events",
        "links",
        "dropped_attributes_count",
        "dropped_events_count",
        "dropped_links_count",
    ];
    own.into_iter().chain(shared_columns()).chain(SPAN_RULES.iter().map(|rule| rule.column)).collect()
}

/// The columns of `logs` that a record is made of.
pub(super) fn log_columns() -> Vec<&'static str> {
    let own = [
        "time_unix_nano",
        "observed_unix_nano",
        "trace_id",
        "span_id",
        "flags",
        "severity_number",
        "severity_text",
        "event_name",
        "body",
        "body_type",
    ];
    own.into_iter().chain(shared_columns()).chain(LOG_RULES.iter().map(|rule| rule.column)).collect()
}

pub(super) fn shared_columns() -> impl Iterator<Item = &'static str> {
    let rest = ["attributes", "resource_attributes", "scope_attributes", "scope_name", "scope_version"];
    rest.into_iter().chain(RESOURCE_RULES.iter().map(|rule| rule.column))
}

pub(super) fn resource(row: Row<'_>, reading: Reading) -> Resource {
    let mut attributes = Vec::new();
    let rest = record(row.cell("resource_attributes"));
    attributes.extend(RESOURCE_RULES.iter().filter_map(|rule| promoted(row, rule, rest, "", reading)));
    attributes.extend(rest.iter().map(|(key, value)| pair(key, value_of(value, reading.is_typed))));
    Resource { attributes, ..Resource::default() }
}

pub(super) fn scope(row: Row<'_>, reading: Reading) -> InstrumentationScope {
    InstrumentationScope {
        name: row.text("scope_name").to_owned(),
        version: row.text("scope_version").to_owned(),
        attributes: map(row.cell("scope_attributes"), reading),
        dropped_attributes_count: 0,
    }
}

pub(super) fn map(cell: &Cell, reading: Reading) -> Vec<KeyValue> {
    record(cell).iter().map(|(key, value)| pair(key, value_of(value, reading.is_typed))).collect()
}

/// The attribute behind a column, if there is one.
fn promoted(row: Row<'_>, rule: &Rule, rest: &[(String, Cell)], kind: &str, reading: Reading) -> Option<KeyValue> {
    let cell = row.cell(rule.column);
    let newest = rule.keys.first()?;
    let older = rule.client_keys.first().filter(|_| kind == "CLIENT").or_else(|| rule.keys.get(1));
    // Of both names the newer one feeds the column, and the older one stays in the map.
    let is_there = |key: &str| rest.iter().any(|(known, _)| known == key);
    let key = older.filter(|older| reading.is_older && !is_there(older)).unwrap_or(newest);
    let value = match (rule.kind, cell) {
        (_, Cell::Null) => return None,
        (Kind::Text, cell) => {
            let text = text_of(cell);
            // `rpc.grpc.status_code` is a number; every other attribute with a column of text is text by its convention.
            let is_number = rule.column == "rpc_status_code" && key != newest && text.parse::<i64>().is_ok();
            value_of(&Cell::Text(text), is_number)
        }
        (Kind::Int | Kind::Bigint, Cell::Int(number)) => Some(AnyValue { value: Some(Value::IntValue(*number)) }),
        _ => return None,
    };
    Some(pair(key, value))
}

pub(super) fn span(row: Row<'_>, reading: Reading) -> Span {
    let start = row.uint("start_unix_nano");
    // Without a duration the end lies before the start, or is not set.
    let end = row.cell("duration_nano").as_int().map_or(0, |duration| start.saturating_add_signed(duration));
    let (kind, status) = (row.text("kind"), row.text("status_code"));
    Span {
        trace_id: row.id("trace_id"),
        span_id: row.id("span_id"),
        trace_state: row.text("trace_state").to_owned(),
        parent_span_id: row.id("parent_span_id"),
        flags: row.count("flags"),
        name: row.text("name").to_owned(),
        kind: number_of(kind, spanlake_table::kind_name),
        start_time_unix_nano: start,
        end_time_unix_nano: end,
        attributes: span_attributes(row, kind, reading),
        dropped_attributes_count: row.count("dropped_attributes_count"),
        events: list(row.cell("events")).iter().map(|event| event_of(event, reading)).collect(),
        dropped_events_count: row.count("dropped_events_count"),
        links: list(row.cell("links")).iter().map(|link| link_of(link, reading)).collect(),
        dropped_links_count: row.count("dropped_links_count"),
        status: Some(Status {
            message: row.text("status_message").to_owned(),
            code: number_of(status, spanlake_table::status_name),
        }),
    }
}

/// The number of a word; of an unknown one the number itself stands in the column.
pub(super) fn number_of(word: &str, name: impl Fn(u8) -> &'static str) -> i32 {
    (0_u8..8).find(|number| name(*number) == word).map_or_else(|| word.parse().unwrap_or_default(), i32::from)
}

fn span_attributes(row: Row<'_>, kind: &str, reading: Reading) -> Vec<KeyValue> {
    let mut rest = record(row.cell("attributes")).to_vec();
    let mut attributes = Vec::new();
    for rule in SPAN_RULES {
        let made = match rule.special {
            Some(Special::UrlPath) => path(row, rule, &mut rest, reading),
            Some(Special::RpcMethod) if !reading.is_older => method(row, rule),
            // It stands in front of the method.
            Some(Special::RpcService) if !reading.is_older && !row.text("rpc_method").is_empty() => None,
            _ if is_of_event(row, rule.column) => None,
            _ => promoted(row, rule, &rest, kind, reading),
        };
        attributes.extend(made);
    }
    attributes.extend(rest.iter().map(|(key, value)| pair(key, value_of(value, reading.is_typed))));
    attributes
}

/// `http.target` is path and query; its query stands in the map, under its own name or with the path in front.
fn path(row: Row<'_>, rule: &Rule, rest: &mut Vec<(String, Cell)>, reading: Reading) -> Option<KeyValue> {
    let text = row.cell(rule.column).as_text()?;
    if rest.iter().any(|(key, value)| key == "http.target" && value.as_text().is_some_and(|target| target.contains('?'))) {
        return None;
    }
    let query = rest.iter().position(|(key, _)| key == "url.query").filter(|_| reading.is_older);
    let query = query.map(|place| text_of(&rest.remove(place).1));
    let text = query.map_or_else(|| text.to_owned(), |query| format!("{text}?{query}"));
    let key = if reading.is_older { "http.target" } else { "url.path" };
    Some(pair(key, value_of(&Cell::Text(text), false)))
}

/// The current `rpc.method` has the service in front.
fn method(row: Row<'_>, rule: &Rule) -> Option<KeyValue> {
    let method = row.cell(rule.column).as_text()?;
    let service = row.cell("rpc_service").as_text();
    let text = service.map_or_else(|| method.to_owned(), |service| format!("{service}/{method}"));
    Some(pair("rpc.method", value_of(&Cell::Text(text), false)))
}

/// Whether a column repeats what the first exception among the events says.
fn is_of_event(row: Row<'_>, column: &str) -> bool {
    let key = match column {
        "exception_type" => "exception.type",
        "exception_message" => "exception.message",
        _ => return false,
    };
    let events = list(row.cell("events"));
    let exception = events.iter().map(record).find(|event| field(event, "name").as_text() == Some("exception"));
    let said = exception.map(|event| field(record(field(event, "attributes")), key));
    said.is_some_and(|said| *said != Cell::Null && said == row.cell(column))
}

fn event_of(cell: &Cell, reading: Reading) -> Event {
    let event = record(cell);
    Event {
        time_unix_nano: u64::try_from(field(event, "time_unix_nano").as_int().unwrap_or_default()).unwrap_or_default(),
        name: text_of(field(event, "name")),
        attributes: map(field(event, "attributes"), reading),
        dropped_attributes_count: 0,
    }
}

fn link_of(cell: &Cell, reading: Reading) -> Link {
    let link = record(cell);
    Link {
        trace_id: bytes_of_hex(&text_of(field(link, "trace_id"))),
        span_id: bytes_of_hex(&text_of(field(link, "span_id"))),
        trace_state: text_of(field(link, "trace_state")),
        attributes: map(field(link, "attributes"), reading),
        ..Link::default()
    }
}

pub(super) fn log(row: Row<'_>, reading: Reading) -> LogRecord {
    let rest = record(row.cell("attributes"));
    let mut attributes: Vec<KeyValue> = LOG_RULES.iter().filter_map(|rule| promoted(row, rule, rest, "", reading)).collect();
    attributes.extend(rest.iter().map(|(key, value)| pair(key, value_of(value, reading.is_typed))));
    LogRecord {
        time_unix_nano: row.uint("time_unix_nano"),
        observed_time_unix_nano: row.uint("observed_unix_nano"),
        severity_number: i32::try_from(row.int("severity_number")).unwrap_or_default(),
        severity_text: row.text("severity_text").to_owned(),
        body: body(row.cell("body"), row.text("body_type")),
        attributes,
        dropped_attributes_count: 0,
        flags: row.count("flags"),
        trace_id: row.id("trace_id"),
        span_id: row.id("span_id"),
        event_name: row.text("event_name").to_owned(),
    }
}

pub(super) fn field<'c>(record: &'c [(String, Cell)], name: &str) -> &'c Cell {
    record.iter().find(|(known, _)| known == name).map_or(&Cell::Null, |(_, cell)| cell)
}

pub(super) fn list(cell: &Cell) -> &[Cell] {
    match cell {
        Cell::List(cells) => cells,
        _ => &[],
    }
}

pub(super) fn bytes_of_hex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks_exact(2);
    pairs.filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}
