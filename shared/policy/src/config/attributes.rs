//! The `attributes` and `resource` processors.

use regex::Regex;
use spanlake_model::Signal;

pub(super) use super::matching::Blocks;
use super::reader::{Fields, Findings};
use super::value::value;
use super::yaml::Tree;
use crate::lints::Lint;
use crate::processors::attributes::{Action, Attributes, Owner, Source, Type, When};

/// A processor that has been read, and what is to be checked where a pipeline uses it.
#[derive(Debug, Clone)]
pub(crate) struct Read {
    pub(crate) processor: Attributes,
    pub(crate) blocks: Blocks,
}

impl Read {
    /// Says what is wrong with it for a pipeline of this signal.
    pub(crate) fn check(&self, signal: Signal, findings: &mut Findings) {
        self.blocks.check(signal, findings);
    }
}

/// Reads an `attributes` block.
pub(crate) fn read_attributes(tree: &Tree, path: &str, findings: &mut Findings) -> Read {
    let mut fields = Fields::new(tree, path, findings);
    let blocks = Blocks::read(&mut fields, findings);
    let actions = actions(&mut fields, "actions", findings);
    fields.finish(findings);
    Read { processor: Attributes { owner: Owner::Items, actions, selection: blocks.selection.clone() }, blocks }
}

/// Reads a `resource` block.
pub(crate) fn read_resource(tree: &Tree, path: &str, findings: &mut Findings) -> Read {
    let mut fields = Fields::new(tree, path, findings);
    let actions = actions(&mut fields, "attributes", findings);
    fields.finish(findings);
    let blocks = Blocks::default();
    Read { processor: Attributes { owner: Owner::Resources, actions, selection: blocks.selection.clone() }, blocks }
}

fn actions(fields: &mut Fields<'_>, key: &str, findings: &mut Findings) -> Vec<Action> {
    let list = fields.list(key, findings);
    if list.is_empty() {
        findings.error(fields.line_of(key), &fields.path_of(key), format!("{key} must not be empty"));
    }
    let path = fields.path_of(key);
    let before = findings.list.len();
    let read = |(place, tree)| Given::read(tree, &format!("{path}[{place}]"), findings).action(findings);
    let actions = list.iter().enumerate().filter_map(read).collect();
    keep_first_note(findings, before);
    actions
}

const NO_CONTEXT: &str = "from_context has nothing to read here: what a client sent along does not reach the rules";

/// Says once for each processor what holds for all its actions.
fn keep_first_note(findings: &mut Findings, before: usize) {
    let mut said = false;
    let mut place = 0;
    findings.list.retain(|finding| {
        place += 1;
        let again = place > before && finding.message == NO_CONTEXT && said;
        said |= place > before && finding.message == NO_CONTEXT;
        !again
    });
}

/// What an action says, before it is known whether that fits together.
struct Given<'a> {
    fields: Fields<'a>,
    action: String,
    key: &'a str,
    value: Option<&'a Tree>,
    default: Option<&'a Tree>,
    pattern: Option<&'a str>,
    from_attribute: Option<&'a str>,
    from_context: Option<&'a str>,
    converted_type: Option<&'a str>,
}

impl<'a> Given<'a> {
    fn read(tree: &'a Tree, path: &str, findings: &mut Findings) -> Self {
        let mut fields = Fields::new(tree, path, findings);
        let mut text = |key: &str| fields.string(key, findings).filter(|text| !text.is_empty());
        let (key, action) = (text("key").unwrap_or_default(), text("action").unwrap_or_default().to_lowercase());
        let (pattern, converted_type) = (text("pattern"), text("converted_type"));
        let (from_attribute, from_context) = (text("from_attribute"), text("from_context"));
        let (value, default) = (fields.get("value"), fields.get("default_value"));
        Self { fields, action, key, value, default, pattern, from_attribute, from_context, converted_type }
    }

    fn action(self, findings: &mut Findings) -> Option<Action> {
        let key = self.key.to_owned();
        let action = match self.action.as_str() {
            "insert" => self.set(When::Absent, findings),
            "update" => self.set(When::Present, findings),
            "upsert" => self.set(When::Always, findings),
            "delete" => self.keys(findings).map(|(key, pattern)| Action::Delete { key, pattern }),
            "hash" => self.keys(findings).map(|(key, pattern)| Action::Hash { key, pattern }),
            "extract" => self.extract(findings),
            "convert" => self.convert(findings).map(|to| Action::Convert { key, to }),
            other => {
                let known = "insert, update, upsert, delete, hash, extract or convert";
                let message = format!("unknown action `{other}`: it is {known}");
                findings.error(self.fields.line_of("action"), &self.fields.path_of("action"), message);
                None
            }
        };
        self.fields.finish(findings);
        action
    }

    fn needs_key(&self, findings: &mut Findings) {
        if self.key.is_empty() {
            findings.error(self.fields.line, &self.fields.path_of("key"), "key must not be empty");
        }
    }

    /// Says which of the keys that are there the action does not use.
    fn unused(&self, keys: &[(&str, bool)], findings: &mut Findings) {
        for (key, _) in keys.iter().filter(|(_, given)| *given) {
            let message = format!("the action {} does not use {key}", self.action);
            findings.error(self.fields.line_of(key), &self.fields.path_of(key), message);
        }
    }

    fn set(&self, when: When, findings: &mut Findings) -> Option<Action> {
        self.needs_key(findings);
        self.unused(&[("pattern", self.pattern.is_some()), ("converted_type", self.converted_type.is_some())], findings);
        let path = self.fields.path_of("value");
        let mut sources: Vec<Source> = Vec::new();
        sources.extend(self.value.map(|tree| Source::Value(value(tree, &path, findings))));
        sources.extend(self.from_attribute.map(|key| Source::Attribute(key.to_owned())));
        sources.extend(self.from_context.map(|word| Source::Context(word.to_owned())));
        let default = self.default.map(|tree| value(tree, &self.fields.path_of("default_value"), findings));
        if sources.is_empty() && default.is_none() {
            let message = "one of value, from_attribute, from_context and default_value must be given";
            findings.error(self.fields.line, &self.fields.path, message);
            return None;
        }
        if sources.len() > 1 {
            let message = "only one of value, from_attribute and from_context may be given";
            findings.error(self.fields.line, &self.fields.path, message);
        }
        if self.value.is_some() && default.is_some() {
            let (line, path) = (self.fields.line_of("default_value"), self.fields.path_of("default_value"));
            findings.find(Lint::SettingWithoutEffect, line, &path, "default_value has no effect beside value", "take it out");
        }
        if self.from_context.is_some() {
            let (line, path) = (self.fields.line_of("from_context"), self.fields.path_of("from_context"));
            findings.find(
                Lint::FromContext,
                line,
                &path,
                NO_CONTEXT,
                "write a default_value, or set the attribute where the data is made",
            );
        }
        let source = sources.into_iter().next().unwrap_or(Source::None);
        Some(Action::Set { key: self.key.to_owned(), when, source, default })
    }

    /// What `delete` and `hash` work on.
    fn keys(&self, findings: &mut Findings) -> Option<(Option<String>, Option<Regex>)> {
        let given = [
            ("value", self.value.is_some()),
            ("from_attribute", self.from_attribute.is_some()),
            ("converted_type", self.converted_type.is_some()),
        ];
        self.unused(&given, findings);
        for (key, _) in [("from_context", self.from_context.is_some()), ("default_value", self.default.is_some())]
            .iter()
            .filter(|(_, given)| *given)
        {
            let message = format!("{key} has no effect on the action {}", self.action);
            findings.find(
                Lint::SettingWithoutEffect,
                self.fields.line_of(key),
                &self.fields.path_of(key),
                message,
                "take it out",
            );
        }
        if self.key.is_empty() && self.pattern.is_none() {
            findings.error(self.fields.line, &self.fields.path, "key or pattern must be given");
            return None;
        }
        let pattern = match self.pattern {
            Some(_) => Some(self.compiled(findings)?),
            None => None,
        };
        Some(((!self.key.is_empty()).then(|| self.key.to_owned()), pattern))
    }

    fn compiled(&self, findings: &mut Findings) -> Option<Regex> {
        let text = self.pattern.unwrap_or_default();
        let compiled = findings.patterns.compile(text);
        if let Err(message) = &compiled {
            let message = format!("invalid pattern `{text}`: {message}");
            findings.refuse(Lint::InvalidPattern, self.fields.line_of("pattern"), &self.fields.path_of("pattern"), message);
        }
        compiled.ok()
    }

    fn no_source(&self, findings: &mut Findings) {
        let given = [
            ("value", self.value.is_some()),
            ("from_attribute", self.from_attribute.is_some()),
            ("from_context", self.from_context.is_some()),
            ("default_value", self.default.is_some()),
        ];
        self.unused(&given, findings);
    }

    fn extract(&self, findings: &mut Findings) -> Option<Action> {
        self.needs_key(findings);
        self.no_source(findings);
        self.unused(&[("converted_type", self.converted_type.is_some())], findings);
        let (line, path) = (self.fields.line_of("pattern"), self.fields.path_of("pattern"));
        if self.pattern.is_none() {
            findings.error(line, &path, "pattern must be given");
            return None;
        }
        let pattern = self.compiled(findings)?;
        let names: Vec<Option<&str>> = pattern.capture_names().skip(1).collect();
        let groups: Option<Vec<String>> = names.iter().map(|name| name.map(str::to_owned)).collect();
        let groups = groups.filter(|groups| !groups.is_empty());
        if groups.is_none() {
            findings.error(line, &path, "the pattern must have groups, each with a name: (?P<name>...)");
        }
        Some(Action::Extract { key: self.key.to_owned(), groups: groups?, pattern })
    }

    fn convert(&self, findings: &mut Findings) -> Option<Type> {
        self.needs_key(findings);
        self.no_source(findings);
        self.unused(&[("pattern", self.pattern.is_some())], findings);
        match self.converted_type {
            Some("int") => Some(Type::Int),
            Some("double") => Some(Type::Double),
            Some("string") => Some(Type::String),
            other => {
                let message = format!("converted_type must be int, double or string, not `{}`", other.unwrap_or_default());
                findings.error(self.fields.line_of("converted_type"), &self.fields.path_of("converted_type"), message);
                None
            }
        }
    }
}
