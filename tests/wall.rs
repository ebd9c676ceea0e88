//! The wall of an earlier moment is what the lists said then: recorded while a log grows, and asked for afterwards.
//!
//! The log is what the real state machines decide in a contact centre where everything happens by chance, in a time of its own.

#![allow(clippy::unwrap_used, dead_code)] // A test may panic, and uses the part of its support that it needs.

#[path = "support/history.rs"]
mod history;

use bytes::Bytes;
use history::History;
use kefu::{
    dispatch::leader::{Change, Leader},
    journal::{
        Journal,
        memory::MemoryJournal,
        subjects::{Subjects, partition},
    },
    reporting::{ReportingTask, Reports},
    scheduler::Scheduling,
    store::{
        AgentFilter, AgentSummary, ConversationFilter, ConversationSummary, DecodedCommit, Folds, Store, StoreOptions,
        StoreWriter,
    },
    wall::{NoWall, QueueThen, Wall, Walls},
};
use kefu_events::{Actor, ActorKind, AggregateKind, Content, Timestamp};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::json;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tempfile::TempDir;

const QUEUES: [&str; 3] = ["support", "sales", "tax"];
const AGENTS: [&str; 5] = ["anna", "bob", "cleo", "dan", "eve"];
const THREADS: usize = 40;

/// Something happens at a time, as chance has it: most of it is possible.
fn step(history: &mut History, random: &mut StdRng) {
    let agent = *AGENTS.choose(random).unwrap();
    let queue = *QUEUES.choose(random).unwrap();
    let deed = random.random_range(0..22);
    let wanted = match deed {
        8..=11 => "queued",
        12 | 13 => "offered",
        14 | 15 => "active",
        16 => "wrap_up",
        _ => "",
    };
    let threads: Vec<String> = (0..THREADS).map(|number| format!("t{number}")).collect();
    let is_wanted =
        |thread: &&String| wanted.is_empty() || history.state("web", thread)["session"]["phase"].get(wanted).is_some();
    let possible: Vec<&String> = threads.iter().filter(is_wanted).collect();
    let Some(thread) = possible.choose(random) else { return };
    let phase = &history.state("web", thread)["session"]["phase"];
    let holder = [&phase["active"]["holder"], &phase["wrap_up"][0], &phase["offered"][1]["to"]];
    let holder = holder.into_iter().find_map(|holder| holder["agent"].as_str()).unwrap_or(agent);
    let own = Actor::new(ActorKind::Agent, holder);
    match deed {
        0..=4 => history.says("web", thread, Content::text("hello")),
        5..=7 => {
            history.says("web", thread, Content::text("a person, please"));
            let body = json!({"type": "request_handoff", "queue": queue});
            history.asks("web", thread, Actor::new(ActorKind::System, "ivr"), body);
        }
        8..=11 => history.offers("web", thread, agent, &["english"]),
        12 => history.asks("web", thread, own, json!({"type": "accept"})),
        13 => history.asks("web", thread, own, json!({"type": "reject"})),
        14 => history.asks("web", thread, own, json!({"type": "transfer", "to": {"queue": queue}})),
        15 => history.asks("web", thread, own, json!({"type": "wrap_up"})),
        16 => history.asks("web", thread, own, json!({"type": "close"})),
        17 => history.says("web", thread, Content::Left),
        18 => history.asks("web", thread, Actor::new(ActorKind::Agent, agent), json!({"type": "take_over"})),
        _ => {
            let body = match random.random_range(0..10) {
                0 => json!({"type": "set_status", "status": "away", "reason": "lunch"}),
                1 => json!({"type": "set_presence", "online": false}),
                2 => json!({"type": "set_skills", "skills": {}, "queues": [queue]}),
                3 => json!({"type": "remove"}),
                4 => json!({"type": "set_capacity", "slots": 4}),
                _ => {
                    history.staffs(agent, 3);
                    return;
                }
            };
            history.system(AggregateKind::Agent, agent, body);
        }
    }
}

/// What was live: the lists of a store that has read so much of the log.
#[derive(Debug, PartialEq)]
struct Live {
    queues: Vec<QueueThen>,
    agents: Vec<AgentSummary>,
    waiting: Vec<ConversationSummary>,
}

impl Live {
    fn of(store: &Store, tenant: &str, at: Timestamp) -> Self {
        let now_ms = at.as_millis();
        let mut floor = Leader::new(Scheduling::default());
        store
            .staff(|of, key, entry| {
                if of == tenant {
                    floor.take_in(Change::Agent(key.to_owned(), Some(entry)), now_ms);
                }
            })
            .unwrap();
        store
            .waiting(|of, key, entry| {
                if of == tenant {
                    floor.take_in(Change::Conversation(key.parse().unwrap(), Some(entry)), now_ms);
                }
            })
            .unwrap();
        let queues = floor.queues(now_ms).into_iter().map(|(queue, state)| {
            let (waiting, oldest_s) = (state.waiting, state.oldest_s);
            QueueThen { queue, waiting, oldest_s }
        });
        let list = |phase| {
            let filter = ConversationFilter { phase: Some(phase), ..ConversationFilter::default() };
            store.conversations(tenant, &filter, None, 500).unwrap().items
        };
        let mut waiting = [list("queued"), list("offered")].concat();
        waiting.sort_by(|one, other| (one.waits_since, &one.key).cmp(&(other.waits_since, &other.key)));
        let agents = store.agents(tenant, AgentFilter::All, None, 500).unwrap().items;
        Self { queues: queues.collect(), agents, waiting }
    }
}

impl From<Wall> for Live {
    fn from(wall: Wall) -> Self {
        Self { queues: wall.queues, agents: wall.agents, waiting: wall.waiting }
    }
}

fn options() -> StoreOptions {
    StoreOptions { memory_budget_bytes: None, partitions: 16, partition_of: partition }
}

fn store() -> (TempDir, Store, StoreWriter) {
    let dir = tempfile::tempdir().unwrap();
    let (store, writer) = Store::open(&dir.path().join("store"), &options(), Folds::all(), Vec::new()).unwrap();
    (dir, store, writer)
}

/// Subjects and commits.
type Log = Vec<(String, Vec<u8>)>;

/// A log of two tenants, and the moments of the second at which its wall was looked at, with how much there was then.
fn traffic(seed: u64, steps: usize) -> (Log, Vec<(Timestamp, usize)>) {
    let mut random = StdRng::seed_from_u64(seed);
    let settings = json!({
        "name": "Acme", "queues": QUEUES, "offer_timeout_s": 90, "wrap_up_s": 60, "queue_abandon_s": 1_800,
        "presence_grace_s": 30, "bot": {"answer_deadline_s": 30},
        "inactivity": {"prompt_after_s": 600, "close_after_s": 300},
    });
    let start: Timestamp = "2024-03-04T06:00:00Z".parse().unwrap();
    let mut other = History::new("other", &settings, start);
    let mut now = start;
    for _ in 0..steps / 4 {
        now = now.plus_seconds(random.random_range(1..60));
        other.until(now);
        step(&mut other, &mut random);
    }
    now = now.plus_seconds(600);
    let mut log = other.log;
    let known = log.len();
    let mut history = History::new("acme", &settings, now);
    AGENTS.iter().for_each(|agent| history.staffs(agent, 2));
    let mut marks = vec![(now, known + history.log.len())];
    for number in 0..steps {
        // Nights, too.
        let pause = if number % 97 == 0 { 30_000 } else { random.random_range(1..40) };
        now = now.plus_seconds(pause);
        history.until(now);
        step(&mut history, &mut random);
        marks.push((now, known + history.log.len()));
    }
    log.extend(history.log);
    (log, marks)
}

/// The log on a bus, and on a node that has read all of it.
struct World {
    journal: MemoryJournal,
    store: Store,
    reporting: ReportingTask,
    _writer: StoreWriter,
    _dir: TempDir,
}

impl World {
    async fn of(log: &[(String, Vec<u8>)]) -> Self {
        let journal = MemoryJournal::default();
        let mut known = HashMap::new();
        for (subject, payload) in log {
            let expected = known.get(subject).copied().unwrap_or(0);
            let seq = journal.append(subject, expected, Bytes::from(payload.clone())).await.unwrap();
            known.insert(subject.clone(), seq);
        }
        let (dir, store, mut writer) = store();
        writer.follow(&journal.position().await.unwrap().identity, 0).unwrap();
        fold(&mut writer, log, 0, log.len());
        let reporting = ReportingTask::start(journal.clone(), store.clone());
        while reporting.progress().status().seq < log.len() as u64 {
            tokio::time::sleep(Duration::from_millis(10)).await; // does not announce itself
        }
        Self { journal, store, reporting, _writer: writer, _dir: dir }
    }

    fn walls(&self) -> Walls {
        let reports = Reports::new(self.store.clone(), self.reporting.progress());
        Walls::new(self.journal.clone(), Arc::new(Subjects::default()), self.store.clone(), reports)
    }
}

fn fold(writer: &mut StoreWriter, log: &[(String, Vec<u8>)], from: usize, to: usize) {
    let folds = writer.folds();
    let decode = |at: usize| DecodedCommit::decode(&folds, at as u64 + 1, &log[at].0, &log[at].1).unwrap();
    let commits: Vec<DecodedCommit> = (from..to).map(decode).collect();
    writer.fold(&commits).unwrap();
    writer.write().unwrap();
    writer.pass_on(commits);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wall_of_every_moment_is_what_the_lists_said_then() {
    for seed in 0..4 {
        let (log, marks) = traffic(seed, 700);
        let world = World::of(&log).await;
        let (_dir, live, mut writer) = store();
        let (walls, mut random) = (world.walls(), StdRng::seed_from_u64(seed));
        let (mut read, mut recorded) = (0, Vec::new());
        for (at, length) in marks {
            fold(&mut writer, &log, read, length);
            read = length;
            recorded.push((at, Live::of(&live, "acme", at)));
        }
        let waited = recorded.iter().filter(|(_, live)| !live.waiting.is_empty()).count();
        let worked = recorded.iter().filter(|(_, live)| live.agents.iter().any(|agent| agent.in_use > 0)).count();
        assert!(waited > 200 && worked > 100, "there is something to see: {waited} {worked}");
        // In any order, and again with what is kept by then.
        for number in 0..recorded.len() + 100 {
            let index = if number < 300 { random.random_range(0..recorded.len()) } else { number % recorded.len() };
            let (at, expected) = &recorded[index];
            let wall = walls.at("acme", *at).await.unwrap();
            assert_eq!(wall.at, *at);
            assert_eq!(&Live::from(wall), expected, "seed {seed}, step {index}, {at}");
        }
        world.reporting.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn between_two_commits_only_the_waits_grow_and_nobody_sees_another_tenants_wall() {
    let (log, marks) = traffic(7, 300);
    let world = World::of(&log).await;
    let walls = world.walls();
    let (_dir, live, mut writer) = store();
    let (at, length) = *marks.last().unwrap();
    fold(&mut writer, &log, 0, length);
    let later = at.plus_seconds(5);
    // The last moment is read out of what the store has: nothing has happened since.
    let (then, now) = (walls.at("acme", at).await.unwrap(), walls.at("acme", later).await.unwrap());
    assert_eq!(Live::from(then.clone()), Live::of(&live, "acme", at));
    assert_eq!((&then.agents, &then.waiting), (&now.agents, &now.waiting));
    for (then, now) in then.queues.iter().zip(&now.queues) {
        assert_eq!(then.oldest_s.map(|seconds| seconds + 5.0), now.oldest_s);
    }
    // The other tenant had ended its day before this one began.
    let other = walls.at("other", at).await.unwrap();
    assert_eq!(Live::from(other.clone()), Live::of(&live, "other", at));
    assert!(other.agents.iter().all(|agent| !then.agents.contains(agent)));
    world.reporting.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_there_was_not_is_not_told() {
    let (log, marks) = traffic(9, 50);
    let world = World::of(&log).await;
    let walls = world.walls();
    let (began, _) = marks[0];
    let before = Timestamp::from_millis(began.as_millis() - 1);
    let error = walls.at("acme", before).await.unwrap_err();
    assert!(matches!(&error, NoWall::Invalid(message) if message.contains(&began.to_string())), "{error}");
    assert!(walls.at("acme", began).await.is_ok());
    let tomorrow = Timestamp::from(chrono::Utc::now()).plus_seconds(86_400);
    let error = walls.at("acme", tomorrow).await.unwrap_err();
    assert!(matches!(&error, NoWall::Invalid(message) if message.contains("future")), "{error}");
    let error = walls.at("nobody", began).await.unwrap_err();
    assert!(matches!(&error, NoWall::NoTenant(tenant) if tenant == "nobody"), "{error}");
    // Whoever is being stopped answers at once.
    walls.stop();
    assert!(matches!(walls.at("acme", began).await, Err(NoWall::Behind(_))));
    world.reporting.stop().await;
}
