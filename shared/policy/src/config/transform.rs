//! The `transform` processor: statements compiled to rewrites of one string position each.

use spanlake_model::{PerSignal, Signal};

use super::reader::{Fields, Findings, string};
use super::yaml::{Node, Tree};
use crate::ottl::{Key, Path, Value, parse_statement};
use crate::regex::{Template, compile};
use crate::rules::{Owner, Statement, Target};

/// The editors that upstream has.
const EDITORS: [&str; 18] = [
    "append",
    "delete_index",
    "delete_key",
    "delete_matching_keys",
    "flatten",
    "keep_keys",
    "keep_matching_keys",
    "limit",
    "merge_maps",
    "replace_all_matches",
    "replace_all_patterns",
    "replace_match",
    "replace_pattern",
    "set",
    "set_semconv_span_name",
    "truncate_all",
    "copy_metric",
    "convert_sum_to_gauge",
];

/// Statements by signal.
pub(super) type Statements = PerSignal<Option<Vec<Statement>>>;

/// Reads a `transform` block. `rule` is the index of its name among the rules' names.
pub(super) fn read(tree: &Tree, path: &str, rule: usize, findings: &mut Findings) -> Statements {
    let mut fields = Fields::new(tree, path, findings);
    error_mode(&mut fields, findings);
    let mut statements = Statements::default();
    for (signal, key) in
        [(Signal::Traces, "trace_statements"), (Signal::Logs, "log_statements"), (Signal::Metrics, "metric_statements")]
    {
        let groups = fields.list(key, findings);
        if !groups.is_empty() {
            let at = fields.path_of(key);
            statements[signal] = Some(Groups { signal, rule, path: &at, findings }.read(groups));
        }
    }
    fields.finish(findings);
    statements
}

/// The key `error_mode`. All statements that are supported so far cannot fail on data.
fn error_mode(fields: &mut Fields<'_>, findings: &mut Findings) {
    let line = fields.line_of("error_mode");
    if let Some(mode) = fields.string("error_mode", findings)
        && !["ignore", "silent", "propagate"].iter().any(|known| mode.eq_ignore_ascii_case(known))
    {
        let message = format!("unknown error mode \"{mode}\": ignore, silent or propagate");
        findings.error(line, &fields.path_of("error_mode"), message);
    }
}

struct Groups<'a> {
    signal: Signal,
    rule: usize,
    path: &'a str,
    findings: &'a mut Findings,
}

impl Groups<'_> {
    fn read(&mut self, groups: &[Tree]) -> Vec<Statement> {
        let path = self.path.to_owned();
        let mut all = Vec::new();
        if groups.iter().all(|group| matches!(group.node, Node::Scalar(_))) {
            let texts = groups.iter().filter_map(|group| Some((group.line, string(group, &path, self.findings)?)));
            let texts: Vec<_> = texts.collect();
            return self.group(None, &texts);
        }
        for (place, group) in groups.iter().enumerate() {
            if let Node::Scalar(_) = group.node {
                let Some(text) = string(group, &path, self.findings) else { continue };
                all.extend(self.group(None, &[(group.line, text)]));
                continue;
            }
            let mut fields = Fields::new(group, format!("{path}[{place}]"), self.findings);
            let line = fields.line_of("context");
            let context = fields.string("context", self.findings);
            error_mode(&mut fields, self.findings);
            fields.bool("shared_cache", self.findings);
            let conditions = fields.strings("conditions", self.findings);
            if let Some((line, _)) = conditions.first() {
                self.findings.unsupported(*line, &fields.path_of("conditions"), "`conditions`");
            }
            let owner = context.and_then(owner_of);
            if let Some(context) = context
                && owner.is_none_or(|owner| !self.contexts().contains(&owner))
            {
                let message = format!("unknown context \"{context}\" for {}", self.signal.name());
                self.findings.error(line, &fields.path_of("context"), message);
            }
            let texts = fields.strings("statements", self.findings);
            fields.finish(self.findings);
            all.extend(self.group(owner, &texts));
        }
        all
    }

    /// The contexts of the signal, in the order in which upstream infers one.
    fn contexts(&self) -> &'static [Owner] {
        match self.signal {
            Signal::Traces => &[Owner::Event, Owner::Span, Owner::Scope, Owner::Resource],
            Signal::Logs => &[Owner::Log, Owner::Scope, Owner::Resource],
            Signal::Metrics => &[Owner::Point, Owner::Metric, Owner::Scope, Owner::Resource],
        }
    }

    fn group(&mut self, context: Option<Owner>, texts: &[(u32, &str)]) -> Vec<Statement> {
        let parsed: Vec<_> = texts
            .iter()
            .filter_map(|(line, text)| match parse_statement(text) {
                Ok(statement) => Some((*line, *text, statement)),
                Err(message) => {
                    self.findings.error(*line, self.path, format!("{message} in `{text}`"));
                    None
                }
            })
            .collect();
        let prefixes = parsed.iter().flat_map(|(_, _, statement)| &statement.arguments).filter_map(|(_, value)| match value {
            Value::Path(path) => prefix(path),
            _ => None,
        });
        let prefixes: Vec<_> = prefixes.collect();
        let inferred = || self.contexts().iter().copied().find(|context| prefixes.contains(context));
        let Some(context) = context.or_else(inferred) else {
            if let Some((line, text, _)) = parsed.first() {
                let message = format!("no context can be inferred from `{text}`");
                self.findings.error(*line, self.path, message);
            }
            return Vec::new();
        };
        let mut statements = Vec::new();
        for (line, text, statement) in parsed {
            match self.compile(context, &statement) {
                Ok(compiled) => statements.push(compiled),
                Err(message) => self.findings.error(line, self.path, format!("{message}: `{text}`")),
            }
            lint(line, self.path, &statement, self.findings);
        }
        statements
    }

    fn compile(&self, context: Owner, statement: &crate::ottl::Statement) -> Result<Statement, String> {
        let editor = statement.editor.as_str();
        if editor != "replace_pattern" {
            let known = EDITORS.contains(&editor);
            return Err(if known {
                format!("the function `{editor}` is not supported yet")
            } else {
                format!("undefined function \"{editor}\"")
            });
        }
        if statement.has_condition {
            return Err("`where` is not supported yet".to_owned());
        }
        let [target, pattern, replacement] = arguments(statement)?;
        let Value::Path(path) = target else { return Err("the target of replace_pattern must be a path".to_owned()) };
        let target = self.target(context, path)?;
        let (Value::Text(pattern), Value::Text(replacement)) = (pattern, replacement) else {
            return Err("a pattern or replacement that is no literal text is not supported yet".to_owned());
        };
        let regex = compile(pattern).map_err(|message| format!("the pattern is not valid: {message}"))?;
        Ok(Statement { target, regex, template: Template::new(replacement), rule: self.rule })
    }

    fn target(&self, context: Owner, path: &Path) -> Result<Target, String> {
        let prefixed = prefix(path);
        let owner = prefixed.unwrap_or(context);
        let fields = path.fields.get(usize::from(prefixed.is_some())..).unwrap_or_default();
        if !self.contexts().contains(&owner) {
            return Err(format!("{} have no such context", self.signal.items()));
        }
        let is_item = matches!(context, Owner::Span | Owner::Log | Owner::Metric);
        let above = matches!(owner, Owner::Resource | Owner::Scope);
        if owner != context && !(is_item && above) && !(context == Owner::Scope && owner == Owner::Resource) {
            return Err("a target outside of the statement's own context is not supported yet".to_owned());
        }
        let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
        let keys: Vec<&Key> = fields.iter().flat_map(|(_, keys)| keys).collect();
        match (names.as_slice(), keys.as_slice()) {
            (["attributes"], [Key::Text(key)]) => Ok(Target::Attribute { owner, key: key.clone() }),
            (["attributes"], []) => Err("the target of replace_pattern must be a text, not a map".to_owned()),
            (["attributes"], _) => Err("a nested attribute as the target is not supported yet".to_owned()),
            (names, []) => {
                field(owner, names).ok_or_else(|| format!("the path `{}` is unknown or not supported yet", names.join(".")))
            }
            _ => Err(format!("the path `{}` with keys is not supported yet", names.join("."))),
        }
    }
}

/// Target, pattern and replacement, by position or by name.
fn arguments(statement: &crate::ottl::Statement) -> Result<[&Value; 3], String> {
    const NAMES: [&str; 5] = ["target", "regex_pattern", "replacement", "function", "replacement_format"];
    let mut found: [Option<&Value>; 5] = [None; 5];
    for (place, (name, value)) in statement.arguments.iter().enumerate() {
        let slot = match name {
            Some(name) => NAMES.iter().position(|known| known == name),
            None => Some(place),
        };
        let Some(slot) = slot.and_then(|slot| found.get_mut(slot)) else {
            return Err("replace_pattern has no such argument".to_owned());
        };
        *slot = Some(value);
    }
    match found {
        [Some(target), Some(pattern), Some(replacement), None, None] => Ok([target, pattern, replacement]),
        [Some(_), Some(_), Some(_), ..] => Err("replace_pattern with a function is not supported yet".to_owned()),
        _ => Err("replace_pattern needs a target, a pattern and a replacement".to_owned()),
    }
}

fn owner_of(context: &str) -> Option<Owner> {
    Some(match context {
        "resource" => Owner::Resource,
        "scope" | "instrumentation_scope" => Owner::Scope,
        "span" => Owner::Span,
        "spanevent" => Owner::Event,
        "log" => Owner::Log,
        "metric" => Owner::Metric,
        "datapoint" => Owner::Point,
        _ => return None,
    })
}

/// The context that a path begins with.
fn prefix(path: &Path) -> Option<Owner> {
    match path.fields.as_slice() {
        [(first, keys), _, ..] if keys.is_empty() => owner_of(first),
        _ => None,
    }
}

/// A text field by its OTTL name.
fn field(owner: Owner, names: &[&str]) -> Option<Target> {
    let number = match (owner, names) {
        (Owner::Span, ["status", "message"]) => return Some(Target::Field { owner: Owner::Status, number: 2 }),
        (Owner::Span, ["name"]) | (Owner::Log, ["body"]) => 5,
        (Owner::Event | Owner::Scope, ["name" | "version"]) => match (owner, names) {
            (Owner::Scope, ["name"]) => 1,
            (Owner::Event, ["version"]) => return None,
            _ => 2,
        },
        (Owner::Log, ["severity_text"]) | (Owner::Span, ["trace_state"]) | (Owner::Metric, ["unit"]) => 3,
        (Owner::Log, ["event_name"]) => 12,
        (Owner::Metric, ["name"]) => 1,
        (Owner::Metric, ["description"]) => 2,
        _ => return None,
    };
    Some(Target::Field { owner, number })
}

/// Patterns like the guide's `token=[^&]+`, and places that a redaction by one key leaves open.
fn lint(line: u32, path: &str, statement: &crate::ottl::Statement, findings: &mut Findings) {
    let pattern = statement.arguments.get(1).map(|(_, value)| value);
    let Some(Value::Text(pattern)) = pattern else { return };
    if pattern.contains("=[^&]") && !pattern.contains("(?i)") {
        let message =
            format!("the pattern `{pattern}` is case-sensitive, also hits longer names and swallows `#fragment` and blanks");
        findings.warn(
            line,
            path,
            message,
            r"write (?i)(token|password|secret|api[_-]?key)=[^&#\\s]* with the replacement $1=REDACTED",
        );
    }
    let target = statement.arguments.first().map(|(_, value)| value);
    let Some(Value::Path(target)) = target else { return };
    let key = target.fields.iter().flat_map(|(_, keys)| keys).next();
    if let Some(Key::Text(key)) = key
        && key == "http.url"
    {
        let message = "only the attribute http.url is rewritten: not url.full, url.query, http.target, span names, events, logs or resources";
        findings.warn(line, path, message, "the built-in masking covers all of these unless `spanlake.builtin_redaction` is off");
    }
}
