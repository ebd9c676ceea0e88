//! The state after an event. Never fails and never judges: what is in the log has happened.

use super::state::{MAX_ENDED, Slot, SlotPhase, State};
use crate::aggregate::CommitMeta;
use kefu_events::agent::{AgentEvent, Handled};

pub(super) fn evolve(state: &mut State, commit: &CommitMeta, event: &AgentEvent) {
    use AgentEvent as Event;
    match event {
        Event::AgentRegistered { id, name, .. } => {
            if !state.exists() {
                state.idle_since = Some(commit.at);
                state.status_since = Some(commit.at);
            }
            state.id = id.clone().unwrap_or_else(|| commit.key.clone());
            state.name.clone_from(name);
            state.removed = false;
        }
        Event::AgentRemoved { .. } => state.removed = true,
        Event::PresenceChanged { online, connections, deadline, .. } => {
            state.online = *online;
            state.connections.clone_from(connections);
            state.gone_at = *deadline;
        }
        Event::ConnectionLost { .. } => state.gone_at = None,
        Event::StatusChanged { status, reason, .. } => {
            state.status = *status;
            state.reason.clone_from(reason);
            state.status_since = Some(commit.at);
        }
        Event::SkillsChanged { skills, languages, queues, .. } => {
            state.skills.clone_from(skills);
            state.languages.clone_from(languages);
            state.queues.clone_from(queues);
        }
        Event::CapacityChanged { slots, weights, .. } => {
            state.slots = *slots;
            state.weights.clone_from(weights);
        }
        Event::ShiftsChanged { shifts, .. } => state.shifts.clone_from(shifts),
        Event::SlotReserved { reservation, conversation, weight, deadline, practice, .. } => {
            let slot = Slot {
                conversation: conversation.clone(),
                weight: *weight,
                phase: SlotPhase::Reserved,
                since: commit.at,
                deadline: Some(*deadline),
                attempt: 0,
                practice: practice.clone(),
                shared_ms: 0,
            };
            state.held.insert(reservation.clone(), slot);
            state.assigned_at = Some(commit.at);
            state.idle_since = None;
        }
        Event::SlotOccupied { reservation, deadline, .. } => {
            state.count_to(commit.at);
            if let Some(slot) = state.held.get_mut(reservation) {
                (slot.phase, slot.since) = (SlotPhase::Occupied, commit.at);
                (slot.deadline, slot.attempt) = (*deadline, 0);
            }
            state.counted_to = Some(commit.at);
        }
        Event::ReservationQuestioned { reservation, attempt, deadline, .. } => {
            if let Some(slot) = state.held.get_mut(reservation) {
                (slot.deadline, slot.attempt) = (Some(*deadline), *attempt);
            }
        }
        Event::WrapUpStarted { reservation, .. } => now_in(state, reservation, SlotPhase::WrapUp),
        Event::WrapUpEnded { reservation, .. } => now_in(state, reservation, SlotPhase::Occupied),
        Event::SlotReleased { reservation, handled, .. } => {
            state.count_to(commit.at);
            if let Some(Handled { practice, seconds, at_once }) = handled {
                for skill in &practice.skills {
                    let (at_ms, half_life) = (commit.at.as_millis(), practice.half_life_days);
                    state.sums(skill, commit.at).add_case(*seconds, *at_once, at_ms, half_life);
                }
            }
            state.freed_at = Some(commit.at);
            if state.held.remove(reservation).is_some() && state.held.is_empty() {
                state.idle_since = Some(commit.at);
            }
            if state.ended.len() == MAX_ENDED {
                state.ended.pop_front();
            }
            state.ended.push_back(reservation.clone());
        }
        Event::Rated { score, practice, .. } => {
            for skill in &practice.skills {
                let (at_ms, half_life) = (commit.at.as_millis(), practice.half_life_days);
                state.sums(skill, commit.at).add_rating(f64::from(*score), at_ms, half_life);
            }
        }
        Event::CommandRefused(refused) => state.refused = Some(refused.command.clone()),
        Event::ReservationWithdrawn { .. } | Event::Quarantined(_) | Event::QuarantineLifted(_) => {}
    }
}

fn now_in(state: &mut State, reservation: &str, phase: SlotPhase) {
    if let Some(slot) = state.held.get_mut(reservation) {
        slot.phase = phase;
    }
}
