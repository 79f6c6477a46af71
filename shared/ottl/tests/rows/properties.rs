//! No text makes the parser panic, and no arguments a function.

use std::borrow::Cow;
use std::sync::LazyLock;

use proptest::prelude::*;
use regex::Regex;
use spanlake_otlp::schema::{LOG_RECORD, METRIC, NUMBER_DATA_POINT, RESOURCE, SCOPE, SPAN, SUMMARY};
use spanlake_otlp::tree::{Map, Node, Slot, Value};
use spanlake_ottl::functions::{FILTER, TRANSFORM};
use spanlake_ottl::regex::PatternCache;
use spanlake_ottl::{Args, Argument, Condition, Context, DataError, Frame, Function, Given, Run, Spent, Statement, Time, Val};

const CONTEXTS: [Context; 8] = [
    Context::Resource,
    Context::Scope,
    Context::Span,
    Context::SpanEvent,
    Context::Log,
    Context::Metric,
    Context::DataPoint,
    Context::Exemplar,
];

/// Places of all kinds: maps, values in them, fields of fixed types, the scratch map.
fn places() -> Vec<Statement> {
    let places = [
        (Context::Span, "attributes"),
        (Context::Span, "attributes[\"k\"]"),
        (Context::Span, "attributes[\"k\"][\"x\"][1]"),
        (Context::Span, "name"),
        (Context::Span, "start_time"),
        (Context::Span, "trace_id"),
        (Context::Span, "trace_state[\"k\"]"),
        (Context::Span, "status.code"),
        (Context::Span, "cache"),
        (Context::Log, "body"),
        (Context::Log, "body[0]"),
        (Context::Metric, "metadata"),
        (Context::DataPoint, "value_double"),
        (Context::DataPoint, "bucket_counts"),
        (Context::Resource, "attributes"),
    ];
    let set = |(context, path)| Statement::new(&format!("set({path}, 1)"), context, TRANSFORM, &PatternCache::default()).unwrap();
    places.into_iter().map(set).collect()
}

fn functions() -> impl Iterator<Item = &'static Function> {
    TRANSFORM.iter().chain(FILTER).flat_map(|list| list.iter())
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,12}",
        "[a-z0-9 %.,:=/?#@\\[\\]\"'<>&{}$*-]{0,24}",
        r"(%[-+# 0]{0,3}[0-9*\[\]]{0,3}(\.[0-9*]{0,3})?[a-zA-Z%]){0,4}",
        r"(%[a-zA-Z]|[-:TZ/ ]){0,8}",
        r"[-+]?([0-9]{1,22}\.?[0-9]{0,3}(ns|us|ms|s|m|h|d)?){0,3}",
        r#"(</?[ab]( x="[^"<]{0,3}")?/?>|<!--|-->|<!\[CDATA\[|\]\]>|&amp;|&#6;|t){0,10}"#,
        r#"[\[\]{}:,"0-9etruflsn.-]{0,20}"#,
        Just("2026-03-04T05:06:07.89+02:00".to_owned()),
        Just("[{\"a\":{\"b\":[1,null]}}]".to_owned()),
        Just("10.1.2.3".to_owned()),
        Just("sum".to_owned()),
        Just("delta".to_owned()),
    ]
}

fn value() -> impl Strategy<Value = Value<'static>> {
    let int = prop_oneof![any::<i64>(), -3..70_i64, Just(i64::MIN), Just(i64::MAX)];
    let leaf = prop_oneof![
        Just(Value::Empty),
        text().prop_map(|text| Value::String(Cow::Owned(text))),
        any::<bool>().prop_map(Value::Bool),
        int.prop_map(Value::Int),
        any::<f64>().prop_map(Value::Double),
        proptest::collection::vec(any::<u8>(), 0..20).prop_map(|bytes| Value::Bytes(Cow::Owned(bytes))),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        let key = prop_oneof![Just("k".to_owned()), Just("x".to_owned()), Just("range".to_owned()), text()];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
            proptest::collection::vec((key.prop_map(Cow::Owned), inner), 0..4).prop_map(|entries| Value::Map(Map(entries))),
        ]
    })
}

fn val() -> impl Strategy<Value = Val<'static>> {
    prop_oneof![
        6 => value().prop_map(Val::Value),
        1 => (any::<i64>(), any::<i32>()).prop_map(|(nanos, offset_seconds)| Val::Time(Time { nanos, offset_seconds })),
        1 => any::<i64>().prop_map(Val::Duration),
        1 => any::<[u8; 16]>().prop_map(Val::TraceId),
        1 => any::<[u8; 8]>().prop_map(Val::SpanId),
    ]
}

/// An argument before it stands in a call.
#[derive(Debug, Clone)]
enum Any {
    Missing,
    Val(Val<'static>),
    Vals(Vec<Val<'static>>),
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
    Texts(Vec<String>),
    Pattern(usize),
    Function(usize),
    Target(usize),
}

fn argument() -> impl Strategy<Value = Any> {
    prop_oneof![
        2 => Just(Any::Missing),
        6 => val().prop_map(Any::Val),
        2 => proptest::collection::vec(val(), 0..5).prop_map(Any::Vals),
        3 => text().prop_map(Any::Text),
        1 => prop_oneof![any::<i64>(), -2..12_i64].prop_map(Any::Int),
        1 => any::<f64>().prop_map(Any::Float),
        1 => any::<bool>().prop_map(Any::Bool),
        1 => proptest::collection::vec(text(), 0..3).prop_map(Any::Texts),
        1 => any::<usize>().prop_map(Any::Pattern),
        1 => any::<usize>().prop_map(Any::Function),
        3 => any::<usize>().prop_map(Any::Target),
    ]
}

static PATTERNS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let patterns = ["", "a|(?P<n>b)", "(?P<k>\\w+)=(.*)", "^", "[^x]*"];
    patterns.into_iter().map(|pattern| Regex::new(pattern).unwrap()).collect()
});

fn literal(any: &Any) -> Argument {
    match any {
        Any::Text(text) => Argument::Text(text.clone()),
        Any::Int(value) => Argument::Int(*value),
        Any::Float(value) => Argument::Float(*value),
        Any::Bool(value) => Argument::Bool(*value),
        Any::Texts(texts) => Argument::Texts(texts.clone()),
        Any::Pattern(at) => Argument::Pattern(PATTERNS[at % PATTERNS.len()].clone()),
        _ => Argument::Missing,
    }
}

fn given<'a>(any: &'a Any, places: &'a [Statement]) -> Given<'a> {
    match any {
        Any::Missing => Given::Missing,
        Any::Val(value) => Given::Val(value.clone()),
        Any::Vals(values) => Given::Vals(values.clone()),
        Any::Text(text) => Given::Text(text),
        Any::Int(value) => Given::Int(*value),
        Any::Float(value) => Given::Float(*value),
        Any::Bool(value) => Given::Bool(*value),
        Any::Texts(texts) => Given::Texts(texts),
        Any::Pattern(at) => Given::Pattern(&PATTERNS[at % PATTERNS.len()]),
        Any::Function(at) => Given::Function(functions().nth(at % functions().count()).unwrap()),
        Any::Target(at) => Given::Target(places[at % places.len()].target().unwrap()),
    }
}

/// Runs something on an item of every signal, whose attributes hold a value.
fn in_frames<'a>(value: &Value<'a>, mut run: impl FnMut(&mut Frame<'_, 'a>)) {
    let map = || Map(vec![("k".into(), value.clone()), ("a.b".into(), Value::Int(1)), ("sum".into(), Value::Double(2.5))]);
    let (mut span, mut log, mut metric) = (Node::new(&SPAN), Node::new(&LOG_RECORD), Node::new(&METRIC));
    span.set(9, Slot::Map(map()));
    span.set(6, Slot::Number(3));
    log.set(5, Slot::Value(value.clone()));
    let mut point = Node::new(&NUMBER_DATA_POINT);
    point.set(7, Slot::Map(map()));
    point.set(6, Slot::Number(u64::MAX));
    let mut summary = Node::new(&SUMMARY);
    summary.set(1, Slot::Nodes(vec![]));
    metric.set(5, Slot::Node(Node::new(metric_data(5))));
    if let Some(gauge) = metric.node_mut(5) {
        gauge.set(1, Slot::Nodes(vec![point.clone(), point.clone()]));
    }
    let mut summed = Node::new(&METRIC);
    summed.set(11, Slot::Node(summary));
    for item in [&mut span, &mut log, &mut metric, &mut summed] {
        let mut resource = Node::new(&RESOURCE);
        resource.set(1, Slot::Map(map()));
        run(&mut Frame {
            resource: &mut resource,
            resource_schema_url: &mut Cow::Borrowed(""),
            scope: &mut Node::new(&SCOPE),
            scope_schema_url: &mut Cow::Borrowed(""),
            item,
            part: &mut point.clone(),
            exemplar: &mut Node::new(&SPAN),
            cache: &mut map(),
            added: &mut Vec::new(),

            spent: &mut Spent::default(),
            now_nanos: i64::MAX,
        });
    }
}

fn metric_data(number: u32) -> &'static spanlake_otlp::schema::Message {
    match METRIC.field(number).unwrap().kind {
        spanlake_otlp::schema::Kind::Message(message) => message,
        _ => unreachable!(),
    }
}

fn call<'a>(function: &Function, args: Vec<Given<'a>>, frame: &mut Frame<'_, 'a>) -> Result<(), DataError> {
    let mut args = Args(args);
    match function.run {
        Run::Convert(run) => run(&mut args).map(|_| ()),
        Run::ConvertIn(run) => run(&mut args, frame).map(|_| ()),
        Run::Edit(run) => run(&mut args, frame),
    }
}

const WORDS: &[&str] = &[
    "set(",
    "replace_pattern(",
    "limit(",
    "Concat([",
    "Int(",
    "SHA256",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    "attributes",
    ".",
    "\"k\"",
    "\"\\\\d\"",
    "1",
    "-",
    "1.5",
    "0x0a",
    "nil",
    "true",
    " where ",
    " and ",
    " or ",
    " not ",
    "==",
    "<",
    "=",
    "name",
    "STATUS_CODE_OK",
    "body",
    "cache",
    ":",
    "target=",
    "+",
    "/",
    "*",
    "resource.",
    "IsMatch(",
    "regexPattern=",
];

#[test]
fn long_texts_do_not_exhaust_the_stack() {
    let repeated = |start: &str, part: &str, end: &str| format!("set(cache[\"k\"], {start}{}{end})", part.repeat(10_000));
    for text in [
        repeated("1", "+1", ""),
        repeated("1", "*1+1", ""),
        repeated("", "-", "1"),
        repeated("", "(", "1"),
        repeated("", "[", ""),
        repeated("", "Int(", "1"),
        repeated("cache", "[\"k\"]", ""),
        repeated("[1", ",1", "]"),
        format!("set(name, \"x\") where {}true", "not (".repeat(10_000)),
        format!("set(name, \"x\") where true{}", " or true and true".repeat(3_000)),
    ] {
        let Ok(statement) = Statement::new(&text, Context::Span, TRANSFORM, &PatternCache::default()) else { continue };
        in_frames(&Value::Empty, |frame| {
            let _any = statement.run(frame);
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_text_makes_the_parser_panic(
        places in proptest::collection::vec(0..WORDS.len(), 0..16),
        noise in "\\PC{0,12}",
        at in 0..CONTEXTS.len(),
    ) {
        let mut text: String = places.iter().map(|place| WORDS[*place]).collect();
        for _ in 0..2 {
            drop(Statement::new(&text, CONTEXTS[at], TRANSFORM, &PatternCache::default()));
            drop(Condition::new(&text, CONTEXTS[at], FILTER, &PatternCache::default()));
            text.push_str(&noise);
        }
    }

    #[test]
    fn no_arguments_make_a_function_panic(
        lists in proptest::collection::vec(proptest::collection::vec(argument(), 0..7), 4),
        held in value(),
        first in 0..16_usize,
    ) {
        let places = places();
        // A part of them each time: all of them take too long.
        for function in functions().skip(first).step_by(16) {
            for list in &lists {
                let literals: Vec<_> = list.iter().map(literal).collect();
                if let Some(check) = function.check {
                    drop(check(&literals));
                }
                in_frames(&held, |frame| {
                    let _any = call(function, list.iter().map(|any| given(any, &places)).collect(), frame);
                });
            }
        }
    }

    /// The same with an argument of the kind that each parameter takes.
    #[test]
    fn no_fitting_arguments_make_a_function_panic(
        texts in proptest::collection::vec(text(), 8),
        values in proptest::collection::vec(value(), 6),
        times in (any::<i64>(), any::<i64>(), -100_000..100_000_i32),
        number in prop_oneof![any::<i64>(), -2..40_i64],
        place in any::<usize>(),
        first in 0..4_usize,
    ) {
        use spanlake_ottl::Kind;
        let places = places();
        let held = values[0].clone();
        for function in functions().skip(first).step_by(4) {
            let args = || function.params.iter().enumerate().map(|(at, param)| {
                let text = &texts[at % texts.len()];
                let value = |wanted: fn(&Value<'static>) -> bool| values.iter().find(|value| wanted(value)).cloned();
                match param.kind {
                    Kind::Target => Given::Target(places[place % places.len()].target().unwrap()),
                    Kind::Text => Given::Text(text),
                    Kind::Int => Given::Int(number),
                    Kind::Float => Given::Float(f64::from_bits(number.cast_unsigned())),
                    Kind::Bool => Given::Bool(number % 2 == 0),
                    Kind::Texts => Given::Texts(&texts),
                    Kind::Values => Given::Vals(values.iter().cloned().map(Val::Value).collect()),
                    Kind::Pattern | Kind::Glob => {
                        Given::Pattern(&PATTERNS[place % PATTERNS.len()])
                    }
                    Kind::Function => Given::Missing,
                    Kind::Any => Given::Val(Val::Value(values[at % values.len()].clone())),
                    Kind::Str | Kind::StrLike => Given::Val(Val::text(text.as_str())),
                    Kind::IntVal => Given::Val(Val::int(number)),
                    Kind::FloatVal | Kind::FloatLike => Given::Val(Val::double(f64::from_bits(number.cast_unsigned()))),
                    Kind::BoolVal => Given::Val(Val::bool(number > 0)),
                    Kind::Map => Given::Val(Val::Value(value(|value| matches!(value, Value::Map(_))).unwrap_or_else(|| Value::Map(Map::default())))),
                    Kind::List => Given::Val(Val::Value(value(|value| matches!(value, Value::List(_))).unwrap_or(Value::List(Vec::new())))),
                    Kind::Time => Given::Val(Val::Time(Time { nanos: times.0, offset_seconds: times.2 })),
                    Kind::Duration => Given::Val(Val::Duration(times.1)),
                }
            }).collect::<Vec<_>>();
            in_frames(&held, |frame| {
                let _any = call(function, args(), frame);
            });
        }
    }
}
