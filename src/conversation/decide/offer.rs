//! Offers: made by the scheduler, ended here and nowhere else.

use super::{
    refuse::{check_agent, check_note, invalid, open_offer, wrong_state},
    route::Place,
    step::Step,
};
use crate::conversation::state::{Active, Holder, MAX_NAME_CHARS, Offer, Phase, State, Waiting};
use kefu_events::{
    ActorKind, CommandRefused, Json, Quarantined, Refusal, V,
    agent::Practice,
    conversation::{ConversationCommand, ConversationEvent, Held, RescindReason, Target},
};

pub(super) fn make(
    step: &mut Step,
    agent: &str,
    reservation: Option<&str>,
    session: Option<u32>,
    decision: Option<&Json>,
    practice: Option<&Practice>,
) -> Result<(), Refusal> {
    check_agent(agent)?;
    if reservation.is_some_and(|reservation| reservation.is_empty() || reservation.len() > 512) {
        return Err(invalid("a reservation's id has 1 to 512 bytes"));
    }
    if session.is_some_and(|session| session != step.state.sessions) {
        let message = format!("this was decided for another session than {}", step.state.sessions);
        return Err(Refusal::new("obsolete", message));
    }
    if reservation.is_some_and(|reservation| step.state.given_up.iter().any(|given_up| given_up == reservation)) {
        return Err(Refusal::new("obsolete", "this reservation was given up, because the offer did not come"));
    }
    let Some(Phase::Queued(waiting)) = step.state.phase() else {
        return Err(wrong_state(&step.state, "it to be queued"));
    };
    // An offer with a reservation comes from the scheduler, by way of the agent's aggregate; one without, from an operator.
    let by_operator = step.actor.kind == ActorKind::System && reservation.is_none();
    if let Some(wanted) = waiting.agent.as_deref()
        && wanted != agent
        && !by_operator
    {
        return Err(Refusal::new("reserved_for", format!("it waits for {wanted} only")));
    }
    let offer = step.new_id();
    let deadline = step.after(step.settings.offer_timeout_s);
    step.emit(ConversationEvent::OfferMade {
        v: V,
        offer,
        agent: agent.to_owned(),
        reservation: reservation.map(str::to_owned),
        deadline,
        decision: decision.cloned(),
        practice: practice.cloned(),
    });
    Ok(())
}

/// How far it is, for the customer who waits. Half a minute counts as one: nobody waits for zero minutes.
pub(super) fn tell_position(step: &mut Step, session: u32, position: u32, wait_s: Option<u32>) -> Result<(), Refusal> {
    if session != step.state.sessions {
        let message = format!("this was computed for another session than {}", step.state.sessions);
        return Err(Refusal::new("obsolete", message));
    }
    if !matches!(step.state.phase(), Some(Phase::Queued(_))) {
        return Err(wrong_state(&step.state, "it to be queued"));
    }
    let texts = &step.settings.texts;
    let text = match wait_s {
        Some(wait_s) => texts.queue_position.replace("{minutes}", &wait_s.div_ceil(60).max(1).to_string()),
        None => texts.queue_position_only.clone(),
    };
    if text.trim().is_empty() {
        return Err(Refusal::new("not_wanted", "there are no words for it on this channel"));
    }
    step.emit(ConversationEvent::PositionTold { v: V, position, wait_s });
    step.say_text(&text.replace("{position}", &position.to_string()));
    Ok(())
}

/// All events of a quarantine. Nobody can work on the conversation now, so it holds no slot: an offer is withdrawn, and
/// from the agent who has it, it goes back to the queue, to be offered to that agent first when the quarantine ends.
pub(in crate::conversation) fn set_aside(state: &State, quarantined: Quarantined) -> Vec<ConversationEvent> {
    let mut events = vec![ConversationEvent::Quarantined(quarantined)];
    let Some(session) = &state.session else { return events };
    match session.phase.clone() {
        Phase::Bot(_) | Phase::Queued(_) => {}
        Phase::Offered(_, Offer { id: offer, to, .. }) => events.push(ConversationEvent::OfferRescinded {
            v: V,
            offer,
            agent: to.agent,
            reservation: to.reservation,
            reason: RescindReason::Quarantined,
        }),
        Phase::Active(Active { holder, .. }) | Phase::WrapUp(holder, _) => {
            let queue = session.queue.clone().unwrap_or_else(|| "default".to_owned());
            events.push(ConversationEvent::Transferred {
                v: V,
                from: holder.agent.clone(),
                reservation: holder.reservation,
                to: Target::Agent(holder.agent.clone()),
                note: None,
            });
            events.push(ConversationEvent::Queued {
                v: V,
                queue,
                priority: session.priority,
                agent: Some(holder.agent),
                abandon_at: None,
                rules: Vec::new(),
                required: session.required.clone(),
                wished: session.wished.clone(),
                rule_errors: Vec::new(),
                not_before: None,
            });
        }
    }
    events
}

/// All events of a refused command: a slot that was reserved for an offer is given back, unless this conversation
/// holds it (the same decision, sent twice under two ids).
pub(in crate::conversation) fn refuse(
    state: &State,
    command: &ConversationCommand,
    refused: CommandRefused,
) -> Vec<ConversationEvent> {
    let mut events = vec![ConversationEvent::CommandRefused(refused)];
    if let ConversationCommand::Offer { agent, reservation: Some(reservation), .. } = command {
        let held = state.holder().is_some_and(|holder| holder.reservation.as_ref() == Some(reservation));
        if !held {
            let (agent, reservation) = (agent.clone(), reservation.clone());
            events.push(ConversationEvent::OfferRefused { v: V, agent, reservation });
        }
    }
    events
}

/// Says what is held under a reservation. If nothing is, the slot will be released, and an offer that was overtaken by
/// the question is refused when it comes: it would be one without a slot.
pub(super) fn check(step: &mut Step, agent: &str, reservation: &str) {
    let is_its = |holder: &Holder| holder.agent == agent && holder.reservation.as_deref() == Some(reservation);
    let held = match step.state.phase() {
        Some(Phase::Offered(_, offer)) if is_its(&offer.to) => Held::Offered,
        Some(Phase::Active(active)) if is_its(&active.holder) => Held::Active,
        Some(Phase::WrapUp(holder, _)) if is_its(holder) => Held::WrapUp,
        _ => Held::No,
    };
    let (agent, reservation) = (agent.to_owned(), reservation.to_owned());
    step.emit(ConversationEvent::ReservationChecked { v: V, agent, reservation, held });
}

pub(super) fn accept(step: &mut Step, named: Option<&str>, name: Option<&str>) -> Result<(), Refusal> {
    let (_, offer) = open_offer(step, named)?;
    check_name(name)?;
    let shown = name.unwrap_or(&offer.to.agent).to_owned();
    step.emit(ConversationEvent::OfferAccepted {
        v: V,
        offer: offer.id,
        agent: offer.to.agent,
        name: name.map(str::to_owned),
        reservation: offer.to.reservation,
    });
    let text = step.settings.texts.accepted.replace("{agent}", &shown);
    step.say_text(&text);
    Ok(())
}

pub(super) fn check_name(name: Option<&str>) -> Result<(), Refusal> {
    if name.is_some_and(|name| name.trim().is_empty() || name.chars().count() > MAX_NAME_CHARS) {
        return Err(invalid(format!("a name has 1 to {MAX_NAME_CHARS} characters")));
    }
    Ok(())
}

pub(super) fn reject(step: &mut Step, named: Option<&str>, reason: Option<&str>) -> Result<(), Refusal> {
    let (waiting, offer) = open_offer(step, named)?;
    check_note(reason)?;
    let Offer { id, to, .. } = offer;
    step.emit(ConversationEvent::OfferRejected {
        v: V,
        offer: id,
        agent: to.agent,
        reservation: to.reservation,
        reason: reason.map(str::to_owned),
    });
    open_to_all(step, &waiting);
    Ok(())
}

pub(super) fn rescind(
    step: &mut Step,
    named: Option<&str>,
    reservation: Option<&str>,
    reason: RescindReason,
) -> Result<(), Refusal> {
    let (waiting, offer) = open_offer(step, named)?;
    if reservation.is_some() && reservation != offer.to.reservation.as_deref() {
        return Err(Refusal::new("obsolete", "the open offer was made under another reservation"));
    }
    take_back(step, reason);
    if reason == RescindReason::AgentGone {
        open_to_all(step, &waiting);
    }
    Ok(())
}

/// The agent did not answer in time.
pub(super) fn time_out(step: &mut Step) -> Result<(), Refusal> {
    let (waiting, Offer { id, to, .. }) = open_offer(step, None)?;
    step.emit(ConversationEvent::OfferTimedOut { v: V, offer: id, agent: to.agent, reservation: to.reservation });
    open_to_all(step, &waiting);
    Ok(())
}

/// Takes the open offer back, if there is one.
pub(super) fn take_back(step: &mut Step, reason: RescindReason) {
    if let Some(Phase::Offered(_, Offer { id: offer, to, .. })) = step.state.phase().cloned() {
        step.emit(ConversationEvent::OfferRescinded {
            v: V,
            offer,
            agent: to.agent,
            reservation: to.reservation,
            reason,
        });
    }
}

/// A conversation that waited for one agent, who does not take it, waits for anybody: else it would wait for ever.
fn open_to_all(step: &mut Step, waiting: &Waiting) {
    if waiting.agent.is_some() {
        let Place { queue, required, wished, .. } = Place::as_before(step);
        let priority = step.state.session.as_ref().map_or(0, |session| session.priority);
        step.emit(ConversationEvent::Queued {
            v: V,
            queue,
            priority,
            agent: None,
            abandon_at: waiting.abandon_at,
            rules: Vec::new(),
            required,
            wished,
            rule_errors: Vec::new(),
            not_before: waiting.not_before,
        });
    }
}
