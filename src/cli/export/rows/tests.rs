//! What is remembered from commit to commit, and what is not.

use super::*;
use serde_json::json;

const DAY_MS: i64 = 24 * 3_600_000;

fn commit(tenant: &str, key: &str, ms: i64, events: Value) -> (String, Vec<u8>) {
    let at = Timestamp::from_millis(1_790_000_000_000 + ms);
    let commit = json!({"commit_id": "c", "tenant": tenant, "aggregate": "conversation", "key": key, "version": 1, "at": at,
        "actor": {"kind": "system", "id": "x"}, "cause": "", "cause_seq": 1, "correlation": "", "events": events});
    (format!("kefu.events.{tenant}.conversation.{key}"), serde_json::to_vec(&commit).unwrap())
}

fn opened() -> Value {
    json!({"type": "session_opened", "v": 1, "session": 1, "channel": "web", "thread": "t", "sender": {"id": "s"}})
}

fn closed() -> Value {
    json!({"type": "session_closed", "v": 1, "session": 1, "reason": "customer_left"})
}

#[test]
fn conversations_that_nothing_can_change_any_more_are_forgotten() {
    let mut rows = Rows::new(Memory::default(), false);
    let log = [
        commit("demo", "open", 0, json!([opened()])),
        commit("demo", "old", 0, json!([opened(), closed()])),
        commit("demo", "recent", 30 * DAY_MS, json!([opened(), closed()])),
        // The time of another tenant is another time.
        commit("quiet", "old", 0, json!([opened(), closed()])),
        // By another clock.
        commit("demo", "ahead", 38 * DAY_MS + 50, json!([opened(), closed()])),
        commit("demo", "now", 38 * DAY_MS, json!([opened()])),
    ];
    for (seq, (subject, payload)) in (1..).zip(&log) {
        rows.of(seq, subject, payload).unwrap();
    }
    rows.forget();
    let known: Vec<&str> = rows.memory.conversations.keys().map(String::as_str).collect();
    assert_eq!(known, ["demo/ahead", "demo/now", "demo/open", "demo/recent", "quiet/old"]);
}

#[test]
fn what_is_no_commit_is_no_reason_to_stop_and_changes_nothing() {
    let mut rows = Rows::new(Memory::default(), false);
    let (subject, payload) = commit("demo", "k", 0, json!([opened()]));
    let (_, without_type) = commit("demo", "k", 0, json!([{"v": 1}]));
    for (subject, payload) in [
        (subject.as_str(), b"hello".as_slice()),
        (&subject, b"{}"),
        (&subject, &without_type),
        ("kefu.events.demo.conversation.other", &payload),
        ("kefu.events.other.conversation.k", &payload),
    ] {
        assert!(rows.of(1, subject, payload).is_err(), "{subject}");
    }
    assert!(rows.memory.conversations.is_empty() && rows.latest.is_empty());
    assert_eq!(rows.of(2, &subject, &payload).unwrap().len(), 1);
}
