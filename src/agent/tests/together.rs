//! Agents and conversations together, as their commits' effects bring them into contact: with commands that overtake one
//! another, or get lost for good, which the runtime does not let happen and deadlines have to make good all the same.

use super::{Agent, SlotPhase, State};
use crate::{
    agent::timer,
    aggregate::{Aggregate, CommitMeta, Context, Effect, Input, TenantConfig},
    conversation::{self, Conversation, state::Phase},
};
use kefu_events::{
    Actor, ActorKind, AggregateKind, CommandHeader, CommandRefused, Commit, Content, Inbound, Quarantined, Sender,
    Timestamp, V, key::conversation_key,
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, VecDeque};

const AGENTS: [&str; 2] = ["ann", "bob"];
const THREADS: [&str; 4] = ["t0", "t1", "t2", "t3"];

type Receiver = (AggregateKind, String);

/// All of them, with the commands between them.
struct World {
    agents: BTreeMap<String, State>,
    conversations: BTreeMap<String, conversation::State>,
    /// Commands under way, by receiver.
    queues: BTreeMap<Receiver, VecDeque<Value>>,
    now: Timestamp,
    config: TenantConfig,
    commits: u64,
}

fn key(thread: usize) -> String {
    conversation_key("web", THREADS[thread])
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            agents: AGENTS.map(|agent| (agent.to_owned(), State::default())).into(),
            conversations: (0..THREADS.len()).map(|thread| (key(thread), conversation::State::default())).collect(),
            queues: BTreeMap::new(),
            now: "2026-11-22T12:00:00Z".parse().unwrap(),
            config: TenantConfig::default(),
            commits: 0,
        };
        for agent in AGENTS {
            for body in [
                json!({"type": "register", "name": agent}),
                json!({"type": "set_capacity", "slots": 2}),
                json!({"type": "set_presence", "online": true}),
                json!({"type": "set_status", "status": "available"}),
            ] {
                world.ask(AggregateKind::Agent, agent, body);
            }
        }
        (0..THREADS.len()).for_each(|thread| world.says(thread, Content::text("human")));
        world
    }

    fn says(&mut self, thread: usize, content: Content) {
        let message = Inbound {
            id: format!("m{}", self.commits),
            channel: "web".to_owned(),
            thread: THREADS[thread].to_owned(),
            sender: Sender { id: "p".to_owned(), name: None },
            sent_at: self.now,
            content,
            metadata: Map::new(),
        };
        let state = self.conversations.remove(&key(thread)).unwrap();
        self.decide::<Conversation>(&key(thread), state, &Input::Message(message));
    }

    fn ask(&mut self, kind: AggregateKind, key: &str, mut body: Value) {
        body["v"] = json!(1);
        let header = CommandHeader {
            id: format!("command-{}", self.commits),
            aggregate: kind,
            key: key.to_owned(),
            expected_version: None,
            actor: Actor::new(ActorKind::System, "test"),
            at: self.now,
            correlation: None,
        };
        if kind == AggregateKind::Agent {
            let state = self.agents.remove(key).unwrap();
            let command = serde_json::from_value(body).unwrap();
            self.decide::<Agent>(key, state, &Input::Command(header, command));
        } else {
            let state = self.conversations.remove(key).unwrap();
            let command = serde_json::from_value(body).unwrap();
            self.decide::<Conversation>(key, state, &Input::Command(header, command));
        }
    }

    fn decide<A: Aggregate>(&mut self, key: &str, state: A::State, input: &Input<A::Command>)
    where
        Self: Keeps<A>,
    {
        let commit_id = format!("c{}", self.commits);
        let config = self.config.clone();
        let context = Context {
            tenant: "demo",
            key,
            version: 0,
            now: self.now,
            commit_id: &commit_id,
            settings: &config,
            found: &[],
        };
        let events = A::decide(&state, input, &context).unwrap_or_else(|refusal| {
            let (command, command_type) = ("command".to_owned(), "test".to_owned());
            A::refuse(&state, input, CommandRefused { v: V, command, command_type, refusal })
        });
        self.commit::<A>(key, state, events);
    }

    fn commit<A: Aggregate>(&mut self, key: &str, mut state: A::State, events: Vec<A::Event>)
    where
        Self: Keeps<A>,
    {
        let commit = Commit {
            commit_id: format!("c{}", self.commits),
            tenant: "demo".to_owned(),
            aggregate: A::KIND,
            key: key.to_owned(),
            version: 1,
            at: self.now,
            actor: Actor::new(ActorKind::System, "test"),
            contact: None,
            concerns: kefu_events::Concerns::default(),
            cause: String::new(),
            cause_seq: 1,
            correlation: String::new(),
            events,
        };
        for event in &commit.events {
            A::evolve(&mut state, &CommitMeta::of(&commit), event);
        }
        self.commits += 1;
        self.keep(key, state);
        for effect in A::effects(&commit) {
            // Replies and contacts are not of interest here.
            if let Effect::Command {
                aggregate: kind @ (AggregateKind::Agent | AggregateKind::Conversation),
                key,
                body,
            } = effect
            {
                self.queues.entry((kind, key)).or_default().push_back(body.value());
            }
        }
    }

    /// The receivers for whom something is under way.
    fn waiting(&self) -> Vec<Receiver> {
        let waiting = self.queues.iter().filter(|(_, queue)| !queue.is_empty());
        waiting.map(|(receiver, _)| receiver.clone()).collect()
    }

    /// Takes a command out of one of the queues, the first or the one behind it.
    fn take(&mut self, pick: usize, overtakes: bool) -> Option<(Receiver, Value)> {
        let waiting = self.waiting();
        let receiver = waiting.get(pick % waiting.len().max(1))?.clone();
        let queue = self.queues.get_mut(&receiver)?;
        let body = queue.remove(usize::from(overtakes && queue.len() > 1))?;
        Some((receiver, body))
    }

    fn deliver(&mut self, pick: usize, overtakes: bool) -> bool {
        let Some(((kind, key), body)) = self.take(pick, overtakes) else { return false };
        self.ask(kind, &key, body);
        true
    }

    fn settle(&mut self) {
        for _ in 0..100_000 {
            if !self.deliver(0, false) {
                return;
            }
        }
        panic!("they never come to rest: {:?}", self.queues);
    }

    /// Lets the deadline of this number pass, of all that there are.
    fn fires(&mut self, pick: usize) {
        let agents = self.agents.iter().flat_map(|(key, state)| {
            Agent::deadlines(state).into_iter().map(move |deadline| (AggregateKind::Agent, key.clone(), deadline))
        });
        let conversations = self.conversations.iter().flat_map(|(key, state)| {
            let all = Conversation::deadlines(state).into_iter();
            all.map(move |deadline| (AggregateKind::Conversation, key.clone(), deadline))
        });
        let all: Vec<_> = agents.chain(conversations).collect();
        let Some((kind, key, deadline)) = all.get(pick % all.len().max(1)).cloned() else { return };
        self.now = self.now.max(deadline.due);
        self.ask(kind, &key, json!({"type": "timer_fired", "timer": deadline.timer, "due": deadline.due}));
    }

    /// What conversations hold: reservation → agent, and how far it is.
    fn held(&self) -> BTreeMap<String, (String, SlotPhase)> {
        let held = self.conversations.values().filter_map(|state| {
            let phase = match state.phase()? {
                Phase::Offered(..) => SlotPhase::Reserved,
                Phase::Active(_) => SlotPhase::Occupied,
                Phase::WrapUp(..) => SlotPhase::WrapUp,
                Phase::Bot(_) | Phase::Queued(_) => return None,
            };
            let holder = state.holder()?;
            Some((holder.reservation.clone()?, (holder.agent.clone(), phase)))
        });
        held.collect()
    }

    /// At every moment: nobody has, or is asked to take, what holds no slot.
    fn assert_safe(&self) {
        for (reservation, (agent, _)) in self.held() {
            let held = self.agents[&agent].held.get(&reservation);
            assert!(held.is_some(), "{reservation} of {agent} holds no slot: {:?}", self.agents[&agent]);
        }
        for state in self.agents.values() {
            assert!(state.in_use() <= state.slots, "above capacity: {state:?}");
        }
    }

    /// At rest, and once every slot has been asked about: what agents hold is what conversations hold.
    fn assert_agreement(&self) {
        let by_agents = self.agents.iter().flat_map(|(agent, state)| {
            state.held.iter().map(|(reservation, slot)| (reservation.clone(), (agent.clone(), slot.phase)))
        });
        assert_eq!(by_agents.collect::<BTreeMap<_, _>>(), self.held());
    }
}

/// Where a state is kept.
trait Keeps<A: Aggregate> {
    fn keep(&mut self, key: &str, state: A::State);
}

impl Keeps<Agent> for World {
    fn keep(&mut self, key: &str, state: State) {
        self.agents.insert(key.to_owned(), state);
    }
}

impl Keeps<Conversation> for World {
    fn keep(&mut self, key: &str, state: conversation::State) {
        self.conversations.insert(key.to_owned(), state);
    }
}

#[derive(Debug, Clone)]
enum Deed {
    Reserves { agent: usize, thread: usize, ttl_s: u32 },
    Delivers { pick: usize, overtakes: bool },
    Loses(usize),
    Fires(usize),
    Tells { agent: usize, body: Value },
    Does { thread: usize, body: Value },
    Says(usize, bool),
    SetsAside { agent: bool, pick: usize },
}

fn deeds() -> impl Strategy<Value = Deed> {
    let telling = prop::sample::select(vec![
        json!({"type": "set_presence", "online": false}),
        json!({"type": "set_presence", "online": true}),
        json!({"type": "set_status", "status": "available"}),
        json!({"type": "set_status", "status": "available"}),
        json!({"type": "set_status", "status": "offline"}),
    ]);
    let doing = prop::sample::select(vec![
        json!({"type": "accept"}),
        json!({"type": "accept"}),
        json!({"type": "accept"}),
        json!({"type": "reject"}),
        json!({"type": "rescind", "reason": "reassigned"}),
        json!({"type": "wrap_up"}),
        json!({"type": "resume"}),
        json!({"type": "close"}),
        json!({"type": "transfer", "to": {"agent": "bob"}}),
        json!({"type": "transfer", "to": {"queue": "default"}}),
        json!({"type": "return_to_bot"}),
    ]);
    prop_oneof![
        6 => (0usize..2, 0usize..4, 1u32..90).prop_map(|(agent, thread, ttl_s)| Deed::Reserves { agent, thread, ttl_s }),
        12 => (0usize..8, prop::bool::weighted(0.2)).prop_map(|(pick, overtakes)| Deed::Delivers { pick, overtakes }),
        1 => (0usize..8).prop_map(Deed::Loses),
        3 => (0usize..12).prop_map(Deed::Fires),
        2 => (0usize..2, telling).prop_map(|(agent, body)| Deed::Tells { agent, body }),
        6 => (0usize..4, doing).prop_map(|(thread, body)| Deed::Does { thread, body }),
        2 => (0usize..4, prop::bool::weighted(0.8)).prop_map(|(thread, writes)| Deed::Says(thread, writes)),
        1 => (any::<bool>(), 0usize..4).prop_map(|(agent, pick)| Deed::SetsAside { agent, pick }),
    ]
}

fn do_it(world: &mut World, number: usize, deed: Deed) {
    match deed {
        Deed::Reserves { agent, thread, ttl_s } => {
            let session = world.conversations[&key(thread)].sessions;
            let body = json!({"type": "reserve_slot", "reservation": format!("r{number}"), "conversation": key(thread),
                              "session": session, "weight": 1, "ttl_s": ttl_s});
            world.ask(AggregateKind::Agent, AGENTS[agent], body);
        }
        Deed::Delivers { pick, overtakes } => drop(world.deliver(pick, overtakes)),
        Deed::Loses(pick) => drop(world.take(pick, false)),
        Deed::Fires(pick) => world.fires(pick),
        Deed::Tells { agent, body } => world.ask(AggregateKind::Agent, AGENTS[agent], body),
        Deed::Does { thread, body } => world.ask(AggregateKind::Conversation, &key(thread), body),
        Deed::Says(thread, true) => world.says(thread, Content::text("human")),
        Deed::Says(thread, false) => world.says(thread, Content::Left),
        Deed::SetsAside { agent, pick } => {
            let quarantined = Quarantined { v: V, input: "x".to_owned(), error: "boom".to_owned() };
            if agent {
                let agent = AGENTS[pick % AGENTS.len()];
                let state = world.agents.remove(agent).unwrap();
                let events = Agent::set_aside(&state, quarantined);
                world.commit::<Agent>(agent, state, events);
            } else {
                let state = world.conversations.remove(&key(pick)).unwrap();
                let events = Conversation::set_aside(&state, quarantined);
                world.commit::<Conversation>(&key(pick), state, events);
            }
        }
    }
}

proptest! {
    /// Whatever is asked, overtaken and lost: nobody ever has what holds no slot, and once the deadlines have asked, both
    /// sides say the same.
    #[test]
    fn agents_and_conversations_agree(deeds in prop::collection::vec(deeds(), 1..150)) {
        let mut world = World::new();
        for (number, deed) in deeds.into_iter().enumerate() {
            do_it(&mut world, number, deed);
            world.assert_safe();
        }
        world.settle();
        // Each slot is asked about, which takes a day where it is occupied; nothing is lost any more.
        for agent in AGENTS {
            let slots = world.agents[agent].held.len();
            for _ in 0..slots {
                let all = Agent::deadlines(&world.agents[agent]);
                let Some(due) = all.iter().find(|it| it.timer == timer::QUESTION).map(|it| it.due) else { continue };
                world.now = world.now.max(due).plus_seconds(86_400);
                let fired = json!({"type": "timer_fired", "timer": timer::QUESTION, "due": due});
                world.ask(AggregateKind::Agent, agent, fired);
                world.settle();
                world.assert_safe();
            }
        }
        world.assert_agreement();
    }
}
