//! What strangers send: every input ends in one commit or one rejection, whatever it is made of.
//!
//! `KEFU_FUZZ_INPUTS=1000000` tries so many, `KEFU_FUZZ_SEED=7` repeats the world of one seed.

#![allow(clippy::unwrap_used, dead_code)] // A test may panic, and uses the part of its support that it needs.

#[path = "bad_input/corpus.rs"]
mod corpus;
#[path = "bad_input/mutate.rs"]
mod mutate;
#[path = "simulation/rng.rs"]
mod rng;
#[path = "simulation/store.rs"]
mod store;

use bytes::Bytes;
use chrono::DateTime;
use corpus::Address;
use kefu::{
    aggregate::TenantConfig,
    engine,
    journal::{
        Outgoing, Queue,
        memory::{AckFault, AppendFault, MemoryCore, MemoryOptions, MemoryStream, Next, PublishFault, Taken},
        subjects::Subjects,
    },
    runtime::{
        Env, Tenants,
        intake::{header, reason},
        machine::{Action, Happened, Limits, Machine},
        outgoing::outgoing,
    },
};
use kefu_events::Timestamp;
use rng::Rng;
use serde_json::{Value, json};
use std::{
    cell::Cell,
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

/// Inputs of a normal run, and of a long one.
const INPUTS: u64 = 50_000;
const LONG: u64 = 1_000_000;
/// Inputs of one world: enough for conversations with a past, few enough that a world stays small.
const WORLD: u64 = 2_000;

const REASONS: [&str; 8] = [
    reason::MALFORMED,
    reason::TOO_LARGE,
    reason::SUBJECT_MISMATCH,
    reason::UNKNOWN_TENANT,
    reason::RESERVED_CHANNEL,
    reason::UNKNOWN_AGGREGATE,
    reason::UNKNOWN_COMMAND,
    reason::QUARANTINED,
];

/// A partition with everything around it working.
struct World {
    bus: MemoryCore,
    taken: Taken,
    machine: Machine,
    store: store::Store,
    tenants: Tenants,
    subjects: Subjects,
    now: i64,
    ids: Cell<u64>,
    counts: BTreeMap<String, u64>,
    most_held: usize,
}

fn tenants() -> Tenants {
    let mut settings = kefu::settings::demo_settings();
    settings["collect"] = json!([]);
    let config: TenantConfig = kefu::settings::effective(&settings, &BTreeMap::new());
    [("t".to_owned(), Arc::new(config))].into()
}

impl World {
    fn new(now: i64) -> Self {
        let mut bus = MemoryCore::new(MemoryOptions { partitions: 1, ..MemoryOptions::default() });
        let taken = bus.take_over(0, 1, 100).unwrap();
        let mut world = Self {
            bus,
            taken,
            machine: Machine::new(engine::kinds(), Limits { idle_ms: 1, max_active: 4, ..Limits::default() }),
            store: store::Store::default(),
            tenants: tenants(),
            subjects: Subjects::default(),
            now,
            ids: Cell::new(0),
            counts: BTreeMap::new(),
            most_held: 0,
        };
        world.step(Happened::Ready);
        world
    }

    fn count(&mut self, what: &str) {
        *self.counts.entry(what.to_owned()).or_default() += 1;
    }

    /// Publishes one input, and works until nothing is left. What became of it.
    fn input(&mut self, address: &Address, id: &str, payload: Vec<u8>) -> Result<(), String> {
        let (commits, rejected) = (self.bus.last_seq(MemoryStream::Events), self.bus.last_seq(MemoryStream::Rejected));
        let time = DateTime::from_timestamp_millis(self.now).unwrap();
        let payload = Bytes::from(payload);
        let Address { inbox, tenant, source, key } = address;
        let stored = if *inbox {
            self.bus.publish_inbound(time, tenant, source, key, id, payload.clone(), PublishFault::None)
        } else {
            let (tenant, source, key) = (tenant.clone(), source.clone(), key.clone());
            let command = Outgoing::Command { tenant, source, key, id: id.to_owned(), payload: payload.clone() };
            self.bus.publish(time, command, PublishFault::None)
        };
        let Ok(seq) = stored else {
            // The server itself says no, to the publisher's face: a subject that is none, or a body beyond its limit.
            self.count("refused at the door");
            return Ok(());
        };
        self.work()?;
        let commits = self.bus.last_seq(MemoryStream::Events) - commits;
        let records: Vec<_> = self.bus.rejected(rejected + 1).cloned().collect();
        let queue = if *inbox { "inbox" } else { "commands" };
        let its = records
            .iter()
            .find(|r| r.headers[header::QUEUE] == queue && r.headers[header::QUEUE_SEQ] == seq.to_string());
        for record in &records {
            let reason = record.headers[header::REASON].clone();
            if !REASONS.contains(&reason.as_str()) {
                return Err(format!("rejected for an unknown reason: {reason}"));
            }
            for (name, value) in &record.headers {
                if value.chars().any(char::is_control) || value.chars().count() > 1000 {
                    return Err(format!("the header {name} of a rejection is not one line: {value:?}"));
                }
            }
            if reason == reason::QUARANTINED {
                let commit = self.bus.read(self.bus.last_seq(MemoryStream::Events)).unwrap().unwrap();
                let commit: Value = serde_json::from_slice(&commit.payload).unwrap();
                let error = commit["events"].as_array().unwrap().iter().find_map(|event| event["error"].as_str());
                self.count(&format!("quarantined: {:.50}", error.unwrap_or("set aside before")));
            }
            self.count(&format!("rejected: {reason}"));
        }
        match its {
            Some(record) if record.payload != payload => Err("rejected with another payload".to_owned()),
            Some(record) if record.headers[header::REASON] != reason::QUARANTINED && commits > 0 => {
                Err("rejected and committed".to_owned())
            }
            Some(_) => Ok(()),
            None if commits > 0 => {
                self.count("decided");
                Ok(())
            }
            None => {
                self.count("known already");
                Ok(())
            }
        }
    }

    fn work(&mut self) -> Result<(), String> {
        // What aggregates ask of each other comes to an end: nothing answers an answer.
        for _ in 0..2_000 {
            let mut delivered = false;
            for queue in [Queue::Inbox, Queue::Commands] {
                if let Next::Delivery(delivery) = self.bus.next(self.taken, queue) {
                    delivered = true;
                    self.step(Happened::Delivered(delivery));
                }
            }
            if !delivered {
                let waits = self.bus.backlog(Queue::Inbox) + self.bus.backlog(Queue::Commands) + self.machine.held();
                return if waits == 0 { Ok(()) } else { Err(format!("{waits} inputs were never acked")) };
            }
        }
        Err("aggregates ask each other without end".to_owned())
    }

    fn step(&mut self, happened: Happened) {
        let mut todo = VecDeque::from([happened]);
        while let Some(happened) = todo.pop_front() {
            let new_id = || {
                self.ids.set(self.ids.get() + 1);
                format!("id{:08}", self.ids.get())
            };
            let env = Env { now: Timestamp::from_millis(self.now), tenants: &self.tenants, new_id: &new_id };
            let mut actions = Vec::new();
            self.machine.step(happened, &env, &mut actions);
            self.most_held = self.most_held.max(self.machine.held());
            for action in actions {
                todo.extend(self.carry_out(action));
            }
        }
    }

    fn carry_out(&mut self, action: Action) -> Vec<Happened> {
        let time = DateTime::from_timestamp_millis(self.now).unwrap();
        let subject =
            |id: &kefu::runtime::machine::AggregateId| self.subjects.events(&id.tenant, id.kind.as_str(), &id.key);
        match action {
            Action::Load(id) => {
                let snapshot = self.store.snapshot(&id);
                vec![Happened::Loaded(id, snapshot)]
            }
            Action::LookUp { id, cause, questions } => {
                let seen = cause.and_then(|cause| self.store.causes.get(&(id.clone(), cause)).copied());
                let others = self.store.cells.keys().filter(|other| other.kind == kefu_events::AggregateKind::Contact);
                let keys: Vec<String> = others.map(|other| other.key.clone()).take(3).collect();
                vec![Happened::LookedUp { id, seen, found: vec![keys; questions.len()] }]
            }
            Action::Append { id, expected, payload, .. } => {
                let subject = subject(&id);
                let outcome = self.bus.append(&subject, expected, payload, AppendFault::None);
                let Ok(seq) = outcome else { return vec![Happened::Appended(id, outcome)] };
                let recorded = self.bus.read(seq).unwrap().unwrap();
                self.store.project(&engine::kinds(), &recorded);
                // What is in memory must be what is read back, for ever.
                let again = self.store.snapshot(&id).unwrap();
                let kinds = engine::kinds();
                let restored = kinds.get(id.kind).unwrap().restore(&again).unwrap();
                assert_eq!(restored.snapshot(), again, "a snapshot of {id} is not restored as it was");
                vec![Happened::Appended(id, Ok(seq)), Happened::Projected(seq)]
            }
            Action::ReadLast { id, .. } => {
                let last = self.bus.last(&subject(&id)).unwrap();
                vec![Happened::LastRead(id, last, self.bus.position().unwrap())]
            }
            Action::ReadHistory { id, after, .. } => {
                let commits = self.bus.history(&subject(&id), after, 0).unwrap();
                vec![Happened::HistoryRead(id, commits)]
            }
            // The store of this world knows every commit at once.
            Action::ReadEnd => vec![Happened::EndRead(0)],
            Action::Recall { id, seq } => vec![Happened::Recalled(id, self.bus.read(seq).unwrap())],
            Action::Publish { id, outgoing } => {
                self.compare(&id, &outgoing);
                for one in outgoing {
                    // One that is refused would be tried for ever.
                    self.bus.publish(time, one, PublishFault::None).unwrap();
                }
                vec![Happened::Published(id)]
            }
            Action::Reject { outgoing, ack } => {
                for one in outgoing {
                    self.bus.publish(time, one, PublishFault::None).unwrap();
                }
                assert!(self.bus.ack(&ack, AckFault::None));
                Vec::new()
            }
            Action::Ack(token) => {
                assert!(self.bus.ack(&token, AckFault::None));
                Vec::new()
            }
            Action::Stop(why) => panic!("the partition stopped: {why}"),
            Action::Drained => Vec::new(),
        }
    }

    /// The effects must come out the same when they are computed from what the log holds.
    fn compare(&self, id: &kefu::runtime::machine::AggregateId, published: &[Outgoing]) {
        let subject = self.subjects.events(&id.tenant, id.kind.as_str(), &id.key);
        let Some(last) = self.bus.last(&subject).unwrap() else { return };
        let commit = store::read(&engine::kinds(), &last);
        let id_of = |one: &Outgoing| match one {
            Outgoing::Reply { id, .. } | Outgoing::Command { id, .. } => id.clone(),
            Outgoing::Result { .. } | Outgoing::Rejected { .. } => String::new(),
        };
        for again in outgoing(&commit, last.seq) {
            let first = published.iter().find(|one| !id_of(one).is_empty() && id_of(one) == id_of(&again));
            if let Some(first) = first {
                assert_eq!(*first, again, "an effect of {id} differs when it is computed again");
            }
        }
    }
}

/// What is wrong with where it is sent.
fn readdress(rng: &mut Rng, address: &mut Address) {
    let tokens = ["web", "agent", "customer", "timer", "a.b", "*", "", "客服", "kefu", "system"];
    match rng.below(6) {
        0 => address.tenant = (*rng.pick(&["nobody", "t", "demo", "", "a b"])).to_owned(),
        1 => address.source = (*rng.pick(&tokens)).to_owned(),
        2 => address.key = (*rng.pick(&tokens)).to_owned(),
        3 => address.inbox = !address.inbox,
        _ => {}
    }
}

fn fuzz(seed: u64, inputs: u64) -> World {
    let mut rng = Rng::new(seed);
    let mut world = World::new(*rng.pick(&[0, 1_700_000_000_000, 253_402_200_000_000]));
    for number in 0..inputs {
        let message = rng.chance(5500);
        let (mut address, body) =
            if message { corpus::message(&mut rng, number, 12) } else { corpus::command(&mut rng, number, 12) };
        let untouched = rng.chance(4000);
        let payload = if untouched { body.to_string().into_bytes() } else { mutate::mutate(&mut rng, &body) };
        if !untouched && rng.chance(500) {
            readdress(&mut rng, &mut address);
        }
        // A body whose subject fits it: what a client that is wrong, but not careless, sends.
        if !untouched
            && address.inbox
            && rng.chance(3000)
            && let Ok(body) = serde_json::from_slice::<Value>(&payload)
            && let (Some(channel), Some(thread)) = (body["channel"].as_str(), body["thread"].as_str())
        {
            address.source = channel.to_owned();
            address.key = kefu_events::key::conversation_key(channel, thread);
        }
        world.now += rng.below(5_000) as i64;
        if let Err(why) = world.input(&address, &format!("fuzz-{number}"), payload.clone()) {
            panic!("seed {seed}, input {number}, {address:?}: {why}\n{:.2000}", String::from_utf8_lossy(&payload));
        }
        if rng.chance(500) {
            world.step(Happened::Tick);
        }
    }
    world.now += 10_000;
    world.step(Happened::Tick);
    assert_eq!((world.machine.active(), world.machine.held()), (0, 0), "something was not forgotten");
    world
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}

#[test]
fn every_input_is_decided_or_rejected_with_a_reason() {
    let long = std::env::var_os("KEFU_TEST_LONG").is_some();
    let inputs = variable("KEFU_FUZZ_INPUTS").unwrap_or(if long { LONG } else { INPUTS });
    let worlds = match variable("KEFU_FUZZ_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..inputs.div_ceil(WORLD),
    };
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let mut most_held = 0;
    for seed in worlds {
        let world = std::panic::catch_unwind(|| fuzz(seed, WORLD));
        let world = world.unwrap_or_else(|_| panic!("repeat with: KEFU_FUZZ_SEED={seed} scripts/test bad_input"));
        most_held = most_held.max(world.most_held);
        for (what, count) in world.counts {
            *counts.entry(what).or_default() += count;
        }
    }
    println!("{counts:#?}\nheld at once: {most_held}; {}", peak());
    // One input at a time, with what it made aggregates ask of each other.
    assert!(most_held <= 200, "{most_held} inputs were held at once");
}

fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("peak memory unknown").to_owned()
}
