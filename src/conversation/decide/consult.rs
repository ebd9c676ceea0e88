//! A colleague helps, who reads along and writes notes.

use super::{
    refuse::{active, check_agent, check_note, invalid, wrong_state},
    step::Step,
};
use kefu_events::{ActorKind, Refusal, V, conversation::ConversationEvent};

pub(super) fn start(step: &mut Step, with: &str, note: Option<&str>) -> Result<(), Refusal> {
    let active = active(step)?;
    check_agent(with)?;
    check_note(note)?;
    if with == active.holder.agent {
        return Err(invalid("nobody consults themselves"));
    }
    if let Some(colleague) = &active.consult {
        return Err(wrong_state(&step.state, &format!("the consultation of {colleague} to be ended first")));
    }
    let agent = active.holder.agent.clone();
    let note = note.map(str::to_owned);
    step.emit(ConversationEvent::ConsultStarted { v: V, agent, with: with.to_owned(), note, joined: false });
    Ok(())
}

/// A supervisor reads along. The agent keeps the conversation, and sees who is there.
pub(super) fn join(step: &mut Step) -> Result<(), Refusal> {
    let Some(active) = step.state.active() else {
        return Err(wrong_state(&step.state, "an agent who has it"));
    };
    let agent = active.holder.agent.clone();
    if agent == step.actor.id {
        return Err(Refusal::new("unchanged", "you have this conversation yourself"));
    }
    if let Some(colleague) = &active.consult {
        return Err(wrong_state(&step.state, &format!("the consultation of {colleague} to be ended first")));
    }
    let with = step.actor.id.clone();
    step.emit(ConversationEvent::ConsultStarted { v: V, agent, with, note: None, joined: true });
    Ok(())
}

/// Ends it: the agent, or the colleague.
pub(super) fn end(step: &mut Step) -> Result<(), Refusal> {
    let colleague = step.state.active().and_then(|active| active.consult.clone());
    let is_colleague = step.actor.kind == ActorKind::Agent && colleague.as_ref() == Some(&step.actor.id);
    if !is_colleague {
        active(step)?;
    }
    if colleague.is_none() {
        return Err(wrong_state(&step.state, "a colleague who is consulted"));
    }
    end_if_any(step);
    Ok(())
}

/// Ends it, if there is one: the conversation leaves the agent who asked.
pub(super) fn end_if_any(step: &mut Step) {
    if let Some(with) = step.state.active().and_then(|active| active.consult.clone()) {
        step.emit(ConversationEvent::ConsultEnded { v: V, with });
    }
}
