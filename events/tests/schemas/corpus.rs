//! `schemas/corpus/<aggregate>/<event>.v<N>.json`: a recorded commit for every version that any event ever had. They are
//! written once and never again, as if they were somebody's log.

use crate::{Bless, HOW_TO_BLESS, bless, examples, folder, pretty};
use kefu_events::{
    AggregateKind, Commit, agent::AgentEvent, contact::ContactEvent, conversation::ConversationEvent, faq::FaqEvent,
    schema, settings::SettingsEvent, upcast::decode_commit, user::UserEvent,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::{fs, path::PathBuf};

/// Decodes a stored commit as the engine would, and writes it again.
fn decoded(aggregate: AggregateKind, bytes: &[u8]) -> Result<Value, String> {
    fn again<E: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<Value, String> {
        let commit: Commit<E> = decode_commit(bytes).map_err(|error| error.to_string())?;
        serde_json::to_value(commit).map_err(|error| error.to_string())
    }
    match aggregate {
        AggregateKind::Conversation => again::<ConversationEvent>(bytes),
        AggregateKind::Contact => again::<ContactEvent>(bytes),
        AggregateKind::Agent => again::<AgentEvent>(bytes),
        AggregateKind::Faq => again::<FaqEvent>(bytes),
        AggregateKind::Settings => again::<SettingsEvent>(bytes),
        AggregateKind::User => again::<UserEvent>(bytes),
    }
}

fn commit_schema(aggregate: AggregateKind) -> Value {
    schema::documents()
        .remove(&format!("commit-{aggregate}.json"))
        .unwrap_or_else(|| panic!("{aggregate} has no schema of its commits: add it to events/src/schema.rs"))
}

/// Every event of an aggregate: type, current version, a commit with examples of it.
fn recordings(aggregate: AggregateKind) -> Vec<(String, u64, Value)> {
    let root = commit_schema(aggregate);
    let events = examples::resolved(&root["properties"]["events"]["items"], &root);
    let recording = |event: &Value| {
        let event = examples::resolved(event, &root);
        let tag = |name: &str| event["properties"][name]["const"].clone();
        let mut commit = examples::examples("commit", &root, &root).remove(0);
        commit["events"] = examples::examples("event", &event, &root).into();
        let event_type = tag("type").as_str().expect("every event has a `type`").to_owned();
        let version = tag("v").as_u64().unwrap_or_else(|| panic!("{aggregate} {event_type} has no `v: V<1>`"));
        (event_type, version, commit)
    };
    events["oneOf"].as_array().expect("events are told apart by `type`").iter().map(recording).collect()
}

fn path(aggregate: AggregateKind, event_type: &str, version: u64) -> PathBuf {
    folder().join(format!("corpus/{aggregate}/{event_type}.v{version}.json"))
}

fn record_what_is_missing() {
    if bless() == Bless::Incompatible {
        fs::remove_dir_all(folder().join("corpus")).ok();
    }
    for aggregate in AggregateKind::ALL {
        for (event_type, version, commit) in recordings(aggregate) {
            let path = path(aggregate, &event_type, version);
            if !path.exists() {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, pretty(&commit)).unwrap();
            }
        }
    }
}

/// Whether all that `part` says stands in `whole`, too.
fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(name, value)| whole.get(name).is_some_and(|there| contains(there, value)))
        }
        (Value::Array(whole), Value::Array(part)) => {
            whole.len() == part.len() && whole.iter().zip(part).all(|(whole, part)| contains(whole, part))
        }
        (whole, part) => whole == part,
    }
}

#[test]
fn the_corpus_has_every_version_of_every_event_and_all_of_it_is_readable() {
    if bless() != Bless::No {
        record_what_is_missing();
    }
    let mut recorded = 0;
    for aggregate in AggregateKind::ALL {
        let recordings = recordings(aggregate);
        for (event_type, current, _) in &recordings {
            for version in 1..=*current {
                let path = path(aggregate, event_type, version);
                assert!(path.exists(), "{} is missing. {HOW_TO_BLESS}", path.display());
            }
        }
        let validator = crate::messages::validator(&commit_schema(aggregate));
        for entry in fs::read_dir(folder().join(format!("corpus/{aggregate}"))).unwrap() {
            let path = entry.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            let again = decoded(aggregate, &bytes).unwrap_or_else(|error| {
                panic!("{}: {error}. Old events stay readable for ever: events/src/upcast.rs", path.display())
            });
            if let Err(error) = validator.validate(&again) {
                panic!("{}: what was read is not what the schema says: {error}", path.display());
            }
            let raw: Value = serde_json::from_slice(&bytes).unwrap();
            let versions = |commit: &Value| {
                json!(
                    commit["events"]
                        .as_array()
                        .map(|them| them.iter().map(|event| event["v"].clone()).collect::<Vec<_>>())
                )
            };
            let unlifted = versions(&raw) == versions(&again);
            assert!(!unlifted || contains(&again, &raw), "{}: reading it loses some of what it says", path.display());
            recorded += 1;
        }
    }
    assert!(recorded >= 60, "only {recorded} recorded events");
}
