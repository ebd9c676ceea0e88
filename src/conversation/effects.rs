//! What follows from a conversation's commit: replies to the customer, word to the contact, slots of agents.

use crate::aggregate::Effect;
use kefu_events::{
    AggregateKind, Commit, Outbound, Sender, V,
    contact::{ContactCommand, Identity},
    conversation::ConversationEvent,
    key::{contact_key, token_of},
};
use serde_json::{Map, Value, json};

pub(super) fn effects(commit: &Commit<ConversationEvent>) -> Vec<Effect> {
    commit.events.iter().filter_map(|event| effect(commit, event)).collect()
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
        Event::OfferAccepted { agent, reservation: Some(reservation), .. } => {
            Some(slot(commit, agent, reservation, "occupy_slot"))
        }
        Event::OfferRejected { agent, reservation: Some(reservation), .. }
        | Event::OfferTimedOut { agent, reservation: Some(reservation), .. }
        | Event::OfferRescinded { agent, reservation: Some(reservation), .. }
        | Event::OfferRefused { agent, reservation, .. }
        | Event::Transferred { from: agent, reservation: Some(reservation), .. }
        | Event::ReturnedToBot { from: Some(agent), reservation: Some(reservation), .. }
        | Event::SessionClosed { agent: Some(agent), reservation: Some(reservation), .. } => {
            Some(slot(commit, agent, reservation, "release_slot"))
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
        // Cannot fail: no map in it has keys other than strings.
        body: serde_json::to_value(command).unwrap_or_default(),
    }
}

fn slot(commit: &Commit<ConversationEvent>, agent: &str, reservation: &str, command: &str) -> Effect {
    Effect::Command {
        aggregate: AggregateKind::Agent,
        key: token_of(agent),
        body: json!({"type": command, "v": 1, "reservation": reservation, "conversation": commit.key}),
    }
}
