//! Given, when, then. Every commit that a test makes goes through JSON and back, and must mean the same afterwards.

mod properties;
mod routing;
mod scenarios;
mod supervisors;
mod table;

use super::{Conversation, State, timer};
use crate::aggregate::{Aggregate, CommitMeta, Context, Deadline, Effect, Input, TenantConfig};
use kefu_events::{
    Actor, ActorKind, AggregateKind, CommandHeader, CommandRefused, Commit, Content, Inbound, Outbound, Refusal,
    Sender, Timestamp, V,
    conversation::{ConversationCommand as Command, ConversationEvent as Event},
    key::{contact_key, conversation_key},
    settings::TenantSettings,
};
use serde_json::{Map, Value, json};
use std::sync::Arc;

const CHANNEL: &str = "web";
const THREAD: &str = "thread-1";

/// Who asks, in short.
fn agent(id: &str) -> Actor {
    Actor::new(ActorKind::Agent, id)
}
fn system() -> Actor {
    Actor::new(ActorKind::System, "test")
}
fn scheduler() -> Actor {
    Actor::new(ActorKind::Scheduler, "test")
}
fn bot() -> Actor {
    Actor::new(ActorKind::Bot, "faq")
}

/// A command out of its JSON, without `v`.
fn command(mut body: Value) -> Command {
    body["v"] = json!(1);
    serde_json::from_value(body.clone()).unwrap_or_else(|error| panic!("{body}: {error}"))
}

/// What one input led to.
#[derive(Debug, Clone)]
struct Outcome {
    events: Vec<Event>,
    effects: Vec<Effect>,
    refusal: Option<Refusal>,
}

impl Outcome {
    /// Types of the events, in order.
    fn types(&self) -> Vec<String> {
        self.events.iter().map(type_of).collect()
    }

    fn code(&self) -> Option<&str> {
        self.refusal.as_ref().map(|refusal| refusal.code.as_str())
    }

    fn replies(&self) -> Vec<&Outbound> {
        let replies = self.effects.iter().filter_map(|effect| match effect {
            Effect::Reply(outbound) => Some(outbound),
            Effect::Command { .. } => None,
        });
        replies.collect()
    }

    fn texts(&self) -> Vec<&str> {
        self.replies().into_iter().map(|reply| reply.content.as_text().unwrap_or("?")).collect()
    }

    /// `type reservation → agent` of each command about a slot.
    fn slots(&self) -> Vec<String> {
        let slots = self.effects.iter().filter_map(|effect| match effect {
            Effect::Command { aggregate: AggregateKind::Agent, key, body } => {
                let body = body.value();
                let text = |name: &str| body[name].as_str().unwrap_or("?").to_owned();
                Some(format!("{} {} → {key}", text("type"), text("reservation")))
            }
            _ => None,
        });
        slots.collect()
    }
}

fn type_of(event: &Event) -> String {
    serde_json::to_value(event).unwrap()["type"].as_str().unwrap().to_owned()
}

/// One conversation with its clock.
#[derive(Clone)]
struct World {
    state: State,
    version: u64,
    now: Timestamp,
    config: TenantConfig,
    messages: u32,
}

impl World {
    fn new(settings: Value) -> Self {
        let settings: TenantSettings = serde_json::from_value(settings).unwrap();
        let config = TenantConfig { tenant: Arc::new(settings), ..TenantConfig::default() };
        let now = "2026-11-22T12:00:00Z".parse().unwrap();
        Self { state: State::default(), version: 0, now, config, messages: 0 }
    }

    fn demo() -> Self {
        let texts = json!({"queue_position": "{position}, {minutes} min"});
        Self::new(json!({"queues": ["support", "sales"], "queue_abandon_s": 900, "texts": texts}))
    }

    fn phase(&self) -> &'static str {
        self.state.phase_name()
    }

    fn later(&mut self, seconds: i64) -> &mut Self {
        self.now = self.now.plus_seconds(seconds);
        self
    }

    fn inbound(&mut self, content: Content) -> Inbound {
        self.messages += 1;
        Inbound {
            id: format!("m{}", self.messages),
            channel: CHANNEL.to_owned(),
            thread: THREAD.to_owned(),
            sender: Sender { id: "alice".to_owned(), name: Some("Alice".to_owned()) },
            sent_at: self.now,
            content,
            metadata: Map::new(),
        }
    }

    fn says(&mut self, text: &str) -> Outcome {
        let message = self.inbound(Content::text(text));
        self.message(message)
    }

    fn sends(&mut self, content: Value) -> Outcome {
        let message = self.inbound(serde_json::from_value(content).unwrap());
        self.message(message)
    }

    fn message(&mut self, message: Inbound) -> Outcome {
        let actor = Actor::new(ActorKind::Customer, contact_key(CHANNEL, &message.sender.id));
        let outcome = self.input(actor, &Input::Message(message));
        assert!(outcome.refusal.is_none(), "a customer's message was refused: {outcome:?}");
        outcome
    }

    fn asks(&mut self, actor: Actor, body: Value) -> Outcome {
        self.command(actor, command(body))
    }

    fn command(&mut self, actor: Actor, command: Command) -> Outcome {
        let header = CommandHeader {
            id: format!("command-{}", self.version + 1),
            aggregate: AggregateKind::Conversation,
            key: conversation_key(CHANNEL, THREAD),
            expected_version: None,
            actor: actor.clone(),
            at: self.now,
            correlation: None,
        };
        self.input(actor, &Input::Command(header, command))
    }

    /// As [`asks`](Self::asks), and it must be done.
    fn does(&mut self, actor: Actor, body: Value) -> Outcome {
        let outcome = self.asks(actor, body.clone());
        assert!(outcome.refusal.is_none(), "{body} in {}: {outcome:?}", self.phase());
        outcome
    }

    fn deadlines(&self) -> Vec<Deadline> {
        Conversation::deadlines(&self.state)
    }

    fn due(&self, timer: &str) -> Option<Timestamp> {
        self.deadlines().into_iter().find(|deadline| deadline.timer == timer).map(|deadline| deadline.due)
    }

    /// Lets the time come that this deadline names, and tells the conversation.
    fn fires(&mut self, timer: &str) -> Outcome {
        let due = self.due(timer).unwrap_or_else(|| panic!("no {timer} in {:?}", self.deadlines()));
        self.now = self.now.max(due);
        let command = Conversation::timer_fired(timer, due).unwrap();
        let outcome = self.command(Actor::new(ActorKind::Timer, "timer"), command);
        assert!(outcome.refusal.is_none(), "{timer}: {outcome:?}");
        outcome
    }

    /// One commit, as the runtime makes it.
    fn input(&mut self, actor: Actor, input: &Input<Command>) -> Outcome {
        let commit_id = format!("c{}", self.version + 1);
        let key = conversation_key(CHANNEL, THREAD);
        let context = Context {
            tenant: "demo",
            key: &key,
            version: self.version,
            now: self.now,
            commit_id: &commit_id,
            settings: &self.config,
            found: &[],
        };
        let decided = Conversation::decide(&self.state, input, &context);
        assert_eq!(decided, Conversation::decide(&self.state, input, &context), "deciding is deterministic");
        let refusal = decided.as_ref().err().cloned();
        let events = decided.unwrap_or_else(|refusal| {
            let Input::Command(header, _) = input else { panic!("a message was refused: {refusal:?}") };
            let (command, command_type) = (header.id.clone(), "test".to_owned());
            Conversation::refuse(&self.state, input, CommandRefused { v: V, command, command_type, refusal })
        });
        assert!(!events.is_empty(), "a decision has events: {input:?}");
        self.commit(actor, Some(input), events, refusal)
    }

    fn commit(
        &mut self,
        actor: Actor,
        input: Option<&Input<Command>>,
        events: Vec<Event>,
        refusal: Option<Refusal>,
    ) -> Outcome {
        let commit = Commit {
            commit_id: format!("c{}", self.version + 1),
            tenant: "demo".to_owned(),
            aggregate: AggregateKind::Conversation,
            key: conversation_key(CHANNEL, THREAD),
            version: self.version + 1,
            at: self.now,
            actor,
            contact: Conversation::contact(&self.state, "", input),
            concerns: Conversation::concerns(&self.state, &events),
            cause: String::new(),
            cause_seq: 1,
            correlation: String::new(),
            events,
        };
        let read: Commit<Event> = serde_json::from_slice(&serde_json::to_vec(&commit).unwrap()).unwrap();
        assert_eq!(read, commit, "a commit is the same after the log");
        let effects = Conversation::effects(&commit);
        assert_eq!(Conversation::effects(&read), effects, "effects are a function of the commit alone");
        for event in &commit.events {
            Conversation::evolve(&mut self.state, &CommitMeta::of(&commit), event);
        }
        self.version += 1;
        let snapshot: State = serde_json::from_slice(&serde_json::to_vec(&self.state).unwrap()).unwrap();
        assert_eq!(snapshot, self.state, "a state is the same after a snapshot");
        Outcome { events: commit.events, effects, refusal }
    }

    /// What must hold between any two commits.
    fn assert_sound(&self) {
        let deadlines = self.deadlines();
        let allowed: &[&str] = match self.phase() {
            "bot" => &[timer::ANSWER, timer::INACTIVITY],
            "queued" => &[timer::QUEUE],
            "offered" => &[timer::OFFER],
            "active" => &[timer::SNOOZE, timer::INACTIVITY],
            "wrap_up" => &[timer::WRAP_UP],
            _ => &[],
        };
        for deadline in &deadlines {
            assert!(allowed.contains(&deadline.timer), "{deadline:?} in {}", self.phase());
        }
        // Nothing that kefu waits for itself is without a deadline.
        let needed = ["bot", "offered", "wrap_up"].contains(&self.phase());
        assert!(!needed || !deadlines.is_empty(), "{:?} waits without a deadline", self.state);
        let only_one = deadlines.len() < 2;
        assert!(only_one, "nobody waits for the customer and for something else at once: {deadlines:?}");
        assert_eq!(self.state.session.is_none(), ["new", "closed"].contains(&self.phase()));
        assert_eq!(self.state.closed.is_some(), self.phase() == "closed");
    }

    // Ways to the phases.

    /// A session whose first question is waiting for an answer.
    fn asked(mut self) -> Self {
        self.says("where is my parcel?");
        self
    }

    fn queued(self) -> Self {
        let mut world = self.asked();
        world.fires("answer");
        assert_eq!(world.phase(), "queued");
        world
    }

    fn offered(self) -> Self {
        let mut world = self.queued();
        world.does(scheduler(), json!({"type": "offer", "agent": "ann", "reservation": "r1"}));
        world
    }

    fn active(self) -> Self {
        let mut world = self.offered();
        world.does(agent("ann"), json!({"type": "accept", "name": "Ann"}));
        world
    }

    fn wrap_up(self) -> Self {
        let mut world = self.active();
        world.does(agent("ann"), json!({"type": "wrap_up"}));
        world
    }

    fn closed(self) -> Self {
        let mut world = self.wrap_up();
        world.does(agent("ann"), json!({"type": "close"}));
        world
    }

    fn request(&self) -> String {
        self.state.bot().and_then(|bot| bot.asked.as_ref()).map(|asked| asked.request.clone()).unwrap()
    }
}
