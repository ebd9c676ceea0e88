//! What each route answers where all is well, as JSON Schema: for OpenAPI, and for the test that holds real answers against it.

use super::routes::Route;
use kefu_events::{
    CommandResult,
    bridge::{CommandResponse, ServerFrame},
    schema,
    webhook::WebhookSettings,
};
use serde_json::{Map, Value, json};

/// The status where all is well, and the name of the answer's schema; `None`: bytes, or a WebSocket.
pub(super) fn of(route: &Route) -> (u16, Option<&'static str>) {
    if route.path != "/users/{key}/commands" && route.body == Some("command-request") {
        return (200, Some("command-response"));
    }
    let name = match (route.method, route.path) {
        ("POST", "/session") | ("GET", "/session") => "me",
        ("POST", "/setup") => return (201, Some("me")),
        ("DELETE", "/session") | ("DELETE", "/webhooks/{key}") => "done",
        ("GET", "/users" | "/conversations" | "/contacts" | "/agents" | "/entries" | "/webhooks") => "list",
        ("GET", "/users/{key}" | "/conversations/{key}" | "/contacts/{key}" | "/agents/{key}" | "/entries/{key}") => {
            "aggregate"
        }
        ("GET", path) if path.ends_with("/commits") => "commits",
        ("POST", "/users/{key}/commands" | "/users/{key}/password") | ("DELETE", "/users/{key}/tokens/{token}") => {
            "command-result"
        }
        ("POST", "/users/{key}/tokens") => return (201, Some("token-made")),
        ("POST", "/customers/tokens") => return (201, Some("customer-token-made")),
        ("GET", "/oidc") => "oidc",
        ("GET", "/oidc/login" | "/oidc/callback") => return (302, None),
        ("GET", "/openapi.json") => "openapi",
        ("GET", "/events") => "frames",
        ("GET", "/inbox") => "counts",
        ("GET", "/conversations/{key}/why") => "why",
        ("GET", "/queues") => "queues",
        ("GET", "/wall") => "wall",
        ("GET", "/reports") => "report",
        ("GET", "/reports/sessions" | "/reports/metrics") => "list",
        ("POST", "/ask") => "asked",
        ("GET", "/search/entries") => "entry-hits",
        ("GET", "/search/messages") => "hits",
        ("GET", "/settings") => "documents",
        ("GET", "/settings/{key}") => "document",
        ("POST", "/files") => return (201, Some("file")),
        ("GET", "/webhooks/{key}") => "webhook-shown",
        // 201 where it is new.
        ("PUT", "/webhooks/{key}") => "webhook-set",
        ("POST", "/webhooks/{key}/secret") => "webhook-set",
        ("POST", "/webhooks/{key}/replay") => "replayed",
        ("POST", "/webhooks/{key}/test") => "tested",
        ("POST", "/settings/{key}/check") => "checked",
        _ => return (200, None),
    };
    (200, Some(name))
}

fn object(properties: Value, required: &[&str]) -> Value {
    json!({ "type": "object", "properties": properties, "required": required })
}

fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

fn wall() -> Value {
    let of = |items: Value| json!({ "type": "array", "items": items });
    let number = |description: &str| json!({ "type": "number", "description": description });
    let queue = json!({ "queue": text("Its name."), "waiting": number("How many waited, for whom nobody had been asked."),
        "oldest_s": number("How long the oldest had waited, in seconds.") });
    object(
        json!({
            "at": text("The moment."),
            "began": text("When the tenant began: there is no wall before."),
            "queues": of(object(queue, &["queue", "waiting"])),
            "agents": of(json!({ "type": "object", "description": "As in GET agents." })),
            "waiting": of(json!({ "type": "object", "description": "As in GET conversations: those that one may read, then and now." })),
            "totals": { "type": "object", "description": "How many agents and waiting conversations there were in all." },
            "senders": { "type": "object", "additionalProperties": { "type": "string" },
                "description": "Who the customers of agents' conversations are, as far as one may read these." },
        }),
        &["at", "began", "queues", "agents", "waiting", "totals", "senders"],
    )
}

/// All of them, by name.
pub(super) fn schemas() -> Map<String, Value> {
    let commit = object(
        json!({ "commit_id": text("Unique for ever."), "version": { "type": "integer" },
        "events": { "type": "array", "items": { "type": "object" } } }),
        &["commit_id", "version", "events"],
    );
    let logged = object(
        json!({ "seq": { "type": "integer", "description": "Sequence in the log." }, "commit": commit }),
        &["seq", "commit"],
    );
    let any = || json!({ "type": "object" });
    let of = |items: Value| json!({ "type": "array", "items": items });
    let named: [(&str, Value); _] = [
        ("command-response", schema::inline::<CommandResponse>()),
        ("command-result", schema::inline::<CommandResult>()),
        ("done", object(json!({ "ok": { "const": true } }), &["ok"])),
        (
            "me",
            object(
                json!({ "tenant": text("Whose."), "user": text("The user's id."), "name": text("The user's name."),
                    "roles": of(any()), "permissions": of(text("What one may do, at least somewhere.")),
                    "queues": of(text("A queue that the agent of this id serves.")), "agent": { "type": "boolean" },
                    "expires_at": { "type": ["string", "null"] } }),
                &["tenant", "user", "name", "roles", "permissions", "queues", "agent"],
            ),
        ),
        (
            "list",
            object(
                json!({ "items": of(any()), "next": { "description": "`after` of the next page; null or absent: this is the last." } }),
                &["items"],
            ),
        ),
        (
            "aggregate",
            object(
                json!({ "version": { "type": "integer", "description": "Commits so far." }, "state": any() }),
                &["version", "state"],
            ),
        ),
        (
            "commits",
            object(json!({ "items": of(logged), "next": { "type": ["integer", "null"] } }), &["items", "next"]),
        ),
        (
            "token-made",
            object(
                json!({ "id": text("Names the token."), "token": text("The secret, told once.") }),
                &["id", "token"],
            ),
        ),
        (
            "customer-token-made",
            object(
                json!({ "token": text("For `?token=` of the WebSocket, or a header."), "expires_at": text("When it ends."),
                    "conversation": text("Key of the conversation.") }),
                &["token", "expires_at", "conversation"],
            ),
        ),
        (
            "oidc",
            object(
                json!({ "issuer": { "type": ["string", "null"] }, "login": { "type": ["string", "null"] } }),
                &["issuer", "login"],
            ),
        ),
        ("openapi", object(json!({ "openapi": { "const": "3.1.0" } }), &["openapi", "paths"])),
        (
            "frames",
            object(
                json!({ "epoch": text("Name of the log."), "seq": { "type": "integer", "description": "`after` of the next request." },
                    "frames": of(schema::inline::<ServerFrame>()) }),
                &["epoch", "seq", "frames"],
            ),
        ),
        ("counts", json!({ "type": "object", "additionalProperties": { "type": "integer" } })),
        ("why", object(json!({ "decisions": of(any()) }), &["decisions"])),
        ("queues", json!({ "type": ["object", "array"] })),
        ("wall", wall()),
        (
            "report",
            object(
                json!({ "seq": { "type": "integer", "description": "The last commit that is in it." },
                    "zone": text("IANA name of the time zone in which days begin."), "from": text("As asked, or earlier."),
                    "to": text("As asked, or later."), "by": text("What it is broken down by."), "metrics": of(any()),
                    "rows": of(object(json!({ "at": text("When the stretch begins."), "value": text("Which queue, agent, …."),
                        "figures": { "type": "object", "additionalProperties": { "type": "number" } } }), &["figures"])) }),
                &["seq", "zone", "from", "to", "by", "metrics", "rows"],
            ),
        ),
        ("asked", any()),
        ("hits", object(json!({ "items": of(any()) }), &["items"])),
        (
            "entry-hits",
            object(
                json!({ "items": of(any()), "total": { "type": "integer", "description": "How many there are in all." } }),
                &["items", "total"],
            ),
        ),
        ("documents", json!({ "type": ["object", "array"] })),
        ("document", any()),
        (
            "file",
            object(
                json!({ "object": text("Names it, for messages and for GET."), "name": text("As the sender calls it."),
                    "mime": text("Media type."), "size": { "type": "integer", "description": "Bytes." } }),
                &["object", "name", "mime", "size"],
            ),
        ),
        (
            "webhook-shown",
            object(
                json!({ "name": text("Its name."), "settings": schema::inline::<WebhookSettings>(),
                    "state": { "type": ["object", "null"], "description": "How far it has got; null: it has not begun." } }),
                &["name", "settings", "state"],
            ),
        ),
        (
            "webhook-set",
            object(json!({ "name": text("Its name."), "secret": text("A new one's secret, told once.") }), &["name"]),
        ),
        (
            "replayed",
            object(
                json!({ "from": { "type": "integer", "description": "The first commit that is sent." } }),
                &["from"],
            ),
        ),
    ];
    let mut all: Map<String, Value> = named.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
    let refusal = json!({ "type": "object", "description": "Why not.", "required": ["code", "message"] });
    all.insert("checked".to_owned(), object(json!({ "ok": { "type": "boolean" }, "refusal": refusal }), &["ok"]));
    let outcome = object(
        json!({ "ok": { "type": "boolean" }, "status": { "type": "integer" }, "error": text("What was wrong.") }),
        &["ok"],
    );
    all.insert(
        "tested".to_owned(),
        object(json!({ "delivery": text("Its id."), "outcome": outcome }), &["delivery", "outcome"]),
    );
    all
}
