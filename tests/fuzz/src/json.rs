//! OTLP/JSON to protobuf: never more than a multiple of what came in, always what the walker takes, and equal to what the
//! published types read, where they read it.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use spanlake_model::{BucketRange, Signal};
use spanlake_otlp::cut::{CutError, Request, Scratch, cut};
use spanlake_otlp::json::to_protobuf;
use spanlake_otlp::limits::{Limits, Rejected};
use spanlake_otlp::schema::{self, Field, Kind, Message};
use spanlake_otlp::wire::Reader;

use super::draw::Draw;

/// Output for each byte of input: a number of a list takes two bytes as text, and tag and value as protobuf.
const GROWTH_MAX: usize = 8;

thread_local! {
    static USED: RefCell<Scratch> = RefCell::new(Scratch::new());
}

/// The target.
pub fn json(data: &[u8]) {
    let mut draw = Draw::new(data);
    let mode = draw.byte();
    let signal = Signal::ALL[usize::from(mode & 15) % 3];
    let generated;
    let text = if mode & 128 == 0 {
        draw.rest()
    } else {
        let mut text = Vec::new();
        object(&mut draw, schema::request(signal), 0, &mut text);
        generated = text;
        &generated
    };
    let limits = Limits::default();
    let Ok(read) = to_protobuf(signal, text, &limits) else { return };
    assert!(read.protobuf.len() <= GROWTH_MAX * text.len(), "{} bytes of {}", read.protobuf.len(), text.len());
    let request = Request { signal, tenant: "t", body: &read.protobuf };
    match USED.with_borrow_mut(|scratch| cut(&request, &limits, &[BucketRange::ALL], scratch)) {
        Ok(_) | Err(CutError::TooLarge(_)) => {}
        Err(error) => panic!("what was made of JSON: {error}"),
    }
    if read.rejected == Rejected::default()
        && has_members(schema::request(signal), &read.protobuf, 0)
        && serde_json::from_slice::<Distinct>(text).is_ok()
        && let Some(published) = published(signal, text)
        && has_members(schema::request(signal), &published, 1)
    {
        let normal = normal(signal, &read.protobuf);
        assert!(normal == Some(published.clone()), "the published types read {published:02x?}, not {normal:02x?}");
    }
}

/// Whether every `oneof` has one member, or at least `least`. Of several the published types take any, and the product the
/// last; and where anything is wrong with a metric's or point's member, they read on as if it were not there.
fn has_members(message: &'static Message, bytes: &[u8], least: usize) -> bool {
    let (members, wanted): (&[u32], usize) = match message.name {
        "AnyValue" => (&[1, 2, 3, 4, 5, 6, 7, 8], least),
        "Metric" => (&[5, 7, 9, 10, 11], least),
        "NumberDataPoint" => (&[4, 6], least),
        "Exemplar" => (&[3, 6], least),
        _ => (&[], 0),
    };
    let mut reader = Reader::new(bytes);
    let mut found = 0;
    while let Ok(Some(field)) = reader.next() {
        found += usize::from(members.contains(&field.number));
        // The published types do not read an index into a table of strings; it stands for nothing outside of profiles.
        found += usize::from(message.name == "AnyValue" && field.number == 8);
        let kind = message.field(field.number).map(|known| known.kind);
        if let (Some(Kind::Message(inner)), Some(bytes)) = (kind, field.value.bytes())
            && !has_members(inner, bytes, least)
        {
            return false;
        }
    }
    members.is_empty() || (wanted..=1).contains(&found)
}

/// JSON in which no object names a field twice, be it by its two names. Of a member of a `oneof` that comes twice the
/// published types take the first, and the product the last.
struct Distinct;

impl<'de> Deserialize<'de> for Distinct {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Distinct {
    type Value = Self;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object without a field that comes twice")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self, A::Error> {
        while list.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        let mut fields = BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if !fields.insert(key.replace('_', "").to_lowercase()) {
                return Err(Error::custom("a field that comes twice"));
            }
            map.next_value::<Self>()?;
        }
        Ok(self)
    }
}

/// What the published types make of a body, as protobuf.
fn published(signal: Signal, text: &[u8]) -> Option<Vec<u8>> {
    match signal {
        Signal::Traces => serde_json::from_slice::<ExportTraceServiceRequest>(text).ok().map(|read| read.encode_to_vec()),
        Signal::Logs => serde_json::from_slice::<ExportLogsServiceRequest>(text).ok().map(|read| read.encode_to_vec()),
        Signal::Metrics => serde_json::from_slice::<ExportMetricsServiceRequest>(text).ok().map(|read| read.encode_to_vec()),
    }
}

/// The same protobuf in prost's form.
fn normal(signal: Signal, body: &[u8]) -> Option<Vec<u8>> {
    match signal {
        Signal::Traces => ExportTraceServiceRequest::decode(body).ok().map(|read| read.encode_to_vec()),
        Signal::Logs => ExportLogsServiceRequest::decode(body).ok().map(|read| read.encode_to_vec()),
        Signal::Metrics => ExportMetricsServiceRequest::decode(body).ok().map(|read| read.encode_to_vec()),
    }
}

/// A message as JSON, mostly as it should be.
fn object(draw: &mut Draw<'_>, of: &'static Message, depth: u32, out: &mut Vec<u8>) {
    out.push(b'{');
    for at in 0..=draw.below(6) {
        if draw.is_empty() || depth > 140 {
            break;
        }
        if at > 0 {
            out.push(b',');
        }
        let choice = draw.byte();
        let field = &of.fields[usize::from(choice) % of.fields.len()];
        out.push(b'"');
        match choice {
            0..=239 => out.extend_from_slice(field.json.as_bytes()),
            240..=247 => out.extend_from_slice(field.name.as_bytes()),
            _ => out.extend_from_slice(draw.bytes(6)),
        }
        out.extend_from_slice(b"\":");
        if field.repeated && draw.below(16) != 0 {
            out.push(b'[');
            for at in 0..draw.below(4) {
                if at > 0 {
                    out.push(b',');
                }
                value(draw, field, depth, out);
            }
            out.push(b']');
        } else {
            value(draw, field, depth, out);
        }
    }
    out.push(b'}');
}

fn value(draw: &mut Draw<'_>, field: &'static Field, depth: u32, out: &mut Vec<u8>) {
    match draw.below(32) {
        0 => out.extend_from_slice(b"null"),
        1 => out.extend_from_slice(draw.bytes(9)),
        2 => out.extend_from_slice(draw.pick(&[&b"true"[..], b"[]", b"{}", b"\"\"", b"1e400", b"-0.0", b"[[[1]]]"])),
        _ => match field.kind {
            Kind::Message(inner) => object(draw, inner, depth + 1, out),
            Kind::Bool => out.extend_from_slice(draw.pick(&[&b"true"[..], b"false"])),
            Kind::String => quoted(draw.text(), out),
            Kind::Bytes => quoted(draw.pick(&[&b""[..], b"AQI=", b"-_8", b"+/8=", b"AQ", b"A", b"====", b"AQ=="]), out),
            Kind::Id => quoted(
                draw.pick(&[
                    &b"0af7651916cd43dd8448eb211c80319c"[..],
                    b"B7AD6B7169203331",
                    b"",
                    b"0",
                    b"zz",
                    b"00000000000000000000000000000000",
                ]),
                out,
            ),
            Kind::Enum(names) if draw.below(2) == 0 => quoted(draw.pick(names).0.as_bytes(), out),
            _ => number(draw, out),
        },
    }
}

fn number(draw: &mut Draw<'_>, out: &mut Vec<u8>) {
    let number = draw.number();
    let text = match draw.below(8) {
        0 | 1 => number.to_string(),
        2 => (number as i64).to_string(),
        3 => format!("\"{number}\""),
        4 => format!("\"{}\"", number as i64),
        5 => format!("{:e}", f64::from_bits(number)),
        6 => format!("{number}.0"),
        _ => {
            draw.pick(&["\"NaN\"", "\"Infinity\"", "\"-Infinity\"", "\"1.5\"", "1.5", "-1", "1e3", "\" 1\"", "\"+1\""]).to_owned()
        }
    };
    out.extend_from_slice(text.as_bytes());
}

/// Text between quotes, not always escaped.
fn quoted(text: &[u8], out: &mut Vec<u8>) {
    if let Ok(text) = std::str::from_utf8(text) {
        out.extend_from_slice(serde_json::Value::from(text).to_string().as_bytes());
    } else {
        out.push(b'"');
        out.extend_from_slice(text);
        out.extend_from_slice(b"\\ud800\"");
    }
}
