//! What is remembered from commit to commit, and what is not.

use super::*;
use serde_json::json;

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
    assert!(rows.memory.conversations.is_empty());
    assert_eq!(rows.of(2, &subject, &payload).unwrap().len(), 1);
}
