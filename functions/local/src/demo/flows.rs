//! What the shop does: its services, and each kind of visit as a static tree of operations.
//!
//! A tree says who calls whom; times, ids, errors and attributes are drawn later. A call to another service becomes two
//! spans (the caller's and the callee's), so trees name callees only.

/// A service of the shop and what its resource says about it.
#[derive(Debug)]
pub(crate) struct Service {
    /// `service.name`.
    pub(crate) name: &'static str,
    /// `telemetry.sdk.language`.
    pub(crate) language: &'static str,
    /// `service.version`.
    pub(crate) version: &'static str,
}

macro_rules! services {
    ($($id:ident $name:literal $language:literal $version:literal;)*) => {
        $(pub(crate) static $id: Service = Service { name: $name, language: $language, version: $version };)*
        /// Every service of the shop.
        pub(crate) static SERVICES: &[&Service] = &[$(&$id),*];
    };
}

services! {
    FRONTEND "frontend" "nodejs" "5.12.0";
    GATEWAY "api-gateway" "go" "2.31.4";
    CATALOG "catalog-service" "java" "8.2.0";
    CART "cart-service" "dotnet" "3.0.9";
    USER "user-service" "go" "1.18.2";
    CHECKOUT "checkout-service" "java" "8.4.1";
    PAYMENT "payment-service" "java" "4.7.3";
    INVENTORY "inventory-service" "go" "2.2.0";
    SHIPPING "shipping-service" "rust" "0.9.6";
    EMAIL "email-service" "python" "1.4.0";
}

/// One operation. Calls name their callee.
#[derive(Debug)]
pub(crate) enum Op {
    /// An HTTP request to a service: method and route.
    Http(&'static Service, &'static str, &'static str),
    /// A gRPC call to a service: `package.Service/Method`.
    Rpc(&'static Service, &'static str),
    /// A statement to the database: verb, table, text with `{}` for an id.
    Sql(&'static str, &'static str, &'static str),
    /// A command to the cache: verb and key with `{}` for an id.
    Cache(&'static str, &'static str),
    /// A message that a service consumes: its topic.
    Queue(&'static Service, &'static str),
    /// Work inside the service, by function name.
    Work(&'static str),
}

/// An operation, how often it happens (lowest and highest), and what it does.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) op: Op,
    pub(crate) times: (u64, u64),
    pub(crate) children: &'static [Step],
}

const fn one(op: Op, children: &'static [Step]) -> Step {
    Step { op, times: (1, 1), children }
}

const fn some(low: u64, high: u64, op: Op, children: &'static [Step]) -> Step {
    Step { op, times: (low, high), children }
}

/// A kind of visit.
#[derive(Debug)]
pub(crate) struct Flow {
    pub(crate) root: Step,
    /// Its share of all traces, in thousandths.
    pub(crate) share: u64,
    /// A usual duration in milliseconds.
    pub(crate) usual_ms: u64,
    /// A probe that nobody wants to keep.
    pub(crate) is_health: bool,
}

const fn visit(share: u64, usual_ms: u64, root: Step) -> Flow {
    Flow { root, share, usual_ms, is_health: false }
}

use Op::{Cache, Http, Queue, Rpc, Sql, Work};

/// All kinds of visits; their shares add up to 1,000.
pub(crate) static FLOWS: &[Flow] = &[
    visit(270, 60, one(Http(&FRONTEND, "GET", "/products/{id}"), PRODUCT_PAGE)),
    visit(170, 110, one(Http(&FRONTEND, "GET", "/search"), SEARCH_PAGE)),
    visit(150, 80, one(Http(&FRONTEND, "GET", "/cart"), CART_PAGE)),
    visit(130, 70, one(Http(&FRONTEND, "POST", "/cart/items"), ADD_TO_CART)),
    visit(80, 130, one(Http(&FRONTEND, "POST", "/login"), LOG_IN)),
    visit(80, 380, one(Http(&FRONTEND, "POST", "/checkout"), BUY)),
    visit(20, 200, one(Http(&GATEWAY, "POST", "/webhooks/refund"), REFUND)),
    visit(40, 90, one(Http(&FRONTEND, "GET", "/orders"), ORDERS)),
    visit(30, 160, one(Queue(&INVENTORY, "stock-delivered"), RESTOCK)),
    Flow { root: one(Http(&GATEWAY, "GET", "/health"), HEALTH), share: 30, usual_ms: 3, is_health: true },
];

static PRODUCT_PAGE: &[Step] = &[one(
    Http(&GATEWAY, "GET", "/v1/products/{id}"),
    &[
        one(
            Rpc(&CATALOG, "shop.catalog.v1.Catalog/GetProduct"),
            &[
                one(Cache("GET", "product:{}"), &[]),
                some(0, 1, Sql("SELECT", "products", "SELECT id, name, price FROM products WHERE id = {}"), &[]),
                some(0, 1, Work("catalog.recommend"), &[]),
            ],
        ),
        one(Http(&INVENTORY, "GET", "/stock/{id}"), &[one(Cache("HGET", "stock:{}"), &[])]),
    ],
)];

static SEARCH_PAGE: &[Step] = &[one(
    Http(&GATEWAY, "GET", "/v1/search"),
    &[one(
        Rpc(&CATALOG, "shop.catalog.v1.Catalog/Search"),
        &[
            some(1, 2, Sql("SELECT", "products", "SELECT id, name FROM products WHERE price < {} ORDER BY rank LIMIT 50"), &[]),
            some(1, 3, Cache("MGET", "product:{}"), &[]),
            one(Work("catalog.rank"), &[]),
        ],
    )],
)];

static CART_PAGE: &[Step] = &[one(
    Http(&GATEWAY, "GET", "/v1/cart"),
    &[one(
        Http(&CART, "GET", "/carts/{id}"),
        &[
            one(Cache("HGETALL", "cart:{}"), &[]),
            some(1, 3, Rpc(&CATALOG, "shop.catalog.v1.Catalog/GetProduct"), &[one(Cache("GET", "product:{}"), &[])]),
        ],
    )],
)];

static ADD_TO_CART: &[Step] = &[one(
    Http(&GATEWAY, "POST", "/v1/cart/items"),
    &[one(
        Http(&CART, "POST", "/carts/{id}/items"),
        &[
            one(Cache("HSET", "cart:{}"), &[]),
            one(
                Http(&INVENTORY, "POST", "/reservations"),
                &[one(Sql("UPDATE", "stock", "UPDATE stock SET reserved = reserved + 1 WHERE product_id = {}"), &[])],
            ),
        ],
    )],
)];

static LOG_IN: &[Step] = &[one(
    Http(&GATEWAY, "POST", "/v1/login"),
    &[one(
        Http(&USER, "POST", "/sessions"),
        &[
            one(Sql("SELECT", "users", "SELECT id, hash FROM users WHERE id = {}"), &[]),
            one(Work("user.verify"), &[]),
            one(Cache("SETEX", "session:{}"), &[]),
        ],
    )],
)];

static BUY: &[Step] = &[one(
    Http(&GATEWAY, "POST", "/v1/checkout"),
    &[one(
        Http(&CHECKOUT, "POST", "/checkouts"),
        &[
            one(Http(&CART, "GET", "/carts/{id}"), &[one(Cache("HGETALL", "cart:{}"), &[])]),
            some(1, 2, Http(&INVENTORY, "POST", "/reservations"), &[]),
            one(
                Http(&PAYMENT, "POST", "/charges"),
                &[
                    one(Work("payment.authorize"), &[]),
                    one(Sql("INSERT", "payments", "INSERT INTO payments (order_id, card) VALUES ({}, '[card]')"), &[]),
                ],
            ),
            one(Rpc(&SHIPPING, "shop.shipping.v1.Shipping/Quote"), &[one(Work("shipping.quote"), &[])]),
            one(Sql("INSERT", "orders", "INSERT INTO orders (id, state) VALUES ({}, 'paid')"), &[]),
            one(Queue(&EMAIL, "order-placed"), &[one(Work("email.render"), &[])]),
        ],
    )],
)];

static REFUND: &[Step] = &[one(
    Http(&PAYMENT, "POST", "/refunds"),
    &[
        one(Work("payment.refund"), &[]),
        one(Sql("UPDATE", "payments", "UPDATE payments SET state = 'refunded' WHERE order_id = {}"), &[]),
        one(Queue(&EMAIL, "order-refunded"), &[]),
    ],
)];

static ORDERS: &[Step] = &[one(
    Http(&GATEWAY, "GET", "/v1/orders"),
    &[one(
        Http(&USER, "GET", "/users/{id}/orders"),
        &[
            some(1, 4, Sql("SELECT", "orders", "SELECT id, state, total FROM orders WHERE user_id = {}"), &[]),
            some(1, 2, Rpc(&SHIPPING, "shop.shipping.v1.Shipping/Track"), &[]),
        ],
    )],
)];

static RESTOCK: &[Step] = &[
    some(1, 5, Sql("UPDATE", "stock", "UPDATE stock SET on_hand = on_hand + 12 WHERE product_id = {}"), &[]),
    some(1, 3, Cache("DEL", "stock:{}"), &[]),
];

static HEALTH: &[Step] = &[one(Cache("PING", "health"), &[])];

#[cfg(test)]
mod tests {
    use super::FLOWS;

    #[test]
    fn the_shares_of_all_visits_add_up_to_the_whole() {
        assert_eq!(FLOWS.iter().map(|flow| flow.share).sum::<u64>(), 1_000);
    }
}
