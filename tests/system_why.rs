//! Every decision of a recorded log is taken again on the state that the log had at its sequence, and comes out the same:
//! the same choice, the same candidates with the same scores, the same counts of those who could not.
//!
//! The log is made by kefu itself: agents of several skills, speeds and weights, two queues, rules, relaxation, overflow,
//! offers that are declined, settings that change meanwhile, and kefu killed (SIGKILL) in the middle.
//! KEFU_TEST_LONG=1 makes ten times as many conversations.

#![allow(clippy::unwrap_used)] // A test may panic.

#[path = "support/nats.rs"]
mod nats;
mod support;

use bytes::Bytes;
use futures::StreamExt;
use kefu::{
    dispatch::past::Past,
    journal::{Journal, NatsJournal, Outgoing, Recorded},
    scheduler::Decision,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use support::{
    eventually,
    kefu::{External, Kefu},
    load,
    log::{self, Published},
    long,
};
use tokio::sync::watch;

const AGENTS: usize = 9;
/// Policies of the queue `support`, one after the other; the queue `sales` keeps `index`.
const POLICIES: [&str; 6] = ["index", "longest-idle", "fastest-gcmu", "round-robin", "random", "score-4321"];

/// Asks until the bus has it.
async fn ask(journal: &NatsJournal, aggregate: &str, key: &str, id: &str, by: (&str, &str), body: Value) {
    let mut command = json!({"id": id, "v": 1, "aggregate": aggregate, "key": key,
        "actor": {"kind": by.0, "id": by.1}, "at": "2026-11-22T00:00:00.000Z"});
    for (name, value) in body.as_object().unwrap() {
        command[name] = value.clone();
    }
    let outgoing = Outgoing::Command {
        tenant: "demo".to_owned(),
        source: by.0.to_owned(),
        key: key.to_owned(),
        id: id.to_owned(),
        payload: Bytes::from(command.to_string()),
    };
    eventually("a command on the bus", async || journal.publish(outgoing.clone()).await.ok()).await;
}

async fn set(journal: &NatsJournal, document: &str, id: &str, value: Value) {
    let body = json!({"type": "set", "value": value, "merge": true});
    ask(journal, "settings", document, id, ("system", "test"), body).await;
}

async fn configure(journal: &NatsJournal) {
    set(journal, "tenant", "set-tenant", json!({"queues": ["support", "sales"], "offer_timeout_s": 5})).await;
    let rules = json!({"rules": [
        {"name": "tax", "when": "text.contains('tax')", "then": {"required": {"tax": 2}, "wished": ["calm"]}, "go_on": true},
        {"name": "sales", "when": "text.contains('buy')", "then": {"queue": "sales", "priority": 3}},
    ]});
    set(journal, "routing", "set-rules", rules).await;
    let scheduling = json!({
        "declined_s": 2.0,
        "concurrency": [1.0, 0.9, 0.75],
        "estimates": {"least_cases": 2.0, "prior_cases": 5.0},
        "demand_half_life_s": 30.0,
        "queues": {
            "support": {"policy": "index", "last_agent_s": 0.5, "target": {"percent": 90.0, "within_s": 0.4},
                "relaxation": [{"after_s": 1.0, "lower": 1}, {"after_s": 2.0, "drop": ["tax"]}],
                "overflow": {"from": 6, "also": ["sales"]}},
            "sales": {"policy": "index"},
        },
    });
    set(journal, "scheduling", "set-scheduling", scheduling).await;
}

async fn hire(journal: &NatsJournal) {
    for number in 0..AGENTS {
        let agent = format!("agent{number}");
        let queues: &[&str] = [&["support"][..], &["support", "sales"], &["sales"]][number % 3];
        let skills = json!({"tax": number % 4, "calm": number % 2 * 3});
        let weights = if number == 4 { json!({"web": 2}) } else { json!({}) };
        let commands = [
            json!({"type": "register", "name": agent}),
            json!({"type": "set_skills", "queues": queues, "skills": skills}),
            json!({"type": "set_capacity", "slots": 1 + number % 3, "weights": weights}),
            json!({"type": "set_presence", "online": true}),
            json!({"type": "set_status", "status": "available"}),
        ];
        for (n, command) in commands.into_iter().enumerate() {
            ask(journal, "agent", &agent, &format!("hire-{agent}-{n}"), ("system", "test"), command).await;
        }
    }
}

/// Agents at work: each has a pace of their own, and some decline.
async fn work(journal: NatsJournal, ended: watch::Sender<usize>) {
    let mut random = StdRng::seed_from_u64(7);
    let filter = journal.subjects().events("demo", "conversation", "*");
    let mut tail = journal.tail(0, Some(filter)).await.unwrap();
    while let Some(commit) = tail.next().await {
        let commit: Value = serde_json::from_slice(&commit.unwrap().payload).unwrap();
        let key = commit["key"].as_str().unwrap().to_owned();
        for event in commit["events"].as_array().unwrap() {
            let agent = event["agent"].as_str().unwrap_or_default().to_owned();
            let kind = event["type"].as_str().unwrap();
            let id = format!("{}-{kind}", commit["commit_id"].as_str().unwrap());
            let (journal, key) = (journal.clone(), key.clone());
            match kind {
                "offer_made" => {
                    let answer = if random.random_bool(0.9) { "accept" } else { "reject" };
                    let body = json!({"type": answer, "offer": event["offer"]});
                    ask(&journal, "conversation", &key, &id, ("agent", &agent), body).await;
                }
                "offer_accepted" => {
                    let pace = agent.bytes().last().map_or(0, |digit| u64::from(digit - b'0'));
                    let takes = Duration::from_millis(random.random_range(20..60) * (1 + pace * pace));
                    tokio::spawn(async move {
                        tokio::time::sleep(takes).await; // waits because work takes agents time, each their own
                        ask(&journal, "conversation", &key, &id, ("agent", &agent), json!({"type": "close"})).await;
                    });
                }
                "session_closed" => ended.send_modify(|count| *count += 1),
                _ => {}
            }
        }
    }
}

async fn customer(journal: &NatsJournal, number: usize, text: &str) {
    let (tenant, channel, thread) = ("demo".to_owned(), "web".to_owned(), format!("customer{}", number % 200));
    let message = Published { tenant, channel, thread, id: number.to_string(), text: text.to_owned() };
    load::publish(journal, &message).await;
}

/// The log as it is stored.
async fn recorded(journal: &NatsJournal) -> Vec<Recorded> {
    let last = journal.position().await.unwrap().last;
    let tail = journal.tail(0, None).await.unwrap();
    let mut commits: Vec<Recorded> =
        tail.take(usize::try_from(last).unwrap()).map(|commit| commit.unwrap()).collect().await;
    commits.sort_by_key(|commit| commit.seq);
    commits
}

/// The decisions in the log, in the order of what they were taken on.
fn decisions(log: &[Recorded]) -> Vec<Decision> {
    let mut found = Vec::new();
    for commit in log {
        let commit: Value = serde_json::from_slice(&commit.payload).unwrap();
        for event in commit["events"].as_array().unwrap().iter().filter(|event| event["type"] == "slot_reserved") {
            found.push(serde_json::from_value::<Decision>(event["decision"].clone()).unwrap());
        }
    }
    found.sort_by_key(|decision| decision.sequence);
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_decision_of_a_recorded_log_comes_out_the_same() {
    let bus = nats::TestServer::start().await;
    let (user, password) = bus.server.engine_login();
    let external = External { url: bus.server.url(), user: user.to_owned(), password: password.to_owned() };
    let mut kefu = Kefu::spawn_on(&external);
    kefu.ready().await;
    let journal = kefu.journal().await;
    configure(&journal).await;
    hire(&journal).await;
    let (ended, mut closed) = watch::channel(0);
    let working = tokio::spawn(work(journal.clone(), ended));

    let mut random = StdRng::seed_from_u64(3);
    let per_policy = if long() { 700 } else { 70 };
    let texts = ["human", "human, my tax", "human: buy", "human: buy tax advice"];
    let mut customers = 0;
    for (round, policy) in POLICIES.into_iter().enumerate() {
        set(&journal, "scheduling", &format!("policy-{round}"), json!({"queues": {"support": {"policy": policy}}}))
            .await;
        for number in 0..per_policy {
            customer(&journal, customers, texts[random.random_range(0..texts.len())]).await;
            customers += 1;
            if round == 2 && number == per_policy / 2 {
                kefu.kill();
                kefu.spawn();
                kefu.ready().await;
            }
            // Some come one by one, others at once.
            if number % 10 > 4 {
                let at_most = customers.saturating_sub(12);
                closed.wait_for(|count| *count >= at_most).await.unwrap();
            }
        }
        let all = tokio::time::timeout(support::PATIENCE, closed.wait_for(|count| *count >= customers)).await;
        all.unwrap_or_else(|_| panic!("somebody is forgotten:\n{}", kefu.last_words())).unwrap();
    }
    log::until_drained(&journal).await;
    working.abort();

    let log = recorded(&journal).await;
    let decisions = decisions(&log);
    let mut past = Past::new(decisions.iter());
    let mut commits = log.iter().peekable();
    let (mut kinds, mut wrong): (BTreeMap<String, usize>, Vec<String>) = (BTreeMap::new(), Vec::new());
    for decision in &decisions {
        while let Some(commit) = commits.next_if(|commit| commit.seq <= decision.sequence) {
            past.take(commit.seq, &commit.payload).unwrap();
        }
        // The test feeds the whole log, but the past forgets those that are closed, as it would for `kefu why`.
        for key in past.incomplete().map(str::to_owned).collect::<Vec<_>>() {
            let of_key = log.iter().filter(|commit| commit.subject.ends_with(&format!(".{key}")));
            let of_key =
                of_key.filter(|commit| commit.seq <= decision.sequence && commit.subject.contains(".conversation."));
            past.take_whole(of_key.map(|commit| (commit.seq, commit.payload.as_ref()))).unwrap();
        }
        let again = past.again(decision).unwrap();
        if !again.differences.is_empty() {
            wrong.push(format!("{:?} at {}: {}", decision.question, decision.sequence, again.differences.join("; ")));
        }
        let beside = decision.beside.as_ref().unwrap();
        let note = |what: &str, is: bool| is.then(|| what.to_owned());
        let found = [
            Some(format!("{} {:?}", decision.policy, decision.question)),
            note("several candidates", decision.candidates.len() > 1),
            note("asked and not seen", !beside.asked.is_empty()),
            note("overflow", !beside.overflowing.is_empty()),
            note("refused", !beside.refused.is_empty()),
            note("target", decision.candidates.iter().any(|one| one.parts.contains_key("target"))),
            note("estimates", beside.estimates.is_some()),
            note("declined before", decision.excluded.keys().any(|reason| format!("{reason:?}") == "Excluded")),
            note("partial", beside.partial),
        ];
        found.into_iter().flatten().for_each(|what| *kinds.entry(what).or_default() += 1);
    }
    println!("{} decisions in {} commits taken again: {kinds:#?}", decisions.len(), log.len());
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), decisions.len(), wrong.join("\n"));
    assert!(decisions.len() >= customers, "{} decisions for {customers} conversations", decisions.len());
    let met: BTreeSet<&str> = kinds.keys().map(String::as_str).collect();
    for what in ["several candidates", "asked and not seen", "overflow", "target", "estimates", "declined before"] {
        assert!(met.contains(what), "the log had no case of: {what}");
    }
}
