//! Slots: reserved under the expected version, before anybody is offered anything; ended by the conversation.

use super::{Step, invalid, not_removed, unchanged};
use crate::agent::state::{MAX_SLOTS, Slot, SlotPhase, State};
use kefu_events::{
    Refusal, Timestamp, V,
    agent::{AgentCommand, AgentEvent, Handled, Practice},
    key::is_token,
};

const MAX_RESERVATION_BYTES: usize = 128;
const MAX_TTL_S: u32 = 86_400;
const MAX_REASON_CHARS: usize = 500;
/// Skills of which one conversation is a case: those of a routing rule and of a queue.
const MAX_PRACTICE: usize = 40;
/// `queue:` and a token.
const MAX_SKILL_BYTES: usize = 70;
const MAX_HALF_LIFE_DAYS: f64 = 36_500.0;
/// Seconds beyond an offer's own time-out before it is asked about: the conversation's word should have come by then.
const PATIENCE_S: u32 = 15;
/// Seconds until it is asked again, doubled each time, and at most this many.
const ASK_AGAIN_S: i64 = 15;
const MAX_ASK_AGAIN_S: i64 = 3_600;
/// Questions in one commit. The rest is due, too, and follows in the next.
const MAX_QUESTIONS: usize = 100;

pub(super) fn reserve(step: &mut Step, command: &AgentCommand) -> Result<(), Refusal> {
    let AgentCommand::ReserveSlot {
        reservation, conversation, session, weight, ttl_s, decision, kind, practice, ..
    } = command
    else {
        return Err(invalid("this reserves nothing"));
    };
    if reservation.is_empty() || reservation.len() > MAX_RESERVATION_BYTES {
        return Err(invalid(format!("a reservation's id has 1 to {MAX_RESERVATION_BYTES} bytes")));
    }
    if !is_token(conversation) {
        return Err(invalid(format!("{conversation:?} cannot be a conversation's key")));
    }
    if !(1..=MAX_SLOTS).contains(weight) {
        return Err(invalid(format!("a conversation takes 1 to {MAX_SLOTS} slots")));
    }
    if ttl_s.is_some_and(|ttl_s| !(1..=MAX_TTL_S).contains(&ttl_s)) {
        return Err(invalid(format!("a reservation is asked about after 1 to {MAX_TTL_S} seconds")));
    }
    practice.as_ref().map_or(Ok(()), check_practice)?;
    // Before anything else that is asked of the agent: whoever asks twice is to hear what became of the first time.
    if let Some(slot) = step.state.held.get(reservation) {
        let message = format!("{reservation} holds a slot for {} already", slot.conversation);
        return Err(Refusal::new("already_reserved", message));
    }
    not_over(&step.state, reservation)?;
    if let Some(obstacle) = step.state.not_ready_for(*kind) {
        return Err(Refusal::new("not_available", format!("{} is {obstacle}", step.state.id)));
    }
    let (in_use, slots) = (step.state.in_use(), step.state.slots);
    if in_use.saturating_add(*weight) > slots {
        let message = format!("{} has {in_use} of {slots} slots in use; this takes {weight}", step.state.id);
        return Err(Refusal::new("no_capacity", message));
    }
    let ttl_s = ttl_s.unwrap_or_else(|| step.context.settings.tenant.offer_timeout_s.saturating_add(PATIENCE_S));
    step.emit(AgentEvent::SlotReserved {
        v: V,
        reservation: reservation.clone(),
        conversation: conversation.clone(),
        weight: *weight,
        deadline: step.after(ttl_s),
        session: Some(*session),
        decision: decision.clone(),
        kind: *kind,
        practice: practice.clone(),
    });
    Ok(())
}

fn check_practice(practice: &Practice) -> Result<(), Refusal> {
    let skills = &practice.skills;
    let is_skill = |skill: &String| (1..=MAX_SKILL_BYTES).contains(&skill.len());
    if !(1..=MAX_PRACTICE).contains(&skills.len()) || !skills.iter().all(is_skill) {
        return Err(invalid(format!("a case is one of 1 to {MAX_PRACTICE} skills")));
    }
    match practice.half_life_days {
        days if days > 0.0 && days <= MAX_HALF_LIFE_DAYS => Ok(()),
        days => Err(invalid(format!("a half-life is more than 0 and at most {MAX_HALF_LIFE_DAYS} days, not {days}"))),
    }
}

/// A customer's rating of a session. The slot was released before, so that nothing is held for it.
pub(super) fn rate(
    step: &mut Step,
    conversation: &str,
    session: u32,
    score: u8,
    practice: &Practice,
) -> Result<(), Refusal> {
    not_removed(step)?;
    if !is_token(conversation) || !(1..=5).contains(&score) {
        return Err(invalid("a rating is 1 to 5, of a conversation's session"));
    }
    check_practice(practice)?;
    let (conversation, practice) = (conversation.to_owned(), practice.clone());
    step.emit(AgentEvent::Rated { v: V, conversation, session, score, practice });
    Ok(())
}

pub(super) fn occupy(step: &mut Step, reservation: &str, conversation: &str) -> Result<(), Refusal> {
    let phase = held(&step.state, reservation, Some(conversation))?.phase;
    let reservation = reservation.to_owned();
    match phase {
        SlotPhase::Reserved => occupied(step, reservation),
        SlotPhase::WrapUp => step.emit(AgentEvent::WrapUpEnded { v: V, reservation }),
        SlotPhase::Occupied => return Err(unchanged("the slot is occupied already")),
    }
    Ok(())
}

pub(super) fn start_wrap_up(step: &mut Step, reservation: &str, conversation: Option<&str>) -> Result<(), Refusal> {
    let phase = held(&step.state, reservation, conversation)?.phase;
    let reservation = reservation.to_owned();
    match phase {
        // Word of the acceptance got lost.
        SlotPhase::Reserved => occupied(step, reservation.clone()),
        SlotPhase::Occupied => {}
        SlotPhase::WrapUp => return Err(unchanged("the agent writes up already")),
    }
    step.emit(AgentEvent::WrapUpStarted { v: V, reservation });
    Ok(())
}

pub(super) fn release(step: &mut Step, reservation: &str, conversation: &str, completed: bool) -> Result<(), Refusal> {
    let phase = held(&step.state, reservation, Some(conversation))?.phase;
    step.state.count_to(step.context.now);
    let handled = step.state.handled(reservation, step.context.now).filter(|_| completed);
    end(step, reservation, phase, None, handled);
    Ok(())
}

/// A supervisor's. A conversation that is only offered is told; one that the agent has goes on without a slot.
pub(super) fn force_release(step: &mut Step, reservation: &str, reason: &str) -> Result<(), Refusal> {
    if reason.trim().is_empty() || reason.chars().count() > MAX_REASON_CHARS {
        return Err(invalid(format!("a reason has 1 to {MAX_REASON_CHARS} characters")));
    }
    let Slot { phase, conversation, .. } = held(&step.state, reservation, None)?.clone();
    if phase == SlotPhase::Reserved {
        step.emit(AgentEvent::ReservationWithdrawn { v: V, reservation: reservation.to_owned(), conversation });
    }
    end(step, reservation, phase, Some(reason.to_owned()), None);
    Ok(())
}

/// Asks the conversations of all slots whose time has come what became of them.
pub(super) fn question(step: &mut Step, due: Timestamp) {
    // A timer is never early; should a clock have gone back, what was due is due.
    let now = step.context.now.max(due);
    let is_due = |slot: &Slot| slot.deadline.is_some_and(|deadline| deadline <= now);
    let due = step.state.held.iter().filter(|(_, slot)| is_due(slot)).take(MAX_QUESTIONS);
    let due: Vec<(String, Slot)> = due.map(|(reservation, slot)| (reservation.clone(), slot.clone())).collect();
    for (reservation, slot) in due {
        let attempt = slot.attempt.saturating_add(1);
        let again_s = match slot.phase {
            SlotPhase::Reserved => ASK_AGAIN_S.saturating_mul(1 << attempt.min(16)).min(MAX_ASK_AGAIN_S),
            SlotPhase::Occupied | SlotPhase::WrapUp => match step.context.settings.tenant.slot_check_s {
                // Switched off since: asked once more, and then so seldom that it does not matter.
                0 => i64::from(MAX_TTL_S) * 30,
                check_s => i64::from(check_s),
            },
        };
        step.emit(AgentEvent::ReservationQuestioned {
            v: V,
            reservation,
            conversation: slot.conversation,
            attempt,
            deadline: now.plus_seconds(again_s),
        });
    }
}

/// The agent cannot answer what is offered: it is taken back.
pub(super) fn withdraw(step: &mut Step) {
    withdrawals(&step.state).into_iter().for_each(|event| step.emit(event));
}

/// One for each slot that is reserved and not occupied.
pub(in crate::agent) fn withdrawals(state: &State) -> Vec<AgentEvent> {
    let reserved = state.held.iter().filter(|(_, slot)| slot.phase == SlotPhase::Reserved);
    let withdrawal = |(reservation, slot): (&String, &Slot)| AgentEvent::ReservationWithdrawn {
        v: V,
        reservation: reservation.clone(),
        conversation: slot.conversation.clone(),
    };
    reserved.map(withdrawal).collect()
}

fn occupied(step: &mut Step, reservation: String) {
    let check_s = step.context.settings.tenant.slot_check_s;
    let deadline = (check_s > 0).then(|| step.after(check_s));
    step.emit(AgentEvent::SlotOccupied { v: V, reservation, deadline });
}

fn end(step: &mut Step, reservation: &str, phase: SlotPhase, forced: Option<String>, handled: Option<Handled>) {
    let reservation = reservation.to_owned();
    if phase == SlotPhase::WrapUp {
        step.emit(AgentEvent::WrapUpEnded { v: V, reservation: reservation.clone() });
    }
    step.emit(AgentEvent::SlotReleased { v: V, reservation, forced, handled });
}

/// The slot that is held under this reservation, for this conversation if one is named.
fn held<'s>(state: &'s State, reservation: &str, conversation: Option<&str>) -> Result<&'s Slot, Refusal> {
    not_over(state, reservation)?;
    let slot = state.held.get(reservation);
    let slot = slot.filter(|slot| conversation.is_none_or(|conversation| conversation == slot.conversation));
    slot.ok_or_else(|| {
        let of = conversation.map(|conversation| format!(" of {conversation}")).unwrap_or_default();
        Refusal::new("unknown_reservation", format!("there is no reservation {reservation}{of}"))
    })
}

fn not_over(state: &State, reservation: &str) -> Result<(), Refusal> {
    match state.ended.iter().any(|ended| ended == reservation) {
        true => Err(Refusal::new("reservation_over", format!("reservation {reservation} has ended"))),
        false => Ok(()),
    }
}
