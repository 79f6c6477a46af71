//! Which attribute keys feed which columns: current and older names of the semantic conventions (schema 1.42.0).
//!
//! Where both names are present the current one wins and the older one stays in the map.

/// `SPAN_KIND_CLIENT`: on other spans `net.peer.*` means the client.
pub(crate) const SPAN_KIND_CLIENT: i32 = 3;

/// What a promoted column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text; other values as their canonical text.
    Text,
    /// 32 bits; any other value stays in the map.
    Int,
    /// 64 bits; any other value stays in the map.
    Bigint,
}

/// A column whose value is only a part of an attribute's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Special {
    /// An older key holds path and query: cut at the first `?`.
    UrlPath,
    /// The part of the fully qualified method before the last `/`.
    RpcService,
    /// The part of the fully qualified method after the last `/`.
    RpcMethod,
}

/// A promoted column and the keys that feed it.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// The column.
    pub column: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// The current key first, then older ones.
    pub keys: &'static [&'static str],
    /// Older keys still that mean this column on client spans only.
    pub client_keys: &'static [&'static str],
    /// Whether the value needs splitting.
    pub special: Option<Special>,
}

const fn text(column: &'static str, keys: &'static [&'static str]) -> Rule {
    Rule { column, kind: Kind::Text, keys, client_keys: &[], special: None }
}

const fn special(column: &'static str, keys: &'static [&'static str], special: Special) -> Rule {
    Rule { column, kind: Kind::Text, keys, client_keys: &[], special: Some(special) }
}

/// Attributes of spans, in the order of their columns.
pub const SPAN_RULES: &[Rule] = &[
    text("http_request_method", &["http.request.method", "http.method"]),
    text("http_route", &["http.route"]),
    special("url_path", &["url.path", "http.target"], Special::UrlPath),
    text("url_full", &["url.full", "http.url"]),
    Rule {
        column: "http_response_status_code",
        kind: Kind::Int,
        keys: &["http.response.status_code", "http.status_code"],
        client_keys: &[],
        special: None,
    },
    Rule {
        column: "server_address",
        kind: Kind::Text,
        keys: &["server.address", "net.host.name"],
        client_keys: &["net.peer.name"],
        special: None,
    },
    Rule {
        column: "server_port",
        kind: Kind::Int,
        keys: &["server.port", "net.host.port"],
        client_keys: &["net.peer.port"],
        special: None,
    },
    text("db_system", &["db.system.name", "db.system"]),
    text("db_namespace", &["db.namespace", "db.name"]),
    text("db_operation", &["db.operation.name", "db.operation"]),
    text("db_collection", &["db.collection.name", "db.sql.table", "db.mongodb.collection", "db.cassandra.table"]),
    text("db_query_text", &["db.query.text", "db.statement"]),
    text("rpc_system", &["rpc.system.name", "rpc.system"]),
    special("rpc_service", &["rpc.service"], Special::RpcService),
    special("rpc_method", &["rpc.method"], Special::RpcMethod),
    text("rpc_status_code", &["rpc.response.status_code", "rpc.grpc.status_code", "rpc.connect_rpc.error_code"]),
    text("messaging_system", &["messaging.system"]),
    text("messaging_destination", &["messaging.destination.name", "messaging.destination"]),
    text("messaging_operation", &["messaging.operation.name", "messaging.operation.type", "messaging.operation"]),
    text("peer_service", &["service.peer.name", "peer.service"]),
    text("error_type", &["error.type"]),
    text("exception_type", &["exception.type"]),
    text("exception_message", &["exception.message"]),
    text("gen_ai_system", &["gen_ai.provider.name", "gen_ai.system"]),
    text("gen_ai_request_model", &["gen_ai.request.model"]),
    Rule {
        column: "gen_ai_input_tokens",
        kind: Kind::Bigint,
        keys: &["gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"],
        client_keys: &[],
        special: None,
    },
    Rule {
        column: "gen_ai_output_tokens",
        kind: Kind::Bigint,
        keys: &["gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"],
        client_keys: &[],
        special: None,
    },
];

/// Attributes of log records, in the order of their columns.
pub const LOG_RULES: &[Rule] = &[text("exception_type", &["exception.type"]), text("exception_message", &["exception.message"])];

/// Attributes of resources, in the order of their columns.
pub const RESOURCE_RULES: &[Rule] = &[
    text("service_name", &["service.name"]),
    text("service_namespace", &["service.namespace"]),
    text("service_version", &["service.version"]),
    text("service_instance_id", &["service.instance.id"]),
    text("deployment_environment", &["deployment.environment.name", "deployment.environment"]),
    text("cloud_region", &["cloud.region"]),
    text("cloud_account_id", &["cloud.account.id"]),
    text("host_name", &["host.name"]),
    text("k8s_namespace_name", &["k8s.namespace.name"]),
    text("k8s_pod_name", &["k8s.pod.name"]),
    text("k8s_deployment_name", &["k8s.deployment.name"]),
    text("faas_name", &["faas.name"]),
];

/// Attributes of data points: none has a column.
pub(crate) const POINT_RULES: &[Rule] = &[];

/// What a key means.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    name: &'static str,
    /// The rule's place.
    pub(crate) rule: usize,
    /// 0 for the current key.
    pub(crate) rank: u8,
    pub(crate) kind: Kind,
    pub(crate) client_only: bool,
}

/// Rules, ready to look keys up.
pub(crate) struct Promotions {
    rules: &'static [Rule],
    /// Sorted by length, then name: most keys of other meaning are told apart without looking at their bytes.
    keys: Vec<Key>,
}

impl Promotions {
    pub(crate) fn new(rules: &'static [Rule]) -> Self {
        let mut keys = Vec::new();
        for (rule, named) in rules.iter().enumerate() {
            let clients = named.client_keys.iter().map(|name| (*name, true));
            for (rank, (name, client_only)) in (0_u8..).zip(named.keys.iter().map(|name| (*name, false)).chain(clients)) {
                keys.push(Key { name, rule, rank, kind: named.kind, client_only });
            }
        }
        keys.sort_by_key(|key| (key.name.len(), key.name));
        Self { rules, keys }
    }

    pub(crate) const fn rules(&self) -> &'static [Rule] {
        self.rules
    }

    pub(crate) fn find(&self, name: &str) -> Option<Key> {
        let place = self.keys.binary_search_by(|key| key.name.len().cmp(&name.len()).then_with(|| key.name.cmp(name))).ok()?;
        self.keys.get(place).copied()
    }

    /// The place of the rule that needs this splitting.
    pub(crate) fn special(&self, special: Special) -> Option<usize> {
        self.rules.iter().position(|rule| rule.special == Some(special))
    }

    /// The place of a column's rule.
    pub(crate) fn column(&self, name: &str) -> Option<usize> {
        self.rules.iter().position(|rule| rule.column == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema;

    /// Columns of a table from the first to the last that the rules feed.
    fn window(table: &str, rules: &[Rule]) -> Vec<&'static str> {
        let names: Vec<_> = schema::table(table).unwrap().columns().map(|column| column.name).collect();
        let at = names.iter().position(|name| *name == rules[0].column).unwrap();
        names[at..at + rules.len()].to_vec()
    }

    #[test]
    fn rules_stand_in_the_order_of_their_columns() {
        for (table, rules) in
            [("spans", SPAN_RULES), ("logs", LOG_RULES), ("spans", RESOURCE_RULES), ("metrics_number", RESOURCE_RULES)]
        {
            assert_eq!(window(table, rules), rules.iter().map(|rule| rule.column).collect::<Vec<_>>());
        }
    }

    #[test]
    fn no_key_feeds_two_columns() {
        let promotions = Promotions::new(SPAN_RULES);
        assert!(promotions.keys.windows(2).all(|pair| pair[0].name != pair[1].name));
        assert_eq!(promotions.find("http.method").map(|key| key.rank), Some(1));
        assert!(promotions.find("http.methoe").is_none());
    }
}
