//! What follows from an agent's commit: word to conversations.

use crate::aggregate::Effect;
use kefu_events::{
    AggregateKind, Commit, Json, V,
    agent::AgentEvent,
    conversation::{ConversationCommand, RescindReason},
};

pub(super) fn effects(commit: &Commit<AgentEvent>) -> Vec<Effect> {
    commit.events.iter().filter_map(|event| effect(commit, event)).collect()
}

fn effect(commit: &Commit<AgentEvent>, event: &AgentEvent) -> Option<Effect> {
    use AgentEvent as Event;
    use ConversationCommand as Command;
    // The agent is named by the key, under which the conversation's answers come back here.
    let agent = || commit.key.clone();
    let (conversation, command) = match event {
        Event::SlotReserved { reservation, conversation, session, decision, practice, .. } => {
            let (reservation, session, decision) = (Some(reservation.clone()), *session, decision.clone());
            let practice = practice.clone();
            (conversation, Command::Offer { v: V, agent: agent(), reservation, session, decision, practice })
        }
        Event::ReservationQuestioned { reservation, conversation, .. } => {
            (conversation, Command::CheckReservation { v: V, agent: agent(), reservation: reservation.clone() })
        }
        Event::ReservationWithdrawn { reservation, conversation, .. } => {
            let (reservation, reason) = (Some(reservation.clone()), RescindReason::AgentGone);
            (conversation, Command::Rescind { v: V, offer: None, reservation, reason })
        }
        _ => return None,
    };
    Some(Effect::Command {
        aggregate: AggregateKind::Conversation,
        key: conversation.clone(),
        body: Json::of(&command),
    })
}
