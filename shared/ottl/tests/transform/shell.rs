//! A shell around statements: groups, contexts, conditions, error modes and caches, as little as the cases need.

use std::borrow::Cow;

use opentelemetry_proto::tonic::collector::{logs, metrics, trace};
use prost::Message as _;
use serde_json::Value as Json;
use spanlake_model::Signal;
use spanlake_otlp::json::to_protobuf;
use spanlake_otlp::limits::Limits;
use spanlake_otlp::schema::SPAN;
use spanlake_otlp::tree::{Entry, Map, Node, Payload, Slot};
use spanlake_ottl::functions::TRANSFORM;
use spanlake_ottl::{Condition, Context, Frame, Statement, infer};

/// How many metrics may be added to a scope.
const ADDED_MAX: usize = 1000;

pub(crate) fn signal(name: &str) -> Signal {
    Signal::ALL.into_iter().find(|signal| signal.name() == name).unwrap()
}

pub(crate) fn protobuf(signal: Signal, request: &Json) -> Vec<u8> {
    to_protobuf(signal, request.to_string().as_bytes(), &Limits::default()).unwrap().protobuf
}

pub(crate) fn decoded(signal: Signal, request: &[u8]) -> Json {
    match signal {
        Signal::Traces => serde_json::to_value(trace::v1::ExportTraceServiceRequest::decode(request).unwrap()),
        Signal::Logs => serde_json::to_value(logs::v1::ExportLogsServiceRequest::decode(request).unwrap()),
        Signal::Metrics => serde_json::to_value(metrics::v1::ExportMetricsServiceRequest::decode(request).unwrap()),
    }
    .unwrap()
}

struct Group {
    context: Context,
    propagates: bool,
    shares_cache: bool,
    conditions: Vec<Condition>,
    statements: Vec<Statement>,
}

pub(crate) struct Processor {
    blocks: Vec<(Signal, Vec<Group>)>,
}

const fn allowed(signal: Signal) -> &'static [Context] {
    match signal {
        Signal::Traces => &[Context::Resource, Context::Scope, Context::Span, Context::SpanEvent],
        Signal::Logs => &[Context::Resource, Context::Scope, Context::Log],
        Signal::Metrics => &[Context::Resource, Context::Scope, Context::Metric, Context::DataPoint, Context::Exemplar],
    }
}

/// The texts of a list; of a single text its parts, cut at commas.
fn texts(list: &Json) -> Vec<String> {
    match list {
        Json::String(text) => text.split(',').map(str::to_owned).collect(),
        _ => list.as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect(),
    }
}

impl Group {
    fn new(signal: Signal, propagates: bool, block: &Json) -> Result<Self, String> {
        let (statements, conditions) = match block {
            Json::String(text) => (vec![text.clone()], Vec::new()),
            Json::Array(_) => (texts(block), Vec::new()),
            _ => (texts(&block["statements"]), texts(&block["conditions"])),
        };
        let as_str = |texts: &[String]| -> Vec<&'static str> { texts.iter().map(|text| &*text.clone().leak()).collect() };
        let (statements, conditions) = (as_str(&statements), as_str(&conditions));
        let named = block["context"].as_str().map(str::to_lowercase);
        let context = match &named {
            Some(name) => allowed(signal).iter().copied().find(|context| context.name() == name),
            None => infer(&statements, &conditions, allowed(signal)),
        };
        let context = context.ok_or("no context")?;
        let error = |error: spanlake_ottl::LoadError| error.to_string();
        Ok(Self {
            context,
            propagates: block["error_mode"].as_str().map_or(propagates, |mode| mode.eq_ignore_ascii_case("propagate")),
            shares_cache: block["shared_cache"] == true,
            conditions: conditions
                .iter()
                .map(|text| Condition::new(text, context, TRANSFORM))
                .collect::<Result<_, _>>()
                .map_err(error)?,
            statements: statements
                .iter()
                .map(|text| Statement::new(text, context, TRANSFORM))
                .collect::<Result<_, _>>()
                .map_err(error)?,
        })
    }

    fn run<'a>(&'a self, frame: &mut Frame<'_, 'a>) -> Result<(), String> {
        let mut holds = self.conditions.is_empty();
        for condition in &self.conditions {
            match condition.holds(frame) {
                Ok(value) => holds |= value,
                Err(error) if self.propagates => return Err(error.to_string()),
                Err(_) => {}
            }
        }
        if holds {
            for statement in &self.statements {
                if let Err(error) = statement.run(frame)
                    && self.propagates
                {
                    return Err(error.to_string());
                }
            }
        }
        Ok(())
    }
}

/// The text of a block without the environment's variables.
fn resolved(case: &Json) -> String {
    let mut text = case["config"].as_str().unwrap().replace("$$", "\0");
    for (name, value) in case["env"].as_object().into_iter().flatten() {
        for form in [format!("${{env:{name}}}"), format!("${{{name}}}")] {
            text = text.replace(&form, value.as_str().unwrap());
        }
    }
    text.replace("${env:ORACLE_SURELY_UNSET}", "").replace('\0', "$")
}

impl Processor {
    pub(crate) fn new(case: &Json) -> Result<Self, String> {
        let config: Json = serde_saphyr::from_str(&resolved(case)).map_err(|error| error.to_string())?;
        let known = ["error_mode", "trace_statements", "log_statements", "metric_statements"];
        if let Some(key) = config.as_object().into_iter().flat_map(|map| map.keys()).find(|key| !known.contains(&key.as_str())) {
            return Err(format!("unknown key {key}"));
        }
        let propagates = config["error_mode"].as_str().is_some_and(|mode| mode.eq_ignore_ascii_case("propagate"));
        let mut blocks = Vec::new();
        for (signal, key) in
            [(Signal::Traces, "trace_statements"), (Signal::Logs, "log_statements"), (Signal::Metrics, "metric_statements")]
        {
            let mut groups = Vec::new();
            let list = config[key].as_array().cloned().unwrap_or_default();
            if !list.is_empty() && list.iter().all(Json::is_string) {
                groups.push(Group::new(signal, propagates, &Json::Array(list))?);
            } else {
                for block in &list {
                    let is_empty = block["statements"].is_null() && !block.is_string();
                    if !is_empty {
                        groups.push(Group::new(signal, propagates, block)?);
                    }
                }
            }
            blocks.push((signal, groups));
        }
        Ok(Self { blocks })
    }

    pub(crate) fn run<'a>(&'a self, payload: &mut Payload<'a>) -> Result<(), String> {
        let signal = payload.signal;
        let mut shared: Vec<(Context, Map<'a>)> = Vec::new();
        let groups = self.blocks.iter().filter(|(of, _)| *of == signal).flat_map(|(_, groups)| groups);
        for group in groups {
            let at = shared.iter().position(|(context, _)| *context == group.context).unwrap_or_else(|| {
                shared.push((group.context, Map::default()));
                shared.len() - 1
            });
            walk(group, payload, &mut shared[at].1)?;
        }
        Ok(())
    }
}

fn walk<'a>(group: &'a Group, payload: &mut Payload<'a>, shared: &mut Map<'a>) -> Result<(), String> {
    for resource in &mut payload.groups {
        let (mut none, mut empty) = (Node::new(&SPAN), Node::new(&SPAN));
        let mut nowhere = Node::new(&SPAN);
        let mut no_url = Cow::Borrowed("");
        if group.context == Context::Resource {
            let mut frame = Frame {
                resource: &mut resource.resource,
                resource_schema_url: &mut resource.schema_url,
                scope: &mut nowhere,
                scope_schema_url: &mut no_url,
                item: &mut none,
                part: &mut empty,
                exemplar: &mut Node::new(&SPAN),
                cache: &mut Map::default(),
                added: &mut Vec::new(),
                now_nanos: 0,
            };
            with_cache(group, &mut frame, shared)?;
            continue;
        }
        for scope in &mut resource.scopes {
            let mut at = 0;
            loop {
                let mut added = Vec::new();
                let mut absent = Node::new(&SPAN);
                let is_scope = group.context == Context::Scope;
                let item = match scope.items.get_mut(at) {
                    Some(item) if !is_scope => &mut item.node,
                    None if is_scope && at == 0 => &mut absent,
                    Some(_) if at == 0 => &mut absent,
                    _ => break,
                };
                let mut frame = Frame {
                    resource: &mut resource.resource,
                    resource_schema_url: &mut resource.schema_url,
                    scope: &mut scope.scope,
                    scope_schema_url: &mut scope.schema_url,
                    item,
                    part: &mut Node::new(&SPAN),
                    exemplar: &mut Node::new(&SPAN),
                    cache: &mut Map::default(),
                    added: &mut added,
                    now_nanos: 0,
                };
                below(group, &mut frame, shared)?;
                scope.items.extend(added.into_iter().map(|node| Entry { node, origin: 0 }));
                at += 1;
                if is_scope || at > ADDED_MAX {
                    break;
                }
            }
        }
    }
    Ok(())
}

/// Runs the group on what its context names within the frame's item.
fn below<'a>(group: &'a Group, frame: &mut Frame<'_, 'a>, shared: &mut Map<'a>) -> Result<(), String> {
    let field = match group.context {
        Context::SpanEvent => 11,
        Context::DataPoint | Context::Exemplar => 1,
        _ => return with_cache(group, frame, shared),
    };
    let data = [5, 7, 9, 10, 11].into_iter().find(|number| frame.item.node(*number).is_some());
    let count = parts(frame.item, data, field).map_or(0, |parts| parts.len());
    for at in 0..count {
        let hole = parts(frame.item, data, field).map(|parts| Node::new(parts[at].schema())).unwrap();
        *frame.part = std::mem::replace(&mut parts(frame.item, data, field).unwrap()[at], hole);
        let result =
            if group.context == Context::Exemplar { exemplars(group, frame, shared) } else { with_cache(group, frame, shared) };
        let part = std::mem::replace(frame.part, Node::new(&SPAN));
        parts(frame.item, data, field).unwrap()[at] = part;
        result?;
    }
    Ok(())
}

fn parts<'x, 'a>(item: &'x mut Node<'a>, data: Option<u32>, field: u32) -> Option<&'x mut Vec<Node<'a>>> {
    match data.filter(|_| field == 1) {
        Some(data) => item.node_mut(data)?.nodes_mut(field),
        None => item.nodes_mut(field),
    }
}

fn exemplars<'a>(group: &'a Group, frame: &mut Frame<'_, 'a>, shared: &mut Map<'a>) -> Result<(), String> {
    let Some(field) = frame.part.schema().fields.iter().find(|field| field.name == "exemplars") else { return Ok(()) };
    let Some(Slot::Nodes(mut list)) = frame.part.remove(field.number) else { return Ok(()) };
    for exemplar in &mut list {
        std::mem::swap(frame.exemplar, exemplar);
        let result = with_cache(group, frame, shared);
        std::mem::swap(frame.exemplar, exemplar);
        result?;
    }
    frame.part.set(field.number, Slot::Nodes(list));
    Ok(())
}

fn with_cache<'a>(group: &'a Group, frame: &mut Frame<'_, 'a>, shared: &mut Map<'a>) -> Result<(), String> {
    if group.shares_cache {
        std::mem::swap(frame.cache, shared);
    } else {
        *frame.cache = Map::default();
    }
    let result = group.run(frame);
    if group.shares_cache {
        std::mem::swap(frame.cache, shared);
    }
    result
}
