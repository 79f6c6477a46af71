//! The Collector's configuration file, read strictly: every fault at once, each with its line.

mod attributes;
mod expand;
mod filter;
mod hide;
mod inert;
mod lint;
mod matching;
mod overlay;
mod own;
mod probabilistic_sampler;
mod reader;
mod redaction;
mod report;
mod service;
mod single;
mod suggest;
mod tail_sampling;
#[cfg(test)]
mod tests;
mod transform;
mod value;
mod version;
mod yaml;

use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) use expand::Environment;
pub(crate) use overlay::read_overlay;
use reader::{Fields, Findings};
pub use report::{render, render_with};
#[cfg(test)]
pub(crate) use single::read_oldest;
pub(crate) use single::read_processor;
use yaml::Tree;

use crate::finding::{Finding, Severity};
use crate::lints::Lint;
use crate::overlay::Overlay;
use crate::processors::Process;
use crate::rewrite::BUILTIN_RULES;
use crate::rules::Rules;

/// The longest configuration, in bytes.
pub const CONFIG_BYTES_MAX: usize = 1 << 20;

/// The configuration that holds where none is given.
pub const DEFAULT_CONFIG: &str = include_str!("config/default.yaml");

/// A configuration that has been read.
#[derive(Debug)]
pub struct Loaded {
    /// The rules; `None` if and only if a finding is an error.
    pub rules: Option<Rules>,
    /// Everything there is to say, by line.
    pub findings: Vec<Finding>,
}

impl Loaded {
    /// Why there are no rules, in a line: every error with what to do, and variables that are not set, which may be the reason.
    #[must_use]
    pub fn refusal(&self) -> String {
        let unset = Lint::UnsetVariable.row().map_or("", |row| row.name);
        let said = self.findings.iter().filter(|finding| finding.severity == Severity::Error || finding.kind == unset);
        let said = said.map(|finding| {
            let line = finding.line.map(|line| format!("line {line}: ")).unwrap_or_default();
            format!("{line}{} ({})", finding.message, finding.remedy)
        });
        said.collect::<Vec<_>>().join("; ")
    }
}

/// Reads a Collector configuration, and the [`Overlay`] behind it if there is one. `env` looks up environment variables; unset
/// ones are empty, as in the Collector. No finding shows what it answers.
#[must_use]
pub fn load(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Loaded {
    let mut findings = Findings::default();
    let told = hide::Told::new(env);
    let rules = read(text, &|name| told.get(name), &mut findings);
    let failed = findings.has_errors();
    let mut list = findings.list;
    told.hide(&mut list);
    list.sort_by_key(|finding| finding.line);
    list.dedup();
    Loaded { rules: if failed { None } else { rules }, findings: list }
}

fn read(text: &str, env: &dyn Fn(&str) -> Option<String>, findings: &mut Findings) -> Option<Rules> {
    let (text, overlay) = Overlay::split(text);
    let overlay = overlay.map_or_else(Overlay::default, |text| overlay::read(text, findings));
    let mut tree = match yaml::parse(text) {
        Ok(tree) => tree,
        Err(error) => {
            findings.find(error.kind, error.line, "", error.message, error.remedy);
            return None;
        }
    };
    if tree.is_null() {
        let advice = "if this is meant, write `processors: {}`; the built-in default holds only where no file is given";
        findings.find(
            Lint::EmptyFile,
            1,
            "",
            "the file is empty: every trace is kept, and the built-in default does not apply",
            advice,
        );
    }
    let has_written_key = own::has_written_key(&tree);
    lint::unset(&tree, env, findings);
    let mut errors = Vec::new();
    expand::expand(&mut tree, env, &mut yaml::TEXT_BYTES_MAX.clone(), &mut errors);
    for (line, message) in errors {
        findings.refuse(Lint::InvalidVariable, line, "", message);
    }
    let mut root = Fields::new(&tree, "", findings);
    let own = root.get("spanlake").map_or_else(own::Own::default, |tree| own::read(tree, has_written_key, findings));
    let mut components = Components::default();
    for section in ["receivers", "exporters", "extensions", "connectors"] {
        components.others.insert(section, ids(&mut root, section, findings));
    }
    receivers(&mut root, findings);
    let mut rule_names: Vec<String> = BUILTIN_RULES.iter().map(|name| (*name).to_owned()).collect();
    if let Some(mut section) = root.map("processors", findings) {
        for entry in section.all() {
            let path = format!("processors.{}", entry.key);
            let processor = processor(&entry.key, &entry.value, &path, &own, &mut rule_names, findings);
            components.processors.insert(entry.key.clone(), Defined { line: entry.line, processor, used: false });
        }
    }
    lint::check(&tree, &own, findings);
    let service = root.get("service");
    let line = root.line_of("service");
    root.finish(findings);
    let mut rules = service::assemble(service, line, components, &own, rule_names, findings);
    rules.version = version::of(&tree, &overlay);
    overlay::lay(overlay, &mut rules, findings);
    Some(rules)
}

/// What the file defines.
#[derive(Default)]
struct Components {
    processors: BTreeMap<String, Defined>,
    others: BTreeMap<&'static str, Vec<String>>,
}

/// A processor of the file.
struct Defined {
    line: u32,
    processor: Processor,
    used: bool,
}

/// What a processor is here.
enum Processor {
    TailSampling(Box<tail_sampling::TailSampling>),
    /// What changes or drops items, and what is to be checked where a pipeline of a signal uses it.
    Tree(Arc<dyn Process>, Box<attributes::Blocks>),
    /// On the published list.
    Inert(&'static str, &'static str),
    /// Not known, or not supported yet: an error where it is used.
    Missing(Lint, String),
}

/// The types of processors that have a meaning here.
const PROCESSORS: [&str; 7] =
    ["tail_sampling", "transform", "filter", "redaction", "attributes", "resource", "probabilistic_sampler"];

fn processor(
    id: &str,
    tree: &Tree,
    path: &str,
    own: &own::Own,
    rule_names: &mut Vec<String>,
    findings: &mut Findings,
) -> Processor {
    let kind = id.split('/').next().unwrap_or_default();
    match kind {
        "tail_sampling" => Processor::TailSampling(Box::new(tail_sampling::read(tree, path, own, findings))),
        "transform" => {
            rule_names.push(id.to_owned());
            tree_processor(transform::read(tree, path, rule_names.len() - 1, own.fail_closed, findings))
        }
        "filter" => tree_processor(filter::read(tree, path, findings)),
        "redaction" => {
            rule_names.push(id.to_owned());
            tree_processor(redaction::read(tree, path, rule_names.len() - 1, findings))
        }
        "attributes" => attributes_processor(attributes::read_attributes(tree, path, findings)),
        "resource" => attributes_processor(attributes::read_resource(tree, path, findings)),
        "probabilistic_sampler" => tree_processor(probabilistic_sampler::read(tree, path, findings)),
        _ => match inert::processor(kind) {
            Some((why, instead)) => {
                inert::validate(kind, tree, path, findings);
                node_filter(tree, path, findings);
                Processor::Inert(why, instead)
            }
            None if inert::is_later(kind) => {
                Processor::Missing(Lint::NotSupported, format!("the processor {kind} is not supported yet"))
            }
            None => {
                let known = suggest::question(kind, PROCESSORS.into_iter().chain(inert::names()));
                let message = format!("unknown processor type `{kind}`: it might have masked or dropped something{known}");
                Processor::Missing(Lint::UnknownComponent, message)
            }
        },
    }
}

fn tree_processor(processor: impl Process + 'static) -> Processor {
    Processor::Tree(Arc::new(processor), Box::default())
}

fn attributes_processor(read: attributes::Read) -> Processor {
    Processor::Tree(Arc::new(read.processor), Box::new(read.blocks))
}

/// The sign of a Collector on every node, where a trace's spans land on different nodes.
fn node_filter(tree: &Tree, path: &str, findings: &mut Findings) {
    let yaml::Node::Map(entries) = &tree.node else { return };
    let Some(filter) = entries.iter().find(|entry| entry.key == "filter") else { return };
    let yaml::Node::Map(keys) = &filter.value.node else { return };
    if let Some(node) = keys.iter().find(|entry| entry.key == "node_from_env_var") {
        let message = "node_from_env_var is for a Collector on every node: tail sampling there decides on fragments of traces";
        let path = format!("{path}.filter.node_from_env_var");
        findings.find(Lint::NodeLocalSampling, node.line, &path, message, "harmless here: the stream is partitioned by trace id");
    }
}

/// The ids of a section, for the pipelines' references.
fn ids(root: &mut Fields<'_>, section: &'static str, findings: &mut Findings) -> Vec<String> {
    let line = root.line_of(section);
    let Some(mut fields) = root.map(section, findings) else { return Vec::new() };
    let ids: Vec<String> = fields.all().iter().map(|entry| entry.key.clone()).collect();
    if section != "receivers" && !ids.is_empty() {
        let names = ids.join(", ");
        let advice = match section {
            "exporters" => "what they would get is in the lake's tables: query it with SQL",
            "connectors" => "request, error and duration metrics are in the table red_1m, callers in service_edges_1m",
            _ => "nothing to do",
        };
        findings.find(Lint::ComponentWithoutEffect, line, section, format!("{section} do nothing here ({names})"), advice);
    }
    ids
}

fn receivers(root: &mut Fields<'_>, findings: &mut Findings) {
    let Some(mut section) = root.map("receivers", findings) else { return };
    for entry in section.all() {
        let path = section.path_of(&entry.key);
        if entry.key.split('/').next() == Some("otlp") {
            let mut otlp = Fields::new(&entry.value, path, findings);
            let Some(mut protocols) = otlp.map("protocols", findings) else { continue };
            if protocols.entry("grpc").is_some() {
                let line = protocols.line_of("grpc");
                let advice = "set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf in your services";
                findings.find(Lint::GrpcNotServed, line, &protocols.path_of("grpc"), "OTLP over gRPC is not served", advice);
            }
        } else {
            let message = format!("the receiver {} does nothing here", entry.key);
            findings.find(
                Lint::ComponentWithoutEffect,
                entry.line,
                &path,
                message,
                "let a Collector or an agent receive and send OTLP/HTTP",
            );
        }
    }
}
