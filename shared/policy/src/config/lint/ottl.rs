//! OTTL statements and conditions, by their texts: what reads well and does something else.

use super::super::reader::Findings;
use super::super::yaml::{Node, Tree};
use super::patterns::{self, Use};
use super::settings::is_number;
use super::{child, entries, items, line_of, text, texts};
use crate::lints::Lint;

/// Functions that take a pattern: the place of the argument, and what it is for.
const PATTERNS: [(&str, usize, Use); 6] = [
    ("replace_pattern", 1, Use::Replacement),
    ("replace_all_patterns", 2, Use::Replacement),
    ("IsMatch", 1, Use::Condition),
    ("delete_matching_keys", 1, Use::Condition),
    ("keep_matching_keys", 1, Use::Condition),
    ("ExtractPatterns", 1, Use::Condition),
];

/// Looks through a `transform` block.
pub(super) fn transform(tree: &Tree, path: &str, findings: &mut Findings) {
    propagates(tree, path, findings);
    for list in ["trace_statements", "log_statements", "metric_statements"] {
        let path = format!("{path}.{list}");
        for group in items(tree, list) {
            propagates(group, &path, findings);
            for (line, text) in texts(group, "conditions") {
                condition(line, &path, text, findings);
            }
        }
        for (line, text) in statements(tree, list) {
            condition(line, &path, text, findings);
            let target = arguments(text, "set").into_iter().next().unwrap_or_default();
            let target = target.strip_prefix("span.").unwrap_or(&target);
            if list == "trace_statements"
                && text.trim_start().starts_with("set(")
                && matches!(target, "trace_id" | "trace_id.string")
            {
                findings.refuse(
                    Lint::TraceIdRewritten,
                    line,
                    &path,
                    "a trace id is written: the shard and bucket stay those of the old one",
                );
            }
            let deletes = ["delete_key(resource.attributes, \"service.name\")"].iter().any(|part| text.contains(part));
            if deletes {
                findings.refuse(Lint::ServiceNameRemoved, line, &path, "service.name is deleted from every resource");
            }
        }
    }
}

/// The statements of a list: texts, or those of groups.
pub(super) fn statements<'a>(tree: &'a Tree, list: &str) -> Vec<(u32, &'a str)> {
    let mut all = texts(tree, list).into_iter().filter(|_| !items(tree, list).iter().any(is_map)).collect::<Vec<_>>();
    for item in items(tree, list) {
        match &item.node {
            Node::Map(_) => all.extend(texts(item, "statements")),
            Node::Scalar(scalar) if items(tree, list).iter().any(is_map) => all.push((item.line, &scalar.text)),
            _ => {}
        }
    }
    all
}

fn is_map(tree: &Tree) -> bool {
    matches!(tree.node, Node::Map(_))
}

/// Looks through a `filter` block.
pub(super) fn filter(tree: &Tree, path: &str, findings: &mut Findings) {
    propagates(tree, path, findings);
    let old = [
        ("spans", "include"),
        ("spans", "exclude"),
        ("logs", "include"),
        ("logs", "exclude"),
        ("metrics", "include"),
        ("metrics", "exclude"),
    ];
    for (section, key) in old {
        let Some(block) = child(tree, section).filter(|section| child(section, key).is_some()) else { continue };
        let message = format!("{section}.{key} is the oldest form of filter");
        findings.refuse(Lint::DeprecatedStyle, line_of(block, key), &format!("{path}.{section}.{key}"), message);
    }
    for (line, text) in conditions(tree) {
        condition(line, path, text, findings);
        if text.trim() == "true" {
            findings.refuse(Lint::FilterDropsAll, line, path, "the condition is always true: all that it is asked of is dropped");
        }
    }
    for list in ["trace_conditions", "log_conditions", "metric_conditions"] {
        for group in items(tree, list) {
            propagates(group, &format!("{path}.{list}"), findings);
        }
    }
}

/// Every condition of a `filter`.
fn conditions(tree: &Tree) -> Vec<(u32, &str)> {
    let mut all = Vec::new();
    for list in ["trace_conditions", "log_conditions", "metric_conditions"] {
        all.extend(texts(tree, list));
        all.extend(items(tree, list).iter().flat_map(|group| texts(group, "conditions")));
    }
    for section in ["traces", "logs", "metrics"] {
        let keys = entries(child(tree, section)).iter().filter(|entry| !matches!(entry.key.as_str(), "include" | "exclude"));
        all.extend(keys.flat_map(|entry| child(tree, section).map(|section| texts(section, &entry.key)).unwrap_or_default()));
    }
    all
}

/// The line of what drops single spans.
pub(super) fn drops_spans(filter: &Tree) -> Option<u32> {
    let by_context =
        child(filter, "traces").filter(|traces| !texts(traces, "span").is_empty()).map(|traces| line_of(traces, "span"));
    let flat = texts(filter, "trace_conditions").into_iter().find(|(_, text)| text.contains("span.")).map(|(line, _)| line);
    let group = || {
        let found = items(filter, "trace_conditions").iter().find(|group| text(group, "context") == Some("span"));
        found.map(|group| group.line)
    };
    let oldest = || child(filter, "spans").map(|_| line_of(filter, "spans"));
    by_context.or(flat).or_else(group).or_else(oldest)
}

fn propagates(tree: &Tree, path: &str, findings: &mut Findings) {
    if text(tree, "error_mode").is_some_and(|mode| mode.eq_ignore_ascii_case("propagate")) {
        let message = "one item on which a statement fails drops all items of its record";
        findings.refuse(Lint::PropagateDrops, line_of(tree, "error_mode"), &format!("{path}.error_mode"), message);
    }
}

/// Says what is wrong with a statement or condition.
pub(super) fn condition(line: u32, path: &str, text: &str, findings: &mut Findings) {
    for (function, place, used) in PATTERNS {
        if let Some(pattern) = arguments(text, function).get(place).and_then(|argument| unquote(argument)) {
            patterns::check(&pattern, used, line, path, findings);
        }
    }
    for field in ["kind", "status.code", "severity_number"] {
        if compared_with_text(text, field) {
            findings.refuse(Lint::EnumAsText, line, path, format!("`{field}` is a number, and is compared with a text"));
        }
    }
    if let Some(key) =
        keys(text).into_iter().find(|key| is_number(key) && compared_with_text(text, &format!("attributes[\"{key}\"]")))
    {
        findings.refuse(Lint::NumberAsText, line, path, format!("`{key}` holds a number, and is compared with a text"));
    }
}

/// Whether a statement sets this attribute.
pub(super) fn sets(statement: &str, key: &str) -> bool {
    let target = format!("attributes[\"{key}\"]");
    statement.trim_start().starts_with("set(")
        && arguments(statement, "set").first().is_some_and(|first| first.ends_with(&target))
}

/// The keys of attributes in a text: `attributes["key"]`.
pub(super) fn keys(text: &str) -> Vec<String> {
    let after = text.split("attributes[\"").skip(1);
    after.filter_map(|rest| rest.split_once("\"]")).map(|(key, _)| key.to_owned()).collect()
}

/// Whether a path stands before `==` or `!=` and a text.
fn compared_with_text(text: &str, path: &str) -> bool {
    let mut from = 0;
    while let Some(place) = text.get(from..).and_then(|rest| rest.find(path)).map(|place| place + from) {
        from = place + path.len();
        let before = text.get(..place).unwrap_or_default();
        let before =
            ["span.", "log.", "resource.", "spanevent."].iter().find_map(|prefix| before.strip_suffix(prefix)).unwrap_or(before);
        let begins = !before.ends_with(|last: char| last.is_alphanumeric() || "_.\"".contains(last));
        let behind = text.get(from..).unwrap_or_default().trim_start();
        let operand = behind.strip_prefix("==").or_else(|| behind.strip_prefix("!="));
        if begins && operand.is_some_and(|operand| operand.trim_start().starts_with('"')) {
            return true;
        }
    }
    false
}

/// The arguments of the first call of a function, as texts.
fn arguments(text: &str, function: &str) -> Vec<String> {
    let call = format!("{function}(");
    let Some((before, rest)) = text.split_once(&call) else { return Vec::new() };
    if before.ends_with(|last: char| last.is_alphanumeric() || last == '_') {
        return Vec::new();
    }
    let (mut all, mut argument, mut depth, mut quoted, mut escaped) = (Vec::new(), String::new(), 0_u32, false, false);
    for letter in rest.chars() {
        match letter {
            '"' if !escaped => quoted = !quoted,
            '(' | '[' | '{' if !quoted => depth += 1,
            ')' if !quoted && depth == 0 => break,
            ')' | ']' | '}' if !quoted => depth = depth.saturating_sub(1),
            ',' if !quoted && depth == 0 => {
                all.push(std::mem::take(&mut argument).trim().to_owned());
                continue;
            }
            _ => {}
        }
        escaped = letter == '\\' && !escaped;
        argument.push(letter);
    }
    all.push(argument.trim().to_owned());
    all
}

/// A text without its quotes; `None` for anything else.
fn unquote(argument: &str) -> Option<String> {
    let inner = argument.strip_prefix('"')?.strip_suffix('"')?;
    let (mut out, mut escaped) = (String::new(), false);
    for letter in inner.chars() {
        match letter {
            '\\' if !escaped => escaped = true,
            'n' if escaped => (out, escaped) = (out + "\n", false),
            't' if escaped => (out, escaped) = (out + "\t", false),
            _ => {
                out.push(letter);
                escaped = false;
            }
        }
    }
    Some(out)
}
