//! A message through the whole path, on a real nats-server: in by the inbox, out by the outbox.

#![allow(clippy::unwrap_used, dead_code)] // A test may panic, and uses the part of its support that it needs.

#[path = "support/nats.rs"]
mod nats;

use bytes::Bytes;
use futures::StreamExt;
use kefu::{
    engine::{Engine, EngineOptions},
    journal::{NatsJournal, OutboxStart, Outgoing},
    settings::demo_settings,
};
use kefu_events::{CommandResult, Outbound, key::conversation_key};
use serde_json::{Value, json};
use std::time::Duration;

/// Long enough for the busiest machine; nothing waits so long when all is well.
const PATIENCE: Duration = Duration::from_secs(60);

async fn command(journal: &NatsJournal, aggregate: &str, key: &str, id: &str, body: Value) -> CommandResult {
    command_of("demo", journal, aggregate, key, id, body).await
}

async fn command_of(
    tenant: &str,
    journal: &NatsJournal,
    aggregate: &str,
    key: &str,
    id: &str,
    body: Value,
) -> CommandResult {
    let mut command = json!({"id": id, "v": 1, "aggregate": aggregate, "key": key,
        "actor": {"kind": "system", "id": "test"}, "at": "2026-11-22T00:00:00.000Z"});
    for (name, value) in body.as_object().unwrap() {
        command[name] = value.clone();
    }
    let outgoing = Outgoing::Command {
        tenant: tenant.to_owned(),
        source: "system".to_owned(),
        key: key.to_owned(),
        id: id.to_owned(),
        payload: Bytes::from(command.to_string()),
    };
    let result = journal.request_command(outgoing, PATIENCE).await.unwrap().expect("a result in time");
    serde_json::from_slice(&result).unwrap()
}

async fn start(server: &nats::TestServer) -> (NatsJournal, Engine) {
    let journal = server.journal().await;
    let store = server.data.path().join("store");
    let options = EngineOptions::new(journal.clone(), journal.subjects().clone(), journal.partitions(), store);
    (journal, Engine::start(options).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_can_be_used_as_soon_as_it_is_created() {
    let server = nats::TestServer::start().await;
    let (journal, engine) = start(&server).await;
    let key = conversation_key("web", "alice");
    let message = json!({"id": "1", "channel": "web", "thread": "alice", "sender": {"id": "alice"},
        "sent_at": "2026-11-22T00:00:00.000Z", "content": {"kind": "text", "text": "Hello"}});
    for n in 0..20 {
        let (tenant, set) = (format!("t{n}"), json!({"type": "set", "value": demo_settings()}));
        let mut outbox = journal.outbox(&tenant, Some("web"), OutboxStart::After(0)).await.unwrap();
        let early =
            command_of(&tenant, &journal, "settings", "channel-web", "early", json!({"type": "set", "value": {}}))
                .await;
        assert_eq!(early.refusal.expect("there is no tenant yet").code, "unknown_tenant");
        assert!(command_of(&tenant, &journal, "settings", "tenant", "make", set).await.ok);
        journal.publish_inbound(&tenant, "web", &key, "1", Bytes::from(message.to_string())).await.unwrap();
        let reply = tokio::time::timeout(PATIENCE, outbox.next()).await;
        assert!(reply.is_ok(), "the first message to {tenant} got no reply");
    }
    engine.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_is_welcomed_handed_over_served_and_not_answered_twice() {
    let server = nats::TestServer::start().await;
    let (journal, engine) = start(&server).await;
    let made =
        command(&journal, "settings", "tenant", "make-demo", json!({"type": "set", "value": demo_settings()})).await;
    assert!(made.ok, "{made:?}");
    let key = conversation_key("web", "alice");
    let message = json!({"id": "1", "channel": "web", "thread": "alice", "sender": {"id": "alice"},
        "sent_at": "2026-11-22T00:00:00.000Z", "content": {"kind": "text", "text": "Where is my order?"}});
    let mut outbox = journal.outbox("demo", Some("web"), OutboxStart::After(0)).await.unwrap();
    journal.publish_inbound("demo", "web", &key, "1", Bytes::from(message.to_string())).await.unwrap();
    let mut reply = async || {
        let record = tokio::time::timeout(PATIENCE, outbox.next()).await.expect("a reply in time").unwrap().unwrap();
        serde_json::from_slice::<Outbound>(&record.payload).unwrap()
    };
    let welcome = reply().await;
    assert!(welcome.content.as_text().unwrap().contains("demo"), "{welcome:?}");
    let handoff = reply().await;
    assert!(handoff.content.as_text().unwrap().contains("colleague"), "{handoff:?}");

    let offered = command(&journal, "conversation", &key, "offer-1", json!({"type": "offer", "agent": "a"})).await;
    assert!(offered.ok, "{offered:?}");
    let again = command(&journal, "conversation", &key, "offer-1", json!({"type": "offer", "agent": "a"})).await;
    assert_eq!(offered, again, "a retry gets the first result");
    assert!(command(&journal, "conversation", &key, "accept-1", json!({"type": "accept"})).await.ok);
    let _accepted = reply().await;
    let content = json!({"kind": "text", "text": "It is on its way."});
    assert!(command(&journal, "conversation", &key, "reply-1", json!({"type": "reply", "content": content})).await.ok);
    assert_eq!(reply().await.content.as_text(), Some("It is on its way."));

    engine.stop().await.unwrap();
}
