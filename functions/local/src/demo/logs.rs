//! Log records: most belong to a span, some to nothing.

use opentelemetry_proto::tonic::logs::v1::{LogRecord, SeverityNumber};

use super::layout::{Draft, Side, Trace};
use super::rng::Rng;
use super::secrets::{Example, Kind, Planter};
use super::values::{int, map, string, text};

const CHORES: &[&str] = &["configuration reloaded", "connection pool resized", "feature flags refreshed", "cache warmed"];

/// The record that a span writes, if it writes one.
pub(crate) fn of_span(rng: &mut Rng, planter: &mut Planter, trace: &Trace, draft: &Draft) -> Option<LogRecord> {
    let serves = matches!(draft.side, Side::Server | Side::Consumer) && !trace.flow.is_health;
    if !draft.failed && (!serves || !rng.chance(430)) {
        return None;
    }
    let at = draft.end_nanos - draft.duration_nanos() / 20;
    let mut made = LogRecord {
        time_unix_nano: at,
        observed_time_unix_nano: at + 1_000,
        trace_id: trace.id.0.to_vec(),
        span_id: draft.id.0.to_vec(),
        flags: 1,
        attributes: vec![string("code.function.name", draft.name()), int("app.user", trace.user)],
        ..LogRecord::default()
    };
    if draft.failed {
        set_severity(&mut made, SeverityNumber::Error);
        made.body = Some(text(format!("{} failed", draft.name())));
        made.attributes.push(string("exception.type", "shop.Failed"));
        made.attributes.push(string("exception.message", "the operation failed, see the span"));
        return Some(made);
    }
    set_severity(&mut made, SeverityNumber::Info);
    made.body = Some(text(format!("{} done in {} us", draft.name(), draft.duration_nanos() / 1_000)));
    if draft.service.name == "payment-service" && rng.chance(400) {
        let body = format!("charged card {} for u-{}", planter.plant(Kind::Card, "a log body"), trace.user);
        planter.remember(Example {
            kind: Kind::Card,
            place: "a log body",
            sent: body.clone(),
            lookup: format!("SELECT body FROM logs WHERE span_id = '{}'", draft.id),
        });
        made.body = Some(text(body));
    } else if draft.service.name == "user-service" && rng.chance(200) {
        let key = planter.plant(Kind::ApiKey, "a structured log body");
        let details = map(vec![string("api_key", key), string("plan", "basic")]);
        made.body = Some(map(vec![
            string("event", "session opened"),
            super::values::attribute("client", details),
            int("user", trace.user),
        ]));
        made.event_name.push_str("session.opened");
    }
    Some(made)
}

/// A record outside any trace.
pub(crate) fn of_nothing(rng: &mut Rng, planter: &mut Planter, at_nanos: u64) -> LogRecord {
    let mut made = LogRecord {
        time_unix_nano: at_nanos,
        observed_time_unix_nano: at_nanos + 1_000,
        body: Some(text(rng.pick(CHORES))),
        attributes: vec![string("code.function.name", "background"), int("app.round", rng.below(1_000))],
        ..LogRecord::default()
    };
    set_severity(&mut made, if rng.chance(50) { SeverityNumber::Warn } else { SeverityNumber::Debug });
    if rng.chance(20) {
        let token = planter.plant(Kind::Bearer, "a log attribute");
        made.attributes.push(string("http.request.header.authorization", format!("Bearer {token}")));
    }
    made
}

fn set_severity(record: &mut LogRecord, severity: SeverityNumber) {
    record.severity_number = severity.into();
    record.severity_text.push_str(severity.as_str_name().trim_start_matches("SEVERITY_NUMBER_"));
}
