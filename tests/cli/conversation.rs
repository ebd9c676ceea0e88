//! A conversation, from a shell: send, act, show, replay.

use crate::program::Serving;
use serde_json::Value;

fn types(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["type"].as_str().unwrap()).collect()
}

#[test]
fn a_customer_is_welcomed_offered_served_and_closed_and_the_past_can_be_shown() {
    let kefu = Serving::start();
    let replies = kefu.say("Where is my order?", &["--wait", "20s", "--replies", "2", "--id", "m-1"]);
    assert!(replies[0].contains("demo") && replies[1].contains("colleague"), "{replies:?}");

    let queued = kefu.ask(&["show", "cli:alice"]).json();
    assert!(queued["state"]["session"]["phase"]["queued"].is_object(), "{queued}");

    let queued = kefu.ask(&["list", "--phase", "queued"]).lines();
    assert_eq!((queued.len(), &queued[0]["thread"]), (1, &"alice".into()));
    assert!(kefu.run(&["list"]).exits(0).stdout.contains("cli:alice"));
    assert!(kefu.ask(&["list", "--phase", "active"]).stdout.is_empty());

    let offered = kefu.act(&["offer", "--agent", "anna"]);
    let accepted = kefu.act(&["--as", "agent:anna", "accept", "--name", "Anna"]);
    assert!(accepted["version"].as_u64() > offered["version"].as_u64());
    let reply = kefu.act(&["--as", "agent:anna", "--id", "reply-1", "reply", "It is on its way."]);
    let again = kefu.act(&["--as", "agent:anna", "--id", "reply-1", "reply", "It is on its way."]);
    assert_eq!(reply, again, "the same id is carried out once");
    kefu.act(&["--as", "agent:anna", "note", "friendly"]);
    kefu.act(&["tag", "vip", "order"]);
    kefu.act(&["--as", "agent:anna", "hold"]);
    kefu.act(&["--as", "agent:anna", "raw", r#"{"type": "resume", "v": 1}"#]);
    kefu.act(&["--as", "agent:anna", "wrap-up"]);
    kefu.act(&["--as", "agent:anna", "disposition", "solved"]);
    let closed = kefu.act(&["--as", "agent:anna", "close"]);

    // What the query shows follows the commit; what the log shows is there with the result.
    let seq = |result: &Value| result["seq"].as_u64().unwrap().to_string();
    let now = kefu.ask(&["show", "cli:alice", "--at", &seq(&closed)]).json();
    assert!(now["state"]["closed"].is_object() && now["version"] == closed["version"], "{now}");
    let then = kefu.ask(&["show", "cli:alice", "--at", &seq(&accepted)]).json();
    assert_eq!(then["state"]["session"]["phase"]["active"]["holder"]["agent"], "anna", "{then}");
    assert_eq!(then["version"], accepted["version"]);
    let text = kefu.run(&["show", "cli:alice", "--at", &seq(&accepted)]).exits(0).stdout;
    assert!(text.contains("cli:alice") && text.contains("active"), "{text}");
    kefu.run(&["show", "cli:alice", "--at", "1"]).exits(1);
    kefu.run(&["show", "cli:nobody"]).exits(1);

    replays(&kefu, &now, &seq(&accepted));
}

fn replays(kefu: &Serving, now: &Value, accepted: &str) {
    let commits = kefu.ask(&["replay", "--conversation", "cli:alice"]).lines();
    let versions: Vec<u64> = commits.iter().map(|commit| commit["version"].as_u64().unwrap()).collect();
    let all: Vec<u64> = (1..=now["version"].as_u64().unwrap()).collect();
    assert_eq!(versions, all);

    let events = kefu.ask(&["replay", "--flat", "--conversation", "cli:alice"]).lines();
    let seen = types(&events);
    let wanted =
        ["session_opened", "message_received", "queued", "offer_made", "offer_accepted", "noted", "session_closed"];
    let mut rest = seen.iter();
    assert!(wanted.iter().all(|wanted| rest.any(|seen| seen == wanted)), "{seen:?}");
    assert!(events.iter().all(|event| event["event"]["type"] == event["type"]));

    let up_to = kefu.ask(&["replay", "--flat", "--conversation", "cli:alice", "--to", accepted]).lines();
    assert!(types(&up_to).contains(&"offer_accepted"));
    assert!(!types(&up_to).contains(&"noted"));
    let from = kefu.ask(&["replay", "--tenant", "demo", "--from", accepted]).lines();
    assert_eq!(from[0]["seq"].to_string(), accepted);

    // A time finds what a sequence finds.
    let at = from[0]["at"].as_str().unwrap();
    let by_time = kefu.ask(&["replay", "--from", at, "--to", at]).lines();
    assert!(by_time.iter().any(|commit| commit["seq"].as_u64() == accepted.parse().ok()), "{by_time:?}");
    let settings = kefu.ask(&["replay", "--aggregate", "settings", "--flat"]).lines();
    assert_eq!(types(&settings), ["document_changed"]);
    assert!(kefu.ask(&["replay", "--from", "100000"]).stdout.is_empty());
}

#[test]
fn a_refusal_has_a_reason_and_exit_code_3() {
    let kefu = Serving::start();
    kefu.say("Hello", &[]);
    let refused = kefu.run(&["act", "cli:alice", "--as", "agent:anna", "accept", "--json"]).exits(3);
    assert!(!refused.error_code().is_empty());
    let stale = kefu.run(&["act", "cli:alice", "--expected-version", "99", "tag", "x", "--json"]).exits(3);
    assert_eq!(stale.error_code(), "stale");
    let refused = kefu.run(&["act", "cli:alice", "raw", r#"{"type": "offer", "v": 1}"#]).exits(3);
    assert!(refused.stderr.contains("agent"), "rejected, because a field is missing: {refused:?}");
}

#[test]
fn a_message_sent_twice_under_one_id_is_one_message() {
    let kefu = Serving::start();
    kefu.say("Hello", &["--id", "m-1"]);
    kefu.say("Hello", &["--id", "m-1", "--wait", "0s"]);
    kefu.say("And?", &["--id", "m-2", "--wait", "0s"]);
    // m-2 is decided after what came before it.
    let result = kefu.act(&["tag", "after"]);
    let seq = result["seq"].as_u64().unwrap().to_string();
    let events = kefu.ask(&["replay", "--flat", "--conversation", "cli:alice", "--to", &seq]).lines();
    let received: Vec<&Value> = events.iter().filter(|event| event["type"] == "message_received").collect();
    assert!(received.iter().filter(|event| event["event"]["message"]["id"] == "m-1").count() == 1, "{received:?}");
}

#[test]
fn files_events_and_piped_lines_are_sent_as_well() {
    let kefu = Serving::start();
    let path = kefu.path().join("receipt.pdf");
    std::fs::write(&path, b"%PDF-1.7").unwrap();
    kefu.run(&["send", "--from", "alice", "--file", path.to_str().unwrap()]).exits(0);
    kefu.run(&["send", "--from", "alice", "--event", "opened_page", "--wait", "0s"]).exits(0);
    let mut chat = crate::program::kefu(kefu.path());
    chat.args(["chat", "--from", "bob", "--name", "Bob", "--wait", "1s"]);
    let mut chat = chat.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut chat.stdin.take().unwrap(), "你好\n/left\n".as_bytes()).unwrap();
    let output = chat.wait_with_output().unwrap();
    assert!(output.status.success() && String::from_utf8(output.stdout).unwrap().contains("demo"));
    let events = kefu.ask(&["replay", "--flat", "--aggregate", "conversation"]).lines();
    let file = events.iter().find(|event| event["event"]["message"]["content"]["kind"] == "file").unwrap();
    assert_eq!(file["event"]["message"]["content"]["size"], 8);
    assert!(types(&events).contains(&"customer_left"));
}
