//! Whether agents are there, over real sockets of two nodes, one of which is killed.

#![allow(clippy::unwrap_used)] // A test may panic.

#[path = "support/nats.rs"]
mod nats;
mod support;

use serde_json::{Value, json};
use std::time::{Duration, Instant};
use support::{
    eventually,
    kefu::{External, Kefu},
    log::read_log,
    socket::Socket,
};

/// How long an agent without a connection has to come back, in seconds.
const GRACE_S: u64 = 6;
/// A lease of a dead node runs out within two seconds; its connections are looked for every second, on a machine that does other
/// things as well.
const NOTICED: Duration = Duration::from_secs(12);

/// Two nodes on one bus, with one agent who has a token.
async fn two_nodes(bus: &nats::TestServer) -> (Kefu, Kefu, String) {
    let (user, password) = bus.server.engine_login();
    let external = External { url: bus.server.url(), user: user.to_owned(), password: password.to_owned() };
    let mut first = Kefu::spawn_on(&external);
    first.ready().await;
    let mut second = Kefu::spawn_on(&external);
    second.ready().await;
    second.run(&["settings", "set", &format!("presence_grace_s={GRACE_S}"), "offer_timeout_s=600"]);
    second.run(&["agent", "add", "ann", "--name", "Ann", "--queue", "support"]);
    second.run(&["agent", "status", "ann", "available"]);
    second.run(&["user", "add", "ann", "--role", "agent", "--no-password"]);
    let token = second.run(&["user", "token", "add", "ann", "--name", "test"])["secret"].as_str().unwrap().to_owned();
    (first, second, token)
}

/// The commits of an aggregate in which this happened, with when.
async fn happened(kefu: &Kefu, event: &str) -> Vec<Value> {
    let log = read_log(&kefu.journal().await).await;
    log.iter().flat_map(|logged| logged.events(event).cloned().collect::<Vec<_>>()).collect()
}

async fn is_offered(socket: &mut Socket<tokio::net::TcpStream>) -> Value {
    let offers = |frame: &Value| {
        let events = frame["commit"]["events"].as_array().cloned().unwrap_or_default();
        events.iter().any(|event| event["type"] == "offer_made" && event["agent"] == "ann")
    };
    socket.until("an offer", offers).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_of_a_node_that_dies_is_gone_after_the_grace_and_what_was_offered_waits_again() {
    let bus = nats::TestServer::start().await;
    let (mut first, second, token) = two_nodes(&bus).await;
    let mut socket = Socket::open(first.http_port(), &token).await;
    socket.begin().await;
    second.run(&["send", "--from", "dan", "--wait", "0s", "human"]);
    is_offered(&mut socket).await;

    first.kill();
    let began = Instant::now();
    assert!(socket.next().await.is_none(), "the socket died with its node");
    eventually("word that the connection is gone", async || {
        let changed = happened(&second, "presence_changed").await;
        changed.last().is_some_and(|last| last["online"] == false).then_some(())
    })
    .await;
    assert!(began.elapsed() < NOTICED, "noticed after {:?}", began.elapsed());
    assert!(happened(&second, "connection_lost").await.is_empty(), "not before the grace is over");
    eventually("the offer's end", async || (happened(&second, "offer_rescinded").await.len() == 1).then_some(())).await;
    assert!(began.elapsed() >= Duration::from_secs(GRACE_S), "after {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(GRACE_S) + NOTICED, "after {:?}", began.elapsed());
    assert_eq!(happened(&second, "connection_lost").await.len(), 1);

    // Whoever comes back to the other node, and says to be ready, is offered what comes from then on. The one that was let go goes to
    // somebody else: a conversation remembers who did not take it.
    let mut back = Socket::open(second.http_port(), &token).await;
    back.begin().await;
    let ready = json!({ "type": "set_status", "status": "available" });
    back.send(json!({ "type": "command", "id": "s1", "aggregate": "agent", "key": "ann", "command": ready })).await;
    second.run(&["send", "--from", "eve", "--wait", "0s", "human"]);
    let offered = is_offered(&mut back).await;
    assert_eq!(offered["commit"]["key"], kefu_events::key::conversation_key("cli", "eve"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_who_comes_back_to_another_node_within_the_grace_has_lost_nothing() {
    let bus = nats::TestServer::start().await;
    let (mut first, second, token) = two_nodes(&bus).await;
    let mut socket = Socket::open(first.http_port(), &token).await;
    let place = socket.begin().await;
    second.run(&["send", "--from", "dan", "--wait", "0s", "human"]);
    let offer = is_offered(&mut socket).await;
    first.kill();

    let mut back = Socket::open(second.http_port(), &token).await;
    back.send(json!({ "type": "resume", "epoch": place["epoch"], "last_seq": offer["seq"] })).await;
    let hello = back.next().await.unwrap();
    assert_eq!((&hello["type"], &hello["seq"]), (&json!("hello"), &offer["seq"]), "it goes on where it was");
    // The dead node's connection goes; the agent stays, with what was offered, well beyond the grace.
    let gone = |frame: &Value| {
        let events = frame["commit"]["events"].as_array().cloned().unwrap_or_default();
        events.iter().any(|event| {
            let connections = event["connections"].as_array().map_or(0, Vec::len);
            event["type"] == "presence_changed" && event["online"] == true && connections == 1
        })
    };
    back.until("the end of the old connection", gone).await;
    // waits because nothing must happen in this time
    tokio::time::sleep(Duration::from_secs(GRACE_S + 3)).await;
    for event in ["connection_lost", "offer_rescinded"] {
        assert!(happened(&second, event).await.is_empty(), "{event}");
    }
    let accept = json!({ "type": "accept", "name": "Ann" });
    let key = offer["commit"]["key"].clone();
    let accept = json!({ "type": "command", "id": "a1", "aggregate": "conversation", "key": key, "command": accept });
    back.send(accept).await;
    let result = back.until("the result", |frame| frame["type"] == "result").await;
    assert_eq!(result["result"]["ok"], true, "{result}");
}
