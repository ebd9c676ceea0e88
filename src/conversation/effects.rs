//! What follows from a conversation's commit: replies to the customer, word to the contact, slots of agents.

use crate::aggregate::Effect;
use kefu_events::{
    AggregateKind, Commit, Json, Outbound, Sender, V,
    agent::AgentCommand,
    contact::{ContactCommand, Identity},
    conversation::{ConversationEvent, Held},
    faq::{FaqCommand, Feedback},
    key::{contact_key, token_of},
};
use serde_json::{Map, Value};

pub(super) fn effects(commit: &Commit<ConversationEvent>) -> Vec<Effect> {
    let rated = commit.events.iter().flat_map(|event| match event {
        ConversationEvent::AnswerRated { helpful, entries, .. } => feedback(commit, *helpful, entries),
        _ => Vec::new(),
    });
    commit.events.iter().filter_map(|event| effect(commit, event)).chain(rated).collect()
}

fn effect(commit: &Commit<ConversationEvent>, event: &ConversationEvent) -> Option<Effect> {
    use ConversationEvent as Event;
    match event {
        Event::MessageSent { session, id, channel, thread, author, content, reply_to, .. } => {
            Some(Effect::Reply(Outbound {
                id: id.clone(),
                tenant: commit.tenant.clone(),
                channel: channel.clone(),
                thread: thread.clone(),
                key: commit.key.clone(),
                session: *session,
                at: commit.at,
                author: author.clone(),
                content: content.clone(),
                reply_to: reply_to.clone(),
            }))
        }
        Event::SessionOpened { channel, sender, .. } => {
            let received = commit.events.iter().find_map(|event| match event {
                Event::MessageReceived { message, .. } => Some(&message.metadata),
                _ => None,
            });
            Some(see(commit, channel, sender, received.cloned().unwrap_or_default()))
        }
        Event::CustomerChanged { channel, sender, metadata, .. } => {
            Some(see(commit, channel, sender, metadata.clone()))
        }
        Event::OfferAccepted { agent, reservation: Some(reservation), .. } => Some(occupy(commit, agent, reservation)),
        // With no time for it, the session is closed in the same breath.
        Event::WrapUpStarted { agent, reservation: Some(reservation), .. } if !closes(commit) => {
            Some(start_wrap_up(commit, agent, reservation))
        }
        Event::Reactivated { agent, reservation: Some(reservation), .. } => Some(occupy(commit, agent, reservation)),
        Event::ReservationChecked { agent, reservation, held, .. } => match held {
            Held::No => Some(release(commit, agent, reservation, false)),
            // The agent's side asks again, and the offer has a deadline here.
            Held::Offered => None,
            Held::Active => Some(occupy(commit, agent, reservation)),
            Held::WrapUp => Some(start_wrap_up(commit, agent, reservation)),
        },
        Event::OfferRejected { agent, reservation: Some(reservation), .. }
        | Event::OfferTimedOut { agent, reservation: Some(reservation), .. }
        | Event::OfferRescinded { agent, reservation: Some(reservation), .. }
        | Event::OfferRefused { agent, reservation, .. }
        | Event::Transferred { from: agent, reservation: Some(reservation), .. }
        | Event::TakenOver { from: Some(agent), reservation: Some(reservation), .. }
        | Event::ReturnedToBot { from: Some(agent), reservation: Some(reservation), .. } => {
            Some(release(commit, agent, reservation, false))
        }
        Event::SessionClosed { agent: Some(agent), reservation: Some(reservation), .. } => {
            Some(release(commit, agent, reservation, true))
        }
        Event::SatisfactionRated { session, score, agent: Some(agent), practice: Some(practice), .. } => {
            let (conversation, session, score) = (commit.key.clone(), *session, *score);
            Some(slot(agent, AgentCommand::Rate { v: V, conversation, session, score, practice: practice.clone() }))
        }
        _ => None,
    }
}

fn see(commit: &Commit<ConversationEvent>, channel: &str, sender: &Sender, attributes: Map<String, Value>) -> Effect {
    let command = ContactCommand::See {
        v: V,
        identity: Identity { channel: channel.to_owned(), id: sender.id.clone() },
        name: sender.name.clone(),
        attributes,
        conversation: commit.key.clone(),
        via: None,
    };
    Effect::Command {
        aggregate: AggregateKind::Contact,
        key: contact_key(channel, &sender.id),
        body: Json::of(&command),
    }
}

/// Word to the entries that a rated answer rested on.
fn feedback(commit: &Commit<ConversationEvent>, helpful: bool, entries: &[String]) -> Vec<Effect> {
    let feedback = if helpful { Feedback::Helpful } else { Feedback::Unhelpful };
    let command = |entry: &String| {
        let conversation = Some(commit.key.clone());
        let command = FaqCommand::GiveFeedback { v: V, feedback, conversation, entry_version: None };
        Effect::Command { aggregate: AggregateKind::Faq, key: token_of(entry), body: Json::of(&command) }
    };
    entries.iter().map(command).collect()
}

fn closes(commit: &Commit<ConversationEvent>) -> bool {
    commit.events.iter().any(|event| matches!(event, ConversationEvent::SessionClosed { .. }))
}

fn occupy(commit: &Commit<ConversationEvent>, agent: &str, reservation: &str) -> Effect {
    let (reservation, conversation) = (reservation.to_owned(), commit.key.clone());
    slot(agent, AgentCommand::OccupySlot { v: V, reservation, conversation })
}

fn start_wrap_up(commit: &Commit<ConversationEvent>, agent: &str, reservation: &str) -> Effect {
    let (reservation, conversation) = (reservation.to_owned(), Some(commit.key.clone()));
    slot(agent, AgentCommand::StartWrapUp { v: V, reservation, conversation })
}

fn release(commit: &Commit<ConversationEvent>, agent: &str, reservation: &str, completed: bool) -> Effect {
    let (reservation, conversation) = (reservation.to_owned(), commit.key.clone());
    slot(agent, AgentCommand::ReleaseSlot { v: V, reservation, conversation, completed })
}

fn slot(agent: &str, command: AgentCommand) -> Effect {
    Effect::Command { aggregate: AggregateKind::Agent, key: token_of(agent), body: Json::of(&command) }
}
