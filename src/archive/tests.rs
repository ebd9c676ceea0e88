use super::*;
use kefu_events::{Actor, ActorKind};
use serde_json::json;

fn commit(events: serde_json::Value) -> Commit<ConversationEvent> {
    let actor = serde_json::to_value(Actor::new(ActorKind::Customer, "c")).unwrap();
    serde_json::from_value(json!({
        "commit_id": "k", "tenant": "demo", "aggregate": "conversation", "key": "c1", "version": 1,
        "at": "2026-11-22T00:00:00.000Z", "actor": actor, "cause": "x", "cause_seq": 1, "correlation": "x", "events": events,
    }))
    .unwrap()
}

#[test]
fn what_people_and_bots_say_is_found_and_what_only_happens_is_not() {
    let text = |text: &str| json!({"kind": "text", "text": text});
    let at = "2026-11-22T00:00:00.000Z";
    let commit = commit(json!([
        {"type": "session_opened", "v": 1, "session": 3, "channel": "web", "thread": "t", "sender": {"id": "s"}},
        {"type": "message_received", "v": 1, "session": 3, "message": {"id": "m1", "sent_at": at, "content": text("hi")}},
        {"type": "message_received", "v": 1, "session": 3, "message": {"id": "m2", "sent_at": at,
            "content": {"kind": "event", "name": "followed"}}},
        {"type": "message_sent", "v": 1, "session": 3, "id": "r1", "channel": "web", "thread": "t",
            "author": {"kind": "agent", "id": "ann"}, "content": text("hello")},
        {"type": "message_edited", "v": 1, "of": "m0", "text": "was wrong", "sent_at": at},
        {"type": "noted", "v": 1, "by": "bob", "text": "knows us"},
        {"type": "message_received", "v": 1, "session": 3, "message": {"id": "m3", "sent_at": at, "content": text("  ")}},
    ]));
    let found: Vec<_> = messages_of(&commit)
        .into_iter()
        .map(|message| {
            (message.id, message.author, message.author_id.unwrap_or_default(), message.text, message.channel)
        })
        .collect();
    let message = |id: &str, author, by: &str, text: &str| {
        (id.to_owned(), author, by.to_owned(), text.to_owned(), "web".to_owned())
    };
    assert_eq!(
        found,
        [
            message("m1", "customer", "", "hi"),
            message("r1", "agent", "ann", "hello"),
            message("m0", "customer", "", "was wrong"),
            message("k-5", "note", "bob", "knows us"),
        ]
    );
}
