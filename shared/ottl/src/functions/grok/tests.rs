//! Compared with the reference: `tests/data/grok.jsonl` holds what `elastic/go-grok` v0.3.1 made of these patterns and texts.

use serde_json::Value as Json;

use super::*;
use crate::function::Given;

/// What a call with these arguments comes to.
fn call(pattern: &str, text: &str, named_only: bool, definitions: Vec<String>) -> Result<Json, String> {
    let arguments =
        vec![Argument::Missing, Argument::Text(pattern.to_owned()), Argument::Bool(named_only), Argument::Texts(definitions)];
    let prepared = prepare(arguments, &PatternCache::default()).map_err(|error| format!("when it is read: {error}"))?;
    let [_, Argument::Pattern(regex), Argument::Texts(keys), Argument::Texts(types)] = prepared.as_slice() else { panic!() };
    let given = vec![Given::Val(Val::text(text)), Given::Pattern(regex), Given::Texts(keys), Given::Texts(types)];
    match extract(&mut Args(given)) {
        Ok(Val::Value(Value::Map(map))) => {
            Ok(Json::Object(map.iter().map(|(key, value)| (key.to_string(), json(value))).collect()))
        }
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.to_string()),
    }
}

fn json(value: &Value<'_>) -> Json {
    match value {
        Value::String(text) => Json::from(text.as_ref()),
        Value::Int(number) => Json::from(*number),
        Value::Double(number) => Json::from(*number),
        Value::Bool(value) => Json::from(*value),
        other => panic!("{other:?}"),
    }
}

fn extracted(pattern: &str, text: &str) -> Result<Json, String> {
    call(pattern, text, true, Vec::new())
}

/// JSON knows one kind of numbers, and the reference writes 1.0 as `1`.
fn same(reference: &Json, made: &Result<Json, String>) -> bool {
    let (Some(reference), Ok(Json::Object(made))) = (reference.as_object(), made) else {
        return reference.is_null() && made.is_err();
    };
    let equal = |key: &String, value: &Json| match reference.get(key) {
        Some(other) if value.is_f64() => value.as_f64() == other.as_f64(),
        other => other == Some(value),
    };
    reference.len() == made.len() && made.iter().all(|(key, value)| equal(key, value))
}

#[test]
fn texts_are_taken_apart_as_by_the_reference() {
    let rows = include_str!("../../../../../tests/data/grok.jsonl");
    let mut wrong = Vec::new();
    for row in rows.lines().map(|line| serde_json::from_str::<Json>(line).unwrap()) {
        let text = |key: &str| row[key].as_str().unwrap_or_default();
        let definitions: Vec<String> = row["defs"]
            .as_object()
            .map(|defs| defs.iter().map(|(name, pattern)| format!("{name}={}", pattern.as_str().unwrap())).collect())
            .unwrap_or_default();
        let made = call(text("grok"), text("text"), row["nco"] == true, definitions);
        if !same(&row["result"], &made) {
            wrong.push(format!("{row}\n  here: {made:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} rows\n{}", wrong.len(), wrong.iter().take(40).cloned().collect::<Vec<_>>().join("\n"));
}

#[test]
fn every_pattern_of_the_library_can_be_used_alone() {
    for name in library::names() {
        for named_only in [true, false] {
            let made = call(&format!("%{{{name}:all}}"), "", named_only, Vec::new());
            assert!(made.is_ok(), "{name}: {made:?}");
        }
    }
}

#[test]
fn what_can_never_work_is_refused_when_the_statement_is_read() {
    let own = |definition: &str| call("%{A:a}", "x", true, vec![definition.to_owned()]).unwrap_err();
    let fanned: Vec<String> =
        (0..30).map(|at| format!("F{at}=%{{F{}}}%{{F{}}}", at + 1, at + 1)).chain(["F30=x".to_owned()]).collect();
    let refused = [
        (extracted("%{NOPE:a}", "x"), "there is no pattern `NOPE` here: give it in `pattern_definitions`"),
        (extracted("%{word:a}", "x"), "`WORD` is meant?"),
        (extracted("%{WORD}", "x"), "nothing would be taken"),
        (extracted("%{WORD:a:wat}", "x"), "`wat` is no type"),
        (extracted("%{WORD:a+b}", "x"), "the key `a+b` may have"),
        (extracted("%{WORD:a}(", "x"), "unclosed group"),
        (call("%{F0}", "x", false, fanned), "bytes"),
        (extracted(&"%{IPV6:a}".repeat(60), "x"), "more than 65536 bytes"),
        (extracted(&"%{DATA:a}".repeat(250), "x"), "251 groups are too many"),
        (call(&format!("{}x", "%{DATESTAMP_OTHER}|".repeat(19)), "x", false, Vec::new()), "groups are too many for its size"),
        (Err(own("A=%{A}")), "or to themselves"),
        (Err(own("A")), "must be a name, `=` and a pattern"),
        (Err(own("A:B=x")), "has a `:`"),
        (Err(own(&format!("A={}", "x".repeat(5_000)))), "more than 4096 bytes"),
    ];
    for (made, expected) in refused {
        let error = made.unwrap_err();
        assert!(error.starts_with("when it is read: ") && error.contains(expected), "{error}");
    }
}

#[test]
fn a_long_text_is_an_error_and_not_a_long_time() {
    let text = "a".repeat(TEXT_BYTES_MAX);
    assert_eq!(extracted("%{GREEDYDATA:all}", &text).unwrap()["all"].as_str().map(str::len), Some(TEXT_BYTES_MAX));
    assert!(extracted("%{GREEDYDATA:all}", &format!("{text}a")).unwrap_err().contains("too long"));
    let many = format!("{}%{{GREEDYDATA:all}}", "(a)".repeat(100));
    assert!(extracted(&many, &text).unwrap_err().contains("too long") && extracted(&many, &text[..5_000]).is_ok());
}
