//! `spanlake trace`: one trace as a waterfall: services, durations, errors, events; also before it is decided.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Context;
use opentelemetry_proto::tonic::trace::v1::Span as OtlpSpan;
use prost::Message;
use spanlake_model::{SpanId, TraceId};
use spanlake_pipeline::inspect::PendingSpan;

use crate::cli::IdArgs;
use crate::folder::{Folder, runtime};
use crate::lake::{open, texts};
use crate::terminal::{colours, print};
use crate::why::parse_id;

/// Characters of a bar.
const BAR_WIDTH: usize = 32;
/// Spans drawn at most.
const SPANS_MAX: usize = 2_000;

/// Exit code 0 if the trace is there, 1 if not.
pub(crate) fn run(args: &IdArgs) -> anyhow::Result<ExitCode> {
    let id = parse_id(&args.id)?;
    let folder = Folder::open(&args.data.data)?;
    let (found, text) = runtime()?.block_on(draw(&folder, id, colours()))?;
    print(&text);
    Ok(if found { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A span to draw.
struct Bar {
    id: String,
    parent: String,
    service: String,
    name: String,
    kind: String,
    start: i64,
    duration: i64,
    is_error: bool,
    message: String,
    events: Vec<String>,
    /// `late`, `undecided`, or nothing.
    mark: &'static str,
}

/// Whether the trace is there, and its text.
pub(crate) async fn draw(folder: &Folder, id: TraceId, colours: bool) -> anyhow::Result<(bool, String)> {
    let mut bars = in_lake(folder, id).await?;
    let state = folder.find_trace(id).await?;
    let pending: Vec<Bar> = state.spans.iter().filter_map(from_wire).collect();
    bars.extend(
        pending
            .into_iter()
            .filter(|new| !bars.iter().any(|known| known.id == new.id && known.name == new.name))
            .collect::<Vec<_>>(),
    );
    if bars.is_empty() {
        let data = folder.path.display();
        let text = format!(
            "No span of trace {id} is kept, or they arrived within the last seconds. Ask why: spanlake why --data {data} {id}\n"
        );
        return Ok((false, text));
    }
    bars.sort_by(|a, b| (a.start, &a.id).cmp(&(b.start, &b.id)));
    Ok((true, render(&bars, id, colours)?))
}

fn render(bars: &[Bar], id: TraceId, colours: bool) -> anyhow::Result<String> {
    let start = bars.iter().map(|bar| bar.start).min().unwrap_or_default();
    let end = bars.iter().map(|bar| bar.start.saturating_add(bar.duration)).max().unwrap_or_default();
    let errors = bars.iter().filter(|bar| bar.is_error).count();
    let undecided = bars.iter().any(|bar| bar.mark == "undecided");
    let mut out = String::new();
    let open = if undecided { ", NOT DECIDED YET" } else { "" };
    writeln!(out, "Trace {id}: {} spans, {errors} errors, {}{open}", bars.len(), duration_text(end.saturating_sub(start)))?;
    let known: BTreeMap<&str, usize> = bars.iter().enumerate().map(|(number, bar)| (bar.id.as_str(), number)).collect();
    let mut children: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut roots = Vec::new();
    for (number, bar) in bars.iter().enumerate() {
        match known.get(bar.parent.as_str()) {
            Some(parent) if *parent != number => children.entry(*parent).or_default().push(number),
            _ => roots.push(number),
        }
    }
    let scale = Scale { start, length: end.saturating_sub(start).max(1) };
    let mut stack: Vec<(usize, usize)> = roots.into_iter().rev().map(|root| (root, 0)).collect();
    let mut drawn = vec![false; bars.len()];
    let mut lines = 0;
    while let Some((number, depth)) = stack.pop() {
        let (Some(bar), Some(seen)) = (bars.get(number), drawn.get_mut(number)) else { continue };
        if std::mem::replace(seen, true) {
            continue;
        }
        lines += 1;
        if lines > SPANS_MAX {
            writeln!(out, "  ... {} more spans", bars.len() - SPANS_MAX)?;
            break;
        }
        line(&mut out, bar, depth, &scale, colours)?;
        stack.extend(children.get(&number).into_iter().flatten().rev().map(|child| (*child, depth + 1)));
    }
    // Spans whose parents form a circle hang on no root.
    for (bar, _) in bars.iter().zip(&drawn).filter(|(_, drawn)| !**drawn).take(SPANS_MAX.saturating_sub(lines)) {
        line(&mut out, bar, 0, &scale, colours)?;
    }
    Ok(out)
}

struct Scale {
    start: i64,
    length: i64,
}

impl Scale {
    fn place(&self, nanos: i64) -> usize {
        let share = i128::from(nanos.max(0)) * BAR_WIDTH as i128 / i128::from(self.length);
        usize::try_from(share).unwrap_or(BAR_WIDTH).min(BAR_WIDTH)
    }
}

fn line(out: &mut String, bar: &Bar, depth: usize, scale: &Scale, colours: bool) -> std::fmt::Result {
    let from = scale.place(bar.start.saturating_sub(scale.start)).min(BAR_WIDTH - 1);
    let length = scale.place(bar.duration).clamp(1, BAR_WIDTH - from);
    let drawn = format!("{}{}{}", " ".repeat(from), "=".repeat(length), " ".repeat(BAR_WIDTH - from - length));
    let indent = "  ".repeat(depth.min(20));
    let label = format!("{indent}{} {} [{}]", plain(&bar.service), plain(&bar.name), bar.kind);
    let mark = if bar.mark.is_empty() { String::new() } else { format!(" ({})", bar.mark) };
    let error = if bar.is_error { format!(" ERROR {}", plain(&bar.message)) } else { String::new() };
    let (on, off) = if colours && bar.is_error { ("\x1b[31m", "\x1b[0m") } else { ("", "") };
    writeln!(out, "  |{on}{drawn}{off}| {:>9} {label}{mark}{on}{}{off}", duration_text(bar.duration), error.trim_end())?;
    for event in &bar.events {
        writeln!(out, "  |{}|           {indent}  * {}", " ".repeat(BAR_WIDTH), plain(event))?;
    }
    Ok(())
}

/// Text from outside, without what would steer a terminal.
fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(120).collect()
}

fn duration_text(nanos: i64) -> String {
    match nanos {
        ..1_000 => format!("{nanos} ns"),
        1_000..1_000_000 => format!("{}.{} us", nanos / 1_000, nanos / 100 % 10),
        1_000_000..1_000_000_000 => format!("{}.{} ms", nanos / 1_000_000, nanos / 100_000 % 10),
        _ => format!("{}.{:02} s", nanos / 1_000_000_000, nanos / 10_000_000 % 100),
    }
}

async fn in_lake(folder: &Folder, id: TraceId) -> anyhow::Result<Vec<Bar>> {
    let lake = open(&folder.path)?;
    let sql = format!(
        "SELECT span_id, parent_span_id, service_name, name, kind, start_unix_nano, duration_nano, is_error, status_message, is_late, events \
         FROM spans WHERE trace_id = '{id}' ORDER BY start_unix_nano"
    );
    let rows = texts(&lake, &sql).await.context("asking the spans table")?;
    let mut bars = Vec::new();
    for row in rows {
        let text = |column: usize| row.get(column).cloned().unwrap_or_default();
        let events: Vec<serde_json::Value> = serde_json::from_str(&text(10)).unwrap_or_default();
        let event = |event: &serde_json::Value| {
            let attribute = |key: &str| event.get("attributes").and_then(|map| map.get(key)).and_then(serde_json::Value::as_str);
            let name = event.get("name").and_then(serde_json::Value::as_str).unwrap_or_default();
            event_text(name, attribute("exception.type"), attribute("exception.message"))
        };
        bars.push(Bar {
            id: text(0),
            parent: text(1),
            service: text(2),
            name: text(3),
            kind: text(4),
            start: text(5).parse().unwrap_or_default(),
            duration: text(6).parse().unwrap_or_default(),
            is_error: text(7) == "true",
            message: text(8),
            events: events.iter().map(event).collect(),
            mark: if text(9) == "true" { "late" } else { "" },
        });
    }
    Ok(bars)
}

fn event_text(name: &str, kind: Option<&str>, message: Option<&str>) -> String {
    let detail: Vec<&str> = [kind, message].into_iter().flatten().collect();
    if detail.is_empty() { name.to_owned() } else { format!("{name}: {}", detail.join(": ")) }
}

/// A span that the lake does not show yet.
fn from_wire(pending: &PendingSpan) -> Option<Bar> {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    let span = OtlpSpan::decode(pending.span.as_slice()).ok()?;
    let id = |bytes: &[u8]| SpanId::from_slice(bytes).map(|id| id.to_string()).unwrap_or_default();
    let start = i64::try_from(span.start_time_unix_nano).unwrap_or(i64::MAX);
    let end = i64::try_from(span.end_time_unix_nano).unwrap_or(i64::MAX);
    let status = span.status.clone().unwrap_or_default();
    let event = |event: &opentelemetry_proto::tonic::trace::v1::span::Event| {
        let attribute = |key: &str| {
            let found = event.attributes.iter().find(|attribute| attribute.key == key)?;
            match found.value.as_ref()?.value.as_ref()? {
                Value::StringValue(text) => Some(text.clone()),
                _ => None,
            }
        };
        event_text(&event.name, attribute("exception.type").as_deref(), attribute("exception.message").as_deref())
    };
    Some(Bar {
        id: id(&span.span_id),
        parent: id(&span.parent_span_id),
        service: pending.service.clone(),
        name: span.name.clone(),
        kind: spanlake_table::kind_name(u8::try_from(span.kind).unwrap_or_default()).to_owned(),
        start,
        duration: end.saturating_sub(start).max(0),
        is_error: status.code == 2,
        message: status.message,
        events: span.events.iter().map(event).collect(),
        mark: if pending.is_decided { "" } else { "undecided" },
    })
}
