//! `service.pipelines`: which processors run for which signal, and the rules that come of it.

use std::sync::Arc;

use spanlake_model::{PerSignal, Signal};

use super::own::Own;
use super::reader::{Fields, Findings};
use super::suggest::question;
use super::tail_sampling::TailSampling;
use super::yaml::Tree;
use super::{Components, Processor};
use crate::lints::Lint;
use crate::overlay::Overlay;
use crate::processors::run::{BY_PROCESSOR, Step};
use crate::rewrite::Masking;
use crate::rules::{Leaves, Plan, Rules, Stage};

/// The most processors of a pipeline: each is a pass over the payload.
const STAGES_MAX: usize = 32;
/// `decision_wait` without a `tail_sampling` processor.
const DECISION_WAIT_MS: u64 = 10_000;

/// Puts the rules together from the pipelines; they have no version yet.
pub(super) fn assemble(
    service: Option<&Tree>,
    line: u32,
    mut components: Components,
    own: &Own,
    rule_names: Vec<String>,
    findings: &mut Findings,
) -> Rules {
    let mut lists: PerSignal<Option<List>> = PerSignal::default();
    if let Some(service) = service {
        let mut fields = Fields::new(service, "service", findings);
        fields.get("telemetry");
        references(&mut fields, "extensions", &components, &["extensions"], findings);
        if let Some(mut pipelines) = fields.map("pipelines", findings) {
            for entry in pipelines.all() {
                let path = pipelines.path_of(&entry.key);
                let Some((signal, list)) = pipeline(entry, &path, &components, findings) else { continue };
                match &mut lists[signal] {
                    None => lists[signal] = Some(list),
                    // Processors of both are in a pipeline: that one too many is the only fault of theirs.
                    Some(first) => {
                        say_second(entry.line, &path, signal, findings);
                        first.extend(
                            list.into_iter().filter(|(_, id)| !first.iter().any(|(_, known)| known == id)).collect::<List>(),
                        );
                    }
                }
            }
        }
        fields.finish(findings);
    } else if !components.processors.is_empty() {
        findings.find(
            Lint::NoService,
            line,
            "service",
            "there is no service section: no processor runs",
            "add service.pipelines",
        );
    }
    let mut builder = Builder { tail: None, summary: Vec::new(), masking: own.masking.clone() };
    let mut plans = Vec::new();
    for signal in Signal::ALL {
        let list = lists[signal].take().unwrap_or_default();
        plans.push(Arc::new(builder.plan(signal, &list, &mut components, findings)));
    }
    say_unused(&components, findings);
    say_uncovered(&plans, findings);
    if own.logs.follow_trace && builder.tail.is_none() {
        let message = "logs follow their traces, and every trace is kept: there is no tail_sampling in the traces pipeline";
        let advice = "list tail_sampling under processors of service.pipelines.traces, or take `logs` out";
        findings.find(Lint::SettingWithoutEffect, 0, "spanlake.logs", message, advice);
    }
    rules(builder, &plans, own, rule_names)
}

type List = Vec<(u32, String)>;

fn say_second(line: u32, path: &str, signal: Signal, findings: &mut Findings) {
    let message = format!("a second pipeline for {} is not supported yet", signal.name());
    findings.find(Lint::NotSupported, line, path, message, "merge the two lists of processors into one pipeline");
}

fn pipeline(entry: &super::yaml::Entry, path: &str, components: &Components, findings: &mut Findings) -> Option<(Signal, List)> {
    let name = entry.key.split('/').next().unwrap_or_default();
    let signal = Signal::ALL.into_iter().find(|signal| signal.name() == name);
    let mut fields = Fields::new(&entry.value, path, findings);
    references(&mut fields, "receivers", components, &["receivers", "connectors"], findings);
    references(&mut fields, "exporters", components, &["exporters", "connectors"], findings);
    let listed = fields.strings("processors", findings);
    fields.finish(findings);
    if signal.is_none() {
        if name == "profiles" {
            findings.unsupported(entry.line, path, "a pipeline for profiles");
        } else {
            findings.refuse(Lint::WrongSignal, entry.line, path, format!("unknown signal `{name}`: traces, metrics or logs"));
        }
    }
    let mut list: List = Vec::new();
    for (line, id) in listed {
        if list.iter().any(|(_, known)| known == id) {
            let message = format!("the processor `{id}` stands twice in this pipeline");
            let kind = id.split('/').next().unwrap_or_default();
            let advice = format!("take one of the two out, or define another one by a name such as `{kind}/second`");
            findings.find(Lint::DuplicateName, line, path, message, advice);
        } else {
            list.push((line, id.to_owned()));
        }
    }
    Some((signal?, list))
}

/// Reports references to components that are not defined.
fn references(fields: &mut Fields<'_>, key: &str, components: &Components, sections: &[&str], findings: &mut Findings) {
    let path = fields.path_of(key);
    for (line, id) in fields.strings(key, findings) {
        let known = sections.iter().filter_map(|section| components.others.get(section)).any(|ids| ids.iter().any(|k| k == id));
        if !known {
            findings.refuse(Lint::UndefinedReference, line, &path, format!("`{id}` is not defined in {}", sections.join(" or ")));
        }
    }
}

struct Builder {
    tail: Option<TailSampling>,
    summary: Vec<String>,
    masking: Option<Masking>,
}

impl Builder {
    fn plan(&mut self, signal: Signal, list: &List, components: &mut Components, findings: &mut Findings) -> Plan {
        let path = format!("service.pipelines.{}.processors", signal.name());
        let mut stages = Vec::new();
        let mut used = Vec::new();
        for (line, id) in list {
            say_undefined(*line, id, &path, components, findings);
            let Some(defined) = components.processors.get_mut(id) else { continue };
            let first_use = !defined.used;
            defined.used = true;
            let stage = match &mut defined.processor {
                Processor::Inert(why, instead) => {
                    if first_use {
                        let path = format!("processors.{id}");
                        let message = format!("{id} has no effect here: {why}");
                        findings.find(Lint::ProcessorWithoutEffect, defined.line, &path, message, *instead);
                    }
                    continue;
                }
                Processor::Missing(kind, message) => {
                    findings.refuse(*kind, defined.line, &format!("processors.{id}"), message.clone());
                    continue;
                }
                Processor::TailSampling(tail) => {
                    if signal != Signal::Traces {
                        let message = format!("tail_sampling does not work on {}", signal.name());
                        findings.refuse(Lint::WrongSignal, *line, &path, message);
                        continue;
                    }
                    if self.tail.is_some() {
                        findings.unsupported(*line, &path, "a second tail_sampling processor");
                        continue;
                    }
                    let tail = std::mem::take(&mut **tail);
                    used.push(format!("{id} ({} policies)", tail.sampler.policies().len()));
                    self.tail = Some(tail);
                    stages.push(Stage::Sample);
                    continue;
                }
                Processor::Tree(processor, blocks) => {
                    blocks.check(signal, findings);
                    let (reason, processor) = (format!("{BY_PROCESSOR}{id}").into(), Arc::clone(processor));
                    if !processor.runs(signal) {
                        say_idle(*line, id, &path, signal, findings);
                    }
                    processor.runs(signal).then_some(Stage::Run(Step { reason, processor }))
                }
            };
            used.extend(stage.is_some().then(|| id.clone()));
            stages.extend(stage);
        }
        if stages.len() > STAGES_MAX {
            findings.refuse(
                Lint::TooLarge,
                list.first().map_or(0, |(line, _)| *line),
                &path,
                format!("more than {STAGES_MAX} processors"),
            );
        }
        used.extend(self.masking.as_ref().map(Masking::describe));
        let used = if used.is_empty() { "kept as they are".to_owned() } else { used.join(", then ") };
        self.summary.push(format!("{}: {used}", signal.name()));
        let has_conditions = self.tail.as_ref().is_some_and(|tail| !tail.leaves.ottl.is_empty());
        let samples = matches!(stages.as_slice(), [Stage::Sample]) && !has_conditions;
        Plan { samples, stages, builtin: self.masking.is_some(), masking: self.masking.clone().unwrap_or_default() }
    }
}

fn say_undefined(line: u32, id: &str, path: &str, components: &Components, findings: &mut Findings) {
    if !components.processors.contains_key(id) && !findings.is_full() {
        let question = question(id, components.processors.keys().map(String::as_str));
        findings.refuse(Lint::UndefinedReference, line, path, format!("the processor `{id}` is not defined{question}"));
    }
}

/// A processor without errors that a pipeline lists in vain.
fn say_idle(line: u32, id: &str, path: &str, signal: Signal, findings: &mut Findings) {
    if !findings.has_errors_in(&format!("processors.{id}")) {
        findings.refuse(Lint::IdleProcessor, line, path, format!("{id} has nothing to do for {}", signal.name()));
    }
}

fn say_unused(components: &Components, findings: &mut Findings) {
    for (id, defined) in components.processors.iter().filter(|(_, defined)| !defined.used) {
        let path = format!("processors.{id}");
        let extra = match defined.processor {
            Processor::Tree(ref processor, _) if Signal::ALL.into_iter().any(|signal| processor.redacts(signal)) => {
                ": nothing is redacted by it until it is listed"
            }
            Processor::TailSampling(_) => ": no trace is sampled out by it until it is listed",
            _ => "",
        };
        let advice = "list it under processors of a pipeline in service.pipelines, or take it out";
        findings.find(Lint::UnusedProcessor, defined.line, &path, format!("{id} is defined but in no pipeline{extra}"), advice);
    }
}

/// Signals in which nothing of the user's masks, although something does elsewhere or is meant to.
fn say_uncovered(plans: &[Arc<Plan>], findings: &mut Findings) {
    let masks = |(signal, plan): &(Signal, &Arc<Plan>)| plan.steps().any(|step| step.processor.redacts(*signal));
    let open: Vec<&str> =
        Signal::ALL.into_iter().zip(plans).filter(|plan| !masks(plan)).map(|(signal, _)| signal.name()).collect();
    if open.is_empty() {
        return;
    }
    let builtin = plans.iter().any(|plan| plan.builtin);
    let message = format!("no redaction of your own runs for {}", open.join(", "));
    if builtin {
        findings.find(Lint::UnredactedSignal, 0, "service.pipelines", message, "the built-in masking runs for all signals");
    } else {
        findings.find(
            Lint::NothingRedacted,
            0,
            "service.pipelines",
            message,
            "add a redaction processor, or take `builtin_redaction: off` out",
        );
    }
}

fn rules(builder: Builder, plans: &[Arc<Plan>], own: &Own, rule_names: Vec<String>) -> Rules {
    let Builder { tail, mut summary, .. } = builder;
    let plan = |place: usize| plans.get(place).cloned().unwrap_or_default();
    let plans = PerSignal([plan(0), plan(1), plan(2)]);
    let (decision_wait_ms, root_wait_ms, sampler, leaves) = match tail {
        Some(tail) => (tail.decision_wait_ms, tail.root_wait_ms, Some(tail.sampler), tail.leaves),
        None => (DECISION_WAIT_MS, None, None, Leaves::default()),
    };
    match &sampler {
        Some(sampler) => {
            for policy in sampler.policies() {
                let verb = if policy.drops() { "drops" } else { "keeps" };
                summary.push(format!("policy {} ({}) {verb}", policy.name, policy.kind));
            }
            summary.push(format!("a trace is decided {decision_wait_ms} ms after its first span, at a window's end"));
            summary.extend(root_wait_ms.map(|wait| format!("or {wait} ms after its root, if that is sooner")));
        }
        None => summary.push("no tail_sampling: every trace is kept".to_owned()),
    }
    summary.extend(own.logs.describe());
    summary.push(format!("windows of {} ms, decisions remembered for {} ms", own.window_ms, own.late_horizon_ms));
    Rules {
        version: String::new(),
        decision_wait_ms,
        root_wait_ms,
        window_ms: own.window_ms,
        late_horizon_ms: own.late_horizon_ms,
        sampler,
        overlay: Overlay::default(),
        leaves,
        plans,
        limits: own.limits,
        logs: own.logs,
        rule_names: rule_names.into(),
        summary,
    }
}
