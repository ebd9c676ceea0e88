//! Whom of the tenant's people a commit concerns: those before it, and those that its events name.

use super::state::{Phase, State};
use kefu_events::{
    Concerns,
    conversation::{ConversationEvent, Target},
};
use std::collections::BTreeSet;

pub(super) fn concerns(before: &State, events: &[ConversationEvent]) -> Concerns {
    let (mut queues, mut agents) = (BTreeSet::new(), BTreeSet::new());
    if let Some(session) = &before.session {
        queues.extend(session.queue.as_deref());
        agents.extend(before.holder().map(|holder| holder.agent.as_str()));
        match &session.phase {
            Phase::Queued(waiting) | Phase::Offered(waiting, _) => agents.extend(waiting.agent.as_deref()),
            Phase::Active(active) => agents.extend(active.consult.as_deref()),
            Phase::Bot(_) | Phase::WrapUp(..) => {}
        }
    } else if let Some(closed) = &before.closed
        && !events.iter().any(|event| matches!(event, ConversationEvent::SessionOpened { .. }))
    {
        queues.extend(closed.queue.as_deref());
        agents.extend(closed.agent.as_deref());
    }
    for event in events {
        named(event, &mut queues, &mut agents);
    }
    let owned = |names: BTreeSet<&str>| names.into_iter().map(str::to_owned).collect();
    Concerns { queues: owned(queues), agents: owned(agents) }
}

/// Queues and agents that come in by an event; those who go were there before.
fn named<'a>(event: &'a ConversationEvent, queues: &mut BTreeSet<&'a str>, agents: &mut BTreeSet<&'a str>) {
    use ConversationEvent as Event;
    match event {
        Event::Queued { queue, agent, .. } => {
            queues.insert(queue);
            agents.extend(agent.as_deref());
        }
        Event::OfferMade { agent, .. } | Event::TakenOver { agent, .. } => {
            agents.insert(agent);
        }
        Event::ConsultStarted { with, .. } => {
            agents.insert(with);
        }
        Event::Transferred { to: Target::Agent(agent), .. } => {
            agents.insert(agent);
        }
        _ => {}
    }
}
