//! Taking out of events what tells of a person: what the schemas mark as `x-personal`.

use kefu_events::{
    agent::AgentEvent, contact::ContactEvent, conversation::ConversationEvent, faq::FaqEvent, schema::inline,
    settings::SettingsEvent, user::UserEvent,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A way down into a value: names of fields, `*` for every element or field.
type Way = Vec<String>;

/// What is personal, by type of event.
pub(super) struct Personal(BTreeMap<String, BTreeSet<Way>>);

impl Personal {
    /// As the schemas say.
    pub(super) fn new() -> Self {
        let mut found = BTreeMap::new();
        let schemas = [
            inline::<ConversationEvent>(),
            inline::<AgentEvent>(),
            inline::<ContactEvent>(),
            inline::<FaqEvent>(),
            inline::<SettingsEvent>(),
            inline::<UserEvent>(),
        ];
        for event in schemas.iter().flat_map(|schema| schema["oneOf"].as_array().into_iter().flatten()) {
            let Some(name) = event["properties"]["type"]["const"].as_str() else { continue };
            let mut ways = BTreeSet::new();
            walk(event, &mut Vec::new(), &mut ways);
            found.entry(name.to_owned()).or_insert_with(BTreeSet::new).extend(ways);
        }
        Self(found)
    }

    /// Takes it out of an event.
    pub(super) fn strip(&self, event_type: &str, event: &mut Value) {
        for way in self.0.get(event_type).into_iter().flatten() {
            remove(event, way);
        }
    }
}

fn walk(schema: &Value, way: &mut Way, found: &mut BTreeSet<Way>) {
    if schema["x-personal"] == true {
        found.insert(way.clone());
        return;
    }
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        way.push(name.clone());
        walk(inner, way, found);
        way.pop();
    }
    for inner in [&schema["items"], &schema["additionalProperties"]].into_iter().filter(|inner| inner.is_object()) {
        way.push("*".to_owned());
        walk(inner, way, found);
        way.pop();
    }
    for choice in ["oneOf", "anyOf", "allOf"].iter().flat_map(|name| schema[name].as_array().into_iter().flatten()) {
        walk(choice, way, found);
    }
}

fn remove(value: &mut Value, way: &[String]) {
    let Some((first, rest)) = way.split_first() else { return };
    match value {
        Value::Array(items) if first == "*" && !rest.is_empty() => items.iter_mut().for_each(|item| remove(item, rest)),
        Value::Array(items) if first == "*" => items.clear(),
        Value::Object(fields) if first == "*" && rest.is_empty() => fields.clear(),
        Value::Object(fields) if first == "*" => fields.values_mut().for_each(|field| remove(field, rest)),
        Value::Object(fields) if rest.is_empty() => drop(fields.remove(first)),
        Value::Object(fields) => {
            if let Some(field) = fields.get_mut(first) {
                remove(field, rest);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_customer_wrote_and_is_called_is_taken_out() {
        let personal = Personal::new();
        let mut event = json!({
            "type": "message_received", "v": 1, "session": 1,
            "message": {"id": "m", "sent_at": "2026-11-22T12:00:00Z", "content": {"kind": "text", "text": "my card is 1234"},
                        "metadata": {"phone": "+49"}},
        });
        personal.strip("message_received", &mut event);
        assert_eq!(event["message"]["content"], json!({"kind": "text"}));
        assert!(!event.to_string().contains("1234") && !event.to_string().contains("+49"), "{event}");
        let mut event = json!({
            "type": "session_opened", "v": 1, "session": 1, "channel": "web", "thread": "alice@example.org",
            "sender": {"id": "alice@example.org", "name": "Alice"},
        });
        personal.strip("session_opened", &mut event);
        assert!(!event.to_string().to_lowercase().contains("alice"), "{event}");
        assert_eq!(event["channel"], "web");
    }
}
