//! What is written about a conversation, beside it.

use super::{
    refuse::{check_note, invalid, served, wrong_state},
    step::Step,
};
use crate::conversation::state::MAX_TAGS;
use kefu_events::{ActorKind, Refusal, V, conversation::ConversationEvent};

const MAX_CODE_CHARS: usize = 100;

/// A remark: anybody's, at any time, also when the session is over.
pub(super) fn note(step: &mut Step, text: &str) -> Result<(), Refusal> {
    check_note(Some(text))?;
    if text.trim().is_empty() {
        return Err(invalid("the note is empty"));
    }
    let by = step.actor.id.clone();
    step.emit(ConversationEvent::Noted { v: V, by, text: text.to_owned() });
    Ok(())
}

pub(super) fn tag(step: &mut Step, tags: &[String]) -> Result<(), Refusal> {
    let mut new: Vec<String> = Vec::new();
    for tag in tags {
        check_code("a tag", tag)?;
        if !step.state.tags.contains(tag) && !new.contains(tag) {
            new.push(tag.clone());
        }
    }
    if new.is_empty() {
        return Err(Refusal::new("unchanged", "it has these tags already"));
    }
    if step.state.tags.len() + new.len() > MAX_TAGS {
        return Err(invalid(format!("a conversation has at most {MAX_TAGS} tags")));
    }
    step.emit(ConversationEvent::Tagged { v: V, tags: new });
    Ok(())
}

pub(super) fn untag(step: &mut Step, tags: &[String]) -> Result<(), Refusal> {
    let gone: Vec<String> = step.state.tags.iter().filter(|tag| tags.contains(tag)).cloned().collect();
    if gone.is_empty() {
        return Err(Refusal::new("unchanged", "it has none of these tags"));
    }
    step.emit(ConversationEvent::Untagged { v: V, tags: gone });
    Ok(())
}

/// While an agent has it, or afterwards by the agent who had it, until the next session: a session that silence has
/// ended has no wrap-up.
pub(super) fn set_disposition(step: &mut Step, code: &str, note: Option<&str>) -> Result<(), Refusal> {
    if let Some(closed) = &step.state.closed {
        let Some(agent) = &closed.agent else {
            return Err(wrong_state(&step.state, "a session that an agent had"));
        };
        if step.actor.kind == ActorKind::Agent && step.actor.id != *agent {
            return Err(Refusal::new("not_yours", format!("{agent} had this conversation")));
        }
    } else {
        served(step)?;
    }
    check_code("a disposition", code)?;
    check_note(note)?;
    let known = &step.settings.dispositions;
    if !known.is_empty() && !known.iter().any(|known| known == code) {
        return Err(invalid(format!("there is no disposition {code:?}; there are: {}", known.join(", "))));
    }
    step.emit(ConversationEvent::DispositionSet {
        v: V,
        session: step.state.sessions,
        code: code.to_owned(),
        note: note.map(str::to_owned),
    });
    Ok(())
}

fn check_code(what: &str, code: &str) -> Result<(), Refusal> {
    if code.trim().is_empty() || code.chars().count() > MAX_CODE_CHARS {
        return Err(invalid(format!("{what} has 1 to {MAX_CODE_CHARS} characters")));
    }
    Ok(())
}
