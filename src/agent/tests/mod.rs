//! Given, when, then. Every commit that a test makes goes through JSON and back, and must mean the same afterwards.

mod properties;
mod scenarios;
mod table;
mod together;

use super::{Agent, SlotPhase, State};
use crate::aggregate::{Aggregate, CommitMeta, Context, Deadline, Effect, Input, TenantConfig};
use kefu_events::{
    Actor, ActorKind, AggregateKind, CommandHeader, CommandRefused, Commit, Quarantined, Refusal, Timestamp, V,
    agent::{AgentCommand as Command, AgentEvent as Event},
    settings::TenantSettings,
};
use serde_json::{Value, json};
use std::sync::Arc;

const KEY: &str = "ann";

fn actor(kind: ActorKind) -> Actor {
    Actor::new(kind, if kind == ActorKind::Agent { KEY } else { "test" })
}

/// What one command led to.
#[derive(Debug, Clone)]
struct Outcome {
    events: Vec<Event>,
    effects: Vec<Effect>,
    refusal: Option<Refusal>,
}

impl Outcome {
    /// Types of the events, in order.
    fn types(&self) -> Vec<String> {
        let type_of = |event| serde_json::to_value(event).unwrap()["type"].as_str().unwrap().to_owned();
        self.events.iter().map(type_of).collect()
    }

    fn code(&self) -> Option<&str> {
        self.refusal.as_ref().map(|refusal| refusal.code.as_str())
    }

    /// `type reservation → conversation` of each command that follows.
    fn asks(&self) -> Vec<String> {
        let asks = self.effects.iter().map(|effect| match effect {
            Effect::Command { aggregate: AggregateKind::Conversation, key, body } => {
                let body = body.value();
                assert!(body.get("agent").is_none_or(|agent| agent == KEY), "{body}");
                let text = |name: &str| body[name].as_str().unwrap_or("?").to_owned();
                format!("{} {} → {key}", text("type"), text("reservation"))
            }
            other => panic!("{other:?}"),
        });
        asks.collect()
    }
}

/// One agent with a clock.
#[derive(Clone)]
struct World {
    state: State,
    version: u64,
    now: Timestamp,
    config: TenantConfig,
}

impl World {
    /// Nobody, yet.
    fn nobody() -> Self {
        let now = "2026-11-22T12:00:00Z".parse().unwrap();
        let mut world = Self { state: State::default(), version: 0, now, config: TenantConfig::default() };
        world.configure(json!({}));
        world
    }

    fn configure(&mut self, settings: Value) {
        let settings: TenantSettings = serde_json::from_value(settings).unwrap();
        self.config.tenant = Arc::new(settings);
    }

    /// Registered, with 3 slots, neither online nor available.
    fn registered() -> Self {
        let mut world = Self::nobody();
        world.does(ActorKind::System, json!({"type": "register", "name": "Ann"}));
        world
    }

    /// Registered, online and available.
    fn ready() -> Self {
        let mut world = Self::registered();
        world.does(ActorKind::Agent, json!({"type": "set_presence", "online": true}));
        world.does(ActorKind::Agent, json!({"type": "set_status", "status": "available"}));
        world
    }

    /// The slot `r1` is reserved for `c1`.
    fn reserved() -> Self {
        let mut world = Self::ready();
        world.does(ActorKind::Scheduler, reserve("r1", 1));
        world
    }

    fn occupied() -> Self {
        let mut world = Self::reserved();
        world.does(ActorKind::System, about("occupy_slot", "r1"));
        world
    }

    fn wrap_up() -> Self {
        let mut world = Self::occupied();
        world.does(ActorKind::System, about("start_wrap_up", "r1"));
        world
    }

    fn later(&mut self, seconds: i64) -> &mut Self {
        self.now = self.now.plus_seconds(seconds);
        self
    }

    fn asks(&mut self, by: ActorKind, body: Value) -> Outcome {
        self.asks_as(actor(by), body)
    }

    fn asks_as(&mut self, actor: Actor, mut body: Value) -> Outcome {
        body["v"] = json!(1);
        let command: Command = serde_json::from_value(body.clone()).unwrap_or_else(|error| panic!("{body}: {error}"));
        self.command(actor, command)
    }

    /// As [`asks`](Self::asks), and it must be done.
    fn does(&mut self, by: ActorKind, body: Value) -> Outcome {
        let outcome = self.asks(by, body.clone());
        assert!(outcome.refusal.is_none(), "{body}: {outcome:?}");
        outcome
    }

    fn deadlines(&self) -> Vec<Deadline> {
        Agent::deadlines(&self.state)
    }

    fn due(&self, timer: &str) -> Option<Timestamp> {
        self.deadlines().into_iter().find(|deadline| deadline.timer == timer).map(|deadline| deadline.due)
    }

    /// Lets the time come that this deadline names, and tells the agent.
    fn fires(&mut self, timer: &str) -> Outcome {
        let due = self.due(timer).unwrap_or_else(|| panic!("no {timer} in {:?}", self.deadlines()));
        self.now = self.now.max(due);
        let outcome = self.command(actor(ActorKind::Timer), Agent::timer_fired(timer, due).unwrap());
        assert!(outcome.refusal.is_none(), "{timer}: {outcome:?}");
        outcome
    }

    fn phase(&self, reservation: &str) -> Option<SlotPhase> {
        self.state.held.get(reservation).map(|slot| slot.phase)
    }

    /// One commit, as the runtime makes it.
    fn command(&mut self, actor: Actor, command: Command) -> Outcome {
        let header = CommandHeader {
            id: format!("command-{}", self.version + 1),
            aggregate: AggregateKind::Agent,
            key: KEY.to_owned(),
            expected_version: None,
            actor: actor.clone(),
            at: self.now,
            correlation: None,
        };
        let input = Input::Command(header, command);
        let commit_id = format!("c{}", self.version + 1);
        let context = Context {
            tenant: "demo",
            key: KEY,
            version: self.version,
            now: self.now,
            commit_id: &commit_id,
            settings: &self.config,
            found: &[],
        };
        let decided = Agent::decide(&self.state, &input, &context);
        assert_eq!(decided, Agent::decide(&self.state, &input, &context), "deciding is deterministic");
        let refusal = decided.as_ref().err().cloned();
        let events = decided.unwrap_or_else(|refusal| {
            let (command, command_type) = ("command".to_owned(), "test".to_owned());
            Agent::refuse(&self.state, &input, CommandRefused { v: V, command, command_type, refusal })
        });
        assert!(!events.is_empty(), "a decision has events: {input:?}");
        self.commit(actor, events, refusal)
    }

    fn quarantine(&mut self) -> Outcome {
        let quarantined = Quarantined { v: V, input: "x".to_owned(), error: "boom".to_owned() };
        let events = Agent::set_aside(&self.state, quarantined);
        self.commit(actor(ActorKind::System), events, None)
    }

    fn commit(&mut self, actor: Actor, events: Vec<Event>, refusal: Option<Refusal>) -> Outcome {
        let commit = Commit {
            commit_id: format!("c{}", self.version + 1),
            tenant: "demo".to_owned(),
            aggregate: AggregateKind::Agent,
            key: KEY.to_owned(),
            version: self.version + 1,
            at: self.now,
            actor,
            contact: None,
            concerns: kefu_events::Concerns::default(),
            cause: String::new(),
            cause_seq: 1,
            correlation: String::new(),
            events,
        };
        let read: Commit<Event> = serde_json::from_slice(&serde_json::to_vec(&commit).unwrap()).unwrap();
        assert_eq!(read, commit, "a commit is the same after the log");
        let effects = Agent::effects(&commit);
        assert_eq!(Agent::effects(&read), effects, "effects are a function of the commit alone");
        for event in &commit.events {
            Agent::evolve(&mut self.state, &CommitMeta::of(&commit), event);
        }
        self.version += 1;
        let snapshot: State = serde_json::from_slice(&serde_json::to_vec(&self.state).unwrap()).unwrap();
        assert_eq!(snapshot, self.state, "a state is the same after a snapshot");
        Outcome { events: commit.events, effects, refusal }
    }
}

/// Slots for the conversation of the same number: `r1` for `c1`.
fn reserve(reservation: &str, weight: u32) -> Value {
    let conversation = reservation.replace('r', "c");
    json!({"type": "reserve_slot", "reservation": reservation, "conversation": conversation, "session": 1,
           "weight": weight})
}

/// A command about a reservation.
fn about(what: &str, reservation: &str) -> Value {
    json!({"type": what, "reservation": reservation, "conversation": reservation.replace('r', "c"), "reason": "stuck"})
}
