//! The OpenAPI 3.1 document, made of the table of routes and of the schemas of the contract.

use super::{
    answers,
    routes::{BASE, Door, ROUTES, Route},
};
use kefu_events::{bridge::CommandRequest, schema, webhook::WebhookSettings};
use serde_json::{Map, Value, json};

/// The document.
pub fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in ROUTES {
        let path = paths.entry(format!("{BASE}{}", route.path)).or_insert_with(|| json!({}));
        path[route.method.to_ascii_lowercase()] = operation(route);
    }
    let mut schemas: Map<String, Value> = Map::new();
    schemas.insert("command-request".to_owned(), schema::inline::<CommandRequest>());
    schemas.extend(answers::schemas());
    schemas.insert("error".to_owned(), error());
    for (name, schema) in bodies() {
        schemas.insert(name.to_owned(), schema);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "kefu",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "For scripts, agents' tools and consoles. The bodies of commands, and commits, have schemas of their \
                            own in `schemas/`.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "webhooks": { "commit": { "post": delivery() } },
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description": "`kefu user token add` makes one." },
                "session": { "type": "apiKey", "in": "cookie", "name": super::caller::COOKIE,
                    "description": format!(
                        "A browser's session, from POST {BASE}/session. What changes something needs the header {} as well.",
                        super::caller::OWN_REQUEST
                    ) },
            },
        },
    })
}

fn operation(route: &Route) -> Value {
    let names = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut parameters: Vec<Value> = names
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect();
    parameters.extend(route.query.iter().map(|(name, description)| {
        let of = match *name {
            "limit" | "wait" | "before" => "integer",
            _ => "string",
        };
        json!({ "name": name, "in": "query", "description": description, "schema": { "type": of } })
    }));
    let failed = |description: &str| {
        let content = json!({ "application/json": { "schema": { "$ref": "#/components/schemas/error" } } });
        json!({ "description": description, "content": content })
    };
    let command = route.body == Some("command-request");
    let (status, answer) = answers::of(route);
    let content = match answer {
        Some(name) => json!({ "application/json": { "schema": { "$ref": format!("#/components/schemas/{name}") } } }),
        None => json!({ "*/*": { "schema": { "type": "string", "format": "binary" } } }),
    };
    let mut responses = json!({
        "STATUS": { "description": "Done.", "content": content },
        "400": failed("The request is wrong; the message says what would be right."),
        "429": failed("Too many requests; `Retry-After` says when to come back."),
        "503": failed("kefu is starting, or behind; try again."),
    });
    if let Some(done) = responses.as_object_mut().and_then(|all| all.remove("STATUS")) {
        // A WebSocket has another answer, which is no success of HTTP's.
        if status == 302 {
            responses["302"] = json!({ "description": "Go on there." });
        } else if route.path != "/socket" {
            responses[status.to_string()] = done;
        }
    }
    if command {
        responses["409"] = json!({ "description": "The command was refused; `refusal` says why.",
            "content": { "application/json": { "schema": { "$ref": "#/components/schemas/command-response" } } } });
    }
    if route.path == "/socket" {
        responses["101"] = json!({ "description": "The WebSocket is open." });
    }
    if route.path.contains('{') {
        responses["404"] = failed("There is no such thing in this tenant.");
    }
    let id = route.path.trim_matches('/').replace(['/', '.'], "_").replace(['{', '}'], "");
    let mut operation = json!({
        "operationId": format!("{}_{id}", route.method.to_ascii_lowercase()),
        "summary": route.summary,
        "parameters": parameters,
        "responses": responses,
    });
    if route.door != Door::Open {
        operation["security"] = json!([{ "token": [] }, { "session": [] }]);
        operation["responses"]["401"] = failed("Nobody is signed in.");
        operation["responses"]["403"] = failed("A permission is missing; the error names it.");
    }
    if let Door::Has(permission) = route.door {
        operation["x-permission"] = permission.as_str().into();
    }
    if let Some(body) = route.body {
        let schema = json!({ "$ref": format!("#/components/schemas/{body}") });
        operation["requestBody"] = json!({ "required": true, "content": { "application/json": { "schema": schema } } });
    } else if route.path == "/files" {
        let bytes = json!({ "*/*": { "schema": { "type": "string", "format": "binary" } } });
        operation["requestBody"] = json!({ "required": true, "content": bytes });
    }
    operation
}

/// What a receiver of webhooks is sent.
fn delivery() -> Value {
    let header = |name: &str, description: &str| json!({ "name": name, "in": "header", "required": true, "description": description, "schema": { "type": "string" } });
    let schema = json!({
        "type": "object",
        "required": ["delivery", "webhook"],
        "properties": {
            "delivery": { "type": "string", "description": "As in the header." },
            "webhook": { "type": "string", "description": "The webhook's name." },
            "seq": { "type": "integer", "description": "The commit's sequence in the log." },
            "commit": { "type": "object", "description": "The commit, as in `schemas/commit-*.json`." },
            "test": { "const": true, "description": "In the place of a commit, where somebody asked for a test." },
        },
    });
    json!({
        "summary": "One commit, in the order of the log, until it is taken",
        "parameters": [
            header("Kefu-Delivery", "Names the commit for this webhook: the same however often it is sent."),
            header("Kefu-Webhook", "The webhook's name."),
            header("Kefu-Attempt", "From 1."),
            header("Kefu-Timestamp", "Seconds since 1970."),
            header("Kefu-Signature", "`v1=` and the hexadecimal HMAC-SHA-256 of `<Kefu-Timestamp>.<body>` under the secret; \
                for a day after a change of the secret another one, after a comma, under the old."),
        ],
        "requestBody": { "required": true, "content": { "application/json": { "schema": schema } } },
        "responses": {
            "2XX": { "description": "Taken: the next commit follows." },
            "default": { "description": "Not taken: it is sent again, after a pause that grows to five minutes, or as long as \
                `Retry-After` says." },
        },
    })
}

fn error() -> Value {
    json!({
        "type": "object",
        "required": ["error"],
        "properties": { "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {
                "code": { "type": "string", "description": "Stable, for programs." },
                "message": { "type": "string", "description": "What is wrong, and what would be right." },
                "permission": { "type": "string", "description": "The permission that is missing." },
            },
        } },
    })
}

/// Bodies that are not part of the contract's types.
fn bodies() -> [(&'static str, Value); 9] {
    let texts = |names: &[&str], needed: &[&str]| {
        let properties: Map<String, Value> =
            names.iter().map(|name| ((*name).to_owned(), json!({ "type": "string" }))).collect();
        json!({ "type": "object", "properties": properties, "required": needed })
    };
    let mut token = texts(&["name", "expires_at"], &["name"]);
    token["properties"]["scopes"] = json!({ "type": "array", "items": { "type": "string" },
        "description": "For these permissions only." });
    let sign_in = texts(&["tenant", "user", "password"], &["tenant", "user", "password"]);
    let password = texts(&["present", "password"], &["password"]);
    let mut customer = texts(&["channel", "thread", "sender", "name"], &["channel", "thread"]);
    customer["properties"]["expires_s"] = json!({ "type": "integer", "minimum": 1, "maximum": 86_400,
        "description": "For how many seconds it is good; an hour, if absent." });
    [
        ("sign-in", sign_in),
        ("set-up", texts(&["code", "user", "name", "password"], &["code", "user", "password"])),
        ("password", password),
        ("token", token),
        ("customer-token", customer),
        ("webhook", schema::inline::<WebhookSettings>()),
        (
            "check",
            json!({ "type": "object", "required": ["value"], "properties": { "value": {
                "type": "object", "description": "What the document would say, as in `schemas/settings-*.json`." } } }),
        ),
        (
            "replay",
            json!({ "type": "object", "required": ["from"], "properties": { "from": {
                "type": ["integer", "string"], "description": "A sequence in the log, or a time (RFC 3339)." } } }),
        ),
        (
            "ask",
            json!({
                "type": "object",
                "required": ["question"],
                "properties": {
                    "question": { "type": "string" },
                    "channel": { "type": "string", "description": "As if asked on this channel." },
                    "earlier": { "type": "array", "items": { "type": "string" }, "description": "What was asked before." },
                },
            }),
        ),
    ]
}
