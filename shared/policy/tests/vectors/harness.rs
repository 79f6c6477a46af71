//! From OTLP/JSON through the rules, as the grouper does it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::Value as Json;
use spanlake_model::{Signal, TraceId};
use spanlake_otlp::json::to_protobuf;
use spanlake_otlp::limits::Limits;
use spanlake_otlp::wire::{Reader, put_len};
use spanlake_policy::testing::{End, Outcome};
use spanlake_policy::{Context, Loaded, Rules, Scratch, TraceFacts, load, render};

/// A file of the vectors.
pub(crate) fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/vectors").join(name)
}

/// The lines of a file of the vectors.
pub(crate) fn lines(name: &str) -> Vec<Json> {
    let text = std::fs::read_to_string(path(name)).unwrap();
    text.lines().filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A whole file around a processor's block, which is used for all signals that it works on.
pub(crate) fn configuration(id: &str, block: &str, signals: &[&str], builtin: &str) -> String {
    let indented: String = block.lines().map(|line| format!("    {line}\n")).collect();
    let pipelines: String = signals.iter().map(|signal| format!("    {signal}:\n      processors: [{id}]\n")).collect();
    format!("processors:\n  {id}:\n{indented}service:\n  pipelines:\n{pipelines}spanlake:\n  builtin_redaction: {builtin}\n")
}

/// Reads a configuration without any environment.
pub(crate) fn read(text: &str) -> Loaded {
    load(text, &|_| None)
}

/// The rules of a configuration that must be good.
pub(crate) fn rules(text: &str) -> Rules {
    let loaded = read(text);
    let report = render(&loaded, "config.yaml");
    loaded.rules.unwrap_or_else(|| panic!("{report}\n{text}"))
}

/// The request's protobuf.
pub(crate) fn protobuf(signal: Signal, request: &Json) -> Vec<u8> {
    to_protobuf(signal, request.to_string().as_bytes(), &Limits::default()).unwrap().protobuf
}

pub(crate) fn fields(message: &[u8]) -> Vec<(u32, &[u8])> {
    let mut reader = Reader::new(message);
    let mut all = Vec::new();
    while let Some(field) = reader.next().unwrap() {
        all.extend(field.value.bytes().map(|bytes| (field.number, bytes)));
    }
    all
}

pub(crate) fn one<'a>(fields: &[(u32, &'a [u8])], number: u32) -> &'a [u8] {
    fields.iter().find(|(found, _)| *found == number).map_or(&[], |(_, bytes)| *bytes)
}

/// A request after the rules, and the facts of its traces.
pub(crate) fn apply(rules: &Rules, signal: Signal, request: &[u8]) -> (Vec<u8>, BTreeMap<TraceId, TraceFacts>) {
    let mut scratch = Scratch::new();
    let mut facts: BTreeMap<TraceId, TraceFacts> = BTreeMap::new();
    let ids = span_ids(signal, request);
    if signal == Signal::Traces {
        for (id, known) in ids.iter().zip(rules.facts(request, 0, &mut scratch).unwrap()) {
            facts.entry(*id).or_default().add(&known.unwrap_or_default());
        }
    }
    let processed = rules.process(signal, request, 0, &mut scratch).unwrap();
    let request = if rules.has_processors(signal) { processed.payload.as_slice() } else { request };
    let mut masked_request = Vec::new();
    for (_, group) in fields(request) {
        let group = fields(group);
        let mut masked_group = Vec::new();
        for (number, scope) in &group {
            if *number != 2 {
                continue;
            }
            let scope = fields(scope);
            let context = Context {
                resource: one(&group, 1),
                resource_schema_url: one(&group, 3),
                scope: one(&scope, 1),
                scope_schema_url: one(&scope, 3),
            };
            let masked = rules.context(signal, context, &mut scratch);
            let mut masked_scope = Vec::new();
            put_len(&mut masked_scope, 1, &masked.scope);
            put_len(&mut masked_scope, 3, &masked.scope_schema_url);
            for (_, item) in scope.iter().filter(|(number, _)| *number == 2) {
                let mut out = Vec::new();
                let outcome = rules.item(signal, &masked, item, &mut out, &mut scratch);
                assert_eq!(outcome.dropped, None);
                put_len(&mut masked_scope, 2, &out);
            }
            if masked_group.is_empty() {
                put_len(&mut masked_group, 1, &masked.resource);
                put_len(&mut masked_group, 3, &masked.resource_schema_url);
            }
            put_len(&mut masked_group, 2, &masked_scope);
        }
        put_len(&mut masked_request, 1, &masked_group);
    }
    (masked_request, facts)
}

/// The trace ids of a request's spans, in their order.
pub(crate) fn span_ids(signal: Signal, request: &[u8]) -> Vec<TraceId> {
    let lists = |message: &[u8], number: u32| -> Vec<Vec<u8>> {
        fields(message).iter().filter(|(known, _)| *known == number).map(|(_, bytes)| bytes.to_vec()).collect()
    };
    let scopes = lists(request, 1).into_iter().flat_map(|group| lists(&group, 2));
    let items = scopes.flat_map(|scope| lists(&scope, 2)).filter(|_| signal == Signal::Traces);
    items.map(|item| TraceId::from_slice(one(&fields(&item), 1)).unwrap_or_default()).collect()
}

/// A request as OTLP/JSON.
pub(crate) fn json(signal: Signal, request: &[u8]) -> Json {
    use opentelemetry_proto::tonic::collector::{logs, metrics, trace};
    use prost::Message as _;
    match signal {
        Signal::Traces => serde_json::to_value(trace::v1::ExportTraceServiceRequest::decode(request).unwrap()),
        Signal::Logs => serde_json::to_value(logs::v1::ExportLogsServiceRequest::decode(request).unwrap()),
        Signal::Metrics => serde_json::to_value(metrics::v1::ExportMetricsServiceRequest::decode(request).unwrap()),
    }
    .unwrap()
}

/// The cases of a section of the list of deviations, `docs/deviations.md`.
pub(crate) fn deviations(section: &str) -> BTreeSet<String> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/deviations.md");
    let page = std::fs::read_to_string(page).unwrap();
    let heading = format!("## {section}");
    let lines = page.lines().skip_while(|line| *line != heading).skip(1).take_while(|line| !line.starts_with("## "));
    lines.filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned())).collect()
}

/// A whole-processor vector.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) config: String,
    pub(crate) signal: Signal,
    /// The request's protobuf.
    pub(crate) input: Vec<u8>,
    env: BTreeMap<String, String>,
    /// `create`, `consume` and so on, where the reference failed.
    error_stage: Option<String>,
    nothing_sent: bool,
    expected: Json,
}

impl Case {
    /// A line of the vectors.
    pub(crate) fn new(line: &Json) -> Self {
        let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        let signal = Signal::ALL.into_iter().find(|signal| signal.name() == text("signal")).unwrap();
        let input = document(&text("input"));
        let env = line["env"].as_object().into_iter().flatten();
        let expected = if line["newer"].is_null() { &line["expected"] } else { &line["newer"]["expected"] };
        Self {
            name: text("name"),
            kind: text("processor"),
            config: text("config"),
            signal,
            input: protobuf(signal, &input),
            env: env.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect(),
            error_stage: line["error_stage"].as_str().map(str::to_owned),
            nothing_sent: line["nothing_sent"] == true,
            expected: expected.clone(),
        }
    }

    /// Runs it through one of the crate's runners.
    pub(crate) fn run(&self, runner: impl Fn(&str, &str, Signal, &[u8], &dyn Fn(&str) -> Option<String>) -> Outcome) -> Outcome {
        runner(&self.kind, &self.config, self.signal, &self.input, &|name| self.env.get(name).cloned())
    }

    /// How an outcome differs from the reference's.
    pub(crate) fn difference(&self, outcome: &Outcome) -> Result<(), String> {
        let stage = self.error_stage.as_deref();
        match (&outcome.end, stage) {
            (End::Refused, Some(stage)) if stage != "consume" => Ok(()),
            (End::Failed(_), Some("consume")) => Ok(()),
            (End::Nothing, None) if self.nothing_sent => Ok(()),
            (End::Sent(sent), None) if !self.nothing_sent => {
                let found = normal(&json(self.signal, sent));
                // Through the same reader, so that every spelling of a value is one.
                let wanted = normal(&json(self.signal, &protobuf(self.signal, &self.expected)));
                if found == wanted { Ok(()) } else { Err(format!("{}", Differences(&wanted, &found))) }
            }
            (end, stage) => Err(format!("expected {stage:?}, found {end:?}, {:?}", outcome.findings)),
        }
    }
}

/// A document below the vectors of processors.
pub(crate) fn document(name: &str) -> Json {
    serde_json::from_str(&std::fs::read_to_string(path("processors").join(name)).unwrap()).unwrap()
}

/// A document with attributes in the order of their keys and without what is empty or zero.
pub(crate) fn normal(json: &Json) -> Json {
    match json {
        Json::Array(items) => {
            let mut items: Vec<Json> = items.iter().map(normal).collect();
            if items.iter().all(|item| item.get("key").is_some()) {
                items.sort_by_key(|item| item["key"].as_str().unwrap_or_default().to_owned());
            }
            Json::Array(items)
        }
        Json::Object(fields) => {
            let is_value = |name: &str| name.ends_with("Value") || name == "value" || name == "key";
            let fields = fields.iter().map(|(name, value)| (name.clone(), normal(value)));
            Json::Object(fields.filter(|(name, value)| is_value(name) || !is_empty(value)).collect())
        }
        other => other.clone(),
    }
}

fn is_empty(value: &Json) -> bool {
    match value {
        Json::Array(items) => items.is_empty(),
        Json::Object(fields) => fields.is_empty(),
        Json::Null => true,
        other => *other == "" || *other == 0 || *other == "0" || *other == false,
    }
}

/// Where two documents differ, for messages.
struct Differences<'a>(&'a Json, &'a Json);

impl std::fmt::Display for Differences<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        fn walk(at: &str, wanted: &Json, found: &Json, out: &mut Vec<String>) {
            match (wanted, found) {
                (Json::Object(one), Json::Object(two)) => {
                    let names: BTreeSet<_> = one.keys().chain(two.keys()).collect();
                    for name in names {
                        walk(
                            &format!("{at}/{name}"),
                            one.get(name).unwrap_or(&Json::Null),
                            two.get(name).unwrap_or(&Json::Null),
                            out,
                        );
                    }
                }
                (Json::Array(one), Json::Array(two)) if one.len() == two.len() => {
                    one.iter()
                        .zip(two)
                        .enumerate()
                        .for_each(|(at_item, (one, two))| walk(&format!("{at}/{at_item}"), one, two, out));
                }
                _ if wanted != found => out.push(format!("{at}: expected {wanted}, found {found}")),
                _ => {}
            }
        }
        let mut all = Vec::new();
        walk("", self.0, self.1, &mut all);
        f.write_str(&all.into_iter().take(6).collect::<Vec<_>>().join("\n  "))
    }
}
