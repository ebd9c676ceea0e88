//! What makes a change of a schema incompatible with what was written, or promised, before it.

use crate::examples::{required, resolved};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// All incompatible changes from `old` to `new`, both the whole document of this file name, in words.
pub fn changes(file: &str, old: &Value, new: &Value) -> Vec<String> {
    let mut comparison = Comparison {
        old_root: old,
        new_root: new,
        upcast: file.starts_with("commit-"),
        // Logs are read again, so commits are both.
        read: !["outbound", "command-result", "query-response", "rejected-"].iter().any(|it| file.starts_with(it)),
        written: !["inbound", "command-c", "command-s", "settings-"].iter().any(|it| file.starts_with(it))
            || file.starts_with("command-result"),
        changes: Vec::new(),
    };
    comparison.compare(file.trim_end_matches(".json"), old, new);
    comparison.changes
}

struct Comparison<'a> {
    old_root: &'a Value,
    new_root: &'a Value,
    /// Whether an older `v` stays readable by upcasting. The corpus proves it.
    upcast: bool,
    /// Whether kefu reads such documents: what was valid must stay valid.
    read: bool,
    /// Whether kefu writes such documents: what was promised must still be there.
    written: bool,
    changes: Vec<String>,
}

impl Comparison<'_> {
    fn found(&mut self, path: &str, what: impl std::fmt::Display) {
        self.changes.push(format!("{path}: {what}"));
    }

    fn compare(&mut self, path: &str, old: &Value, new: &Value) {
        let (old, new) = (&resolved(old, self.old_root), &resolved(new, self.new_root));
        for keyword in ["type", "format", "const", "pattern"] {
            if old[keyword] != new[keyword] {
                self.found(path, format_args!("`{keyword}` was {}, is {}", old[keyword], new[keyword]));
            }
        }
        if self.read {
            self.compare_limits(path, old, new);
        }
        self.compare_enums(path, old, new);
        self.compare_fields(path, old, new);
        for nested in ["items", "additionalProperties"] {
            if old[nested].is_object() && new[nested].is_object() {
                self.compare(&format!("{path}[]"), &old[nested], &new[nested]);
            } else if old[nested] != new[nested] {
                self.found(path, format_args!("`{nested}` was {}, is {}", old[nested], new[nested]));
            }
        }
        for list in ["oneOf", "anyOf"] {
            self.compare_alternatives(path, &old[list], &new[list]);
        }
    }

    fn compare_limits(&mut self, path: &str, old: &Value, new: &Value) {
        for (keyword, sign) in [
            ("minimum", 1.0),
            ("minLength", 1.0),
            ("minItems", 1.0),
            ("maximum", -1.0),
            ("maxLength", -1.0),
            ("maxItems", -1.0),
        ] {
            let Some(limit) = new[keyword].as_f64() else { continue };
            if old[keyword].as_f64().is_none_or(|before| limit * sign > before * sign) {
                self.found(path, format_args!("`{keyword}` was {}, is {limit}", old[keyword]));
            }
        }
    }

    fn compare_enums(&mut self, path: &str, old: &Value, new: &Value) {
        let values = |schema: &Value| schema["enum"].as_array().cloned().unwrap_or_default();
        let (before, now) = (values(old), values(new));
        if before.is_empty() && !now.is_empty() && self.read {
            self.found(path, "any value was allowed");
        }
        for value in before.iter().filter(|value| !now.contains(value) && !now.is_empty()) {
            self.found(path, format_args!("the value {value} was removed"));
        }
    }

    fn compare_fields(&mut self, path: &str, old: &Value, new: &Value) {
        let names = |schema| required(schema).into_iter().map(str::to_owned).collect::<BTreeSet<_>>();
        let (before, now) = (names(old), names(new));
        for name in now.difference(&before).filter(|_| self.read).cloned().collect::<Vec<_>>() {
            self.found(&format!("{path}.{name}"), "the field is required, and was not");
        }
        for name in before.difference(&now).filter(|_| self.written).cloned().collect::<Vec<_>>() {
            self.found(&format!("{path}.{name}"), "the field was always there, and is not any more");
        }
        for (name, field) in old["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            match new["properties"].get(name) {
                Some(now) => self.compare(&path, field, now),
                None => self.found(&path, "the field was removed"),
            }
        }
    }

    fn compare_alternatives(&mut self, path: &str, old: &Value, new: &Value) {
        let before = self.labelled(old, self.old_root);
        let now = self.labelled(new, self.new_root);
        if before.is_empty() && !now.is_empty() {
            self.found(path, "has alternatives, and had none");
        }
        for (label, alternative) in &before {
            match now.get(label) {
                Some(same) if self.upcast && same["properties"]["v"] != alternative["properties"]["v"] => {
                    let version = |schema: &Value| schema["properties"]["v"]["const"].as_u64();
                    if version(same) < version(alternative) {
                        self.found(&format!("{path}({label})"), "its version went back");
                    }
                }
                Some(same) => self.compare(&format!("{path}({label})"), alternative, same),
                None => self.found(path, format_args!("{label} was removed")),
            }
        }
    }

    /// The alternatives of a list by what tells them apart: the tag's value, the only field's name, a constant, a type.
    fn labelled(&self, list: &Value, root: &Value) -> BTreeMap<String, Value> {
        let label = |schema: &Value| {
            let tag = ["type", "kind"].iter().find_map(|tag| schema["properties"][*tag]["const"].as_str());
            match (tag.or(schema["const"].as_str()), required(schema).as_slice()) {
                (Some(tag), _) => tag.to_owned(),
                (None, [field]) if schema["additionalProperties"] == false => (*field).to_owned(),
                _ => schema["type"].to_string(),
            }
        };
        let schemas = list.as_array().into_iter().flatten().map(|schema| resolved(schema, root));
        schemas.map(|schema| (label(&schema), schema)).collect()
    }
}

type Change = fn(&mut Value);

/// What is said of a document when `change` is made to it.
fn said_of(name: &str, change: Change) -> String {
    let old = kefu_events::schema::documents().remove(&format!("{name}.json")).expect(name);
    let mut new = old.clone();
    change(&mut new);
    assert_ne!(old, new, "the test changes nothing");
    changes(&format!("{name}.json"), &old, &new).join("\n")
}

fn event<'a>(commit: &'a mut Value, event_type: &str) -> &'a mut Value {
    let events = commit["$defs"]["ConversationEvent"]["oneOf"].as_array_mut().unwrap();
    events.iter_mut().find(|event| event["properties"]["type"]["const"] == event_type).unwrap()
}

#[test]
fn incompatible_changes_are_noticed() {
    let changes: [(&str, Change, &str); 12] = [
        (
            "commit-conversation",
            |it| event(it, "queued")["required"].as_array_mut().unwrap().push("agent".into()),
            "commit-conversation.events[](queued).agent: the field is required, and was not",
        ),
        (
            "commit-conversation",
            |it| event(it, "queued")["properties"]["priority"]["type"] = "string".into(),
            "(queued).priority: `type` was \"integer\", is \"string\"",
        ),
        (
            "commit-conversation",
            |it| drop(event(it, "queued")["properties"].as_object_mut().unwrap().remove("agent")),
            "(queued).agent: the field was removed",
        ),
        (
            "commit-conversation",
            |it| event(it, "queued")["properties"]["type"]["const"] = "waiting".into(),
            "commit-conversation.events[]: queued was removed",
        ),
        (
            "commit-conversation",
            |it| event(it, "queued")["properties"]["v"]["const"] = 0.into(),
            "(queued): its version went back",
        ),
        (
            "commit-conversation",
            |it| drop(it["$defs"]["CloseReason"]["oneOf"].as_array_mut().unwrap().remove(0)),
            "commit-conversation.events[](session_closed).reason: wrapped_up was removed",
        ),
        (
            "commit-conversation",
            |it| drop(it["$defs"]["CommandRefused"]["properties"].as_object_mut().unwrap().remove("refusal")),
            "(command_refused).refusal: the field was removed",
        ),
        (
            "inbound",
            |it| it["properties"]["thread"]["maxLength"] = 64.into(),
            "inbound.thread: `maxLength` was 512, is 64",
        ),
        (
            "inbound",
            |it| it["$defs"]["Content"]["oneOf"][0]["properties"]["kind"]["const"] = "words".into(),
            "inbound.content: text was removed",
        ),
        (
            "outbound",
            |it| drop(it["required"].as_array_mut().unwrap().remove(0)),
            "outbound.id: the field was always there, and is not any more",
        ),
        (
            "command-settings",
            |it| it["oneOf"][0]["properties"]["v"]["const"] = 2.into(),
            "command-settings(set).v: `const` was 1, is 2",
        ),
        (
            "settings-tenant",
            |it| it["$defs"]["Texts"]["properties"]["welcome"]["type"] = "object".into(),
            "settings-tenant.texts.welcome: `type` was \"string\", is \"object\"",
        ),
    ];
    for (name, change, expected) in changes {
        let said = said_of(name, change);
        assert!(said.contains(expected), "expected {expected:?}, found {said:?}");
    }
}

#[test]
fn compatible_changes_are_allowed() {
    let changes: [(&str, Change); 6] = [
        ("commit-conversation", |it| {
            event(it, "queued")["properties"]["reason"] = serde_json::json!({"type": "string"})
        }),
        ("commit-conversation", |it| {
            // A new version may look as it likes: the old one is lifted to it.
            *event(it, "queued") = serde_json::json!({"type": "object", "required": ["type", "v", "place"], "properties":
                {"type": {"const": "queued"}, "v": {"const": 2}, "place": {"type": "string"}}});
        }),
        ("commit-conversation", |it| {
            let paused =
                serde_json::json!({"type": "object", "properties": {"type": {"const": "paused"}, "v": {"const": 1}}});
            it["$defs"]["ConversationEvent"]["oneOf"].as_array_mut().unwrap().push(paused);
        }),
        ("inbound", |it| it["properties"]["thread"]["maxLength"] = 1024.into()),
        ("inbound", |it| drop(it["required"].as_array_mut().unwrap().remove(0))),
        ("outbound", |it| it["required"].as_array_mut().unwrap().push("reply_to".into())),
    ];
    for (name, change) in changes {
        assert_eq!(said_of(name, change), "", "{name}");
    }
}
