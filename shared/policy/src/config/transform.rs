//! The `transform` processor's configuration.

use spanlake_model::{PerSignal, Signal};
use spanlake_ottl::functions::TRANSFORM;
use spanlake_ottl::{Condition, Context, Statement, infer};

use super::reader::{Fields, Findings, string};
use super::yaml::{Node, Tree};
use crate::lints::Lint;
use crate::processors::transform::{Group, Line, Transform};
use crate::processors::{ErrorMode, Gate};

/// The contexts of a signal's statements.
pub(super) const fn contexts(signal: Signal) -> &'static [Context] {
    match signal {
        Signal::Traces => &[Context::Resource, Context::Scope, Context::Span, Context::SpanEvent],
        Signal::Logs => &[Context::Resource, Context::Scope, Context::Log],
        Signal::Metrics => &[Context::Resource, Context::Scope, Context::Metric, Context::DataPoint, Context::Exemplar],
    }
}

/// Reads a `transform` block. `rule` is the index of its name among the rules' names.
pub(super) fn read(tree: &Tree, path: &str, rule: usize, fail_closed: bool, findings: &mut Findings) -> Transform {
    let mut fields = Fields::new(tree, path, findings);
    let mode = error_mode(&mut fields, findings).unwrap_or_default();
    let (line, at) = (fields.line_of("flatten_data"), fields.path_of("flatten_data"));
    if fields.bool("flatten_data", findings) == Some(true) {
        findings.refuse(Lint::NotSupported, line, &at, "flatten_data is behind a feature gate of the Collector that is off");
    }
    let mut groups = PerSignal::default();
    for (signal, key) in
        [(Signal::Traces, "trace_statements"), (Signal::Logs, "log_statements"), (Signal::Metrics, "metric_statements")]
    {
        let items = fields.list(key, findings);
        let path = fields.path_of(key);
        groups[signal] = Reader { signal, path, mode, findings }.read(items);
    }
    fields.finish(findings);
    Transform { groups, rule, fail_closed }
}

/// The key `error_mode`, in any case.
pub(super) fn error_mode(fields: &mut Fields<'_>, findings: &mut Findings) -> Option<ErrorMode> {
    let line = fields.line_of("error_mode");
    let mode = fields.string("error_mode", findings)?;
    match mode.to_ascii_lowercase().as_str() {
        "ignore" | "silent" => Some(ErrorMode::Ignore),
        "propagate" => Some(ErrorMode::Propagate),
        _ => {
            let message = format!("unknown error mode \"{mode}\": ignore, silent or propagate");
            findings.error(line, &fields.path_of("error_mode"), message);
            None
        }
    }
}

/// The key `context`: one of the signal's.
pub(super) fn context(fields: &mut Fields<'_>, signal: Signal, findings: &mut Findings) -> Option<Context> {
    let line = fields.line_of("context");
    let name = fields.string("context", findings)?;
    let known = contexts(signal).iter().find(|context| context.name().eq_ignore_ascii_case(name));
    if known.is_none() {
        let names = contexts(signal).iter().map(|context| context.name()).collect::<Vec<_>>().join(", ");
        let message = format!("unknown context \"{name}\" for {}: {names}", signal.name());
        findings.error(line, &fields.path_of("context"), message);
    }
    known.copied()
}

struct Reader<'f> {
    signal: Signal,
    path: String,
    mode: ErrorMode,
    findings: &'f mut Findings,
}

/// Texts with their lines.
type Texts<'t> = Vec<(u32, &'t str)>;

impl Reader<'_> {
    fn read(&mut self, items: &[Tree]) -> Vec<Group> {
        let is_text = |item: &Tree| matches!(item.node, Node::Scalar(_));
        let first_map = items.iter().position(|item| !is_text(item));
        if first_map.is_some_and(|place| place > 0) {
            let line = items.first().map_or(0, |item| item.line);
            self.findings.error(line, &self.path, "statements come before groups: write either texts or groups");
        }
        let path = self.path.clone();
        if first_map.is_none() {
            let texts: Texts<'_> =
                items.iter().filter_map(|item| Some((item.line, string(item, &path, self.findings)?))).collect();
            return if texts.is_empty() { Vec::new() } else { vec![self.group(&path, None, &[], &texts, (self.mode, false))] };
        }
        let mut groups = Vec::new();
        for (place, item) in items.iter().enumerate() {
            let path = format!("{path}[{place}]");
            if is_text(item) {
                let Some(text) = string(item, &path, self.findings) else { continue };
                groups.push(self.group(&path, None, &[], &[(item.line, text)], (self.mode, false)));
            } else {
                groups.extend(self.map(item, &path));
            }
        }
        groups
    }

    /// A group with keys.
    fn map(&mut self, item: &Tree, path: &str) -> Option<Group> {
        let mut fields = Fields::new(item, path, self.findings);
        let is_named = fields.get("context").is_some();
        let context = context(&mut fields, self.signal, self.findings);
        let mode = error_mode(&mut fields, self.findings).unwrap_or(self.mode);
        let shared = fields.bool("shared_cache", self.findings).unwrap_or(false);
        let conditions = fields.strings("conditions", self.findings);
        let statements = fields.strings("statements", self.findings);
        fields.finish(self.findings);
        if statements.is_empty() || (is_named && context.is_none()) {
            return None;
        }
        Some(self.group(path, context, &conditions, &statements, (mode, shared)))
    }

    fn group(
        &mut self,
        path: &str,
        context: Option<Context>,
        conditions: &[(u32, &str)],
        statements: &[(u32, &str)],
        (error_mode, shared_cache): (ErrorMode, bool),
    ) -> Group {
        let all: Vec<&str> = statements.iter().map(|(_, text)| *text).collect();
        let gates: Vec<&str> = conditions.iter().map(|(_, text)| *text).collect();
        let inferred = || infer(&all, &gates, contexts(self.signal));
        let context = context.or_else(inferred).unwrap_or_else(|| {
            // Read in the lowest context, so that a fault of syntax is told as such.
            let any = contexts(self.signal).last().copied().unwrap_or(Context::Resource);
            let is_fine =
                statements.iter().all(|(_, text)| Statement::new(text, any, TRANSFORM, &self.findings.patterns).is_ok());
            if let (true, Some((line, text))) = (is_fine, statements.first()) {
                let names = contexts(self.signal).iter().map(|context| context.name()).collect::<Vec<_>>().join(", ");
                let message =
                    format!("no context can be inferred from `{text}`: begin its paths with one of {names}, or write `context:`");
                self.findings.refuse(Lint::InvalidStatement, *line, path, message);
            }
            any
        });
        let mut compiled = Vec::with_capacity(statements.len());
        for (line, text) in statements {
            match Statement::new(text, context, TRANSFORM, &self.findings.patterns) {
                Ok(statement) => compiled.push(Line::new(*line, statement)),
                Err(error) => self.findings.refuse(Lint::InvalidStatement, *line, path, format!("{error} in `{text}`")),
            }
            lint(*line, path, text, self.findings);
        }
        let mut gates = Vec::with_capacity(conditions.len());
        for (line, text) in conditions {
            match Condition::new(text, context, TRANSFORM, &self.findings.patterns) {
                Ok(condition) => gates.push(Gate { line: *line, condition }),
                Err(error) => self.findings.refuse(Lint::InvalidStatement, *line, path, format!("{error} in `{text}`")),
            }
        }
        Group { context, error_mode, conditions: gates, statements: compiled, shared_cache }
    }
}

/// Patterns like the guide's `token=[^&]+`, and places that a redaction by one key leaves open.
fn lint(line: u32, path: &str, text: &str, findings: &mut Findings) {
    if text.contains("=[^&]") && !text.contains("(?i)") {
        let pattern = text.split('"').find(|part| part.contains("=[^&]")).unwrap_or(text);
        let message =
            format!("the pattern `{pattern}` is case-sensitive, also hits longer names and swallows `#fragment` and blanks");
        let advice = r"write (?i)(token|password|secret|api[_-]?key)=[^&#\\s]* with the replacement $1=REDACTED";
        findings.find(Lint::LoosePattern, line, path, message, advice);
    }
    if text.trim_start().starts_with("replace_") && text.contains("attributes[\"http.url\"]") {
        let message = "only the attribute http.url is rewritten: not url.full, url.query, http.target, span names, events, logs or resources";
        findings.find(
            Lint::SingleAttributeRedaction,
            line,
            path,
            message,
            "the built-in masking covers all of these unless `spanlake.builtin_redaction` is off",
        );
    }
}
