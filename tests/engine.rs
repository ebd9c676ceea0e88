//! A message through the whole path, on a real nats-server: in by the inbox, out by the outbox.

#![allow(clippy::unwrap_used, dead_code)] // A test may panic, and uses the part of its support that it needs.

#[path = "support/nats.rs"]
mod nats;

use bytes::Bytes;
use futures::StreamExt;
use kefu::{
    engine::{Engine, EngineOptions},
    journal::{Journal, NatsJournal, OutboxStart, Outgoing},
    search::messages::Wanted,
    settings::demo_settings,
};
use kefu_events::{AggregateKind, CommandResult, Outbound, key::conversation_key};
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

/// An engine with the demo tenant.
async fn demo(server: &nats::TestServer, settings: Value) -> (NatsJournal, Engine) {
    let (journal, engine) = start(server).await;
    let made = command(&journal, "settings", "tenant", "make-demo", json!({"type": "set", "value": settings})).await;
    assert!(made.ok, "{made:?}");
    (journal, engine)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_is_welcomed_handed_over_served_and_not_answered_twice() {
    let server = nats::TestServer::start().await;
    let (journal, engine) = demo(&server, demo_settings()).await;

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

/// Someone who schedules: asks for things, and looks at what the store says.
struct Desk {
    journal: NatsJournal,
    engine: Engine,
    conversation: String,
    asked: u32,
}

impl Desk {
    /// A customer waits; the agent Ann is there and has two slots.
    async fn open(server: &nats::TestServer, settings: Value) -> Self {
        let (journal, engine) = demo(server, settings).await;
        let conversation = conversation_key("web", "alice");
        let mut desk = Self { journal, engine, conversation, asked: 0 };
        let message = json!({"id": "1", "channel": "web", "thread": "alice", "sender": {"id": "alice"},
            "sent_at": "2026-11-22T00:00:00.000Z", "content": {"kind": "text", "text": "human"},
            "metadata": {"language": "zh"}});
        let payload = Bytes::from(message.to_string());
        desk.journal.publish_inbound("demo", "web", &desk.conversation, "1", payload).await.unwrap();
        desk.agent(json!({"type": "register", "name": "Ann"})).await;
        desk.agent(json!({"type": "set_capacity", "slots": 2})).await;
        desk.agent(json!({"type": "set_presence", "online": true})).await;
        desk.agent(json!({"type": "set_status", "status": "available"})).await;
        desk.until_phase("queued").await;
        desk
    }

    async fn ask(&mut self, aggregate: &str, body: Value) -> CommandResult {
        self.asked += 1;
        let key = if aggregate == "agent" { "ann".to_owned() } else { self.conversation.clone() };
        command(&self.journal, aggregate, &key, &format!("ask-{}", self.asked), body).await
    }

    async fn agent(&mut self, body: Value) {
        let result = self.ask("agent", body.clone()).await;
        assert!(result.ok, "{body}: {result:?}");
    }

    async fn conversation(&mut self, body: Value) {
        let result = self.ask("conversation", body.clone()).await;
        assert!(result.ok, "{body}: {result:?}");
    }

    fn reserve(&self, reservation: &str, ttl_s: u32) -> Value {
        json!({"type": "reserve_slot", "reservation": reservation, "conversation": self.conversation, "session": 1,
               "weight": 2, "ttl_s": ttl_s, "decision": {"policy": "by hand"}})
    }

    /// Looks again whenever the projector has gone on, until the state is as wanted.
    async fn until(&self, kind: AggregateKind, key: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let store = self.engine.store();
        let mut projected = store.watch_projected();
        let found = async {
            loop {
                projected.borrow_and_update();
                let snapshot = store.snapshot("demo", kind, key).unwrap().unwrap_or_else(|| b"{}".to_vec());
                let state = serde_json::from_slice::<Value>(&snapshot).unwrap()["state"].take();
                if wanted(&state) {
                    return state;
                }
                projected.changed().await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("{kind} {key} is not {what} in time"))
    }

    async fn until_phase(&self, phase: &str) -> Value {
        let is_in = |state: &Value| match phase {
            "closed" => state["closed"].is_object(),
            phase => state["session"]["phase"][phase].is_object() || state["session"]["phase"][phase].is_array(),
        };
        self.until(AggregateKind::Conversation, &self.conversation, phase, is_in).await
    }

    /// Waits until the slot of this reservation is in this phase, or is none.
    async fn until_slot(&self, reservation: &str, phase: Option<&str>) {
        let what = format!("{reservation} {phase:?}");
        let is_in = |state: &Value| {
            let ended = state["ended"].as_array().is_some_and(|ended| ended.contains(&reservation.into()));
            state["held"][reservation]["phase"].as_str() == phase && (phase.is_some() || ended)
        };
        self.until(AggregateKind::Agent, "ann", &what, is_in).await;
    }

    /// Types of all events of the agent or the conversation.
    async fn history(&self, aggregate: &str, key: &str) -> Vec<String> {
        let subject = self.journal.subjects().events("demo", aggregate, key);
        let commits = self.journal.history(&subject, 0).await.unwrap();
        let events = commits.iter().flat_map(|record| {
            let mut commit: Value = serde_json::from_slice(&record.payload).unwrap();
            serde_json::from_value::<Vec<Value>>(commit["events"].take()).unwrap()
        });
        events.map(|event| event["type"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_is_reserved_offered_accepted_written_up_and_free_again() {
    let server = nats::TestServer::start().await;
    let mut desk = Desk::open(&server, demo_settings()).await;
    let waiting = desk.engine.store().conversations("demo", &Default::default(), None, 10).unwrap().items.remove(0);
    assert_eq!(
        (waiting.phase, waiting.queue.as_deref(), waiting.language.as_deref()),
        ("queued", Some("support"), Some("zh"))
    );
    assert!(waiting.waits_since.is_some() && waiting.priority == Some(0));

    desk.agent(desk.reserve("r1", 60)).await;
    let offered = desk.until_phase("offered").await;
    assert_eq!(offered["session"]["phase"]["offered"][1]["to"], json!({"agent": "ann", "reservation": "r1"}));
    desk.until_slot("r1", Some("reserved")).await;
    let full = desk.ask("agent", desk.reserve("r2", 60)).await;
    assert_eq!(full.refusal.unwrap().code, "no_capacity");

    desk.conversation(json!({"type": "accept"})).await;
    desk.until_slot("r1", Some("occupied")).await;
    desk.conversation(json!({"type": "wrap_up"})).await;
    desk.until_slot("r1", Some("wrap_up")).await;
    desk.conversation(json!({"type": "close"})).await;
    desk.until_phase("closed").await;
    desk.until_slot("r1", None).await;
    let ann = desk.engine.store().agents("demo", Default::default(), None, 10).unwrap().items.remove(0);
    assert_eq!((ann.key.as_str(), ann.in_use, ann.held.len(), ann.slots), ("ann", 0, 0, 2));
    let history = desk.history("agent", "ann").await;
    let slots =
        ["slot_reserved", "command_refused", "slot_occupied", "wrap_up_started", "wrap_up_ended", "slot_released"];
    assert_eq!(history[history.len() - 6..], slots);
    desk.engine.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_that_is_rejected_times_out_or_cannot_be_made_leaves_no_slot_behind() {
    let server = nats::TestServer::start().await;
    let mut settings = demo_settings();
    (settings["offer_timeout_s"], settings["presence_grace_s"]) = (json!(4), json!(1));
    let mut desk = Desk::open(&server, settings).await;

    desk.agent(desk.reserve("r1", 60)).await;
    desk.until_phase("offered").await;
    desk.conversation(json!({"type": "reject"})).await;
    desk.until_slot("r1", None).await;

    // The agent's side asks while the offer is open, which changes nothing, and the conversation's time-out ends it.
    desk.agent(desk.reserve("r2", 1)).await;
    desk.until_slot("r2", None).await;
    desk.until_phase("queued").await;

    // For a session that is not open: refused, and given back.
    let mut stale = desk.reserve("r3", 60);
    stale["session"] = json!(7);
    desk.agent(stale).await;
    desk.until_slot("r3", None).await;

    // In a conversation in which nobody has ever written.
    let mut nowhere = desk.reserve("r4", 60);
    nowhere["conversation"] = json!("nowhere");
    desk.agent(nowhere).await;
    desk.until_slot("r4", None).await;

    // The agent's connection is lost, and does not come back.
    desk.agent(desk.reserve("r5", 60)).await;
    desk.until_phase("offered").await;
    desk.agent(json!({"type": "set_presence", "online": false})).await;
    desk.until_slot("r5", None).await;
    desk.until_phase("queued").await;

    let conversation = desk.history("conversation", &desk.conversation).await;
    for wanted in ["offer_rejected", "reservation_checked", "offer_timed_out", "offer_refused", "offer_rescinded"] {
        assert!(conversation.iter().any(|event| event == wanted), "{wanted} in {conversation:?}");
    }
    let agent = desk.history("agent", "ann").await;
    let count = |wanted: &str| agent.iter().filter(|event| *event == wanted).count();
    assert_eq!((count("slot_reserved"), count("slot_released"), count("slot_occupied")), (5, 5, 0), "{agent:?}");
    assert!(count("reservation_questioned") > 0 && count("connection_lost") == 1, "{agent:?}");
    desk.engine.stop().await.unwrap();
}

/// Agents and customers of the demo tenant, with the scheduler at work.
struct Team {
    journal: NatsJournal,
    engine: Engine,
    asked: u32,
}

impl Team {
    async fn with(server: &nats::TestServer, agents: &[(&str, u32)]) -> Self {
        let (journal, engine) = demo(server, demo_settings()).await;
        let mut team = Self { journal, engine, asked: 0 };
        for (agent, slots) in agents {
            team.does("agent", agent, json!({"type": "register", "name": agent})).await;
            team.does("agent", agent, json!({"type": "set_skills", "queues": ["support"]})).await;
            team.does("agent", agent, json!({"type": "set_capacity", "slots": slots})).await;
            team.does("agent", agent, json!({"type": "set_presence", "online": true})).await;
            team.does("agent", agent, json!({"type": "set_status", "status": "available"})).await;
        }
        team
    }

    async fn does(&mut self, aggregate: &str, key: &str, body: Value) {
        self.asked += 1;
        let result = command(&self.journal, aggregate, key, &format!("team-{}", self.asked), body.clone()).await;
        // The default capacity is what some ask for.
        let unchanged = result.refusal.as_ref().is_some_and(|refusal| refusal.code == "unchanged");
        assert!(result.ok || unchanged, "{body}: {result:?}");
    }

    /// A customer who wants a person; the conversation's key.
    async fn customer(&self, name: &str) -> String {
        let key = conversation_key("web", name);
        let message = json!({"id": "1", "channel": "web", "thread": name, "sender": {"id": name},
            "sent_at": "2026-11-22T00:00:00.000Z", "content": {"kind": "text", "text": "human"}});
        self.journal.publish_inbound("demo", "web", &key, "1", Bytes::from(message.to_string())).await.unwrap();
        key
    }

    /// Waits until a conversation's session is as wanted.
    async fn until(&self, key: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let store = self.engine.store();
        let mut projected = store.watch_projected();
        let found = async {
            loop {
                projected.borrow_and_update();
                let snapshot = store.snapshot("demo", AggregateKind::Conversation, key).unwrap();
                let state = snapshot.map_or(Value::Null, |snapshot| {
                    serde_json::from_slice::<Value>(&snapshot).unwrap()["state"]["session"].take()
                });
                if wanted(&state) {
                    return state;
                }
                projected.changed().await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("{key} is not {what} in time"))
    }

    /// Waits until a conversation is offered to somebody; to whom.
    async fn offered(&self, key: &str) -> String {
        let state = self.until(key, "offered", |session| session["phase"]["offered"].is_array()).await;
        state["phase"]["offered"][1]["to"]["agent"].as_str().unwrap().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scheduler_offers_to_whoever_is_free_and_asks_another_when_one_declines() {
    let server = nats::TestServer::start().await;
    let mut team = Team::with(&server, &[("ann", 1), ("bob", 1)]).await;

    let alice = team.customer("alice").await;
    let first = team.offered(&alice).await;
    team.does("conversation", &alice, json!({"type": "reject"})).await;
    let second = if first == "ann" { "bob" } else { "ann" };
    let to_second = |session: &Value| session["phase"]["offered"][1]["to"]["agent"] == second;
    team.until(&alice, "offered to the other", to_second).await;
    team.does("conversation", &alice, json!({"type": "accept"})).await;

    // One is busy, so the other gets the next, and the third waits for somebody to be free.
    let carol = team.customer("carol").await;
    assert_eq!(team.offered(&carol).await, first);
    team.does("conversation", &carol, json!({"type": "accept"})).await;
    let dan = team.customer("dan").await;
    let queued = |session: &Value| session["phase"]["queued"].is_object();
    team.until(&dan, "queued", queued).await;
    team.does("conversation", &alice, json!({"type": "close"})).await;
    assert_eq!(team.offered(&dan).await, second);

    // Why is in the log.
    let subject = team.journal.subjects().events("demo", "conversation", &dan);
    let commits = team.journal.history(&subject, 0).await.unwrap();
    let decision = commits.iter().rev().find_map(|commit| {
        let commit: Value = serde_json::from_slice(&commit.payload).unwrap();
        commit["events"].as_array().unwrap().iter().find(|event| event["type"] == "offer_made").cloned()
    });
    let decision = decision.unwrap()["decision"].take();
    assert_eq!((&decision["agent"], &decision["policy"]), (&json!(second), &json!("index")));
    assert_eq!(decision["candidates"][0]["conversation"], json!(dan));
    team.engine.stop().await.unwrap();
}

/// An engine that keeps the search over messages.
async fn start_with_archive(server: &nats::TestServer) -> (NatsJournal, Engine) {
    let journal = server.journal().await;
    let store = server.data.path().join("store");
    let mut options = EngineOptions::new(journal.clone(), journal.subjects().clone(), journal.partitions(), store);
    options.archive_dir = Some(server.data.path().join("archive"));
    (journal, Engine::start(options).unwrap())
}

/// The ids of the messages that are found, as soon as there are so many.
async fn found(engine: &Engine, text: &str, count: usize) -> Vec<String> {
    let looks = async {
        loop {
            let wanted = Wanted { text, limit: 100, ..Wanted::default() };
            let hits = engine.archive().find("demo", &wanted).unwrap();
            if let Some(hits) = hits.filter(|hits| hits.total == count) {
                return hits.items.into_iter().map(|hit| hit.id).collect();
            }
            // waits because an index does not announce what it has taken in
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looks).await.unwrap_or_else(|_| panic!("{text:?} is never found {count} times"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_is_found_once_over_restarts_and_after_the_index_was_damaged() {
    let server = nats::TestServer::start().await;
    let (journal, engine) = start_with_archive(&server).await;
    let set = json!({"type": "set", "value": demo_settings()});
    assert!(command(&journal, "settings", "tenant", "make", set).await.ok);
    let key = conversation_key("web", "alice");
    let say = async |id: &str, text: &str| {
        let message = json!({"id": id, "channel": "web", "thread": "alice", "sender": {"id": "alice"},
            "sent_at": "2026-11-22T00:00:00.000Z", "content": {"kind": "text", "text": text}});
        journal.publish_inbound("demo", "web", &key, id, Bytes::from(message.to_string())).await.unwrap();
    };
    say("m1", "my red shoes are lost").await;
    say("m2", "我的红鞋子丢了").await;
    assert_eq!(found(&engine, "shoe", 1).await, ["m1"]);
    assert_eq!(found(&engine, "鞋子丢", 1).await, ["m2"]);
    engine.stop().await.unwrap();

    let (journal, engine) = start_with_archive(&server).await;
    let message = json!({"id": "m3", "channel": "web", "thread": "alice", "sender": {"id": "alice"},
        "sent_at": "2026-11-22T00:00:01.000Z", "content": {"kind": "text", "text": "the shoes again"}});
    journal.publish_inbound("demo", "web", &key, "m3", Bytes::from(message.to_string())).await.unwrap();
    assert_eq!(found(&engine, "shoes", 2).await, ["m3", "m1"], "what was in the index is not taken in again");
    engine.stop().await.unwrap();

    for file in std::fs::read_dir(server.data.path().join("archive")).unwrap().flatten() {
        std::fs::write(file.path(), b"no index").unwrap();
    }
    let (_journal, engine) = start_with_archive(&server).await;
    assert_eq!(found(&engine, "shoes", 2).await, ["m3", "m1"], "the log has it all");
    engine.stop().await.unwrap();
}
