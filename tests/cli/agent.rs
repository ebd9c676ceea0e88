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

#[test]
fn a_decision_is_taken_again_and_shifts_keep_offers_away() {
    let kefu = Serving::start();
    // Long before the first decision: a scheduler looks at the settings now and then.
    kefu.ask(&["settings", "set", "--document", "scheduling", "queues.support.required.tax=3"]);
    for agent in ["anna", "bob", "cyd"] {
        let skill = if agent == "bob" { "tax=1" } else { "tax=4" };
        kefu.ask(&["agent", "add", agent, "--name", agent, "--skill", skill, "--queue", "support"]);
        kefu.ask(&["agent", "online", agent]);
        kefu.ask(&["agent", "status", agent, "available"]);
    }
    // Cyd works on no day of the week, and has said nothing since.
    let shifts = ["agent", "shifts", "cyd", "--time-zone", "Europe/Berlin", "--off", "2026-12-25"];
    for day in ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"] {
        let one = format!("{day}=00:00-00:01");
        kefu.ask(&[&shifts[..], &["--on", &one]].concat());
    }
    kefu.until("the shifts", || {
        let shown = kefu.run(&["agent", "show", "cyd"]).exits(0).stdout;
        // What else stands between the two is none of this test.
        (shown.contains("sunday 00:00-00:01;") && shown.contains("Europe/Berlin")).then_some(())
    });
    kefu.run(&["agent", "shifts", "cyd", "--time-zone", "Mars/Base"]).exits(3);
    kefu.run(&["agent", "shifts", "cyd", "--time-zone", "UTC", "--on", "someday=09:00-17:00"]).exits(2);
    kefu.ask(&["agent", "shifts", "cyd", "--none"]);
    kefu.shows(&["agent", "show", "cyd"], |ran| ran.json()["state"]["shifts"] == json!(null));
    kefu.ask(&["agent", "status", "cyd", "away"]);

    kefu.run(&["send", "--from", "dan", "human"]).exits(0);
    kefu.until("an offer", || {
        let shown = kefu.ask(&["show", "cli:dan"]).json();
        shown["state"]["session"]["phase"]["offered"].is_array().then_some(())
    });
    let why = kefu.ask(&["why", "cli:dan", "--agent", "bob"]).json();
    let decision = &why["decisions"][0];
    assert_eq!((&decision["agent"], &decision["again"]["same"]), (&json!("anna"), &json!(true)), "{why:#}");
    assert_eq!(decision["again"]["agent"], json!({"answer": "impossible", "reason": "skill"}));
    let away = kefu.run(&["why", "cli:dan", "--agent", "cyd"]).exits(0).stdout;
    assert!(away.contains("cyd could not: away") && away.contains("the same"), "{away}");
    let recorded = kefu.ask(&["why", "cli:dan", "--recorded"]).json();
    assert_eq!(recorded["decisions"][0].get("again"), None);
    kefu.ask(&["act", "cli:dan", "--as", "agent:anna", "accept"]);
    kefu.ask(&["act", "cli:dan", "--as", "agent:anna", "close"]);
    kefu.run(&["send", "--from", "dan", "5"]).exits(0);
    let estimate = kefu.until("what is known of Anna's work", || {
        let known = kefu.ask(&["agent", "show", "anna"]).json()["estimates"]["tax"].clone();
        known["rated"].as_f64().is_some_and(|rated| rated > 0.9).then_some(known)
    });
    assert_eq!((&estimate["enough"], &estimate["speed"]), (&json!(false), &json!(1.0)), "one case says nothing yet");
    assert!(kefu.run(&["agent", "show", "anna"]).exits(0).stdout.contains("tax: like everybody"));
}
