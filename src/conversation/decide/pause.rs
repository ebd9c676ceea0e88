//! Hold and snooze: the agent has it, and neither side is waited for.

use super::{
    close,
    refuse::{active, invalid, only_the_holder, wrong_state},
    step::Step,
};
use crate::conversation::state::Phase;
use kefu_events::{Refusal, Timestamp, V, conversation::ConversationEvent};

/// How far ahead something can be put aside. Beyond a year it is a mistake in the unit.
const MAX_SNOOZE_S: i64 = 366 * 86_400;

pub(super) fn hold(step: &mut Step) -> Result<(), Refusal> {
    let active = active(step)?;
    if active.held || active.snoozed_until.is_some() {
        return Err(wrong_state(&step.state, "it to be neither on hold nor snoozed"));
    }
    step.emit(ConversationEvent::Held { v: V });
    Ok(())
}

/// Ends the hold, or takes the talk up again out of wrap-up.
pub(super) fn resume(step: &mut Step) -> Result<(), Refusal> {
    only_the_holder(step)?;
    match step.state.phase() {
        Some(Phase::Active(active)) if active.held => step.emit(ConversationEvent::Resumed { v: V }),
        Some(Phase::WrapUp(holder, _)) => {
            let (agent, reservation) = (holder.agent.clone(), holder.reservation.clone());
            step.emit(ConversationEvent::Reactivated { v: V, agent, reservation });
        }
        _ => return Err(wrong_state(&step.state, "it to be on hold or in wrap-up")),
    }
    Ok(())
}

pub(super) fn snooze(step: &mut Step, until: Timestamp) -> Result<(), Refusal> {
    let active = active(step)?;
    if active.held {
        return Err(wrong_state(&step.state, "it not to be on hold"));
    }
    if until <= step.now || until > step.now.plus_seconds(MAX_SNOOZE_S) {
        return Err(invalid(format!("{until} is not within the year to come")));
    }
    step.emit(ConversationEvent::Snoozed { v: V, until });
    Ok(())
}

pub(super) fn unsnooze(step: &mut Step) -> Result<(), Refusal> {
    if active(step)?.snoozed_until.is_none() {
        return Err(wrong_state(&step.state, "it to be snoozed"));
    }
    take_up(step);
    Ok(())
}

/// It is taken up again. A customer who left meanwhile is not there to talk to, so the agent writes up.
pub(super) fn take_up(step: &mut Step) {
    step.emit(ConversationEvent::Unsnoozed { v: V });
    if step.state.session.as_ref().is_some_and(|session| session.customer_left) {
        close::begin_wrap_up(step);
    }
}
