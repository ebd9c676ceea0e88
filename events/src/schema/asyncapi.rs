//! The AsyncAPI 3.0 document: on which subjects the messages travel, and who publishes and reads them.

use crate::{AggregateKind, query::ALL_TENANTS};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const SCHEMA_FORMAT: &str = "application/schema+json;version=draft-2020-12";

/// A subject, what may stand in it, and what travels on it.
struct Channel {
    name: &'static str,
    /// `None`: chosen by whoever asks, for each request.
    subject: Option<&'static str>,
    description: &'static str,
    /// The stream that keeps it; nothing is kept where there is none.
    stream: Option<&'static str>,
    /// The schemas' names, or their common start with a `*`.
    messages: &'static str,
}

const CHANNELS: [Channel; 8] = [
    Channel {
        name: "inbound",
        subject: Some("kefu.in.{tenant}.{channel}.{key}"),
        description: "What customers send. Publish with a JetStream acknowledgement and with the header `Nats-Msg-Id`: \
                      `<tenant>/<channel>/<key>/<id>`. Not acknowledged means not accepted: publish it again, unchanged.",
        stream: Some("KEFU_INBOX"),
        messages: "inbound",
    },
    Channel {
        name: "commands",
        subject: Some("kefu.cmd.{tenant}.{source}.{key}"),
        description: "What agents, timers, bots, the scheduler and the system ask of an aggregate. Publish with a JetStream \
                      acknowledgement.",
        stream: Some("KEFU_COMMANDS"),
        messages: "command-*",
    },
    Channel {
        name: "events",
        subject: Some("kefu.events.{tenant}.{aggregate}.{key}"),
        description: "What has happened: one message is one commit of one or more events. The only truth, in one order.",
        stream: Some("KEFU_EVENTS"),
        messages: "commit-*",
    },
    Channel {
        name: "outbound",
        subject: Some("kefu.out.{tenant}.{channel}.{key}"),
        description: "Replies to customers. One may arrive more than once under one `id`: deliver each id once.",
        stream: Some("KEFU_OUTBOX"),
        messages: "outbound",
    },
    Channel {
        name: "rejected",
        subject: Some("kefu.rejected.{tenant}.{source}"),
        description: "Input that was not decided, as it came, with the reason in headers.",
        stream: Some("KEFU_REJECTED"),
        messages: "rejected-headers",
    },
    Channel {
        name: "results",
        subject: Some("kefu.result.{tenant}.{command}"),
        description: "The result of each command. Not kept: subscribe before the command is published, or publish the command \
                      again under the same id to get the same result again.",
        stream: None,
        messages: "command-result",
    },
    Channel {
        name: "queries",
        subject: Some("kefu.query.{tenant}.{name}"),
        description: "Requests, answered by any node that is caught up.",
        stream: None,
        messages: "",
    },
    Channel {
        name: "answers",
        subject: None,
        description: "Responses to queries.",
        stream: None,
        messages: "query-response",
    },
];

/// Who sends to or receives from which channel: role, action, channel, description.
const OPERATIONS: [(&str, &str, &str, &str); 16] = [
    ("adapter", "send", "inbound", "Publish what customers send."),
    ("adapter", "receive", "outbound", "Read replies with a durable consumer, and deliver them."),
    ("analyst", "receive", "events", "Replay and follow what happens."),
    ("client", "send", "commands", "Ask an aggregate to do something: agents' tools, bots, operators."),
    ("client", "receive", "results", "Learn what became of a command."),
    ("client", "send", "queries", "Read the current state."),
    ("client", "receive", "rejected", "See what was refused, and why."),
    ("engine", "receive", "inbound", "Decide what follows from a customer's message."),
    ("engine", "receive", "commands", "Decide what follows from a command."),
    ("engine", "receive", "queries", "Answer from the read models."),
    ("engine", "send", "events", "Append one commit for each message or command."),
    ("engine", "receive", "events", "Keep the read models up to date."),
    ("engine", "send", "outbound", "Publish the replies that follow from a commit."),
    ("engine", "send", "commands", "Ask other aggregates for what follows from a commit."),
    ("engine", "send", "results", "Tell the sender what became of a command."),
    ("engine", "send", "rejected", "Put aside what could not be decided."),
];

/// The document, with references to the schemas of these names.
pub(super) fn document(schemas: &BTreeMap<String, Value>) -> Value {
    let messages: Vec<(&str, Value)> = schemas
        .iter()
        .filter_map(|(file, schema)| Some((file.strip_suffix(".json")?, schema)))
        .filter(|(name, _)| !name.starts_with("settings-"))
        .map(|(name, schema)| (name, message(name, schema)))
        .collect();
    let names: Vec<&str> = messages.iter().map(|(name, _)| *name).collect();
    let mut components: Map<String, Value> =
        messages.iter().map(|(name, message)| (name.to_string(), message.clone())).collect();
    components.insert(
        "query".to_owned(),
        json!({"title": "Query", "contentType": "application/json",
        "payload": {"type": "object", "description": "The query's parameters. An empty body is an empty object."}}),
    );
    let mut document = json!({
        "asyncapi": "3.0.0",
        "id": "urn:kefu:asyncapi",
        "info": {
            "title": "kefu",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "An event-sourced customer-service engine on NATS JetStream. The prefix `kefu` of all subjects is \
                            configurable.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {"local": {"host": "127.0.0.1:4222", "protocol": "nats",
            "description": "The nats-server that `kefu serve` starts, unless the port is taken: `run.json` in the data \
                            directory says where it is."}},
        "channels": CHANNELS.iter().map(|it| (it.name.to_owned(), channel(it, &names))).collect::<Map<_, _>>(),
        "operations": OPERATIONS.iter().map(operation).collect::<Map<_, _>>(),
        "components": {"messages": components},
    });
    add_socket(&mut document);
    document
}

/// The bridge's WebSocket, which has a server and a channel of its own.
fn add_socket(document: &mut Value) {
    document["servers"]["bridge"] = json!({"host": "127.0.0.1:7070", "pathname": "/api/v1", "protocol": "ws",
        "description": "The bridge, for agents' consoles and scripts: with a session's cookie or `Authorization: Bearer`. Its HTTP \
                        interface is described at /api/v1/openapi.json."});
    let message = |name: &str| json!({"$ref": format!("#/components/messages/{name}")});
    document["channels"]["socket"] = json!({
        "address": "/socket",
        "servers": [{"$ref": "#/servers/bridge"}],
        "description": "One JSON object in each text message. The client's first frame is `resume`; what follows comes in the order \
                        of the log.",
        "messages": {"client-frame": message("client-frame"), "server-frame": message("server-frame")},
    });
    for (action, name, description) in [
        ("send", "client-frame", "Begin or go on, and ask for something."),
        ("receive", "server-frame", "Learn what happens, and what became of commands."),
    ] {
        document["operations"][format!("console-{action}-socket")] = json!({
            "action": action,
            "channel": {"$ref": "#/channels/socket"},
            "description": description,
            "tags": [{"name": "console"}],
            "messages": [{"$ref": format!("#/channels/socket/messages/{name}")}],
        });
    }
}

fn message(name: &str, schema: &Value) -> Value {
    let reference = json!({"schemaFormat": SCHEMA_FORMAT, "schema": {"$ref": format!("./{name}.json")}});
    let mut message = json!({"name": name, "title": schema["title"], "contentType": "application/json"});
    if name == "rejected-headers" {
        message["title"] = "Rejected input".into();
        message["contentType"] = "application/octet-stream".into();
        message["headers"] = reference;
        return message;
    }
    if name == "inbound" || name.starts_with("command-") && name != "command-result" {
        let id = if name == "inbound" { "`<tenant>/<channel>/<key>/<id>`" } else { "The command's id." };
        message["headers"] =
            json!({"type": "object", "properties": {"Nats-Msg-Id": {"type": "string", "description": id}}});
    }
    message["payload"] = reference;
    message
}

/// The names of the messages on `channel`.
fn messages_on<'a>(channel: &Channel, names: &[&'a str]) -> Vec<&'a str> {
    if channel.name == "queries" {
        return vec!["query"];
    }
    let on_channel = |name: &&str| match channel.messages.strip_suffix('*') {
        Some(start) => name.starts_with(start) && *name != "command-result",
        None => *name == channel.messages,
    };
    names.iter().copied().filter(on_channel).collect()
}

fn channel(channel: &Channel, names: &[&str]) -> Value {
    let reference = |name: &str| json!({"$ref": format!("#/components/messages/{name}")});
    let messages: Map<String, Value> =
        messages_on(channel, names).into_iter().map(|name| (name.to_owned(), reference(name))).collect();
    let mut document = json!({"address": channel.subject, "description": channel.description, "messages": messages});
    if let Some(subject) = channel.subject {
        let names = subject.split('.').filter_map(|token| token.strip_prefix('{')?.strip_suffix('}'));
        document["parameters"] = names.map(|name| (name.to_owned(), parameter(name))).collect::<Map<_, _>>().into();
    }
    if let Some(stream) = channel.stream {
        document["x-jetstream-stream"] = stream.into();
    }
    document
}

fn parameter(name: &str) -> Value {
    const TOKEN: &str = "Matches `[A-Za-z0-9_-]{1,64}`.";
    match name {
        "tenant" => {
            json!({"description": format!("The tenant. {TOKEN} Queries about all tenants say `{ALL_TENANTS}`.")})
        }
        "channel" => json!({"description": format!("The channel's name. {TOKEN}")}),
        "key" => {
            json!({"description": "The aggregate's key. A conversation's is the first 32 hex digits of SHA-256 over the \
                        UTF-8 text `<channel>`, a newline, `<thread>`; a contact's is the same over channel and sender id; \
                        an agent's is its id, or the same over that where it cannot stand in a subject."})
        }
        "source" => json!({"description": "The kind of sender (in `kefu.rejected` also a channel's name).",
                           "examples": ["agent", "timer", "bot", "scheduler", "system"]}),
        "aggregate" => {
            json!({"description": "Kind of the aggregate.", "enum": AggregateKind::ALL.map(AggregateKind::as_str)})
        }
        "command" => {
            json!({"description": "Id of the command, or the first 32 hex digits of its SHA-256 where the id cannot \
                            stand in a subject."})
        }
        "name" => json!({"description": "Name of the query, for example `conversation`."}),
        other => json!({"description": other}),
    }
}

fn operation((role, action, channel, description): &(&str, &str, &str, &str)) -> (String, Value) {
    let mut operation = json!({
        "action": action,
        "channel": {"$ref": format!("#/channels/{channel}")},
        "description": description,
        "tags": [{"name": role}],
    });
    if *channel == "queries" {
        operation["reply"] = json!({
            "channel": {"$ref": "#/channels/answers"},
            "address": {"description": "The reply subject of the NATS request.", "location": "$message.header#/reply"},
        });
    }
    (format!("{role}-{action}-{channel}"), operation)
}
