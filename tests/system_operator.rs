//! What an operator does to a running kefu, and what a restart must not change: settings, small memory, a lost
//! database, a graceful stop.

#![allow(clippy::unwrap_used)] // A test may panic.

#[path = "support/nats.rs"]
mod nats;
mod support;

use kefu::journal::{Journal, NatsJournal, Outgoing};
use kefu_events::key::conversation_key;
use serde_json::{Value, json};
use std::time::Duration;
use support::{
    eventually,
    kefu::{External, Kefu},
    load::{self, Load},
    log::{self, Published},
};

fn said(thread: &str, id: &str) -> Published {
    Published {
        tenant: "demo".into(),
        channel: "web".into(),
        thread: thread.into(),
        id: id.into(),
        text: format!("{id} of {thread}"),
    }
}

/// Asks for a command as an operator, and waits for its result.
async fn ask(journal: &NatsJournal, id: &str, aggregate: &str, key: &str, fields: Value) -> Value {
    let mut command = json!({
        "id": id, "v": 1, "aggregate": aggregate, "key": key, "actor": {"kind": "system", "id": "operator"},
        "at": "2026-01-05T10:00:00.000Z",
    });
    for (name, value) in fields.as_object().into_iter().flatten() {
        command[name] = value.clone();
    }
    let outgoing = Outgoing::Command {
        tenant: "demo".into(),
        source: "system".into(),
        key: key.into(),
        id: id.into(),
        payload: command.to_string().into(),
    };
    let result = journal.request_command(outgoing, support::PATIENCE).await.expect("the bus");
    serde_json::from_slice(&result.unwrap_or_else(|| panic!("{id} has no result"))).expect("a result's JSON")
}

/// A query's answer, once there is one.
async fn query(journal: &NatsJournal, name: &str, parameters: &Value) -> Value {
    eventually(&format!("an answer to {name} {parameters}"), || async {
        let body = parameters.to_string().into();
        let answer = journal.query("demo", name, body, Duration::from_secs(20)).await.ok()?;
        let answer: Value = serde_json::from_slice(&answer).ok()?;
        answer.get("ok").cloned()
    })
    .await
}

/// The states of these threads' conversations.
async fn states(journal: &NatsJournal, threads: usize) -> Vec<Value> {
    let mut states = Vec::new();
    for thread in 0..threads {
        let key = conversation_key("web", &format!("t{thread}"));
        states.push(query(journal, "conversation", &json!({"key": key})).await);
    }
    states
}

/// The texts that kefu sent in a thread, in order.
fn texts(commits: &[log::Logged], thread: &str) -> Vec<String> {
    let key = conversation_key("web", thread);
    let sent =
        commits.iter().filter(|logged| logged.commit.key == key).flat_map(|logged| logged.events("message_sent"));
    sent.map(|event| event["content"]["text"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Changes the tenant's settings, and waits until the node answers with them.
async fn set(journal: &NatsJournal, id: &str, value: Value) {
    let result = ask(journal, id, "settings", "tenant", json!({"type": "set", "merge": true, "value": value})).await;
    assert_eq!(result["ok"], true, "{result}");
    eventually("the new setting", async || {
        let document = query(journal, "settings", &json!({"document": "tenant"})).await;
        (document["document_version"].as_u64() >= result["version"].as_u64()).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_setting_reaches_a_running_conversation() {
    let mut kefu = Kefu::start().await;
    let journal = kefu.journal().await;
    let pid = kefu.pid();
    // Nothing is to happen by itself during the test.
    set(&journal, "patience", json!({"bot": {"answer_deadline_s": 600}})).await;
    let first = said("alice", "first");
    load::publish(&journal, &first).await;
    log::until_committed(&journal, [first.cause()]).await;
    let welcome = texts(&log::read_log(&journal).await, "alice");
    assert_eq!(welcome.len(), 1, "{welcome:?}");

    set(&journal, "text", json!({"texts": {"handoff": "One moment, Alice."}})).await;
    let human = Published { text: "human".into(), ..said("alice", "second") };
    load::publish(&journal, &human).await;
    log::until_committed(&journal, [human.cause()]).await;
    let sent = texts(&log::read_log(&journal).await, "alice");
    assert_eq!(sent[1..], ["One moment, Alice."], "the session is old, the text is new");
    assert!(kefu.ended().is_none() && kefu.pid() == pid, "without a restart");

    // A setting that cannot be is refused, and changes nothing.
    let wrong = json!({"type": "set", "merge": true, "value": {"offer_timeout_s": -1}});
    let result = ask(&journal, "wrong", "settings", "tenant", wrong).await;
    assert_eq!(result["ok"], false, "{result}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conversations_survive_being_forgotten_and_a_lost_database() {
    const THREADS: usize = 120;
    // Far fewer than there are conversations, and not for long: nearly every message meets one that was forgotten.
    let mut kefu = Kefu::start_with(&[("KEFU_MAX_ACTIVE", "16"), ("KEFU_IDLE", "1s")]).await;
    let journal = kefu.journal().await;
    let load = Load::new("web", THREADS, 20);
    let mut published = load.publish(&journal, 0, 3).await;
    log::settle_and_check(&journal, &published).await;
    // Idle ones leave the memory once a second.
    eventually("conversations are forgotten", async || (active(&journal).await < THREADS / 2).then_some(())).await;
    published.extend(load.publish(&journal, 3, 6).await);
    // A second copy of the very first messages, long out of the conversations' own memory of ids or not.
    for thread in 0..10 {
        let first = published.iter().find(|message| message.thread == format!("t{thread}")).expect("a message");
        let body = json!({
            "id": first.id, "channel": "web", "thread": first.thread, "sender": {"id": first.thread},
            "sent_at": "2026-01-05T10:00:00.000Z", "content": {"kind": "text", "text": first.text},
        });
        // Another id on the bus, so that JetStream's own window does not hide it.
        let stored = journal.publish_inbound("demo", "web", &first.key(), "again", body.to_string().into()).await;
        stored.expect("it is stored");
    }
    let (all, figures) = log::settle_and_check(&journal, &published).await;
    assert!(all.rejected.is_empty(), "{:?}", all.rejected.first());
    let before = states(&journal, THREADS).await;
    drop(journal);

    assert!(kefu.stop().await.success(), "a graceful stop");
    let databases: Vec<_> = std::fs::read_dir(kefu.data())
        .expect("the directory")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_dir() && path.join("CURRENT").exists())
        .collect();
    assert!(!databases.is_empty(), "no database in {}", kefu.data().display());
    databases.iter().for_each(|path| std::fs::remove_dir_all(path).expect("it is deleted"));
    kefu.spawn();
    kefu.ready().await;
    let journal = kefu.journal().await;
    let after = states(&journal, THREADS).await;
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before, after, "a rebuilt conversation");
    }
    published.extend(load.publish(&journal, 6, 7).await);
    log::settle_and_check(&journal, &published).await;
    println!("small memory and a lost database: {figures}");
}

/// Aggregates in memory, as the node says.
async fn active(journal: &NatsJournal) -> usize {
    let status = journal.query("_all", "status", "{}".into(), Duration::from_secs(20)).await.expect("the status");
    let status: Value = serde_json::from_slice(&status).expect("JSON");
    fn sum(value: &Value) -> u64 {
        match value {
            Value::Object(fields) => {
                let own = fields.get("active").and_then(Value::as_u64).unwrap_or(0);
                own + fields.iter().filter(|(name, _)| *name != "active").map(|(_, value)| sum(value)).sum::<u64>()
            }
            Value::Array(items) => items.iter().map(sum).sum(),
            _ => 0,
        }
    }
    usize::try_from(sum(&status)).expect("a small number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_graceful_stop_finishes_what_was_begun() {
    // So many that some are left, however quick kefu is.
    const MESSAGES: usize = 40_000;
    // A server that stays when kefu goes, to look at what was left.
    let bus = nats::TestServer::start().await;
    let (user, password) = bus.server.engine_login();
    let external = External { url: bus.server.url(), user: user.to_owned(), password: password.to_owned() };
    let mut kefu = Kefu::spawn_on(&external);
    kefu.ready().await;
    let journal = kefu.journal().await;
    let load = Load::new("web", MESSAGES / 10, 100);
    let stops = async {
        load.reached(MESSAGES / 3).await;
        kefu.stop().await
    };
    let (published, status) = tokio::join!(load.publish(&journal, 0, 10), stops);
    assert!(status.success(), "{status}");
    assert!(journal.leases().await.expect("the leases").is_empty(), "leases were left behind");

    // What has a commit is done, to the last reply and the acknowledgement; what has none waits.
    let all = log::read_everything(&journal).await;
    let committed = all.commits.iter().filter(|logged| logged.commit.cause.starts_with("demo/web/")).count();
    assert!(committed < MESSAGES, "it was stopped too late for this test");
    for event in all.commits.iter().flat_map(|logged| logged.events("message_sent")) {
        assert!(all.outbox.contains_key(event["id"].as_str().expect("an id")), "not published: {event}");
    }
    eventually("every input in the log is acknowledged", async || {
        let info = journal.stream_info("KEFU_INBOX").await.ok()?;
        (info["state"]["messages"].as_u64()? as usize + committed == MESSAGES).then_some(())
    })
    .await;

    kefu.spawn();
    kefu.ready().await;
    let (all, figures) = log::settle_and_check(&journal, &published).await;
    assert!(all.rejected.is_empty(), "{:?}", all.rejected.first());
    assert_eq!(figures.copies, 0, "nothing was done twice");
    assert!(kefu.stop().await.success());
}
