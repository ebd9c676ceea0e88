//! Ends: of the talk, and of the session.

use super::{
    consult, offer,
    refuse::{active, only_the_holder, wrong_state},
    step::Step,
};
use crate::conversation::state::Phase;
use kefu_events::{
    ActorKind, Refusal, V,
    conversation::{CloseReason, ConversationEvent, RescindReason},
};

pub(super) fn wrap_up(step: &mut Step) -> Result<(), Refusal> {
    active(step)?;
    begin_wrap_up(step);
    Ok(())
}

/// The talk is over. With no time for wrap-up the session is, too.
pub(super) fn begin_wrap_up(step: &mut Step) {
    let Some(active) = step.state.active() else { return };
    let holder = active.holder.clone();
    consult::end_if_any(step);
    let deadline = step.after(step.settings.wrap_up_s);
    step.emit(ConversationEvent::WrapUpStarted {
        v: V,
        agent: holder.agent,
        reservation: holder.reservation,
        deadline,
    });
    if step.settings.wrap_up_s == 0 {
        end(step, CloseReason::WrappedUp);
    }
}

/// By the agent who has it, or an operator. In wrap-up this is how an agent says that it is finished.
pub(super) fn close(step: &mut Step) -> Result<(), Refusal> {
    only_the_holder(step)?;
    let reason = match step.state.phase() {
        None => return Err(wrong_state(&step.state, "an open session")),
        Some(Phase::WrapUp(..)) => CloseReason::WrappedUp,
        Some(Phase::Active(_)) => CloseReason::ClosedByAgent,
        // An agent who has only been asked to take it does not have it.
        Some(Phase::Bot(_) | Phase::Queued(_) | Phase::Offered(..)) if step.actor.kind == ActorKind::Agent => {
            return Err(wrong_state(&step.state, "an agent who has it"));
        }
        Some(Phase::Bot(_) | Phase::Queued(_) | Phase::Offered(..)) => CloseReason::ClosedByAgent,
    };
    end(step, reason);
    Ok(())
}

/// Ends the session from whatever phase, and gives back what it holds.
pub(super) fn end(step: &mut Step, reason: CloseReason) {
    offer::take_back(step, RescindReason::SessionEnded);
    consult::end_if_any(step);
    match reason {
        CloseReason::Inactivity => step.say(|texts| &texts.inactivity_closed),
        CloseReason::Abandoned => step.say(|texts| &texts.abandoned),
        // Who sends somebody away out of hours has said so.
        CloseReason::OutOfHours | CloseReason::WrappedUp | CloseReason::ClosedByAgent | CloseReason::CustomerLeft => {}
    }
    let Some(session) = &step.state.session else { return };
    let (number, served, left) = (session.number, session.served, session.customer_left);
    let holder = step.state.holder().cloned();
    let (agent, reservation, practice) = match holder {
        Some(holder) => (Some(holder.agent), holder.reservation, holder.practice.map(|practice| *practice)),
        None => (None, None, None),
    };
    let closed_by = agent.clone();
    step.emit(ConversationEvent::SessionClosed { v: V, session: number, reason, agent, reservation });
    // Whoever has gone, waited in vain or was sent away is not asked how it was.
    let asks = match reason {
        CloseReason::WrappedUp | CloseReason::ClosedByAgent | CloseReason::Inactivity => served && !left,
        CloseReason::CustomerLeft | CloseReason::Abandoned | CloseReason::OutOfHours => false,
    };
    if asks && step.settings.satisfaction.enabled {
        let deadline = step.after(step.settings.satisfaction.window_s);
        let agent = closed_by;
        step.emit(ConversationEvent::SatisfactionRequested { v: V, session: number, deadline, agent, practice });
        step.say(|texts| &texts.satisfaction_request);
    }
}
