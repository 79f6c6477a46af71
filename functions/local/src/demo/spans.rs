//! Spans as an SDK would export them: attributes of the semantic conventions, events, links, status, and now and then
//! a secret that a careless service forgot to remove.

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::{Span, Status, span, status::StatusCode};
use spanlake_model::{SpanId, TraceId};

use super::flows::Op;
use super::layout::{Draft, Side, Trace};
use super::rng::Rng;
use super::secrets::{Example, Kind, Planter};
use super::values::{attribute, boolean, int, list, map, string, text};

const AGENTS: &[&str] = &[
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_4 like Mac OS X) Safari/605.1",
    "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Firefox/145.0",
    "ShopApp/7.9.0 (Android 16)",
];
/// What goes wrong: exception type, message, `error.type`.
const FAULTS: &[(&str, &str, &str)] = &[
    ("PoolTimeout", "no connection within 1500 ms", "timeout"),
    ("Deadlock", "deadlock detected while updating stock", "deadlock"),
    ("UpstreamReset", "connection reset before headers", "connection_reset"),
];

/// Writes spans; holds what they draw from.
pub(crate) struct Writer<'a> {
    pub(crate) rng: &'a mut Rng,
    pub(crate) planter: &'a mut Planter,
    /// Roots of the last visits, for links.
    pub(crate) recent: &'a [(TraceId, SpanId)],
    /// Whether the default rules keep this trace for certain, so that what became of a secret can be shown.
    pub(crate) is_kept: bool,
}

impl Writer<'_> {
    /// The span of a draft.
    pub(crate) fn span(&mut self, trace: &Trace, draft: &Draft) -> Span {
        let parent = draft.parent.and_then(|position| trace.drafts.get(position));
        let mut made = Span {
            trace_id: trace.id.0.to_vec(),
            span_id: draft.id.0.to_vec(),
            parent_span_id: parent.map(|parent| parent.id.0.to_vec()).unwrap_or_default(),
            name: draft.name(),
            kind: draft.side.code(),
            start_time_unix_nano: draft.start_nanos,
            end_time_unix_nano: draft.end_nanos,
            attributes: self.attributes(trace, draft),
            flags: if parent.is_some_and(|parent| parent.service.name != draft.service.name) { 0x301 } else { 0x101 },
            ..Span::default()
        };
        if parent.is_none() && self.rng.chance(100) {
            made.trace_state.push_str("shop=a1");
        }
        if draft.failed {
            self.fail(&mut made, draft);
        } else if draft.side == Side::Internal && self.rng.chance(200) {
            made.events.push(span::Event {
                time_unix_nano: draft.start_nanos + draft.duration_nanos() / 2,
                name: "cache.miss".to_owned(),
                attributes: vec![string("cache.key", format!("rank:{}", trace.user))],
                ..span::Event::default()
            });
        }
        if parent.is_none() && draft.side == Side::Consumer {
            made.links = self.links();
        }
        made
    }

    fn attributes(&mut self, trace: &Trace, draft: &Draft) -> Vec<KeyValue> {
        let mut made = match *draft.op {
            Op::Http(_, method, route) => self.http(trace, draft, method, route),
            Op::Rpc(_, method) => rpc(draft, method),
            Op::Sql(verb, table, statement) => self.sql(trace, draft, verb, table, statement),
            Op::Cache(verb, key) => self.cache(trace, verb, key),
            Op::Queue(_, topic) => self.message(draft, topic),
            Op::Work(name) => self.work(trace, name),
        };
        if draft.failed {
            let (_, _, kind) = fault(draft);
            made.push(string("error.type", kind));
        }
        made
    }

    fn http(&mut self, trace: &Trace, draft: &Draft, method: &str, route: &str) -> Vec<KeyValue> {
        let path = route.replace("{id}", &trace.user.to_string());
        let status = if draft.failed { 500 } else { 200 };
        let mut made = vec![
            string("http.request.method", method),
            int("http.response.status_code", status),
            string("network.protocol.version", "1.1"),
        ];
        if draft.side == Side::Client {
            let peer = draft.peer.map_or("", |peer| peer.name);
            let url = format!("http://{peer}:8080{path}{}", self.query(trace, route));
            if super::secrets::leaks(&url) {
                self.show(Kind::Token, "url.full", &url, draft.id, "url_full");
            }
            made.extend([
                string("url.full", url),
                string("url.template", route),
                string("server.address", peer),
                int("server.port", 8080),
                string("service.peer.name", peer),
            ]);
            return made;
        }
        made.extend([
            string("http.route", route),
            string("url.path", path),
            string("url.scheme", "http"),
            string("client.address", format!("10.1.{}.{}", trace.user % 8, trace.user % 251)),
        ]);
        if draft.parent.is_none() && !trace.flow.is_health {
            self.browser(trace, draft, &mut made);
        }
        if route == "/sessions" && self.rng.chance(300) {
            let password = self.planter.plant(Kind::Password, "a nested span attribute");
            let form = map(vec![string("user", format!("u-{}", trace.user)), string("password", password)]);
            made.push(attribute("app.request.form", form));
        }
        made
    }

    /// What only the edge sees: the browser's headers.
    fn browser(&mut self, trace: &Trace, draft: &Draft, made: &mut Vec<KeyValue>) {
        made.push(string("user_agent.original", self.rng.pick(AGENTS)));
        made.push(string("session.id", format!("{:016x}", self.rng.bits())));
        made.push(string("user.id", format!("u-{}", trace.user)));
        if self.rng.chance(30) {
            let sent = format!("Bearer {}", self.planter.plant(Kind::Bearer, "a span attribute"));
            let column = "attributes['http.request.header.authorization']";
            self.show(Kind::Bearer, "http.request.header.authorization", &sent, draft.id, column);
            made.push(attribute("http.request.header.authorization", list(vec![text(sent)])));
        }
        if self.rng.chance(20) {
            let session = self.planter.plant(Kind::Jwt, "a span attribute");
            made.push(attribute("http.request.header.cookie", list(vec![text(format!("consent=all; session={session}"))])));
        }
    }

    fn query(&mut self, trace: &Trace, route: &str) -> String {
        if route.ends_with("/login") && self.rng.chance(300) {
            let password = self.planter.plant(Kind::Password, "a URL");
            return format!("?user=u-{}&password={password}", trace.user);
        }
        if self.rng.chance(20) {
            let token = self.planter.plant(Kind::Token, "a URL");
            return format!("?page=1&token={token}&lang=en");
        }
        if self.rng.chance(300) { format!("?page={}&lang=en", self.rng.below(9)) } else { String::new() }
    }

    fn sql(&mut self, trace: &Trace, draft: &Draft, verb: &str, table: &str, statement: &str) -> Vec<KeyValue> {
        let mut query = statement.replace("{}", &(7_000_000 + trace.user).to_string());
        if query.contains("[card]") {
            if self.rng.chance(500) {
                query = query.replace("[card]", &self.planter.plant(Kind::Card, "a database statement"));
                self.show(Kind::Card, "db.query.text", &query, draft.id, "db_query_text");
            } else {
                query = query.replace("[card]", "on file");
            }
        }
        vec![
            string("db.system.name", "postgresql"),
            string("db.namespace", "shop"),
            string("db.operation.name", verb),
            string("db.collection.name", table),
            string("db.query.text", query),
            string("server.address", "pg-main.shop.internal"),
            int("server.port", 5432),
            int("db.response.returned_rows", self.rng.below(20)),
        ]
    }

    fn cache(&mut self, trace: &Trace, verb: &str, key: &str) -> Vec<KeyValue> {
        vec![
            string("db.system.name", "redis"),
            string("db.operation.name", verb),
            string("db.query.text", format!("{verb} {}", key.replace("{}", &trace.user.to_string()))),
            string("server.address", "redis-0.shop.internal"),
            int("server.port", 6379),
            boolean("app.cache.hit", self.rng.chance(800)),
        ]
    }

    fn message(&mut self, draft: &Draft, topic: &str) -> Vec<KeyValue> {
        let sends = draft.side == Side::Producer;
        vec![
            string("messaging.system", "kafka"),
            string("messaging.destination.name", topic),
            string("messaging.operation.name", if sends { "send" } else { "process" }),
            string("messaging.operation.type", if sends { "send" } else { "process" }),
            string("messaging.destination.partition.id", self.rng.below(12).to_string()),
            int("messaging.message.body.size", self.rng.between(200, 3_000)),
            string("server.address", "kafka-1.shop.internal"),
        ]
    }

    fn work(&mut self, trace: &Trace, name: &str) -> Vec<KeyValue> {
        let mut made = vec![
            string("code.function.name", name),
            int("thread.id", self.rng.below(64)),
            int("app.order.id", 7_000_000 + trace.user),
            string("app.currency", "EUR"),
        ];
        if name == "payment.authorize" && self.rng.chance(150) {
            let key = self.planter.plant(Kind::CloudKey, "a span attribute");
            made.push(string("app.note", format!("receipts go out with {key} for now")));
        }
        if name == "payment.refund" && self.rng.chance(300) {
            let key = self.planter.plant(Kind::ApiKey, "a span attribute");
            made.push(string("app.provider", format!("psp key {key}")));
        }
        made
    }

    /// Status and exception of a span that failed.
    fn fail(&mut self, made: &mut Span, draft: &Draft) {
        let (kind, what, _) = fault(draft);
        let mut message = what.to_owned();
        if self.rng.chance(200) {
            let password = self.planter.plant(Kind::Password, "an exception's message");
            message = format!("{what} (postgres://app:{password}@pg-main.shop.internal/shop)");
            self.show(Kind::Password, "exception.message", &message, draft.id, "exception_message");
        }
        let mut status = what.to_owned();
        if self.rng.chance(100) {
            status = format!("{what}, card {}", self.planter.plant(Kind::Card, "a status message"));
        }
        made.status = Some(Status { message: status, code: StatusCode::Error.into() });
        made.events.push(span::Event {
            time_unix_nano: draft.end_nanos - draft.duration_nanos() / 10,
            name: "exception".to_owned(),
            attributes: vec![
                string("exception.type", format!("shop.{kind}")),
                string("exception.stacktrace", stack_trace(kind, &message)),
                string("exception.message", message),
            ],
            ..span::Event::default()
        });
    }

    /// A batch of messages names the visits that sent them.
    fn links(&mut self) -> Vec<span::Link> {
        let mut made = Vec::new();
        for (trace_id, span_id) in self.recent {
            let mut attributes = vec![int("messaging.kafka.offset", self.rng.below(100_000))];
            if self.rng.chance(100) {
                let token = self.planter.plant(Kind::Bearer, "a link's attribute");
                attributes.push(string("messaging.header.authorization", format!("Bearer {token}")));
            }
            made.push(span::Link {
                trace_id: trace_id.0.to_vec(),
                span_id: span_id.0.to_vec(),
                attributes,
                ..span::Link::default()
            });
        }
        made
    }

    fn show(&mut self, kind: Kind, place: &'static str, sent: &str, span: SpanId, column: &str) {
        if self.is_kept {
            let lookup = format!("SELECT {column} FROM spans WHERE span_id = '{span}'");
            self.planter.remember(Example { kind, place, sent: sent.to_owned(), lookup });
        }
    }
}

/// What goes wrong in this span, if anything does.
fn fault(draft: &Draft) -> (&'static str, &'static str, &'static str) {
    let at = usize::from(draft.id.0.last().copied().unwrap_or(0)) % FAULTS.len();
    FAULTS.get(at).copied().unwrap_or_default()
}

fn rpc(draft: &Draft, method: &str) -> Vec<KeyValue> {
    let mut made = vec![
        string("rpc.system.name", "grpc"),
        string("rpc.method", method),
        string("rpc.response.status_code", if draft.failed { "UNAVAILABLE" } else { "OK" }),
    ];
    if let (Side::Client, Some(peer)) = (draft.side, draft.peer) {
        made.extend([string("server.address", peer.name), int("server.port", 9090), string("service.peer.name", peer.name)]);
    }
    made
}

fn stack_trace(kind: &str, message: &str) -> String {
    let frames = ["Pool.acquire", "Orders.write", "Handler.invoke", "Server.serve"];
    let mut out = format!("shop.{kind}: {message}");
    for (frame, line) in frames.iter().zip(["88", "214", "41", "19"]) {
        out.extend(["\n\tat shop.core.", frame, "(Core.java:", line, ")"]);
    }
    out
}
