//! The schemas accept what the code writes and refuse what it would not read; the AsyncAPI document hangs together.

use crate::examples::{examples, required};
use jsonschema::Validator;
use kefu_events::{
    Actor, ActorKind, AggregateKind, Author, CommandHeader, CommandResult, Content, Inbound, Outbound, Refusal, Sender,
    Timestamp, V,
    agent::AgentCommand,
    contact::ContactCommand,
    conversation::ConversationCommand,
    envelope::Command,
    query::{QueryError, QueryResponse},
    schema::{RejectedHeaders, documents},
    settings::{SettingsCommand, TenantSettings},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub fn validator(schema: &Value) -> Validator {
    jsonschema::options().should_validate_formats(true).build(schema).expect("a valid schema")
}

fn document(name: &str) -> Value {
    documents().remove(&format!("{name}.json")).unwrap_or_else(|| panic!("there is no {name}.json"))
}

fn message_schemas() -> impl Iterator<Item = (String, Value)> {
    documents().into_iter().filter(|(file, _)| file != "asyncapi.json")
}

fn accepts(name: &str, message: impl Serialize) -> bool {
    validator(&document(name)).is_valid(&serde_json::to_value(message).unwrap())
}

fn header(aggregate: AggregateKind) -> CommandHeader {
    CommandHeader {
        id: "c-1".to_owned(),
        aggregate,
        key: "7529325190d3f376a92dc8c580bdebe8".to_owned(),
        expected_version: None,
        actor: Actor::new(ActorKind::Agent, "li"),
        at: Timestamp::from_millis(1_800_000_000_000),
        correlation: None,
    }
}

fn inbound() -> Inbound {
    Inbound {
        id: "m-1".to_owned(),
        channel: "web".to_owned(),
        thread: "alice".to_owned(),
        sender: Sender { id: "alice".to_owned(), name: None },
        sent_at: Timestamp::default(),
        content: Content::text("你好"),
        metadata: Default::default(),
    }
}

#[test]
fn every_schema_is_json_schema_2020_12_with_a_name_and_plain_descriptions() {
    for (file, schema) in message_schemas() {
        jsonschema::meta::validate(&schema).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema", "{file}");
        assert_eq!(schema["$id"], format!("urn:kefu:schema:{}", file.trim_end_matches(".json")));
        assert!(schema["title"].is_string() && schema["description"].is_string(), "{file}");
        let text = schema.to_string();
        assert!(!text.contains("[`") && !text.contains("::"), "{file} has rustdoc's links in it");
    }
}

#[test]
fn personal_fields_are_marked() {
    for (name, pointer) in [
        ("inbound", "/$defs/Sender/properties/id"),
        ("outbound", "/properties/thread"),
        ("commit-contact", "/$defs/Identity/properties/id"),
    ] {
        assert_eq!(document(name).pointer(pointer).expect(pointer)["x-personal"], true, "{name} {pointer}");
    }
}

#[test]
fn what_people_write_freely_in_a_conversation_is_marked_as_personal() {
    /// Words for which a field is free text, or whatever a channel sends along.
    const FREE: [&str; 8] = ["text", "note", "comment", "detail", "title", "fields", "metadata", "earlier"];
    fn look(schema: &Value, way: &str, found: &mut usize) {
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let way = format!("{way}/{name}");
            let is_text = field["type"] == "string" || field["type"][0] == "string" || field["type"] == "object";
            if FREE.contains(&name.as_str()) && is_text && field.get("$ref").is_none() {
                *found += 1;
                assert_eq!(field["x-personal"], true, "{way}");
            }
        }
        let children = schema.as_object().into_iter().flatten().map(|(_, child)| child);
        let children = children.chain(schema.as_array().into_iter().flatten());
        children.for_each(|child| look(child, way, found));
    }
    let mut found = 0;
    for name in ["commit-conversation", "command-conversation", "inbound", "outbound"] {
        look(&document(name), name, &mut found);
    }
    assert!(found > 20, "{found} were looked at");
}

#[test]
fn schemas_accept_their_own_examples_and_nothing_that_lacks_a_required_field() {
    for (file, schema) in message_schemas() {
        let validator = validator(&schema);
        let examples = examples("example", &schema, &schema);
        assert!(!examples.is_empty(), "{file}");
        for example in examples {
            if let Err(error) = validator.validate(&example) {
                panic!("{file}: {error} in {example:#}");
            }
            for name in required(&schema) {
                let mut broken = example.clone();
                broken.as_object_mut().unwrap().remove(name);
                assert!(!validator.is_valid(&broken), "{file} accepts one without {name}");
            }
        }
    }
}

#[test]
fn no_command_has_a_field_that_every_command_has() {
    // Both stand beside each other in one object, where one name can have one meaning only.
    for (file, schema) in message_schemas().filter(|(file, _)| file.starts_with("command-")) {
        let header: Vec<&String> =
            schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name).collect();
        for command in schema["oneOf"].as_array().into_iter().flatten() {
            let fields = command["properties"].as_object().unwrap();
            let twice: Vec<_> = header.iter().filter(|name| fields.contains_key(**name)).collect();
            assert!(twice.is_empty(), "{file}: {} has {twice:?}", command["properties"]["type"]);
        }
    }
}

#[test]
fn the_code_reads_whatever_the_schemas_accept() {
    fn reads<T: DeserializeOwned>(name: &str) {
        let schema = document(name);
        for example in examples("example", &schema, &schema) {
            let read = serde_json::from_value::<T>(example.clone());
            assert!(read.is_ok(), "{name}: {} in {example:#}", read.err().unwrap());
        }
    }
    reads::<Inbound>("inbound");
    reads::<Outbound>("outbound");
    reads::<CommandResult>("command-result");
    reads::<QueryResponse>("query-response");
    reads::<RejectedHeaders>("rejected-headers");
    reads::<TenantSettings>("settings-tenant");
    for command in ["command-conversation", "command-contact", "command-agent", "command-settings"] {
        reads::<CommandHeader>(command);
    }
    reads::<ConversationCommand>("command-conversation");
    reads::<ContactCommand>("command-contact");
    reads::<AgentCommand>("command-agent");
    reads::<SettingsCommand>("command-settings");
}

#[test]
fn schemas_accept_what_the_code_writes() {
    assert!(accepts("inbound", inbound()));
    assert!(accepts("settings-tenant", TenantSettings::default()));
    let reply = ConversationCommand::Reply { v: V, content: Content::text("Hello"), reply_to: None };
    assert!(accepts("command-conversation", Command { header: header(AggregateKind::Conversation), body: reply }));
    let tag = ContactCommand::Tag { v: V, tags: vec!["vip".to_owned()] };
    assert!(accepts("command-contact", Command { header: header(AggregateKind::Contact), body: tag }));
    let refused = CommandResult {
        id: "c-1".to_owned(),
        ok: false,
        version: Some(3),
        seq: Some(70),
        refusal: Some(Refusal::new("stale", "it is at version 2")),
    };
    assert!(accepts("command-result", refused));
    assert!(accepts("query-response", QueryResponse::Ok(json!({"phase": "bot"}))));
    assert!(accepts("query-response", QueryResponse::Error(QueryError::new("not_found", "no such conversation"))));
    let outbound = Outbound {
        id: "o-1".to_owned(),
        tenant: "demo".to_owned(),
        channel: "web".to_owned(),
        thread: "alice".to_owned(),
        key: "7529325190d3f376a92dc8c580bdebe8".to_owned(),
        session: 1,
        at: Timestamp::default(),
        author: Author::system(),
        content: Content::text("Hello"),
        reply_to: None,
    };
    assert!(accepts("outbound", outbound));
}

#[test]
fn a_command_is_refused_where_header_or_body_is_broken() {
    let body = ConversationCommand::Note { v: V, text: "calls back".to_owned() };
    let good = serde_json::to_value(Command { header: header(AggregateKind::Conversation), body }).unwrap();
    let accepts = |change: fn(&mut Value)| {
        let mut changed = good.clone();
        change(&mut changed);
        accepts("command-conversation", changed)
    };
    assert!(accepts(|_| {}));
    assert!(accepts(|it| it["unheard_of"] = json!(1)), "new fields must not break old readers");
    assert!(!accepts(|it| it["type"] = json!("no_such_command")));
    assert!(!accepts(|it| it["v"] = json!(2)));
    assert!(!accepts(|it| it["text"] = json!(7)));
    assert!(!accepts(|it| it["aggregate"] = json!("contact")));
    assert!(!accepts(|it| it["at"] = json!("yesterday")));
    assert!(!accepts(|it| it["actor"] = json!({"kind": "robot", "id": "r"})));
    assert!(!accepts(|it| it["id"] = json!("")));
    for field in ["id", "aggregate", "key", "actor", "at", "type", "v", "text"] {
        let mut broken = good.clone();
        broken.as_object_mut().unwrap().remove(field);
        assert!(!self::accepts("command-conversation", broken), "accepted without {field}");
    }
}

#[test]
fn a_message_is_refused_where_it_is_broken() {
    let good = serde_json::to_value(inbound()).unwrap();
    for (pointer, bad) in [
        ("/content/kind", json!("smell")),
        ("/content/text", json!(["a"])),
        ("/sender/id", json!(7)),
        ("/sent_at", json!(0)),
        ("/thread", json!("x".repeat(513))),
    ] {
        let mut broken = good.clone();
        *broken.pointer_mut(pointer).unwrap() = bad;
        assert!(!accepts("inbound", broken), "{pointer}");
    }
    assert!(!accepts("query-response", json!({})));
    assert!(!accepts("query-response", json!({"ok": 1, "error": {"code": "internal", "message": "both"}})));
}

#[test]
fn a_channels_settings_are_a_patch_of_the_tenants() {
    assert!(accepts("settings-channel", json!({})));
    assert!(accepts("settings-channel", json!({"texts": {"welcome": "您好!", "handoff": null}, "bot": null})));
    assert!(accepts("settings-channel", json!({"collect": [{"field": "order_number", "prompt": "Which order?"}]})));
    assert!(!accepts("settings-channel", json!({"collect": [{"field": "order_number"}]})), "lists are replaced whole");
    assert!(!accepts("settings-channel", json!({"texts": {"wellcome": "Hi"}})), "a slip of the pen");
    assert!(!accepts("settings-channel", json!({"bot": {"answer_deadline_s": 0}})), "out of range");
}

#[test]
fn the_asyncapi_document_hangs_together() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let api = document("asyncapi");
    assert_eq!(api["asyncapi"], "3.0.0");

    let mut found = Vec::new();
    references(&api, &mut found);
    let mut schemas = BTreeSet::new();
    for reference in found {
        match (reference.strip_prefix('#'), reference.strip_prefix("./")) {
            (Some(pointer), _) => assert!(api.pointer(pointer).is_some(), "{reference} is not there"),
            (_, Some(file)) => assert!(schemas.insert(file.to_owned()), "{file} is referred to twice"),
            _ => panic!("{reference} leads out of schemas/"),
        }
    }
    let all: BTreeSet<String> =
        message_schemas().map(|(file, _)| file).filter(|it| !it.starts_with("settings-")).collect();
    assert_eq!(schemas, all, "each message belongs on one channel");

    for (name, channel) in api["channels"].as_object().unwrap() {
        assert!(!channel["messages"].as_object().unwrap().is_empty(), "nothing travels on {name}");
        let address = channel["address"].as_str().unwrap_or_default();
        let in_address: BTreeSet<_> =
            address.split('.').filter_map(|token| token.strip_prefix('{')?.strip_suffix('}')).collect();
        let parameters = channel["parameters"].as_object();
        assert_eq!(in_address, parameters.into_iter().flatten().map(|(name, _)| name.as_str()).collect(), "{name}");
        let reference = format!("#/channels/{name}");
        let uses = |it: &&Value| it["channel"]["$ref"] == reference || it["reply"]["channel"]["$ref"] == reference;
        let actions = api["operations"].as_object().unwrap().values().filter(uses).map(|it| it["action"].as_str());
        assert_ne!(actions.collect::<BTreeSet<_>>().len(), 0, "nobody uses {name}");
    }
    let subjects: BTreeSet<_> =
        api["channels"].as_object().unwrap().values().filter_map(|it| it["address"].as_str()).collect();
    let expected = [
        "/socket",
        "kefu.cmd.{tenant}.{source}.{key}",
        "kefu.events.{tenant}.{aggregate}.{key}",
        "kefu.in.{tenant}.{channel}.{key}",
        "kefu.out.{tenant}.{channel}.{key}",
        "kefu.query.{tenant}.{name}",
        "kefu.rejected.{tenant}.{source}",
        "kefu.result.{tenant}.{command}",
    ];
    assert_eq!(subjects, BTreeSet::from(expected));
}
