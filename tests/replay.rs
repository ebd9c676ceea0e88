//! `kefu replay --into`: what customers wrote to one kefu is written to another one, in the same order and time pattern.

#![allow(clippy::unwrap_used)] // A test may panic.

mod support;

use kefu::journal::NatsJournal;
use kefu_events::key::conversation_key;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, process::Stdio, time::Duration};
use support::{
    eventually,
    kefu::Kefu,
    load::Load,
    log::{self, Published},
};

/// What customers said, thread by thread, in the order of the log: the id as it was first, and the words.
async fn said(journal: &NatsJournal) -> BTreeMap<String, Vec<(String, String)>> {
    let mut said: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for logged in log::read_log(journal).await {
        let id = logged.commit.cause.rsplit('/').next().unwrap_or_default();
        // A replay's ids begin with its own, which is a UUID.
        let id = if id.len() > 37 { &id[37..] } else { id };
        for event in &logged.commit.events {
            let text = match event["type"].as_str().unwrap() {
                "message_received" => event["message"]["content"]["text"].as_str().unwrap().to_owned(),
                "message_edited" => format!("edited: {}", event["text"].as_str().unwrap()),
                "customer_left" => "left".to_owned(),
                _ => continue,
            };
            said.entry(logged.commit.key.clone()).or_default().push((id.to_owned(), text));
        }
    }
    said
}

async fn sends(journal: &NatsJournal, id: &str, content: Value) -> Published {
    let body = json!({"id": id, "channel": "web", "thread": "special", "sender": {"id": "zoe", "name": "Zoë"},
        "sent_at": "2026-01-05T10:00:00.000Z", "content": content});
    let key = conversation_key("web", "special");
    journal.publish_inbound("demo", "web", &key, id, body.to_string().into()).await.unwrap();
    let [tenant, channel, thread, id] = ["demo", "web", "special", id].map(str::to_owned);
    Published { tenant, channel, thread, id, text: String::new() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_says_the_same_in_the_same_order_and_time_pattern() {
    let recorded = Kefu::start().await;
    let journal = recorded.journal().await;
    let load = Load::new("web", 20, 8);
    let mut published = load.publish(&journal, 0, 3).await;
    published.push(sends(&journal, "s1", json!({"kind": "text", "text": "I am here"})).await);
    // waits because the pause is what is replayed
    tokio::time::sleep(Duration::from_secs(2)).await;
    published.extend(load.publish(&journal, 3, 6).await);
    published.push(sends(&journal, "s2", json!({"kind": "edit", "of": "s1", "text": "I was here"})).await);
    published.push(sends(&journal, "s3", json!({"kind": "left"})).await);
    log::until_committed(&journal, published.iter().map(Published::cause)).await;
    log::until_drained(&journal).await;
    let expected = said(&journal).await;
    assert_eq!(expected.values().map(Vec::len).sum::<usize>(), 123);

    let into = Kefu::start().await;
    let run = into.run_file();
    let address = run.nats.trim_start_matches("nats://");
    let url = format!("nats://{}:{}@{address}", run.user.unwrap(), run.password.unwrap());
    let done = recorded.run(&["replay", "--tenant", "demo", "--into", "kefu", "--into-nats", &url, "--speed", "2x"]);
    assert_eq!((&done["messages"], &done["threads"], &done["stopped"]), (&json!(123), &json!(21), &json!(false)));
    println!("replay: {done}");
    let [recorded_s, took_s] = ["recorded_s", "took_s"].map(|name| done[name].as_f64().unwrap());
    assert!(recorded_s >= 2.0 && took_s >= recorded_s / 2.0, "{done}");

    let target = into.journal().await;
    log::until_drained(&target).await;
    assert_eq!(said(&target).await, expected);
    // An edit of a message that nobody knows would be no edit.
    let replay = done["replay"].as_str().unwrap();
    let edits = log::read_log(&target).await;
    let edit = edits.iter().flat_map(|logged| logged.events("message_edited")).next().unwrap();
    assert_eq!(edit["of"], format!("{replay}-s1"));

    // From the middle of the log on, senders are found in what was before; twice the same is said twice.
    let middle = log::read_log(&journal).await.iter().rev().find(|l| l.commit.cause.ends_with("/s2")).unwrap().seq;
    let middle = middle.to_string();
    let done = recorded.run(&[
        "replay",
        "--conversation",
        "web:special",
        "--from",
        &middle,
        "--into",
        "kefu",
        "--into-nats",
        &url,
        "--speed",
        "max",
    ]);
    assert_eq!(done["messages"], 2, "{done}");
    log::until_drained(&target).await;
    let special = conversation_key("web", "special");
    assert_eq!(said(&target).await[&special].len(), 5);

    // Into itself, or to a tenant that is not there: nothing is sent.
    for (arguments, text) in [
        (&["--into", "kefu"][..], "twice"),
        (&["--into", "kefu", "--into-nats", &url, "--into-tenant", "nobody"][..], "no tenant nobody"),
    ] {
        let output = recorded.command().args(["replay", "--tenant", "demo"]).args(arguments).output().unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && complaint.contains(text), "{complaint}");
    }

    // What comes from now on, until somebody stops it.
    let next = (log::read_log(&journal).await.last().unwrap().seq + 1).to_string();
    let mut command = recorded.command();
    command.args([
        "--json",
        "replay",
        "--tenant",
        "demo",
        "--from",
        &next,
        "--follow",
        "--into",
        "kefu",
        "--into-nats",
        &url,
    ]);
    let following = command.stdout(Stdio::piped()).spawn().unwrap();
    sends(&journal, "s4", json!({"kind": "text", "text": "and I am back"})).await;
    eventually("what is said comes to the other one", async || {
        said(&target).await[&special].iter().any(|(id, _)| id == "s4").then_some(())
    })
    .await;
    kill(Pid::from_raw(following.id() as i32), Signal::SIGINT).unwrap();
    let output = following.wait_with_output().unwrap();
    let done: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&done["messages"], &done["stopped"]), (&json!(1), &json!(true)), "{done}");
}
