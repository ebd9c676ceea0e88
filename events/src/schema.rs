//! The generated JSON Schemas and the AsyncAPI document.
//!
//! [`documents`] makes them from the types of this crate; `schemas/` holds what it made last, for readers who have no
//! Rust. `events/tests/schemas/` compares the two.

mod asyncapi;

use crate::{
    AggregateKind, CommandResult, Commit, Inbound, Outbound, access, agent, bridge, contact, conversation,
    envelope::Command,
    faq::{FaqCommand, FaqEvent},
    query::QueryResponse,
    routing, settings,
    user::{UserCommand, UserEvent},
    webhook,
};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Headers of a message in `KEFU_REJECTED`. The payload is the refused input as it came, whatever it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RejectedHeaders {
    /// Why, stable, for programs: `malformed`, `too_large`, `subject_mismatch`, `unknown_tenant`, `quarantined`, ….
    #[serde(rename = "Kefu-Reason")]
    pub reason: String,
    /// Why, for people: what is wrong and what would be right.
    #[serde(rename = "Kefu-Detail")]
    pub detail: String,
    /// The work queue that it came from: `inbox` or `commands`.
    #[serde(rename = "Kefu-Queue")]
    pub queue: String,
    /// Its sequence in that queue's stream, in decimal digits.
    #[serde(rename = "Kefu-Queue-Seq")]
    #[schemars(regex(pattern = "^[0-9]+$"))]
    pub queue_seq: String,
    /// The key in the subject that it was published on.
    #[serde(rename = "Kefu-Key")]
    pub key: String,
    /// Kind of the aggregate that it was meant for, where that is known.
    #[serde(rename = "Kefu-Aggregate", default, skip_serializing_if = "Option::is_none")]
    pub aggregate: Option<String>,
}

/// Files in `schemas/` that kefu itself makes, because the types are its own: settings of what it decides.
pub const MADE_ELSEWHERE: [&str; 1] = ["settings-scheduling.json"];

/// File name and schema of a settings document whose type is not here.
pub fn settings_document<T: JsonSchema>(name: &str, title: &str) -> (String, Value) {
    let (file, document) = schema_of::<T>(name, title);
    (file, sorted(document))
}

/// Every document of the contract, by the name of its file in `schemas/`: one JSON Schema (2020-12) per kind of message
/// and settings document, and the AsyncAPI document that says on which subjects they travel. Keys are sorted.
pub fn documents() -> BTreeMap<String, Value> {
    let mut documents = message_schemas();
    documents.insert("asyncapi.json".to_owned(), asyncapi::document(&documents));
    documents.into_iter().map(|(file, document)| (file, sorted(document))).collect()
}

/// The types of all events that a commit can have, but those of users.
pub fn event_types() -> BTreeSet<String> {
    let commits = [
        inline::<conversation::ConversationEvent>(),
        inline::<contact::ContactEvent>(),
        inline::<agent::AgentEvent>(),
        inline::<FaqEvent>(),
        inline::<settings::SettingsEvent>(),
    ];
    let variants = commits.iter().flat_map(|events| events["oneOf"].as_array().into_iter().flatten());
    variants.filter_map(|variant| Some(variant["properties"]["type"]["const"].as_str()?.to_owned())).collect()
}

fn message_schemas() -> BTreeMap<String, Value> {
    use AggregateKind::{Agent, Contact, Conversation, Faq, Settings, User};
    let tenant = schema_of::<settings::TenantSettings>("settings-tenant", "Settings of a tenant");
    [
        schema_of::<Inbound>("inbound", "Inbound message"),
        schema_of::<Outbound>("outbound", "Outbound message"),
        schema_of::<CommandResult>("command-result", "Result of a command"),
        schema_of::<QueryResponse>("query-response", "Response to a query"),
        schema_of::<bridge::ClientFrame>("client-frame", "Frame from a client of the bridge"),
        schema_of::<bridge::ServerFrame>("server-frame", "Frame to a client of the bridge"),
        schema_of::<RejectedHeaders>("rejected-headers", "Headers of a rejected message"),
        command::<conversation::ConversationCommand>(Conversation),
        command::<contact::ContactCommand>(Contact),
        command::<agent::AgentCommand>(Agent),
        command::<FaqCommand>(Faq),
        command::<settings::SettingsCommand>(Settings),
        command::<UserCommand>(User),
        commit::<conversation::ConversationEvent>(Conversation),
        commit::<contact::ContactEvent>(Contact),
        commit::<agent::AgentEvent>(Agent),
        commit::<FaqEvent>(Faq),
        commit::<settings::SettingsEvent>(Settings),
        commit::<UserEvent>(User),
        schema_of::<access::AccessSettings>("settings-access", "Access policies of a tenant"),
        schema_of::<routing::RoutingSettings>("settings-routing", "Routing rules of a tenant"),
        schema_of::<settings::ReportingSettings>("settings-reporting", "What figures of a tenant are measured by"),
        schema_of::<webhook::WebhooksSettings>("settings-webhooks", "Webhooks of a tenant"),
        ("settings-channel.json".to_owned(), channel_patch(&tenant.1)),
        tenant,
    ]
    .into()
}

fn command<B: JsonSchema>(aggregate: AggregateKind) -> (String, Value) {
    let schema = schema_of::<Command<B>>(&format!("command-{aggregate}"), &format!("Command to a {aggregate}"));
    for_aggregate(schema, aggregate)
}

fn commit<E: JsonSchema>(aggregate: AggregateKind) -> (String, Value) {
    let schema = schema_of::<Commit<E>>(&format!("commit-{aggregate}"), &format!("Commit of a {aggregate}"));
    for_aggregate(schema, aggregate)
}

/// Replaces "any kind of aggregate" by this one.
fn for_aggregate((file, mut schema): (String, Value), aggregate: AggregateKind) -> (String, Value) {
    schema["properties"]["aggregate"] = json!({"description": "Kind of the aggregate.", "const": aggregate.as_str()});
    let elsewhere = schema.to_string().contains("#/$defs/AggregateKind");
    if let Some(defs) = schema["$defs"].as_object_mut().filter(|_| !elsewhere) {
        defs.remove("AggregateKind");
    }
    (file, schema)
}

/// The schema of a type with all that it refers to within it, for a document of another kind.
pub fn inline<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    sorted(plain_descriptions(settings.into_generator().into_root_schema_for::<T>().to_value()))
}

/// File name and schema of one type.
fn schema_of<T: JsonSchema>(name: &str, title: &str) -> (String, Value) {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>().to_value();
    schema["$id"] = format!("urn:kefu:schema:{name}").into();
    schema["title"] = title.into();
    (format!("{name}.json"), plain_descriptions(schema))
}

/// Takes line breaks and rustdoc's links out of descriptions: ``[`x`](path)`` and ``[`x`]`` become `` `x` ``.
fn plain_descriptions(mut schema: Value) -> Value {
    match &mut schema {
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                *value = match value.as_str() {
                    Some(text) if name == "description" => unlinked(&text.replace('\n', " ")).into(),
                    _ => plain_descriptions(value.take()),
                };
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = plain_descriptions(item.take())),
        _ => {}
    }
    schema
}

fn unlinked(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, link)) = rest.split_once("[`") {
        plain.push_str(before);
        let Some((name, after)) = link.split_once("`]") else { return text.to_owned() };
        plain.push_str(&format!("`{name}`"));
        rest = match after.strip_prefix('(').and_then(|target| target.split_once(')')) {
            Some((_, after)) => after,
            None => after,
        };
    }
    plain + rest
}

/// The merge patch (RFC 7396) that goes with a settings schema: nothing is required, and `null` takes a field back to
/// what the tenant says. Lists are replaced whole, so what is in them stays as it is.
fn channel_patch(tenant: &Value) -> Value {
    let mut patch = patch_of(tenant, tenant);
    patch["$id"] = "urn:kefu:schema:settings-channel".into();
    patch["title"] = "Settings of a channel".into();
    patch["description"] = "A JSON merge patch (RFC 7396), laid over the settings of the tenant.".into();
    patch
}

fn patch_of(schema: &Value, root: &Value) -> Value {
    let mut patch = schema.clone();
    let target = schema["$ref"].as_str().and_then(|target| root.pointer(target.trim_start_matches('#')));
    if let Some(target) = target.filter(|target| target.get("properties").is_some()) {
        patch = patch_of(target, root);
        patch["description"] = schema.get("description").unwrap_or(&target["description"]).clone();
    }
    if let Some(fields) = patch.as_object_mut() {
        fields.remove("required");
        fields.remove("default");
        if let Some(properties) = fields.get_mut("properties").and_then(Value::as_object_mut) {
            for property in properties.values_mut().filter(|property| property.get("anyOf").is_none()) {
                *property = json!({"anyOf": [patch_of(property, root), {"type": "null"}]});
            }
        }
    }
    patch
}

/// The same with the keys of every object in alphabetical order, whatever order serde_json was compiled to keep.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields: BTreeMap<_, _> = fields.into_iter().map(|(name, value)| (name, sorted(value))).collect();
            Value::Object(Map::from_iter(fields))
        }
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        plain => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_types_of_events_are_read_from_their_schemas() {
        let types = event_types();
        for known in ["session_opened", "contact_seen", "agent_registered", "document_changed", "command_refused"] {
            assert!(types.contains(known), "{known} in {types:?}");
        }
        assert!(!types.contains("password_set"));
    }

    #[test]
    fn rustdoc_links_are_taken_out_of_descriptions() {
        assert_eq!(unlinked("is [`a`](crate::a) of [`b`], [not] one"), "is `a` of `b`, [not] one");
        assert_eq!(unlinked("none"), "none");
    }
}
