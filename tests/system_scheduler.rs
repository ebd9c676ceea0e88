//! kefu is killed (SIGKILL) at random moments while customers wait and agents work: nobody is ever over capacity, every
//! conversation is served, and every slot is free at the end.
//!
//! KEFU_TEST_LONG=1 kills 100 times, KEFU_TEST_SEED=N is another run.

#![allow(clippy::unwrap_used)] // A test may panic.

#[path = "support/nats.rs"]
mod nats;
mod support;

use bytes::Bytes;
use futures::StreamExt;
use kefu::journal::{Journal, NatsJournal, Outgoing};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};
use support::{
    eventually,
    kefu::{External, Kefu},
    load,
    log::{self, Logged, Published},
    long,
};
use tokio::sync::watch;

const AGENTS: usize = 10;
const SLOTS: u64 = 2;
/// Conversations between two kills: more than there are slots, so that some always wait.
const BURST: usize = 30;

/// Asks until the bus has it.
async fn ask(journal: &NatsJournal, aggregate: &str, key: &str, id: &str, actor: &str, body: Value) {
    let mut command = json!({"id": id, "v": 1, "aggregate": aggregate, "key": key,
        "actor": {"kind": actor, "id": if actor == "agent" { body["as"].as_str().unwrap() } else { "test" }},
        "at": "2026-11-22T00:00:00.000Z"});
    for (name, value) in body.as_object().unwrap().iter().filter(|(name, _)| *name != "as") {
        command[name] = value.clone();
    }
    let outgoing = Outgoing::Command {
        tenant: "demo".to_owned(),
        source: actor.to_owned(),
        key: key.to_owned(),
        id: id.to_owned(),
        payload: Bytes::from(command.to_string()),
    };
    eventually("a command on the bus", async || journal.publish(outgoing.clone()).await.ok()).await;
}

async fn hire(journal: &NatsJournal) {
    for agent in (0..AGENTS).map(|n| format!("agent{n}")) {
        let commands = [
            json!({"type": "register", "name": agent}),
            json!({"type": "set_skills", "queues": ["support"]}),
            json!({"type": "set_capacity", "slots": SLOTS}),
            json!({"type": "set_presence", "online": true}),
            json!({"type": "set_status", "status": "available"}),
        ];
        for (n, command) in commands.into_iter().enumerate() {
            ask(journal, "agent", &agent, &format!("hire-{agent}-{n}"), "system", command).await;
        }
    }
}

/// The agents at work: most take what they are offered, and end it at once; some decline. Counts what ended.
async fn work(journal: NatsJournal, seed: u64, ended: watch::Sender<usize>) {
    let mut random = StdRng::seed_from_u64(seed);
    let filter = journal.subjects().events("demo", "conversation", "*");
    let mut tail = journal.tail(0, Some(filter)).await.unwrap();
    while let Some(commit) = tail.next().await {
        let commit: Value = serde_json::from_slice(&commit.unwrap().payload).unwrap();
        let key = commit["key"].as_str().unwrap();
        for event in commit["events"].as_array().unwrap() {
            let (id, agent) = (format!("{}-{}", commit["commit_id"].as_str().unwrap(), event["type"]), &event["agent"]);
            let id = id.replace('"', "");
            match event["type"].as_str().unwrap() {
                "offer_made" => {
                    let answer = if random.random_bool(0.9) { "accept" } else { "reject" };
                    let body = json!({"type": answer, "offer": event["offer"], "as": agent});
                    ask(&journal, "conversation", key, &id, "agent", body).await;
                }
                "offer_accepted" => {
                    ask(&journal, "conversation", key, &id, "agent", json!({"type": "close", "as": agent})).await;
                }
                "session_closed" => ended.send_modify(|count| *count += 1),
                _ => {}
            }
        }
    }
}

async fn customer(journal: &NatsJournal, number: usize) {
    let thread = format!("customer{number}");
    let (tenant, channel) = ("demo".to_owned(), "web".to_owned());
    let message = Published { tenant, channel, thread, id: "1".to_owned(), text: "human".to_owned() };
    load::publish(journal, &message).await;
}

/// What the log says of agents: whoever held how much at every commit.
fn check_capacity(log: &[Logged]) -> u64 {
    let mut held: BTreeMap<&str, BTreeMap<String, u64>> = BTreeMap::new();
    let mut most = 0;
    for logged in log.iter().filter(|logged| logged.subject.contains(".agent.")) {
        let of = held.entry(logged.commit.key.as_str()).or_default();
        for event in &logged.commit.events {
            let reservation = || event["reservation"].as_str().unwrap().to_owned();
            match event["type"].as_str().unwrap() {
                "slot_reserved" => drop(of.insert(reservation(), event["weight"].as_u64().unwrap())),
                "slot_released" => drop(of.remove(&reservation())),
                _ => {}
            }
        }
        let sum: u64 = of.values().sum();
        assert!(sum <= SLOTS, "{} holds {sum} slots after commit {}", logged.commit.key, logged.seq);
        most = most.max(sum);
    }
    assert!(held.values().all(BTreeMap::is_empty), "slots are held at the end: {held:?}");
    most
}

/// Milliseconds from each hand-off to its first offer, of conversations that were handed off after this commit.
fn waits(log: &[Logged], after: u64) -> Vec<i64> {
    let mut queued = BTreeMap::new();
    let mut waits = Vec::new();
    for logged in log.iter().filter(|logged| logged.seq > after) {
        if logged.events("queued").next().is_some() {
            queued.insert(&logged.commit.key, logged.commit.at);
        }
        if logged.events("offer_made").next().is_some()
            && let Some(since) = queued.remove(&logged.commit.key)
        {
            waits.push(logged.commit.at.millis_since(since));
        }
    }
    assert!(queued.is_empty(), "never offered: {queued:?}");
    waits.sort_unstable();
    waits
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_over_capacity_and_nobody_is_forgotten_when_the_scheduler_is_killed() {
    let kills = if long() { 100 } else { 5 };
    let seed = std::env::var("KEFU_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let mut random = StdRng::seed_from_u64(seed);
    let bus = nats::TestServer::start().await;
    let (user, password) = bus.server.engine_login();
    let external = External { url: bus.server.url(), user: user.to_owned(), password: password.to_owned() };
    let mut kefu = Kefu::spawn_on(&external);
    kefu.ready().await;
    let journal = kefu.journal().await;
    hire(&journal).await;
    let (ended, mut closed) = watch::channel(0);
    let working = tokio::spawn(work(journal.clone(), seed, ended));

    let mut customers = 0;
    let mut recoveries = Vec::new();
    for _ in 0..kills {
        for _ in 0..BURST {
            customer(&journal, customers).await;
            customers += 1;
        }
        let until = customers.saturating_sub(random.random_range(0..BURST + 20));
        let reached = tokio::time::timeout(support::PATIENCE, closed.wait_for(|count| *count >= until)).await;
        reached.unwrap_or_else(|_| panic!("the work does not go on:\n{}", kefu.last_words())).unwrap();
        kefu.kill();
        let since = Instant::now();
        kefu.spawn();
        kefu.ready().await;
        recoveries.push(since.elapsed());
    }
    let all = tokio::time::timeout(support::PATIENCE, closed.wait_for(|count| *count >= customers)).await;
    all.unwrap_or_else(|_| panic!("somebody is forgotten:\n{}", kefu.last_words())).unwrap();

    // Nobody else waits now: each of these meets free agents.
    let quiet = journal.position().await.unwrap().last;
    for number in customers..customers + 20 {
        customer(&journal, number).await;
        closed.wait_for(|count| *count > number).await.unwrap();
    }
    customers += 20;
    log::until_drained(&journal).await;
    working.abort();

    let log = log::read_log(&journal).await;
    let most = check_capacity(&log);
    let served: BTreeSet<&String> = log
        .iter()
        .filter(|logged| logged.events("offer_accepted").next().is_some())
        .map(|logged| &logged.commit.key)
        .collect();
    assert_eq!(served.len(), customers, "every conversation was taken by somebody");
    // Every hand-off could be served: there are always agents who fit, and each becomes free. So all must be offered.
    let (handed_off, offered) = (log.iter().flat_map(|l| l.events("queued")).count(), waits(&log, 0).len());
    let waits = waits(&log, quiet);
    assert!(*waits.last().unwrap() <= 2_000, "with free agents an offer takes {waits:?} ms");
    let refused =
        log.iter().filter(|logged| logged.subject.contains(".agent.")).flat_map(|l| l.events("command_refused"));
    recoveries.sort();
    println!(
        "scheduler, seed {seed}: {customers} conversations, {AGENTS} agents, kefu killed {kills} times; most slots held \
         {most} of {SLOTS}; {offered} of {handed_off} hand-offs offered ({:.2} %); {} reservations refused; ready after {:.1?} (median) and {:.1?} (longest); hand-off to offer \
         with free agents {} ms (median), {} ms (longest)",
        100.0 * offered as f64 / handed_off as f64,
        refused.count(),
        recoveries[recoveries.len() / 2],
        recoveries[recoveries.len() - 1],
        waits[waits.len() / 2],
        waits[waits.len() - 1],
    );
}
