//! Configurations along OTTL's grammar: every function with arguments of the kinds that it takes, in every context, in every
//! processor that has statements or conditions. Mutated text hardly ever comes to be a call that is read.

use spanlake_ottl::functions::{CONDITIONS, FILTER, TRANSFORM};
use spanlake_ottl::{Context, Function, FunctionSet, Kind, Run};

use super::draw::Draw;

/// Calls and operators within each other, at most.
const DEPTH_MAX: usize = 3;

/// Each signal's key in a `transform`, and its contexts.
const SIGNALS: [(&str, &[Context]); 3] = [
    ("trace_statements", &[Context::Span, Context::SpanEvent, Context::Resource, Context::Scope]),
    ("log_statements", &[Context::Log, Context::Resource, Context::Scope]),
    ("metric_statements", &[Context::DataPoint, Context::Metric, Context::Exemplar, Context::Resource, Context::Scope]),
];

/// Each list of conditions of a `filter`: its section, its name, what it is about.
const LISTS: [(&str, &str, Context); 6] = [
    ("traces", "span", Context::Span),
    ("traces", "spanevent", Context::SpanEvent),
    ("logs", "log_record", Context::Log),
    ("metrics", "metric", Context::Metric),
    ("metrics", "datapoint", Context::DataPoint),
    ("traces", "resource", Context::Resource),
];

const TEXTS: [&str; 21] = [
    "",
    "a",
    "k",
    "value",
    "key",
    "a aa aaa",
    "%s",
    "%d-%v",
    "%Y-%m-%dT%H:%M:%S",
    "2026-03-04T05:06:07Z",
    "{\"k\":[1,{\"x\":null}]}",
    "<a x=\"1\">t</a>",
    "/a",
    "10.1.2.3/8",
    "https://u:p@h:1/p?q=1#f",
    "YWFh",
    "6161",
    "sum",
    "x,y",
    "k=v k2=\"v w\"",
    "A=%{WORD:w}(?:b|%{NUMBER:n:int})?",
];
const PATTERNS: [&str; 8] = ["a", "", "(a+)(?P<n>.)?", "^.*$", "[^a]", "\\\\d+", "(?i)A|b", "k"];

/// What functions know by name.
const WORDS: [&str; 16] = [
    "sum",
    "max",
    "delta",
    "cumulative",
    "upsert",
    "insert",
    "upper",
    "snake",
    "value",
    "key",
    "1.37.0",
    "combined",
    "%{A:k}",
    "%{WORD:k} %{NUMBER:n:int}",
    "%{COMBINEDAPACHELOG}|%{GREEDYDATA:x}",
    "%{SYSLOGLINE} %{",
];

/// A `processors` section, the processor's name, and the names of functions that stand in it.
pub fn processor(draw: &mut Draw<'_>) -> (String, &'static str, Vec<&'static str>) {
    let mut of = Writer { draw, functions: TRANSFORM, context: Context::Span, names: Vec::new() };
    let (text, name) = match of.draw.below(8) {
        0 => {
            let (section, list, context) = of.draw.pick(&LISTS);
            (of.functions, of.context) = (FILTER, context);
            let condition = quoted(&of.condition(0));
            (format!("filter: {{error_mode: ignore, {section}: {{{list}: [{condition}]}}}}"), "filter")
        }
        1 => {
            of.context = of.draw.pick(&[Context::Span, Context::SpanEvent]);
            of.functions = CONDITIONS;
            let list = if of.context == Context::Span { "span" } else { "spanevent" };
            let condition = quoted(&of.condition(0));
            let policy =
                format!("{{name: o, type: ottl_condition, ottl_condition: {{error_mode: propagate, {list}: [{condition}]}}}}");
            (format!("tail_sampling: {{policies: [{policy}]}}"), "tail_sampling")
        }
        _ => {
            let (key, contexts) = of.draw.pick(&SIGNALS);
            of.context = of.draw.pick(contexts);
            let mode = of.draw.pick(&["ignore", "propagate"]);
            let statements: Vec<String> = (0..=of.draw.below(3)).map(|_| quoted(&of.statement())).collect();
            let (context, statements) = (of.context.name(), statements.join(", "));
            (
                format!("transform: {{error_mode: {mode}, {key}: [{{context: {context}, statements: [{statements}]}}]}}"),
                "transform",
            )
        }
    };
    (format!("processors: {{{text}}}\n"), name, of.names)
}

/// As a text of YAML, in which `$` stands for itself.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''").replace('$', "$$").replace(['\n', '\r'], " "))
}

struct Writer<'d, 'b> {
    draw: &'d mut Draw<'b>,
    functions: FunctionSet,
    context: Context,
    names: Vec<&'static str>,
}

impl Writer<'_, '_> {
    fn statement(&mut self) -> String {
        let editor = self.call(|function| matches!(function.run, Run::Edit(_)), 0);
        if self.draw.one_in(3) { format!("{editor} where {}", self.condition(0)) } else { editor }
    }

    fn condition(&mut self, depth: usize) -> String {
        match self.draw.below(8) {
            0 if depth < DEPTH_MAX => format!("not ({})", self.condition(depth + 1)),
            1 if depth < DEPTH_MAX => {
                let operator = self.draw.pick(&["and", "or"]);
                format!("({} {operator} {})", self.condition(depth + 1), self.condition(depth + 1))
            }
            2 => self.converter(depth),
            3 => self.draw.pick(&["true", "false"]).to_owned(),
            _ => {
                let operator = self.draw.pick(&["==", "!=", "<", ">=", ">", "<="]);
                format!("{} {operator} {}", self.value(Kind::Any, depth), self.value(Kind::Any, depth))
            }
        }
    }

    fn converter(&mut self, depth: usize) -> String {
        self.call(|function| !matches!(function.run, Run::Edit(_)), depth + 1)
    }

    /// A call of one of the functions that this context has.
    fn call(&mut self, is_such: impl Fn(&Function) -> bool, depth: usize) -> String {
        let context = self.context;
        let here = |function: &&'static Function| function.contexts.is_empty() || function.contexts.contains(&context);
        let known: Vec<&'static Function> =
            self.functions.iter().flat_map(|list| list.iter()).filter(here).filter(|function| is_such(function)).collect();
        let function = self.draw.pick(&known);
        self.names.push(function.name);
        let given = function.params.iter().take_while(|param| !param.optional || self.draw.below(2) == 0).collect::<Vec<_>>();
        let arguments: Vec<String> = given.into_iter().map(|param| self.argument(param.kind, depth)).collect();
        format!("{}({})", function.name, arguments.join(", "))
    }

    fn argument(&mut self, kind: Kind, depth: usize) -> String {
        match kind {
            Kind::Target => self.path(),
            Kind::Pattern => format!("\"{}\"", self.draw.pick(&PATTERNS)),
            Kind::Text if self.draw.below(4) > 0 => format!("\"{}\"", self.draw.pick(&WORDS)),
            Kind::Text | Kind::Glob => self.text(),
            Kind::Int => self.int(),
            Kind::Float => self.draw.pick(&["0.5", "-1", "2.25", "1000000"]).to_owned(),
            Kind::Bool => self.draw.pick(&["true", "false"]).to_owned(),
            Kind::Texts => format!("[{}, {}]", self.text(), self.text()),
            Kind::Function => self.draw.pick(&["SHA256", "ToLowerCase", "Base64Decode", "Trim", "Len"]).to_owned(),
            _ => self.value(kind, depth),
        }
    }

    /// An expression that gives such a value, or any other.
    fn value(&mut self, kind: Kind, depth: usize) -> String {
        match (kind, self.draw.below(8)) {
            (_, 0 | 1) => self.path(),
            (_, 2) if depth < DEPTH_MAX => self.converter(depth),
            (Kind::Time, _) => "Time(\"2026-03-04\", \"%Y-%m-%d\")".to_owned(),
            (Kind::Duration, _) => "Duration(\"1h2m3s\")".to_owned(),
            (Kind::Map, _) => format!("{{\"k\": {}, \"x\": {{\"y\": 1}}}}", self.text()),
            (Kind::List | Kind::Values, _) => format!("[{}, {}, 2.5]", self.text(), self.int()),
            (Kind::IntVal, _) => self.int(),
            (Kind::FloatVal | Kind::FloatLike, _) => "1.5".to_owned(),
            (Kind::BoolVal, _) => "true".to_owned(),
            (Kind::Str | Kind::StrLike, _) => self.text(),
            (_, 3) if depth < DEPTH_MAX => {
                let operator = self.draw.pick(&["+", "-", "*", "/"]);
                format!("({} {operator} {})", self.value(Kind::IntVal, depth + 1), self.value(Kind::IntVal, depth + 1))
            }
            (_, 4) => self.int(),
            (_, 5) => self.draw.pick(&["nil", "0x0aff", "1e300", "true"]).to_owned(),
            _ => self.text(),
        }
    }

    fn text(&mut self) -> String {
        format!("\"{}\"", self.draw.pick(&TEXTS).replace('"', "\\\""))
    }

    fn int(&mut self) -> String {
        self.draw.pick(&["0", "1", "3", "-1", "64", "9223372036854775807", "-9223372036854775808"]).to_owned()
    }

    /// A path of the context or of what is around it.
    fn path(&mut self) -> String {
        let own: &[&str] = match self.context {
            Context::Resource | Context::Scope => &["attributes", "attributes[\"k\"]", "schema_url", "dropped_attributes_count"],
            Context::Span => &[
                "attributes",
                "attributes[\"k\"]",
                "name",
                "kind.string",
                "status.code",
                "status.message",
                "trace_id.string",
                "span_id",
                "trace_state",
                "trace_state[\"ot\"]",
                "start_time_unix_nano",
                "end_time",
                "flags",
                "dropped_links_count",
            ],
            Context::SpanEvent => &["attributes", "attributes[\"k\"]", "name", "time_unix_nano", "time", "event_index"],
            Context::Log => &[
                "attributes",
                "attributes[\"k\"]",
                "body",
                "body[\"k\"]",
                "body.string",
                "severity_number",
                "severity_text",
                "time",
                "trace_id.string",
                "span_id",
                "event_name",
                "observed_time_unix_nano",
            ],
            Context::Metric => &["name", "description", "unit", "metadata", "type", "aggregation_temporality", "is_monotonic"],
            Context::DataPoint => &[
                "attributes",
                "attributes[\"k\"]",
                "value_int",
                "value_double",
                "start_time_unix_nano",
                "time",
                "count",
                "sum",
                "bucket_counts",
                "explicit_bounds",
                "scale",
                "positive.bucket_counts",
                "negative.offset",
            ],
            Context::Exemplar => &["filtered_attributes", "time", "value_double", "trace_id.string", "span_id"],
        };
        match self.draw.below(12) {
            0 => "resource.attributes[\"service.name\"]".to_owned(),
            1 => format!("{}.cache[\"k\"]", self.context.name()),
            _ => format!("{}.{}", self.context.name(), self.draw.pick(own)),
        }
    }
}
