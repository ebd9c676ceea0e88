//! To somebody else: a person instead of the bot, another agent or queue, the bot instead of a person.

use super::{
    consult, offer, proceed,
    refuse::{active, check_agent, check_note, check_queue, invalid, only_the_holder, wrong_state},
    route::{self, Place},
    step::Step,
};
use crate::conversation::state::{Holder, Phase};
use kefu_events::{
    ActorKind, Refusal, V,
    conversation::{ConversationEvent, HandoffReason, RescindReason, Target},
};

pub(super) fn request_handoff(step: &mut Step, queue: Option<&str>, note: Option<&str>) -> Result<(), Refusal> {
    let Some(bot) = step.state.bot() else {
        return Err(wrong_state(&step.state, "the bot to have it"));
    };
    let again = bot.handoff.is_some();
    if let Some(queue) = queue {
        check_queue(step, queue)?;
    }
    check_note(note)?;
    let reason = match step.actor.kind {
        ActorKind::Bot => HandoffReason::BotAsked,
        _ => HandoffReason::AgentAsked,
    };
    let (queue, note) = (queue.map(str::to_owned), note.map(str::to_owned));
    step.emit(ConversationEvent::HandoffRequested { v: V, reason, queue, note });
    if again {
        // As for the customer: asked twice, what is still to be collected is less important.
        route::to_queue(step);
    } else {
        proceed::proceed(step);
    }
    Ok(())
}

pub(super) fn transfer(step: &mut Step, to: &Target, note: Option<&str>) -> Result<(), Refusal> {
    check_note(note)?;
    match to {
        Target::Agent(agent) => check_agent(agent)?,
        Target::Queue(queue) => check_queue(step, queue)?,
    }
    match step.state.phase() {
        Some(Phase::Queued(_) | Phase::Offered(..)) => requeue(step, note)?,
        _ => leave_agent(step, to, note)?,
    }
    let place = match to {
        Target::Queue(queue) => Place::named(queue.clone()),
        Target::Agent(agent) => Place { agent: Some(agent.clone()), ..Place::as_before(step) },
    };
    route::enqueue(step, place);
    Ok(())
}

/// A supervisor's transfer: of what a colleague has, of what waits, and of what the bot has. Whether somebody is a
/// supervisor is not decided here.
pub(super) fn reassign(step: &mut Step, to: &Target, note: Option<&str>) -> Result<(), Refusal> {
    check_note(note)?;
    match to {
        Target::Agent(agent) => check_agent(agent)?,
        Target::Queue(queue) => check_queue(step, queue)?,
    }
    match step.state.phase() {
        Some(Phase::Queued(_) | Phase::Offered(..)) => {
            offer::take_back(step, RescindReason::Reassigned);
            remark(step, note);
        }
        Some(Phase::Bot(_)) => {
            let (reason, note) = (HandoffReason::AgentAsked, note.map(str::to_owned));
            step.emit(ConversationEvent::HandoffRequested { v: V, reason, queue: None, note });
        }
        Some(Phase::Active(active)) => {
            let holder = active.holder.clone();
            part(step, holder, to, note)?;
        }
        Some(Phase::WrapUp(..)) | None => {
            return Err(wrong_state(&step.state, "it to be with the bot, in a queue or with an agent"));
        }
    }
    let place = match to {
        Target::Queue(queue) => Place::named(queue.clone()),
        Target::Agent(agent) => Place { agent: Some(agent.clone()), ..Place::as_before(step) },
    };
    route::enqueue(step, place);
    Ok(())
}

/// A supervisor takes it, and answers the customer from now on. It takes none of the supervisor's slots: these are for what
/// the scheduler gives.
pub(super) fn take_over(step: &mut Step, name: Option<&str>) -> Result<(), Refusal> {
    offer::check_name(name)?;
    let by = step.actor.id.clone();
    let holder = match step.state.phase() {
        None => return Err(wrong_state(&step.state, "an open session")),
        Some(Phase::Active(active)) => Some(active.holder.clone()),
        Some(Phase::WrapUp(holder, _)) => Some(holder.clone()),
        Some(Phase::Bot(_) | Phase::Queued(_) | Phase::Offered(..)) => None,
    };
    if holder.as_ref().is_some_and(|holder| holder.agent == by) {
        return Err(Refusal::new("unchanged", "you have this conversation already"));
    }
    offer::take_back(step, RescindReason::Reassigned);
    consult::end_if_any(step);
    let (from, reservation) = holder.map_or((None, None), |holder| (Some(holder.agent), holder.reservation));
    let shown = name.unwrap_or(&by).to_owned();
    step.emit(ConversationEvent::TakenOver { v: V, agent: by, name: name.map(str::to_owned), from, reservation });
    let text = step.settings.texts.accepted.replace("{agent}", &shown);
    step.say_text(&text);
    Ok(())
}

/// Nobody has it yet, so it is not an agent's to give away: the scheduler or an operator puts it elsewhere.
fn requeue(step: &mut Step, note: Option<&str>) -> Result<(), Refusal> {
    only_the_holder(step)?;
    if step.actor.kind == ActorKind::Agent {
        return Err(wrong_state(&step.state, "an agent who has it"));
    }
    offer::take_back(step, RescindReason::Reassigned);
    remark(step, note);
    Ok(())
}

fn remark(step: &mut Step, note: Option<&str>) {
    if let Some(note) = note {
        let by = step.actor.id.clone();
        step.emit(ConversationEvent::Noted { v: V, by, text: note.to_owned() });
    }
}

fn leave_agent(step: &mut Step, to: &Target, note: Option<&str>) -> Result<(), Refusal> {
    let holder = active(step)?.holder.clone();
    if step.actor.kind == ActorKind::Scheduler {
        return Err(Refusal::new(
            "not_allowed",
            format!("{} has it; only they or an operator transfer it", holder.agent),
        ));
    }
    part(step, holder, to, note)
}

/// It leaves the agent who has it.
fn part(step: &mut Step, holder: Holder, to: &Target, note: Option<&str>) -> Result<(), Refusal> {
    if *to == Target::Agent(holder.agent.clone()) {
        return Err(invalid(format!("{} has it already", holder.agent)));
    }
    consult::end_if_any(step);
    step.emit(ConversationEvent::Transferred {
        v: V,
        from: holder.agent,
        reservation: holder.reservation,
        to: to.clone(),
        note: note.map(str::to_owned),
    });
    Ok(())
}

pub(super) fn return_to_bot(step: &mut Step) -> Result<(), Refusal> {
    if !step.settings.bot.enabled {
        return Err(Refusal::new("no_bot", "there is no bot on this channel"));
    }
    let holder = match step.state.phase() {
        Some(Phase::Queued(_) | Phase::Offered(..)) => {
            only_the_holder(step)?;
            if step.actor.kind == ActorKind::Agent {
                return Err(wrong_state(&step.state, "an agent who has it"));
            }
            offer::take_back(step, RescindReason::Reassigned);
            None
        }
        _ => Some(active(step)?.holder.clone()),
    };
    consult::end_if_any(step);
    let (from, reservation) = holder.map_or((None, None), |holder| (Some(holder.agent), holder.reservation));
    step.emit(ConversationEvent::ReturnedToBot { v: V, from, reservation });
    step.await_customer();
    Ok(())
}
