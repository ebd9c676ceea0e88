//! Rejected input: seen, shown, and decided after all.

use crate::program::Serving;
use kefu::journal::{ConnectOptions, Journal, NatsJournal, server::RunFile, subjects::Subjects};
use kefu_events::key::conversation_key;
use serde_json::json;

async fn journal(kefu: &Serving) -> NatsJournal {
    let run = RunFile::read(kefu.path()).unwrap().unwrap();
    let options = ConnectOptions::new(run.nats).user(run.user.unwrap(), run.password.unwrap());
    NatsJournal::attach(options, Subjects::default()).await.unwrap()
}

#[test]
fn what_came_for_an_unknown_tenant_is_decided_once_there_is_one() {
    let kefu = Serving::start();
    let rejected = kefu.run(&["send", "-t", "shop", "--from", "alice", "--id", "m-1", "hi", "--json"]).exits(3);
    assert_eq!(rejected.error_code(), "unknown_tenant");
    let list = kefu.ask(&["rejected", "list"]).lines();
    assert_eq!((list.len(), &list[0]["reason"]), (1, &"unknown_tenant".into()));
    let seq = list[0]["seq"].to_string();
    let shown = kefu.ask(&["rejected", "show", &seq]).json();
    assert_eq!(shown["payload"]["id"], "m-1");
    assert!(kefu.run(&["rejected", "show", &seq]).exits(0).stdout.contains("unknown_tenant"));
    kefu.run(&["rejected", "show", "999"]).exits(1);

    kefu.run(&["tenant", "create", "shop"]).exits(0);
    let retried = kefu.ask(&["rejected", "retry", &seq]).json();
    assert_eq!(retried["retried"].as_array().unwrap().len(), 1);
    assert!(kefu.ask(&["rejected", "list"]).stdout.is_empty());
    let tagged = kefu.ask(&["act", "cli:alice", "-t", "shop", "tag", "late"]).json();
    let at = tagged["seq"].to_string();
    let shown = kefu.ask(&["show", "cli:alice", "-t", "shop", "--at", &at]).json();
    assert_eq!(shown["state"]["sessions"], 1, "{shown}");
}

#[test]
fn a_quarantine_is_lifted_and_what_was_set_aside_is_decided_in_its_order() {
    let kefu = Serving::start();
    kefu.say("one", &["--id", "m-1"]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(quarantine(&kefu));
    for (id, text) in [("m-2", "two"), ("m-3", "three")] {
        let rejected = kefu.run(&["send", "--from", "alice", "--id", id, text, "--json"]).exits(3);
        assert_eq!(rejected.error_code(), "quarantined");
    }
    let list = kefu.ask(&["rejected", "list", "--reason", "quarantined"]).lines();
    assert_eq!(list.len(), 2);
    // Whichever is named, all of that conversation are sent again.
    let last = list[1]["seq"].to_string();
    let retried = kefu.ask(&["rejected", "retry", &last]).json();
    assert_eq!(retried["retried"].as_array().unwrap().len(), 2, "{retried}");
    assert!(kefu.ask(&["rejected", "list"]).stdout.is_empty());
    let replies = kefu.say("four", &["--id", "m-4", "--wait", "0s"]);
    assert!(replies.is_empty());
    let at = kefu.act(&["tag", "after"])["seq"].to_string();
    let events = kefu.ask(&["replay", "--flat", "--conversation", "cli:alice", "--to", &at]).lines();
    let received = events.iter().filter(|event| event["type"] == "message_received");
    let ids: Vec<&str> = received.map(|event| event["event"]["message"]["id"].as_str().unwrap()).collect();
    assert!(ids.starts_with(&["m-1", "m-2", "m-3"]), "{ids:?}");
}

/// Writes the commit with which the engine sets a conversation aside, as a defect of it would.
async fn quarantine(kefu: &Serving) {
    let journal = journal(kefu).await;
    let key = conversation_key("cli", "alice");
    let subject = journal.subjects().events("demo", "conversation", &key);
    // The bot's deadline may commit between the two.
    loop {
        let last = journal.last(&subject).await.unwrap().unwrap();
        let commit: serde_json::Value = serde_json::from_slice(&last.payload).unwrap();
        let version = commit["version"].as_u64().unwrap() + 1;
        let quarantined = json!({
            "commit_id": format!("test-{version}"), "tenant": "demo", "aggregate": "conversation", "key": key,
            "version": version, "at": commit["at"], "actor": {"kind": "system", "id": "test"},
            "cause": "quarantine:test", "cause_seq": 0, "correlation": "test",
            "events": [{"type": "quarantined", "v": 1, "input": "test", "error": "a test"}],
        });
        if journal.append(&subject, last.seq, quarantined.to_string().into()).await.is_ok() {
            return;
        }
    }
}
