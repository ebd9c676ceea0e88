//! Events of older versions stay readable for ever.
//!
//! A commit whose events all have the current version decodes directly. Any other is read as plain JSON first, and each
//! of its events is lifted, one version at a time, by the steps in [`STEPS`]; then it decodes, or the error is final.

use crate::{AggregateKind, Commit};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Lifts the fields of one event from version `from` to `from + 1`. `v` itself is counted up by the caller.
pub struct Step {
    /// Aggregate of the event.
    pub aggregate: AggregateKind,
    /// Type of the event.
    pub event_type: &'static str,
    /// The version that it starts from.
    pub from: u16,
    /// What changes.
    pub lift: fn(&mut Map<String, Value>),
}

/// All steps ever needed. Never remove one: logs are kept.
pub const STEPS: &[Step] = &[];

/// Why a stored commit cannot be read: this code is older than the log, or the log is damaged.
#[derive(Debug, thiserror::Error)]
#[error("a stored commit cannot be read by this version of kefu ({0}); a newer one may have written it")]
pub struct DecodeError(#[from] serde_json::Error);

/// Reads a commit, lifting its events where they are older than this code.
pub fn decode_commit<E: DeserializeOwned>(bytes: &[u8]) -> Result<Commit<E>, DecodeError> {
    match serde_json::from_slice(bytes) {
        Ok(commit) => Ok(commit),
        Err(current) => decode_old(bytes, STEPS).map_err(|_| DecodeError(current)),
    }
}

fn decode_old<E: DeserializeOwned>(bytes: &[u8], steps: &[Step]) -> Result<Commit<E>, serde_json::Error> {
    let mut commit: Commit<Map<String, Value>> = serde_json::from_slice(bytes)?;
    for event in &mut commit.events {
        lift(commit.aggregate, event, steps);
    }
    serde_json::from_value(serde_json::to_value(commit)?)
}

fn lift(aggregate: AggregateKind, event: &mut Map<String, Value>, steps: &[Step]) {
    loop {
        let version = event.get("v").and_then(Value::as_u64);
        let event_type = event.get("type").and_then(Value::as_str);
        let step = steps.iter().find(|step| {
            step.aggregate == aggregate && Some(step.event_type) == event_type && Some(u64::from(step.from)) == version
        });
        let Some(step) = step else { return };
        (step.lift)(event);
        event.insert("v".to_owned(), Value::from(step.from + 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::V;
    use serde::Deserialize;
    use serde_json::json;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(tag = "type", rename_all = "snake_case")]
    enum Event {
        Greeted { v: V<3>, whole_name: String },
    }

    const RENAMES: &[Step] = &[
        Step {
            aggregate: AggregateKind::Contact,
            event_type: "greeted",
            from: 1,
            lift: |event| {
                let name = event.remove("name").unwrap_or_default();
                event.insert("full_name".to_owned(), name);
            },
        },
        Step {
            aggregate: AggregateKind::Contact,
            event_type: "greeted",
            from: 2,
            lift: |event| {
                let name = event.remove("full_name").unwrap_or_default();
                event.insert("whole_name".to_owned(), name);
            },
        },
    ];

    fn stored(version: u16, field: &str) -> Vec<u8> {
        let event = json!({"type": "greeted", "v": version, field: "Li"});
        let actor = json!({"kind": "system", "id": "test"});
        json!({"commit_id": "c", "tenant": "t", "aggregate": "contact", "key": "k", "version": 1,
               "at": "2026-11-22T00:00:00.000Z", "actor": actor, "cause": "x", "cause_seq": 1, "correlation": "x", "events": [event]})
        .to_string()
        .into_bytes()
    }

    #[test]
    fn an_event_two_versions_old_is_lifted_twice() {
        let commit: Commit<Event> = decode_old(&stored(1, "name"), RENAMES).unwrap();
        assert_eq!(commit.events, [Event::Greeted { v: V, whole_name: "Li".to_owned() }]);
    }

    #[test]
    fn an_event_from_the_future_is_an_error_and_not_a_guess() {
        assert!(decode_old::<Event>(&stored(4, "whole_name"), RENAMES).is_err());
        assert!(decode_commit::<Event>(&stored(2, "full_name")).unwrap_err().to_string().contains("version 2"));
    }
}
