//! Basic policies: a condition on spans or on the trace.

use spanlake_ottl::functions::CONDITIONS;
use spanlake_ottl::{Condition as OttlCondition, Context};

use super::super::reader::Fields;
use super::super::suggest::question;
use super::policies::Reader;
use crate::lints::Lint;
use crate::rules::{AttributeLeaf, Matcher, OttlLeaf};
use crate::sampling::{Bucket, Chance, Condition, Latency, StateLeaf, salted, threshold};

/// The types of policies.
const TYPES: [&str; 17] = [
    "always_sample",
    "latency",
    "probabilistic",
    "status_code",
    "string_attribute",
    "numeric_attribute",
    "boolean_attribute",
    "span_count",
    "trace_state",
    "trace_flags",
    "rate_limiting",
    "bytes_limiting",
    "ottl_condition",
    "and",
    "not",
    "drop",
    "composite",
];

const ANY: (i64, i64) = (i64::MIN, i64::MAX);

impl Reader<'_> {
    /// A basic policy's condition; its type as a static text comes along.
    pub(super) fn condition(&mut self, fields: &mut Fields<'_>, kind: &str, line: u32) -> Option<(&'static str, Condition)> {
        let found = match kind {
            "always_sample" => {
                if let Some(block) = fields.map("always_sample", self.findings) {
                    block.finish(self.findings);
                }
                ("always_sample", Condition::Always)
            }
            "latency" => ("latency", self.latency(fields)),
            "probabilistic" => ("probabilistic", self.probabilistic(fields)),
            "status_code" => ("status_code", self.status_code(fields)?),
            "string_attribute" => ("string_attribute", self.string_attribute(fields)?),
            "numeric_attribute" => ("numeric_attribute", self.numeric_attribute(fields)?),
            "boolean_attribute" => ("boolean_attribute", self.boolean_attribute(fields)),
            "span_count" => ("span_count", self.span_count(fields)),
            "trace_state" => ("trace_state", self.trace_state(fields)),
            "trace_flags" => ("trace_flags", self.trace_flags(fields)),
            "rate_limiting" => ("rate_limiting", self.limit(fields, "rate_limiting", "spans_per_second", false)),
            "bytes_limiting" => ("bytes_limiting", self.limit(fields, "bytes_limiting", "bytes_per_second", true)),
            "ottl_condition" => ("ottl_condition", self.ottl_condition(fields)?),
            _ => {
                // Its own block is not looked into: one finding is enough.
                fields.all();
                let question = question(kind, TYPES);
                self.findings.refuse(
                    Lint::UnknownComponent,
                    line,
                    &fields.path_of("type"),
                    format!("unknown sampling policy type `{kind}`{question}"),
                );
                return None;
            }
        };
        Some(found)
    }

    fn next_bit(&mut self) -> u64 {
        let bit = 1_u64.checked_shl(self.bits).unwrap_or(0);
        self.bits = self.bits.saturating_add(1);
        bit
    }

    fn latency(&mut self, fields: &mut Fields<'_>) -> Condition {
        let mut bounds = (0, 0);
        if let Some(mut block) = fields.map("latency", self.findings) {
            bounds.0 = block.integer("threshold_ms", ANY, self.findings).unwrap_or(0);
            bounds.1 = block.integer("upper_threshold_ms", ANY, self.findings).unwrap_or(0);
            block.finish(self.findings);
        }
        let upper_ms = (bounds.1 != 0).then_some(bounds.1);
        Condition::Latency(Latency { lower_ms: bounds.0, upper_ms, inclusive: self.latency_inclusive })
    }

    fn probabilistic(&mut self, fields: &mut Fields<'_>) -> Condition {
        let (mut salt, mut percentage) = ("default-hash-seed", 0.0);
        if let Some(mut block) = fields.map("probabilistic", self.findings) {
            percentage = block.float("sampling_percentage", self.findings).unwrap_or(0.0);
            salt = block.string("hash_salt", self.findings).filter(|salt| !salt.is_empty()).unwrap_or(salt);
            block.finish(self.findings);
        }
        let next = u8::try_from(self.salts.len()).unwrap_or(u8::MAX);
        let place = *self.salts.entry(salt.to_owned()).or_insert(next);
        let ratio = percentage / 100.0;
        Condition::Chance(Chance { salt: place, salted: salted(salt), threshold: threshold(ratio), ratio })
    }

    fn status_code(&mut self, fields: &mut Fields<'_>) -> Option<Condition> {
        let (line, path) = (fields.line_of("status_code"), fields.path_of("status_code"));
        let mut listed = Vec::new();
        if let Some(mut block) = fields.map("status_code", self.findings) {
            listed = block.strings("status_codes", self.findings);
            block.finish(self.findings);
        }
        if listed.is_empty() {
            self.findings.error(line, &path, "status_code needs at least one of OK, ERROR and UNSET");
            return None;
        }
        let mut codes = 0;
        for (line, code) in listed {
            codes |= match code {
                "UNSET" => 1,
                "OK" => 2,
                "ERROR" => 4,
                _ => {
                    self.findings.error(line, &path, format!("unknown status code \"{code}\": OK, ERROR or UNSET"));
                    0
                }
            };
        }
        let mask = self.next_bit();
        self.leaves.status.push((mask, codes));
        Some(Condition::Bit { mask, inverted: false })
    }

    fn attribute(&mut self, key: String, matcher: Matcher, inverted: bool) -> Condition {
        let mask = self.next_bit();
        self.leaves.attributes.push(AttributeLeaf { mask, key, matcher });
        Condition::Bit { mask, inverted }
    }

    fn string_attribute(&mut self, fields: &mut Fields<'_>) -> Option<Condition> {
        let path = fields.path_of("string_attribute");
        let mut block = fields.map("string_attribute", self.findings)?;
        let key = block.string("key", self.findings).unwrap_or_default().to_owned();
        let values = block.strings("values", self.findings);
        let regex = block.bool("enabled_regex_matching", self.findings).unwrap_or(false);
        let inverted = block.bool("invert_match", self.findings).unwrap_or(false);
        block.integer("cache_max_size", ANY, self.findings);
        block.finish(self.findings);
        let matcher = if regex {
            let mut regexes = Vec::new();
            for (line, pattern) in values {
                match self.findings.patterns.compile(pattern) {
                    Ok(regex) => regexes.push(regex),
                    Err(message) => {
                        self.findings.refuse(Lint::InvalidPattern, line, &path, format!("invalid regex `{pattern}`: {message}"));
                    }
                }
            }
            Matcher::Regex(regexes)
        } else {
            Matcher::Exact(values.into_iter().map(|(_, value)| value.to_owned()).filter(|value| !value.is_empty()).collect())
        };
        Some(self.attribute(key, matcher, inverted))
    }

    fn numeric_attribute(&mut self, fields: &mut Fields<'_>) -> Option<Condition> {
        let (line, path) = (fields.line_of("numeric_attribute"), fields.path_of("numeric_attribute"));
        let (mut key, mut bounds, mut inverted) = (String::new(), (0, 0), false);
        if let Some(mut block) = fields.map("numeric_attribute", self.findings) {
            block.string("key", self.findings).unwrap_or_default().clone_into(&mut key);
            bounds.0 = block.integer("min_value", ANY, self.findings).unwrap_or(0);
            bounds.1 = block.integer("max_value", ANY, self.findings).unwrap_or(0);
            inverted = block.bool("invert_match", self.findings).unwrap_or(false);
            block.finish(self.findings);
        }
        if bounds == (0, 0) {
            let message =
                "numeric_attribute needs min_value or max_value (0 counts as unset); the Collector stops at the first trace";
            self.findings.error(line, &path, message);
            return None;
        }
        let min = if bounds.0 == 0 { i64::MIN } else { bounds.0 };
        let max = if bounds.1 == 0 { i64::MAX } else { bounds.1 };
        Some(self.attribute(key, Matcher::Number { min, max }, inverted))
    }

    fn boolean_attribute(&mut self, fields: &mut Fields<'_>) -> Condition {
        let (mut key, mut value, mut inverted) = (String::new(), false, false);
        if let Some(mut block) = fields.map("boolean_attribute", self.findings) {
            block.string("key", self.findings).unwrap_or_default().clone_into(&mut key);
            value = block.bool("value", self.findings).unwrap_or(false);
            inverted = block.bool("invert_match", self.findings).unwrap_or(false);
            block.finish(self.findings);
        }
        self.attribute(key, Matcher::Truth(value), inverted)
    }

    fn span_count(&mut self, fields: &mut Fields<'_>) -> Condition {
        let (mut min, mut max) = (0, 0);
        if let Some(mut block) = fields.map("span_count", self.findings) {
            min = block.integer("min_spans", (i32::MIN.into(), i32::MAX.into()), self.findings).unwrap_or(0);
            max = block.integer("max_spans", (i32::MIN.into(), i32::MAX.into()), self.findings).unwrap_or(0);
            block.finish(self.findings);
        }
        Condition::Spans { min, max: (max != 0).then_some(max) }
    }

    fn trace_state(&mut self, fields: &mut Fields<'_>) -> Condition {
        let (mut key, mut values) = ("", Vec::new());
        if let Some(mut block) = fields.map("trace_state", self.findings) {
            key = block.string("key", self.findings).unwrap_or_default();
            values = block.strings("values", self.findings);
            block.finish(self.findings);
        }
        let mask = self.next_bit();
        self.leaves.states.push(StateLeaf::new(mask, key, values.into_iter().map(|(_, value)| value.to_owned())));
        Condition::Bit { mask, inverted: false }
    }

    fn trace_flags(&mut self, fields: &mut Fields<'_>) -> Condition {
        if let Some(block) = fields.map("trace_flags", self.findings) {
            block.finish(self.findings);
        }
        let mask = self.next_bit();
        self.leaves.flags |= mask;
        Condition::Bit { mask, inverted: false }
    }

    fn limit(&mut self, fields: &mut Fields<'_>, kind: &str, key: &str, counts_bytes: bool) -> Condition {
        let (mut rate, mut burst) = (0, 0);
        if let Some(mut block) = fields.map(kind, self.findings) {
            rate = block.integer(key, ANY, self.findings).unwrap_or(0);
            burst = block.integer("burst_capacity", ANY, self.findings).unwrap_or(0);
            block.finish(self.findings);
        }
        let rate = rate.max(0).unsigned_abs();
        let burst = u64::try_from(burst).ok().filter(|burst| *burst > 0).unwrap_or_else(|| rate.saturating_mul(2));
        Condition::Limit(self.bucket(Bucket { rate, burst: Some(burst), counts_bytes, fills: None }))
    }

    fn ottl_condition(&mut self, fields: &mut Fields<'_>) -> Option<Condition> {
        let (line, path) = (fields.line_of("ottl_condition"), fields.path_of("ottl_condition"));
        let (mut propagates, mut span, mut spanevent) = (false, Vec::new(), Vec::new());
        if let Some(mut block) = fields.map("ottl_condition", self.findings) {
            let mode_line = block.line_of("error_mode");
            match block.string("error_mode", self.findings) {
                None | Some("ignore" | "silent") => {}
                Some("propagate") => propagates = true,
                Some(other) => {
                    let message = format!("unknown error mode {other}: propagate, ignore or silent");
                    self.findings.error(mode_line, &path, message);
                }
            }
            span = block.strings("span", self.findings);
            spanevent = block.strings("spanevent", self.findings);
            block.finish(self.findings);
        }
        if span.is_empty() && spanevent.is_empty() {
            self.findings.error(line, &path, "ottl_condition needs at least one condition in span or spanevent");
            return None;
        }
        let met = self.next_bit();
        let mut failed = 0;
        if propagates {
            failed = self.next_bit();
            self.leaves.pairs |= met;
        }
        let quoted = span.iter().map(|(_, text)| format!("`{text}`"));
        let text =
            quoted.chain(spanevent.iter().map(|(_, text)| format!("`{text}` on an event"))).collect::<Vec<_>>().join(" or ");
        let mut compile = |texts: &[(u32, &str)], context| {
            let mut compiled = Vec::with_capacity(texts.len());
            for (line, text) in texts {
                match OttlCondition::new(text, context, CONDITIONS, &self.findings.patterns) {
                    Ok(condition) => compiled.push(condition),
                    Err(error) => self.findings.refuse(Lint::InvalidStatement, *line, &path, format!("{error} in `{text}`")),
                }
            }
            compiled
        };
        let (span, spanevent) = (compile(&span, Context::Span), compile(&spanevent, Context::SpanEvent));
        self.leaves.ottl.push(OttlLeaf { met, failed, text, span, spanevent });
        Some(Condition::Fallible { met, failed })
    }
}
