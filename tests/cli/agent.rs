//! Agents, from a shell.

use crate::program::Serving;
use serde_json::json;

#[test]
fn an_agent_is_added_shown_listed_changed_and_removed() {
    let kefu = Serving::start();
    let add = ["agent", "add", "anna", "--name", "Anna", "--skill", "tax=3", "--skill", "law=5", "--language", "en"];
    let add = [&add[..], &["--queue", "support", "--slots", "2"]].concat();
    assert_eq!(kefu.ask(&add).json()["ok"], true);
    // Once more the same is no failure.
    kefu.ask(&add);
    kefu.ask(&["agent", "add", "bob@example.com", "--name", "Bob"]);

    let anna = kefu.ask(&["agent", "show", "anna"]).json();
    assert_eq!((&anna["key"], &anna["state"]["slots"], &anna["in_use"]), (&json!("anna"), &json!(2), &json!(0)));
    assert_eq!(anna["state"]["skills"], json!({"tax": 3, "law": 5}));
    assert_eq!((&anna["state"]["languages"], &anna["state"]["queues"]), (&json!(["en"]), &json!(["support"])));
    let text = kefu.run(&["agent", "show", "bob@example.com"]).exits(0).stdout;
    assert!(text.contains("Bob") && text.contains("bob@example.com") && text.contains("0 of 3"), "{text}");

    kefu.ask(&["agent", "online", "anna"]);
    kefu.ask(&["agent", "status", "anna", "transfers-only", "--reason", "training", "--as", "agent:anna"]);
    kefu.ask(&["agent", "capacity", "anna", "4", "--weight", "voice=4"]);
    kefu.ask(&["agent", "skills", "anna", "--queue", "sales", "--clear", "languages"]);
    let listed = kefu.ask(&["agent", "list", "--queue", "sales"]).lines();
    assert_eq!(listed.len(), 2, "who is added without a queue serves all: {listed:?}");
    let anna = listed.iter().find(|agent| agent["id"] == "anna").unwrap();
    assert_eq!((&anna["id"], &anna["online"], &anna["slots"]), (&json!("anna"), &json!(true), &json!(4)));
    assert_eq!((&anna["status"], &anna["reason"]), (&json!("transfers_only"), &json!("training")));
    assert_eq!((&anna["languages"], &anna["weights"]), (&json!([]), &json!({"voice": 4})));
    assert_eq!(anna["skills"], json!({"tax": 3, "law": 5}), "what is not named stays");
    assert_eq!(kefu.ask(&["agent", "list"]).lines().len(), 2);
    let table = kefu.run(&["agent", "list", "--skill", "tax"]).exits(0).stdout;
    assert!(table.contains("anna") && table.contains("0/4") && !table.contains("Bob"), "{table}");
    let support = kefu.ask(&["agent", "list", "--queue", "support"]).lines();
    assert_eq!(support.len(), 1, "who is added without a queue serves all: {support:?}");
    assert_eq!(support[0]["id"], "bob@example.com");

    kefu.ask(&["agent", "offline", "anna"]);
    kefu.ask(&["agent", "remove", "anna"]);
    let left = kefu.ask(&["agent", "list"]).lines();
    assert_eq!((left.len(), &left[0]["id"]), (1, &json!("bob@example.com")));
    assert_eq!(kefu.ask(&["agent", "list", "--status", "removed"]).lines()[0]["id"], "anna");
}

#[test]
fn what_an_agent_may_not_do_is_refused_with_a_reason() {
    let kefu = Serving::start();
    let refused = |arguments: &[&str], code: &str| {
        let arguments = [arguments, &["--json"]].concat();
        assert_eq!(kefu.run(&arguments).exits(3).error_code(), code, "{arguments:?}");
    };
    refused(&["agent", "status", "nobody", "away"], "unknown_agent");
    // A command that went to a wrong name makes no agent.
    kefu.run(&["agent", "show", "nobody"]).exits(1);
    kefu.ask(&["agent", "add", "anna", "--name", "Anna"]);
    assert_eq!(kefu.ask(&["agent", "list"]).lines().len(), 1);
    refused(&["agent", "status", "anna", "available", "--as", "agent:bob"], "not_yours");
    refused(&["agent", "remove", "anna", "--as", "agent:anna"], "not_allowed");
    refused(&["agent", "release", "anna", "no-such"], "unknown_reservation");
    kefu.run(&["agent", "skills", "anna"]).exits(2);
    kefu.run(&["agent", "skills", "anna", "--skill", "tax=9"]).exits(2);
    kefu.run(&["agent", "status", "anna", "asleep"]).exits(2);
}
