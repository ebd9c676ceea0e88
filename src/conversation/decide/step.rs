//! A decision under way.

use crate::{
    aggregate::{CommitMeta, Context, Input},
    conversation::{evolve::evolve, state::State},
};
use kefu_events::{
    Actor, ActorKind, Author, Content, Timestamp, V,
    conversation::{ConversationCommand, ConversationEvent},
    key::contact_key,
    routing::RoutingSettings,
    settings::{TenantSettings, Texts},
};

/// A decision under way: the state as it is after the events made so far, and those events.
pub(super) struct Step<'a> {
    /// The state, every event made so far taken in.
    pub state: State,
    /// How conversations on this channel run.
    pub settings: &'a TenantSettings,
    /// Where they go that name no queue.
    pub routing: &'a RoutingSettings,
    /// Who asks.
    pub actor: Actor,
    /// The time of the decision.
    pub now: Timestamp,
    meta: CommitMeta,
    events: Vec<ConversationEvent>,
    made: u32,
}

impl<'a> Step<'a> {
    pub fn new(state: &State, input: &Input<ConversationCommand>, context: &Context<'a>) -> Self {
        let (actor, channel) = match input {
            Input::Message(message) => {
                let contact = contact_key(&message.channel, &message.sender.id);
                (Actor::new(ActorKind::Customer, contact), &message.channel)
            }
            Input::Command(header, _) => (header.actor.clone(), &state.channel),
        };
        let meta = CommitMeta {
            at: context.now,
            actor: actor.clone(),
            version: context.version + 1,
            key: context.key.to_owned(),
            commit_id: context.commit_id.to_owned(),
        };
        let settings = context.settings.for_channel(channel);
        let routing = &*context.settings.routing;
        Self { state: state.clone(), settings, routing, actor, now: context.now, meta, events: Vec::new(), made: 0 }
    }

    pub fn into_events(self) -> Vec<ConversationEvent> {
        self.events
    }

    /// Makes an event and takes it in.
    pub fn emit(&mut self, event: ConversationEvent) {
        evolve(&mut self.state, &self.meta, &event);
        self.events.push(event);
    }

    /// A name for something that this decision makes, unique for ever.
    pub fn new_id(&mut self) -> String {
        self.made += 1;
        format!("{}-{}", self.meta.commit_id, self.made)
    }

    /// Sends one of the tenant's texts; an empty one is not sent.
    pub fn say(&mut self, text: impl FnOnce(&'a Texts) -> &'a str) {
        let text = text(&self.settings.texts);
        self.say_text(text);
    }

    /// Sends a text in the tenant's name; an empty one is not sent.
    pub fn say_text(&mut self, text: &str) {
        if !text.trim().is_empty() {
            self.send(Author::system(), Content::text(text), None);
        }
    }

    /// Sends a message to the customer.
    pub fn send(&mut self, author: Author, content: Content, reply_to: Option<String>) {
        let id = self.new_id();
        self.emit(ConversationEvent::MessageSent {
            v: V,
            session: self.state.sessions,
            id,
            channel: self.state.channel.clone(),
            thread: self.state.thread.clone(),
            author,
            content,
            reply_to,
        });
    }

    /// It is the customer's turn: silence is not waited out for ever.
    pub fn await_customer(&mut self) {
        let prompt_after_s = self.settings.inactivity.prompt_after_s;
        if prompt_after_s > 0 {
            let prompt_at = self.after(prompt_after_s);
            self.emit(ConversationEvent::CustomerAwaited { v: V, prompt_at });
        }
    }

    /// The moment so many seconds from now.
    pub fn after(&self, seconds: u32) -> Timestamp {
        self.now.plus_seconds(i64::from(seconds))
    }
}
