//! `include` and `exclude` blocks, in the three forms in which processors have them.

use spanlake_model::Signal;
use spanlake_otlp::schema::SPAN_KINDS;
use spanlake_otlp::tree::Value;

use super::reader::{Fields, Findings};
use super::value::value;
use super::yaml::Tree;
use crate::lints::Lint;
use crate::processors::matching::{AttributeTest, Library, Properties, Selection, SeverityMin, Texts, Wanted};
use crate::processors::patterns::Patterns;

/// The names of severities, each with the number of the first of its four.
const SEVERITIES: [(&str, i64); 6] = [("TRACE", 1), ("DEBUG", 5), ("INFO", 9), ("WARN", 13), ("ERROR", 17), ("FATAL", 21)];

/// How a block compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MatchType {
    Strict,
    Regexp,
    /// Not given: only what needs none may be.
    Missing,
}

/// What a block must answer for once the signal is known that its processor works on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Check {
    path: String,
    line: u32,
    /// Keys that are not empty, each with its line.
    given: Vec<(&'static str, u32)>,
    /// Strict `span_kinds` that no span has.
    strange_kinds: bool,
}

/// The blocks of an `attributes` processor, or of `spans` in a `filter` processor.
#[derive(Debug, Clone, Default)]
pub(crate) struct Blocks {
    pub(crate) selection: Selection,
    checks: Vec<Check>,
}

impl Blocks {
    /// Reads `include` and `exclude` out of `fields`.
    pub(crate) fn read(fields: &mut Fields<'_>, findings: &mut Findings) -> Self {
        let mut checks = Vec::new();
        let mut block = |key: &str, findings: &mut Findings| {
            let path = fields.path_of(key);
            let (properties, check) = properties(fields.get(key)?, &path, findings);
            checks.push(check);
            Some(properties)
        };
        let selection = Selection { include: block("include", findings), exclude: block("exclude", findings) };
        Self { selection, checks }
    }

    /// Says what is wrong with them for items of this signal.
    pub(crate) fn check(&self, signal: Signal, findings: &mut Findings) {
        self.checks.iter().for_each(|check| check.run(signal, findings));
    }
}

impl Check {
    fn run(&self, signal: Signal, findings: &mut Findings) {
        let (forbidden, needed): (&[&str], &[&str]) = match signal {
            Signal::Traces => (
                &["log_bodies", "log_severity_texts", "log_severity_number"],
                &["services", "span_names", "span_kinds", "attributes", "resources", "libraries"],
            ),
            Signal::Logs => (
                &["services", "span_names", "span_kinds"],
                &["attributes", "resources", "libraries", "log_bodies", "log_severity_texts", "log_severity_number"],
            ),
            Signal::Metrics => (&[], &[]),
        };
        for (key, line) in self.given.iter().filter(|(key, _)| forbidden.contains(key)) {
            findings.refuse(
                Lint::WrongSignal,
                *line,
                &format!("{}.{key}", self.path),
                format!("{key} is not for {}", signal.name()),
            );
        }
        if !needed.is_empty() && !self.given.iter().any(|(key, _)| needed.contains(key)) {
            findings.error(self.line, &self.path, format!("at least one of {} must be given", needed.join(", ")));
        }
        if signal == Signal::Traces && self.strange_kinds {
            let message =
                format!("with match_type: strict, span_kinds are {}", SPAN_KINDS.get(1..).unwrap_or_default().join(", "));
            findings.error(self.line, &format!("{}.span_kinds", self.path), message);
        }
        let idle = self.given.iter().filter(|(key, _)| !["metric_names", "resources"].contains(key));
        for (key, line) in idle.filter(|_| signal == Signal::Metrics) {
            let advice = "name the metrics in metric_names";
            findings.find(
                Lint::SettingWithoutEffect,
                *line,
                &format!("{}.{key}", self.path),
                format!("{key} has no effect on metrics"),
                advice,
            );
        }
    }
}

/// A block as `attributes` has it, and as `filter` has it below `spans`.
fn properties(tree: &Tree, path: &str, findings: &mut Findings) -> (Properties, Check) {
    let mut reader = BlockReader::new(tree, path, findings);
    let properties = Properties {
        services: reader.texts("services", findings),
        span_names: reader.texts("span_names", findings),
        span_kinds: reader.texts("span_kinds", findings),
        log_bodies: reader.texts("log_bodies", findings),
        log_severity_texts: reader.texts("log_severity_texts", findings),
        log_severity: reader.severity_number("log_severity_number", findings),
        metric_names: reader.texts("metric_names", findings),
        attributes: reader.attributes("attributes", findings),
        resources: reader.attributes("resources", findings),
        libraries: reader.libraries(findings),
    };
    let strange_kinds = match &properties.span_kinds {
        Some(Texts::Strict(kinds)) => kinds.iter().any(|kind| !SPAN_KINDS.iter().skip(1).any(|known| known == kind)),
        _ => false,
    };
    let check = Check { path: path.to_owned(), line: tree.line, given: reader.given.clone(), strange_kinds };
    reader.finish(findings);
    (properties, check)
}

/// The oldest form of `filter` for spans: the section `spans`.
pub(crate) fn read_spans(tree: &Tree, path: &str, findings: &mut Findings) -> Selection {
    let mut fields = Fields::new(tree, path, findings);
    let blocks = Blocks::read(&mut fields, findings);
    fields.finish(findings);
    blocks.check(Signal::Traces, findings);
    blocks.selection
}

/// The oldest form of `filter` for logs: `include` and `exclude` out of the section `logs`, which has other keys too.
pub(crate) fn read_logs(fields: &mut Fields<'_>, findings: &mut Findings) -> Selection {
    let mut block = |key: &str, findings: &mut Findings| {
        let path = fields.path_of(key);
        let mut reader = BlockReader::new(fields.get(key)?, &path, findings);
        let properties = Properties {
            resources: reader.attributes("resource_attributes", findings),
            attributes: reader.attributes("record_attributes", findings),
            log_severity_texts: reader.texts("severity_texts", findings),
            log_severity: reader.severity_name("severity_number", findings),
            log_bodies: reader.texts("bodies", findings),
            ..Properties::default()
        };
        let is_empty = reader.given.is_empty();
        reader.finish(findings);
        // As there, a block that says nothing is none.
        (!is_empty).then_some(properties)
    };
    Selection { include: block("include", findings), exclude: block("exclude", findings) }
}

/// The oldest form of `filter` for metrics: `include` and `exclude` out of the section `metrics`, which has other keys too.
pub(crate) fn read_metrics(fields: &mut Fields<'_>, findings: &mut Findings) -> Selection {
    let mut block = |key: &str, findings: &mut Findings| {
        let path = fields.path_of(key);
        let mut reader = BlockReader::new(fields.get(key)?, &path, findings);
        let properties = Properties {
            metric_names: reader.texts("metric_names", findings),
            resources: reader.attributes("resource_attributes", findings),
            ..Properties::default()
        };
        let (line, path) = (reader.fields.line_of("expressions"), reader.fields.path_of("expressions"));
        if !reader.fields.strings("expressions", findings).is_empty() {
            findings.refuse(
                Lint::NotSupported,
                line,
                &path,
                "expressions are not built here: write them as OTTL, in metric_conditions",
            );
        }
        reader.finish(findings);
        Some(properties)
    };
    Selection { include: block("include", findings), exclude: block("exclude", findings) }
}

/// A block that is being read.
struct BlockReader<'a> {
    fields: Fields<'a>,
    match_type: MatchType,
    given: Vec<(&'static str, u32)>,
}

impl<'a> BlockReader<'a> {
    fn new(tree: &'a Tree, path: &str, findings: &mut Findings) -> Self {
        let mut fields = Fields::new(tree, path, findings);
        let (line, place) = (fields.line_of("match_type"), fields.path_of("match_type"));
        let match_type = match fields.string("match_type", findings) {
            Some("strict") => MatchType::Strict,
            Some("regexp") => MatchType::Regexp,
            None | Some("") => MatchType::Missing,
            Some("expr") => {
                findings.refuse(
                    Lint::NotSupported,
                    line,
                    &place,
                    "match_type: expr is not built here: write the expressions as OTTL conditions",
                );
                MatchType::Missing
            }
            Some(other) => {
                findings.error(line, &place, format!("unknown match_type `{other}`: it is strict or regexp"));
                MatchType::Missing
            }
        };
        if let Some(mut cache) = fields.map("regexp", findings) {
            cache.bool("cacheenabled", findings);
            cache.integer("cachemaxnumentries", (0, i64::MAX), findings);
            cache.finish(findings);
        }
        Self { fields, match_type, given: Vec::new() }
    }

    fn finish(self, findings: &mut Findings) {
        self.fields.finish(findings);
    }

    fn gives(&mut self, key: &'static str) {
        self.given.push((key, self.fields.line_of(key)));
    }

    /// The patterns of a list, or the texts themselves.
    fn compiled(&self, texts: &[(u32, &str)], path: &str, findings: &mut Findings) -> Texts {
        match self.match_type {
            MatchType::Strict => Texts::Strict(texts.iter().map(|(_, text)| (*text).to_owned()).collect()),
            MatchType::Regexp => {
                let compiled = texts.iter().filter_map(|(line, text)| pattern(text, *line, path, findings));
                Texts::Regexp(Patterns::new(compiled.collect(), &findings.patterns))
            }
            MatchType::Missing => {
                // Once for each block, and not where a wrong one has been reported.
                let path = self.fields.path_of("match_type");
                if !findings.list.iter().any(|finding| finding.path == path) {
                    findings.error(self.fields.line, &path, "match_type must be given: strict or regexp");
                }
                Texts::Strict(texts.iter().map(|(_, text)| (*text).to_owned()).collect())
            }
        }
    }

    fn texts(&mut self, key: &'static str, findings: &mut Findings) -> Option<Texts> {
        let path = self.fields.path_of(key);
        let list = self.fields.strings(key, findings);
        if list.is_empty() {
            return None;
        }
        self.gives(key);
        Some(self.compiled(&list, &path, findings))
    }

    fn attributes(&mut self, key: &'static str, findings: &mut Findings) -> Vec<AttributeTest> {
        let list = self.fields.list(key, findings);
        if !list.is_empty() {
            self.gives(key);
        }
        let path = self.fields.path_of(key);
        list.iter().enumerate().map(|(place, tree)| self.attribute(tree, &format!("{path}[{place}]"), findings)).collect()
    }

    fn attribute(&self, tree: &Tree, path: &str, findings: &mut Findings) -> AttributeTest {
        let mut fields = Fields::new(tree, path, findings);
        let key = fields.string("key", findings).unwrap_or_default().to_owned();
        if key.is_empty() {
            findings.error(tree.line, &fields.path_of("key"), "key must not be empty");
        }
        let place = fields.path_of("value");
        let wanted = match fields.get("value").map(|tree| (tree.line, value(tree, &place, findings))) {
            None => Wanted::Any,
            Some((_, value)) if self.match_type == MatchType::Strict => Wanted::Exactly(value),
            Some((line, Value::String(text))) if self.match_type == MatchType::Regexp => {
                pattern(&text, line, &place, findings).map_or(Wanted::Any, Wanted::Matching)
            }
            Some((line, _)) if self.match_type == MatchType::Regexp => {
                findings.error(line, &place, "with match_type: regexp, a value must be a text (put it in quotes)");
                Wanted::Any
            }
            Some(_) => {
                self.compiled(&[], &place, findings);
                Wanted::Any
            }
        };
        fields.finish(findings);
        AttributeTest { key, wanted }
    }

    fn libraries(&mut self, findings: &mut Findings) -> Vec<Library> {
        let list = self.fields.list("libraries", findings);
        if !list.is_empty() {
            self.gives("libraries");
        }
        let path = self.fields.path_of("libraries");
        let read = |(place, tree): (usize, &Tree)| {
            let mut fields = Fields::new(tree, format!("{path}[{place}]"), findings);
            let mut texts = |key: &str, findings: &mut Findings| {
                let (line, path) = (fields.line_of(key), fields.path_of(key));
                fields.string(key, findings).map(|text| self.compiled(&[(line, text)], &path, findings))
            };
            let name = texts("name", findings);
            let version = texts("version", findings);
            let line = fields.line;
            fields.finish(findings);
            Library { name: name.unwrap_or_else(|| self.compiled(&[(line, "")], &path, findings)), version }
        };
        list.iter().enumerate().map(read).collect()
    }

    fn severity_number(&mut self, key: &'static str, findings: &mut Findings) -> Option<SeverityMin> {
        let mut fields = self.fields.map(key, findings)?;
        let number = fields.integer("min", (i64::from(i32::MIN), i64::from(i32::MAX)), findings).unwrap_or(0);
        let match_undefined = fields.bool("match_undefined", findings).unwrap_or(false);
        fields.finish(findings);
        self.gives(key);
        Some(SeverityMin { number, match_undefined })
    }

    fn severity_name(&mut self, key: &'static str, findings: &mut Findings) -> Option<SeverityMin> {
        let mut fields = self.fields.map(key, findings)?;
        let (line, path) = (fields.line_of("min"), fields.path_of("min"));
        let name = fields.string("min", findings).unwrap_or_default();
        let number = severity(name).unwrap_or_else(|| {
            findings.error(line, &path, format!("`{name}` is no severity: TRACE, DEBUG, INFO, WARN, ERROR or FATAL"));
            0
        });
        let match_undefined = fields.bool("match_undefined", findings).unwrap_or(false);
        fields.finish(findings);
        self.gives(key);
        Some(SeverityMin { number, match_undefined })
    }
}

fn pattern(text: &str, line: u32, path: &str, findings: &mut Findings) -> Option<regex::Regex> {
    let compiled = findings.patterns.compile(text);
    if let Err(message) = &compiled {
        findings.refuse(Lint::InvalidPattern, line, path, format!("invalid pattern `{text}`: {message}"));
    }
    compiled.ok()
}

/// The number of `INFO`, `info2` or `10`; 0 for nothing.
fn severity(name: &str) -> Option<i64> {
    let name = name.to_ascii_uppercase();
    if name.is_empty() {
        return Some(0);
    }
    let plain = |number: &i64| (1..=24).contains(number) && number.to_string() == name;
    SEVERITIES
        .iter()
        .flat_map(|(base, first)| (0..4).map(move |step| (*base, first + step, step)))
        .find(|(base, number, step)| {
            plain(number) || name == if *step == 0 { (*base).to_owned() } else { format!("{base}{}", step + 1) }
        })
        .map(|(_, number, _)| number)
}
