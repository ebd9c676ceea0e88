//! Agents: who can take conversations, how many at once, and which they have.
//!
//! Pure: given the state, a command, the settings and the time, what happens? In reading order: [`State`] (what is
//! remembered), `decide/` (what is asked of an agent), `evolve`, `effects`. This folder may not know who is chosen for what
//! (the scheduler comes with a name and a weight), what a conversation is beyond its key, or how a connection looks.
//!
//! # Two things that are not the same
//!
//! *Presence* is whether a connection is there. *Routing status* is what the agent is ready for, in the agent's own words.
//! Slots are reserved for whoever is online and available (or ready for transfers, for those). A lost connection has
//! `presence_grace_s` to come back, as if nothing had been; after that the status is `away`, and what was offered is taken
//! back. Who comes back later says so by a status of their own.
//!
//! # The way of a slot
//!
//! ```mermaid
//! stateDiagram-v2
//!     [*] --> reserved: reserve_slot (scheduler)
//!     reserved --> occupied: occupy_slot (conversation, accepted)
//!     reserved --> [*]: release_slot (conversation: rejected, timed out, rescinded, refused)
//!     occupied --> wrap_up: start_wrap_up (conversation)
//!     wrap_up --> occupied: occupy_slot (conversation, taken up again)
//!     occupied --> [*]: release_slot (conversation: closed, transferred)
//!     wrap_up --> [*]: release_slot
//! ```
//!
//! and from everywhere out: `force_release`, by a supervisor.
//!
//! **No reservation is ever accepted that exceeds the capacity at that moment.** It is decided here, by a commit under the
//! expected version, before the conversation hears of it: so however many schedulers run and whatever crashes, an agent is
//! not above capacity. Less capacity than is in use throws nobody out; nothing more fits until there is room.
//!
//! # How agent and conversation agree without a transaction
//!
//! ```text
//! agent: slot_reserved ──offer──▶ conversation: offer_made … offer_accepted ──occupy_slot──▶ agent: slot_occupied
//!                                               offer_refused, offer_rejected, … ──release_slot──▶ agent: slot_released
//! agent: reservation_questioned ──check_reservation──▶ conversation: reservation_checked
//!                                               ──release_slot, occupy_slot, start_wrap_up, or nothing──▶ agent
//! ```
//!
//! The conversation alone ends an offer, always by a commit whose effect releases the slot. The agent's own deadline
//! ([`timer::QUESTION`]) ends nothing: it asks, at growing intervals, without end, so that whatever got lost is noticed and
//! repaired. Occupied slots are asked about as well, rarely (`slot_check_s`). Where the agent cannot answer any more
//! (connection lost, offline, removed, quarantined), the conversation is asked to take the offer back.
//!
//! A reservation is carried out once: names of ended ones are remembered, the last [`MAX_ENDED`], so that neither a late
//! `reserve_slot` takes a slot again nor a late `release_slot` frees another's.

mod decide;
mod effects;
mod evolve;
mod state;
#[cfg(test)]
mod tests;

pub use state::{DEFAULT_SLOTS, MAX_ENDED, MAX_PRACTISED, MAX_SLOTS, Slot, SlotPhase, State};

use crate::aggregate::{Aggregate, CommitMeta, Context, Deadline, Effect, Input};
use kefu_events::{
    AggregateKind, Commit, Quarantined, Refusal, Timestamp, V,
    agent::{AgentCommand, AgentEvent},
};

/// Names of the deadlines, as timers carry them.
pub mod timer {
    /// A connection that comes back.
    pub const PRESENCE: &str = "presence";
    /// Word of a reservation: the earliest of all.
    pub const QUESTION: &str = "question";
}

/// The aggregate.
#[derive(Debug)]
pub struct Agent;

impl Aggregate for Agent {
    const KIND: AggregateKind = AggregateKind::Agent;
    const STATE_VERSION: u32 = 2;

    type State = State;
    type Event = AgentEvent;
    type Command = AgentCommand;

    crate::common_events!(AgentEvent, AgentCommand);

    fn decide(state: &State, input: &Input<AgentCommand>, context: &Context) -> Result<Vec<AgentEvent>, Refusal> {
        decide::decide(state, input, context)
    }

    fn evolve(state: &mut State, commit: &CommitMeta, event: &AgentEvent) {
        evolve::evolve(state, commit, event);
    }

    fn effects(commit: &Commit<AgentEvent>) -> Vec<Effect> {
        effects::effects(commit)
    }

    fn deadlines(state: &State) -> Vec<Deadline> {
        let presence = state.gone_at.map(|due| Deadline { timer: timer::PRESENCE, due });
        let question = state.held.values().filter_map(|slot| slot.deadline).min();
        let question = question.map(|due| Deadline { timer: timer::QUESTION, due });
        presence.into_iter().chain(question).collect()
    }

    fn timer_fired(timer: &str, due: Timestamp) -> Option<AgentCommand> {
        Some(AgentCommand::TimerFired { v: V, timer: timer.to_owned(), due })
    }

    fn set_aside(state: &State, quarantined: Quarantined) -> Vec<AgentEvent> {
        let mut events = vec![AgentEvent::Quarantined(quarantined)];
        events.extend(decide::withdrawals(state));
        events
    }
}
