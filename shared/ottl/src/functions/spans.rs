//! What only spans have.

use std::borrow::Cow;

use spanlake_otlp::tree::{Map, Node, Slot, Value};

use crate::error::DataError;
use crate::frame::{Context, Frame};
use crate::function::{Args, Argument, Function, Kind, Param};
use crate::val::Val;

/// Fields of `Span`.
const PARENT_SPAN_ID: u32 = 4;
const NAME: u32 = 5;
const KIND: u32 = 6;
const ATTRIBUTES: u32 = 9;

/// The converters of this file.
pub(super) const CONVERTERS: &[Function] = &[Function::converter_in("IsRootSpan", &[], is_root_span).only_in(&[Context::Span])];

/// The editors of this file.
pub(super) const EDITORS: &[Function] = &[Function::editor(
    "set_semconv_span_name",
    &[Param::new("semconv_version", Kind::Text), Param::optional("original_span_name_attribute", Kind::Text)],
    set_name,
)
.checked(check_name)
.only_in(&[Context::Span])];

fn is_root_span<'a>(_: &mut Args<'a>, frame: &mut Frame<'_, 'a>) -> Result<Val<'a>, DataError> {
    Ok(Val::bool(frame.item.bytes(PARENT_SPAN_ID).iter().all(|byte| *byte == 0)))
}

fn check_name(arguments: &[Argument]) -> Result<(), String> {
    let [Argument::Text(version), attribute] = arguments else { return Ok(()) };
    let numbers: Option<Vec<u32>> = version.trim_start_matches('v').split('.').map(|part| part.parse().ok()).collect();
    let is_known = match numbers.as_deref() {
        Some([1, minor]) => (37..=40).contains(minor),
        Some([1, minor, patch]) => (37..=39).contains(minor) || (*minor, *patch) == (40, 0),
        _ => false,
    };
    if !is_known {
        return Err(format!("the version `{version}` of the conventions is not between 1.37.0 and 1.40.0"));
    }
    match attribute {
        Argument::Text(name) if name.is_empty() => Err("the attribute's name is empty".to_owned()),
        _ => Ok(()),
    }
}

fn set_name<'a>(args: &mut Args<'a>, frame: &mut Frame<'_, 'a>) -> Result<(), DataError> {
    let span = &mut *frame.item;
    let Some(name) = conventional_name(span) else { return Ok(()) };
    let before = match span.get(NAME) {
        Some(Slot::Text(name)) => name.clone(),
        _ => Cow::Borrowed(""),
    };
    if before == name {
        return Ok(());
    }
    span.set(NAME, Slot::Text(Cow::Owned(name)));
    if let (Some(attribute), Some(map)) = (args.text(1), span.map_mut(ATTRIBUTES)) {
        map.set(Cow::Owned(attribute.to_owned()), Value::String(before));
    }
    Ok(())
}

/// Attributes as text; of several names the first that is there.
struct Names<'x, 'a>(Option<&'x Map<'a>>);

impl Names<'_, '_> {
    fn value(&self, names: &[&str]) -> Option<&Value<'_>> {
        names.iter().find_map(|name| self.0?.get(name))
    }

    fn text(&self, names: &[&str]) -> Option<String> {
        self.value(names).map(|value| value.to_text().into_owned())
    }

    fn server(&self) -> Option<String> {
        let address = self.text(&["server.address"])?;
        Some(self.text(&["server.port"]).map_or_else(|| address.clone(), |port| format!("{address}:{port}")))
    }

    fn http(&self, subject: &str) -> Option<String> {
        let method = self.text(&["http.request.method", "http.method"])?;
        Some(self.text(&[subject]).map_or_else(|| method.clone(), |subject| format!("{method} {subject}")))
    }

    fn rpc(&self) -> Option<String> {
        let system = self.text(&["rpc.system.name", "rpc.system"])?;
        let method = self.text(&["rpc.method", "rpc.grpc.method"]);
        Some(match (self.text(&["rpc.service", "rpc.grpc.service"]), method) {
            (Some(service), Some(method)) => format!("{service}/{method}"),
            (None, Some(method)) => method,
            (Some(service), None) => format!("{service}/*"),
            (None, None) => system,
        })
    }

    fn database(&self) -> Option<String> {
        let system = self.text(&["db.system.name", "db.system"])?;
        if let Some(summary) = self.text(&["db.query.summary"]) {
            return Some(summary);
        }
        let operation = self.text(&["db.operation.name", "db.operation"]).filter(|text| !text.is_empty());
        Some(match (operation, self.database_target().filter(|text| !text.is_empty())) {
            (Some(operation), Some(target)) => format!("{operation} {target}"),
            (Some(only), None) | (None, Some(only)) => only,
            (None, None) => system,
        })
    }

    fn database_target(&self) -> Option<String> {
        let space = self.text(&["db.namespace", "db.name"]).filter(|text| !text.is_empty());
        match (space, self.text(&["db.collection.name", "db.stored_procedure.name"])) {
            (Some(space), Some(target)) => Some(format!("{space}.{target}")),
            (Some(only), None) | (None, Some(only)) => Some(only),
            (None, None) => self.server(),
        }
    }

    fn messaging(&self) -> Option<String> {
        let system = self.text(&["messaging.system"])?;
        let operation = self.text(&["messaging.operation.name", "messaging.operation"]);
        Some(match (operation, self.destination().filter(|text| !text.is_empty())) {
            (Some(operation), Some(destination)) => format!("{operation} {destination}"),
            (Some(only), None) | (None, Some(only)) => only,
            (None, None) => system,
        })
    }

    fn destination(&self) -> Option<String> {
        let is_true = |name: &str| matches!(self.value(&[name]), Some(Value::Bool(true)));
        if is_true("messaging.destination.temporary") {
            return Some("(temporary)".to_owned());
        }
        if is_true("messaging.destination.anonymous") {
            return Some("(anonymous)".to_owned());
        }
        self.text(&["messaging.destination.template", "messaging.destination.name", "messaging.destination"])
            .or_else(|| self.server())
    }
}

/// The name that the semantic conventions give a span, if they give one.
fn conventional_name(span: &Node<'_>) -> Option<String> {
    let names = Names(span.map(ATTRIBUTES));
    let some = |name: Option<String>| name.filter(|name| !name.is_empty());
    match span.number(KIND) {
        2 => some(names.http("http.route")).or_else(|| some(names.rpc())).or_else(|| some(names.messaging())),
        3 => some(names.http("url.template"))
            .or_else(|| some(names.rpc()))
            .or_else(|| some(names.database()))
            .or_else(|| some(names.messaging())),
        4 | 5 => some(names.messaging()),
        _ => None,
    }
}
