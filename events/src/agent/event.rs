//! What can have happened to an agent.

use super::{Handled, Practice, ReservationKind, RoutingStatus, Shifts};
use crate::{CommandRefused, Json, QuarantineLifted, Quarantined, Timestamp, V, tagged::tagged};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What can have happened to an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", remote = "Self")]
#[schemars(rename = "AgentEvent", tag = "type")]
pub enum AgentEvent {
    /// The agent exists, or has another name.
    AgentRegistered {
        /// Version of this event.
        v: V<1>,
        /// The agent's id, of which the key is made; the key itself if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// The name that colleagues see.
        #[schemars(extend("x-personal" = true))]
        name: String,
    },
    /// A connection came or went.
    PresenceChanged {
        /// Version of this event.
        v: V<1>,
        /// Whether a connection is there.
        online: bool,
        /// All connections that are there now.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        connections: Vec<String>,
        /// The agent counts as gone then, if no connection has come back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deadline: Option<Timestamp>,
    },
    /// No connection came back in time.
    ConnectionLost {
        /// Version of this event.
        v: V<1>,
    },
    /// The agent is ready for something else.
    StatusChanged {
        /// Version of this event.
        v: V<1>,
        /// What for.
        status: RoutingStatus,
        /// Why, in the tenant's words; `connection_lost` where no connection came back in time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Skills were set.
    SkillsChanged {
        /// Version of this event.
        v: V<1>,
        /// Skill → proficiency, 0 to 5: all of them.
        skills: BTreeMap<String, u8>,
        /// Languages (BCP 47), the best first.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        languages: Vec<String>,
        /// Queues that the agent serves.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        queues: Vec<String>,
    },
    /// The number of slots was set.
    CapacityChanged {
        /// Version of this event.
        v: V<1>,
        /// Slots in all.
        slots: u32,
        /// Channel → slots that a conversation on it takes; the tenant's number where it is not named.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        weights: BTreeMap<String, u32>,
    },
    /// Shifts were set.
    ShiftsChanged {
        /// Version of this event.
        v: V<1>,
        /// Absent: the agent works whenever available.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        shifts: Option<Shifts>,
    },
    /// No agent any more: what is held is kept to its end, and nothing is added.
    AgentRemoved {
        /// Version of this event.
        v: V<1>,
    },
    /// A slot is kept for a conversation that will be offered.
    SlotReserved {
        /// Version of this event.
        v: V<1>,
        /// Names this reservation.
        reservation: String,
        /// The conversation's key.
        conversation: String,
        /// Slots that it takes.
        weight: u32,
        /// What becomes of an unanswered reservation is asked for after this moment.
        deadline: Timestamp,
        /// The conversation's session for which it was decided.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session: Option<u32>,
        /// The scheduler's decision.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        decision: Option<Json>,
        /// What for.
        #[serde(default)]
        kind: ReservationKind,
        /// Of which skills it is a case.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        practice: Option<Practice>,
    },
    /// The conversation was accepted.
    SlotOccupied {
        /// Version of this event.
        v: V<1>,
        /// Which reservation.
        reservation: String,
        /// Whether the conversation still has it is asked after this moment.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deadline: Option<Timestamp>,
    },
    /// Nothing was heard of a reservation for long: the conversation is asked what became of it.
    ReservationQuestioned {
        /// Version of this event.
        v: V<1>,
        /// Which reservation.
        reservation: String,
        /// The conversation's key.
        conversation: String,
        /// How often it has been asked since the slot was reserved or occupied, from 1.
        attempt: u32,
        /// It is asked again then.
        deadline: Timestamp,
    },
    /// The agent cannot answer an offer: the conversation is asked to take it back. The slot is released when it has.
    ReservationWithdrawn {
        /// Version of this event.
        v: V<1>,
        /// Which reservation.
        reservation: String,
        /// The conversation's key.
        conversation: String,
    },
    /// The slot is free again.
    SlotReleased {
        /// Version of this event.
        v: V<1>,
        /// Which reservation.
        reservation: String,
        /// Why it was taken from the conversation, if it was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        forced: Option<String>,
        /// How the agent worked on it, where the agent brought it to its end.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        handled: Option<Handled>,
    },
    /// The customer rated a session that the agent brought to its end.
    Rated {
        /// Version of this event.
        v: V<1>,
        /// The conversation's key.
        conversation: String,
        /// Which session.
        session: u32,
        /// 1 (bad) to 5 (good).
        score: u8,
        /// Of which skills it was a case.
        practice: Practice,
    },
    /// Wrap-up of a conversation began.
    WrapUpStarted {
        /// Version of this event.
        v: V<1>,
        /// Which reservation.
        reservation: String,
    },
    /// Wrap-up ended.
    WrapUpEnded {
        /// Version of this event.
        v: V<1>,
        /// Which reservation.
        reservation: String,
    },
    /// A command was not carried out.
    CommandRefused(CommandRefused),
    /// Deciding an input failed.
    Quarantined(Quarantined),
    /// Inputs are decided again.
    QuarantineLifted(QuarantineLifted),
}

tagged!(AgentEvent);
