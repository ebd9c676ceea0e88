//! Valid input of every kind, as a start for what is made of it.

use super::rng::Rng;
use kefu_events::key::{contact_key, conversation_key};
use serde_json::{Value, json};

/// Where something is published.
#[derive(Debug, Clone)]
pub struct Address {
    pub inbox: bool,
    pub tenant: String,
    pub source: String,
    pub key: String,
}

/// A valid message of one of so many threads, and where it belongs.
pub fn message(rng: &mut Rng, number: u64, threads: u64) -> (Address, Value) {
    let thread = format!("thread-{}", rng.below(threads));
    let channel = *rng.pick(&["web", "app"]);
    let content = match rng.below(12) {
        0 => json!({"kind": "image", "object": "o", "name": "a.png", "mime": "image/png", "size": 10}),
        1 => json!({"kind": "file", "object": "o", "name": "a.pdf", "mime": "application/pdf", "size": 1e3 as u64}),
        2 => json!({"kind": "card", "title": "Order 7", "fields": {"price": 0.1, "items": [1, {"a": 2.5e-3}]}}),
        3 => json!({"kind": "event", "name": "followed", "fields": {"page": "start"}}),
        4 => json!({"kind": "edit", "of": format!("m{}", number.saturating_sub(3)), "text": "changed"}),
        5 => json!({"kind": "receipt", "of": "r", "state": "delivered", "detail": "ok"}),
        6 => json!({"kind": "left"}),
        7 => json!({"kind": "text", "text": "human, please 人工"}),
        _ => json!({"kind": "text", "text": rng.pick(&["Where is my order 4711?", "5", "谢谢", "thank you", "您好"])}),
    };
    // Some come under an id that was there before.
    let id = format!("m{}", if rng.chance(500) { number.saturating_sub(40) } else { number });
    let sent_at = *rng.pick(&["2026-11-22T13:14:35.007Z", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59+14:00"]);
    let body = json!({
        "id": id, "channel": channel, "thread": thread, "sent_at": sent_at, "content": content,
        "sender": {"id": format!("of-{thread}"), "name": "Ana"},
        "metadata": {"lang": "de", "email": "a@example.org", "score": 0.7},
    });
    let key = conversation_key(channel, &thread);
    (Address { inbox: true, tenant: "t".into(), source: channel.into(), key }, body)
}

/// A valid command to one of so many conversations or their customers, to an agent, or to a document.
pub fn command(rng: &mut Rng, number: u64, threads: u64) -> (Address, Value) {
    let thread = format!("thread-{}", rng.below(threads));
    let conversation = conversation_key("web", &thread);
    let person = contact_key("web", &format!("of-{thread}"));
    let other = contact_key("web", &format!("of-thread-{}", rng.below(threads)));
    let (aggregate, key, mut body) = match rng.below(20) {
        0..=10 => ("conversation", conversation, conversation_command(rng)),
        11..=13 => ("contact", person, contact_command(rng, &other)),
        14..=17 => ("agent", "a1".to_owned(), agent_command(rng, &conversation)),
        _ => ("settings", (*rng.pick(&["tenant", "channel-web", "nothing"])).to_owned(), settings_command(rng)),
    };
    let source = *rng.pick(&["agent", "agent", "system", "bot", "scheduler", "timer"]);
    let fields = body.as_object_mut().unwrap();
    fields.insert("v".into(), json!(1));
    fields.insert("id".into(), json!(format!("request-{number}")));
    fields.insert("aggregate".into(), json!(aggregate));
    fields.insert("key".into(), json!(key));
    fields.insert("actor".into(), json!({"kind": source, "id": "a1"}));
    fields.insert("at".into(), json!("2026-11-22T13:14:35.007Z"));
    if rng.chance(1000) {
        fields.insert("expected_version".into(), json!(rng.below(20)));
    }
    (Address { inbox: false, tenant: "t".into(), source: source.into(), key }, body)
}

fn conversation_command(rng: &mut Rng) -> Value {
    match rng.below(29) {
        0 => {
            json!({"type": "give_answer", "request": "r", "content": {"kind": "text", "text": "so"}, "confidence": 0.83,
            "sources": [{"entry": "e", "entry_version": 2, "score": 0.1}]})
        }
        1 => json!({"type": "decline_answer", "request": "r", "reason": "not_confident", "confidence": 0.2}),
        2 => json!({"type": "rate_answer", "request": "r", "helpful": true}),
        3 => json!({"type": "request_handoff", "queue": "support", "note": "angry"}),
        4..=7 => json!({"type": "offer", "agent": "a1", "reservation": "res", "decision": {"score": 0.123456789}}),
        8..=11 => json!({"type": "accept", "name": "Bo"}),
        12 => json!({"type": "reject", "reason": "busy"}),
        13 => json!({"type": "rescind", "reason": "agent_gone"}),
        14 => json!({"type": "reply", "content": {"kind": "card", "title": "x", "fields": {"price": 0.1}}}),
        15 => json!({"type": "reply", "content": {"kind": "text", "text": "hello {agent}"}}),
        16 => json!({"type": "note", "text": "a note"}),
        17 => json!({"type": "hold"}),
        18 => json!({"type": "resume"}),
        19 => json!({"type": "transfer", "to": {"queue": "sales"}, "note": "yours"}),
        20 => json!({"type": "return_to_bot"}),
        21 => json!({"type": "consult", "with": "a2", "note": "help"}),
        22 => json!({"type": "tag", "tags": ["vip", "late"]}),
        23 => json!({"type": "snooze", "until": "2027-01-01T00:00:00Z"}),
        24 => json!({"type": "wrap_up"}),
        25 => json!({"type": "set_disposition", "code": "solved"}),
        26 => json!({"type": "rate_satisfaction", "score": 5, "comment": "good"}),
        27 => json!({"type": "check_reservation", "agent": "a1", "reservation": "res"}),
        _ => json!({"type": rng.pick(&["close", "unsnooze", "end_consult", "lift_quarantine"])}),
    }
}

fn agent_command(rng: &mut Rng, conversation: &str) -> Value {
    let reservation = *rng.pick(&["res", "res-2", "res-3"]);
    let about =
        |what: &str| json!({"type": what, "reservation": reservation, "conversation": conversation, "reason": "x"});
    match rng.below(16) {
        0..=2 => json!({"type": "register", "name": "Bo"}),
        3..=4 => json!({"type": "set_presence", "online": true, "connection": "tab"}),
        5 => json!({"type": "set_presence", "online": false}),
        6..=7 => json!({"type": "set_status", "status": "available"}),
        8 => json!({"type": "set_status", "status": "transfers_only", "reason": "lunch"}),
        9 => json!({"type": "set_skills", "skills": {"tax": 3}, "languages": ["de"], "queues": ["support"]}),
        10 => json!({"type": "set_capacity", "slots": 2, "weights": {"web": 1}}),
        11..=13 => json!({"type": "reserve_slot", "reservation": reservation, "conversation": conversation,
            "session": 1, "weight": 1, "ttl_s": 5, "decision": {"score": 0.123456789}, "kind": "transfer"}),
        14 => about(rng.pick::<&str>(&["occupy_slot", "start_wrap_up", "force_release"])),
        _ => json!({"type": rng.pick(&["remove", "lift_quarantine"])}),
    }
}

fn contact_command(rng: &mut Rng, other: &str) -> Value {
    match rng.below(8) {
        0 => json!({"type": "see", "identity": {"channel": "web", "id": "x"}, "name": "Ana", "conversation": "c",
            "attributes": {"phone": "1"}}),
        1 => json!({"type": "set_attributes", "attributes": {"phone": "1", "age": 0.5, "gone": null}}),
        2 => json!({"type": "tag", "tags": ["vip"]}),
        3 => json!({"type": "untag", "tags": ["vip"]}),
        4 => json!({"type": "merge", "into": other}),
        5 => json!({"type": "unmerge"}),
        6 => json!({"type": "propose_merge", "from": other, "first_seen": "2026-01-01T00:00:00Z", "attribute": "phone",
            "value": "1"}),
        _ => json!({"type": "absorb", "merge": "m", "from": other, "details": {"tags": ["a"]}, "attempt": 1,
            "again": false}),
    }
}

fn settings_command(rng: &mut Rng) -> Value {
    match rng.below(3) {
        0 => json!({"type": "set", "value": {"name": "Demo", "texts": {"welcome": "hi"}}, "comment": "why"}),
        1 => json!({"type": "set", "merge": true, "value": {"inactivity": {"prompt_after_s": 60}}}),
        _ => json!({"type": "rollback", "to": 1}),
    }
}
