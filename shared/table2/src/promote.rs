//! Which attribute keys feed a column of their own: old and new names of the semantic conventions in one table.
//!
//! The renames are those of the semantic conventions' schema 1.42.0.

use crate::attributes::{self, Attribute};
use crate::columns::Columns;
use crate::schema::{Column, position};
use crate::text::{Arena, Text};

/// What becomes of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Its canonical text.
    Text,
    /// An integer that fits `int`; any other value stays in the map.
    Int,
    /// An integer; any other value stays in the map.
    Bigint,
    /// As `Text`, on client spans only: on others the key means the client.
    ClientText,
    /// As `Int`, on client spans only.
    ClientInt,
    /// A path with a query: cut at the first `?`, the query stays in the map as `url.query`.
    Target,
    /// A method that may begin with its service: split at the last `/`.
    Method,
}

/// A key that feeds a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promotion {
    /// The attribute's key.
    pub key: &'static str,
    /// The column it feeds.
    pub column: &'static str,
    /// How.
    pub how: How,
}

const fn to(column: &'static str, key: &'static str, how: How) -> Promotion {
    Promotion { key, column, how }
}

/// Span attributes. Where several keys of a column are present, the first in this list wins and the others stay in the
/// map.
pub const SPAN: &[Promotion] = &[
    to("http_request_method", "http.request.method", How::Text),
    to("http_request_method", "http.method", How::Text),
    to("http_response_status_code", "http.response.status_code", How::Int),
    to("http_response_status_code", "http.status_code", How::Int),
    to("http_route", "http.route", How::Text),
    to("url_full", "url.full", How::Text),
    to("url_full", "http.url", How::Text),
    to("url_path", "url.path", How::Text),
    to("url_path", "http.target", How::Target),
    to("server_address", "server.address", How::Text),
    to("server_address", "net.host.name", How::Text),
    to("server_address", "net.peer.name", How::ClientText),
    to("server_port", "server.port", How::Int),
    to("server_port", "net.host.port", How::Int),
    to("server_port", "net.peer.port", How::ClientInt),
    to("db_system", "db.system.name", How::Text),
    to("db_system", "db.system", How::Text),
    to("db_namespace", "db.namespace", How::Text),
    to("db_namespace", "db.name", How::Text),
    to("db_operation", "db.operation.name", How::Text),
    to("db_operation", "db.operation", How::Text),
    to("db_collection", "db.collection.name", How::Text),
    to("db_collection", "db.sql.table", How::Text),
    to("db_collection", "db.mongodb.collection", How::Text),
    to("db_collection", "db.cassandra.table", How::Text),
    to("db_query_text", "db.query.text", How::Text),
    to("db_query_text", "db.statement", How::Text),
    to("rpc_system", "rpc.system.name", How::Text),
    to("rpc_system", "rpc.system", How::Text),
    to("rpc_service", "rpc.service", How::Text),
    to("rpc_method", "rpc.method", How::Method),
    to("rpc_status_code", "rpc.response.status_code", How::Text),
    to("rpc_status_code", "rpc.grpc.status_code", How::Text),
    to("rpc_status_code", "rpc.connect_rpc.error_code", How::Text),
    to("messaging_system", "messaging.system", How::Text),
    to("messaging_destination", "messaging.destination.name", How::Text),
    to("messaging_destination", "messaging.destination", How::Text),
    to("messaging_operation", "messaging.operation.name", How::Text),
    to("messaging_operation", "messaging.operation.type", How::Text),
    to("messaging_operation", "messaging.operation", How::Text),
    to("peer_service", "service.peer.name", How::Text),
    to("peer_service", "peer.service", How::Text),
    to("error_type", "error.type", How::Text),
    to("exception_type", "exception.type", How::Text),
    to("exception_message", "exception.message", How::Text),
    to("gen_ai_system", "gen_ai.provider.name", How::Text),
    to("gen_ai_system", "gen_ai.system", How::Text),
    to("gen_ai_request_model", "gen_ai.request.model", How::Text),
    to("gen_ai_input_tokens", "gen_ai.usage.input_tokens", How::Bigint),
    to("gen_ai_input_tokens", "gen_ai.usage.prompt_tokens", How::Bigint),
    to("gen_ai_output_tokens", "gen_ai.usage.output_tokens", How::Bigint),
    to("gen_ai_output_tokens", "gen_ai.usage.completion_tokens", How::Bigint),
];

/// Attributes of log records.
pub const LOG: &[Promotion] =
    &[to("exception_type", "exception.type", How::Text), to("exception_message", "exception.message", How::Text)];

/// Resource attributes, in every table of items.
pub const RESOURCE: &[Promotion] = &[
    to("service_name", "service.name", How::Text),
    to("service_namespace", "service.namespace", How::Text),
    to("service_version", "service.version", How::Text),
    to("service_instance_id", "service.instance.id", How::Text),
    to("deployment_environment", "deployment.environment.name", How::Text),
    to("deployment_environment", "deployment.environment", How::Text),
    to("cloud_region", "cloud.region", How::Text),
    to("cloud_account_id", "cloud.account.id", How::Text),
    to("host_name", "host.name", How::Text),
    to("k8s_namespace_name", "k8s.namespace.name", How::Text),
    to("k8s_pod_name", "k8s.pod.name", How::Text),
    to("k8s_deployment_name", "k8s.deployment.name", How::Text),
    to("faas_name", "faas.name", How::Text),
];

/// The key in which the query of an old `http.target` stays.
const QUERY: &str = "url.query";

/// A list of promotions, resolved against a table's columns.
pub(crate) struct Promoter {
    promotions: &'static [Promotion],
    /// For each promotion, the place of its column.
    columns: Vec<usize>,
    /// For each length of a key, its promotions.
    by_length: Vec<Vec<usize>>,
    /// What won each column in the row at hand: column, promotion, attribute.
    winners: Vec<Winner>,
}

#[derive(Debug, Clone, Copy)]
struct Winner {
    column: usize,
    promotion: usize,
    attribute: usize,
    how: How,
}

/// A value that has a column of its own.
pub(crate) enum Promoted<'s> {
    Text(&'s str),
    Int(i64),
    Bigint(i64),
}

impl Promoted<'_> {
    /// Writes the value to its column.
    pub(crate) fn set(&self, columns: &mut Columns, at: usize) {
        match self {
            Self::Text(text) => columns.set_str(at, text),
            Self::Int(value) => columns.set_int(at, *value),
            Self::Bigint(value) => columns.set_i64(at, *value),
        }
    }
}

impl Promoter {
    pub(crate) fn new(promotions: &'static [Promotion], columns: &[Column]) -> Self {
        let longest = promotions.iter().map(|promotion| promotion.key.len()).max().unwrap_or_default();
        let mut by_length = vec![Vec::new(); longest + 1];
        for (index, promotion) in promotions.iter().enumerate() {
            if let Some(same_length) = by_length.get_mut(promotion.key.len()) {
                same_length.push(index);
            }
        }
        let columns = promotions.iter().map(|promotion| position(columns, promotion.column)).collect();
        Self { promotions, columns, by_length, winners: Vec::new() }
    }

    /// Marks the attributes that have a column of their own, which must be sorted with each key once, and hands each to
    /// `set` with its column.
    pub(crate) fn promote(
        &mut self,
        group: &mut Vec<Attribute<'_>>,
        arena: &Arena,
        is_client: bool,
        mut set: impl FnMut(usize, Promoted<'_>),
    ) {
        self.choose(group, arena, is_client);
        for winner in &self.winners {
            if let Some(attribute) = group.get_mut(winner.attribute) {
                attribute.is_promoted = true;
            }
        }
        let mut query = None;
        for winner in &self.winners {
            let Some(attribute) = group.get(winner.attribute) else { continue };
            let text = attribute.value.map(|value| arena.get(value)).unwrap_or_default();
            match winner.how {
                How::Text | How::ClientText => set(winner.column, Promoted::Text(text)),
                How::Int | How::ClientInt => set(winner.column, Promoted::Int(attribute.int.unwrap_or_default())),
                How::Bigint => set(winner.column, Promoted::Bigint(attribute.int.unwrap_or_default())),
                How::Target => {
                    let path = text.split_once('?').map_or(text, |(path, _)| path);
                    query = (path.len() < text.len()).then_some((winner.attribute, path.len() + 1));
                    set(winner.column, Promoted::Text(path));
                }
                How::Method => self.set_method(winner.column, text, &mut set),
            }
        }
        if let Some((attribute, start)) = query {
            keep_query(group, arena, attribute, start);
        }
    }

    /// Finds the winner of each column.
    fn choose(&mut self, group: &[Attribute<'_>], arena: &Arena, is_client: bool) {
        self.winners.clear();
        for (index, attribute) in group.iter().enumerate() {
            let Some(promotion) = self.find(arena.get(attribute.key)) else { continue };
            let (Some(how), Some(column)) =
                (self.promotions.get(promotion).map(|promotion| promotion.how), self.columns.get(promotion).copied())
            else {
                continue;
            };
            if !fits(how, attribute, is_client) {
                continue;
            }
            let winner = Winner { column, promotion, attribute: index, how };
            match self.winners.iter_mut().find(|other| other.column == column) {
                Some(other) if other.promotion > promotion => *other = winner,
                Some(_) => {}
                None => self.winners.push(winner),
            }
        }
        self.settle_method(group, arena);
    }

    /// A qualified method names its service; an older `rpc.service` beside it then stays in the map.
    fn settle_method(&mut self, group: &[Attribute<'_>], arena: &Arena) {
        let is_qualified = self.winners.iter().find(|winner| winner.how == How::Method).is_some_and(|winner| {
            let value = group.get(winner.attribute).and_then(|attribute| attribute.value);
            value.is_some_and(|value| split_method(arena.get(value)).is_some())
        });
        if is_qualified {
            let service = self.service_column();
            self.winners.retain(|winner| Some(winner.column) != service);
        }
    }

    fn set_method(&self, column: usize, text: &str, set: &mut impl FnMut(usize, Promoted<'_>)) {
        match (split_method(text), self.service_column()) {
            (Some((service, method)), Some(service_column)) => {
                set(service_column, Promoted::Text(service));
                set(column, Promoted::Text(method));
            }
            _ => set(column, Promoted::Text(text)),
        }
    }

    fn service_column(&self) -> Option<usize> {
        let index = self.promotions.iter().position(|promotion| promotion.column == "rpc_service")?;
        self.columns.get(index).copied()
    }

    fn find(&self, key: &str) -> Option<usize> {
        let same_length = self.by_length.get(key.len())?;
        same_length.iter().copied().find(|index| self.promotions.get(*index).is_some_and(|promotion| promotion.key == key))
    }
}

fn fits(how: How, attribute: &Attribute<'_>, is_client: bool) -> bool {
    let is_int = attribute.int.is_some_and(|value| i32::try_from(value).is_ok());
    match how {
        How::Text | How::Target | How::Method => attribute.value.is_some(),
        How::ClientText => is_client && attribute.value.is_some(),
        How::Int => is_int,
        How::ClientInt => is_client && is_int,
        How::Bigint => attribute.int.is_some(),
    }
}

/// Service and method of `pkg.Service/Method`.
fn split_method(text: &str) -> Option<(&str, &str)> {
    text.rsplit_once('/').filter(|(service, _)| !service.is_empty())
}

/// Adds the query of an old `http.target` to the map; if the sender gave a query of its own, the target stays whole.
fn keep_query(group: &mut Vec<Attribute<'_>>, arena: &Arena, target: usize, start: usize) {
    let has_query = group.iter().any(|attribute| arena.get(attribute.key) == QUERY);
    let Some(attribute) = group.get_mut(target) else { return };
    if has_query {
        attribute.is_promoted = false;
        return;
    }
    let value = attribute.value.map(|value| match value {
        Text::Wire(text) => Text::Wire(text.get(start..).unwrap_or_default()),
        Text::Arena(from, end) => Text::Arena(from + start, end),
    });
    group.push(Attribute { key: Text::Wire(QUERY), value, int: None, is_promoted: false });
    attributes::sort(group, arena);
}
