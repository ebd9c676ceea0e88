//! Refusals, and the checks that several commands share.
//!
//! Codes are stable: `not_found`, `not_allowed`, `not_yours`, `wrong_state`, `obsolete`, `too_late`, `invalid`,
//! `unchanged`, `unknown_queue`, `unknown_request`, `no_bot`, `reserved_for`, `not_quarantined`.

use super::step::Step;
use crate::conversation::state::{Active, Holder, Offer, Phase, State, Waiting};
use kefu_events::{ActorKind, Content, Refusal, key::is_token};

/// Characters of a remark for colleagues.
const MAX_NOTE_CHARS: usize = 10_000;

pub(super) fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new("invalid", message)
}

/// The conversation is not where this can be asked.
pub(super) fn wrong_state(state: &State, needed: &str) -> Refusal {
    let who = state.holder().map(|holder| format!(" ({})", holder.agent)).unwrap_or_default();
    Refusal::new("wrong_state", format!("the conversation is {}{who}; this needs {needed}", state.phase_name()))
}

/// Refuses agents other than the one who has the conversation, or is asked to take it.
pub(super) fn only_the_holder(step: &Step) -> Result<(), Refusal> {
    match step.state.holder() {
        Some(holder) if step.actor.kind == ActorKind::Agent && step.actor.id != holder.agent => {
            let message = match step.state.phase() {
                Some(Phase::Offered(..)) => format!("{} has been asked to take this conversation", holder.agent),
                _ => format!("{} has this conversation", holder.agent),
            };
            Err(Refusal::new("not_yours", message))
        }
        _ => Ok(()),
    }
}

/// The conversation as the asker has it.
pub(super) fn active<'s>(step: &'s Step) -> Result<&'s Active, Refusal> {
    only_the_holder(step)?;
    step.state.active().ok_or_else(|| wrong_state(&step.state, "an agent who has it"))
}

/// The offer that is open to the asker.
pub(super) fn open_offer(step: &Step, named: Option<&str>) -> Result<(Waiting, Offer), Refusal> {
    only_the_holder(step)?;
    match step.state.phase() {
        Some(Phase::Offered(waiting, offer)) => match named {
            Some(named) if named != offer.id => {
                Err(Refusal::new("obsolete", format!("offer {named} is over; {} is open", offer.id)))
            }
            _ => Ok((waiting.clone(), offer.clone())),
        },
        _ => Err(wrong_state(&step.state, "an open offer")),
    }
}

/// Who has it, out of a session that an agent has or is writing up.
pub(super) fn served(step: &Step) -> Result<Holder, Refusal> {
    only_the_holder(step)?;
    match step.state.phase() {
        Some(Phase::Active(active)) => Ok(active.holder.clone()),
        Some(Phase::WrapUp(holder, _)) => Ok(holder.clone()),
        _ => Err(wrong_state(&step.state, "an agent who has it")),
    }
}

pub(super) fn check_queue(step: &Step, queue: &str) -> Result<(), Refusal> {
    if step.settings.queues.iter().any(|known| known == queue) {
        return Ok(());
    }
    let message = format!("there is no queue {queue:?}; there are: {}", step.settings.queues.join(", "));
    Err(Refusal::new("unknown_queue", message))
}

pub(super) fn check_agent(agent: &str) -> Result<(), Refusal> {
    if is_token(agent) { Ok(()) } else { Err(invalid(format!("{agent:?} cannot be an agent's id"))) }
}

pub(super) fn check_note(note: Option<&str>) -> Result<(), Refusal> {
    match note {
        Some(note) if note.chars().count() > MAX_NOTE_CHARS => {
            Err(invalid(format!("a note has at most {MAX_NOTE_CHARS} characters")))
        }
        _ => Ok(()),
    }
}

/// Whether this can be sent to a customer.
pub(super) fn check_sendable(content: &Content) -> Result<(), Refusal> {
    match content {
        Content::Text { text } if text.trim().is_empty() => Err(invalid("the text is empty")),
        Content::Text { .. } | Content::Image(_) | Content::File(_) | Content::Card { .. } => Ok(()),
        Content::Event { .. } | Content::Edit { .. } | Content::Receipt { .. } | Content::Left => {
            Err(invalid("only text, image, file and card can be sent to a customer"))
        }
    }
}
